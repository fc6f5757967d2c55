"""CVAT's XML is read piece by piece, and nothing in it is expanded or fetched."""

import tracemalloc

import pytest
from cvat_files import image, write

from keras_maskrcnn.data.formats.cvat import load_cvat
from keras_maskrcnn.data.formats.cvat_xml import root_name, top_elements


def test_elements_come_one_by_one(tmp_path):
    path = write(tmp_path, "<meta><a>1 &lt; 2</a></meta>", image('<tag label="x"/>'))
    elements = list(top_elements(path))
    assert [one.tag for one in elements] == ["version", "meta", "image"]
    assert elements[1].findtext("a") == "1 < 2" and elements[2][0].get("label") == "x"


def test_memory_does_not_grow_with_the_file(tmp_path):
    path, shape = tmp_path / "big.xml", '<polygon label="nut" points="' + "1.00,1.00;" * 5000 + '"/>'
    with path.open("w") as file:
        file.write("<annotations>")
        file.writelines(image(shape) for _ in range(200))
        file.write("</annotations>")
    assert path.stat().st_size > 10**7
    tracemalloc.start()
    try:
        assert sum(1 for _ in top_elements(path)) == 200
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 3 * 10**6


DOCTYPES = {
    "an external file": '<!DOCTYPE annotations [<!ENTITY other SYSTEM "{other}">]>',
    "entities that grow": '<!DOCTYPE annotations [<!ENTITY a "ha"><!ENTITY other "&a;&a;&a;&a;">]>',
    "an external type": '<!DOCTYPE annotations SYSTEM "{other}">',
}


@pytest.mark.parametrize("kind", DOCTYPES)
def test_document_types_are_refused_before_anything_is_read_or_expanded(tmp_path, kind):
    other = tmp_path / "other.txt"
    other.write_text("a text of another file")
    path = tmp_path / "annotations.xml"
    head = DOCTYPES[kind].format(other=other.as_uri())
    path.write_text(f'<?xml version="1.0"?>{head}<annotations><meta>&other;</meta></annotations>')
    with pytest.raises(
        ValueError, match=r"annotations.xml: it has a document type \(<!DOCTYPE annotations>\)"
    ):
        load_cvat(path)
    assert root_name(path) == "annotations"  # it is taken for CVAT's, so that this is told


def test_entities_without_a_document_type_are_no_xml(tmp_path):
    path = write(tmp_path, "<meta>&other;</meta>")
    with pytest.raises(ValueError, match=r"annotations.xml: this is no valid XML: undefined entity"):
        load_cvat(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "no element found"),
        (b"{}", "not well-formed"),
        (b"<annotations><image>", "no element found"),
        (b"<annotation></annotation>", "its outermost element is <annotation>, not <annotations>"),
        (b'<?xml version="1.0" encoding="klingon"?><annotations/>', "unknown encoding"),
    ],
)
def test_what_is_no_xml_of_cvat_is_named(tmp_path, content, reason):
    path = tmp_path / "a.xml"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=f"a.xml: .*{reason}"):
        load_cvat(path)


def test_utf_16_is_read(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text(
        '<?xml version="1.0" encoding="utf-16"?><annotations><é/></annotations>', encoding="utf-16"
    )
    assert [one.tag for one in top_elements(path)] == ["é"] and root_name(path) == "annotations"


def test_files_that_are_none_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"none.xml: there is no such annotation file"):
        load_cvat(tmp_path / "none.xml")
    with pytest.raises(FileNotFoundError, match=r"annotations.xml: there is no such annotation file"):
        load_cvat(tmp_path)
