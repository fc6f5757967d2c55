"""A page to look at: the issues of a dataset, with images of some of each kind."""

import base64
import io
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Protocol

from PIL import Image

from keras_maskrcnn.data.records import Record
from keras_maskrcnn.diagnostics.anchors import AnchorAdvice
from keras_maskrcnn.diagnostics.dataset.issues import SEVERITIES, Issue, grouped
from keras_maskrcnn.diagnostics.dataset.splits import Tally
from keras_maskrcnn.diagnostics.dataset.thumbnails import draw_issue
from keras_maskrcnn.evaluation.about import about_line, described_records
from keras_maskrcnn.utils.counted import counted
from keras_maskrcnn.utils.files import written_whole


class Report(Protocol):
    """What a page shows of a `DatasetReport`, whose module imports this one."""

    issues: list[Issue]
    tallies: list[Tally]
    class_names: list[str]
    anchors: AnchorAdvice | None
    memory: int | None
    splits: dict[str, Sequence[Record]]

    @property
    def class_counts(self) -> dict[str, list[int]]: ...
    @property
    def summary(self) -> str: ...
    @property
    def memory_line(self) -> str: ...
    def count(self, severity: str) -> int: ...
    def record_of(self, issue: Issue) -> Record | None: ...


IMAGES = 6
"""Images of each kind of issue."""
LISTED = 100
"""Issues of each kind that are listed without an image."""
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; --error: #d62839; --warning: #e07a00; --note: #2a7de1 }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem; margin: 0 0 .3rem } h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem }
.badge { color: white; border-radius: .7em; padding: .05em .7em; font-size: .8rem; margin-right: .5em }
.error { background: var(--error) } .warning { background: var(--warning) } .note { background: var(--note) }
.clean { background: #2e9e5b }
.images { display: grid; grid-template-columns: repeat(auto-fill, minmax(300px, 1fr)); gap: 1rem }
figure { margin: 0; border: 1px solid var(--line); border-radius: 6px; overflow: hidden }
figure img { display: block; width: 100%; height: 260px; object-fit: contain; background: var(--soft) }
figure p { height: 260px; margin: 0; display: grid; place-items: center; background: var(--soft); opacity: .6 }
figcaption { padding: .5rem .7rem; font-size: .85rem; overflow-wrap: anywhere }
figcaption b { display: block }
table { border-collapse: collapse } td, th { padding: .15rem 1rem .15rem 0; text-align: right }
td:first-child, th:first-child, .left { text-align: left } th { font-weight: 600; border-bottom: 1px solid var(--line) }
.bar { display: inline-block; height: .7em; background: var(--note); border-radius: 2px }
.columns { columns: 20rem }
ul { padding-left: 1.2rem; font-size: .9rem; overflow-wrap: anywhere }
"""


def write_page(report: Report, path: str | Path, about: Mapping[str, str] | None = None) -> None:
    """Write the report as one HTML file that needs no other; arguments as in `DatasetReport.write_html`."""
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Dataset check</title><style>{_STYLE}</style>',
        _head(report, about or {}),
        *(_group(report, kind, issues) for (_, kind), issues in grouped(report.issues).items()),
        _classes(report),
        _anchors(report),
        "" if report.memory is None else f"<p>{escape(report.memory_line)}</p>",
        "</html>\n",
    ]
    with written_whole(path) as part:
        part.write_text("\n".join(parts), encoding="utf-8", errors="xmlcharrefreplace")


def _head(report: Report, about: Mapping[str, str]) -> str:
    looked_at, counts = report.summary.splitlines()
    badges = [
        f'<span class="badge {severity}">{counted(report.count(severity), severity)}</span>'
        for severity in SEVERITIES
        if report.count(severity)
    ]
    found = "".join(badges) or f'<span class="badge clean">{escape(counts)}</span>'
    splits = {split: described_records(records) for split, records in report.splits.items()}
    return f"<h1>Dataset check</h1>{about_line({**splits, **about})}<p>{escape(looked_at)}</p><p>{found}</p>"


def _group(report: Report, kind: str, issues: list[Issue]) -> str:
    severity = issues[0].severity
    head = f'<h2><span class="badge {severity}">{severity}</span>{escape(kind)} ({len(issues)})</h2>'
    shown = _one_per_image(issues)
    figures = "".join(_figure(report, issue) for issue in shown)
    rest = [issue for issue in issues if issue not in shown]
    rows = "".join(f"<li>{escape(str(issue))}</li>" for issue in rest[:LISTED])
    more = (
        f"<li>and {len(rest) - LISTED} more, which the JSON report lists</li>" if len(rest) > LISTED else ""
    )
    columns = "" if shown else ' class="columns"'
    listed = f"<ul{columns}>{rows}{more}</ul>" if rest else ""
    return f'{head}<div class="images">{figures}</div>{listed}'


def _one_per_image(issues: list[Issue]) -> list[Issue]:
    """The first issues of different images, as many as there are images of a kind."""
    firsts = {issue.image: issue for issue in reversed(issues) if issue.image is not None}
    return list(reversed(firsts.values()))[:IMAGES]


def _figure(report: Report, issue: Issue) -> str:
    image = _image(report, issue)
    shown = "<p>no image can be shown</p>"
    if image is not None:
        file = io.BytesIO()
        image.save(file, "JPEG", quality=85)
        data = base64.b64encode(file.getvalue()).decode("ascii")
        shown = f'<img alt="" src="data:image/jpeg;base64,{data}">'
    caption = f"<b>{escape(issue.place)}</b>{escape(issue.reason)}"
    return f"<figure>{shown}<figcaption>{caption}</figcaption></figure>"


def _image(report: Report, issue: Issue) -> Image.Image | None:
    """Draw the image of an issue; None if it cannot be read."""
    try:
        return draw_issue(issue, report.record_of(issue), report.class_names)
    except (ValueError, OSError):
        return None


def _classes(report: Report) -> str:
    counts = report.class_counts
    largest = max((row[0] for row in counts.values()), default=0) or 1
    head = "".join(f"<th>{tally.split}</th>" for tally in report.tallies)
    rows = []
    for name, row in counts.items():
        if not any(row):
            continue
        cells = "".join(f"<td>{count}</td>" for count in row)
        rows.append(f"<tr><td>{escape(name)}</td>{cells}{_bar(row[0] / largest)}</tr>")
    absent = len(counts) - len(rows)
    more = f"<p>{counted(absent, 'class', 'classes')} without objects</p>" if absent else ""
    return f"<h2>Objects of each class</h2><table><tr><th>class</th>{head}<th></th></tr>{''.join(rows)}</table>{more}"


def _anchors(report: Report) -> str:
    advice = report.anchors
    if advice is None:
        return ""
    choices = "".join(f"<li>{escape(str(choice))}</li>" for choice in advice.choices)
    largest = max((one.objects for one in advice.bins), default=0) or 1
    rows = "".join(
        f"<tr><td>{one.low:g}-{one.high:g} px</td><td>{one.objects}</td><td>{one.matched:.0%}</td>"
        f"{_bar(one.objects / largest)}</tr>"
        for one in advice.bins
    )
    head = "<tr><th>side in the resized image</th><th>objects</th><th>overlap an anchor</th><th></th></tr>"
    said = f"<p>{escape(advice.summary)}</p><p>{escape(advice.verdict)}</p>"
    more = f"<p>What would match more, and what it costs:</p><ul>{choices}</ul>" if choices else ""
    return f"<h2>Sizes and anchors</h2>{said}<table>{head}{rows}</table>{more}"


def _bar(fraction: float) -> str:
    return f'<td class="left"><span class="bar" style="width:{200 * fraction:.0f}px"></span></td>'
