"""torchvision's side of nuclei.py, which runs it by the interpreter that has torch: trains, detects, writes results.

The architecture is that of a Config of this package as JSON, as far as torchvision's parts can be told of it.
"""

import json
import time
from functools import partial

import numpy as np
import pycocotools.mask as coco_mask
import torch
from nuclei_side import arguments, row, write
from PIL import Image
from torch import nn
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.backbone_utils import BackboneWithFPN
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from torchvision.models.detection.mask_rcnn import MaskRCNNHeads, MaskRCNNPredictor
from torchvision.models.resnet import BasicBlock
from torchvision.transforms.functional import resize

GROUP_NORM = partial(nn.GroupNorm, 32)


class Body(nn.Module):
    """ResNet-18 of any width, made of torchvision's blocks, whose own class has 64 channels."""

    def __init__(self, channels, width):
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 7, 2, 3, bias=False)
        self.bn1, self.relu, self.maxpool = GROUP_NORM(width), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)
        inputs = width
        for level in range(4):
            outputs, stride = width * 2**level, 2 if level else 1
            shortcut = None
            if level:
                shortcut = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), GROUP_NORM(outputs)
                )
            blocks = (
                BasicBlock(inputs, outputs, stride, shortcut, norm_layer=GROUP_NORM),
                BasicBlock(outputs, outputs, norm_layer=GROUP_NORM),
            )
            setattr(self, f"layer{level + 1}", nn.Sequential(*blocks))
            inputs = outputs
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.maxpool(self.relu(self.bn1(self.conv1(x))))
        for level in range(1, 5):
            x = getattr(self, f"layer{level}")(x)
        return x


def make_model(config):
    """torchvision's Mask R-CNN of a Config's numbers, randomly initialised."""
    width, channels, hidden = config["stem_channels"], config["fpn_channels"], config["box_head_channels"]
    backbone = BackboneWithFPN(
        Body(config["channels"], width),
        {f"layer{level + 1}": str(level) for level in range(4)},
        [width * 2**level for level in range(4)],
        channels,
        norm_layer=GROUP_NORM,
    )
    classes, masks = len(config["class_names"]) + 1, config["mask_head_channels"]
    ratios = (tuple(config["anchor_ratios"]),) * len(config["anchor_sizes"])
    return MaskRCNN(
        backbone,
        min_size=config["crop_size"],
        max_size=100_000,
        image_mean=[value / 255 for value in config["pixel_mean"]],
        image_std=[value / 255 for value in config["pixel_std"]],
        rpn_anchor_generator=AnchorGenerator(tuple(map(tuple, config["anchor_sizes"])), ratios),
        rpn_pre_nms_top_n_train=config["pre_nms_top_k_train"],
        rpn_pre_nms_top_n_test=config["pre_nms_top_k"],
        rpn_post_nms_top_n_train=config["post_nms_top_k_train"],
        rpn_post_nms_top_n_test=config["post_nms_top_k"],
        rpn_batch_size_per_image=config["rpn_batch_size"],
        box_head=TwoMLPHead(channels * config["box_pool_size"] ** 2, hidden),
        box_predictor=FastRCNNPredictor(hidden, classes),
        box_batch_size_per_image=config["box_batch_size"],
        box_detections_per_img=config["max_detections"],
        box_score_thresh=config["score_threshold"],
        mask_head=MaskRCNNHeads(channels, (masks,) * config["mask_convs"], 1, norm_layer=GROUP_NORM),
        mask_predictor=MaskRCNNPredictor(masks, masks, classes),
    )


def stretched(image, percentiles):
    low, high = np.percentile(image, percentiles)
    return np.clip((image - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)


def example(image, labels, config, rng):
    """A crop of a scaled image, flipped and rotated by chance, and its objects as torchvision takes them."""
    side, scale = config["crop_size"], config["image_scale"] * rng.uniform(*config["scale_jitter"])
    height, width = (max(1, round(length * scale)) for length in image.shape)
    pixels = resize(torch.from_numpy(image)[None], [height, width], antialias=False).numpy()[0]
    rows = np.minimum((np.arange(height) + 0.5) / scale, image.shape[0] - 1).astype(int)
    columns = np.minimum((np.arange(width) + 0.5) / scale, image.shape[1] - 1).astype(int)
    top, left = (int(rng.integers(0, max(length - side, 0) + 1)) for length in (height, width))
    pixels = pixels[top : top + side, left : left + side]
    numbers = labels[np.ix_(rows[top : top + side], columns[left : left + side])]
    padding = [(0, side - length) for length in pixels.shape]
    pixels, numbers = np.pad(pixels, padding), np.pad(numbers, padding)
    times = int(rng.integers(1, 4)) if rng.random() < config["rotate90_probability"] else 0
    pixels, numbers = np.rot90(pixels, times), np.rot90(numbers, times)
    for axis, probability in (
        (1, config["horizontal_flip_probability"]),
        (0, config["vertical_flip_probability"]),
    ):
        if rng.random() < probability:
            pixels, numbers = np.flip(pixels, axis), np.flip(numbers, axis)
    contrast = rng.uniform(1 - config["contrast"], 1 + config["contrast"])
    pixels = (pixels - pixels.mean()) * contrast + pixels.mean() + rng.uniform(-1, 1) * config["brightness"]
    return torch.from_numpy(np.clip(pixels, 0, 1).astype(np.float32))[None], target(numbers)


def target(numbers):
    masks, boxes = [], []
    for number in np.unique(numbers[numbers > 0]):
        mask = numbers == number
        y, x = mask.nonzero()
        masks.append(mask)
        boxes.append([x.min(), y.min(), x.max() + 1, y.max() + 1])
    count = len(boxes)
    masks = np.stack(masks) if count else np.zeros((0, *numbers.shape), bool)
    return {
        "boxes": torch.tensor(boxes, dtype=torch.float32).reshape(-1, 4),
        "labels": torch.ones(count, dtype=torch.int64),
        "masks": torch.from_numpy(masks.astype(np.uint8)),
    }


class Crops(torch.utils.data.Dataset):
    def __init__(self, images, labels, config, count, seed):
        sides = np.array([image.size**0.5 for image in images])
        self.images, self.labels, self.config, self.seed = images, labels, config, seed
        self.order = np.random.default_rng(seed).choice(len(images), count, p=sides / sides.sum())

    def __len__(self):
        return len(self.order)

    def __getitem__(self, index):
        chosen, rng = self.order[index], np.random.default_rng((self.seed, index))
        return example(self.images[chosen], self.labels[chosen], self.config, rng)


def train(model, crops, steps, batch_size=4):
    """Train as samples/nuclei/train.py does, and return the model of averaged weights."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-3)
    warm = max(1, steps // 20)

    def rate(step):
        return 0.01 + 0.99 * step / warm if step < warm else 0.5 + 0.5 * np.cos(np.pi * (step - warm) / steps)

    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, rate)
    momentum = max(0.0, min(0.998, 1 - 5 / steps))
    average = torch.optim.swa_utils.AveragedModel(
        model, multi_avg_fn=torch.optim.swa_utils.get_ema_multi_avg_fn(momentum)
    )
    loader = torch.utils.data.DataLoader(crops, batch_size, num_workers=1, collate_fn=list)
    model.train()
    for step, batch in enumerate(loader):
        images, targets = zip(*batch, strict=True)
        losses = model(list(images), list(targets))
        optimizer.zero_grad()
        sum(losses.values()).backward()
        for parameter in model.parameters():  # each by itself, as Keras' clipnorm does
            torch.nn.utils.clip_grad_norm_(parameter, 5.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        if step % 50 == 0:
            print(step, {name: round(loss.item(), 3) for name, loss in losses.items()}, flush=True)
    return average.module


@torch.no_grad()
def rows(model, images, config):
    """What is found in each image, by its name: scores, boxes and RLEs."""
    model.eval()
    found = {}
    for name, image in images.items():
        model.transform.min_size = (round(min(image.shape) * config["image_scale"]),)
        (one,) = model([torch.from_numpy(image)[None]])
        encoded = [
            coco_mask.encode(np.asfortranarray(mask[0] >= 0.5, np.uint8)) for mask in one["masks"].numpy()
        ]
        found[name] = [row(*each) for each in zip(one["scores"], one["boxes"], encoded, strict=True)]
    return found


def main():
    args = arguments(__doc__)
    config = json.loads(args.config.read_text())
    torch.manual_seed(args.seed)
    names = sorted(path.stem for path in args.labels.glob("*.png"))
    images = {
        name: stretched(np.asarray(Image.open(args.images / f"{name}.png")), config["intensity_percentiles"])
        for name in names
    }
    validation, tuning = (
        {name: images[name] for name in file.read_text().split()}
        for file in (args.validation_names, args.tuning_names)
    )
    training = [name for name in names if name not in validation]
    labels = [np.asarray(Image.open(args.labels / f"{name}.png")).astype(np.int32) for name in training]
    crops = Crops([images[name] for name in training], labels, config, 4 * args.steps, args.seed)
    model = make_model(config)
    start = time.perf_counter()
    model = train(model, crops, args.steps)
    seconds = time.perf_counter() - start
    write(args, seconds, rows(model, validation, config), rows(model, tuning, config))


if __name__ == "__main__":
    main()
