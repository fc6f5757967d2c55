"""One issue of a dataset, and where it is."""

import dataclasses

SEVERITIES = ("error", "warning", "note")
"""Training on an error fails or learns what is wrong; a warning should be looked at; a note is good to know."""


@dataclasses.dataclass(frozen=True)
class Issue:
    """One thing that is wrong, doubtful or worth knowing."""

    severity: str
    """One of `SEVERITIES`."""
    kind: str
    """What it is, in words that are the same for all issues of the kind."""
    reason: str
    """What is wrong with this one, in a sentence."""
    image: str | None = None
    """File of the image, or the id of one that is an array; None where it is about more than one image."""
    object: int | str | None = None
    """Position of the object in its record, or what the annotation file calls it; None where it is about none."""
    count: int = 1
    """Images or objects that it is about."""
    split: str | None = None
    """"training" or "validation"; None where it is about both, or a reader says it."""
    position: int | None = None
    """Of the image's record in its split."""

    @property
    def place(self) -> str:
        """The image and the object, as far as it is about one."""
        words = [] if self.image is None else [self.image]
        if self.object is not None:
            words.append(f"object {self.object}" if isinstance(self.object, int) else self.object)
        return ", ".join(words)

    def __str__(self) -> str:
        return f"{self.place}: {self.reason}" if self.place else self.reason


def grouped(issues: list[Issue]) -> dict[tuple[str, str], list[Issue]]:
    """Return the issues by (severity, kind), the most severe first and each kind in the order given."""
    groups: dict[tuple[str, str], list[Issue]] = {}
    for issue in sorted(issues, key=lambda one: SEVERITIES.index(one.severity)):
        groups.setdefault((issue.severity, issue.kind), []).append(issue)
    return groups
