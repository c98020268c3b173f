"""Random numbers that are a function of a counter, the same on every device and in every order of asking.

The hash is the output function of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014), in int64 arithmetic, whose products wrap around.
"""

from __future__ import annotations

from torch import Tensor, float64


def signed(value: int) -> int:
    """The int64 with the low 64 bits of `value`."""
    return (value + (1 << 63)) % (1 << 64) - (1 << 63)


#: Distance of two counters: the odd number nearest to 2**64 divided by the golden ratio.
GAMMA = signed(0x9E3779B97F4A7C15)
_MULTIPLIER1, _MULTIPLIER2 = signed(0xBF58476D1CE4E5B9), signed(0x94D049BB133111EB)


def _shift(x: Tensor, bits: int) -> Tensor:
    """Logical shift to the right (the one of int64 repeats the sign)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def mix(x: Tensor) -> Tensor:
    """64 random bits from each int64."""
    x = (x ^ _shift(x, 30)) * _MULTIPLIER1
    x = (x ^ _shift(x, 27)) * _MULTIPLIER2
    return x ^ _shift(x, 31)


def uniform(bits: Tensor) -> Tensor:
    """float64 in [0, 1) from the upper 53 of 64 random bits."""
    return _shift(bits, 11).to(float64) * 2.0**-53


def upper_bits(bits: Tensor, count: int) -> Tensor:
    """The upper `count` of 64 random bits, as int64 in [0, 2**count)."""
    return _shift(bits, 64 - count)
