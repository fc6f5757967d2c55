"""Names in any script are drawn in letters, or a warning says which letters no font has."""

import warnings

import numpy as np
import pytest

from keras_maskrcnn.drawing.captions import side_by_side
from keras_maskrcnn.drawing.fonts import text_font
from keras_maskrcnn.drawing.instances import draw_instances

UNKNOWN = "\U00016b00"  # of Pahawh Hmong, which DejaVu Sans lacks


def drawn(name):
    return np.asarray(
        draw_instances(np.full((90, 240, 3), 200, np.uint8), np.array([[20, 30, 200, 80]]), [name])
    )


@pytest.mark.parametrize(
    "one, other",
    [("é", "è"), ("ä", "ß"), ("łódź", "żółw"), ("кот", "кит"), ("λ", "β"), ("שלום", "תודה"), ("→", "←")],
)
def test_letters_beyond_ascii_are_told_apart(one, other):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert (drawn(one) != drawn(other)).any()


def test_letters_in_ascii_are_as_they_were():
    assert text_font("cat 0.97", 90, 240).getname() == text_font("", 90, 240).getname()
    assert text_font("chat à l'ombre", 90, 240).getname()[0] == "DejaVu Sans"


def test_each_label_has_the_font_of_its_letters():
    boxes = np.array([[5, 30, 60, 80], [100, 30, 200, 80]])
    image = np.full((90, 240, 3), 200, np.uint8)
    alone = np.asarray(draw_instances(image, boxes[:1], ["cat"]))
    both = np.asarray(draw_instances(image, boxes, ["cat", "кот"]))
    np.testing.assert_array_equal(alone[:, :90], both[:, :90])


def test_letters_that_no_font_has_are_told_and_drawn_all_the_same(monkeypatch):
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [__file__])
    with pytest.warns(UserWarning, match=f"no font was found that has the letters {UNKNOWN}, .*font="):
        drawn(f"a{UNKNOWN}")


def test_the_fonts_of_the_system_are_looked_through(monkeypatch):
    other = text_font("é", 90, 240).path.replace("DejaVuSans.ttf", "STIXGeneral.ttf")
    monkeypatch.setattr("matplotlib.font_manager.findSystemFonts", lambda: [__file__, other])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert text_font("\u2312", 90, 240).getname()[0] == "STIXGeneral"  # an arc that DejaVu Sans lacks


def test_a_font_that_is_given_is_used_and_what_it_lacks_is_told():
    path = text_font("é", 90, 240).path
    assert text_font("cat", 90, 240, path).getname()[0] == "DejaVu Sans"
    with pytest.warns(UserWarning, match=rf"DejaVuSans\.ttf lacks the letters {UNKNOWN}"):
        text_font(f"é{UNKNOWN}", 90, 240, path)


def test_captions_and_titles_are_drawn_alike():
    image = draw_instances(np.full((90, 240, 3), 200, np.uint8), np.zeros((0, 4)))
    pages = [np.asarray(side_by_side([image], [caption], title=title)) for caption, title in
             (("λ", "é"), ("β", "é"), ("λ", "è"))]  # fmt: skip
    assert (pages[0] != pages[1]).any() and (pages[0] != pages[2]).any()


def test_line_ends_and_control_characters_are_no_letters():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        font = text_font("é\n\x1b\u200b\u00a0", 90, 240)
    assert font.getname() == text_font("é", 90, 240).getname()
