// The inner loops over channels, where the kernels' time goes, in a version for each generation of x86 processors
// that is chosen when the library is loaded: one library serves every machine.
#ifndef MASKRCNN_CHANNEL_LOOPS_H_
#define MASKRCNN_CHANNEL_LOOPS_H_

#include <cstdint>

#include "Eigen/Core"
#include "processors.h"

namespace maskrcnn {

// T is what is read, R what it is summed in. Templates cannot have versions, so every pair gets its functions.
#define MASKRCNN_CHANNEL_LOOPS(T, R)                                                                           \
  MASKRCNN_EVERY_PROCESSOR void AddWeighted(const T* __restrict__ a, R weight, int count, R* __restrict__ sum) { \
    for (int c = 0; c < count; ++c) sum[c] += weight * static_cast<R>(a[c]);                                   \
  }                                                                                                            \
                                                                                                               \
  MASKRCNN_EVERY_PROCESSOR void AddThreeWeighted(const T* __restrict__ a, const T* __restrict__ b,              \
                                                 const T* __restrict__ c, R weight_a, R weight_b, R weight_c,   \
                                                 int count, R* __restrict__ sum) {                             \
    for (int i = 0; i < count; ++i) {                                                                          \
      sum[i] += weight_a * static_cast<R>(a[i]) + weight_b * static_cast<R>(b[i]) +                            \
                weight_c * static_cast<R>(c[i]);                                                               \
    }                                                                                                          \
  }                                                                                                            \
                                                                                                               \
  /* Replaces what is smaller than the sample between four pixels, and notes its index; a NaN is larger. */    \
  MASKRCNN_EVERY_PROCESSOR void TakeLarger(const T* __restrict__ a, const T* __restrict__ b,                    \
                                           const T* __restrict__ c, const T* __restrict__ d,                   \
                                           const R* __restrict__ weights, int32_t index, int count,            \
                                           R* __restrict__ best, int32_t* __restrict__ which) {                \
    const R wa = weights[0], wb = weights[1], wc = weights[2], wd = weights[3];                                \
    for (int i = 0; i < count; ++i) {                                                                          \
      const R value = wa * static_cast<R>(a[i]) + wb * static_cast<R>(b[i]) + wc * static_cast<R>(c[i]) +       \
                      wd * static_cast<R>(d[i]);                                                               \
      const bool larger = value > best[i] || value != value;                                                   \
      best[i] = larger ? value : best[i];                                                                      \
      which[i] = larger ? index : which[i];                                                                    \
    }                                                                                                          \
  }

// The other direction: adds the same values, weighted, to three pixels, which must not be one another.
#define MASKRCNN_SPREAD_LOOP(R)                                                                                \
  MASKRCNN_EVERY_PROCESSOR void SpreadToThree(const R* __restrict__ values, R weight_a, R weight_b, R weight_c, \
                                              int count, R* __restrict__ a, R* __restrict__ b,                 \
                                              R* __restrict__ c) {                                             \
    for (int i = 0; i < count; ++i) {                                                                          \
      a[i] += weight_a * values[i];                                                                            \
      b[i] += weight_b * values[i];                                                                            \
      c[i] += weight_c * values[i];                                                                            \
    }                                                                                                          \
  }

// To the four pixels around the sample `index` of a bin adds, weighted, the values of the channels whose maximum it is.
// The pixels must not be one another.
#define MASKRCNN_SPREAD_CHOSEN_LOOP(R)                                                                         \
  MASKRCNN_EVERY_PROCESSOR void SpreadChosen(const R* __restrict__ values, const int32_t* __restrict__ which,   \
                                             int32_t index, const R* __restrict__ weights, int count,          \
                                             R* __restrict__ a, R* __restrict__ b, R* __restrict__ c,          \
                                             R* __restrict__ d) {                                              \
    const R wa = weights[0], wb = weights[1], wc = weights[2], wd = weights[3];                                \
    for (int i = 0; i < count; ++i) {                                                                          \
      const R value = which[i] == index ? values[i] : R(0);                                                    \
      a[i] += wa * value;                                                                                      \
      b[i] += wb * value;                                                                                      \
      c[i] += wc * value;                                                                                      \
      d[i] += wd * value;                                                                                      \
    }                                                                                                          \
  }

MASKRCNN_SPREAD_CHOSEN_LOOP(float)
MASKRCNN_SPREAD_CHOSEN_LOOP(double)
MASKRCNN_SPREAD_LOOP(float)
MASKRCNN_SPREAD_LOOP(double)
MASKRCNN_CHANNEL_LOOPS(Eigen::half, float)
MASKRCNN_CHANNEL_LOOPS(Eigen::bfloat16, float)
MASKRCNN_CHANNEL_LOOPS(float, float)
MASKRCNN_CHANNEL_LOOPS(double, double)

}  // namespace maskrcnn

#endif  // MASKRCNN_CHANNEL_LOOPS_H_
