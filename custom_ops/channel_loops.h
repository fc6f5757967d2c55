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

// The largest of four samples in one pass, four pixels and weights each, and which it is; `start` and `none` where no
// sample is larger than that. A NaN is larger.
#define MASKRCNN_LARGEST_LOOP(T, R)                                                                            \
  MASKRCNN_EVERY_PROCESSOR void TakeLargestOfFour(const T* const* pixels, const R* weights, R start, int32_t none, \
                                                  int count, R* __restrict__ best, int32_t* __restrict__ which) { \
    const T *a = pixels[0], *b = pixels[1], *c = pixels[2], *d = pixels[3], *e = pixels[4], *f = pixels[5],    \
            *g = pixels[6], *h = pixels[7], *i = pixels[8], *j = pixels[9], *k = pixels[10], *l = pixels[11],  \
            *m = pixels[12], *n = pixels[13], *o = pixels[14], *p = pixels[15];                                \
    const R* w = weights;                                                                                      \
    const R w0 = w[0], w1 = w[1], w2 = w[2], w3 = w[3], w4 = w[4], w5 = w[5], w6 = w[6], w7 = w[7], w8 = w[8], \
            w9 = w[9], w10 = w[10], w11 = w[11], w12 = w[12], w13 = w[13], w14 = w[14], w15 = w[15];           \
    for (int at = 0; at < count; ++at) {                                                                       \
      const R v0 = w0 * R(a[at]) + w1 * R(b[at]) + w2 * R(c[at]) + w3 * R(d[at]);                              \
      const R v1 = w4 * R(e[at]) + w5 * R(f[at]) + w6 * R(g[at]) + w7 * R(h[at]);                              \
      const R v2 = w8 * R(i[at]) + w9 * R(j[at]) + w10 * R(k[at]) + w11 * R(l[at]);                            \
      const R v3 = w12 * R(m[at]) + w13 * R(n[at]) + w14 * R(o[at]) + w15 * R(p[at]);                          \
      R top = start;                                                                                           \
      int32_t index = none;                                                                                    \
      const bool larger0 = (v0 > top) | (v0 != v0);                                                            \
      top = larger0 ? v0 : top;                                                                                \
      index = larger0 ? 0 : index;                                                                             \
      const bool larger1 = (v1 > top) | (v1 != v1);                                                            \
      top = larger1 ? v1 : top;                                                                                \
      index = larger1 ? 1 : index;                                                                             \
      const bool larger2 = (v2 > top) | (v2 != v2);                                                            \
      top = larger2 ? v2 : top;                                                                                \
      index = larger2 ? 2 : index;                                                                             \
      const bool larger3 = (v3 > top) | (v3 != v3);                                                            \
      top = larger3 ? v3 : top;                                                                                \
      index = larger3 ? 3 : index;                                                                             \
      best[at] = top;                                                                                          \
      which[at] = index;                                                                                       \
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
MASKRCNN_LARGEST_LOOP(Eigen::half, float)
MASKRCNN_LARGEST_LOOP(Eigen::bfloat16, float)
MASKRCNN_LARGEST_LOOP(float, float)
MASKRCNN_LARGEST_LOOP(double, double)

}  // namespace maskrcnn

#endif  // MASKRCNN_CHANNEL_LOOPS_H_
