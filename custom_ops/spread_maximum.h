// The gradient of a bin's maximum where the bin has few samples: these share pixels, and each pixel is read and
// written once, whichever of them the channels chose.
#ifndef MASKRCNN_SPREAD_MAXIMUM_H_
#define MASKRCNN_SPREAD_MAXIMUM_H_

#include <cstdint>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include "processors.h"

namespace maskrcnn {

constexpr int kShared = 4;         // samples that are handled so, which lie on as many pixels each
constexpr int kWeights = 16;  // one for each sample, and zeros: the last of 8 and of 16 stands for -1

// The pixels on which a bin's samples lie, and what each weighs in each sample.
struct SharedPixels {
  float* sums[kShared * 4];
  float weights[kShared * 4][kWeights];
  int count;
};

namespace spread_maximum {

// Adds `values` of the channels from..count, one after the other.
MASKRCNN_INLINE void Rest(const SharedPixels& pixels, const float* values, const int32_t* which, int from,
                          int count) {
  for (int at = 0; at < pixels.count; ++at) {
    for (int c = from; c < count; ++c) {
      pixels.sums[at][c] += pixels.weights[at][which[c] & (kWeights - 1)] * values[c];
    }
  }
}

#if defined(__x86_64__)
// A register holds the weights of a pixel, and `which` picks among them.
MASKRCNN_TARGET("avx512f")
inline void SpreadOf16Floats(const SharedPixels& pixels, const float* values, const int32_t* which, int count) {
  int c = 0;
  for (; c + 16 <= count; c += 16) {
    const __m512 value = _mm512_loadu_ps(values + c);
    const __m512i index = _mm512_loadu_si512(which + c);
    for (int at = 0; at < pixels.count; ++at) {
      float* sums = pixels.sums[at] + c;
      const __m512 weights = _mm512_permutexvar_ps(index, _mm512_loadu_ps(pixels.weights[at]));
      _mm512_storeu_ps(sums, _mm512_fmadd_ps(weights, value, _mm512_loadu_ps(sums)));
    }
  }
  Rest(pixels, values, which, c, count);
}

MASKRCNN_TARGET("avx2,fma")
inline void SpreadOf8Floats(const SharedPixels& pixels, const float* values, const int32_t* which, int count) {
  int c = 0;
  for (; c + 8 <= count; c += 8) {
    const __m256 value = _mm256_loadu_ps(values + c);
    const __m256i index = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(which + c));
    for (int at = 0; at < pixels.count; ++at) {
      float* sums = pixels.sums[at] + c;
      const __m256 weights = _mm256_permutevar8x32_ps(_mm256_loadu_ps(pixels.weights[at]), index);
      _mm256_storeu_ps(sums, _mm256_fmadd_ps(weights, value, _mm256_loadu_ps(sums)));
    }
  }
  Rest(pixels, values, which, c, count);
}
#endif

inline void SpreadOf4Floats(const SharedPixels& pixels, const float* values, const int32_t* which, int count) {
  Rest(pixels, values, which, 0, count);
}

}  // namespace spread_maximum

typedef void (*SpreadFunction)(const SharedPixels& pixels, const float* values, const int32_t* which, int count);

// The one for this processor.
inline SpreadFunction FastestSpread() {
#if defined(__x86_64__)
  const int width = FloatsInRegister();
  if (width == 16) return &spread_maximum::SpreadOf16Floats;
  if (width == 8) return &spread_maximum::SpreadOf8Floats;
#endif
  return &spread_maximum::SpreadOf4Floats;
}

}  // namespace maskrcnn

#endif  // MASKRCNN_SPREAD_MAXIMUM_H_
