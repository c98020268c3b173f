"""What KTH Actions consists of: clip names, person splits and the action intervals of ``00sequences.txt``.

Schuldt, Laptev, Caputo: Recognizing Human Actions: A Local SVM Approach, ICPR 2004. 25 persons do 6 actions in 4
scenarios; one of the 600 clips (person13_handclapping_d3) was never released.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ACTIONS = ("walking", "jogging", "running", "boxing", "handwaving", "handclapping")
TOTAL = 599  # clips of the whole data set
LIST = "00sequences.txt"
TRAIN_PERSONS, TEST_PERSONS = range(1, 17), range(17, 26)
#: Held out of persons 1-16. Two of sixteen; where only the 20-clip subset is there, they bring a running and a
#: handwaving clip, one locomotion and one arm movement, and every action stays in the training.
VALIDATION_PERSONS = (11, 15)

_NAME = re.compile(rf"person(\d\d)_({'|'.join(ACTIONS)})_d([1-4])")
_ENTRY = re.compile(r"(person\S+)\s+(.*)")
_INTERVAL = re.compile(r"(\d+)\s*-\s*(\d+)")


class Identity(NamedTuple):
    """What the name of a clip says."""

    person: int  # 1..25
    action: str  # one of ACTIONS
    scenario: int  # 1 outdoors, 2 outdoors with zoom, 3 outdoors in other clothes, 4 indoors

    @property
    def name(self) -> str:
        """personNN_ACTION_dM."""
        return f"person{self.person:02}_{self.action}_d{self.scenario}"


class Sequences(NamedTuple):
    """intervals: by clip name, [start, stop) of each action interval, frames counted from 0; missing: names listed as
    never released; problems: sentences about lines that could not be used."""

    intervals: dict[str, tuple[tuple[int, int], ...]]
    missing: tuple[str, ...]
    problems: tuple[str, ...]


def parse_name(stem: str, ending: str = "") -> Identity | None:
    """``personNN_ACTION_dM`` followed by `ending` to its parts; None for any other name."""
    match = _NAME.fullmatch(stem.removesuffix(ending)) if stem.endswith(ending) else None
    if not match or not 1 <= int(match[1]) <= 25:
        return None
    return Identity(int(match[1]), match[2], int(match[3]))


def parse_sequences(text: str) -> Sequences:
    """The official list. It counts frames from 1, both ends included; lines end in CR LF; a clip has three or four
    intervals; some intervals touch, and a few overlap the one before (person21_boxing_d2), which is kept as listed.

    A line or interval that makes no sense is left out and named in ``problems``; other text (headings) is ignored.
    """
    intervals: dict[str, tuple[tuple[int, int], ...]] = {}
    missing, problems = [], []
    for number, line in enumerate(text.splitlines(), 1):
        entry = _ENTRY.match(line.strip())
        if not entry:
            continue
        name, rest = entry[1].removesuffix("_uncomp.avi"), entry[2]
        where = f"{LIST} line {number} ({name})"
        if parse_name(name) is None:
            problems.append(f"{where}: no KTH clip has this name")
        elif name in intervals:
            problems.append(f"{where}: listed a second time; the first is used")
        elif "missing" in rest.lower():
            missing.append(name)
        else:
            found = [(int(first) - 1, int(last)) for first, last in _INTERVAL.findall(rest)]
            if wrong := [f"{start + 1}-{stop}" for start, stop in found if start < 0 or stop <= start]:
                problems.append(f"{where}: no interval of frames is {', '.join(wrong)}")
            found = sorted((start, stop) for start, stop in found if 0 <= start < stop)
            if found:
                intervals[name] = tuple(found)
            elif not wrong:
                problems.append(f"{where}: it has no intervals")
    return Sequences(intervals, tuple(missing), tuple(problems))


def read_sequences(path: Path) -> Sequences:
    """:func:`parse_sequences` of a file.

    Raises:
        ValueError: when it lists no clip at all.
    """
    found = parse_sequences(path.read_text("utf-8", errors="replace"))
    if not found.intervals:
        raise ValueError(f"{path} lists no clip of KTH Actions: replace it by the official {LIST}")
    return found


def split_persons(present: set[int]) -> dict[str, set[int]]:
    """Persons with clips to "train", "validation" and "test"; no person is in two.

    Validation is ``VALIDATION_PERSONS``; of a subset without them it is the last of persons 1-16 that is there,
    provided another is left to train on.
    """
    pool = present & set(TRAIN_PERSONS)
    held = pool & set(VALIDATION_PERSONS)
    if not held or held == pool:
        held = {max(pool)} if len(pool) > 1 else set()
    return {"train": pool - held, "validation": held, "test": present & set(TEST_PERSONS)}
