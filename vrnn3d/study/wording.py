"""Numbers and lists as the study writes them in sentences and tables."""

from __future__ import annotations

from collections.abc import Sequence

MINUS = "\N{MINUS SIGN}"
#: What stands where a number would, had it been measured.
NOT_RUN = "not run"


def with_minus(text: str) -> str:
    """Text in which each hyphen is a minus sign: for numbers and what stands around them."""
    return text.replace("-", MINUS)


def number(value: float) -> str:
    """A number to four digits, with a proper minus."""
    return with_minus(f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}")


def signed(value: float) -> str:
    """A difference with its sign, to three digits, with a proper minus."""
    return with_minus(f"{value:+,.0f}" if abs(value) >= 1000 else f"{value:+.3g}")


def percent(share: float) -> str:
    """A relative change in percent with its sign, in two digits below ten and else whole, with a proper minus."""
    return with_minus(f"{100 * share:+.{0 if abs(share) >= 0.1 else 1}f}%")


def listed(names: Sequence[str]) -> str:
    """ "a", "a and b", "a; b and c", for a sentence; the names may hold commas."""
    return "; ".join(names[:-1]) + " and " + names[-1] if len(names) > 1 else "".join(names)
