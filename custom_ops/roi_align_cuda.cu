// RoIAlign over all levels of a feature pyramid, and its gradient to the features, on a GPU. Free of TensorFlow.
// tests/cuda_on_cpu holds what it takes to run the same kernels without a GPU.

#include "roi_align_cuda.h"

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_runtime.h>

#include <limits>

#include "roi_geometry.h"

namespace maskrcnn {
namespace {

#ifdef __CUDACC__
template <typename... Parameters, typename... Arguments>
void Launch(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, cudaStream_t stream, Arguments... arguments) {
  kernel<<<blocks, threads, 0, stream>>>(arguments...);
}
#endif

using Call = MaskrcnnRoiAlign;

// ---------------------------------------------------------------------------------------------------- channels

// Sums are made in float32, or in double for double.
template <typename T>
struct Sum {
  using type = float;
};
template <>
struct Sum<double> {
  using type = double;
};
template <typename T>
using Real = typename Sum<T>::type;

// V neighbouring channels, read and written at once.
template <typename T, int V>
struct alignas(sizeof(T) * V) Pack {
  T values[V];
};

template <typename T, int V>
__device__ void AddPack(const T* from, Real<T> weight, Real<T>* sum) {
  const Pack<T, V> pack = *reinterpret_cast<const Pack<T, V>*>(from);
#pragma unroll
  for (int v = 0; v < V; ++v) sum[v] += weight * static_cast<Real<T>>(pack.values[v]);
}

template <typename T, int V>
__device__ void StorePack(const Real<T>* values, T* to) {
  Pack<T, V> pack;
#pragma unroll
  for (int v = 0; v < V; ++v) pack.values[v] = static_cast<T>(values[v]);
  *reinterpret_cast<Pack<T, V>*>(to) = pack;
}

// ----------------------------------------------------------------------------------------------------- regions

// A box in the frame of its own feature map.
template <typename R>
struct Region {
  int level, image;
  Side<R> y, x;

  // False for a box that pools zeros, because its image or level does not exist or it has no samples.
  __device__ bool Read(const Call& call, int n) {
    level = call.levels[n];
    image = call.image_indices[n];
    if (level < 0 || level >= call.num_levels || image < 0 || image >= call.batch) return false;
    const R scale = R(1) / R(call.strides[level]);
    const float* box = call.boxes + 4 * int64_t{n};
    x = MakeSide<R>(box[0], box[2], scale, call.aligned, call.output_size, call.sampling_ratio);
    y = MakeSide<R>(box[1], box[3], scale, call.aligned, call.output_size, call.sampling_ratio);
    return x.grid > 0 && y.grid > 0;
  }

  __device__ R Normalizer() const { return R(1) / (R(y.grid) * R(x.grid)); }
};

// The samples of one bin that may lie on the map.
struct Range {
  int64_t begin, end;

  template <typename R>
  __device__ Range(const Side<R>& side, int bin, int length) {
    side.Reachable(bin, length, &begin, &end);
  }
};

// Reads from the map of one image at one level, from a channel on.
template <typename T, int V>
struct Map {
  const T* first;
  int64_t width, channels;

  __device__ Map(const Call& call, int level, int image, int channel) : width(call.widths[level]), channels(call.channels) {
    first = static_cast<const T*>(call.features[level]) + image * call.heights[level] * width * channels + channel;
  }

  // Adds the four pixels around a sample.
  __device__ void AddSample(const Sample<Real<T>>& y, const Sample<Real<T>>& x, Real<T> weight, Real<T>* sum) const {
    const T* low = first + y.low * width * channels;
    const T* high = first + y.high * width * channels;
    AddPack<T, V>(low + x.low * channels, weight * y.low_weight * x.low_weight, sum);
    AddPack<T, V>(low + x.high * channels, weight * y.low_weight * x.high_weight, sum);
    AddPack<T, V>(high + x.low * channels, weight * y.high_weight * x.low_weight, sum);
    AddPack<T, V>(high + x.high * channels, weight * y.high_weight * x.high_weight, sum);
  }
};

// ----------------------------------------------------------------------------------------------------- forward

template <typename T, int V>
__device__ void AverageOfBin(const Call& call, const Region<Real<T>>& region, int p, int q, int channel, Real<T>* sum) {
  using R = Real<T>;
  const Map<T, V> map(call, region.level, region.image, channel);
  const int height = call.heights[region.level], width = call.widths[region.level];
  const Range rows(region.y, p, height), columns(region.x, q, width);
  const R normalizer = region.Normalizer();
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    Sample<R> y, x;
    if (!Locate(region.y.SamplePosition(p, i), height, &y)) continue;
    for (int64_t j = columns.begin; j < columns.end; ++j) {
      if (Locate(region.x.SamplePosition(q, j), width, &x)) map.AddSample(y, x, normalizer, sum);
    }
  }
}

template <typename R>
__device__ int64_t CountOnMap(const Side<R>& side, int bin, int length) {
  int64_t count = 0;
  Sample<R> sample;
  const Range range(side, bin, length);
  for (int64_t i = range.begin; i < range.end; ++i) count += Locate(side.SamplePosition(bin, i), length, &sample);
  return count;
}

// Finds the largest sample of a bin for V channels, and which one it is, row * grid + column: -1 is the zero off the
// map. A NaN wins. Ties go to the zero, then to the first sample.
template <typename T, int V>
__device__ void MaxOfBin(const Call& call, const Region<Real<T>>& region, int p, int q, int channel, Real<T>* best,
                         int64_t* which) {
  using R = Real<T>;
  const Map<T, V> map(call, region.level, region.image, channel);
  const int height = call.heights[region.level], width = call.widths[region.level];
  const Range rows(region.y, p, height), columns(region.x, q, width);
  const bool zero = CountOnMap(region.y, p, height) < region.y.grid || CountOnMap(region.x, q, width) < region.x.grid;
#pragma unroll
  for (int v = 0; v < V; ++v) {
    best[v] = zero ? R(0) : -std::numeric_limits<R>::infinity();
    which[v] = zero ? -1 : 0;
  }
  for (int64_t i = rows.begin; i < rows.end; ++i) {
    Sample<R> y, x;
    if (!Locate(region.y.SamplePosition(p, i), height, &y)) continue;
    for (int64_t j = columns.begin; j < columns.end; ++j) {
      if (!Locate(region.x.SamplePosition(q, j), width, &x)) continue;
      R value[V] = {};
      map.AddSample(y, x, R(1), value);
#pragma unroll
      for (int v = 0; v < V; ++v) {
        if (value[v] > best[v] || value[v] != value[v]) {
          best[v] = value[v];
          which[v] = i * region.x.grid + j;
        }
      }
    }
  }
}

// threadIdx.x takes the channels, blockIdx.x and threadIdx.y the bins: one after another in memory.
template <typename T, int V, bool kMax>
__global__ void Pool(const Call call, T* pooled) {
  using R = Real<T>;
  const int size = call.output_size;
  const int64_t bin = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (bin >= call.count * size * size) return;
  const int q = bin % size, p = bin / size % size, n = bin / size / size;
  Region<R> region;
  const bool real = region.Read(call, n);
  for (int channel = threadIdx.x * V; channel < call.channels; channel += blockDim.x * V) {
    R values[V] = {};
    int64_t which[V];
    if (real && kMax) MaxOfBin<T, V>(call, region, p, q, channel, values, which);
    if (real && !kMax) AverageOfBin<T, V>(call, region, p, q, channel, values);
    StorePack<T, V>(values, pooled + bin * call.channels + channel);
  }
}

// ---------------------------------------------------------------------------------------------------- gradient
//
// Every thread owns a pixel and V channels of it, and adds up what the bins over that pixel hand back: no atomics, and
// the same bits every time. So that it need not ask every box, one bit per box and tile of pixels says which may matter.

constexpr int kTile = 8;  // pixels on a side
constexpr int kWord = 32;

struct Tiles {
  int64_t words;      // that hold one bit per box
  int64_t down, across;  // tiles of a map

  __host__ __device__ Tiles(const Call& call, int level)
      : words((call.count + kWord - 1) / kWord),
        down((call.heights[level] + kTile - 1) / kTile),
        across((call.widths[level] + kTile - 1) / kTile) {}

  __host__ __device__ int64_t Words(const Call& call) const { return call.batch * down * across * words; }
};

// Whether a side can reach pixels [first, first + kTile); a pixel too many does no harm.
template <typename R>
__device__ bool Reaches(const Side<R>& side, int bins, int64_t first) {
  const R end = side.start + R(bins) * side.bin;
  const R low = side.start < end ? side.start : end, high = side.start < end ? end : side.start;
  return R(first) < high + R(2) && R(first + kTile) > low - R(2);
}

__global__ void FindBoxes(const Call call, int level, uint32_t* words) {
  const Tiles tiles(call, level);
  const int64_t index = int64_t{blockIdx.x} * blockDim.x + threadIdx.x;
  if (index >= tiles.Words(call)) return;
  const int64_t tile = index / tiles.words;
  const int64_t column = tile % tiles.across, row = tile / tiles.across % tiles.down;
  const int64_t image = tile / tiles.across / tiles.down, first = index % tiles.words * kWord;
  uint32_t word = 0;
  for (int bit = 0; bit < kWord && first + bit < call.count; ++bit) {
    Region<float> region;
    if (region.Read(call, static_cast<int>(first + bit)) && region.level == level && region.image == image &&
        Reaches(region.y, call.output_size, row * kTile) && Reaches(region.x, call.output_size, column * kTile)) {
      word |= uint32_t{1} << bit;
    }
  }
  words[index] = word;
}

// The bins [begin, end) of a side that may have samples between the pixels beside this one.
struct Bins {
  int begin = 0, end;

  template <typename R>
  __device__ Bins(const Side<R>& side, int bins, int pixel) : end(bins) {
    if (!(side.bin > R(0))) return;
    const R slack = R(0.01);  // for rounding
    const R first = std::floor((R(pixel) - R(1) - side.start) / side.bin - slack);
    const R last = std::ceil((R(pixel) + R(1) - side.start) / side.bin + slack);
    if (!(first > -R(kFarAway) && last < R(kFarAway))) return;
    if (first > R(0)) begin = static_cast<int>(first);
    if (last < R(bins)) end = static_cast<int>(last);
  }
};

// The samples of a bin that may lie between the pixels beside this one.
template <typename R>
__device__ Range NearPixel(const Side<R>& side, int bin, int length, int pixel) {
  Range range(side, bin, length);
  const R step = side.bin / R(side.grid);
  if (side.grid <= 8 || !(step > R(0))) return range;
  const R base = side.start + R(bin) * side.bin;
  const R first = std::floor((R(pixel) - R(1) - base) / step) - R(2);
  const R last = std::ceil((R(pixel) + R(1) - base) / step) + R(2);
  if (first > R(range.begin)) range.begin = static_cast<int64_t>(first < R(range.end) ? first : R(range.end));
  if (last < R(range.end)) range.end = static_cast<int64_t>(last > R(range.begin) ? last : R(range.begin));
  return range;
}

template <typename R>
__device__ R WeightOf(const Sample<R>& sample, int pixel) {
  return (sample.low == pixel ? sample.low_weight : R(0)) + (sample.high == pixel ? sample.high_weight : R(0));
}

// What a bin's samples along one side take from a pixel.
template <typename R>
__device__ R WeightOnPixel(const Side<R>& side, int bin, int length, int pixel) {
  R weight = 0;
  Sample<R> sample;
  const Range range = NearPixel(side, bin, length, pixel);
  for (int64_t i = range.begin; i < range.end; ++i) {
    if (Locate(side.SamplePosition(bin, i), length, &sample)) weight += WeightOf(sample, pixel);
  }
  return weight;
}

template <typename T, int V>
__device__ void GatherAverage(const Call& call, const Region<Real<T>>& region, int y, int x, const T* gradient,
                              Real<T>* sum) {
  using R = Real<T>;
  const int height = call.heights[region.level], width = call.widths[region.level];
  const R normalizer = region.Normalizer();
  const Bins rows(region.y, call.output_size, y), columns(region.x, call.output_size, x);
  for (int p = rows.begin; p < rows.end; ++p) {
    const R row_weight = normalizer * WeightOnPixel(region.y, p, height, y);
    if (row_weight == R(0)) continue;
    for (int q = columns.begin; q < columns.end; ++q) {
      const R weight = row_weight * WeightOnPixel(region.x, q, width, x);
      if (weight == R(0)) continue;
      AddPack<T, V>(gradient + int64_t{p * call.output_size + q} * call.channels, weight, sum);
    }
  }
}

template <typename T, int V>
__device__ void GatherMax(const Call& call, const Region<Real<T>>& region, int y, int x, int channel,
                          const T* gradient, Real<T>* sum) {
  using R = Real<T>;
  const int height = call.heights[region.level], width = call.widths[region.level];
  const Bins rows(region.y, call.output_size, y), columns(region.x, call.output_size, x);
  for (int p = rows.begin; p < rows.end; ++p) {
    if (WeightOnPixel(region.y, p, height, y) == R(0)) continue;
    for (int q = columns.begin; q < columns.end; ++q) {
      if (WeightOnPixel(region.x, q, width, x) == R(0)) continue;
      R best[V];
      int64_t which[V];
      MaxOfBin<T, V>(call, region, p, q, channel, best, which);
      const T* above = gradient + int64_t{p * call.output_size + q} * call.channels;
      for (int v = 0; v < V; ++v) {
        Sample<R> row, column;
        if (which[v] < 0) continue;
        Locate(region.y.SamplePosition(p, which[v] / region.x.grid), height, &row);
        Locate(region.x.SamplePosition(q, which[v] % region.x.grid), width, &column);
        sum[v] += WeightOf(row, y) * WeightOf(column, x) * static_cast<R>(above[v]);
      }
    }
  }
}

__device__ int LowestBit(uint32_t word) {
#ifdef __CUDA_ARCH__
  return __ffs(static_cast<int>(word)) - 1;
#else
  return __builtin_ctz(word);
#endif
}

// threadIdx.x takes the channels, blockIdx.x and threadIdx.y the pixels.
template <typename T, int V, bool kMax>
__global__ void Gather(const Call call, int level, const uint32_t* words, const T* gradient, T* feature_gradient) {
  using R = Real<T>;
  const int height = call.heights[level], width = call.widths[level];
  const int64_t pixel = int64_t{blockIdx.x} * blockDim.y + threadIdx.y;
  if (pixel >= int64_t{call.batch} * height * width) return;
  const int x = pixel % width, y = pixel / width % height, image = pixel / width / height;
  const Tiles tiles(call, level);
  const uint32_t* mine = words + ((image * tiles.down + y / kTile) * tiles.across + x / kTile) * tiles.words;
  const int64_t box_size = int64_t{call.output_size} * call.output_size * call.channels;
  for (int channel = threadIdx.x * V; channel < call.channels; channel += blockDim.x * V) {
    R sum[V] = {};
    for (int64_t at = 0; at < tiles.words; ++at) {
      for (uint32_t word = mine[at]; word != 0; word &= word - 1) {
        const int n = static_cast<int>(at) * kWord + LowestBit(word);
        Region<R> region;
        if (!region.Read(call, n)) continue;
        const T* above = gradient + n * box_size + channel;
        if (kMax) {
          GatherMax<T, V>(call, region, y, x, channel, above, sum);
        } else {
          GatherAverage<T, V>(call, region, y, x, above, sum);
        }
      }
    }
    StorePack<T, V>(sum, feature_gradient + pixel * call.channels + channel);
  }
}

// ------------------------------------------------------------------------------------------------------- calls

constexpr int kThreads = 256;

bool IsValid(const Call& call) {
  if (call.num_levels < 1 || call.num_levels > MASKRCNN_MOST_LEVELS || call.dtype < MASKRCNN_FLOAT32 ||
      call.dtype > MASKRCNN_FLOAT64 || call.count < 0 || call.batch < 0 || call.channels < 0 ||
      call.output_size < 1 || call.sampling_ratio < 0) {
    return false;
  }
  const int64_t most = std::numeric_limits<int32_t>::max();
  if (call.count > most / call.output_size / call.output_size) return false;
  for (int level = 0; level < call.num_levels; ++level) {
    const int64_t height = call.heights[level], width = call.widths[level];
    if (height < 0 || width < 0 || height > kFarAway || width > kFarAway || !(call.strides[level] > 0)) return false;
    if (call.batch > 0 && height * width > most / call.batch) return false;
  }
  return true;
}

// Threads for `items` of `channels / V` packs each.
struct Shape {
  dim3 blocks, threads;

  Shape(int64_t items, int packs) {
    const int across = std::min(std::max(packs, 1), 64);
    const int down = kThreads / across;
    threads = dim3(across, down);
    blocks = dim3(static_cast<unsigned>((items + down - 1) / down));
  }
};

template <typename T, int V>
int Forward(const Call& call, void* pooled, cudaStream_t stream) {
  const int64_t bins = call.count * call.output_size * call.output_size;
  const Shape shape(bins, call.channels / V);
  if (bins == 0 || call.channels == 0) return 0;
  const auto kernel = call.take_max ? &Pool<T, V, true> : &Pool<T, V, false>;
  Launch(kernel, shape.blocks, shape.threads, stream, call, static_cast<T*>(pooled));
  return cudaGetLastError();
}

template <typename T, int V>
int Gradient(const Call& call, const void* gradient, void* const* feature_gradients, void* workspace,
             cudaStream_t stream) {
  uint32_t* words = static_cast<uint32_t*>(workspace);
  for (int level = 0; level < call.num_levels; ++level) {
    const int64_t pixels = int64_t{call.batch} * call.heights[level] * call.widths[level];
    const int64_t num_words = Tiles(call, level).Words(call);
    const Shape shape(pixels, call.channels / V);
    if (pixels == 0 || call.channels == 0) continue;
    if (num_words > 0) {
      const dim3 blocks(static_cast<unsigned>((num_words + kThreads - 1) / kThreads));
      Launch(&FindBoxes, blocks, dim3(kThreads), stream, call, level, words);
    }
    const auto kernel = call.take_max ? &Gather<T, V, true> : &Gather<T, V, false>;
    Launch(kernel, shape.blocks, shape.threads, stream, call, level, static_cast<const uint32_t*>(words),
           static_cast<const T*>(gradient), static_cast<T*>(feature_gradients[level]));
    words += num_words;
  }
  return cudaGetLastError();
}

bool IsAligned(const void* pointer, int bytes) { return reinterpret_cast<uintptr_t>(pointer) % bytes == 0; }

// Calls work(T, V) with 16 bytes' worth of channels if everything is aligned to that, else one by one.
template <typename T, typename Work>
int WithPacks(const Call& call, const void* other, void* const* others, const Work& work) {
  constexpr int kPack = 16 / sizeof(T);
  bool aligned = call.channels % kPack == 0 && IsAligned(other, 16);
  for (int level = 0; level < call.num_levels; ++level) {
    aligned = aligned && IsAligned(call.features[level], 16) && (others == nullptr || IsAligned(others[level], 16));
  }
  return aligned ? work(T(), std::integral_constant<int, kPack>()) : work(T(), std::integral_constant<int, 1>());
}

template <typename Work>
int WithType(const Call& call, const void* other, void* const* others, const Work& work) {
  if (!IsValid(call)) return MASKRCNN_BAD_CALL;
  switch (call.dtype) {
    case MASKRCNN_FLOAT16:
      return WithPacks<__half>(call, other, others, work);
    case MASKRCNN_BFLOAT16:
      return WithPacks<__nv_bfloat16>(call, other, others, work);
    case MASKRCNN_FLOAT64:
      return WithPacks<double>(call, other, others, work);
    default:
      return WithPacks<float>(call, other, others, work);
  }
}

}  // namespace
}  // namespace maskrcnn

extern "C" {

int maskrcnn_cuda_status() {
  int devices = 0;
  const cudaError_t error = cudaGetDeviceCount(&devices);
  if (error != cudaSuccess) return error;
  return devices > 0 ? 0 : cudaErrorNoDevice;
}

const char* maskrcnn_cuda_error(int code) {
  if (code == MASKRCNN_BAD_CALL) return "the call's sizes or dtype are out of range";
  return cudaGetErrorString(static_cast<cudaError_t>(code));
}

int maskrcnn_roi_align(const MaskrcnnRoiAlign* call, void* pooled, void* stream) {
  return maskrcnn::WithType(*call, pooled, nullptr, [&](auto type, auto pack) {
    return maskrcnn::Forward<decltype(type), decltype(pack)::value>(*call, pooled,
                                                                    static_cast<cudaStream_t>(stream));
  });
}

int64_t maskrcnn_roi_align_gradient_workspace(const MaskrcnnRoiAlign* call) {
  int64_t words = 0;
  for (int level = 0; level < call->num_levels; ++level) words += maskrcnn::Tiles(*call, level).Words(*call);
  return words * static_cast<int64_t>(sizeof(uint32_t));
}

int maskrcnn_roi_align_gradient(const MaskrcnnRoiAlign* call, const void* gradient, void* const* feature_gradients,
                                void* workspace, void* stream) {
  return maskrcnn::WithType(*call, gradient, feature_gradients, [&](auto type, auto pack) {
    return maskrcnn::Gradient<decltype(type), decltype(pack)::value>(*call, gradient, feature_gradients, workspace,
                                                                     static_cast<cudaStream_t>(stream));
  });
}

}  // extern "C"
