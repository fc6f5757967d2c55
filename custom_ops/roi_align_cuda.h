// The CUDA kernels of RoIAlign behind plain C: no TensorFlow, no CUDA headers, so that TensorFlow, ctypes or any other
// program can call them. All pointers but the call itself point to the GPU's memory.
#ifndef MASKRCNN_ROI_ALIGN_CUDA_H_
#define MASKRCNN_ROI_ALIGN_CUDA_H_

#include <stdint.h>

#define MASKRCNN_MOST_LEVELS 8

#define MASKRCNN_FLOAT32 0
#define MASKRCNN_FLOAT16 1
#define MASKRCNN_BFLOAT16 2
#define MASKRCNN_FLOAT64 3

// An error of the call itself; positive numbers are CUDA's.
#define MASKRCNN_BAD_CALL (-1)

struct MaskrcnnRoiAlign {
  int32_t dtype;  // of features, pooled and their gradients
  int32_t num_levels;
  int32_t batch, channels;
  int32_t output_size, sampling_ratio;
  int32_t aligned, take_max;
  int32_t heights[MASKRCNN_MOST_LEVELS], widths[MASKRCNN_MOST_LEVELS];
  float strides[MASKRCNN_MOST_LEVELS];
  const void* features[MASKRCNN_MOST_LEVELS];  // [batch, height, width, channels]; a mean's gradient needs none
  int64_t count;
  const float* boxes;            // [count, 4]
  const int32_t* image_indices;  // [count]; boxes with an index or level out of range pool zeros
  const int32_t* levels;         // [count]
};

#define MASKRCNN_EXPORT __attribute__((visibility("default")))

#ifdef __cplusplus
extern "C" {
#endif

// 0 if this library can use a GPU of this machine; otherwise CUDA's error (35: the driver is too old, 100: no GPU).
MASKRCNN_EXPORT int maskrcnn_cuda_status();

// What an error code means.
MASKRCNN_EXPORT const char* maskrcnn_cuda_error(int code);

// Writes pooled [count, output_size, output_size, channels]. `stream` is a cudaStream_t.
MASKRCNN_EXPORT int maskrcnn_roi_align(const struct MaskrcnnRoiAlign* call, void* pooled, void* stream);

// Bytes of scratch memory that the gradient needs.
MASKRCNN_EXPORT int64_t maskrcnn_roi_align_gradient_workspace(const struct MaskrcnnRoiAlign* call);

// Writes feature_gradients[level] [batch, height, width, channels] from gradient, which is shaped as pooled is.
MASKRCNN_EXPORT int maskrcnn_roi_align_gradient(const struct MaskrcnnRoiAlign* call, const void* gradient,
                                                void* const* feature_gradients, void* workspace, void* stream);

#ifdef __cplusplus
}
#endif

#endif  // MASKRCNN_ROI_ALIGN_CUDA_H_
