"""Everything that defines a model, in one frozen value that serialises to JSON."""

import dataclasses
from typing import Literal

from keras_maskrcnn.config.checks import check
from keras_maskrcnn.config.fields import as_declared, check_value, documented, frozen, ranged, structural
from keras_maskrcnn.config.values import ALL_STAGES, JsonValues

Norm = Literal["frozen_batch_norm", "batch_norm", "sync_batch_norm", "group_norm", "none"]


@documented
@dataclasses.dataclass(frozen=True)
class Config(JsonValues):
    """A Mask R-CNN, its input images and its training rules.

    Read only where graphs are assembled and where data is made; layers take plain values. Variants are
    `dataclasses.replace(config, ...)`. Defaults are torchvision's `maskrcnn_resnet50_fpn`. Sizes are in pixels.

    Raises:
        ValueError: a field is not of its type, choices or range, or two do not go together; the message names it.

    Example:
        >>> import dataclasses
        >>> from keras_maskrcnn import Config
        >>> config = Config(class_names=("cat", "dog"), min_size=640)
        >>> dataclasses.replace(config, depth=101).num_classes
        2
    """

    class_names: tuple[str, ...] = ranged(dataclasses.MISSING, non_empty=True)
    """Names of the classes: class id k is class_names[k - 1], and 0 is the background."""

    # Images: raw pixels 0..255 go in; the model normalises them.
    channels: int = ranged(3, 1, network=True)
    """Channels of an image."""
    intensity_percentiles: tuple[float, ...] = ranged((), 0, 100)
    """(low, high) percentiles of each channel of an image that become 0 and 255, as (1, 99.8); () keeps the pixels."""
    bgr: bool = False
    """Whether the weights expect blue first; images, pixel_mean and pixel_std are in RGB order all the same."""
    pixel_mean: tuple[float, ...] = ranged((123.675, 116.28, 103.53))
    """Mean of each channel, which is subtracted from the pixels."""
    pixel_std: tuple[float, ...] = ranged((58.395, 57.12, 57.375), 0, above=True)
    """Std of each channel, by which the difference is divided."""
    min_size: int = ranged(800, 1)
    """Short side of the resized image, unless the long side would exceed max_size."""
    max_size: int = ranged(1333, 1)
    """Long side that no resized image exceeds."""
    image_scale: float = ranged(0.0, 0)
    """Factor by which every image is resized, in place of min_size and max_size; 0 for these (microscopy)."""
    train_min_sizes: tuple[int, ...] = ranged((), 1)
    """Multi-scale training: each training image samples its short side from these; () means min_size."""
    horizontal_flip_probability: float = ranged(0.5, 0, 1)
    """Probability that a training image is flipped horizontally."""
    size_rounding: Literal["floor", "round", "round_once", "half_even"] = "floor"
    """How sides become integers: torchvision, Detectron2, MMDetection, Matterport (never shrinking to min_size)."""
    resize: Literal["bilinear", "pillow", "opencv", "skimage"] = "bilinear"
    """How pixels are resized: torchvision; Detectron2, antialiased; MMDetection, in OpenCV's whole numbers; Matterport,
    truncated."""
    size_divisor: int = ranged(32, 1)
    """Batches are zero-padded at the right and bottom to a multiple of this."""
    square: bool = False
    """Whether images are centred in a square of max_size, and boxes end on their last pixel (Matterport)."""
    mask_crop_size: int = ranged(112, 1)
    """Side of the crop, in its own box's frame, that each ground-truth mask travels as."""

    # Augmentation of training images, all of it off. Masks, boxes and keypoints move with their image.
    vertical_flip_probability: float = ranged(0.0, 0, 1)
    """Probability of a vertical flip."""
    rotate90_probability: float = ranged(0.0, 0, 1)
    """Probability of a random 90-degree rotation: by 90, 180 or 270 degrees, equally likely."""
    max_rotation_degrees: float = ranged(0.0, 0, 180)
    """Rotation about the centre by an angle in [-d, d], canvas unchanged."""
    scale_jitter: tuple[float, ...] = ranged((), 0, above=True)
    """(lowest, highest) factor by which the resized image is scaled; without crop_size, at most to max_size."""
    crop_size: int = ranged(0, 0)
    """Side of a square random crop, padded with pixel_mean; 0 for none (1024 in large-scale jitter)."""
    brightness: float = ranged(0.0, 0, 1)
    """Brightness delta b, sampled from [-b, b] * 255."""
    contrast: float = ranged(0.0, 0, 1)
    """Contrast factor, sampled from [1 - c, 1 + c]: it scales distances from the image's mean colour."""
    saturation: float = ranged(0.0, 0, 1)
    """Saturation factor (of HSV), sampled from [1 - s, 1 + s]."""
    hue: float = ranged(0.0, 0, 0.5)
    """Hue delta, sampled from [-h, h] of the colour wheel."""
    blur_sigma: float = ranged(0.0, 0)
    """Std of a Gaussian blur, sampled from [0, s] in pixels."""
    cutout_count: int = ranged(0, 0)
    """Squares at random places that are filled with pixel_mean; objects lose what they cover."""
    cutout_size: float = ranged(0.2, 0, 1)
    """Side of these squares, as a fraction of the image's short side."""
    copy_paste_probability: float = ranged(0.0, 0, 1)
    """Probability that about half of another, augmented image's objects are pasted on an image (Ghiasi et al. 2021)."""
    min_visible_fraction: float = ranged(0.1, 0, 1)
    """Objects with a smaller fraction of their area still visible after all this are dropped; crowds are not."""

    # Backbone
    architecture: Literal["fpn", "c4", "dc5"] = structural("fpn")
    """Features of proposals and RoIs: a pyramid, res4 with res5 on each RoI, or res5 dilated to stride 16."""
    depth: Literal[18, 34, 50, 101, 152] = structural(50)
    """Layers of the ResNet."""
    stem_channels: int = ranged(64, 1, network=True)
    """Channels of the stem; res2, ..., res5 have 1, 2, 4, 8 times as many, and bottlenecks return 4 times those."""
    groups: int = ranged(1, 1, network=True)
    """Groups of a bottleneck's 3x3 convolution: 32 in a ResNeXt."""
    group_width: int = ranged(64, 1, network=True)
    """Channels of each group in res2: 4 in a ResNeXt-50-32x4d, 8 in a -101-32x8d."""
    stride_in_1x1: bool = False
    """Whether a bottleneck's stride is in its first 1x1 convolution (MSRA's weights) or in its 3x3."""
    norm: Norm = structural("frozen_batch_norm")
    """Normalisation in the backbone."""
    norm_epsilon: float = ranged(1e-5, 0)
    """Added to the variance by every normalisation."""
    conv_bias: bool = structural(False)
    """Whether convolutions keep a bias before their normalisation (Matterport)."""
    pool_padding: Literal["symmetric", "end"] = "symmetric"
    """Where the stem's pooling is padded: "symmetric" (torch) or at the "end" (Keras' "same", Matterport)."""
    frozen_stages: int = ranged(2, 0, ALL_STAGES)
    """Stages that are not trained, counted from the stem: 0 none, 1 the stem, 2 stem and res2, ... 5 all."""
    recomputed_stages: int = ranged(0, 0, ALL_STAGES)
    """Stages, counted as in frozen_stages, that training computes again for the gradient instead of keeping what they
    computed, and with 5 the pyramid: less memory, more time, the same numbers."""
    losses_over: Literal["batch", "replica"] = "batch"
    """What losses are averaged over where replicas share a batch: all of it, or each one's images (Detectron2)."""
    fpn_channels: int = ranged(256, 1, network=True)
    """Channels of the pyramid's levels."""
    fpn_norm: Norm = structural("none")
    """Normalisation in the pyramid."""
    head_norm: Norm = structural("none")
    """Normalisation in the convolutions of the box, mask and keypoint heads."""

    # Region proposal network
    anchor_sizes: tuple[tuple[float, ...], ...] = ranged(
        ((32,), (64,), (128,), (256,), (512,)), 0, above=True, non_empty=True
    )
    """Square roots of the anchors' areas, a tuple per level: P2..P6 of an FPN, or the only level."""
    anchor_ratios: tuple[float, ...] = ranged((0.5, 1.0, 2.0), 0, above=True, non_empty=True)
    """Heights of the anchors over their widths."""
    round_anchors: bool = True
    """Whether corners of the base anchors are rounded to integers (torchvision)."""
    fixed_anchor_strides: bool = False
    """Whether strides are 4, 8, 16, 32 and 64 (Detectron2, Matterport) or padded size over level size (torchvision)."""
    rpn_convs: int = ranged(1, 1, network=True)
    """3x3 convolutions of the RPN head."""
    rpn_channels: int = ranged(0, 0, network=True)
    """Channels of the RPN head's convolutions; 0 for as many as the features have."""
    rpn_softmax: bool = structural(False)
    """Whether an anchor has a logit for the background too (Matterport)."""
    rpn_delta_weights: tuple[float, ...] = ranged((1.0, 1.0, 1.0, 1.0), 0, above=True, length=4)
    """Weights of an anchor's deltas dx, dy, dw, dh."""
    rpn_positive_iou: float = ranged(0.7, 0, 1)
    """Anchors with at least this IoU with an object are positive, and each object's best anchors."""
    rpn_negative_iou: float = ranged(0.3, 0, 1)
    """Anchors with less than this IoU with every object are negative."""
    rpn_batch_size: int = ranged(256, 1)
    """Anchors sampled per image for the RPN losses."""
    rpn_positive_fraction: float = ranged(0.5, 0, 1)
    """Largest fraction of the sampled anchors that is positive."""
    rpn_loss_anchors: int = ranged(0, 0)
    """Divisor of an image's RPN losses; 0 for the number of sampled anchors (torchvision)."""
    rpn_smooth_l1_beta: float = ranged(1 / 9, 0)
    """Where the smooth L1 loss of the RPN's deltas becomes linear."""
    rpn_nms_iou: float = ranged(0.7, 0, 1)
    """IoU above which NMS removes the lower-scoring of two proposals."""
    rpn_min_size: float = ranged(1e-3, 0)
    """Proposals with a side below this are dropped."""
    pre_nms_top_k: int = ranged(1000, 1)
    """Proposals kept per level before NMS, at inference."""
    pre_nms_top_k_train: int = ranged(2000, 1)
    """Proposals kept per level before NMS, in training."""
    post_nms_top_k: int = ranged(1000, 1)
    """Proposals kept over all levels after NMS, at inference."""
    post_nms_top_k_train: int = ranged(2000, 1)
    """Proposals kept over all levels after NMS, in training."""
    joint_proposals: bool = False
    """Whether all levels share one top k and one NMS (Matterport) or each has its own."""
    clamp_deltas: bool = True
    """Whether a box grows at most 1000 / 16 times, also in the second stage."""
    clamp_shrinking: bool = False
    """Whether a box shrinks at most so many times too (MMDetection)."""
    crowd_overlap: float = ranged(0.7, 0, 1)
    """Anchors and proposals with at least this fraction of their area inside a crowd are ignored in training."""

    # Second stage
    level_rule: Literal["torchvision", "detectron2", "mmdetection", "matterport"] = "torchvision"
    """Whose rounding of FPN's equation 1 assigns RoIs to levels; see `layers/roi_align.py`."""
    roi_mode: Literal["average", "max", "crop_and_resize"] = "average"
    """How samples of a RoIAlign bin are pooled; or one per bin, edge to edge, whatever the next two (Matterport)."""
    roi_sampling_ratio: int = ranged(2, 0)
    """Samples per bin and axis; 0 means adaptive: ceil(RoI size / bins)."""
    roi_aligned: bool = False
    """Whether RoIAlign shifts by half a pixel (Detectron2) or not (torchvision)."""
    box_pool_size: int = ranged(7, 1, network=True)
    """Bins per axis of the box head's RoIAlign."""
    box_convs: int = ranged(0, 0, network=True)
    """3x3 convolutions of the box head, with fpn_channels, before its fully connected layers."""
    box_fcs: int = ranged(2, 0, network=True)
    """Fully connected layers of the box head; a "c4" model has res5 instead of both."""
    box_fc_norm: bool = structural(False)
    """Whether head_norm normalises the fully connected layers too (Matterport)."""
    box_head_channels: int = ranged(1024, 1, network=True)
    """Channels of the fully connected layers."""
    box_positive_iou: float = ranged(0.5, 0, 1)
    """Proposals with at least this IoU with an object are positive."""
    box_batch_size: int = ranged(512, 1)
    """Proposals sampled per image for the second stage."""
    box_positive_fraction: float = ranged(0.25, 0, 1)
    """Largest fraction of the sampled proposals that is positive."""
    box_delta_weights: tuple[float, ...] = ranged((10.0, 10.0, 5.0, 5.0), 0, above=True, length=4)
    """Weights of a proposal's deltas dx, dy, dw, dh."""
    box_smooth_l1_beta: float = ranged(1 / 9, 0)
    """Where the smooth L1 loss of the box head's deltas becomes linear."""
    class_weights: tuple[float, ...] = ranged((), 0)
    """Weight of each class's proposals in the mean of the class loss, the background's being 1; () weighs all alike."""
    class_agnostic_boxes: bool = structural(False)
    """Whether all classes share one box regression."""
    cascade_ious: tuple[float, ...] = ranged((), 0, 1, above=True)
    """box_positive_iou of each further box stage (Cascade R-CNN, Cai and Vasconcelos 2018)."""
    cascade_delta_weights: tuple[tuple[float, ...], ...] = ranged((), 0, above=True, length=4)
    """box_delta_weights of each further box stage."""
    cascade_scores: Literal["probabilities", "logits"] = "probabilities"
    """What a detection's score is the mean of over the box stages: Detectron2, or MMDetection."""
    background_outputs: bool = structural(True)
    """Whether box and mask predictors have (unused) outputs for the background, as torchvision's have."""

    # Masks
    mask_head: Literal["fcn", "mlp", "none"] = structural("fcn")
    """"fcn" (convolutions and a deconvolution), "mlp" (table 2e; two layers of box_head_channels) or "none"."""
    mask_loss: Literal["sigmoid", "class_agnostic", "softmax"] = structural("sigmoid")
    """"sigmoid" per class, "class_agnostic" (one sigmoid mask) or "softmax" over classes (paper, table 2b)."""
    binary_mask_targets: bool = False
    """Whether mask targets are thresholded at 0.5 (Detectron2) or fractions that the object covers (torchvision)."""
    mask_convs: int = ranged(4, 0, network=True)
    """3x3 convolutions of the "fcn" head; a "c4" model has res5 instead."""
    mask_iou_head: bool = structural(False)
    """Whether a further head predicts how well masks fit, and ranks them (Mask Scoring R-CNN, Huang et al. 2019)."""
    cascade_mask_heads: bool = structural(False)
    """Whether each box stage has a mask head of its own, and masks are the mean of all (MMDetection)."""
    mask_pool_size: int = ranged(14, 1)
    """Bins per axis of the mask head's RoIAlign."""
    mask_head_channels: int = ranged(256, 1, network=True)
    """Channels of the mask head's convolutions."""

    # Keypoints (Mask R-CNN section 5)
    keypoint_names: tuple[str, ...] = ()
    """Names of an object's keypoints; () for no keypoint head. A flip swaps left and right in names."""
    keypoint_convs: int = ranged(8, 0, network=True)
    """3x3 convolutions of the keypoint head."""
    keypoint_pool_size: int = ranged(14, 1)
    """Bins per axis of the keypoint head's RoIAlign."""
    keypoint_head_channels: int = ranged(512, 1, network=True)
    """Channels of the keypoint head's convolutions."""
    keypoint_offset: float = ranged(0.0)
    """Where the centre of a pixel lies, in annotated and in written keypoints: 0.5 (Detectron2) or 0 (torchvision)."""
    keypoint_probabilities: bool = False
    """Whether a keypoint's score is its pixel's probability (Detectron2) or logit (torchvision)."""

    # Detections
    score_threshold: float = ranged(0.05, 0, 1)
    """Detections must score more than this."""
    nms_iou: float = ranged(0.5, 0, 1)
    """IoU above which NMS removes the lower-scoring of two detections of a class."""
    soft_nms_sigma: float = ranged(0.0, 0)
    """Soft NMS (Bodla et al. 2017; 0.5 there) lowers scores by exp(-IoU^2 / sigma) and removes none; 0 for hard NMS."""
    class_agnostic_nms: bool = False
    """Whether NMS compares detections of all classes with each other."""
    one_class_per_box: bool = False
    """Whether a proposal becomes a detection of its best class only (Matterport) or of all above the threshold."""
    max_detections: int = ranged(100, 1)
    """Detections kept per image."""
    min_detection_size: float = ranged(1e-2, 0)
    """Detections with a side below this are dropped."""
    paste: Literal["exact", "torchvision", "matterport"] = "exact"
    """Boxes into which masks are pasted: exact ones (Detectron2), or rounded as torchvision or Matterport do."""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = frozen(getattr(self, field.name))
            check_value(field, value)
            object.__setattr__(self, field.name, as_declared(field, value))
        check(self)

    @property
    def num_classes(self) -> int:
        """Number of classes without the background."""
        return len(self.class_names)

    @property
    def mask_size(self) -> int:
        """Side of the predicted masks: the deconvolution doubles what was pooled, which res5 has halved before."""
        return self.mask_pool_size if self.architecture == "c4" else 2 * self.mask_pool_size
