"""OpenVINO's models in whole numbers of 8 bits, by NNCF's quantisation after training."""

import logging
from typing import Any

import numpy as np

from keras_maskrcnn.artefacts.graph import InferenceModule
from keras_maskrcnn.images.io import read_image
from keras_maskrcnn.images.resize_array import fitted_batch

QUANTISED = ("Convolution", "GroupConvolution", "ConvolutionBackpropData", "MatMul")
"""Operations that multiply whole numbers. All others stay as they are: coordinates, overlaps and what normalises need
more than 8 bits, and OpenVINO would take the scaling of four deltas for the end of a quantisation."""


def quantise(converted: Any, module: InferenceModule) -> Any:
    """Return an `openvino.Model` whose convolutions and dense layers are quantised by the images of the request."""
    import nncf
    from nncf.quantization.advanced_parameters import OverflowFix

    config, images = module.config, module.request.calibrate

    def prepared(image: Any) -> dict[str, np.ndarray]:
        pixels = read_image(image, config.channels, False, config.intensity_percentiles)
        batch, sizes = fitted_batch([pixels], config)
        return {"images": batch, "sizes": sizes}

    types = {node.get_type_name() for node in converted.get_ops()}
    others = types - {*QUANTISED, "Parameter", "Constant", "Result"}
    nncf.set_log_level(logging.ERROR)  # it names each operation that stays as it is
    return nncf.quantize(
        converted,
        nncf.Dataset(images, prepared),
        subset_size=len(images),
        # Half the range of weights: processors without VNNI add pairs of products in 16 bits, which else overflow.
        advanced_parameters=nncf.AdvancedQuantizationParameters(overflow_fix=OverflowFix.ENABLE),
        ignored_scope=nncf.IgnoredScope(types=sorted(others)),
    )
