// Winograd's convolution F(4x4, 3x3) on the CPU (Lavin and Gray 2016, section 4.3): two transforms, and 36 matrix products
// between them.
//
// An image is cut into tiles of 4 x 4 outputs, which see 6 x 6 inputs each. `gather` turns an image into 36 planes of
// tiles, by the transform of the inputs ("input": 6 x 6 pixels, one beyond the tile on every side, zeros beyond the image)
// or the transposed one of the outputs ("output": 4 x 4 pixels). `convolve` does a whole convolution, some tiles at a time,
// so that what lies between its transforms stays in the cache.
//
// The gradient to the images is a convolution as well, by the kernel turned by half a turn, with inputs and outputs
// exchanged. For the gradient to the kernel TensorFlow multiplies what `gather` makes.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "processors.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

#define MASKRCNN_INLINE inline __attribute__((always_inline))

namespace maskrcnn {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

constexpr int kTile = 4;     // outputs on a side
constexpr int kPoints = 6;   // products on a side
constexpr int kPlanes = kPoints * kPoints;
constexpr int kLanes = 16;   // channels handled at once

// Compilers make of this what the processor has: one register, two or four.
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float)), aligned(sizeof(float)), may_alias));

// ---------------------------------------------------------------------------------------------- along one side

// Interpolation at 0, 1, -1, 2, -2 and infinity.
struct Input {
  static constexpr int kPixels = 6;
  static constexpr int kBefore = 1;  // pixels before the tile

  static MASKRCNN_INLINE void Gather(const Lanes* d, int step, Lanes* t, int to) {
    const Lanes a = d[4 * step] - 4 * d[2 * step], b = d[3 * step] - 4 * d[step];
    const Lanes c = d[4 * step] - d[2 * step], e = 2 * (d[3 * step] - d[step]);
    t[0] = 4 * d[0] - 5 * d[2 * step] + d[4 * step];
    t[to] = a + b;
    t[2 * to] = a - b;
    t[3 * to] = c + e;
    t[4 * to] = c - e;
    t[5 * to] = 4 * d[step] - 5 * d[3 * step] + d[5 * step];
  }
};

struct Output {
  static constexpr int kPixels = 4;
  static constexpr int kBefore = 0;

  static MASKRCNN_INLINE void Gather(const Lanes* y, int step, Lanes* t, int to) {
    const Lanes even = y[0] + y[2 * step], odd = y[step] + y[3 * step];
    const Lanes far_even = y[0] + 4 * y[2 * step], far_odd = 2 * y[step] + 8 * y[3 * step];
    t[0] = y[0];
    t[to] = even + odd;
    t[2 * to] = even - odd;
    t[3 * to] = far_even + far_odd;
    t[4 * to] = far_even - far_odd;
    t[5 * to] = y[3 * step];
  }

  static MASKRCNN_INLINE void Scatter(const Lanes* t, int step, Lanes* y, int to) {
    const Lanes sum = t[step] + t[2 * step], difference = t[step] - t[2 * step];
    const Lanes far_sum = t[3 * step] + t[4 * step], far_difference = t[3 * step] - t[4 * step];
    y[0] = t[0] + sum + far_sum;
    y[to] = difference + 2 * far_difference;
    y[2 * to] = sum + 4 * far_sum;
    y[3 * to] = difference + 8 * far_difference + t[5 * step];
  }
};

// ------------------------------------------------------------------------------------------------------ tiles

struct Image {
  int64_t height, width, channels;
  int64_t Down() const { return (height + kTile - 1) / kTile; }
  int64_t Across() const { return (width + kTile - 1) / kTile; }
};

// The pixels of a tile that lie on the image, as offsets from its first one.
struct Patch {
  int64_t y, x;
  int top, bottom, left, right;

  template <typename Side>
  static MASKRCNN_INLINE Patch Of(const Image& image, int64_t row, int64_t column) {
    const int64_t y = row * kTile - Side::kBefore, x = column * kTile - Side::kBefore;
    return {y,
            x,
            y < 0 ? static_cast<int>(-y) : 0,
            static_cast<int>(std::min<int64_t>(Side::kPixels, image.height - y)),
            x < 0 ? static_cast<int>(-x) : 0,
            static_cast<int>(std::min<int64_t>(Side::kPixels, image.width - x))};
  }
};

// Where a tile of the images lies; tiles are counted row by row and image by image.
struct Tile {
  int64_t image, row, column;

  static MASKRCNN_INLINE Tile Of(const Image& image, int64_t number) {
    const int64_t across = image.Across(), each = image.Down() * across;
    return {number / each, number % each / across, number % across};
  }
};

// Tiles first, first + 1, ... of the images; a plane has `plane` values.
template <typename Side>
MASKRCNN_INLINE void GatherTiles(const float* images, const Image& image, int64_t first, int64_t count, int64_t plane,
                                 float* planes) {
  constexpr int kPixels = Side::kPixels;
  for (int64_t number = 0; number < count; ++number) {
    const Tile tile = Tile::Of(image, first + number);
    const Patch patch = Patch::Of<Side>(image, tile.row, tile.column);
    const float* pixels = images + tile.image * image.height * image.width * image.channels;
    for (int64_t channel = 0; channel < image.channels; channel += kLanes) {
      Lanes d[kPixels * kPixels], half[kPoints * kPixels], t[kPlanes];
      for (int r = 0; r < kPixels; ++r) {
        for (int s = 0; s < kPixels; ++s) {
          const bool inside = r >= patch.top && r < patch.bottom && s >= patch.left && s < patch.right;
          const float* pixel = pixels + ((patch.y + r) * image.width + patch.x + s) * image.channels + channel;
          d[r * kPixels + s] = inside ? *reinterpret_cast<const Lanes*>(pixel) : Lanes{};
        }
      }
      for (int s = 0; s < kPixels; ++s) Side::Gather(d + s, kPixels, half + s, kPixels);
      for (int u = 0; u < kPoints; ++u) Side::Gather(half + u * kPixels, 1, t + u * kPoints, 1);
      float* to = planes + number * image.channels + channel;
      for (int u = 0; u < kPlanes; ++u) *reinterpret_cast<Lanes*>(to + u * plane) = t[u];
    }
  }
}

MASKRCNN_EVERY_PROCESSOR void GatherInputs(const float* images, const Image& image, int64_t first, int64_t count,
                                           int64_t plane, float* planes) {
  GatherTiles<Input>(images, image, first, count, plane, planes);
}

MASKRCNN_EVERY_PROCESSOR void GatherOutputs(const float* images, const Image& image, int64_t first, int64_t count,
                                            int64_t plane, float* planes) {
  GatherTiles<Output>(images, image, first, count, plane, planes);
}

MASKRCNN_EVERY_PROCESSOR void ScatterOutputs(const float* planes, const Image& image, int64_t first, int64_t count,
                                             int64_t plane, float* images) {
  for (int64_t number = 0; number < count; ++number) {
    const Tile tile = Tile::Of(image, first + number);
    const Patch patch = Patch::Of<Output>(image, tile.row, tile.column);
    float* pixels = images + tile.image * image.height * image.width * image.channels;
    for (int64_t channel = 0; channel < image.channels; channel += kLanes) {
      Lanes t[kPlanes], half[kTile * kPoints], y[kTile * kTile];
      const float* from = planes + number * image.channels + channel;
      for (int u = 0; u < kPlanes; ++u) t[u] = *reinterpret_cast<const Lanes*>(from + u * plane);
      for (int v = 0; v < kPoints; ++v) Output::Scatter(t + v, kPoints, half + v, kPoints);
      for (int r = 0; r < kTile; ++r) Output::Scatter(half + r * kPoints, 1, y + r * kTile, 1);
      for (int r = 0; r < patch.bottom; ++r) {
        for (int s = 0; s < patch.right; ++s) {
          float* pixel = pixels + ((patch.y + r) * image.width + patch.x + s) * image.channels + channel;
          *reinterpret_cast<Lanes*>(pixel) = y[r * kTile + s];
        }
      }
    }
  }
}

// ------------------------------------------------------------------------------------------------ matrix products

#if defined(__x86_64__)
#define MASKRCNN_TARGET(features) __attribute__((target(features)))
#else
#define MASKRCNN_TARGET(features)
#endif

constexpr int kMostRows = 12;
constexpr int64_t kTogether = 24;  // tiles, a multiple of the rows of every product

// As many floats as one register has.
template <int kWidth>
struct Register {
  typedef float Type __attribute__((vector_size(kWidth * sizeof(float)), aligned(sizeof(float)), may_alias));
};

// kRows rows of a product, and kLanes of their columns, which `right` has side by side: [inner, kLanes].
template <int kWidth, int kRows>
MASKRCNN_INLINE void Block(const float* left, int64_t inner, const float* right, int64_t columns, float* product) {
  typedef typename Register<kWidth>::Type Values;
  constexpr int kRegisters = kLanes / kWidth;
  Values sums[kRows][kRegisters] = {};
  for (int64_t k = 0; k < inner; ++k) {
    Values values[kRegisters];
#pragma GCC unroll 8
    for (int n = 0; n < kRegisters; ++n) values[n] = *reinterpret_cast<const Values*>(right + k * kLanes + n * kWidth);
#pragma GCC unroll 16
    for (int m = 0; m < kRows; ++m) {
      const float factor = left[m * inner + k];
#pragma GCC unroll 8
      for (int n = 0; n < kRegisters; ++n) sums[m][n] += factor * values[n];
    }
  }
#pragma GCC unroll 16
  for (int m = 0; m < kRows; ++m) {
#pragma GCC unroll 8
    for (int n = 0; n < kRegisters; ++n) *reinterpret_cast<Values*>(product + m * columns + n * kWidth) = sums[m][n];
  }
}

// product [rows, columns] = left [rows, inner] * right [columns / kLanes, inner, kLanes]; rows are a multiple of kRows.
template <int kWidth, int kRows>
MASKRCNN_INLINE void Product(const float* left, int64_t rows, int64_t inner, const float* right, int64_t columns,
                             float* product) {
  for (int64_t n = 0; n < columns; n += kLanes) {
    for (int64_t m = 0; m < rows; m += kRows) {
      Block<kWidth, kRows>(left + m * inner, inner, right + n * inner, columns, product + m * columns + n);
    }
  }
}

typedef void (*ProductFunction)(const float*, int64_t, int64_t, const float*, int64_t, float*);

MASKRCNN_TARGET("avx512f")
void ProductOf16Floats(const float* left, int64_t rows, int64_t inner, const float* right, int64_t columns,
                       float* product) {
  Product<16, 12>(left, rows, inner, right, columns, product);
}

MASKRCNN_TARGET("avx2,fma")
void ProductOf8Floats(const float* left, int64_t rows, int64_t inner, const float* right, int64_t columns,
                      float* product) {
  Product<8, 6>(left, rows, inner, right, columns, product);
}

void ProductOf4Floats(const float* left, int64_t rows, int64_t inner, const float* right, int64_t columns,
                      float* product) {
  Product<4, 2>(left, rows, inner, right, columns, product);
}

ProductFunction FastestProduct() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f")) return &ProductOf16Floats;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &ProductOf8Floats;
#endif
  return &ProductOf4Floats;
}

// ------------------------------------------------------------------------------------------------------- kernels

absl::Status CheckChannels(int64_t channels) {
  if (channels % kLanes == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("channels must be a multiple of ", kLanes, ", found ", channels));
}

absl::Status ImageOf(const Tensor& pixels, Image* image) {
  if (pixels.dims() != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("image must be [B, H, W, C], found ", pixels.shape().DebugString()));
  }
  *image = {pixels.dim_size(1), pixels.dim_size(2), pixels.dim_size(3)};
  return CheckChannels(image->channels);
}

bool IsInput(OpKernelConstruction* context) {
  std::string kind;
  if (!context->GetAttr("kind", &kind).ok()) return false;
  return kind == "input";
}

// Calls work(first, count) for all tiles, so many at a time, in parallel.
template <typename Work>
void ForTiles(OpKernelContext* context, int64_t tiles, int64_t cost, const Work& work) {
  const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
  tensorflow::Shard(workers.num_threads, workers.workers, (tiles + kTogether - 1) / kTogether, kTogether * cost,
                    [&](int64_t begin, int64_t end) {
                      const int64_t last = std::min(end * kTogether, tiles);
                      work(begin * kTogether, last - begin * kTogether);
                    });
}

class WinogradGatherOp : public OpKernel {
 public:
  explicit WinogradGatherOp(OpKernelConstruction* context) : OpKernel(context), input_(IsInput(context)) {}

  void Compute(OpKernelContext* context) override {
    const Tensor& pixels = context->input(0);
    Image image;
    OP_REQUIRES_OK(context, ImageOf(pixels, &image));
    const int64_t tiles = pixels.dim_size(0) * image.Down() * image.Across(), plane = tiles * image.channels;
    Tensor* planes;
    OP_REQUIRES_OK(context, context->allocate_output(0, {kPlanes, tiles, image.channels}, &planes));
    const float* from = pixels.flat<float>().data();
    float* to = planes->flat<float>().data();
    const auto gather = input_ ? &GatherInputs : &GatherOutputs;
    ForTiles(context, tiles, image.channels * kPlanes, [&](int64_t first, int64_t count) {
      gather(from, image, first, count, plane, to + first * image.channels);
    });
  }

 private:
  const bool input_;
};

class WinogradConvolveOp : public OpKernel {
 public:
  explicit WinogradConvolveOp(OpKernelConstruction* context) : OpKernel(context), product_(FastestProduct()) {}

  void Compute(OpKernelContext* context) override {
    const Tensor &pixels = context->input(0), &weights = context->input(1);
    Image image;
    OP_REQUIRES_OK(context, ImageOf(pixels, &image));
    const TensorShape expected({kPlanes, weights.dims() == 4 ? weights.dim_size(1) : 1, image.channels, kLanes});
    OP_REQUIRES(context, weights.shape() == expected,
                absl::InvalidArgumentError(absl::StrCat("weights must be ", expected.DebugString(), ", found ",
                                                        weights.shape().DebugString())));
    Image result = image;
    result.channels = weights.dim_size(1) * kLanes;
    Tensor* convolved;
    const TensorShape shape({pixels.dim_size(0), image.height, image.width, result.channels});
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &convolved));
    const float *from = pixels.flat<float>().data(), *kernel = weights.flat<float>().data();
    float* to = convolved->flat<float>().data();
    const int64_t tiles = pixels.dim_size(0) * image.Down() * image.Across();
    const int64_t inner = image.channels, columns = result.channels;
    ForTiles(context, tiles, kPlanes * inner * columns / 8, [&](int64_t first, int64_t all) {
      std::vector<float> inputs(kPlanes * kTogether * inner), outputs(kPlanes * kTogether * columns);
      for (int64_t done = 0; done < all; done += kTogether) {
        const int64_t count = std::min(kTogether, all - done);
        const int64_t rows = (count + kMostRows - 1) / kMostRows * kMostRows;  // the last ones are of no tile
        GatherInputs(from, image, first + done, count, kTogether * inner, inputs.data());
        for (int64_t u = 0; u < kPlanes; ++u) {
          product_(inputs.data() + u * kTogether * inner, rows, inner, kernel + u * inner * columns, columns,
                   outputs.data() + u * kTogether * columns);
        }
        ScatterOutputs(outputs.data(), result, first + done, count, kTogether * columns, to);
      }
    });
  }

 private:
  const ProductFunction product_;
};

// Hands on the result of a convolution together with what it was made of: the operation that has a gradient.
class WinogradConvolutionOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override { context->set_output(0, context->input(2)); }
};

absl::Status GatherShape(InferenceContext* c) {
  ShapeHandle image;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &image));
  c->set_output(0, c->MakeShape({c->MakeDim(kPlanes), c->UnknownDim(), c->Dim(image, 3)}));
  return absl::OkStatus();
}

absl::Status ConvolveShape(InferenceContext* c) {
  ShapeHandle image, weights, result;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &image));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &weights));
  DimensionHandle channels;
  TF_RETURN_IF_ERROR(c->Multiply(c->Dim(weights, 1), kLanes, &channels));
  TF_RETURN_IF_ERROR(c->ReplaceDim(image, 3, channels, &result));
  c->set_output(0, result);
  return absl::OkStatus();
}

REGISTER_OP("MaskrcnnWinogradGather")
    .Input("image: float")
    .Output("planes: float")
    .Attr("kind: {'input', 'output'}")
    .SetShapeFn(GatherShape);

REGISTER_OP("MaskrcnnWinogradConvolve")
    .Input("image: float")
    .Input("weights: float")
    .Output("convolved: float")
    .SetShapeFn(ConvolveShape);

REGISTER_OP("MaskrcnnWinogradConvolution")
    .Input("image: float")
    .Input("kernel: float")
    .Input("convolved: float")
    .Output("result: float")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(2));
      return absl::OkStatus();
    });

REGISTER_KERNEL_BUILDER(Name("MaskrcnnWinogradConvolution").Device(tensorflow::DEVICE_CPU), WinogradConvolutionOp);
REGISTER_KERNEL_BUILDER(Name("MaskrcnnWinogradGather").Device(tensorflow::DEVICE_CPU), WinogradGatherOp);
REGISTER_KERNEL_BUILDER(Name("MaskrcnnWinogradConvolve").Device(tensorflow::DEVICE_CPU), WinogradConvolveOp);

}  // namespace
}  // namespace maskrcnn
