// Where RoIAlign samples a feature map. Free of TensorFlow, so that any kernel can include it, on a GPU as well.
#ifndef MASKRCNN_ROI_GEOMETRY_H_
#define MASKRCNN_ROI_GEOMETRY_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#ifdef __CUDACC__
#define MASKRCNN_ANYWHERE __host__ __device__
#else
#define MASKRCNN_ANYWHERE
#endif

namespace maskrcnn {

// Coordinates beyond this many feature pixels are clamped: it keeps float32 sample positions meaningful and
// the number of samples representable, and no feature map comes near it.
constexpr double kFarAway = 1 << 20;

// One side of a region of interest, in feature pixels.
template <typename R>
struct Side {
  R start;
  R bin;         // length of one bin; negative if the box is inverted
  int64_t grid;  // samples per bin, 0 if the side has none

  MASKRCNN_ANYWHERE R SamplePosition(int64_t p, int64_t i) const {
    return start + R(p) * bin + (R(i) + R(0.5)) * bin / R(grid);
  }

  // Narrows [0, grid) to the samples of bin p that may lie on a map of this length.
  MASKRCNN_ANYWHERE void Reachable(int64_t p, int length, int64_t* begin, int64_t* end) const {
    *begin = 0;
    *end = grid;
    if (grid <= 8) return;
    const R step = bin / R(grid);
    const R base = start + R(p) * bin;
    const R first = std::floor((R(-1) - base) / step) - R(3);
    const R last = std::ceil((R(length) - base) / step) + R(3);
    if (step <= R(0) || !std::isfinite(first) || !std::isfinite(last)) return;
    *begin = static_cast<int64_t>(std::min(std::max(first, R(0)), R(grid)));
    *end = static_cast<int64_t>(std::min(std::max(last, R(0)), R(grid)));
  }
};

template <typename R>
MASKRCNN_ANYWHERE Side<R> MakeSide(float low, float high, R scale, bool aligned, int bins, int sampling_ratio) {
  const R offset = aligned ? R(0.5) : R(0);
  R start = R(low) * scale - offset;
  R end = R(high) * scale - offset;
  if (std::isnan(start) || std::isnan(end)) return {R(0), R(0), 0};
  const R far = R(kFarAway);
  start = std::min(std::max(start, -far), far);
  end = std::min(std::max(end, -far), far);
  R size = end - start;
  if (!aligned) size = std::max(size, R(1));
  int64_t grid = sampling_ratio;
  if (sampling_ratio == 0) grid = std::max<int64_t>(static_cast<int64_t>(std::ceil(size / R(bins))), 0);
  return {start, size / R(bins), grid};
}

// A sample position as the two pixels it is interpolated from.
template <typename R>
struct Sample {
  int low, high;
  R low_weight, high_weight;
};

// False where the position lies off the map; up to one pixel outside, the border's value counts.
template <typename R>
MASKRCNN_ANYWHERE bool Locate(R position, int length, Sample<R>* sample) {
  if (!(position >= R(-1) && position <= R(length)) || length == 0) return false;
  position = std::max(position, R(0));
  const int low = static_cast<int>(position);
  if (low >= length - 1) {
    *sample = {length - 1, length - 1, R(1), R(0)};
  } else {
    const R fraction = position - R(low);
    *sample = {low, low + 1, R(1) - fraction, fraction};
  }
  return true;
}

// Lists grouped by bin: entries of bin p are [begin[p], begin[p + 1]).
template <typename Entry>
struct Binned {
  std::vector<Entry> entries;
  std::vector<int> begin;

  void Clear() {
    entries.clear();
    begin.assign(1, 0);
  }
  void EndBin() { begin.push_back(static_cast<int>(entries.size())); }
};

template <typename R>
void ListSamples(const Side<R>& side, int bins, int length, Binned<Sample<R>>* samples) {
  samples->Clear();
  for (int p = 0; p < bins; ++p) {
    int64_t i, end;
    for (side.Reachable(p, length, &i, &end); i < end; ++i) {
      Sample<R> sample;
      if (Locate(side.SamplePosition(p, i), length, &sample)) samples->entries.push_back(sample);
    }
    samples->EndBin();
  }
}

template <typename R>
struct Tap {
  int index;
  R weight;
};

// Averaging is separable: a bin's samples along one side add up to one weight per pixel.
template <typename R>
void MergeTaps(const Binned<Sample<R>>& samples, int bins, Binned<Tap<R>>* taps) {
  taps->Clear();
  const auto add = [taps](int index, R weight) {
    auto& entries = taps->entries;
    const int size = static_cast<int>(entries.size());
    for (int i = size - 1; i >= std::max(size - 2, taps->begin.back()); --i) {
      if (entries[i].index == index) {
        entries[i].weight += weight;
        return;
      }
    }
    entries.push_back({index, weight});
  };
  for (int p = 0; p < bins; ++p) {
    for (int s = samples.begin[p]; s < samples.begin[p + 1]; ++s) {
      const Sample<R>& sample = samples.entries[s];
      add(sample.low, sample.low_weight);
      if (sample.high_weight != R(0)) add(sample.high, sample.high_weight);
    }
    taps->EndBin();
  }
}

}  // namespace maskrcnn

#endif  // MASKRCNN_ROI_GEOMETRY_H_
