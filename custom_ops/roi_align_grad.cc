// The gradient of RoIAlign to the features, on the CPU.

#include "roi_align_bins.h"
#include "spread_maximum.h"
#include "tensorflow/core/util/work_sharder.h"

namespace maskrcnn {

using tensorflow::OpKernel;
using tensorflow::OpOutputList;

// Channels [from, from + block) of one image's map of gradient sums; a pixel is `stride` values after the last.
template <typename R>
struct Slice {
  R* sums;
  int64_t stride;
  int64_t from;
  int block;
  R* nowhere;  // [4, kBlock], for what comes to nothing
};

template <typename T, typename R>
void SpreadAverage(const Plan<R>& plan, int p, int q, const T* gradient, int64_t width, const Slice<R>& slice) {
  const R normalizer = plan.Normalizer();
  R share[kBlock];
  for (int c = 0; c < slice.block; ++c) share[c] = static_cast<R>(gradient[slice.from + c]) * normalizer;
  for (int i = plan.y_taps.begin[p]; i < plan.y_taps.begin[p + 1]; ++i) {
    const Tap<R>& row = plan.y_taps.entries[i];
    R* line = slice.sums + row.index * width * slice.stride;
    int j = plan.x_taps.begin[q];
    const int end = plan.x_taps.begin[q + 1];
    const Tap<R>* columns = plan.x_taps.entries.data();
    for (; j + 3 <= end; j += 3) {  // MergeTaps leaves no two of three neighbours on one pixel
      const Tap<R>&a = columns[j], &b = columns[j + 1], &c = columns[j + 2];
      SpreadToThree(share, row.weight * a.weight, row.weight * b.weight, row.weight * c.weight, slice.block,
                    line + a.index * slice.stride, line + b.index * slice.stride, line + c.index * slice.stride);
    }
    for (; j < end; ++j) {
      AddWeighted(share, row.weight * columns[j].weight, slice.block, line + columns[j].index * slice.stride);
    }
  }
}

// Up to here all channels are done at once for each sample, although each channel needs but one.
constexpr size_t kFewSamples = 16;

// Hands the gradient of each channel to the four pixels around the sample that `which` names.
template <typename R>
void SpreadByChannel(const std::vector<Corners<R>>& samples, const R* share, const int32_t* which,
                     const Slice<R>& slice) {
  for (int c = 0; c < slice.block; ++c) {
    if (which[c] < 0) continue;
    const Corners<R>& corners = samples[which[c]];
    for (int k = 0; k < 4; ++k) slice.sums[corners.at[k] * slice.stride + c] += corners.weight[k] * share[c];
  }
}

// The same sample by sample, all channels at once: those that chose another one add zeros.
template <typename R>
void SpreadBySample(const std::vector<Corners<R>>& samples, const R* share, const int32_t* which,
                    const Slice<R>& slice) {
  for (size_t index = 0; index < samples.size(); ++index) {
    const Corners<R>& corners = samples[index];
    R* pixels[4];
    for (int k = 0; k < 4; ++k) {  // at the border pixels of no weight are one another
      pixels[k] = corners.weight[k] == R(0) ? slice.nowhere + k * kBlock : slice.sums + corners.at[k] * slice.stride;
    }
    SpreadChosen(share, which, static_cast<int32_t>(index), corners.weight, slice.block, pixels[0], pixels[1],
                 pixels[2], pixels[3]);
  }
}

// Lists the pixels on which few samples lie, and has them fetched while the largest is looked for.
inline void ListPixels(const std::vector<Corners<float>>& samples, const Slice<float>& slice, SharedPixels* pixels) {
  pixels->count = 0;
  for (size_t index = 0; index < samples.size(); ++index) {
    for (int k = 0; k < 4; ++k) {
      float* sums = slice.sums + samples[index].at[k] * slice.stride;
      int at = 0;
      while (at < pixels->count && pixels->sums[at] != sums) ++at;
      if (at == pixels->count) {
        pixels->sums[pixels->count++] = sums;
        std::fill_n(pixels->weights[at], kWeights, 0.0f);
        for (int c = 0; c < slice.block; c += 16) __builtin_prefetch(sums + c, 1);
      }
      pixels->weights[at][index] += samples[index].weight[k];
    }
  }
}

template <typename T, typename R>
void SpreadMax(const std::vector<Corners<R>>& samples, bool outside, const T* gradient, const T* map,
               int64_t channels, const Slice<R>& slice) {
  static const SpreadFunction spread_shared = FastestSpread();
  SharedPixels pixels;
  const bool few = std::is_same_v<R, float> && samples.size() <= kShared;
  if constexpr (std::is_same_v<R, float>) {
    if (few) ListPixels(samples, slice, &pixels);
  }
  R best[kBlock], share[kBlock];
  int32_t which[kBlock];
  MaxOfBin(samples, outside, map + slice.from, channels, slice.block, best, which);
  for (int c = 0; c < slice.block; ++c) share[c] = static_cast<R>(gradient[slice.from + c]);
  if constexpr (std::is_same_v<R, float>) {
    if (few) return spread_shared(pixels, share, which, slice.block);
  }
  const auto spread = samples.size() <= kFewSamples ? &SpreadBySample<R> : &SpreadByChannel<R>;
  spread(samples, share, which, slice);
}

// Each piece of work owns some channels of one image's map at one level and adds the regions there in the
// order of their rows: no atomics, and the same sums for any number of threads.
template <typename T>
class RoiAlignGradOp : public OpKernel {
 public:
  explicit RoiAlignGradOp(OpKernelConstruction* context) : OpKernel(context) { ReadSettings(context, &settings_); }

  void Compute(OpKernelContext* context) override {
    Regions regions;
    OP_REQUIRES_OK(context, ReadRegions(context, &regions));
    OP_REQUIRES_OK(context, CheckIndices(regions));
    const Tensor* gradient;
    OP_REQUIRES_OK(context, context->input("gradient", &gradient));
    OP_REQUIRES_OK(context, CheckGradient(settings_, regions, *gradient));
    OpOutputList outputs;
    OP_REQUIRES_OK(context, context->output_list("feature_gradients", &outputs));
    std::vector<Tensor*> sums(regions.features.size());
    for (size_t level = 0; level < sums.size(); ++level) {
      OP_REQUIRES_OK(context, outputs.allocate(level, regions.features[level].shape(), &sums[level]));
    }
    if (regions.batch == 0 || regions.channels == 0) return;
    Spread(context, regions, gradient->flat<T>().data(), sums);
  }

 private:
  void Spread(OpKernelContext* context, const Regions& regions, const T* gradient,
              const std::vector<Tensor*>& outputs) const {
    const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
    // A cache line holds 16 floats; below 64 channels the sample positions cost more than the sums.
    const int64_t wanted = (regions.channels + workers.num_threads - 1) / workers.num_threads;
    const int64_t block = std::min<int64_t>(std::max<int64_t>((wanted + 15) / 16 * 16, 64), kBlock);
    const int64_t slices = (regions.channels + block - 1) / block;
    std::vector<std::vector<int64_t>> rows(regions.features.size() * regions.batch);
    for (int64_t n = 0; n < regions.count; ++n) {
      rows[regions.levels[n] * regions.batch + regions.images[n]].push_back(n);
    }
    const auto work = [&](int64_t begin, int64_t end) {
      for (int64_t unit = begin; unit < end; ++unit) {
        const int64_t map = unit / slices;
        const int64_t from = unit % slices * block;
        SpreadSlice(regions, gradient, rows[map], map % regions.batch, from,
                    static_cast<int>(std::min(block, regions.channels - from)), outputs[map / regions.batch],
                    regions.features[map / regions.batch]);
      }
    };
    const tensorflow::thread::ThreadPool::SchedulingParams one_by_one(
        tensorflow::thread::ThreadPool::SchedulingStrategy::kFixedBlockSize, std::nullopt, 1);
    workers.workers->ParallelFor(static_cast<int64_t>(rows.size()) * slices, one_by_one, work);
  }

  void SpreadSlice(const Regions& regions, const T* gradient, const std::vector<int64_t>& rows, int64_t image,
                   int64_t from, int block, Tensor* output, const Tensor& feature) const {
    using R = Real<T>;
    const int64_t width = feature.dim_size(2);
    const int64_t pixels = feature.dim_size(1) * width;
    const int64_t channels = regions.channels;
    const T* map = feature.flat<T>().data() + image * pixels * channels;
    T* result = output->flat<T>().data() + image * pixels * channels + from;
    std::vector<R> scratch, nowhere(4 * kBlock);
    Slice<R> slice{nullptr, channels, from, block, nowhere.data()};
    if constexpr (std::is_same_v<T, R>) {
      slice.sums = result;
      for (int64_t i = 0; i < pixels; ++i) std::fill_n(result + i * channels, block, R(0));
    } else {
      scratch.assign(pixels * block, R(0));
      slice.sums = scratch.data();
      slice.stride = block;
    }
    Plan<R> plan;
    std::vector<Corners<R>> samples;
    for (int64_t n : rows) {
      plan.Make(settings_, regions, n);
      const T* bin = gradient + n * settings_.size * settings_.size * channels;
      for (int p = 0; p < settings_.size; ++p) {
        for (int q = 0; q < settings_.size; ++q, bin += channels) {
          if (settings_.take_max) {
            ListCorners(plan, p, q, width, &samples);
            SpreadMax(samples, plan.HasOutside(p, q), bin, map, channels, slice);
          } else {
            SpreadAverage(plan, p, q, bin, width, slice);
          }
        }
      }
    }
    if constexpr (!std::is_same_v<T, R>) {
      for (int64_t i = 0; i < pixels; ++i) {
        for (int c = 0; c < block; ++c) result[i * channels + c] = static_cast<T>(scratch[i * block + c]);
      }
    }
  }

  Settings settings_;
};

#define REGISTER_ROI_ALIGN(T)                                                                     \
  REGISTER_KERNEL_BUILDER(Name("MaskrcnnRoiAlignGrad").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), \
                          RoiAlignGradOp<T>)

REGISTER_ROI_ALIGN(Eigen::half);
REGISTER_ROI_ALIGN(Eigen::bfloat16);
REGISTER_ROI_ALIGN(float);
REGISTER_ROI_ALIGN(double);

}  // namespace maskrcnn
