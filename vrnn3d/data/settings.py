"""The settings of each data set: what its frames are. Nothing here imports PyTorch.

Pixel units are pixels of the frame; speeds are pixels a frame. ``NAME`` is the data set's name in configurations and on
the command line.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from vrnn3d.settings import Settings, setting

USES = ("shared", "test")  # of the user's own clips


@dataclass(frozen=True)
class DataSettings(Settings):
    """What every data set has. `size` is one number for square frames, or (height, width)."""

    GROUP: ClassVar[str] = "data"
    NAME: ClassVar[str] = ""

    size: int | tuple[int, int] = setting(64, "height and width of a frame in pixels", low=1)
    length: int = setting(20, "frames of a training sequence", low=2)
    seed: int = setting(0, "seed of the data, apart from the seed of the training")

    @property
    def channels(self) -> int:
        """Channels of a frame: 1 is grey, 3 is red, green, blue."""
        return 1

    @property
    def height_width(self) -> tuple[int, int]:
        """(height, width) of a frame in pixels."""
        return (self.size, self.size) if isinstance(self.size, int) else self.size

    def pools(self) -> tuple[str, ...]:
        """The names of the test sets that a model is evaluated on, the most telling one last."""
        return ("test",)

    def contents(self) -> str:
        """What tells data of the user's own from others of the same settings, wherever they lie; else nothing."""
        return ""


@dataclass(frozen=True)
class MovingMNISTData(DataSettings):
    """Digits that fly through the frame (paper, sect. 4.1)."""

    NAME: ClassVar[str] = "moving_mnist"

    digits: int = setting(2, "digits of a sequence", low=1)
    digit_size: int = setting(28, "height and width of a digit in pixels", low=1)
    speed: str = setting(
        "uniform",
        "law of a digit's speed: drawn from speed_range, or a tenth of the free range (the public generator's)",
        choices=("uniform", "fixed"),
    )
    speed_range: tuple[float, float] = setting((3.0, 5.0), "lowest and highest speed in pixels a frame", low=0)
    bounce: str = setting(
        "mirror",
        "what a digit does at a wall: it is mirrored, or takes a random new direction and speed (Stochastic Moving MNIST)",
        choices=("mirror", "random"),
    )
    train_pool: str = setting("train", "which MNIST digits training draws from", choices=("train", "test"))
    test_pools: tuple[str, ...] = setting(
        ("train", "test"),
        "the digits of the test sets; 'file' is the public mnist_test_seq.npy",
        choices=("train", "test", "file"),
        items=1,
    )
    online: bool = setting(False, "endless fresh training sequences instead of a fixed split")
    sequences: tuple[int, int, int] = setting((10_000, 1_000, 1_000), "sequences of train, validation and test", low=1)

    def pools(self) -> tuple[str, ...]:
        return self.test_pools


@dataclass(frozen=True)
class KTHData(DataSettings):
    """KTH Actions: people who walk, jog, run, box, wave and clap (paper, sect. 4.2)."""

    NAME: ClassVar[str] = "kth"

    augment: tuple[str, ...] = setting(
        (), "changes to training sequences, drawn anew each epoch", choices=("flip", "crop", "reverse")
    )

    def pools(self) -> tuple[str, ...]:
        """Windows of persons that training saw, and of persons it did not."""
        return ("train", "test")


@dataclass(frozen=True)
class VideoData(DataSettings):
    """The user's own clips: a folder of them, or a single one."""

    NAME: ClassVar[str] = "video"

    path: str = setting("", "a folder of clips, or one clip")
    use: str = setting(
        "shared",
        "what the clips are for: shared out among training, validation and test, or all of them for the test",
        choices=USES,
    )
    colour: bool = setting(False, "keep colour (3 channels) instead of turning frames to grey")
    fit: str = setting(
        "crop",
        "where a clip's frames have another aspect ratio than size: cut off what is too much, at both ends alike, add black"
        " borders, or stretch them",
        choices=("crop", "pad", "stretch"),
    )

    @property
    def channels(self) -> int:
        return 3 if self.colour else 1

    def contents(self) -> str:
        """Sixteen hexadecimal digits of the contents of the clips at `path`, or nothing where that names none yet.

        Errors: ``vrnn3d.data.video.list_clips``.
        """
        from vrnn3d.data.video.identity import identity

        return identity(self.path) if self.path else ""
