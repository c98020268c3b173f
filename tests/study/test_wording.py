"""Numbers and lists in sentences."""

from __future__ import annotations

from vrnn3d.study import wording


def test_names_in_a_sentence():
    assert [wording.listed(list(names)) for names in ("", "a", "ab", "abc")] == ["", "a", "a and b", "a; b and c"]


def test_numbers_have_a_proper_minus_and_no_more_digits_than_they_are_worth():
    assert [wording.number(x) for x in (1234567.0, 12.3456, -0.5)] == ["1,234,567", "12.35", "\N{MINUS SIGN}0.5"]
    assert [wording.signed(x) for x in (1234.5, 0.12345, -2.0)] == ["+1,234", "+0.123", "\N{MINUS SIGN}2"]
    assert [wording.percent(x) for x in (0.256, -0.0567)] == ["+26%", "\N{MINUS SIGN}5.7%"]
    assert wording.with_minus("-1 to -2") == "\N{MINUS SIGN}1 to \N{MINUS SIGN}2"
