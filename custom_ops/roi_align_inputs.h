// The attributes and inputs that the kernels of RoIAlign and of its gradient share, on a CPU and on a GPU.
#ifndef MASKRCNN_ROI_ALIGN_INPUTS_H_
#define MASKRCNN_ROI_ALIGN_INPUTS_H_

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "roi_geometry.h"
#include "tensorflow/core/framework/op_kernel.h"

namespace maskrcnn {

using tensorflow::OpInputList;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;

template <typename... Parts>
absl::Status InvalidArgument(const Parts&... parts) {
  return absl::InvalidArgumentError(absl::StrCat(parts...));
}

struct Settings {
  std::vector<float> strides;
  int size;
  int sampling_ratio;
  bool aligned;
  bool take_max;
};

inline void ReadSettings(OpKernelConstruction* context, Settings* settings) {
  int num_levels;
  std::string mode;
  OP_REQUIRES_OK(context, context->GetAttr("num_levels", &num_levels));
  OP_REQUIRES_OK(context, context->GetAttr("strides", &settings->strides));
  OP_REQUIRES_OK(context, context->GetAttr("output_size", &settings->size));
  OP_REQUIRES_OK(context, context->GetAttr("sampling_ratio", &settings->sampling_ratio));
  OP_REQUIRES_OK(context, context->GetAttr("aligned", &settings->aligned));
  OP_REQUIRES_OK(context, context->GetAttr("mode", &mode));
  settings->take_max = mode == "max";
  OP_REQUIRES(context, static_cast<int>(settings->strides.size()) == num_levels,
              InvalidArgument("strides has ", settings->strides.size(), " values for ", num_levels,
                              " feature levels"));
  for (float stride : settings->strides) {
    OP_REQUIRES(context, stride > 0 && std::isfinite(stride),
                InvalidArgument("strides must be positive, found ", stride));
  }
}

// The inputs, whose shapes are checked.
struct Regions {
  OpInputList features;
  const float* boxes;
  const int32_t* images;
  const int32_t* levels;
  int64_t count, batch, channels;
};

inline absl::Status ReadRegions(OpKernelContext* context, Regions* regions) {
  TF_RETURN_IF_ERROR(context->input_list("features", &regions->features));
  const Tensor *boxes, *images, *levels;
  TF_RETURN_IF_ERROR(context->input("boxes", &boxes));
  TF_RETURN_IF_ERROR(context->input("image_indices", &images));
  TF_RETURN_IF_ERROR(context->input("levels", &levels));
  for (const Tensor& feature : regions->features) {
    if (feature.dims() != 4 || feature.dim_size(0) != regions->features[0].dim_size(0) ||
        feature.dim_size(3) != regions->features[0].dim_size(3)) {
      return InvalidArgument("features must be [batch, height, width, channels] with one batch size and ",
                             "number of channels, found ", feature.shape().DebugString(), " beside ",
                             regions->features[0].shape().DebugString());
    }
    if (std::max(feature.dim_size(1), feature.dim_size(2)) > kFarAway) {
      return InvalidArgument("features may have at most ", static_cast<int64_t>(kFarAway),
                             " pixels on a side, found ", feature.shape().DebugString());
    }
  }
  if (boxes->dims() != 2 || boxes->dim_size(1) != 4) {
    return InvalidArgument("boxes must be [N, 4], found ", boxes->shape().DebugString());
  }
  regions->count = boxes->dim_size(0);
  const TensorShape row({regions->count});
  if (images->shape() != row || levels->shape() != row) {
    return InvalidArgument("image_indices and levels must be ", row.DebugString(), " like boxes, found ",
                           images->shape().DebugString(), " and ", levels->shape().DebugString());
  }
  regions->batch = regions->features[0].dim_size(0);
  regions->channels = regions->features[0].dim_size(3);
  regions->boxes = boxes->flat<float>().data();
  regions->images = images->flat<int32_t>().data();
  regions->levels = levels->flat<int32_t>().data();
  return absl::OkStatus();
}

inline absl::Status CheckGradient(const Settings& settings, const Regions& regions, const Tensor& gradient) {
  const TensorShape expected({regions.count, settings.size, settings.size, regions.channels});
  if (gradient.shape() == expected) return absl::OkStatus();
  return InvalidArgument("gradient must be ", expected.DebugString(), ", found ", gradient.shape().DebugString());
}

}  // namespace maskrcnn

#endif  // MASKRCNN_ROI_ALIGN_INPUTS_H_
