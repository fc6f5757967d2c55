// The transforms of Winograd's F(4x4, 3x3) along one side, for sixteen channels at once, in float32; pixels may be in bfloat16.
#ifndef MASKRCNN_WINOGRAD_TRANSFORMS_H_
#define MASKRCNN_WINOGRAD_TRANSFORMS_H_

#include <cstdint>

#include "matrix_product.h"
#include "processors.h"

namespace maskrcnn {

constexpr int kTile = 4;    // outputs on a side
constexpr int kPoints = 6;  // products on a side
constexpr int kPlanes = kPoints * kPoints;
constexpr int kTaps = 3;    // of the kernel, on a side

// Compilers make of these what the processor has: one register, two or four.
typedef float Lanes __attribute__((vector_size(kLanes * sizeof(float)), aligned(sizeof(float)), may_alias));
typedef uint32_t Words __attribute__((vector_size(kLanes * sizeof(uint32_t)), aligned(sizeof(uint32_t)), may_alias));
typedef uint16_t Halves __attribute__((vector_size(kLanes * sizeof(uint16_t)), aligned(sizeof(uint16_t)), may_alias));

// ------------------------------------------------------------------------------------------------------ pixels

MASKRCNN_INLINE Lanes Load(const float* pixel) { return *reinterpret_cast<const Lanes*>(pixel); }

MASKRCNN_INLINE void Store(float* pixel, Lanes values) { *reinterpret_cast<Lanes*>(pixel) = values; }

// A bfloat16 is the upper half of a float32.
MASKRCNN_INLINE Lanes Load(const uint16_t* pixel) {
  const Words words = __builtin_convertvector(*reinterpret_cast<const Halves*>(pixel), Words) << 16;
  return reinterpret_cast<const Lanes&>(words);
}

// Rounded to the nearest, half to even, as TensorFlow casts; what is not a number stays none.
MASKRCNN_INLINE void Store(uint16_t* pixel, Lanes values) {
  const Words words = reinterpret_cast<const Words&>(values);
  const Words rounded = words + 0x7fff + (words >> 16 & 1);
  const Words nan = {};
  const Words chosen = values == values ? rounded : nan + 0x7fc00000;
  *reinterpret_cast<Halves*>(pixel) = __builtin_convertvector(chosen >> 16, Halves);
}

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

struct Kernel {
  static MASKRCNN_INLINE void Gather(const Lanes* g, int step, Lanes* t, int to) {
    const Lanes ends = (g[0] + g[2 * step]) / -6, middle = g[step] / 6;
    const Lanes far_ends = (g[0] + 4 * g[2 * step]) / 24, far_middle = g[step] / 12;
    t[0] = g[0] / 4;
    t[to] = ends - middle;
    t[2 * to] = ends + middle;
    t[3 * to] = far_ends + far_middle;
    t[4 * to] = far_ends - far_middle;
    t[5 * to] = g[2 * step];
  }

  static MASKRCNN_INLINE void Scatter(const Lanes* t, int step, Lanes* g, int to) {
    const Lanes sum = (t[step] + t[2 * step]) / -6, far_sum = (t[3 * step] + t[4 * step]) / 24;
    g[0] = t[0] / 4 + sum + far_sum;
    g[to] = (t[2 * step] - t[step]) / 6 + (t[3 * step] - t[4 * step]) / 12;
    g[2 * to] = sum + 4 * far_sum + t[5 * step];
  }
};

}  // namespace maskrcnn

#endif  // MASKRCNN_WINOGRAD_TRANSFORMS_H_
