"""The server: `POST /detect` with an image's bytes, and what those need who run it."""

import asyncio
import contextlib
import functools
import time
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from keras_maskrcnn.detections.detections import Detections
from keras_maskrcnn.runtime.model import ExportedModel
from keras_maskrcnn.serving.batcher import Batcher, BusyError
from keras_maskrcnn.serving.requests import Limits, RefusedError, decode, read_body, read_options

SECONDS = (0.01, 0.03, 0.1, 0.3, 1, 3, 10, 30)
"""Bounds of the histograms."""


class Metrics:
    """What is counted, for Prometheus."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        options: dict[str, Any] = {"registry": self.registry}
        self.requests = Counter("maskrcnn_requests", "Requests by status of HTTP", ["status"], **options)
        self.seconds = Histogram("maskrcnn_request_seconds", "Time of a request", buckets=SECONDS, **options)
        self.batches = Histogram(
            "maskrcnn_batch_images", "Images of a batch", buckets=(1, 2, 4, 8, 16), **options
        )
        self.waiting = Gauge("maskrcnn_waiting", "Images that wait for a batch", **options)


def make_app(
    model: ExportedModel,
    limits: Limits,
    batch_size: int = 4,
    batch_wait: float = 0.005,
    most_waiting: int = 64,
) -> Starlette:
    """Return the server's application.

    - `POST /detect?score_threshold=0.5&masks=rle`: the body is an image file. The answer is JSON: `width`, `height` and
      `detections`, best first, each with `box` (x1, y1, x2, y2 in pixels), `score`, `class_id`, `class_name`, and what
      the model has of `segmentation` (COCO's RLE), `mask_score` and `keypoints`.
    - `GET /health`: 200 when it can answer. `GET /model`: the artefact's description. `GET /metrics`: for Prometheus.

    What cannot be answered has `{"error": ...}`: 400 for what is no image, 413 for too large a body or image, 422 for
    another parameter, 503 when too many requests wait.

    Args:
        model: the artefact.
        limits: of bodies and images.
        batch_size: most images that are run together.
        batch_wait: seconds that an image waits for others.
        most_waiting: images that may wait.
    """
    metrics = Metrics()

    def run(images: list[np.ndarray]) -> list[Detections]:
        # Only images of one size run together: the padding of others changes what group norm sees, and an answer must
        # not depend on who else asks.
        found: dict[int, Detections] = {}
        for shape in dict.fromkeys(image.shape for image in images):
            places = [place for place, image in enumerate(images) if image.shape == shape]
            metrics.batches.observe(len(places))
            together = model.detect([images[place] for place in places], batch_size=len(places), masks="rle")
            found |= zip(places, together, strict=True)
        return [found[place] for place in range(len(images))]

    batcher: Batcher[np.ndarray, Detections] = Batcher(run, batch_size, batch_wait, most_waiting)
    metrics.waiting.set_function(lambda: batcher.waiting)
    read = functools.partial(
        decode,
        channels=model.config.channels,
        percentiles=model.config.intensity_percentiles,
        limits=limits,
    )

    async def detect(request: Request) -> Response:
        start = time.perf_counter()
        response: Response | None = None
        try:
            options = read_options(request.query_params, model.config.score_threshold)
            body = await read_body(request.stream(), limits)
            image = await asyncio.to_thread(read, body)
            found = await batcher.submit(image)
            found = found[found.scores > options.score_threshold]
            response = JSONResponse(answer(found, with_masks=options.masks == "rle"))
        except RefusedError as refused:
            response = JSONResponse({"error": refused.reason}, refused.status)
        except BusyError as busy:
            response = JSONResponse({"error": f"{busy}; try again"}, 503, {"Retry-After": "1"})
        except ClientDisconnect:
            response = Response(status_code=499)  # nobody reads it
        finally:
            metrics.requests.labels(str(response.status_code if response is not None else 500)).inc()
            metrics.seconds.observe(time.perf_counter() - start)
        return response

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def describe(_: Request) -> Response:
        return JSONResponse(model.description)

    async def measured(_: Request) -> Response:
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)

    @contextlib.asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        worker = asyncio.create_task(batcher.work())
        yield  # until all requests have been answered
        worker.cancel()

    routes = [
        Route("/detect", detect, methods=["POST"]),
        Route("/health", health),
        Route("/model", describe),
        Route("/metrics", measured),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


def answer(found: Detections, with_masks: bool) -> dict[str, Any]:
    """Return detections as plain values for JSON."""
    rows = []
    for i in range(len(found)):
        row = {
            "box": [round(float(value), 2) for value in found.boxes[i]],
            "score": round(float(found.scores[i]), 5),
            "class_id": int(found.class_ids[i]),
            "class_name": found.class_names[i],
        }
        if with_masks and found.masks is not None:
            row["segmentation"] = _text(found.masks[i])
        if found.mask_scores is not None:
            row["mask_score"] = round(float(found.mask_scores[i]), 5)
        if found.keypoints is not None:
            row["keypoints"] = np.round(found.keypoints[i], 2).tolist()
        rows.append(row)
    return {"width": found.width, "height": found.height, "detections": rows}


def _text(rle: dict[str, Any]) -> dict[str, Any]:
    counts = rle["counts"]
    return {"size": list(rle["size"]), "counts": counts.decode() if isinstance(counts, bytes) else counts}
