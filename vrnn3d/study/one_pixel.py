"""What it costs to draw a digit of Moving MNIST one pixel beside its place, and not to know between which pixels it is."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor


@dataclass(frozen=True)
class OnePixel:
    """Squared errors of a frame, in percent of that of a black one."""

    beside: float  #: of the right picture, drawn one pixel beside its place, across or down
    rounding: float  #: of the best forecast that knows all but the fractions of a pixel; see :func:`one_pixel`


def one_pixel(frames: Tensor) -> OnePixel:
    """The cost of one pixel, measured on frames (N, 1, H, W), values in [0, 1].

    A digit moves by fractions of a pixel and is drawn at whole ones. Who saw it at a whole pixel and knows its velocity, but
    not where between two pixels it is, knows that on each axis it will go on by one whole number of pixels with probability
    1 - f and by the next one with probability f, the fraction of its velocity. The best forecast is the mean of the four
    pictures, weighted so. Its error is half the expected squared distance of two of them drawn independently: over a uniform
    f they differ by a pixel on an axis with probability 1/3, so on either one alone with 2/9 and on both with 1/9. Digits
    that overlap are taken to move together.
    """

    def moved(*steps: tuple[int, int]) -> float:
        """The mean over steps (down, across) of the error of a frame that is drawn that far from its place."""
        errors = [(frames.roll(step, (-2, -1)) - frames).square().sum().item() for step in steps]
        return 100 * sum(errors) / len(errors) / frames.square().sum().item()

    one, both = moved((0, 1), (1, 0)), moved((1, 1), (1, -1))
    return OnePixel(one, (2 * 2 / 9 * one + both / 9) / 2)
