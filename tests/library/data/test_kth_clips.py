"""KTH: the official list with its quirks, clip names, and which person belongs to which split."""

from __future__ import annotations

import re

import pytest
from kth_clips import REAL, real

from vrnn3d.data.kth import clips


def test_list_with_its_quirks():
    found = clips.parse_sequences(
        "person15_boxing_d4\t\tframes\t1-90, 91-200, 201-294\r\n\r\n"
        "person21_boxing_d2\t\tframes\t1-112, 113-162, 153-254, 255-408\r\n"
        "  person01_jogging_d1  frames  120 - 170,1-50\n"
        "person13_handclapping_d3\t*missing*\r\n"
        "A heading of the list\n"
        "person02_boxing_d1\tframes\t0-10, 20-15, 30-40\n"
        "person03_boxing_d1\tframes\n"
        "person02_boxing_d1\tframes\t1-99\n"
        "person26_boxing_d1\tframes\t1-9\n"
        "person02_hopping_d1\tframes\t1-9\n"
    )
    assert found.intervals == {
        "person15_boxing_d4": ((0, 90), (90, 200), (200, 294)),
        "person21_boxing_d2": ((0, 112), (112, 162), (152, 254), (254, 408)),
        "person01_jogging_d1": ((0, 50), (119, 170)),
        "person02_boxing_d1": ((29, 40),),
    }
    assert found.missing == ("person13_handclapping_d3",)
    assert [re.search(r"line (\d+)", problem)[1] for problem in found.problems] == ["7", "8", "9", "10", "11"]


def test_a_list_of_something_else_is_refused(tmp_path):
    (tmp_path / "list.txt").write_text("<html>404</html>")
    with pytest.raises(ValueError, match="lists no clip of KTH Actions"):
        clips.read_sequences(tmp_path / "list.txt")


@pytest.mark.parametrize(
    "stem", ["person1_boxing_d1", "person00_boxing_d1", "person26_boxing_d1", "person01_boxing_d5", "person01_box_d1"]
)
def test_names_that_are_none(stem):
    assert clips.parse_name(stem) is None
    assert clips.parse_name("person01_boxing_d1") == (1, "boxing", 1)
    assert clips.parse_name("person01_boxing_d1", "_uncomp") is None
    assert clips.parse_name("person25_handwaving_d4_uncomp", "_uncomp").name == "person25_handwaving_d4"


@real
def test_the_official_list_has_599_clips():
    found = clips.read_sequences(REAL / clips.LIST)
    assert len(found.intervals) == clips.TOTAL and not found.problems
    assert found.missing == ("person13_handclapping_d3",)
    assert {len(intervals) for intervals in found.intervals.values()} <= {3, 4}


def test_no_person_is_in_two_splits():
    for present in ({1, 2, 11, 15, 19}, {3, 4, 20}, {11, 15, 17}, {11}, {5}, {17}, set(range(1, 26))):
        split = clips.split_persons(present)
        parts = list(split.values())
        assert set().union(*parts) == present and sum(map(len, parts)) == len(present)
        assert split["train"] | split["validation"] <= set(range(1, 17)) and split["test"] <= set(range(17, 26))
        assert bool(split["validation"]) == (len(present & set(range(1, 17))) > 1)
    assert clips.split_persons(set(range(1, 26)))["validation"] == {11, 15}
