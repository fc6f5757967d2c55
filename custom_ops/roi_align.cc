// RoIAlign over all levels of a feature pyramid, and its gradient to the features, on the CPU.

#include <limits>
#include <type_traits>
#include <vector>

#include "channel_loops.h"
#include "roi_align_inputs.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace maskrcnn {

using tensorflow::OpKernel;
using tensorflow::OpOutputList;
using tensorflow::shape_inference::DimensionHandle;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

// ---------------------------------------------------------------------------------------------- registration

absl::Status CheckRegions(InferenceContext* c, int first_feature, int num_levels, ShapeHandle* feature,
                          DimensionHandle* regions) {
  *feature = c->UnknownShapeOfRank(4);
  for (int level = 0; level < num_levels; ++level) {
    ShapeHandle shape;
    TF_RETURN_IF_ERROR(c->WithRank(c->input(first_feature + level), 4, &shape));
    DimensionHandle batch, channels;
    TF_RETURN_IF_ERROR(c->Merge(c->Dim(*feature, 0), c->Dim(shape, 0), &batch));
    TF_RETURN_IF_ERROR(c->Merge(c->Dim(*feature, 3), c->Dim(shape, 3), &channels));
    *feature = c->MakeShape({batch, c->UnknownDim(), c->UnknownDim(), channels});
  }
  const int next = first_feature + num_levels;
  ShapeHandle boxes, images, levels;
  DimensionHandle four;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(next), 2, &boxes));
  TF_RETURN_IF_ERROR(c->WithValue(c->Dim(boxes, 1), 4, &four));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(next + 1), 1, &images));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(next + 2), 1, &levels));
  TF_RETURN_IF_ERROR(c->Merge(c->Dim(boxes, 0), c->Dim(images, 0), regions));
  return c->Merge(*regions, c->Dim(levels, 0), regions);
}

absl::Status ForwardShape(InferenceContext* c) {
  int num_levels, size;
  TF_RETURN_IF_ERROR(c->GetAttr("num_levels", &num_levels));
  TF_RETURN_IF_ERROR(c->GetAttr("output_size", &size));
  ShapeHandle feature;
  DimensionHandle regions;
  TF_RETURN_IF_ERROR(CheckRegions(c, 0, num_levels, &feature, &regions));
  c->set_output(0, c->MakeShape({regions, c->MakeDim(size), c->MakeDim(size), c->Dim(feature, 3)}));
  return absl::OkStatus();
}

absl::Status GradientShape(InferenceContext* c) {
  int num_levels;
  TF_RETURN_IF_ERROR(c->GetAttr("num_levels", &num_levels));
  ShapeHandle feature;
  DimensionHandle regions;
  TF_RETURN_IF_ERROR(CheckRegions(c, 1, num_levels, &feature, &regions));
  for (int level = 0; level < num_levels; ++level) c->set_output(level, c->input(1 + level));
  return absl::OkStatus();
}

#define ROI_ALIGN_ATTRIBUTES()               \
  Attr("T: {half, bfloat16, float, double}") \
      .Attr("num_levels: int >= 1")          \
      .Attr("strides: list(float)")          \
      .Attr("output_size: int >= 1")         \
      .Attr("sampling_ratio: int >= 0")      \
      .Attr("aligned: bool")                 \
      .Attr("mode: {'average', 'max'}")

REGISTER_OP("MaskrcnnRoiAlign")
    .Input("features: num_levels * T")
    .Input("boxes: float")
    .Input("image_indices: int32")
    .Input("levels: int32")
    .Output("pooled: T")
    .ROI_ALIGN_ATTRIBUTES()
    .SetShapeFn(ForwardShape);

REGISTER_OP("MaskrcnnRoiAlignGrad")
    .Input("gradient: T")
    .Input("features: num_levels * T")
    .Input("boxes: float")
    .Input("image_indices: int32")
    .Input("levels: int32")
    .Output("feature_gradients: num_levels * T")
    .ROI_ALIGN_ATTRIBUTES()
    .SetShapeFn(GradientShape);

// ------------------------------------------------------------------------------------- what both kernels share

absl::Status CheckIndices(const Regions& regions) {
  for (int64_t n = 0; n < regions.count; ++n) {
    if (regions.images[n] < 0 || regions.images[n] >= regions.batch) {
      return InvalidArgument("image_indices[", n, "] is ", regions.images[n], ", outside a batch of ",
                             regions.batch);
    }
    if (regions.levels[n] < 0 || regions.levels[n] >= regions.features.size()) {
      return InvalidArgument("levels[", n, "] is ", regions.levels[n], ", outside the ", regions.features.size(),
                             " feature levels");
    }
  }
  return absl::OkStatus();
}

// Sums are made in float32, or in double for double.
template <typename T>
using Real = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Sample positions of one region; reused from region to region to keep its memory.
template <typename R>
struct Plan {
  Binned<Sample<R>> y, x;
  Binned<Tap<R>> y_taps, x_taps;
  int64_t grid_y, grid_x;

  void Make(const Settings& s, const Regions& regions, int64_t n) {
    const Tensor& feature = regions.features[regions.levels[n]];
    const R scale = R(1) / R(s.strides[regions.levels[n]]);
    const float* box = regions.boxes + 4 * n;
    const auto side_x = MakeSide<R>(box[0], box[2], scale, s.aligned, s.size, s.sampling_ratio);
    const auto side_y = MakeSide<R>(box[1], box[3], scale, s.aligned, s.size, s.sampling_ratio);
    grid_y = side_y.grid;
    grid_x = side_x.grid;
    ListSamples(side_y, s.size, feature.dim_size(1), &y);
    ListSamples(side_x, s.size, feature.dim_size(2), &x);
    if (s.take_max) return;
    MergeTaps(y, s.size, &y_taps);
    MergeTaps(x, s.size, &x_taps);
  }

  R Normalizer() const { return R(1) / std::max(R(grid_y) * R(grid_x), R(1)); }

  // Whether some samples of the bin lie off the map, where the value is zero.
  bool HasOutside(int p, int q) const {
    const int64_t inside = int64_t{y.begin[p + 1] - y.begin[p]} * (x.begin[q + 1] - x.begin[q]);
    return grid_y > 0 && grid_x > 0 && R(inside) < R(grid_y) * R(grid_x);
  }
};

// ------------------------------------------------------------------------------------------------- forward

// Channels handled at a time: small enough that their sums stay in the first-level cache.
constexpr int kBlock = 256;

template <typename T, typename R>
void AverageBin(const Plan<R>& plan, int p, int q, const T* map, int64_t width, int64_t channels, T* pooled) {
  const R normalizer = plan.Normalizer();
  for (int64_t from = 0; from < channels; from += kBlock) {
    const int block = static_cast<int>(std::min<int64_t>(kBlock, channels - from));
    R sum[kBlock] = {};
    for (int i = plan.y_taps.begin[p]; i < plan.y_taps.begin[p + 1]; ++i) {
      const Tap<R>& row = plan.y_taps.entries[i];
      const R scale = row.weight * normalizer;
      const T* line = map + row.index * width * channels + from;
      int j = plan.x_taps.begin[q];
      const int end = plan.x_taps.begin[q + 1];
      const Tap<R>* columns = plan.x_taps.entries.data();
      for (; j + 3 <= end; j += 3) {
        const Tap<R>&a = columns[j], &b = columns[j + 1], &c = columns[j + 2];
        AddThreeWeighted(line + a.index * channels, line + b.index * channels, line + c.index * channels,
                         scale * a.weight, scale * b.weight, scale * c.weight, block, sum);
      }
      for (; j < end; ++j) AddWeighted(line + columns[j].index * channels, scale * columns[j].weight, block, sum);
    }
    for (int c = 0; c < block; ++c) pooled[from + c] = static_cast<T>(sum[c]);
  }
}

// The four pixels around a sample and their weights.
template <typename R>
struct Corners {
  int64_t at[4];
  R weight[4];

  Corners(const Sample<R>& y, const Sample<R>& x, int64_t width)
      : at{y.low * width + x.low, y.low * width + x.high, y.high * width + x.low, y.high * width + x.high},
        weight{y.low_weight * x.low_weight, y.low_weight * x.high_weight, y.high_weight * x.low_weight,
               y.high_weight * x.high_weight} {}
};

// The samples of a bin that lie on the map, row by row.
template <typename R>
void ListCorners(const Plan<R>& plan, int p, int q, int64_t width, std::vector<Corners<R>>* samples) {
  samples->clear();
  for (int i = plan.y.begin[p]; i < plan.y.begin[p + 1]; ++i) {
    for (int j = plan.x.begin[q]; j < plan.x.begin[q + 1]; ++j) {
      samples->emplace_back(plan.y.entries[i], plan.x.entries[j], width);
    }
  }
}

// Finds the largest sample of a bin for `block` channels from `map` on, and which one it is: -1 is the zero off
// the map. A NaN wins. Ties go to the zero, then to the first sample.
template <typename T, typename R>
void MaxOfBin(const std::vector<Corners<R>>& samples, bool outside, const T* map, int64_t channels, int block,
              R* best, int32_t* which) {
  const bool zero = outside || samples.empty();
  std::fill(best, best + block, zero ? R(0) : -std::numeric_limits<R>::infinity());
  std::fill(which, which + block, zero ? -1 : 0);
  for (size_t index = 0; index < samples.size(); ++index) {
    const Corners<R>& corners = samples[index];
    TakeLarger(map + corners.at[0] * channels, map + corners.at[1] * channels, map + corners.at[2] * channels,
               map + corners.at[3] * channels, corners.weight, static_cast<int32_t>(index), block, best, which);
  }
}

template <typename T>
class RoiAlignOp : public OpKernel {
 public:
  explicit RoiAlignOp(OpKernelConstruction* context) : OpKernel(context) { ReadSettings(context, &settings_); }

  void Compute(OpKernelContext* context) override {
    Regions regions;
    OP_REQUIRES_OK(context, ReadRegions(context, &regions));
    OP_REQUIRES_OK(context, CheckIndices(regions));
    Tensor* pooled;
    const int64_t size = settings_.size;
    OP_REQUIRES_OK(context, context->allocate_output(0, {regions.count, size, size, regions.channels}, &pooled));
    T* output = pooled->flat<T>().data();
    const auto work = [&](int64_t begin, int64_t end) {
      Plan<Real<T>> plan;
      for (int64_t n = begin; n < end; ++n) Pool(regions, n, &plan, output + n * size * size * regions.channels);
    };
    const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
    const int64_t cost = 1000 + 10 * size * size * regions.channels;
    tensorflow::Shard(workers.num_threads, workers.workers, regions.count, cost, work);
  }

 private:
  void Pool(const Regions& regions, int64_t n, Plan<Real<T>>* plan, T* pooled) const {
    plan->Make(settings_, regions, n);
    const Tensor& feature = regions.features[regions.levels[n]];
    const int64_t width = feature.dim_size(2);
    const int64_t channels = regions.channels;
    const T* map = feature.flat<T>().data() + regions.images[n] * feature.dim_size(1) * width * channels;
    std::vector<Corners<Real<T>>> samples;
    for (int p = 0; p < settings_.size; ++p) {
      for (int q = 0; q < settings_.size; ++q, pooled += channels) {
        if (settings_.take_max) {
          ListCorners(*plan, p, q, width, &samples);
          Max(samples, plan->HasOutside(p, q), map, channels, pooled);
        } else {
          AverageBin(*plan, p, q, map, width, channels, pooled);
        }
      }
    }
  }

  static void Max(const std::vector<Corners<Real<T>>>& samples, bool outside, const T* map, int64_t channels,
                  T* pooled) {
    Real<T> best[kBlock];
    int32_t which[kBlock];
    for (int64_t from = 0; from < channels; from += kBlock) {
      const int block = static_cast<int>(std::min<int64_t>(kBlock, channels - from));
      MaxOfBin(samples, outside, map + from, channels, block, best, which);
      for (int c = 0; c < block; ++c) pooled[from + c] = static_cast<T>(best[c]);
    }
  }

  Settings settings_;
};

// ------------------------------------------------------------------------------------------------- gradient

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

template <typename T, typename R>
void SpreadMax(const std::vector<Corners<R>>& samples, bool outside, const T* gradient, const T* map,
               int64_t channels, const Slice<R>& slice) {
  R best[kBlock], share[kBlock];
  int32_t which[kBlock];
  MaxOfBin(samples, outside, map + slice.from, channels, slice.block, best, which);
  for (int c = 0; c < slice.block; ++c) share[c] = static_cast<R>(gradient[slice.from + c]);
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

#define REGISTER_ROI_ALIGN(T)                                                                                \
  REGISTER_KERNEL_BUILDER(                                                                                   \
      Name("MaskrcnnRoiAlign").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), RoiAlignOp<T>);        \
  REGISTER_KERNEL_BUILDER(                                                                                   \
      Name("MaskrcnnRoiAlignGrad").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), RoiAlignGradOp<T>)

REGISTER_ROI_ALIGN(Eigen::half);
REGISTER_ROI_ALIGN(Eigen::bfloat16);
REGISTER_ROI_ALIGN(float);
REGISTER_ROI_ALIGN(double);

}  // namespace maskrcnn
