// Group normalisation (Wu and He 2018) and its gradient on the CPU: each reads the image twice, once for sums and once to
// write, where TensorFlow's own operations read and write it a dozen times.
//
// Pixels are taken in chunks that stay in the nearest cache. A chunk has its sums in float; those of chunks are added up
// in double, deviations around the common mean (Chan, Golub and LeVeque 1983), so that the result is as exact as float
// can hold, whatever the mean and the number of pixels.

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "processors.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/util/work_sharder.h"

namespace maskrcnn {
namespace {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::InferenceContext;
using tensorflow::shape_inference::ShapeHandle;

constexpr int64_t kChunk = 8192;  // values of a chunk

// ------------------------------------------------------------------------------------- loops over a chunk's pixels

// Mean and sum of squared deviations of each channel.
MASKRCNN_EVERY_PROCESSOR void Moments(const float* x, int64_t pixels, int64_t channels, float* mean, float* squares) {
  std::fill(mean, mean + channels, 0.0f);
  std::fill(squares, squares + channels, 0.0f);
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) mean[c] += x[p * channels + c];
  }
  for (int64_t c = 0; c < channels; ++c) mean[c] /= pixels;
  for (int64_t p = 0; p < pixels; ++p) {
    for (int64_t c = 0; c < channels; ++c) {
      const float deviation = x[p * channels + c] - mean[c];
      squares[c] += deviation * deviation;
    }
  }
}

MASKRCNN_EVERY_PROCESSOR void Normalise(const float* x, int64_t pixels, int64_t channels, const float* mean,
                                        const float* scale, const float* beta, float* y) {
  for (int64_t p = 0; p < pixels; ++p) {
    const int64_t start = p * channels;
    for (int64_t c = 0; c < channels; ++c) y[start + c] = (x[start + c] - mean[c]) * scale[c] + beta[c];
  }
}

// Sums of the gradient, and of its products with the deviations, of each channel.
MASKRCNN_EVERY_PROCESSOR void GradientSums(const float* above, const float* x, int64_t pixels, int64_t channels,
                                           const float* mean, float* sums, float* products) {
  std::fill(sums, sums + channels, 0.0f);
  std::fill(products, products + channels, 0.0f);
  for (int64_t p = 0; p < pixels; ++p) {
    const int64_t start = p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      sums[c] += above[start + c];
      products[c] += above[start + c] * (x[start + c] - mean[c]);
    }
  }
}

MASKRCNN_EVERY_PROCESSOR void Gradient(const float* above, const float* x, int64_t pixels, int64_t channels,
                                       const float* mean, const float* scale, const float* slope, const float* offset,
                                       float* below) {
  for (int64_t p = 0; p < pixels; ++p) {
    const int64_t start = p * channels;
    for (int64_t c = 0; c < channels; ++c) {
      below[start + c] = above[start + c] * scale[c] - ((x[start + c] - mean[c]) * slope[c] + offset[c]);
    }
  }
}

// ------------------------------------------------------------------------------------------------------- kernels

struct Images {
  int64_t count, pixels, channels, groups;

  int64_t Rows() const { return std::max<int64_t>(1, kChunk / channels); }  // pixels of a chunk
  int64_t Chunks() const { return (pixels + Rows() - 1) / Rows(); }         // of an image
  int64_t GroupSize() const { return channels / groups; }
  int64_t InChunk(int64_t chunk) const { return std::min(Rows(), pixels - chunk % Chunks() * Rows()); }
  int64_t Start(int64_t chunk) const { return (chunk / Chunks() * pixels + chunk % Chunks() * Rows()) * channels; }

  // Calls work(chunk of all images) in parallel.
  template <typename Work>
  void ForChunks(OpKernelContext* context, const Work& work) const {
    const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
    tensorflow::Shard(workers.num_threads, workers.workers, count * Chunks(), 4 * kChunk, [&](int64_t begin, int64_t end) {
      for (int64_t chunk = begin; chunk < end; ++chunk) work(chunk);
    });
  }
};

absl::Status ImagesOf(const Tensor& x, const Tensor& gamma, int64_t groups, Images* images) {
  if (x.dims() < 2) {
    return absl::InvalidArgumentError(absl::StrCat("x must be [B, ..., C], found ", x.shape().DebugString()));
  }
  const int64_t count = x.dim_size(0), channels = x.dim_size(x.dims() - 1);
  if (gamma.shape() != TensorShape({channels}) || channels == 0 || channels % groups != 0) {
    return absl::InvalidArgumentError(absl::StrCat("gamma must be [C], and C a multiple of ", groups, "; found ",
                                                   gamma.shape().DebugString(), " for ", x.shape().DebugString()));
  }
  *images = {count, count == 0 ? 0 : x.NumElements() / (count * channels), channels, groups};
  return absl::OkStatus();
}

class GroupNormOp : public OpKernel {
 public:
  explicit GroupNormOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("groups", &groups_));
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &gamma = context->input(1), &beta = context->input(2);
    Images images;
    OP_REQUIRES_OK(context, ImagesOf(x, gamma, groups_, &images));
    OP_REQUIRES(context, beta.shape() == gamma.shape(),
                absl::InvalidArgumentError("beta must have the shape of gamma"));
    Tensor *y, *means, *inverses;
    const TensorShape of_groups({images.count, groups_});
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &y));
    OP_REQUIRES_OK(context, context->allocate_output(1, of_groups, &means));
    OP_REQUIRES_OK(context, context->allocate_output(2, of_groups, &inverses));
    const int64_t channels = images.channels, size = images.GroupSize();
    const float* from = x.flat<float>().data();
    std::vector<float> moments(2 * images.count * images.Chunks() * channels);
    images.ForChunks(context, [&](int64_t chunk) {
      float* own = moments.data() + 2 * chunk * channels;
      Moments(from + images.Start(chunk), images.InChunk(chunk), channels, own, own + channels);
    });
    std::vector<float> mean(images.count * channels), scale(images.count * channels);
    const double pixels = static_cast<double>(images.pixels) * size;
    for (int64_t image = 0; image < images.count; ++image) {
      for (int64_t group = 0; group < groups_; ++group) {
        double sum = 0, squares = 0;
        ForGroup(images, image, group, [&](int64_t chunk, int64_t c) {
          sum += images.InChunk(chunk) * static_cast<double>(moments[2 * chunk * channels + c]);
        });
        const double middle = pixels > 0 ? sum / pixels : 0;
        ForGroup(images, image, group, [&](int64_t chunk, int64_t c) {
          const double away = moments[2 * chunk * channels + c] - middle;
          squares += moments[(2 * chunk + 1) * channels + c] + images.InChunk(chunk) * away * away;
        });
        const double inverse = 1 / std::sqrt((pixels > 0 ? squares / pixels : 0) + epsilon_);
        means->flat<float>()(image * groups_ + group) = middle;
        inverses->flat<float>()(image * groups_ + group) = inverse;
        for (int64_t c = group * size; c < (group + 1) * size; ++c) {
          mean[image * channels + c] = middle;
          scale[image * channels + c] = inverse * gamma.flat<float>()(c);
        }
      }
    }
    float* to = y->flat<float>().data();
    images.ForChunks(context, [&](int64_t chunk) {
      const int64_t start = images.Start(chunk), first = chunk / images.Chunks() * channels;
      Normalise(from + start, images.InChunk(chunk), channels, mean.data() + first, scale.data() + first,
                beta.flat<float>().data(), to + start);
    });
  }

 private:
  // Calls work(chunk, channel) for the chunks of an image and the channels of a group.
  template <typename Work>
  static void ForGroup(const Images& images, int64_t image, int64_t group, const Work& work) {
    const int64_t size = images.GroupSize();
    for (int64_t chunk = image * images.Chunks(); chunk < (image + 1) * images.Chunks(); ++chunk) {
      for (int64_t c = group * size; c < (group + 1) * size; ++c) work(chunk, c);
    }
  }

  int groups_;
  float epsilon_;
};

class GroupNormGradOp : public OpKernel {
 public:
  explicit GroupNormGradOp(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("groups", &groups_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &above = context->input(0), &x = context->input(1), &gamma = context->input(2);
    const Tensor &means = context->input(3), &inverses = context->input(4);
    Images images;
    OP_REQUIRES_OK(context, ImagesOf(x, gamma, groups_, &images));
    OP_REQUIRES(context, above.shape() == x.shape(),
                absl::InvalidArgumentError("the gradient must have the shape of x"));
    const TensorShape of_groups({images.count, groups_});
    OP_REQUIRES(context, means.shape() == of_groups && inverses.shape() == of_groups,
                absl::InvalidArgumentError("mean and inverse must be [B, groups]"));
    Tensor *below, *of_gamma, *of_beta;
    OP_REQUIRES_OK(context, context->allocate_output(0, x.shape(), &below));
    OP_REQUIRES_OK(context, context->allocate_output(1, gamma.shape(), &of_gamma));
    OP_REQUIRES_OK(context, context->allocate_output(2, gamma.shape(), &of_beta));
    const int64_t channels = images.channels, size = images.GroupSize(), values = images.count * channels;
    std::vector<float> mean(values), scale(values), slope(values), offset(values);
    for (int64_t image = 0; image < images.count; ++image) {
      for (int64_t c = 0; c < channels; ++c) {
        const int64_t group = image * groups_ + c / size;
        mean[image * channels + c] = means.flat<float>()(group);
        scale[image * channels + c] = inverses.flat<float>()(group) * gamma.flat<float>()(c);
      }
    }
    const float *from = x.flat<float>().data(), *gradient = above.flat<float>().data();
    std::vector<float> partial(2 * images.Chunks() * values);
    images.ForChunks(context, [&](int64_t chunk) {
      const int64_t start = images.Start(chunk);
      float* own = partial.data() + 2 * chunk * channels;
      GradientSums(gradient + start, from + start, images.InChunk(chunk), channels,
                   mean.data() + chunk / images.Chunks() * channels, own, own + channels);
    });
    std::vector<double> sums(values, 0.0), products(values, 0.0);
    for (int64_t chunk = 0; chunk < images.count * images.Chunks(); ++chunk) {
      const int64_t first = chunk / images.Chunks() * channels;
      const float* own = partial.data() + 2 * chunk * channels;
      for (int64_t c = 0; c < channels; ++c) {
        sums[first + c] += own[c];
        products[first + c] += own[channels + c];
      }
    }
    std::vector<double> gamma_sums(channels, 0.0), beta_sums(channels, 0.0);
    const double pixels = static_cast<double>(images.pixels) * size;
    for (int64_t image = 0; image < images.count; ++image) {
      for (int64_t group = 0; group < groups_; ++group) {
        const double inverse = inverses.flat<float>()(image * groups_ + group);
        double plain = 0, along = 0;
        for (int64_t c = group * size; c < (group + 1) * size; ++c) {
          const int64_t at = image * channels + c;
          plain += gamma.flat<float>()(c) * sums[at];
          along += gamma.flat<float>()(c) * products[at] * inverse;
          beta_sums[c] += sums[at];
          gamma_sums[c] += products[at] * inverse;
        }
        // What moves the group's mean or its variance has no effect.
        for (int64_t c = group * size; c < (group + 1) * size; ++c) {
          slope[image * channels + c] = along / pixels * inverse * inverse;
          offset[image * channels + c] = plain / pixels * inverse;
        }
      }
    }
    for (int64_t c = 0; c < channels; ++c) {
      of_gamma->flat<float>()(c) = gamma_sums[c];
      of_beta->flat<float>()(c) = beta_sums[c];
    }
    float* to = below->flat<float>().data();
    images.ForChunks(context, [&](int64_t chunk) {
      const int64_t start = images.Start(chunk), first = chunk / images.Chunks() * channels;
      Gradient(gradient + start, from + start, images.InChunk(chunk), channels, mean.data() + first,
               scale.data() + first, slope.data() + first, offset.data() + first, to + start);
    });
  }

 private:
  int groups_;
};

REGISTER_OP("MaskrcnnGroupNorm")
    .Input("x: float")
    .Input("gamma: float")
    .Input("beta: float")
    .Output("y: float")
    .Output("mean: float")
    .Output("inverse: float")
    .Attr("groups: int >= 1")
    .Attr("epsilon: float")
    .SetShapeFn([](InferenceContext* c) {
      ShapeHandle x;
      TF_RETURN_IF_ERROR(c->WithRankAtLeast(c->input(0), 2, &x));
      int groups;
      TF_RETURN_IF_ERROR(c->GetAttr("groups", &groups));
      const ShapeHandle of_groups = c->MakeShape({c->Dim(x, 0), c->MakeDim(groups)});
      c->set_output(0, x);
      c->set_output(1, of_groups);
      c->set_output(2, of_groups);
      return absl::OkStatus();
    });

REGISTER_OP("MaskrcnnGroupNormGrad")
    .Input("gradient: float")
    .Input("x: float")
    .Input("gamma: float")
    .Input("mean: float")
    .Input("inverse: float")
    .Output("x_gradient: float")
    .Output("gamma_gradient: float")
    .Output("beta_gradient: float")
    .Attr("groups: int >= 1")
    .SetShapeFn([](InferenceContext* c) {
      c->set_output(0, c->input(1));
      c->set_output(1, c->input(2));
      c->set_output(2, c->input(2));
      return absl::OkStatus();
    });

REGISTER_KERNEL_BUILDER(Name("MaskrcnnGroupNorm").Device(tensorflow::DEVICE_CPU), GroupNormOp);
REGISTER_KERNEL_BUILDER(Name("MaskrcnnGroupNormGrad").Device(tensorflow::DEVICE_CPU), GroupNormGradOp);

}  // namespace
}  // namespace maskrcnn
