// Just enough of CUDA to run the kernels of roi_align_cuda.cu on a CPU, one thread after another: they share no memory
// and wait for nobody, so that their results do not depend on it.
#ifndef MASKRCNN_CUDA_ON_CPU_H_
#define MASKRCNN_CUDA_ON_CPU_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <type_traits>

#define __global__
#define __device__
#define __host__

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};

inline dim3 gridDim, blockDim, blockIdx, threadIdx;

using cudaStream_t = void*;
enum cudaError_t { cudaSuccess = 0, cudaErrorNoDevice = 100 };

inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = 0;
  return cudaErrorNoDevice;
}
inline const char* cudaGetErrorString(cudaError_t error) { return error == cudaSuccess ? "no error" : "no CUDA"; }

template <typename... Parameters, typename... Arguments>
void Launch(void (*kernel)(Parameters...), dim3 blocks, dim3 threads, cudaStream_t, Arguments... arguments) {
  gridDim = blocks;
  blockDim = threads;
  for (blockIdx.x = 0; blockIdx.x < blocks.x; ++blockIdx.x) {
    for (threadIdx.y = 0; threadIdx.y < threads.y; ++threadIdx.y) {
      for (threadIdx.x = 0; threadIdx.x < threads.x; ++threadIdx.x) kernel(arguments...);
    }
  }
}

#endif  // MASKRCNN_CUDA_ON_CPU_H_
