"""Settings: every value of the wrong type or range ends in one sentence, wherever it came from."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import ClassVar

import pytest

from vrnn3d.settings import Settings, parse, setting


@dataclass(frozen=True)
class Example(Settings):
    GROUP: ClassVar[str] = "example"

    count: int = setting(1, "how many", low=1)
    share: float = setting(0.5, "how much of it", above=0, below=1)
    size: int | tuple[int, int] = setting(8, "pixels", low=2, high=64)
    kind: str = setting("a", "which", choices=("a", "b"))
    kinds: tuple[str, ...] = setting(("a",), "which ones", choices=("a", "b"), items=1)
    pairs: tuple[tuple[int, float], ...] = setting((), "pairs", low=0)
    on: bool = setting(False, "whether")
    options: dict = setting({}, "more")


def test_defaults_are_as_declared():
    assert Example() == Example(1, 0.5, 8, "a", ("a",), (), False, {})


@pytest.mark.parametrize(
    "given, kept",
    [
        ({"count": 3}, 3),
        ({"share": 0.25}, 0.25),
        ({"size": 9}, 9),
        ({"size": [9, 10]}, (9, 10)),
        ({"kinds": ["b", "a"]}, ("b", "a")),
        ({"pairs": [[1, 2], [3, 0.5]]}, ((1, 2.0), (3, 0.5))),
        ({"options": {"widths": [4, [8, 16]]}}, {"widths": (4, (8, 16))}),
    ],
)
def test_values_are_kept_with_lists_as_tuples(given, kept):
    (name,) = given
    assert getattr(Example(**given), name) == kept
    assert type(getattr(Example(**given), name)) is type(kept)


def test_a_whole_number_becomes_a_float_where_a_float_is_wanted():
    assert isinstance(Example(pairs=((1, 2),)).pairs[0][1], float)


@pytest.mark.parametrize(
    "name, value, allowed",
    [
        ("count", 0, "a whole number of at least 1"),
        ("count", 1.5, "a whole number of at least 1"),
        ("count", "3", "a whole number of at least 1"),
        ("count", True, "a whole number of at least 1"),
        ("count", None, "a whole number of at least 1"),
        ("share", 0, "a number above 0 and below 1"),
        ("share", 1.0, "a number above 0 and below 1"),
        ("share", math.nan, "a number above 0 and below 1"),
        ("share", math.inf, "a number above 0 and below 1"),
        ("size", 65, "a whole number of at least 2 and at most 64 or a list of 2, each item a whole number of at least 2"),
        ("size", [8, 1], "a whole number of at least 2 and at most 64 or a list of 2"),
        ("size", [8, 8, 8], "or a list of 2, each item a whole number"),
        ("kind", "c", "one of: a, b"),
        ("kinds", "a", "any of: a, b (at least 1)"),
        ("kinds", ["a", "c"], "any of: a, b (at least 1)"),
        ("kinds", [], "any of: a, b (at least 1)"),
        ("pairs", [[1]], "a list, each item a list of 2"),
        ("pairs", [[1, -1]], "a list, each item a list of 2"),
        ("on", 1, "true or false"),
        ("options", 5, "a table of names and values"),
        ("options", {3: 4}, "a table of names and values"),
    ],
)
def test_a_wrong_value_is_named_with_what_it_may_be(name, value, allowed):
    with pytest.raises(ValueError) as told:
        Example(**{name: value})
    sentence = str(told.value)
    assert sentence.startswith(f"example.{name} is {value!r}, but must be ")
    assert allowed in sentence and "\n" not in sentence


def test_help_says_meaning_and_range():
    assert Example.help("share") == "how much of it (a number above 0 and below 1)"
    assert Example.help("kind") == "which (one of: a, b)"


# --- values from a file -----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Inner:
    low: float = setting(..., low=0)


@dataclass(frozen=True)
class Outer:
    name: str
    inner: Inner
    table: dict[str, Inner] = field(default_factory=dict)
    maybe: tuple[float, ...] | None = None


def test_nested_values_are_parsed():
    text = '{"name": "x", "inner": {"low": 1}, "table": {"a": {"low": 2}}, "maybe": [1, 2]}'
    assert parse(Outer, json.loads(text), "f.json") == Outer("x", Inner(1.0), {"a": Inner(2.0)}, (1.0, 2.0))
    assert parse(Outer, {"name": "x", "inner": {"low": 1}, "maybe": None}, "f.json").maybe is None


@pytest.mark.parametrize(
    "values, told",
    [
        ([], "f.json: the whole must be a table"),
        ({"name": "x"}, "f.json: inner is missing"),
        ({"name": "x", "inner": {}}, "f.json: inner.low is missing"),
        ({"name": "x", "inner": 3}, "f.json: inner must be a table"),
        ({"name": "x", "inner": {"low": 1}, "other": 2}, "f.json: there is no other; known are: name, inner"),
        ({"name": "x", "inner": {"low": 1, "high": 2}}, "f.json: there is no inner.high; known are: low"),
        ({"name": 3, "inner": {"low": 1}}, "f.json: name is 3, but must be text"),
        ({"name": "x", "inner": {"low": -1}}, "f.json: inner.low is -1, but must be a number of at least 0"),
        ({"name": "x", "inner": {"low": math.inf}}, "f.json: inner.low is inf"),
        ({"name": "x", "inner": {"low": 1}, "table": {"a": {"low": -1}}}, "f.json: table.a.low is -1"),
        ({"name": "x", "inner": {"low": 1}, "table": [1]}, "f.json: table must be a table"),
        ({"name": "x", "inner": {"low": 1}, "maybe": [1, "2"]}, "f.json: maybe is [1, '2']"),
    ],
)
def test_a_wrong_file_is_told_in_one_sentence_with_the_place(values, told):
    with pytest.raises(ValueError) as error:
        parse(Outer, values, "f.json")
    assert told in str(error.value) and "\n" not in str(error.value)
