"""Everything that defines a model, in one frozen value that serialises to JSON."""

import dataclasses
import json
from typing import Any

from keras_maskrcnn.config.checks import check

RENAMED = {
    "flip_probability": "horizontal_flip_probability",
    "turn_probability": "rotate90_probability",
    "rotation_degrees": "max_rotation_degrees",
    "min_object_share": "min_visible_fraction",
}
"""Fields by their names in version 0.1.0, whose .keras files and run folders hold them."""


@dataclasses.dataclass(frozen=True)
class Config:
    """A Mask R-CNN, its input images and its training rules.

    Read only where graphs are assembled and where data is made; layers take plain values. Variants are
    `dataclasses.replace(config, ...)`. Defaults are torchvision's `maskrcnn_resnet50_fpn`.

    Raises:
        ValueError: a field has a value outside its choices or range; the message names the field.
    """

    class_names: tuple[str, ...]
    """Names of the classes; class id k is class_names[k - 1], and 0 is the background."""

    # Images: raw pixels 0..255 go in; the model normalises them.
    channels: int = 3
    bgr: bool = False
    """Whether the weights expect blue first. Images, pixel_mean and pixel_std are in RGB order all the same."""
    pixel_mean: tuple[float, ...] = (123.675, 116.28, 103.53)
    pixel_std: tuple[float, ...] = (58.395, 57.12, 57.375)
    min_size: int = 800
    """Short side of the resized image, in pixels, unless the long side would exceed max_size."""
    max_size: int = 1333
    train_min_sizes: tuple[int, ...] = ()
    """Scale jitter: each training image draws its short side from these; empty means min_size."""
    horizontal_flip_probability: float = 0.5
    """Share of the training images that are mirrored, left and right changing sides."""
    size_rounding: str = "floor"
    """How a scaled side becomes whole pixels: "floor" (torchvision), "round" (Detectron2) or "half_even"
    (Matterport, which besides never shrinks an image to min_size)."""
    resize: str = "bilinear"
    """How pixels are resized: "bilinear" (torchvision), "pillow" (Detectron2: antialiased, to whole values) or
    "skimage" (Matterport: not antialiased, cut to whole values)."""
    size_divisor: int = 32
    """Batches are zero-padded at the right and bottom to a multiple of this."""
    square: bool = False
    """Whether the network sees each image in the middle of a square of max_size, and boxes that end on their last
    pixel, as Matterport's does. Batches and detections have the usual frame all the same."""
    mask_crop_size: int = 112
    """Side of the crop, in its own box's frame, that each ground-truth mask travels as."""

    # Augmentation of training images, all of it off. Masks, boxes and keypoints move with their image.
    vertical_flip_probability: float = 0.0
    """Share of images that are turned upside down by a mirror."""
    rotate90_probability: float = 0.0
    """Share of images that are turned by 90, 180 or 270 degrees, each as often."""
    max_rotation_degrees: float = 0.0
    """Images are turned about their centre by up to this angle, one way or the other, in a frame that stays."""
    scale_jitter: tuple[float, ...] = ()
    """(lowest, highest): the resized image is scaled by a factor drawn from between; without crop_size, its long side
    stays within max_size all the same."""
    crop_size: int = 0
    """Side in pixels of the square to which images are cropped at a random place, or padded with pixel_mean. With
    scale_jitter=(0.1, 2.0) and min_size, max_size and crop_size all 1024 this is large-scale jitter (Ghiasi et al.
    2021)."""
    brightness: float = 0.0
    """At most this share of 255 is added or taken away."""
    contrast: float = 0.0
    """Distances from the image's mean colour are multiplied by up to 1 more or less this."""
    saturation: float = 0.0
    """Saturation (of HSV) is multiplied by up to 1 more or less this."""
    hue: float = 0.0
    """Colours move around the colour wheel by up to this share of it, one way or the other; at most 0.5."""
    blur_sigma: float = 0.0
    """Images are blurred by a Gaussian whose standard deviation is drawn from 0 to this, in pixels."""
    cutout_count: int = 0
    """Squares at random places that are painted over with pixel_mean; objects lose what they cover."""
    cutout_size: float = 0.2
    """Their side, as a share of the image's short side."""
    copy_paste_probability: float = 0.0
    """Share of images onto which objects of another are pasted, each with probability 1/2 (Ghiasi et al. 2021);
    objects below lose what is covered. The other image is resized, scaled, rotated and mirrored by draws of its own."""
    min_visible_fraction: float = 0.1
    """Objects of which less than this share of the area can still be seen after all this are dropped; of a crowd,
    every rest counts."""

    # Backbone
    architecture: str = "fpn"
    """What proposals and RoIs are taken from: a feature pyramid ("fpn"), res4, with res5 on each RoI ("c4"; Mask R-CNN
    section 3), or res5 dilated to stride 16 ("dc5"; Detectron2)."""
    depth: int = 50
    groups: int = 1
    """Groups of the 3x3 convolutions of a bottleneck: 32 in a ResNeXt-50-32x4d or -101-32x8d."""
    group_width: int = 64
    """Channels of each of these groups in res2: 4 and 8 in these two."""
    stride_in_1x1: bool = False
    """Whether a bottleneck's stride sits in its first 1x1 convolution (MSRA weights) or its 3x3."""
    norm: str = "frozen_batch_norm"
    norm_epsilon: float = 1e-5
    conv_bias: bool = False
    """Whether convolutions keep a bias before their normalisation (Matterport)."""
    pool_padding: str = "symmetric"
    """Where the stem's pooling is padded: "symmetric", as in torch, or at the "end" (Keras' "same", Matterport)."""
    frozen_stages: int = 2
    """Stages that are not trained, counted from the stem: 0 none, 1 the stem, 2 stem and res2, ... 5 all."""
    recompute_backbone: bool = False
    """Whether training keeps the input of each residual block only, and computes the rest again for the gradient: less
    memory, more time, the same numbers."""
    fpn_channels: int = 256
    fpn_norm: str = "none"
    head_norm: str = "none"
    """Normalisation in the convolutions of the box, mask and keypoint heads."""

    # Region proposal network
    anchor_sizes: tuple[tuple[float, ...], ...] = ((32,), (64,), (128,), (256,), (512,))
    """Square roots of anchor areas in pixels, one tuple per level: P2..P6 of an FPN, or the one there is."""
    anchor_ratios: tuple[float, ...] = (0.5, 1.0, 2.0)
    """Height over width."""
    round_anchors: bool = True
    """Whether corners of the base anchors are rounded to whole pixels (torchvision does)."""
    fixed_anchor_strides: bool = False
    """Whether anchors lie 4, 8, 16, 32 and 64 pixels apart (Detectron2, Matterport) or, where a level's size was
    rounded, as far as divides the padded image's size by the level's (torchvision)."""
    rpn_convs: int = 1
    rpn_channels: int = 0
    """Of these convolutions; 0 for as many as the features have."""
    rpn_softmax: bool = False
    """Whether an anchor has a logit for the background too (Matterport)."""
    rpn_delta_weights: tuple[float, ...] = (1.0, 1.0, 1.0, 1.0)
    rpn_positive_iou: float = 0.7
    rpn_negative_iou: float = 0.3
    rpn_batch_size: int = 256
    """Anchors sampled per image for the RPN losses."""
    rpn_positive_fraction: float = 0.5
    rpn_loss_anchors: int = 0
    """What the RPN losses of an image are divided by; 0 for the number of anchors sampled (torchvision)."""
    rpn_smooth_l1_beta: float = 1 / 9
    rpn_nms_iou: float = 0.7
    rpn_min_size: float = 1e-3
    """Proposals with a side below this, in pixels, are dropped."""
    pre_nms_top_k: int = 1000
    """Proposals kept per level before NMS at inference; pre_nms_top_k_train in training."""
    pre_nms_top_k_train: int = 2000
    post_nms_top_k: int = 1000
    """Proposals kept over all levels after NMS at inference; post_nms_top_k_train in training."""
    post_nms_top_k_train: int = 2000
    joint_proposals: bool = False
    """Whether all levels share one top k and one NMS (Matterport) or each has its own."""
    clamp_deltas: bool = True
    """Whether a box grows at most 1000 / 16 times, also in the second stage."""
    crowd_overlap: float = 0.7
    """Anchors and proposals with at least this share of their area inside a crowd are ignored in training."""

    # Second stage
    level_rule: str = "torchvision"
    """How FPN's equation 1 is rounded: "torchvision", "detectron2" or "matterport"; see `layers/roi_align.py`."""
    roi_mode: str = "average"
    """How the samples of a RoIAlign bin are joined: "average" or "max"; or "crop_and_resize", one sample per bin from
    edge to edge (Matterport), which heeds neither of the next two."""
    roi_sampling_ratio: int = 2
    """Samples per bin and axis; 0 means adaptive: ceil(roi size / bins)."""
    roi_aligned: bool = False
    """Whether RoIAlign shifts by half a pixel (Detectron2) or not (torchvision)."""
    box_pool_size: int = 7
    box_convs: int = 0
    """3x3 convolutions of fpn_channels before the fully connected layers."""
    box_fcs: int = 2
    """Fully connected layers of box_head_channels. A "c4" model has res5 instead of both."""
    box_fc_norm: bool = False
    """Whether head_norm normalises the fully connected layers too (Matterport)."""
    box_head_channels: int = 1024
    box_positive_iou: float = 0.5
    box_batch_size: int = 512
    """Proposals sampled per image for the second stage."""
    box_positive_fraction: float = 0.25
    box_delta_weights: tuple[float, ...] = (10.0, 10.0, 5.0, 5.0)
    box_smooth_l1_beta: float = 1 / 9
    class_agnostic_boxes: bool = False
    cascade_ious: tuple[float, ...] = ()
    """Further box stages (Cascade R-CNN, Cai and Vasconcelos 2018), each with its box_positive_iou."""
    cascade_delta_weights: tuple[tuple[float, ...], ...] = ()
    """Their box_delta_weights."""
    background_outputs: bool = True
    """Whether box and mask predictors have (unused) outputs for the background, as torchvision's have."""

    # Masks
    mask_head: str = "fcn"
    """"fcn" (four convolutions, a deconvolution), "mlp" (table 2e; two layers of box_head_channels) or "none"."""
    mask_loss: str = "sigmoid"
    """"sigmoid" per class, "class_agnostic" (one sigmoid mask) or "softmax" over classes (paper, table 2b)."""
    binary_mask_targets: bool = False
    """Whether cells of training masks are 0 or 1 (Detectron2) or the share that the object covers (torchvision)."""
    mask_convs: int = 4
    """3x3 convolutions of the "fcn" head. A "c4" model has res5 instead."""
    mask_pool_size: int = 14
    mask_head_channels: int = 256

    # Keypoints (Mask R-CNN section 5)
    keypoint_names: tuple[str, ...] = ()
    """Names of an object's keypoints, none for no keypoint head. A mirrored picture swaps those whose names differ in
    left and right."""
    keypoint_convs: int = 8
    keypoint_pool_size: int = 14
    keypoint_head_channels: int = 512
    keypoint_offset: float = 0.0
    """Added to annotated keypoints, in pixels, and taken from written ones: COCO's are indices of pixels, whose centres
    lie at 0.5 for Detectron2 and at 0 for torchvision."""
    keypoint_probabilities: bool = False
    """Whether a keypoint's score is its pixel's probability (Detectron2) or logit (torchvision)."""

    # Detections
    score_threshold: float = 0.05
    nms_iou: float = 0.5
    class_agnostic_nms: bool = False
    one_class_per_box: bool = False
    """Whether a proposal gives a detection of its best class only (Matterport) or one of each that scores enough."""
    max_detections: int = 100
    min_detection_size: float = 1e-2
    """Detections with a side below this, in pixels, are dropped."""
    paste: str = "exact"
    """Into which boxes masks are pasted: the "exact" ones (Detectron2), or whole pixels as "torchvision" or
    "matterport" round them."""

    def __post_init__(self) -> None:
        _freeze_sequences(self)
        check(self)

    @property
    def num_classes(self) -> int:
        """Number of classes without the background."""
        return len(self.class_names)

    @property
    def mask_size(self) -> int:
        """Side of the predicted masks: the deconvolution doubles what was pooled, which res5 has halved before."""
        return self.mask_pool_size if self.architecture == "c4" else 2 * self.mask_pool_size

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as JSON-ready values."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """Return the config as JSON text; `Config.from_json` reads it back equal."""
        return json.dumps(self.to_dict(), indent=1)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "Config":
        """Build a config from `to_dict`'s values; fields may have the names of version 0.1.0.

        Raises:
            ValueError: a key is not a field of Config.
        """
        values = renamed(values)
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(cls)})
        if unknown:
            raise ValueError(f"Unknown Config fields: {', '.join(unknown)}")
        return cls(**values)

    @classmethod
    def from_json(cls, text: str) -> "Config":
        """Build a config from `to_json`'s text."""
        return cls.from_dict(json.loads(text))


def renamed(values: dict[str, Any]) -> dict[str, Any]:
    """Return the fields by today's names."""
    return {RENAMED.get(name, name): value for name, value in values.items()}


def _freeze_sequences(config: Config) -> None:
    def frozen(value: Any) -> Any:
        if hasattr(value, "tolist"):  # numpy's arrays and numbers
            value = value.tolist()
        return tuple(frozen(item) for item in value) if isinstance(value, (list, tuple)) else value

    for field in dataclasses.fields(config):
        object.__setattr__(config, field.name, frozen(getattr(config, field.name)))
