// The operation that hands on the result of a convolution together with what it was made of: the one that has a gradient.

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace maskrcnn {
namespace {

constexpr int kConvolved = 5;

class ConvolutionOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(tensorflow::OpKernelContext* context) override { context->set_output(0, context->input(kConvolved)); }
};

REGISTER_OP("MaskrcnnConvolution")
    .Input("image: T")
    .Input("kernel: float")
    .Input("scale: float")
    .Input("bias: float")
    .Input("residual: T")
    .Input("convolved: T")
    .Output("result: T")
    .Attr("T: {float, bfloat16}")
    .Attr("relu: bool")
    .Attr("stride: int >= 1")
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      c->set_output(0, c->input(kConvolved));
      return absl::OkStatus();
    });

REGISTER_KERNEL_BUILDER(Name("MaskrcnnConvolution").Device(tensorflow::DEVICE_CPU), ConvolutionOp);

}  // namespace
}  // namespace maskrcnn
