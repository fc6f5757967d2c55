"""Class names as data.yaml and text files write them: YAML of every style, and what is no names."""

import time

import pytest

from keras_maskrcnn.data.formats.yolo_names import read_names

YAML = {
    "brackets": "nc: 2\nnames: ['nut', \"big bolt\"]  # two\n",
    "brackets with remarks": "names: [  # both\n  'nut',  # ['small]\n  'big bolt'  # of steel\n]\n",
    "brackets without quotes": "names: [nut, big bolt]\ntrain: x\n",
    "brackets over lines": "names: [\n  'nut',\n  'big bolt',\n]\n",
    "braces": "names: {0: nut, 1: big bolt}\n",
    "braces with quotes": "names: {0: 'nut', 1: 'big bolt'}\n",
    "numbers": "path: x\nnames:\n  0: nut\n  1: big bolt # of steel\nnc: 2\n",
    "numbers in any order": "names:\n  1: big bolt\n  0: nut\n",
    "dashes": "names:\n- nut\n\n# the other\n- 'big bolt'  # of steel\ntrain: x\n",
    "indented dashes": 'names:\n  - "nut"\n  - big bolt\n',
}


@pytest.mark.parametrize("name", YAML)
def test_names_are_read_from_every_way_to_write_them(tmp_path, name):
    (tmp_path / "data.yaml").write_text(YAML[name])
    assert read_names(tmp_path / "data.yaml") == ["nut", "big bolt"]


ESCAPED = r"""["caf\xE9", "\u732B \U0001F600", 'it''s', 'b]', "a \"b\" \\", 'c, #d', C:x, 7, ]"""


def test_what_is_escaped_in_quotes_is_read_as_it_is_meant(tmp_path):
    items = ESCAPED[1:-3].replace("'c, #d'", "'c; #d'").replace(", ", "\n- ").replace(";", ",")
    for text in (f"names: {ESCAPED} # end", f"names:\n- {items}\n"):
        (tmp_path / "data.yaml").write_text(text)
        names = ["caf\u00e9", "\u732b \U0001f600", "it's", "b]", 'a "b" \\', "c, #d", "C:x", "7"]
        assert read_names(tmp_path / "data.yaml") == names


def test_names_are_text_whatever_yaml_takes_them_for(tmp_path):
    (tmp_path / "data.yaml").write_text("names: [no, on, 1, 1.5, ~, 2001-01-01, !!int seven]")
    assert read_names(tmp_path / "data.yaml") == ["no", "on", "1", "1.5", "~", "2001-01-01", "seven"]


def test_names_may_be_an_alias(tmp_path):
    (tmp_path / "data.yaml").write_text("others: &all [nut, bolt]\nnames: *all\n")
    assert read_names(tmp_path / "data.yaml") == ["nut", "bolt"]


def test_text_files_have_a_name_per_line(tmp_path):
    (tmp_path / "classes.txt").write_text("nut\n\n big bolt \n")
    assert read_names(tmp_path / "classes.txt") == ["nut", "big bolt"]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'no "names:"'),
        ("- nut\n", 'no "names:"'),
        ("train: x\n", 'no "names:"'),
        ("train: x\nnames:\n", "line 2: names must be a list or a mapping"),
        ("names: nut\n", "line 1: names must be a list or a mapping"),
        ("names: *others\n", "line 1: this is no valid YAML: found undefined alias"),
        ("nc: 3\nnames: [nut, bolt]\n", "line 1: nc is 3, but there are 2 names"),
        ("nc: [2]\nnames: [nut, bolt]\n", "line 1: there must be text here"),
        ("names:\n  0: nut\n  2: bolt\n", "line 2: names must be numbered from 0 without gaps"),
        ("names:\n  0: nut\n  0: bolt\n", "line 3: the key 0 occurs twice"),
        ("names: [nut]\ntrain: x\nnames: [bolt]\n", "line 3: the key names occurs twice"),
        ("names: [nut, 'bolt]\n", "line 2: this is no valid YAML: found unexpected end of stream"),
        ("names:\n- 'nut' 'bolt'\n", "line 2: this is no valid YAML"),
        ('names: ["nut\\q"]\n', "line 1: this is no valid YAML: found unknown escape"),
        ('names:\n- "nut\\uD83D"\n', "line 2: this is no text in UTF-8"),
        ("names: [nut, [bolt]]\n", "line 1: there must be text here"),
        ("names:\n- nut\n-\n", "line 3: there must be text here"),
        ("names: {'a': 'nut', 'b': 'bolt'}\n", "line 1: names must be numbered"),
        ("names: {[1]: 'nut'}\n", "line 1: there must be text here"),
        ("names: [nut]\n---\nnames: [bolt]\n", "line 2: this is no valid YAML"),
        ("names: [nut, nut]\n", "must be different"),
        ("names: " + 5000 * "[", "this is no valid YAML"),
        ("names: [nut\x00]", "this is no valid YAML"),
        ("names: [nut]\n" + 1_000_000 * "#", "more than 1000000 characters"),
    ],
)
def test_names_that_are_not_understood_are_refused_by_file_and_line(tmp_path, text, reason):
    (tmp_path / "data.yaml").write_text(text)
    with pytest.raises(ValueError, match=f"data.yaml: .*{reason}"):
        read_names(tmp_path / "data.yaml")


def test_aliases_do_not_multiply(tmp_path):
    """Ten lines that stand for ten thousand million names."""
    levels = "".join(f"l{n + 1}: &l{n + 1} [{', '.join(10 * [f'*l{n}'])}]\n" for n in range(10))
    (tmp_path / "data.yaml").write_text(f"l0: &l0 [nut]\n{levels}names: *l10\n")
    started = time.monotonic()
    with pytest.raises(ValueError, match="there must be text here"):
        read_names(tmp_path / "data.yaml")
    assert time.monotonic() - started < 5


def test_tags_make_no_objects(tmp_path):
    (tmp_path / "data.yaml").write_text("x: !!python/object/apply:os.abort []\nnames: [nut]\n")
    assert read_names(tmp_path / "data.yaml") == ["nut"]
