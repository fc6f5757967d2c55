// The transforms of Winograd's F(4x4, 3x3): between tiles of images, or kernels, and 36 planes of products.
//
// An image is cut into tiles of 4 x 4 outputs, which see 6 x 6 inputs each, one beyond the tile on every side, zeros beyond
// the image. All transforms work on sixteen channels at once, in float32; images may be in bfloat16.
#ifndef MASKRCNN_WINOGRAD_TILES_H_
#define MASKRCNN_WINOGRAD_TILES_H_

#include <algorithm>
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

// ------------------------------------------------------------------------------------------------------ tiles

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

// Where a tile of the images lies; tiles are counted row by row and image by image.
struct Tile {
  int64_t image, row, column;

  static MASKRCNN_INLINE Tile Of(const Image& image, int64_t number) {
    const int64_t across = image.Across(), each = image.Down() * across;
    return {number / each, number % each / across, number % across};
  }
};

// The 36 planes of some tiles, or of a kernel: `plane` floats each, their rows `step` floats apart.
struct Planes {
  float* values;
  int64_t plane, step;

  MASKRCNN_INLINE float* At(int u, int64_t row) const { return values + u * plane + row * step; }
};

// Sixteen channels of one tile, which begins at `corner`: to column `column` of the planes' rows `number`.
template <typename Side, bool kWhole, typename Pixel>
MASKRCNN_INLINE void GatherTile(const Pixel* corner, int64_t down, int64_t across, const Patch& patch, Planes planes,
                                int64_t number, int64_t column) {
  constexpr int kPixels = Side::kPixels;
  Lanes half[kPoints * kPixels];
#pragma GCC unroll 8
  for (int s = 0; s < kPixels; ++s) {
    Lanes d[kPixels];
#pragma GCC unroll 8
    for (int r = 0; r < kPixels; ++r) {
      const bool inside = kWhole || (r >= patch.top && r < patch.bottom && s >= patch.left && s < patch.right);
      const Pixel* pixel = corner + r * down + s * across;
      d[r] = inside ? Load(pixel) : Lanes{};
      // of the next tile, what this one does not see: each pixel is a stream of its own, and no processor follows so many
      if (s >= kPixels - kTile) __builtin_prefetch(pixel + kTile * across);
    }
    Side::Gather(d, 1, half + s, kPixels);
  }
#pragma GCC unroll 8
  for (int u = 0; u < kPoints; ++u) {
    Lanes t[kPoints];
    Side::Gather(half + u * kPixels, 1, t, 1);
#pragma GCC unroll 8
    for (int v = 0; v < kPoints; ++v) Store(planes.At(u * kPoints + v, number) + column, t[v]);
  }
}

// Tiles first, first + 1, ... of the images.
template <typename Side, typename Pixel>
MASKRCNN_INLINE void GatherTiles(const Pixel* images, const Image& image, int64_t first, int64_t count, Planes planes) {
  constexpr int kPixels = Side::kPixels;
  const int64_t across = image.channels, down = image.width * across;
  for (int64_t number = 0; number < count; ++number) {
    const Tile tile = Tile::Of(image, first + number);
    const Patch patch = Patch::Of<Side>(image, tile.row, tile.column);
    const Pixel* corner = images + tile.image * image.height * down + patch.y * down + patch.x * across;
    const bool whole = patch.top == 0 && patch.left == 0 && patch.bottom == kPixels && patch.right == kPixels;
    for (int64_t channel = 0; channel < image.channels; channel += kLanes) {
      if (whole) {
        GatherTile<Side, true>(corner + channel, down, across, patch, planes, number, channel);
      } else {
        GatherTile<Side, false>(corner + channel, down, across, patch, planes, number, channel);
      }
    }
  }
}

// What is done to a result before it is stored; what is null is not.
template <typename Pixel>
struct TileFinish {
  const float* bias;      // [C], added
  const Pixel* residual;  // as the images, added
  bool relu;              // what is negative becomes zero
};

template <typename Pixel>
MASKRCNN_INLINE void ScatterTiles(Planes planes, const Image& image, int64_t first, int64_t count,
                                  const TileFinish<Pixel>& finish, Pixel* images) {
  const int64_t across = image.channels, down = image.width * across;
  for (int64_t number = 0; number < count; ++number) {
    const Tile tile = Tile::Of(image, first + number);
    const Patch patch = Patch::Of<Output>(image, tile.row, tile.column);
    const int64_t corner = tile.image * image.height * down + patch.y * down + patch.x * across;
    for (int64_t channel = 0; channel < image.channels; channel += kLanes) {
      Lanes half[kTile * kPoints];
#pragma GCC unroll 8
      for (int v = 0; v < kPoints; ++v) {
        Lanes t[kPoints];
#pragma GCC unroll 8
        for (int u = 0; u < kPoints; ++u) t[u] = Load(planes.At(u * kPoints + v, number) + channel);
        Output::Scatter(t, 1, half + v, kPoints);
      }
      const Lanes bias = finish.bias == nullptr ? Lanes{} : Load(finish.bias + channel);
#pragma GCC unroll 4
      for (int r = 0; r < kTile; ++r) {
        Lanes y[kTile];
        Output::Scatter(half + r * kPoints, 1, y, 1);
#pragma GCC unroll 4
        for (int s = 0; s < kTile; ++s) {
          if (r >= patch.bottom || s >= patch.right) continue;
          const int64_t offset = corner + r * down + s * across + channel;
          Lanes value = y[s] + bias;
          if (finish.residual != nullptr) value += Load(finish.residual + offset);
          if (finish.relu) value = value < 0 ? Lanes{} : value;
          Store(images + offset, value);
          __builtin_prefetch(images + offset + kTile * across, 1);
        }
      }
    }
  }
}

// ------------------------------------------------------------------------------------------------------ kernels

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

template <typename Pixel>
struct Transforms {
  void (*gather_inputs)(const Pixel* images, const Image& image, int64_t first, int64_t count, Planes planes);
  void (*gather_outputs)(const Pixel* images, const Image& image, int64_t first, int64_t count, Planes planes);
  void (*scatter_outputs)(Planes planes, const Image& image, int64_t first, int64_t count,
                          const TileFinish<Pixel>& finish, Pixel* images);
};

struct KernelTransforms {
  void (*panel)(const KernelView& kernel, int64_t output, float* weights);
  void (*gradient_row)(const float* planes, int64_t parts, int64_t inputs, int64_t outputs, int64_t input,
                       float* kernel);
};

#define MASKRCNN_WINOGRAD(Target, name)                                                                         \
  template <typename Pixel>                                                                                     \
  struct Transforms##name {                                                                                     \
    Target static void GatherInputs(const Pixel* images, const Image& image, int64_t first, int64_t count,      \
                                    Planes planes) {                                                            \
      GatherTiles<Input>(images, image, first, count, planes);                                                  \
    }                                                                                                           \
    Target static void GatherOutputs(const Pixel* images, const Image& image, int64_t first, int64_t count,     \
                                     Planes planes) {                                                           \
      GatherTiles<Output>(images, image, first, count, planes);                                                 \
    }                                                                                                           \
    Target static void ScatterOutputs(Planes planes, const Image& image, int64_t first, int64_t count,          \
                                      const TileFinish<Pixel>& finish, Pixel* images) {                         \
      ScatterTiles(planes, image, first, count, finish, images);                                                \
    }                                                                                                           \
  };                                                                                                            \
  Target inline void TransformPanel##name(const KernelView& kernel, int64_t output, float* weights) {           \
    TransformPanel(kernel, output, weights);                                                                    \
  }                                                                                                             \
  Target inline void KernelGradientRow##name(const float* planes, int64_t parts, int64_t inputs,                \
                                             int64_t outputs, int64_t input, float* kernel) {                   \
    KernelGradientRow(planes, parts, inputs, outputs, input, kernel);                                           \
  }

MASKRCNN_WINOGRAD(MASKRCNN_TARGET("avx512f"), Of16Floats)
MASKRCNN_WINOGRAD(MASKRCNN_TARGET("avx2,fma"), Of8Floats)
MASKRCNN_WINOGRAD(, Of4Floats)

// The ones for this processor.
template <typename Pixel>
Transforms<Pixel> FastestTransforms() {
  const int width = FloatsInRegister();
  const auto of = [](auto found) -> Transforms<Pixel> {
    return {&decltype(found)::GatherInputs, &decltype(found)::GatherOutputs, &decltype(found)::ScatterOutputs};
  };
  if (width == 16) return of(TransformsOf16Floats<Pixel>());
  return width == 8 ? of(TransformsOf8Floats<Pixel>()) : of(TransformsOf4Floats<Pixel>());
}

inline KernelTransforms FastestKernelTransforms() {
  const int width = FloatsInRegister();
  if (width == 16) return {&TransformPanelOf16Floats, &KernelGradientRowOf16Floats};
  if (width == 8) return {&TransformPanelOf8Floats, &KernelGradientRowOf8Floats};
  return {&TransformPanelOf4Floats, &KernelGradientRowOf4Floats};
}

}  // namespace maskrcnn

#endif  // MASKRCNN_WINOGRAD_TILES_H_
