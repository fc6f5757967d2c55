// The operation that hands on a matrix product together with what it was made of: the one whose gradient goes in turn.

#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace maskrcnn {
namespace {

constexpr int kProduct = 2;

class ProductOp : public tensorflow::OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(tensorflow::OpKernelContext* context) override { context->set_output(0, context->input(kProduct)); }
};

REGISTER_OP("MaskrcnnProduct")
    .Input("inputs: T")
    .Input("kernel: T")
    .Input("product: T")
    .Output("result: T")
    .Attr("T: {half, bfloat16, float, double}")
    .SetShapeFn([](tensorflow::shape_inference::InferenceContext* c) {
      c->set_output(0, c->input(kProduct));
      return absl::OkStatus();
    });

REGISTER_KERNEL_BUILDER(Name("MaskrcnnProduct").Device(tensorflow::DEVICE_CPU), ProductOp);

}  // namespace
}  // namespace maskrcnn
