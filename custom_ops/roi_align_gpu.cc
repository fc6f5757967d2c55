// Gives the ops of roi_align.cc their kernels for GPUs: TensorFlow's side of roi_align_cuda.h, without CUDA headers.

#include "roi_align_cuda.h"
#include "roi_align_inputs.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/register_types.h"
#include "tensorflow/core/platform/stream_executor.h"

namespace maskrcnn {

using tensorflow::DataTypeToEnum;
using tensorflow::OpKernel;
using tensorflow::OpOutputList;

absl::Status FillCall(const Settings& settings, const Regions& regions, tensorflow::DataType dtype,
                      MaskrcnnRoiAlign* call) {
  *call = {};
  call->dtype = dtype == tensorflow::DT_HALF       ? MASKRCNN_FLOAT16
                : dtype == tensorflow::DT_BFLOAT16 ? MASKRCNN_BFLOAT16
                : dtype == tensorflow::DT_DOUBLE   ? MASKRCNN_FLOAT64
                                                   : MASKRCNN_FLOAT32;
  if (regions.features.size() > MASKRCNN_MOST_LEVELS) {
    return InvalidArgument("on a GPU features may have at most ", MASKRCNN_MOST_LEVELS, " levels, found ",
                           regions.features.size());
  }
  call->num_levels = regions.features.size();
  call->batch = static_cast<int32_t>(regions.batch);
  call->channels = static_cast<int32_t>(regions.channels);
  call->output_size = settings.size;
  call->sampling_ratio = settings.sampling_ratio;
  call->aligned = settings.aligned;
  call->take_max = settings.take_max;
  for (int level = 0; level < call->num_levels; ++level) {
    const Tensor& feature = regions.features[level];
    call->heights[level] = static_cast<int32_t>(feature.dim_size(1));
    call->widths[level] = static_cast<int32_t>(feature.dim_size(2));
    call->strides[level] = settings.strides[level];
    call->features[level] = feature.data();
  }
  call->count = regions.count;
  call->boxes = regions.boxes;
  call->image_indices = regions.images;
  call->levels = regions.levels;
  return absl::OkStatus();
}

void* StreamOf(OpKernelContext* context) {
  return context->op_device_context()->stream()->platform_specific_handle().stream;
}

absl::Status Outcome(int code) {
  if (code == 0) return absl::OkStatus();
  return absl::InternalError(absl::StrCat("RoIAlign on the GPU: ", maskrcnn_cuda_error(code), " (", code, ")"));
}

template <typename T>
class RoiAlignGpuOp : public OpKernel {
 public:
  explicit RoiAlignGpuOp(OpKernelConstruction* context) : OpKernel(context) { ReadSettings(context, &settings_); }

  void Compute(OpKernelContext* context) override {
    Regions regions;
    MaskrcnnRoiAlign call;
    OP_REQUIRES_OK(context, ReadRegions(context, &regions));
    OP_REQUIRES_OK(context, FillCall(settings_, regions, DataTypeToEnum<T>::value, &call));
    Tensor* pooled;
    const int64_t size = settings_.size;
    OP_REQUIRES_OK(context, context->allocate_output(0, {regions.count, size, size, regions.channels}, &pooled));
    OP_REQUIRES_OK(context, Outcome(maskrcnn_roi_align(&call, pooled->data(), StreamOf(context))));
  }

 private:
  Settings settings_;
};

template <typename T>
class RoiAlignGradGpuOp : public OpKernel {
 public:
  explicit RoiAlignGradGpuOp(OpKernelConstruction* context) : OpKernel(context) { ReadSettings(context, &settings_); }

  void Compute(OpKernelContext* context) override {
    Regions regions;
    MaskrcnnRoiAlign call;
    const Tensor* gradient;
    OP_REQUIRES_OK(context, ReadRegions(context, &regions));
    OP_REQUIRES_OK(context, context->input("gradient", &gradient));
    OP_REQUIRES_OK(context, CheckGradient(settings_, regions, *gradient));
    OP_REQUIRES_OK(context, FillCall(settings_, regions, DataTypeToEnum<T>::value, &call));
    OpOutputList outputs;
    OP_REQUIRES_OK(context, context->output_list("feature_gradients", &outputs));
    void* gradients[MASKRCNN_MOST_LEVELS] = {};
    for (int level = 0; level < call.num_levels; ++level) {
      Tensor* output;
      OP_REQUIRES_OK(context, outputs.allocate(level, regions.features[level].shape(), &output));
      gradients[level] = output->data();
    }
    Tensor workspace;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_UINT8,
                                                   {maskrcnn_roi_align_gradient_workspace(&call)}, &workspace));
    OP_REQUIRES_OK(context, Outcome(maskrcnn_roi_align_gradient(&call, gradient->data(), gradients,
                                                                workspace.data(), StreamOf(context))));
  }

 private:
  Settings settings_;
};

#define REGISTER_ROI_ALIGN_GPU(T)                                                                               \
  REGISTER_KERNEL_BUILDER(                                                                                      \
      Name("MaskrcnnRoiAlign").Device(tensorflow::DEVICE_GPU).TypeConstraint<T>("T"), RoiAlignGpuOp<T>);        \
  REGISTER_KERNEL_BUILDER(                                                                                      \
      Name("MaskrcnnRoiAlignGrad").Device(tensorflow::DEVICE_GPU).TypeConstraint<T>("T"), RoiAlignGradGpuOp<T>)

REGISTER_ROI_ALIGN_GPU(Eigen::half);
REGISTER_ROI_ALIGN_GPU(Eigen::bfloat16);
REGISTER_ROI_ALIGN_GPU(float);
REGISTER_ROI_ALIGN_GPU(double);

}  // namespace maskrcnn
