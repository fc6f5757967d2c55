"""Detectron2's model zoo: all of its Mask, Faster, Keypoint and Cascade R-CNN, but for those named here.

Left out are models with parts that this package does not have (deformable convolutions, RegNet, ResNet-152, panoptic
and RetinaNet heads, proposals from a file) and the one for Pascal VOC.

Rows are called as Detectron2 calls their configuration files.
"""

from dataclasses import replace
from typing import Any

from keras_maskrcnn.config.config import Config
from keras_maskrcnn.config.keypoints import PERSON_KEYPOINTS
from keras_maskrcnn.presets.class_names import CITYSCAPES, COCO, lvis_v0_5
from keras_maskrcnn.presets.preset import Preset

URL = "https://dl.fbaipublicfiles.com/detectron2/"
LICENCE = "CC BY-SA 3.0"
ZOO = "https://github.com/facebookresearch/detectron2/blob/main/MODEL_ZOO.md"

# Means and stds are in RGB order here and in BGR order there. Those of 1 are of weights that MSRA trained, which
# have the stds in their first convolution.
MASK = Config(
    class_names=COCO,
    bgr=True,
    pixel_std=(1.0, 1.0, 1.0),
    size_rounding="round",
    resize="pillow",
    train_min_sizes=(640, 672, 704, 736, 768, 800),
    stride_in_1x1=True,
    round_anchors=False,
    fixed_anchor_strides=True,
    rpn_loss_anchors=256,
    rpn_smooth_l1_beta=0.0,
    rpn_min_size=1e-12,  # any side above 0 will do
    post_nms_top_k_train=1000,
    level_rule="detectron2",
    roi_sampling_ratio=0,
    roi_aligned=True,
    box_smooth_l1_beta=0.0,
    binary_mask_targets=True,
    background_outputs=False,
    keypoint_offset=0.5,
    keypoint_probabilities=True,
    min_detection_size=0.0,
)
R101: dict[str, Any] = {"depth": 101}
X101: dict[str, Any] = {
    "depth": 101,
    "groups": 32,
    "group_width": 8,
    "stride_in_1x1": False,
    "pixel_std": (58.395, 57.12, 57.375),
}
BOXES: dict[str, Any] = {"mask_head": "none"}
ONE_LEVEL: dict[str, Any] = {
    "size_divisor": 1,
    "anchor_sizes": ((32, 64, 128, 256, 512),),
    "pre_nms_top_k": 6000,
    "pre_nms_top_k_train": 12000,
    "post_nms_top_k_train": 2000,
}
C4 = replace(MASK, architecture="c4", box_pool_size=14, **ONE_LEVEL)
DC5 = replace(MASK, architecture="dc5", **ONE_LEVEL)
KEYPOINT = replace(
    MASK,
    class_names=("person",),
    mask_head="none",
    keypoint_names=PERSON_KEYPOINTS,
    box_smooth_l1_beta=0.5,
    post_nms_top_k_train=1500,
)
CASCADE = replace(
    MASK,
    class_agnostic_boxes=True,
    cascade_ious=(0.6, 0.7),
    cascade_delta_weights=((20.0, 20.0, 10.0, 10.0), (30.0, 30.0, 15.0, 15.0)),
    post_nms_top_k_train=2000,
)
DEEP_BOX_HEAD: dict[str, Any] = {"box_convs": 4, "box_fcs": 1}
GN = replace(
    MASK,
    norm="group_norm",
    fpn_norm="group_norm",
    head_norm="group_norm",
    stride_in_1x1=False,
    **DEEP_BOX_HEAD,
)
SYNC_BN = replace(MASK, norm="batch_norm", fpn_norm="batch_norm", head_norm="batch_norm", **DEEP_BOX_HEAD)
FROM_SCRATCH: dict[str, Any] = {"stride_in_1x1": False, "frozen_stages": 0}
WITH_STD: dict[str, Any] = {"pixel_std": (58.395, 57.12, 57.375)}
LSJ = replace(SYNC_BN, frozen_stages=0, rpn_convs=2)
LVIS = replace(MASK, class_names=lvis_v0_5(), score_threshold=1e-4, max_detections=300)
CITY = replace(
    MASK,
    class_names=CITYSCAPES,
    min_size=1024,
    max_size=2048,
    train_min_sizes=(800, 832, 864, 896, 928, 960, 992, 1024),
)
DETECTRON1: dict[str, Any] = {
    "rpn_smooth_l1_beta": 0.1111,
    "box_smooth_l1_beta": 1.0,
    "roi_sampling_ratio": 2,
    "roi_aligned": False,
}
NO_JITTER: dict[str, Any] = {"train_min_sizes": (800,)}


def _row(name: str, run: str, config: Config, box_ap: float | None, **others: Any) -> Preset:
    """A row of the zoo; `run` is the number of the training run and the file's hash."""
    number, _, digest = run.partition("/")
    return Preset(
        name=name,
        config=config,
        source="detectron2",
        url=f"{URL}{name}/{number}/model_final_{digest}.pkl",
        hash=f"md5:{digest}",
        licence=LICENCE,
        box_ap=box_ap,
        **{"published": ZOO, **others},
    )


def _boxes(name: str, run: str, config: Config, box_ap: float, **others: Any) -> Preset:
    return _row(f"COCO-Detection/faster_rcnn_{name}", run, replace(config, **BOXES), box_ap, **others)


def _masks(name: str, run: str, config: Config, box_ap: float, mask_ap: float, **others: Any) -> Preset:
    path = f"COCO-InstanceSegmentation/mask_rcnn_{name}"
    return _row(path, run, config, box_ap, mask_ap=mask_ap, **others)


def _points(name: str, run: str, config: Config, box_ap: float, ap: float, **others: Any) -> Preset:
    path = f"COCO-Keypoints/keypoint_rcnn_{name}"
    return _row(path, run, config, box_ap, keypoint_ap=ap, **others)


def _misc(name: str, run: str, config: Config, box_ap: float, mask_ap: float, **others: Any) -> Preset:
    return _row(f"Misc/{name}", run, config, box_ap, mask_ap=mask_ap, **others)


def _lsj(name: str, run: str, config: Config, box_ap: float, mask_ap: float) -> Preset:
    return _row(f"new_baselines/mask_rcnn_{name}_LSJ", run, config, box_ap, mask_ap=mask_ap)


def _lvis(name: str, run: str, config: Config, box_ap: float, mask_ap: float) -> Preset:
    path = f"LVISv0.5-InstanceSegmentation/mask_rcnn_{name}"
    return _row(path, run, config, box_ap, mask_ap=mask_ap, dataset="LVIS v0.5", parity="names")


def _old(name: str, run: str, config: Config, box_ap: float, **others: Any) -> Preset:
    where = (
        "https://github.com/facebookresearch/detectron2/blob/main/configs/Detectron1-Comparisons/README.md"
    )
    others = {"parity": "names", "published": where, **others}
    return _row(f"Detectron1-Comparisons/{name}", run, replace(config, **DETECTRON1), box_ap, **others)


PRESETS = (
    _masks("R_50_FPN_1x", "137260431/a54504", MASK, 38.6, 35.2, parity="kit"),
    _masks("R_50_FPN_3x", "137849600/f10217", MASK, 41.0, 37.2, parity="kit"),
    _masks("R_101_FPN_3x", "138205316/a3ec72", replace(MASK, **R101), 42.9, 38.6, parity="names"),
    _masks("X_101_32x8d_FPN_3x", "139653917/2d9806", replace(MASK, **X101), 44.3, 39.5, parity="kit"),
    _masks("R_50_C4_1x", "137259246/9243eb", C4, 36.8, 32.2, parity="kit"),
    _masks("R_50_C4_3x", "137849525/4ce675", C4, 39.8, 34.4, parity="kit"),
    _masks("R_101_C4_3x", "138363239/a2914c", replace(C4, **R101), 42.6, 36.7, parity="names"),
    _masks("R_50_DC5_1x", "137260150/4f86c3", DC5, 38.3, 34.2),
    _masks("R_50_DC5_3x", "137849551/84107b", DC5, 40.0, 35.9),
    _masks("R_101_DC5_3x", "138363294/0464b7", replace(DC5, **R101), 41.9, 37.3),
    _boxes("R_50_FPN_1x", "137257794/b275ba", MASK, 37.9, parity="names"),
    _boxes("R_50_FPN_3x", "137849458/280758", MASK, 40.2, parity="names"),
    _boxes("R_101_FPN_3x", "137851257/f6e8b1", replace(MASK, **R101), 42.0),
    _boxes("X_101_32x8d_FPN_3x", "139173657/68b088", replace(MASK, **X101), 43.0),
    _boxes("R_50_C4_1x", "137257644/721ade", C4, 35.7),
    _boxes("R_50_C4_3x", "137849393/f97cb7", C4, 38.4),
    _boxes("R_101_C4_3x", "138204752/298dad", replace(C4, **R101), 41.1),
    _boxes("R_50_DC5_1x", "137847829/51d356", DC5, 37.3),
    _boxes("R_50_DC5_3x", "137849425/68d202", DC5, 39.0),
    _boxes("R_101_DC5_3x", "138204841/3e0943", replace(DC5, **R101), 40.6),
    _points("R_50_FPN_1x", "137261548/04e291", KEYPOINT, 53.6, 64.0, parity="kit"),
    _points("R_50_FPN_3x", "137849621/a6e10b", KEYPOINT, 55.4, 65.5, parity="kit"),
    _points("R_101_FPN_3x", "138363331/997cc7", replace(KEYPOINT, **R101), 56.4, 66.1),
    _points("X_101_32x8d_FPN_3x", "139686956/5ad38f", replace(KEYPOINT, **X101), 57.3, 66.0),
    _misc("cascade_mask_rcnn_R_50_FPN_1x", "138602847/e9d89b", CASCADE, 42.1, 36.4, parity="kit"),
    _misc("cascade_mask_rcnn_R_50_FPN_3x", "144998488/480dd8", CASCADE, 44.3, 38.5, parity="kit"),
    _misc("mask_rcnn_R_50_FPN_3x_gn", "138602888/dc5d9e", GN, 42.6, 38.6),
    _misc("mask_rcnn_R_50_FPN_3x_syncbn", "169527823/3b3c51", SYNC_BN, 41.9, 37.8),
    _misc("scratch_mask_rcnn_R_50_FPN_3x_gn", "138602908/01ca85", replace(GN, **FROM_SCRATCH), 39.9, 36.6),
    _misc(
        "scratch_mask_rcnn_R_50_FPN_9x_gn",
        *("183808979/da7b4c", replace(GN, **FROM_SCRATCH, **WITH_STD), 43.7, 39.6),
    ),
    _misc(
        "scratch_mask_rcnn_R_50_FPN_9x_syncbn",
        *("184226666/5ce33e", replace(SYNC_BN, **FROM_SCRATCH, **WITH_STD), 43.6, 39.3),
    ),
    _lsj("R_50_FPN_100ep", "42047764/bb69de", LSJ, 44.6, 40.3),
    _lsj("R_50_FPN_200ep", "42047638/89a8d3", LSJ, 46.3, 41.7),
    _lsj("R_50_FPN_400ep", "42019571/14d201", LSJ, 47.4, 42.5),
    _lsj("R_101_FPN_100ep", "42025812/4f7b58", replace(LSJ, **R101), 46.4, 41.6),
    _lsj("R_101_FPN_200ep", "42131867/0bb7ae", replace(LSJ, **R101), 48.0, 43.1),
    _lsj("R_101_FPN_400ep", "42073830/f96b26", replace(LSJ, **R101), 48.9, 43.7),
    _lvis("R_50_FPN_1x", "144219072/571f7c", LVIS, 23.6, 24.4),
    _lvis("R_101_FPN_1x", "144219035/824ab5", replace(LVIS, **R101), 25.6, 25.9),
    _lvis("X_101_32x8d_FPN_1x", "144219108/5e3439", replace(LVIS, **X101), 26.7, 27.1),
    _row(
        *("Cityscapes/mask_rcnn_R_50_FPN", "142423278/af9cf5", CITY, None),
        mask_ap=36.5,
        dataset="Cityscapes",
        parity="names",
    ),
    _old("faster_rcnn_R_50_FPN_noaug_1x", "137781054/7ab50c", replace(MASK, **BOXES, **NO_JITTER), 36.9),
    _old("keypoint_rcnn_R_50_FPN_1x", "137781195/cce136", KEYPOINT, 53.1, keypoint_ap=64.2),
    _old("mask_rcnn_R_50_FPN_noaug_1x", "137781281/62ca52", replace(MASK, **NO_JITTER), 37.8, mask_ap=34.9),
)
