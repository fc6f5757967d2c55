// What the convolutions on the CPU share: their inputs, memory for each thread, and the work's division.
#ifndef MASKRCNN_CONVOLUTION_H_
#define MASKRCNN_CONVOLUTION_H_

#include <algorithm>
#include <optional>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "matrix_product.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"
#include "tensorflow/core/platform/threadpool.h"

namespace maskrcnn {

constexpr int64_t kCachedFloats = 1 << 20;  // that a thread's share of the caches holds

inline int64_t DivideUp(int64_t value, int64_t by) { return (value + by - 1) / by; }

inline int64_t Threads(tensorflow::OpKernelContext* context) {
  return std::max(1, context->device()->tensorflow_cpu_worker_threads()->num_threads);
}

// Calls work(begin, end) for the units, `block` of them at a time, in parallel.
template <typename Work>
void InParallel(tensorflow::OpKernelContext* context, int64_t units, int64_t block, const Work& work) {
  using tensorflow::thread::ThreadPool;
  const auto& workers = *context->device()->tensorflow_cpu_worker_threads();
  const ThreadPool::SchedulingParams fixed(ThreadPool::SchedulingStrategy::kFixedBlockSize, std::nullopt, block);
  if (units > 0) workers.workers->ParallelFor(units, fixed, work);
}

// Memory of one thread for matrices of rows x channels, 64 bytes more in each row and matrix than they need: powers of
// two would all fall on the same few lines of the caches.
class Scratch {
 public:
  Scratch(tensorflow::OpKernelContext* context, int64_t rows, int64_t channels, int64_t matrices = 1)
      : step(channels + kLanes), size(rows * step + kLanes), allocator_(context->device()->GetAllocator({})) {
    const size_t bytes = matrices * size * sizeof(float);
    memory_ = allocator_->AllocateRaw(tensorflow::Allocator::kAllocatorAlignment, bytes);
    if (memory_ == nullptr) context->CtxFailure(absl::ResourceExhaustedError(absl::StrCat("no ", bytes, " bytes")));
  }
  ~Scratch() {
    if (memory_ != nullptr) allocator_->DeallocateRaw(memory_);
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  bool ok() const { return memory_ != nullptr; }
  float* values() const { return static_cast<float*>(memory_); }

  const int64_t step, size;  // floats from row to row, and from matrix to matrix

 private:
  tensorflow::Allocator* const allocator_;
  void* memory_;
};

// Images or results: [B, H, W, C] of floats or, as uint16_t, of bfloat16.
template <typename Pixel>
Pixel* PixelsOf(const tensorflow::Tensor& tensor) {
  return reinterpret_cast<Pixel*>(const_cast<char*>(tensor.tensor_data().data()));
}

// What a convolution is given beside images and kernel; tensors without elements stand for none.
struct Extras {
  const float* scale = nullptr;  // [O], of the kernel
  const float* bias = nullptr;   // [O], added to the result
  const void* residual = nullptr;  // as the result, added too, before ReLU

  // Inputs first, first + 1, first + 2 of an operation; `scaled` is the kernel's O, `channels` those of the result.
  static absl::Status Of(tensorflow::OpKernelContext* context, int first, int64_t scaled, int64_t channels,
                         const tensorflow::TensorShape& result, Extras* extras) {
    const tensorflow::Tensor &scale = context->input(first), &bias = context->input(first + 1);
    const tensorflow::Tensor& residual = context->input(first + 2);
    TF_RETURN_IF_ERROR(CheckVector("scale", scale, scaled));
    TF_RETURN_IF_ERROR(CheckVector("bias", bias, channels));
    if (residual.NumElements() > 0 && residual.shape() != result) {
      return absl::InvalidArgumentError(absl::StrCat("residual must be ", result.DebugString(), " or empty, found ",
                                                     residual.shape().DebugString()));
    }
    if (scale.NumElements() > 0) extras->scale = scale.flat<float>().data();
    if (bias.NumElements() > 0) extras->bias = bias.flat<float>().data();
    if (residual.NumElements() > 0) extras->residual = residual.tensor_data().data();
    return absl::OkStatus();
  }

  static absl::Status CheckVector(const char* name, const tensorflow::Tensor& values, int64_t channels) {
    if (values.NumElements() == 0 || values.shape() == tensorflow::TensorShape({channels})) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(name, " must be [", channels, "] or empty, found ", values.shape().DebugString()));
  }
};

inline absl::Status CheckImage(const tensorflow::Tensor& pixels) {
  if (pixels.dims() != 4) {
    return absl::InvalidArgumentError(
        absl::StrCat("image must be [B, H, W, C], found ", pixels.shape().DebugString()));
  }
  if (pixels.dim_size(3) % kLanes == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("channels must be a multiple of ", kLanes, ", found ", pixels.dim_size(3)));
}

// A kernel [taps, taps, I, O], and with `images` that their channels are I, or O for a kernel that is turned.
inline absl::Status CheckKernel(const tensorflow::Tensor& kernel, int64_t taps, const tensorflow::Tensor& images,
                                bool turned) {
  const bool fits = kernel.dims() == 4 && kernel.dim_size(0) == taps && kernel.dim_size(1) == taps &&
                    kernel.dim_size(2) % kLanes == 0 && kernel.dim_size(3) % kLanes == 0 &&
                    kernel.dim_size(turned ? 3 : 2) == images.dim_size(3);
  if (fits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("kernel must be [", taps, ",", taps, turned ? ",O," : ",",
                                                 images.dim_size(3), turned ? "]" : ",O]", " with multiples of ",
                                                 kLanes, ", found ", kernel.shape().DebugString()));
}

}  // namespace maskrcnn

#endif  // MASKRCNN_CONVOLUTION_H_
