"""Names of files that differ."""

import collections
from collections.abc import Sequence


def different_names(names: Sequence[str]) -> list[str]:
    """Return each name; where several are the same, a number makes the later ones differ: a, a_2, a_3."""
    taken: set[str] = set()
    known = collections.Counter(name.lower() for name in names)
    found = []
    for stem in names:
        name, number = stem, 1
        # Lower case, because some file systems do not tell the cases apart; a number must not hit another one's name.
        while name.lower() in taken or (number > 1 and name.lower() in known):
            number += 1
            name = f"{stem}_{number}"
        taken.add(name.lower())
        found.append(name)
    return found
