// Winograd's convolution F(4x4, 3x3) on the CPU (Lavin and Gray 2016, section 4.3): two transforms, and 36 matrix products
// between them.
//
// Each operation works on as many tiles at a time as stay in the cache between its transforms. The gradient to the images
// is a convolution as well, by the kernel turned by half a turn, with inputs and outputs exchanged; the gradient to the
// kernel is made of the products of the tiles of images and of gradients.

#include <algorithm>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "matrix_product.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/platform/threadpool.h"
#include "winograd_tiles.h"

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

constexpr int64_t kCachedFloats = 1 << 20;  // that a thread's share of the caches holds
constexpr int64_t kMostTiles = 96;          // beyond which nothing is gained

// How many tiles are worked on at a time, for so many channels of inputs and outputs together.
int64_t TilesTogether(int64_t channels) {
  const int64_t fitting = kCachedFloats / (kPlanes * channels);
  return std::clamp(fitting / kMostRows * kMostRows, kMostRows, kMostTiles);
}

// Memory for one thread's planes, 64 bytes more in each row and plane than they need: powers of two would all fall on
// the same few lines of the caches.
class Scratch {
 public:
  Scratch(OpKernelContext* context, int64_t tiles, int64_t channels)
      : allocator_(context->device()->GetAllocator({})), step_(channels + kLanes), plane_(tiles * step_ + kLanes) {
    memory_ = allocator_->AllocateRaw(tensorflow::Allocator::kAllocatorAlignment, kPlanes * plane_ * sizeof(float));
  }
  ~Scratch() {
    if (memory_ != nullptr) allocator_->DeallocateRaw(memory_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  bool ok() const { return memory_ != nullptr; }
  Planes planes() const { return {static_cast<float*>(memory_), plane_, step_}; }

 private:
  tensorflow::Allocator* const allocator_;
  const int64_t step_, plane_;
  void* memory_;
};

const float* PixelsOf(const Tensor& tensor, float) { return tensor.flat<float>().data(); }

const uint16_t* PixelsOf(const Tensor& tensor, uint16_t) {
  return reinterpret_cast<const uint16_t*>(tensor.flat<Eigen::bfloat16>().data());
}

absl::Status ImageOf(const Tensor& pixels, Image* image) {
  if (pixels.dims() != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("image must be [B, H, W, C], found ", pixels.shape().DebugString()));
  }
  *image = {pixels.dim_size(1), pixels.dim_size(2), pixels.dim_size(3)};
  if (image->channels % kLanes == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("channels must be a multiple of ", kLanes, ", found ", image->channels));
}

// Calls work(begin, end) for the units, `block` of them at a time, in parallel.
template <typename Work>
void InParallel(OpKernelContext* context, int64_t units, int64_t block, const Work& work) {
  using tensorflow::thread::ThreadPool;
  const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
  const ThreadPool::SchedulingParams fixed(ThreadPool::SchedulingStrategy::kFixedBlockSize, std::nullopt, block);
  if (units > 0) workers.workers->ParallelFor(units, fixed, work);
}

int64_t Threads(OpKernelContext* context) {
  return std::max(1, context->device()->tensorflow_cpu_worker_threads()->num_threads);
}

int64_t DivideUp(int64_t value, int64_t by) { return (value + by - 1) / by; }

class WinogradWeightsOp : public OpKernel {
 public:
  explicit WinogradWeightsOp(OpKernelConstruction* context)
      : OpKernel(context), transform_(FastestKernelTransforms().panel) {
    OP_REQUIRES_OK(context, context->GetAttr("turned", &turned_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& kernel = context->input(0);
    const TensorShape& shape = kernel.shape();
    OP_REQUIRES(context,
                shape.dims() == 4 && shape.dim_size(0) == kTaps && shape.dim_size(1) == kTaps &&
                    shape.dim_size(2) % kLanes == 0 && shape.dim_size(3) % kLanes == 0,
                absl::InvalidArgumentError(absl::StrCat("kernel must be [3,3,I,O] with multiples of ", kLanes,
                                                        ", found ", shape.DebugString())));
    const KernelView view = {kernel.flat<float>().data(), shape.dim_size(turned_ ? 3 : 2),
                             shape.dim_size(turned_ ? 2 : 3), turned_};
    Tensor* weights;
    OP_REQUIRES_OK(
        context, context->allocate_output(0, {kPlanes, view.outputs / kLanes, view.inputs, kLanes}, &weights));
    float* to = weights->flat<float>().data();
    InParallel(context, view.outputs / kLanes, 1, [&](int64_t begin, int64_t end) {
      for (int64_t panel = begin; panel < end; ++panel) transform_(view, panel * kLanes, to);
    });
  }

 private:
  void (*const transform_)(const KernelView&, int64_t, float*);
  bool turned_;
};

template <typename Pixel>
class WinogradConvolveOp : public OpKernel {
 public:
  explicit WinogradConvolveOp(OpKernelConstruction* context)
      : OpKernel(context), transforms_(FastestTransforms<Pixel>()), product_(FastestProducts().product) {
    OP_REQUIRES_OK(context, context->GetAttr("relu", &relu_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &pixels = context->input(0), &weights = context->input(1), &bias = context->input(2);
    Image image;
    OP_REQUIRES_OK(context, ImageOf(pixels, &image));
    const TensorShape expected({kPlanes, weights.dims() == 4 ? weights.dim_size(1) : 1, image.channels, kLanes});
    OP_REQUIRES(context, weights.shape() == expected,
                absl::InvalidArgumentError(absl::StrCat("weights must be ", expected.DebugString(), ", found ",
                                                        weights.shape().DebugString())));
    Image result = image;
    result.channels = weights.dim_size(1) * kLanes;
    OP_REQUIRES(context, bias.shape() == TensorShape({result.channels}),
                absl::InvalidArgumentError(
                    absl::StrCat("bias must be [", result.channels, "], found ", bias.shape().DebugString())));
    Tensor* convolved;
    const TensorShape shape({pixels.dim_size(0), image.height, image.width, result.channels});
    OP_REQUIRES_OK(context, context->allocate_output(0, shape, &convolved));
    const Pixel* from = PixelsOf(pixels, Pixel());
    const float *kernel = weights.flat<float>().data(), *shift = bias.flat<float>().data();
    Pixel* to = const_cast<Pixel*>(PixelsOf(*convolved, Pixel()));
    const int64_t tiles = pixels.dim_size(0) * image.Down() * image.Across();
    const int64_t inner = image.channels, columns = result.channels, together = TilesTogether(inner + columns);
    const int64_t rounds = DivideUp(tiles, Threads(context) * 4 * together);
    const int64_t block = DivideUp(tiles, Threads(context) * std::max<int64_t>(rounds, 1));
    InParallel(context, tiles, block, [&](int64_t begin, int64_t end) {
      const Scratch inputs(context, together, inner), outputs(context, together, columns);
      OP_REQUIRES(context, inputs.ok() && outputs.ok(), absl::ResourceExhaustedError("no memory for tiles"));
      const Planes seen = inputs.planes(), made = outputs.planes();
      for (int64_t first = begin; first < end; first += together) {
        const int64_t count = std::min(together, end - first);
        const int64_t rows = DivideUp(count, kMostRows) * kMostRows;  // the last ones are of no tile
        transforms_.gather_inputs(from, image, first, count, seen);
        for (int u = 0; u < kPlanes; ++u) {
          product_({seen.At(u, 0), seen.step}, rows, inner, kernel + u * inner * columns, columns,
                   {made.At(u, 0), made.step});
        }
        transforms_.scatter_outputs(made, result, first, count, shift, relu_, to);
      }
    });
  }

 private:
  const Transforms<Pixel> transforms_;
  const ProductFunction product_;
  bool relu_;
};

template <typename Pixel>
class WinogradKernelGradOp : public OpKernel {
 public:
  explicit WinogradKernelGradOp(OpKernelConstruction* context)
      : OpKernel(context),
        transforms_(FastestTransforms<Pixel>()),
        kernel_transforms_(FastestKernelTransforms()),
        outer_(FastestProducts().outer) {}

  void Compute(OpKernelContext* context) override {
    const Tensor &pixels = context->input(0), &above = context->input(1);
    Image image, result;
    OP_REQUIRES_OK(context, ImageOf(pixels, &image));
    OP_REQUIRES_OK(context, ImageOf(above, &result));
    TensorShape expected = pixels.shape();
    expected.set_dim(3, result.channels);
    OP_REQUIRES(context, above.shape() == expected,
                absl::InvalidArgumentError(absl::StrCat("gradient must be ", expected.DebugString(), ", found ",
                                                        above.shape().DebugString())));
    const int64_t inner = image.channels, columns = result.channels, together = TilesTogether(inner + columns);
    const int64_t tiles = pixels.dim_size(0) * image.Down() * image.Across();
    const int64_t block = std::max<int64_t>(DivideUp(tiles, Threads(context)), 1);
    const int64_t parts = std::max<int64_t>(DivideUp(tiles, block), 1);
    Tensor sums, *gradient;
    OP_REQUIRES_OK(context,
                   context->allocate_temp(tensorflow::DT_FLOAT, {parts, kPlanes, inner, columns}, &sums));
    OP_REQUIRES_OK(context, context->allocate_output(0, {kTaps, kTaps, inner, columns}, &gradient));
    const Pixel *from = PixelsOf(pixels, Pixel()), *back = PixelsOf(above, Pixel());
    float *total = sums.flat<float>().data(), *to = gradient->flat<float>().data();
    const int64_t part = kPlanes * inner * columns;
    std::fill_n(total, tiles == 0 ? part : 0, 0.0f);
    InParallel(context, tiles, block, [&](int64_t begin, int64_t end) {
      const Scratch inputs(context, together, inner), outputs(context, together, columns);
      OP_REQUIRES(context, inputs.ok() && outputs.ok(), absl::ResourceExhaustedError("no memory for tiles"));
      const Planes seen = inputs.planes(), made = outputs.planes();
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

// Hands on the result of a convolution together with what it was made of: the operation that has a gradient.
class WinogradConvolutionOp : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override { context->set_output(0, context->input(3)); }
};

absl::Status WeightsShape(InferenceContext* c) {
  ShapeHandle kernel;
  bool turned;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &kernel));
  TF_RETURN_IF_ERROR(c->GetAttr("turned", &turned));
  DimensionHandle panels;
  TF_RETURN_IF_ERROR(c->Divide(c->Dim(kernel, turned ? 2 : 3), kLanes, true, &panels));
  c->set_output(0, c->MakeShape({c->MakeDim(kPlanes), panels, c->Dim(kernel, turned ? 3 : 2), c->MakeDim(kLanes)}));
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

absl::Status KernelGradShape(InferenceContext* c) {
  ShapeHandle image, gradient;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 4, &image));
  TF_RETURN_IF_ERROR(c->WithRank(c->input(1), 4, &gradient));
  c->set_output(0, c->MakeShape({c->MakeDim(kTaps), c->MakeDim(kTaps), c->Dim(image, 3), c->Dim(gradient, 3)}));
  return absl::OkStatus();
}

absl::Status JoinedShape(InferenceContext* c) {
  c->set_output(0, c->input(3));
  return absl::OkStatus();
}

REGISTER_OP("MaskrcnnWinogradWeights")
    .Input("kernel: float")
    .Output("weights: float")
    .Attr("turned: bool = false")
    .SetShapeFn(WeightsShape);

REGISTER_OP("MaskrcnnWinogradConvolve")
    .Input("image: T")
    .Input("weights: float")
    .Input("bias: float")
    .Output("convolved: T")
    .Attr("T: {float, bfloat16}")
    .Attr("relu: bool = false")
    .SetShapeFn(ConvolveShape);

REGISTER_OP("MaskrcnnWinogradKernelGrad")
    .Input("image: T")
    .Input("gradient: T")
    .Output("kernel_gradient: float")
    .Attr("T: {float, bfloat16}")
    .SetShapeFn(KernelGradShape);

REGISTER_OP("MaskrcnnWinogradConvolution")
    .Input("image: T")
    .Input("kernel: float")
    .Input("bias: float")
    .Input("convolved: T")
    .Output("result: T")
    .Attr("T: {float, bfloat16}")
    .Attr("relu: bool = false")
    .SetShapeFn(JoinedShape);

#define MASKRCNN_REGISTER(Pixel, T)                                                                          \
  REGISTER_KERNEL_BUILDER(                                                                                   \
      Name("MaskrcnnWinogradConvolve").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),               \
      WinogradConvolveOp<Pixel>);                                                                            \
  REGISTER_KERNEL_BUILDER(                                                                                   \
      Name("MaskrcnnWinogradKernelGrad").Device(tensorflow::DEVICE_CPU).TypeConstraint<T>("T"),             \
      WinogradKernelGradOp<Pixel>);

MASKRCNN_REGISTER(float, float)
MASKRCNN_REGISTER(uint16_t, Eigen::bfloat16)
REGISTER_KERNEL_BUILDER(Name("MaskrcnnWinogradWeights").Device(tensorflow::DEVICE_CPU), WinogradWeightsOp);
REGISTER_KERNEL_BUILDER(Name("MaskrcnnWinogradConvolution").Device(tensorflow::DEVICE_CPU), WinogradConvolutionOp);

}  // namespace
}  // namespace maskrcnn
