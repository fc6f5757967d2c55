// The transforms of Winograd's convolution F(4x4, 3x3) on the CPU (Lavin and Gray 2016, section 4.3). What lies between
// them are 36 matrix products, which TensorFlow has.
//
// An image is cut into tiles of 4 x 4 outputs, which see 6 x 6 inputs each. `gather` turns an image into 36 planes of
// tiles, `scatter` planes into an image; either has the transform of the inputs ("input": 6 x 6 pixels, one beyond the
// tile on every side, zeros beyond the image) and the one of the outputs ("output": 4 x 4 pixels). Transposed, they are
// each other's gradient: a convolution is gather "input", products, scatter "output"; going back from its outputs is
// gather "output", products, scatter "input".

#include <cstring>
#include <string>

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

  static MASKRCNN_INLINE void Scatter(const Lanes* t, int step, Lanes* d, int to) {
    const Lanes sum = t[step] + t[2 * step], difference = t[step] - t[2 * step];
    const Lanes far_sum = t[3 * step] + t[4 * step], far_difference = 2 * (t[3 * step] - t[4 * step]);
    d[0] = 4 * t[0];
    d[to] = 4 * (t[5 * step] - difference) - far_difference;
    d[2 * to] = -5 * t[0] - 4 * sum - far_sum;
    d[3 * to] = difference + far_difference - 5 * t[5 * step];
    d[4 * to] = t[0] + sum + far_sum;
    d[5 * to] = t[5 * step];
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

// -------------------------------------------------------------------------------------------------- one tile row

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

// Tiles `first`, first + 1, ... of a row of tiles; a plane has `plane` values.
template <typename Side>
MASKRCNN_INLINE void GatherRow(const float* pixels, const Image& image, int64_t row, int64_t first, int64_t plane,
                               float* planes) {
  constexpr int kPixels = Side::kPixels;
  for (int64_t column = 0; column < image.Across(); ++column) {
    const Patch patch = Patch::Of<Side>(image, row, column);
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
      float* to = planes + (first + column) * image.channels + channel;
      for (int u = 0; u < kPlanes; ++u) *reinterpret_cast<Lanes*>(to + u * plane) = t[u];
    }
  }
}

template <typename Side>
MASKRCNN_INLINE void ScatterRow(const float* planes, const Image& image, int64_t row, int64_t first, int64_t plane,
                                float* pixels) {
  constexpr int kPixels = Side::kPixels;
  for (int64_t column = 0; column < image.Across(); ++column) {
    const Patch patch = Patch::Of<Side>(image, row, column);
    for (int64_t channel = 0; channel < image.channels; channel += kLanes) {
      Lanes t[kPlanes], half[kPixels * kPoints], d[kPixels * kPixels];
      const float* from = planes + (first + column) * image.channels + channel;
      for (int u = 0; u < kPlanes; ++u) t[u] = *reinterpret_cast<const Lanes*>(from + u * plane);
      for (int v = 0; v < kPoints; ++v) Side::Scatter(t + v, kPoints, half + v, kPoints);
      for (int r = 0; r < kPixels; ++r) Side::Scatter(half + r * kPoints, 1, d + r * kPixels, 1);
      for (int r = patch.top; r < patch.bottom; ++r) {
        for (int s = patch.left; s < patch.right; ++s) {
          float* pixel = pixels + ((patch.y + r) * image.width + patch.x + s) * image.channels + channel;
          Lanes value = d[r * kPixels + s];
          if (Side::kPixels > kTile) value += *reinterpret_cast<Lanes*>(pixel);  // tiles overlap
          *reinterpret_cast<Lanes*>(pixel) = value;
        }
      }
    }
  }
}

#define MASKRCNN_ROWS(Side)                                                                                          \
  MASKRCNN_EVERY_PROCESSOR void Gather##Side(const float* pixels, const Image& image, int64_t row, int64_t first,    \
                                             int64_t plane, float* planes) {                                        \
    GatherRow<Side>(pixels, image, row, first, plane, planes);                                                      \
  }                                                                                                                 \
  MASKRCNN_EVERY_PROCESSOR void Scatter##Side(const float* planes, const Image& image, int64_t row, int64_t first,   \
                                              int64_t plane, float* pixels) {                                       \
    ScatterRow<Side>(planes, image, row, first, plane, pixels);                                                     \
  }

MASKRCNN_ROWS(Input)
MASKRCNN_ROWS(Output)

// ------------------------------------------------------------------------------------------------------- kernels

absl::Status CheckChannels(int64_t channels) {
  if (channels % kLanes == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("channels must be a multiple of ", kLanes, ", found ", channels));
}

bool IsInput(OpKernelConstruction* context) {
  std::string kind;
  if (!context->GetAttr("kind", &kind).ok()) return false;
  return kind == "input";
}

// Calls work(row of tiles of all images) for every `step`th row from `first` on, in parallel.
template <typename Work>
void ForRows(OpKernelContext* context, int64_t rows, int64_t first, int64_t step, int64_t cost, const Work& work) {
  const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
  tensorflow::Shard(workers.num_threads, workers.workers, (rows - first + step - 1) / step, cost,
                    [&](int64_t begin, int64_t end) {
                      for (int64_t n = begin; n < end; ++n) work(first + n * step);
                    });
}

class WinogradGatherOp : public OpKernel {
 public:
  explicit WinogradGatherOp(OpKernelConstruction* context) : OpKernel(context), input_(IsInput(context)) {}

  void Compute(OpKernelContext* context) override {
    const Tensor& pixels = context->input(0);
    OP_REQUIRES(context, pixels.dims() == 4,
                absl::InvalidArgumentError(absl::StrCat("image must be [B, H, W, C], found ",
                                                        pixels.shape().DebugString())));
    const Image image{pixels.dim_size(1), pixels.dim_size(2), pixels.dim_size(3)};
    OP_REQUIRES_OK(context, CheckChannels(image.channels));
    const int64_t down = image.Down(), across = image.Across(), rows = pixels.dim_size(0) * down;
    Tensor* planes;
    OP_REQUIRES_OK(context, context->allocate_output(0, {kPlanes, rows * across, image.channels}, &planes));
    const float* from = pixels.flat<float>().data();
    float* to = planes->flat<float>().data();
    const int64_t plane = rows * across * image.channels, size = image.height * image.width * image.channels;
    const auto gather = input_ ? &GatherInput : &GatherOutput;
    ForRows(context, rows, 0, 1, across * image.channels * kPlanes, [&](int64_t row) {
      gather(from + row / down * size, image, row % down, row * across, plane, to);
    });
  }

 private:
  const bool input_;
};

class WinogradScatterOp : public OpKernel {
 public:
  explicit WinogradScatterOp(OpKernelConstruction* context) : OpKernel(context), input_(IsInput(context)) {}

  void Compute(OpKernelContext* context) override {
    const Tensor &planes = context->input(0), &shape = context->input(1);
    OP_REQUIRES(context, shape.NumElements() == 3 && planes.dims() == 3,
                absl::InvalidArgumentError("size must be the image's B, H and W, and planes [36, tiles, C]"));
    const auto sides = shape.flat<int32_t>();
    const Image image{sides(1), sides(2), planes.dim_size(2)};
    const int64_t down = image.Down(), across = image.Across(), rows = sides(0) * down;
    OP_REQUIRES_OK(context, CheckChannels(image.channels));
    OP_REQUIRES(context, planes.dim_size(0) == kPlanes && planes.dim_size(1) == rows * across,
                absl::InvalidArgumentError(absl::StrCat("planes must be [36, ", rows * across, ", C], found ",
                                                        planes.shape().DebugString())));
    Tensor* pixels;
    const TensorShape result({sides(0), image.height, image.width, image.channels});
    OP_REQUIRES_OK(context, context->allocate_output(0, result, &pixels));
    const float* from = planes.flat<float>().data();
    float* to = pixels->flat<float>().data();
    const int64_t plane = rows * across * image.channels, size = image.height * image.width * image.channels;
    const int64_t cost = across * image.channels * kPlanes;
    if (!input_) {
      ForRows(context, rows, 0, 1, cost, [&](int64_t row) {
        ScatterOutput(from, image, row % down, row * across, plane, to + row / down * size);
      });
      return;
    }
    // Overlapping tiles add up in one order: first those of even rows, which do not touch each other, then the odd.
    std::memset(to, 0, pixels->TotalBytes());
    for (int64_t odd = 0; odd < 2; ++odd) {
      ForRows(context, rows, 0, 1, cost / 2, [&](int64_t row) {
        if (row % down % 2 != odd) return;
        ScatterInput(from, image, row % down, row * across, plane, to + row / down * size);
      });
    }
  }

 private:
  const bool input_;
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

absl::Status ScatterShape(InferenceContext* c) {
  ShapeHandle planes, sides, image;
  TF_RETURN_IF_ERROR(c->WithRank(c->input(0), 3, &planes));
  TF_RETURN_IF_ERROR(c->MakeShapeFromShapeTensor(1, &sides));
  TF_RETURN_IF_ERROR(c->WithRank(sides, 3, &sides));
  TF_RETURN_IF_ERROR(c->Concatenate(sides, c->Vector(c->Dim(planes, 2)), &image));
  c->set_output(0, image);
  return absl::OkStatus();
}

REGISTER_OP("MaskrcnnWinogradGather")
    .Input("image: float")
    .Output("planes: float")
    .Attr("kind: {'input', 'output'}")
    .SetShapeFn(GatherShape);

REGISTER_OP("MaskrcnnWinogradScatter")
    .Input("planes: float")
    .Input("size: int32")
    .Output("image: float")
    .Attr("kind: {'input', 'output'}")
    .SetShapeFn(ScatterShape);

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
REGISTER_KERNEL_BUILDER(Name("MaskrcnnWinogradScatter").Device(tensorflow::DEVICE_CPU), WinogradScatterOp);

}  // namespace
}  // namespace maskrcnn
