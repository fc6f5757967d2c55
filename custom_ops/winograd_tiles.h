// Tiles of images and the 36 planes of products between Winograd's transforms.
//
// An image is cut into tiles of 4 x 4 outputs, which see 6 x 6 inputs each, one beyond the tile on every side, zeros beyond
// the image.
#ifndef MASKRCNN_WINOGRAD_TILES_H_
#define MASKRCNN_WINOGRAD_TILES_H_

#include <algorithm>
#include <cstdint>

#include "winograd_transforms.h"

namespace maskrcnn {

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

// ---------------------------------------------------------------------------------------------------- processors

template <typename Pixel>
struct Transforms {
  void (*gather_inputs)(const Pixel* images, const Image& image, int64_t first, int64_t count, Planes planes);
  void (*gather_outputs)(const Pixel* images, const Image& image, int64_t first, int64_t count, Planes planes);
  void (*scatter_outputs)(Planes planes, const Image& image, int64_t first, int64_t count,
                          const TileFinish<Pixel>& finish, Pixel* images);
};

#define MASKRCNN_WINOGRAD_TILES(Target, name)                                                                   \
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
  };

MASKRCNN_WINOGRAD_TILES(MASKRCNN_TARGET("avx512f"), Of16Floats)
MASKRCNN_WINOGRAD_TILES(MASKRCNN_TARGET("avx2,fma"), Of8Floats)
MASKRCNN_WINOGRAD_TILES(, Of4Floats)

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

}  // namespace maskrcnn

#endif  // MASKRCNN_WINOGRAD_TILES_H_
