// RoIAlign over all levels of a feature pyramid on the CPU, and the declarations of it and of its gradient.

#include "roi_align_bins.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace maskrcnn {

using tensorflow::OpKernel;
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
// --------------------------------------------------------------------------------------------------- kernel

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
#define REGISTER_ROI_ALIGN(T)                                                                     \
  REGISTER_KERNEL_BUILDER(Name("MaskrcnnRoiAlign").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), \
                          RoiAlignOp<T>)

REGISTER_ROI_ALIGN(Eigen::half);
REGISTER_ROI_ALIGN(Eigen::bfloat16);
REGISTER_ROI_ALIGN(float);
REGISTER_ROI_ALIGN(double);

}  // namespace maskrcnn
