"""The demo's page in a headless browser: every way in, what is shown, what is saved, and what is asked of whom."""

import base64
import json
import shutil
from urllib.parse import urlsplit

import numpy as np
import pytest
from page_server import served_page
from PIL import Image

import keras_maskrcnn as km
from keras_maskrcnn.serving.requests import Limits
from keras_maskrcnn.serving.thumbnails import make_thumbnails
from samples import sample

pytest.importorskip("gradio")
pytest.importorskip("selenium")
if not shutil.which("chromium") or not shutil.which("chromedriver"):
    pytest.skip("needs chromium and chromedriver", allow_module_level=True)
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

pytestmark = pytest.mark.slow
FLAGS = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
)
GIVE_FILE = """
const [how, name, content, done] = arguments;
const bytes = Uint8Array.from(atob(content), (letter) => letter.charCodeAt(0));
const data = new DataTransfer();
data.items.add(new File([bytes], name, {type: "image/png"}));
const event = how == "paste"
  ? new ClipboardEvent("paste", {clipboardData: data, bubbles: true})
  : new DragEvent("drop", {dataTransfer: data, bubbles: true, cancelable: true});
document.body.dispatchEvent(event);
done();
"""
"""What the browser does when somebody pastes or drops a file."""


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """A folder with drawn nuclei of 8 bits, of 16 bits, and two in a stack."""
    folder = tmp_path_factory.mktemp("pictures")
    cells = sample("nuclei/cells.py")
    cell_image, _ = cells.draw_cells(200, 300, 12, seed=1, radius=13)
    Image.fromarray(cell_image).save(folder / "cells.png")
    deep, _ = cells.draw_cells(128, 128, 6, seed=2, radius=13, brightest=9000)
    Image.fromarray(deep).save(folder / "deep.tif")
    first, second = (Image.fromarray(cells.draw_cells(96, 128, 5, seed=seed)[0]) for seed in (3, 4))
    first.save(folder / "stack.tif", save_all=True, append_images=[second])
    return folder


@pytest.fixture(scope="module")
def model():
    return km.load_pretrained("nuclei_resnet18_fpn")


@pytest.fixture(scope="module")
def url(model, pictures, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    examples = make_thumbnails([pictures / "deep.tif"], model.config, folder)
    limits = Limits(bytes=200_000, pixels=100_000)
    with served_page(
        folder / "cache", model, "nuclei", limits=limits, score_threshold=0.5, examples=examples
    ) as address:
        yield address


class Browser:
    """A new browser on the page."""

    def __init__(self, folder, url, width, height):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium")
        for flag in (*FLAGS, f"--user-data-dir={folder / 'profile'}", f"--window-size={width},{height}"):
            options.add_argument(flag)
        self.saved = folder / "saved"
        options.add_experimental_option("prefs", {"download.default_directory": str(self.saved)})
        options.set_capability("goog:loggingPrefs", {"performance": "ALL", "browser": "ALL"})
        service = webdriver.ChromeService(shutil.which("chromedriver"))
        self.driver = webdriver.Chrome(options=options, service=service)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
        self.driver.get(url)
        self.until(lambda: self.all("#summary p") and self.all("#picture"))

    def all(self, selector):
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def one(self, selector):
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def button(self, text):
        (found,) = (button for button in self.all("button") if button.text.startswith(text))
        return found

    def until(self, condition):
        """Wait for it; a page that renders meanwhile may replace what is looked at."""
        from selenium.common.exceptions import StaleElementReferenceException

        return WebDriverWait(self.driver, 60, ignored_exceptions=[StaleElementReferenceException]).until(
            lambda _: condition()
        )

    def summary(self):
        return " ".join(paragraph.text for paragraph in self.all("#summary p"))

    def until_summary(self, *parts):
        self.until(lambda: all(part in self.summary() for part in parts))
        return self.summary()

    def choose(self, path):
        self.one("input[type=file]").send_keys(str(path))

    def drawn(self):
        """The source of the drawing, once it is loaded."""
        image = self.one("#drawn img")
        loaded = self.driver.execute_script(
            "return arguments[0].complete && arguments[0].naturalWidth", image
        )
        return image.get_attribute("src") if loaded else None

    def save(self, label, name):
        """Press a button that saves; return the path of the file."""
        self.until(lambda: self.button(label).is_enabled())
        self.button(label).click()
        self.until((self.saved / name).exists)
        return self.saved / name


@pytest.fixture
def browser(url, tmp_path, request):
    opened = Browser(tmp_path, url, *getattr(request, "param", (1280, 900)))
    yield opened
    opened.driver.quit()


def test_an_image_is_chosen_and_its_objects_are_drawn_listed_and_saved(browser, model, pictures):
    (expected,) = model.detect([pictures / "cells.png"], score_threshold=0.5, masks="rle")
    assert len(expected) > 5
    browser.choose(pictures / "cells.png")
    browser.until_summary(f"{len(expected)} objects", "cells.png, 300 x 200 pixels, in ", " s")
    browser.until(browser.drawn)
    assert (
        "nucleus" in browser.one("#objects").text
        and f"{expected.scores[0]:.3f}" in browser.one("#objects").text
    )
    drawing = Image.open(browser.save("Save PNG", "cells_detections.png"))
    np.testing.assert_array_equal(np.asarray(drawing), np.asarray(expected.draw(min_score=0)))
    rows = json.loads(browser.save("Save COCO JSON", "cells_detections.json").read_text())
    assert [row["segmentation"] for row in rows] == expected.masks
    labels = np.asarray(Image.open(browser.save("Save label image", "cells_labels.tif")))
    np.testing.assert_array_equal(labels, expected.to_label_image(min_score=0))


@pytest.mark.parametrize("how", ["paste", "drop"])
def test_an_image_is_pasted_or_dropped(browser, model, pictures, how):
    (expected,) = model.detect([pictures / "cells.png"], score_threshold=0.5, masks=None)
    content = base64.b64encode((pictures / "cells.png").read_bytes()).decode()
    browser.until(lambda: browser.driver.execute_script("return 'listens' in document.body.dataset"))
    browser.driver.execute_async_script(GIVE_FILE, how, f"{how}.png", content)
    summary = browser.until_summary("objects", f"{how}.png, 300 x 200 pixels")
    assert summary.startswith(f"{len(expected)} objects")


def test_an_example_of_16_bits_and_a_stack(browser, model, pictures):
    deep, stack = model.detect(
        [pictures / "deep.tif", pictures / "stack.tif"], score_threshold=0.5, masks=None
    )
    browser.until(lambda: browser.all("#examples img"))
    browser.one("#examples button").click()
    summary = browser.until_summary("objects", "deep.tif, 128 x 128 pixels")
    assert summary.startswith(f"{len(deep)} objects")
    browser.until(browser.drawn)
    browser.choose(pictures / "stack.tif")
    summary = browser.until_summary("stack.tif, 128 x 96 pixels", "Note: ")
    assert summary.startswith(f"{len(stack)} objects")
    assert "it has 2 pages or frames, of which only the first is read" in summary


def test_settings_detect_and_draw_anew(browser, model, pictures):
    browser.choose(pictures / "cells.png")
    browser.until_summary("objects")
    first = browser.until(browser.drawn)
    browser.button("How it is drawn").click()
    browser.until(lambda: browser.one("input[value=strip]").is_displayed())
    browser.one("input[value=strip]").click()
    browser.until(lambda: browser.drawn() not in (None, first))
    assert browser.driver.execute_script("return document.querySelector('#drawn img').naturalHeight") > 200
    threshold, most = (field for field in browser.all("input[type=number]") if field.is_displayed())
    most.send_keys(Keys.CONTROL, "a")
    most.send_keys("3")
    browser.until_summary("3 objects")
    threshold.send_keys(Keys.CONTROL, "a")
    threshold.send_keys("1", Keys.ENTER)
    (best,) = model.detect([pictures / "cells.png"], score_threshold=0, max_detections=1, masks=None)
    browser.until_summary(
        "0 objects", f"No score is above the threshold; the highest is {best.scores[0]:.3f}."
    )


def test_what_cannot_be_read_is_told_with_its_reason_and_nothing_stays_of_what_was_before(
    browser, pictures, tmp_path
):
    browser.choose(pictures / "cells.png")
    browser.until_summary("objects")
    browser.until(browser.drawn)
    (tmp_path / "notes.txt").write_text("this is no image")
    browser.choose(tmp_path / "notes.txt")
    browser.until_summary(
        "notes.txt: the image cannot be read: this is no image of a format that Pillow knows"
    )
    browser.until(lambda: not browser.all("#drawn img"))
    assert not browser.button("Save PNG").is_enabled()
    Image.new("L", (400, 400)).save(tmp_path / "large.png")
    browser.choose(tmp_path / "large.png")
    browser.until_summary("large.png: the image has 400 x 400 pixels, more than 100000")
    (tmp_path / "heavy.png").write_bytes(bytes(200_001))
    browser.choose(tmp_path / "heavy.png")
    browser.until(lambda: "maximum allowed size" in browser.one("body").text)


@pytest.mark.parametrize("browser", [(390, 844)], indirect=True)
def test_a_phone_shows_the_result_without_scrolling_sideways(browser, pictures):
    browser.choose(pictures / "cells.png")
    browser.until_summary("objects")
    browser.until(browser.drawn)
    assert browser.driver.execute_script("return document.documentElement.scrollWidth") <= 390
    in_view = (
        "const box = document.querySelector('#summary').getBoundingClientRect(); return box.top < innerHeight"
    )
    browser.until(lambda: browser.driver.execute_script(in_view))


def test_all_is_loaded_from_the_server_and_nothing_is_refused(browser, url, pictures):
    browser.choose(pictures / "cells.png")
    browser.until_summary("objects")
    browser.until(browser.drawn)
    asked, own = set(), urlsplit(url)
    for entry in browser.driver.get_log("performance"):
        sent = json.loads(entry["message"])["message"]
        if sent["method"] == "Network.requestWillBeSent":
            asked.add(urlsplit(sent["params"]["request"]["url"]))
    hosts = {place.netloc for place in asked if place.scheme in ("http", "https", "ws", "wss")}
    assert hosts == {own.netloc}
    assert [
        entry["message"] for entry in browser.driver.get_log("browser") if entry["level"] == "SEVERE"
    ] == []
