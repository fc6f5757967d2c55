// Winograd's convolution F(4x4, 3x3) on the CPU (Lavin and Gray 2016, section 4.3): two transforms, and 36 matrix products
// between them.
//
// Each operation works on as many tiles at a time as stay in the cache between its transforms. The gradient to the images
// is a convolution as well, by the kernel turned by half a turn, with inputs and outputs exchanged; the gradient to the
// kernel is made of the products of the tiles of images and of gradients.

#include <algorithm>

#include "convolution.h"
#include "tensorflow/core/framework/op.h"
#include "winograd_kernels.h"
#include "winograd_tiles.h"

namespace maskrcnn {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

constexpr int64_t kMostTiles = 96;  // beyond which nothing is gained

// How many tiles are worked on at a time, for so many channels of inputs and outputs together.
int64_t TilesTogether(int64_t channels) {
  const int64_t fitting = kCachedFloats / (kPlanes * channels);
  return std::clamp(fitting / kMostRows * kMostRows, kMostRows, kMostTiles);
}

Image ImageOf(const Tensor& pixels) { return {pixels.dim_size(1), pixels.dim_size(2), pixels.dim_size(3)}; }

int64_t CountTiles(const Tensor& pixels) {
  const Image image = ImageOf(pixels);
  return pixels.dim_size(0) * image.Down() * image.Across();
}

Planes PlanesIn(const Scratch& scratch) { return {scratch.values(), scratch.size, scratch.step}; }

// The kernel's 36 planes, [36, outputs / 16, inputs, 16].
absl::Status TransformKernel(OpKernelContext* context, const KernelView& kernel, Tensor* weights) {
  TF_RETURN_IF_ERROR(
      context->allocate_temp(tensorflow::DT_FLOAT, {kPlanes, kernel.outputs, kernel.inputs}, weights));
  float* to = weights->flat<float>().data();
  const auto transform = FastestKernelTransforms().panel;
  InParallel(context, kernel.outputs / kLanes, 1, [&](int64_t begin, int64_t end) {
    for (int64_t panel = begin; panel < end; ++panel) transform(kernel, panel * kLanes, to);
  });
  return absl::OkStatus();
}

template <typename Pixel>
class Convolve3x3Op : public OpKernel {
 public:
  explicit Convolve3x3Op(OpKernelConstruction* context)
      : OpKernel(context), transforms_(FastestTransforms<Pixel>()), product_(FastestProducts().product) {
    OP_REQUIRES_OK(context, context->GetAttr("relu", &relu_));
    OP_REQUIRES_OK(context, context->GetAttr("turned", &turned_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &pixels = context->input(0), &kernel = context->input(1);
    OP_REQUIRES_OK(context, CheckImage(pixels));
    OP_REQUIRES_OK(context, CheckKernel(kernel, kTaps, pixels, turned_));
    const Image image = ImageOf(pixels);
    const int64_t inner = image.channels, columns = kernel.dim_size(turned_ ? 2 : 3);
    const Image result = {image.height, image.width, columns};
    const TensorShape shape({pixels.dim_size(0), image.height, image.width, columns});
    Extras extras;
    OP_REQUIRES_OK(context, Extras::Of(context, 2, kernel.dim_size(3), columns, shape, &extras));
    Tensor *convolved, weights;
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &convolved));
    const KernelView view = {kernel.flat<float>().data(), extras.scale, inner, columns, turned_};
    OP_REQUIRES_OK(context, TransformKernel(context, view, &weights));
    const Pixel* from = PixelsOf<const Pixel>(pixels);
    const TileFinish<Pixel> finish = {extras.bias, static_cast<const Pixel*>(extras.residual), relu_};
    Pixel* to = PixelsOf<Pixel>(*convolved);
    const float* right = weights.flat<float>().data();
    const int64_t tiles = CountTiles(pixels), together = TilesTogether(inner + columns);
    const int64_t rounds = DivideUp(tiles, Threads(context) * 4 * together);
    const int64_t block = DivideUp(tiles, Threads(context) * std::max<int64_t>(rounds, 1));
    InParallel(context, tiles, block, [&](int64_t begin, int64_t end) {
      const Scratch inputs(context, together, inner, kPlanes), outputs(context, together, columns, kPlanes);
      if (!inputs.ok() || !outputs.ok()) return;
      const Planes seen = PlanesIn(inputs), made = PlanesIn(outputs);
      for (int64_t first = begin; first < end; first += together) {
        const int64_t count = std::min(together, end - first);
        const int64_t rows = DivideUp(count, kMostRows) * kMostRows;  // the last ones are of no tile
        transforms_.gather_inputs(from, image, first, count, seen);
        for (int u = 0; u < kPlanes; ++u) {
          product_({seen.At(u, 0), seen.step}, rows, inner, right + u * inner * columns, columns, {},
                   {made.At(u, 0), made.step});
        }
        transforms_.scatter_outputs(made, result, first, count, finish, to);
      }
    });
  }

 private:
  const Transforms<Pixel> transforms_;
  const ProductFunction product_;
  bool relu_, turned_;
};

template <typename Pixel>
class Convolve3x3KernelGradOp : public OpKernel {
 public:
  explicit Convolve3x3KernelGradOp(OpKernelConstruction* context)
      : OpKernel(context),
        transforms_(FastestTransforms<Pixel>()),
        kernel_transforms_(FastestKernelTransforms()),
        outer_(FastestProducts().outer) {}

  void Compute(OpKernelContext* context) override {
    const Tensor &pixels = context->input(0), &above = context->input(1);
    OP_REQUIRES_OK(context, CheckImage(pixels));
    OP_REQUIRES_OK(context, CheckImage(above));
    const Image image = ImageOf(pixels), result = ImageOf(above);
    TensorShape expected = pixels.shape();
    expected.set_dim(3, result.channels);
    OP_REQUIRES(context, above.shape() == expected,
                absl::InvalidArgumentError(absl::StrCat("gradient must be ", expected.DebugString(), ", found ",
                                                        above.shape().DebugString())));
    const int64_t inner = image.channels, columns = result.channels, together = TilesTogether(inner + columns);
    const int64_t tiles = CountTiles(pixels), part = kPlanes * inner * columns;
    const int64_t block = std::max<int64_t>(DivideUp(tiles, Threads(context)), 1);
    const int64_t parts = std::max<int64_t>(DivideUp(tiles, block), 1);
    Tensor sums, *gradient;
    OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_FLOAT, {parts, part}, &sums));
    OP_REQUIRES_OK(context, context->allocate_output(0, {kTaps, kTaps, inner, columns}, &gradient));
    const Pixel *from = PixelsOf<const Pixel>(pixels), *back = PixelsOf<const Pixel>(above);
    float *total = sums.flat<float>().data(), *to = gradient->flat<float>().data();
    if (tiles == 0) std::fill_n(total, part, 0.0f);
    InParallel(context, tiles, block, [&](int64_t begin, int64_t end) {
      const Scratch inputs(context, together, inner, kPlanes), outputs(context, together, columns, kPlanes);
      if (!inputs.ok() || !outputs.ok()) return;
      const Planes seen = PlanesIn(inputs), made = PlanesIn(outputs);
      float* own = total + begin / block * part;
      std::fill_n(own, part, 0.0f);
      for (int64_t first = begin; first < end; first += together) {
        const int64_t count = std::min(together, end - first);
        transforms_.gather_inputs(from, image, first, count, seen);
        transforms_.gather_outputs(back, result, first, count, made);
        for (int u = 0; u < kPlanes; ++u) {
          outer_({seen.At(u, 0), seen.step}, inner, {made.At(u, 0), made.step}, columns, count,
                 own + u * inner * columns);
        }
      }
    });
    InParallel(context, inner, DivideUp(inner, Threads(context)), [&](int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        kernel_transforms_.gradient_row(total, parts, inner, columns, row, to);
      }
    });
  }

 private:
  const Transforms<Pixel> transforms_;
  const KernelTransforms kernel_transforms_;
  const OuterFunction outer_;
};

absl::Status ConvolvedShape(InferenceContext* c) {
  ShapeHandle image, kernel, result;
  bool turned;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &image));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &kernel));
  TF_RETURN_IF_ERROR(c->GetAttr("turned", &turned));
  TF_RETURN_IF_ERROR(c->ReplaceDim(image, 3, c->Dim(kernel, turned ? 2 : 3), &result));
  c->set_output(0, result);
  return absl::OkStatus();
}

absl::Status KernelGradShape(InferenceContext* c) {
  ShapeHandle image, gradient;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &image));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &gradient));
  c->set_output(0, c->MakeShape({c->MakeDim(kTaps), c->MakeDim(kTaps), c->Dim(image, 3), c->Dim(gradient, 3)}));
  return absl::OkStatus();
}

REGISTER_OP("MaskrcnnConvolve3x3")
    .Input("image: T")
    .Input("kernel: float")
    .Input("scale: float")
    .Input("bias: float")
    .Input("residual: T")
    .Output("convolved: T")
    .Attr("T: {float, bfloat16}")
    .Attr("relu: bool")
    .Attr("turned: bool")
    .SetShapeFn(ConvolvedShape);

REGISTER_OP("MaskrcnnConvolve3x3KernelGrad")
    .Input("image: T")
    .Input("gradient: T")
    .Output("kernel_gradient: float")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn(KernelGradShape);

#define MASKRCNN_REGISTER(Pixel, T)                                                                                   \
  REGISTER_KERNEL_BUILDER(Name("MaskrcnnConvolve3x3").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),          \
                          Convolve3x3Op<Pixel>);                                                                      \
  REGISTER_KERNEL_BUILDER(Name("MaskrcnnConvolve3x3KernelGrad").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"), \
                          Convolve3x3KernelGradOp<Pixel>);

MASKRCNN_REGISTER(float, float)
MASKRCNN_REGISTER(uint16_t, Eigen::bfloat16)

}  // namespace
}  // namespace maskrcnn
