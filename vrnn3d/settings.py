"""Checked settings: frozen dataclasses whose fields know their type, range and meaning.

Nothing here imports PyTorch. A group of settings derives from :class:`Settings` and declares its fields with
:func:`setting`; a value of the wrong type or outside its range then ends in one sentence that names the setting, the
value and what it may be, wherever the value came from: a keyword, the command line or a file.
"""

from __future__ import annotations

import dataclasses
import math
import types
import typing
from dataclasses import dataclass
from functools import cache
from typing import Any, ClassVar


def setting(
    default: Any,
    help: str = "",
    *,
    low: float | None = None,
    high: float | None = None,
    above: float | None = None,
    below: float | None = None,
    choices: tuple | None = None,
    items: int = 0,
) -> Any:
    """A field with a default, a sentence on its meaning, and the values it may take.

    A default of ``...`` makes the field one that must be given. `low` and `high` are allowed themselves, `above` and
    `below` are not. For a tuple the limits and `choices` hold for each of its items, of which there are at least `items`.
    """
    limits = {"help": help, "low": low, "high": high, "above": above, "below": below, "choices": choices, "items": items}
    if default is ...:
        return dataclasses.field(metadata=limits)
    if isinstance(default, (dict, list)):
        return dataclasses.field(default_factory=lambda: type(default)(default), metadata=limits)
    return dataclasses.field(default=default, metadata=limits)


@dataclass(frozen=True)
class Settings:
    """Base of all groups of settings; `GROUP` is the prefix under which messages name them, as "train" in "train.lr".

    Raises:
        ValueError: when a field has a value of the wrong type or outside its range.
    """

    GROUP: ClassVar[str] = ""

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            value = check(f"{self.GROUP}.{field.name}", getattr(self, field.name), self.annotation(field.name), field.metadata)
            object.__setattr__(self, field.name, value)

    @classmethod
    def annotation(cls, name: str) -> Any:
        """The type that a field was declared with."""
        return _annotations(cls)[name]  # type: ignore[arg-type]  # a class is hashable, whatever its instances are

    @classmethod
    def help(cls, name: str) -> str:
        """What a field means and what it may be, for ``--help`` and the book."""
        field = next(f for f in dataclasses.fields(cls) if f.name == name)
        return f"{field.metadata.get('help', '')} ({_allowed(cls.annotation(name), field.metadata)})"


@cache
def _annotations(cls: type) -> dict[str, Any]:
    return typing.get_type_hints(cls)


_WORDS = {int: "a whole number", float: "a number", str: "text", bool: "true or false", dict: "a table of names and values"}


def _allowed(kind: Any, limits: typing.Mapping[str, Any]) -> str:
    """What a setting may be, in words."""
    if limits.get("choices"):
        listed = ", ".join(map(str, limits["choices"]))
        several = f"any of: {listed}" + (f" (at least {limits['items']})" if limits.get("items") else "")
        return several if typing.get_origin(kind) is tuple else f"one of: {listed}"
    bounds = [
        word.format(limits[name])
        for name, word in (
            ("low", "of at least {:g}"),
            ("above", "above {:g}"),
            ("high", "at most {:g}"),
            ("below", "below {:g}"),
        )
        if limits.get(name) is not None
    ]
    return _described(kind, " and ".join(bounds), limits.get("items", 0))


def _described(kind: Any, bounds: str, items: int) -> str:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(_described(a, bounds, items) for a in arguments)
    if origin is tuple:
        endless = len(arguments) == 2 and arguments[1] is Ellipsis
        count = (f" of at least {items}" if items else "") if endless else f" of {len(arguments)}"
        return f"a list{count}, each item {_described(arguments[0], bounds, 0)}"
    if kind in (int, float) and bounds:
        return f"{_WORDS[kind]} {bounds}"
    return _WORDS.get(kind, "nothing" if kind is type(None) else getattr(kind, "__name__", str(kind)))


class _Wrong(Exception):
    """The value is not of the kind, or outside its range."""


def check(name: str, value: Any, kind: Any, limits: typing.Mapping[str, Any]) -> Any:
    """The value as its setting has it (lists become tuples, whole numbers become floats where a float is wanted).

    Raises:
        ValueError: naming the setting, the value and what it may be.
    """
    try:
        return _converted(value, kind, limits)
    except _Wrong:
        raise ValueError(f"{name} is {value!r}, but must be {_allowed(kind, limits)}") from None


def _converted(value: Any, kind: Any, limits: typing.Mapping[str, Any]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        for one in arguments:
            try:
                return _converted(value, one, limits)
            except _Wrong:
                continue
        raise _Wrong
    if origin is tuple:
        if not isinstance(value, (tuple, list)):
            raise _Wrong
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            if len(value) < limits.get("items", 0):
                raise _Wrong
            if arguments[0] is float and not limits and all(type(item) in (int, float) for item in value):
                return _finite(value)
            return tuple(_converted(item, arguments[0], limits) for item in value)
        if len(value) != len(arguments):
            raise _Wrong
        return tuple(_converted(item, one, limits) for item, one in zip(value, arguments))
    if kind is dict or origin is dict:
        if not isinstance(value, dict) or not all(isinstance(key, str) for key in value):
            raise _Wrong
        return {key: _with_tuples(item) for key, item in value.items()}
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise _Wrong
    if not _within(value, limits):
        raise _Wrong
    return value


def _finite(numbers: typing.Sequence[float]) -> tuple[float, ...]:
    """A curve, or the scores of every sequence: thousands of numbers that need no more than this."""
    found = tuple(map(float, numbers))
    if not all(map(math.isfinite, found)):
        raise _Wrong
    return found


def _with_tuples(value: Any) -> Any:
    """A value whose lists, as JSON has them, are tuples."""
    return tuple(map(_with_tuples, value)) if isinstance(value, (list, tuple)) else value


def _within(value: Any, limits: typing.Mapping[str, Any]) -> bool:
    if limits.get("choices") is not None:
        return value in limits["choices"]
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return True
    tests = {
        "low": lambda bound: value >= bound,
        "high": lambda bound: value <= bound,
        "above": lambda bound: value > bound,
        "below": lambda bound: value < bound,
    }
    return math.isfinite(value) and all(holds(limits[name]) for name, holds in tests.items() if limits.get(name) is not None)


def parse(cls: type, values: Any, who: str, where: str = "") -> Any:
    """A dataclass from plain values as JSON has them; its fields may be dataclasses, and tables or lists of them.

    Args:
        cls: the dataclass. Fields declared with :func:`setting` have their values checked against its limits; a field
            whose class has a method ``from_json`` is made by it.
        values: a table of its fields.
        who: what is read, "results/half/x/seed0.json" for example; it begins every message.
        where: the dotted place of `values` in it.

    Raises:
        ValueError: in one sentence, for a key that is missing or unknown, or a value that a field may not have.
    """
    if not isinstance(values, typing.Mapping):
        raise ValueError(f"{who}: {where or 'the whole'} must be a table of names and values, not {values!r:.60}")
    fields = {field.name: field for field in dataclasses.fields(cls)}
    for key in values:
        if key not in fields:
            raise ValueError(f"{who}: there is no {_dotted(where, key)}; known are: {', '.join(fields)}")
    found = {}
    for name, field in fields.items():
        if name in values:
            found[name] = _parsed(_annotations(cls)[name], values[name], who, _dotted(where, name), field.metadata)
        elif field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING:
            raise ValueError(f"{who}: {_dotted(where, name)} is missing")
    try:
        return cls(**found)
    except ValueError as error:  # parts that contradict each other
        raise ValueError(f"{who}: {where}{': ' if where else ''}{error}") from None


def _dotted(where: str, name: str) -> str:
    return f"{where}.{name}" if where else name


def _parsed(kind: Any, value: Any, who: str, where: str, limits: typing.Mapping[str, Any]) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType) and type(None) in arguments:
        if value is None:
            return None
        kind = next(a for a in arguments if a is not type(None))
        origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if hasattr(kind, "from_json"):
        try:
            return kind.from_json(value)
        except ValueError as error:
            raise ValueError(f"{who}: {where}: {error}") from None
    if dataclasses.is_dataclass(kind):
        return parse(typing.cast(type, kind), value, who, where)
    if origin is dict and arguments:
        if not isinstance(value, dict):
            raise ValueError(f"{who}: {where} must be a table of names and values, not {value!r:.60}")
        return {key: _parsed(arguments[1], item, who, _dotted(where, key), limits) for key, item in value.items()}
    if origin is tuple and dataclasses.is_dataclass(arguments[0]):
        if not isinstance(value, (list, tuple)):
            raise ValueError(f"{who}: {where} must be a list, not {value!r:.60}")
        return tuple(_parsed(arguments[0], item, who, f"{where}[{i}]", limits) for i, item in enumerate(value))
    try:
        return check(where, value, kind, limits)
    except ValueError as error:
        raise ValueError(f"{who}: {error}") from None


def one_line(error: Exception) -> str:
    """What an error says, on one line of at most 160 characters, to stand within a sentence."""
    return " ".join(str(error).split())[:160] or type(error).__name__
