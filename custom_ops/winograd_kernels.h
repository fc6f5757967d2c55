// Kernels [3, 3, I, O] in Winograd's 36 planes, and their gradients out of these.
#ifndef MASKRCNN_WINOGRAD_KERNELS_H_
#define MASKRCNN_WINOGRAD_KERNELS_H_

#include <cstdint>

#include "winograd_transforms.h"

namespace maskrcnn {

// [3, 3, inputs, outputs], or for the gradient to the images the same turned by half a turn, with inputs and outputs
// exchanged.
struct KernelView {
  const float* values;
  const float* scale;  // of what are outputs where it is not turned, or null
  int64_t inputs, outputs;  // of the convolution that is done with it
  bool turned;

  MASKRCNN_INLINE Lanes At(int tap, int64_t input, int64_t output) const {
    if (!turned) {
      const Lanes lanes = Load(values + (tap * inputs + input) * outputs + output);
      return scale == nullptr ? lanes : lanes * Load(scale + output);
    }
    Lanes lanes;
    const float* first = values + ((kTaps * kTaps - 1 - tap) * outputs + output) * inputs + input;
    for (int lane = 0; lane < kLanes; ++lane) lanes[lane] = first[lane * inputs];
    return scale == nullptr ? lanes : lanes * scale[input];
  }
};

// Writes the outputs output .. output + 15 of all planes; weights are [36, outputs / 16, inputs, 16].
MASKRCNN_INLINE void TransformPanel(const KernelView& kernel, int64_t output, float* weights) {
  for (int64_t input = 0; input < kernel.inputs; ++input) {
    Lanes g[kTaps * kTaps], half[kPoints * kTaps], t[kPlanes];
    for (int tap = 0; tap < kTaps * kTaps; ++tap) g[tap] = kernel.At(tap, input, output);
    for (int s = 0; s < kTaps; ++s) Kernel::Gather(g + s, kTaps, half + s, kTaps);
    for (int u = 0; u < kPoints; ++u) Kernel::Gather(half + u * kTaps, 1, t + u * kPoints, 1);
    float* to = weights + output * kernel.inputs + input * kLanes;
    for (int u = 0; u < kPlanes; ++u) Store(to + u * kernel.inputs * kernel.outputs, t[u]);
  }
}

// The gradient to row `input` of a kernel, from `parts` times the gradients to all planes, [parts, 36, inputs, outputs].
MASKRCNN_INLINE void KernelGradientRow(const float* planes, int64_t parts, int64_t inputs, int64_t outputs,
                                       int64_t input, float* kernel) {
  const int64_t plane = inputs * outputs;
  for (int64_t output = 0; output < outputs; output += kLanes) {
    Lanes t[kPlanes], half[kTaps * kPoints], g[kTaps * kTaps];
    const int64_t offset = input * outputs + output;
    for (int u = 0; u < kPlanes; ++u) {
      t[u] = Load(planes + u * plane + offset);
      for (int64_t part = 1; part < parts; ++part) t[u] += Load(planes + (part * kPlanes + u) * plane + offset);
    }
    for (int v = 0; v < kPoints; ++v) Kernel::Scatter(t + v, kPoints, half + v, kPoints);
    for (int r = 0; r < kTaps; ++r) Kernel::Scatter(half + r * kPoints, 1, g + r * kTaps, 1);
    for (int tap = 0; tap < kTaps * kTaps; ++tap) Store(kernel + tap * plane + offset, g[tap]);
  }
}

// ---------------------------------------------------------------------------------------------------- processors

struct KernelTransforms {
  void (*panel)(const KernelView& kernel, int64_t output, float* weights);
  void (*gradient_row)(const float* planes, int64_t parts, int64_t inputs, int64_t outputs, int64_t input,
                       float* kernel);
};

#define MASKRCNN_WINOGRAD_KERNELS(Target, name)                                                        \
  Target inline void TransformPanel##name(const KernelView& kernel, int64_t output, float* weights) {  \
    TransformPanel(kernel, output, weights);                                                           \
  }                                                                                                    \
  Target inline void KernelGradientRow##name(const float* planes, int64_t parts, int64_t inputs,       \
                                             int64_t outputs, int64_t input, float* kernel) {          \
    KernelGradientRow(planes, parts, inputs, outputs, input, kernel);                                  \
  }

MASKRCNN_WINOGRAD_KERNELS(MASKRCNN_TARGET("avx512f"), Of16Floats)
MASKRCNN_WINOGRAD_KERNELS(MASKRCNN_TARGET("avx2,fma"), Of8Floats)
MASKRCNN_WINOGRAD_KERNELS(, Of4Floats)

// The ones for this processor.
inline KernelTransforms FastestKernelTransforms() {
  const int width = FloatsInRegister();
  if (width == 16) return {&TransformPanelOf16Floats, &KernelGradientRowOf16Floats};
  if (width == 8) return {&TransformPanelOf8Floats, &KernelGradientRowOf8Floats};
  return {&TransformPanelOf4Floats, &KernelGradientRowOf4Floats};
}

}  // namespace maskrcnn

#endif  // MASKRCNN_WINOGRAD_KERNELS_H_
