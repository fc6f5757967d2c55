"""The report of the dataset check: as text, as JSON, and as a page with images."""

import base64
import dataclasses
import html.parser
import io
import json
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from examples import drawn_records, tiny
from faults import HEIGHT, WIDTH, check, with_fault, with_object
from PIL import Image

from keras_maskrcnn.data.records import make_record
from keras_maskrcnn.diagnostics.dataset import thumbnails
from keras_maskrcnn.masks.rle import region_to_rle, segmentation_to_mask


def test_the_report_as_json_has_all_issues(files):
    report = check(with_object(files, box=[20, 5, 20, 5]), validation=drawn_records(10, seed=1))
    content = json.loads(report.to_json())
    assert content["counts"] == {"error": 1, "warning": 0, "note": 0}
    assert content["splits"]["validation"] == {"images": 10, "objects": 20, "crowds": 0}
    assert content["classes"] == {"circle": [11, 10], "square": [11, 10]}
    assert content["anchors"]["objects"] == 20
    (found,) = content["issues"]
    assert (found["image"], found["object"], found["split"]) == (files[2].image, 1, "training")


def test_the_text_lists_the_most_severe_first_and_says_how_many_are_left(files):
    records = [dataclasses.replace(record, image="none.png") for record in drawn_records(30)]
    text = str(check(records, validation=records[:1], config=None))
    errors, warnings = text.index("error: missing image (31)"), text.index("warning: image in both")
    assert errors < warnings and "... and 11 more" in text


class Page(html.parser.HTMLParser):
    """The images of a page, its text, and where it leads to."""

    def __init__(self, text):
        super().__init__()
        self.images, self.links, self.tags, self.text = [], [], set(), ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        for name, value in attrs:
            if name == "src" and value.startswith("data:image/jpeg;base64,"):
                image = Image.open(io.BytesIO(base64.b64decode(value.partition(",")[2])))
                self.images.append(np.asarray(image).astype(int))
            elif name in ("src", "href", "action"):
                self.links.append(value)

    def handle_data(self, data):
        self.text += data


def test_the_page_shows_what_is_wrong_and_needs_no_other_file(files, tmp_path):
    folder = tmp_path / '<b>&amp; "x"'
    folder.mkdir()
    path = folder / "gray.png"
    Image.new("RGB", (WIDTH, HEIGHT), (90, 90, 90)).save(path)
    records = with_object(files, box=[40, 5, WIDTH + 20, 40], mask=[[40, 5, 70, 5, 70, 40, 40, 40]])
    records[2] = dataclasses.replace(records[2], image=str(path))
    report = check(records, class_names=["<script>alert(1)</script>", "b"])
    report.write_html(tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.links == [] and "script" not in page.tags
    assert f"{path}, object 1" in page.text and "reaches outside the image" in page.text
    assert "<script>alert(1)</script>" in page.text
    (image,) = page.images
    assert image.shape == (HEIGHT, WIDTH + 20, 3)  # to where the box ends
    assert (
        abs(image[-3, 3] - 90).max() < 8 and abs(image[-3, -3] - 150).max() < 8
    )  # the image, and its margin
    assert image[30, 60, 0] > image[30, 60, 1] + 20  # the mask, reddish


@pytest.mark.parametrize("window", [(0, 0, WIDTH, HEIGHT), (30, 20, 55, 60), (-10, -7, 60, 90)])
@pytest.mark.parametrize("size", [(33, 47), (71, 59)])
def test_the_mask_in_an_image_is_that_of_the_whole_image_cropped_and_resized(files, window, size):
    for index, segmentation in enumerate(files[2].masks):
        whole = Image.fromarray(segmentation_to_mask(segmentation, HEIGHT, WIDTH))
        expected = np.asarray(whole.crop(window).resize(size, Image.Resampling.NEAREST))
        np.testing.assert_array_equal(thumbnails._mask(files[2], index, window, size), expected)


def test_a_small_object_in_a_large_image_is_drawn_with_little_memory():
    rle = region_to_rle((np.ones((30, 40), bool), 2000, 1500), 4000, 5000)
    image = np.broadcast_to(np.uint8(0), (4000, 5000, 3))
    record = make_record(image, masks=[rle], class_ids=[1], image_id="large")
    tracemalloc.start()
    mask = thumbnails._mask(record, 0, (0, 0, 5000, 4000), (500, 400))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert mask[150:153, 200:204].all() and mask.sum() == 12
    assert peak < 4000 * 5000 / 10


def test_the_page_goes_without_the_image_of_a_broken_image(files, tmp_path):
    path = tmp_path / "broken.png"
    path.write_bytes(b"no image")
    report = check(with_fault(files, image=str(path)), problems=[f"train.json: {path}: it is broken"])
    report.write_html(tmp_path / "report.html")
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    assert page.images == [] and page.text.count("no image can be shown") == 2


def test_the_page_says_what_it_is_about_and_leaves_classes_without_objects_out(files, tmp_path):
    config = tiny(class_names=("circle", "square", "star", "moon"))
    report = check(files, config=config, validation=drawn_records(10, seed=1))
    report.write_html(tmp_path / "report.html", about={"model": "config.json"})
    page = Page((tmp_path / "report.html").read_text(encoding="utf-8"))
    folder = Path(files[0].image).parent
    assert f"training: 11 images in {folder}; validation: 10 images; model: config.json; 20" in page.text
    table = page.text[page.text.index("Objects of each class") :]
    assert "circle1110" in table and "moon" not in table and "2 classes without objects" in table
    assert report.anchors.verdict in page.text
