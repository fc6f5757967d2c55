// Convolution on the CPU as a matrix product of what each output sees and the kernel, with scale, bias, residual and ReLU on
// the way. What a 1x1 kernel of stride 1 sees are the pixels as they lie; for others it is gathered, some outputs at a time.

#include <algorithm>
#include <cstring>

#include "convolution.h"
#include "tensorflow/core/framework/op.h"

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

constexpr int64_t kMostOutputs = 96;  // beyond which nothing is gained

// How many outputs are worked on at a time, that see so many values: these fill an eighth of a thread's caches at most.
int64_t OutputsTogether(int64_t values) {
  return std::clamp(kCachedFloats / 8 / values / kMostRows * kMostRows, kMostRows, kMostOutputs);
}

// What each output of a kernel with `taps` x `taps` sees, row after row, with zeros around the images.
struct Patches {
  const float* values;
  int64_t height, width, channels, taps, stride;

  static Patches Of(const Tensor& image, int64_t taps, int64_t stride) {
    return {image.flat<float>().data(), image.dim_size(1), image.dim_size(2), image.dim_size(3), taps, stride};
  }

  int64_t Down() const { return DivideUp(height, stride); }
  int64_t Across() const { return DivideUp(width, stride); }
  int64_t Size() const { return taps * taps * channels; }
  bool AreRows() const { return taps == 1 && stride == 1; }

  // Outputs first, first + 1, ..., a row of Size() values each.
  void Gather(int64_t first, int64_t count, const Scratch& to) const {
    const int64_t down = Down(), across = Across(), bytes = channels * sizeof(float);
    for (int64_t number = 0; number < count; ++number) {
      const int64_t row = (first + number) / across, image = row / down;
      const int64_t top = row % down * stride - taps / 2, left = (first + number) % across * stride - taps / 2;
      float* patch = to.values() + number * to.step;
      for (int64_t tap = 0; tap < taps * taps; ++tap, patch += channels) {
        const int64_t y = top + tap / taps, x = left + tap % taps;
        if (y < 0 || y >= height || x < 0 || x >= width) {
          std::memset(patch, 0, bytes);
        } else {
          std::memcpy(patch, values + ((image * height + y) * width + x) * channels, bytes);
        }
      }
    }
  }
};

// Outputs panel * 16 .. panel * 16 + 15 of a kernel [I, O], or of its transpose; panels are [outputs / 16, inputs, 16].
void PackPanel(const float* kernel, const float* scale, int64_t inputs, int64_t outputs, bool turned, int64_t panel,
               float* panels) {
  float* to = panels + panel * inputs * kLanes;
  for (int64_t input = 0; input < inputs; ++input) {
    for (int64_t lane = 0; lane < kLanes; ++lane) {
      const int64_t output = panel * kLanes + lane;
      const float value = turned ? kernel[output * inputs + input] : kernel[input * outputs + output];
      to[input * kLanes + lane] = scale == nullptr ? value : value * scale[turned ? input : output];
    }
  }
}

class ConvolveDirectOp : public OpKernel {
 public:
  explicit ConvolveDirectOp(OpKernelConstruction* context)
      : OpKernel(context), product_(FastestProducts().product) {
    OP_REQUIRES_OK(context, context->GetAttr("relu", &relu_));
    OP_REQUIRES_OK(context, context->GetAttr("turned", &turned_));
    OP_REQUIRES_OK(context, context->GetAttr("stride", &stride_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &image = context->input(0), &kernel = context->input(1);
    OP_REQUIRES_OK(context, CheckImage(image));
    const int64_t taps = kernel.dims() == 4 ? kernel.dim_size(0) : 1;
    OP_REQUIRES_OK(context, CheckKernel(kernel, taps, image, turned_));
    OP_REQUIRES(context, taps % 2 == 1 && (taps == 1 || !turned_),
                absl::InvalidArgumentError(absl::StrCat("kernel must be of odd size, and of 1 if turned, found ", taps)));
    const Patches patches = Patches::Of(image, taps, stride_);
    const int64_t inner = patches.Size(), columns = kernel.dim_size(turned_ ? 2 : 3);
    const TensorShape shape({image.dim_size(0), patches.Down(), patches.Across(), columns});
    Extras extras;
    OP_REQUIRES_OK(context, Extras::Of(context, 2, kernel.dim_size(3), columns, shape, &extras));
    Tensor *convolved, packed;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &convolved));
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, {columns, inner}, &packed));
    float *panels = packed.flat<float>().data(), *to = convolved->flat<float>().data();
    const float* values = kernel.flat<float>().data();
    InParallel(context, columns / kLanes, 1, [&](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) {
        PackPanel(values, extras.scale, inner, columns, turned_, panel, panels);
      }
    });
    const Finish finish = {extras.bias, {static_cast<const float*>(extras.residual), columns}, relu_};
    const int64_t count = shape.num_elements() / columns, together = OutputsTogether(inner);
    const int64_t rounds = std::max<int64_t>(DivideUp(count, Threads(context) * 4 * together), 1);
    InParallel(context, count, DivideUp(count, Threads(context) * rounds), [&](int64_t begin, int64_t end) {
      const Scratch gathered(context, patches.AreRows() ? 0 : together, inner);
      if (!gathered.ok()) return;
      for (int64_t first = begin; first < end; first += together) {
        const int64_t number = std::min(together, end - first);
        Rows<const float> rows = {patches.values + first * inner, inner};
        if (!patches.AreRows()) {
          patches.Gather(first, number, gathered);
          rows = {gathered.values(), gathered.step};
        }
        product_(rows, number, inner, panels, columns, finish.At(first, 0), {to + first * columns, columns});
      }
    });
  }

 private:
  const ProductFunction product_;
  bool relu_, turned_;
  int64_t stride_;
};

class ConvolveDirectKernelGradOp : public OpKernel {
 public:
  explicit ConvolveDirectKernelGradOp(OpKernelConstruction* context)
      : OpKernel(context), outer_(FastestProducts().outer) {
    OP_REQUIRES_OK(context, context->GetAttr("stride", &stride_));
    OP_REQUIRES_OK(context, context->GetAttr("taps", &taps_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &image = context->input(0), &above = context->input(1);
    OP_REQUIRES_OK(context, CheckImage(image));
    OP_REQUIRES_OK(context, CheckImage(above));
    const Patches patches = Patches::Of(image, taps_, stride_), back = Patches::Of(above, 1, 1);
    const int64_t inner = patches.Size(), columns = back.channels;
    const TensorShape expected({image.dim_size(0), patches.Down(), patches.Across(), columns});
    OP_REQUIRES(context, above.shape() == expected,
                absl::InvalidArgumentError(absl::StrCat("gradient must be ", expected.DebugString(), ", found ",
                                                        above.shape().DebugString())));
    const int64_t count = expected.num_elements() / columns, together = OutputsTogether(inner + columns);
    const int64_t block = std::max<int64_t>(DivideUp(count, Threads(context)), 1);
    const int64_t parts = std::max<int64_t>(DivideUp(count, block), 1), part = inner * columns;
    Tensor sums, *gradient;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, {parts - 1, part}, &sums));
    OP_REQUIRES_OK(context, context->allocate_output(0, {taps_, taps_, patches.channels, columns}, &gradient));
    float *others = sums.flat<float>().data(), *to = gradient->flat<float>().data();
    if (count == 0) std::fill_n(to, part, 0.0f);
    InParallel(context, count, block, [&](int64_t begin, int64_t end) {
      const Scratch seen(context, together, inner), made(context, together, columns);
      if (!seen.ok() || !made.ok()) return;
      float* own = begin == 0 ? to : others + (begin / block - 1) * part;
      std::fill_n(own, part, 0.0f);
      for (int64_t first = begin; first < end; first += together) {
        const int64_t number = std::min(together, end - first);
        patches.Gather(first, number, seen);
        back.Gather(first, number, made);
        outer_({seen.values(), seen.step}, inner, {made.values(), made.step}, columns, number, own);
      }
    });
    InParallel(context, part, DivideUp(part, Threads(context)), [&](int64_t begin, int64_t end) {
      for (int64_t other = 0; other < parts - 1; ++other) {
        for (int64_t i = begin; i < end; ++i) to[i] += others[other * part + i];
      }
    });
  }

 private:
  const OuterFunction outer_;
  int64_t stride_, taps_;
};

absl::Status ConvolvedShape(InferenceContext* c) {
  ShapeHandle image, kernel;
  bool turned;
  int64_t stride;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &image));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &kernel));
  TF_RETURN_IF_ERROR(c->GetAttr("turned", &turned));
  TF_RETURN_IF_ERROR(c->GetAttr("stride", &stride));
  DimensionHandle sides[2];
  for (int axis = 0; axis < 2; ++axis) {
    TF_RETURN_IF_ERROR(c->Add(c->Dim(image, axis + 1), stride - 1, &sides[axis]));
    TF_RETURN_IF_ERROR(c->Divide(sides[axis], stride, false, &sides[axis]));
  }
  c->set_output(0, c->MakeShape({c->Dim(image, 0), sides[0], sides[1], c->Dim(kernel, turned ? 2 : 3)}));
  return absl::OkStatus();
}

absl::Status KernelGradShape(InferenceContext* c) {
  ShapeHandle image, gradient;
  int64_t taps;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &image));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &gradient));
  TF_RETURN_IF_ERROR(c->GetAttr("taps", &taps));
  c->set_output(0, c->MakeShape({c->MakeDim(taps), c->MakeDim(taps), c->Dim(image, 3), c->Dim(gradient, 3)}));
  return absl::OkStatus();
}

REGISTER_OP("MaskrcnnConvolveDirect")
    .Input("image: float")
    .Input("kernel: float")
    .Input("scale: float")
    .Input("bias: float")
    .Input("residual: float")
    .Output("convolved: float")
    .Attr("relu: bool")
    .Attr("turned: bool")
    .Attr("stride: int >= 1")
    .SetShapeFn(ConvolvedShape);

REGISTER_OP("MaskrcnnConvolveDirectKernelGrad")
    .Input("image: float")
    .Input("gradient: float")
    .Output("kernel_gradient: float")
    .Attr("stride: int >= 1")
    .Attr("taps: int >= 1")
    .SetShapeFn(KernelGradShape);

REGISTER_KERNEL_BUILDER(Name("MaskrcnnConvolveDirect").Device(tensorflow::DEVICE_CPU), ConvolveDirectOp);
REGISTER_KERNEL_BUILDER(Name("MaskrcnnConvolveDirectKernelGrad").Device(tensorflow::DEVICE_CPU), ConvolveDirectKernelGradOp);

}  // namespace
}  // namespace maskrcnn
