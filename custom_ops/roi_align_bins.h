// What the CPU kernels of RoIAlign and of its gradient share: where each bin of a region samples, and its maximum.
#ifndef MASKRCNN_ROI_ALIGN_BINS_H_
#define MASKRCNN_ROI_ALIGN_BINS_H_

#include <limits>
#include <type_traits>
#include <vector>

#include "channel_loops.h"
#include "roi_align_inputs.h"

namespace maskrcnn {

inline absl::Status CheckIndices(const Regions& regions) {
  for (int64_t n = 0; n < regions.count; ++n) {
    if (regions.images[n] < 0 || regions.images[n] >= regions.batch) {
      return InvalidArgument("image_indices[", n, "] is ", regions.images[n], ", outside a batch of ",
                             regions.batch);
    }
    if (regions.levels[n] < 0 || regions.levels[n] >= regions.features.size()) {
      return InvalidArgument("levels[", n, "] is ", regions.levels[n], ", outside the ", regions.features.size(),
                             " feature levels");
    }
  }
  return absl::OkStatus();
}

// Sums are made in float32, or in double for double.
template <typename T>
using Real = std::conditional_t<std::is_same_v<T, double>, double, float>;

// Sample positions of one region; reused from region to region to keep its memory.
template <typename R>
struct Plan {
  Binned<Sample<R>> y, x;
  Binned<Tap<R>> y_taps, x_taps;
  int64_t grid_y, grid_x;

  void Make(const Settings& s, const Regions& regions, int64_t n) {
    const Tensor& feature = regions.features[regions.levels[n]];
    const R scale = R(1) / R(s.strides[regions.levels[n]]);
    const float* box = regions.boxes + 4 * n;
    const auto side_x = MakeSide<R>(box[0], box[2], scale, s.aligned, s.size, s.sampling_ratio);
    const auto side_y = MakeSide<R>(box[1], box[3], scale, s.aligned, s.size, s.sampling_ratio);
    grid_y = side_y.grid;
    grid_x = side_x.grid;
    ListSamples(side_y, s.size, feature.dim_size(1), &y);
    ListSamples(side_x, s.size, feature.dim_size(2), &x);
    if (s.take_max) return;
    MergeTaps(y, s.size, &y_taps);
    MergeTaps(x, s.size, &x_taps);
  }

  R Normalizer() const { return R(1) / std::max(R(grid_y) * R(grid_x), R(1)); }

  // Whether some samples of the bin lie off the map, where the value is zero.
  bool HasOutside(int p, int q) const {
    const int64_t inside = int64_t{y.begin[p + 1] - y.begin[p]} * (x.begin[q + 1] - x.begin[q]);
    return grid_y > 0 && grid_x > 0 && R(inside) < R(grid_y) * R(grid_x);
  }
};
// Channels handled at a time: small enough that their sums stay in the first-level cache.
constexpr int kBlock = 256;
// The four pixels around a sample and their weights.
template <typename R>
struct Corners {
  int64_t at[4];
  R weight[4];

  Corners(const Sample<R>& y, const Sample<R>& x, int64_t width)
      : at{y.low * width + x.low, y.low * width + x.high, y.high * width + x.low, y.high * width + x.high},
        weight{y.low_weight * x.low_weight, y.low_weight * x.high_weight, y.high_weight * x.low_weight,
               y.high_weight * x.high_weight} {}
};

// The samples of a bin that lie on the map, row by row.
template <typename R>
void ListCorners(const Plan<R>& plan, int p, int q, int64_t width, std::vector<Corners<R>>* samples) {
  samples->clear();
  for (int i = plan.y.begin[p]; i < plan.y.begin[p + 1]; ++i) {
    for (int j = plan.x.begin[q]; j < plan.x.begin[q + 1]; ++j) {
      samples->emplace_back(plan.y.entries[i], plan.x.entries[j], width);
    }
  }
}

// Finds the largest sample of a bin for `block` channels from `map` on, and which one it is: -1 is the zero off
// the map. A NaN wins. Ties go to the zero, then to the first sample.
template <typename T, typename R>
void MaxOfBin(const std::vector<Corners<R>>& samples, bool outside, const T* map, int64_t channels, int block,
              R* best, int32_t* which) {
  const bool zero = outside || samples.empty();
  const R start = zero ? R(0) : -std::numeric_limits<R>::infinity();
  const int32_t none = zero ? -1 : 0;
  if (samples.size() == 4) {
    const T* pixels[16];
    R weights[16];
    for (int at = 0; at < 16; ++at) {
      pixels[at] = map + samples[at / 4].at[at % 4] * channels;
      weights[at] = samples[at / 4].weight[at % 4];
    }
    return TakeLargestOfFour(pixels, weights, start, none, block, best, which);
  }
  std::fill(best, best + block, start);
  std::fill(which, which + block, none);
  for (size_t index = 0; index < samples.size(); ++index) {
    const Corners<R>& corners = samples[index];
    TakeLarger(map + corners.at[0] * channels, map + corners.at[1] * channels, map + corners.at[2] * channels,
               map + corners.at[3] * channels, corners.weight, static_cast<int32_t>(index), block, best, which);
  }
}
}  // namespace maskrcnn

#endif  // MASKRCNN_ROI_ALIGN_BINS_H_
