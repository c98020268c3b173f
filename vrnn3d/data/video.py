"""The user's own clips: reading one, a folder of them as a dataset, and writing small animations.

Readable are gif, webp and apng files, folders of numbered pictures, npy and npz arrays, and the containers (mp4, avi,
mov, ...) of whichever of PyAV, imageio or OpenCV is installed.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from itertools import islice
from pathlib import Path
from typing import Iterable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image, ImageSequence, UnidentifiedImageError
from torch import Tensor
from tqdm import tqdm

from vrnn3d.data.settings import VideoData
from vrnn3d.files import atomic_write

ANIMATIONS = (".gif", ".webp", ".apng")
ARRAYS = (".npy", ".npz")
CONTAINERS = (".mp4", ".avi", ".mov", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg", ".wmv", ".flv", ".ogv")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".pgm", ".ppm")
_LUMA = (0.299, 0.587, 0.114)  # ITU-R BT.601, red, green, blue
_SPLITS = ("train", "validation", "test")


def read_video(
    path: Path | str,
    size: int | tuple[int, int] | None = None,
    max_frames: int | None = None,
    channels: int = 1,
    min_frames: int = 1,
) -> Tensor:
    """A clip as float32 (T, channels, H, W) in [0, 1]; channels 1 is grey (BT.601 luma), 3 is red, green, blue.

    size: (H, W), or one number for both, to which every frame is resized (antialiased; the aspect ratio is not kept);
    None keeps the clip's own. max_frames: only the first so many are read. Arrays are (T, H, W), (T, H, W, C) or
    (T, C, H, W) with C = 1, 3 or 4, integers from 0 to the largest of an unsigned type, or floats in [0, 1].
    Of animations every stored frame counts once, whatever its duration. Raises ``FileNotFoundError``, ``ImportError``
    (nothing is installed that reads containers) or ``ValueError`` saying what is wrong with the clip.
    """
    path = Path(path)
    if channels not in (1, 3):
        raise ValueError(f"channels is {channels}; a clip is read with 1 (grey) or 3 (colour)")
    if max_frames is not None and max_frames < max(1, min_frames):
        raise ValueError(f"max_frames is {max_frames}, and at least {max(1, min_frames)} are needed")
    size = (size, size) if isinstance(size, int) else size
    if size is not None and min(size) < 1:
        raise ValueError(f"size {tuple(size)} is not a height and a width of at least 1 pixel")
    frames = []
    for frame in islice(_frames(path), max_frames):
        if frames and frame.shape[:2] != first:
            raise ValueError(
                f"{path}: frame {len(frames) + 1} is {frame.shape[0]} x {frame.shape[1]} pixels and the first is "
                f"{first[0]} x {first[1]}; all frames of a clip must be of one size"
            )
        first = frame.shape[:2]
        frames.append(_convert(frame, size, channels))
    if len(frames) < max(1, min_frames):
        plural = "" if len(frames) == 1 else "s"
        raise ValueError(f"{path} has {len(frames)} frame{plural}, and at least {max(1, min_frames)} are needed")
    return torch.stack(frames)


def _frames(path: Path) -> Iterator[np.ndarray]:
    """Frames (H, W) or (H, W, 3), uint8 or float32 in [0, 1], one after another."""
    suffix = path.suffix.lower()
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: check the path of the clip")
    if path.is_dir():
        return _from_pictures(path)
    if suffix in ANIMATIONS:
        return _from_animation(path)
    if suffix in ARRAYS:
        return _from_array(path)
    if suffix in CONTAINERS:
        return _from_container(path)
    known = " ".join((*ANIMATIONS, *ARRAYS, *CONTAINERS))
    raise ValueError(f"{path}: clips of kind {suffix or '(no suffix)'} are not read; known are a folder and {known}")


def _convert(frame: np.ndarray, size: tuple[int, int] | None, channels: int) -> Tensor:
    """(H, W) or (H, W, 3), uint8 or float in [0, 1], to float32 (channels, H', W')."""
    tensor = torch.from_numpy(np.array(frame, order="C"))
    tensor = tensor.float() / 255 if tensor.dtype == torch.uint8 else tensor.float()
    tensor = tensor[None] if tensor.ndim == 2 else tensor.permute(2, 0, 1)
    if channels == 1 and len(tensor) == 3:
        tensor = (tensor * torch.tensor(_LUMA)[:, None, None]).sum(0, keepdim=True)
    if size is not None and tuple(tensor.shape[1:]) != tuple(size):
        tensor = F.interpolate(tensor[None], size=tuple(size), mode="bilinear", antialias=True)[0]
    return tensor.expand(channels, -1, -1).clamp(0, 1)


# ---- pictures and animations ----------------------------------------------------------------------------------------


def _pixels(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        return np.asarray(image, dtype=np.float32) / 65535
    if image.mode in ("I", "F"):
        raise ValueError(f"pictures with {image.mode!r} pixels (32 bit) have no known range; save 8 or 16 bits")
    grey = image.mode in ("1", "L")
    return np.asarray(image.convert("L" if grey else "RGB"))


def _unreadable(path: Path, error: Exception) -> ValueError:
    if isinstance(error, UnidentifiedImageError):  # its message only repeats the path
        return ValueError(f"{path} cannot be read: it is no picture or video of the kind its name says")
    return ValueError(f"{path} cannot be read ({error}): it may be damaged or truncated")


def _from_animation(path: Path) -> Iterator[np.ndarray]:
    try:
        with Image.open(path) as image:
            for frame in ImageSequence.Iterator(image):
                yield _pixels(frame)
    except Exception as error:  # noqa: BLE001  damaged files make Pillow raise IndexError and more
        raise _unreadable(path, error) from None


def _natural(path: Path) -> list:
    """Sorts frame2 before frame10."""
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", path.name.lower())]


def _pictures(folder: Path) -> list[Path]:
    return sorted(
        (p for p in folder.iterdir() if p.suffix.lower() in PICTURES and not p.name.startswith(".")), key=_natural
    )


def _from_pictures(folder: Path) -> Iterator[np.ndarray]:
    paths = _pictures(folder)
    if not paths:
        raise ValueError(f"{folder} holds no pictures ({' '.join(PICTURES)}): a folder is read as one clip of frames")
    for path in paths:
        try:
            with Image.open(path) as image:
                frame = _pixels(image)
        except Exception as error:  # noqa: BLE001  damaged files make Pillow raise IndexError and more
            raise _unreadable(path, error) from None
        yield frame


# ---- arrays ---------------------------------------------------------------------------------------------------------


def _from_array(path: Path) -> Iterator[np.ndarray]:
    try:
        array = np.load(path, allow_pickle=False, mmap_mode="r" if path.suffix.lower() == ".npy" else None)
        if not isinstance(array, np.ndarray):
            with array as archive:
                names = archive.files
                name = "frames" if "frames" in names else names[0] if len(names) == 1 else None
                array = archive[name] if name else None
    except Exception as error:  # noqa: BLE001  whatever a damaged file makes zipfile, zlib or NumPy raise
        raise _unreadable(path, error) from None
    if array is None:
        raise ValueError(f"{path} holds {len(names)} arrays ({', '.join(names)}); name the clip 'frames'")
    if array.ndim == 4 and array.shape[-1] not in (1, 3, 4) and array.shape[1] in (1, 3, 4):
        array = np.moveaxis(array, 1, -1)
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[-1] not in (1, 3, 4)) or 0 in array.shape[1:3]:
        raise ValueError(
            f"{path} has shape {array.shape}; a clip is (T, H, W), (T, H, W, C) or (T, C, H, W) with C = 1, 3 or 4"
        )
    if array.ndim == 4:
        array = array[..., 0] if array.shape[-1] == 1 else array[..., :3]
    return _array_frames(path, array)


def _array_frames(path: Path, array: np.ndarray) -> Iterator[np.ndarray]:
    kind = array.dtype.kind
    if kind not in "buif":
        raise ValueError(f"{path} holds {array.dtype}; a clip is of unsigned integers, or of floats in [0, 1]")
    top = np.iinfo(array.dtype).max if kind == "u" else 255 if kind == "i" else 1
    for number, frame in enumerate(array, 1):
        frame = np.asarray(frame)
        if kind == "f" and not np.isfinite(frame).all():
            raise ValueError(f"{path}: frame {number} holds NaN or infinite values; replace them before reading")
        if kind in "if" and (frame.min() < 0 or frame.max() > top):
            raise ValueError(
                f"{path}: frame {number} has values from {frame.min():g} to {frame.max():g}, and {array.dtype} must "
                f"lie in 0..{top}: rescale the clip"
            )
        yield frame if array.dtype == np.uint8 else frame.astype(np.float32) / top


# ---- containers -----------------------------------------------------------------------------------------------------


def _with_av(path: Path) -> Iterator[np.ndarray]:
    import av

    with av.open(str(path)) as container:
        if not container.streams.video:
            raise ValueError("it has no video stream")
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="rgb24")


def _with_imageio(path: Path) -> Iterator[np.ndarray]:
    import imageio.v3 as iio
    import imageio_ffmpeg  # noqa: F401  the plugin; without it imageio reads no container

    yield from iio.imiter(path, plugin="FFMPEG")


def _with_opencv(path: Path) -> Iterator[np.ndarray]:
    import cv2

    capture = cv2.VideoCapture(str(path))
    try:
        if not capture.isOpened():
            raise ValueError("OpenCV cannot open it")
        while True:
            more, frame = capture.read()
            if not more:
                return
            yield frame[..., ::-1]  # OpenCV's order is blue, green, red
    finally:
        capture.release()


_BACKENDS = (_with_av, _with_imageio, _with_opencv)


def _from_container(path: Path) -> Iterator[np.ndarray]:
    for backend in _BACKENDS:
        frames = backend(path)
        try:
            first = next(frames, None)
        except ImportError:
            continue
        except Exception as error:  # noqa: BLE001  each library has errors of its own
            raise _unreadable(path, error) from None
        if first is not None:
            yield first
            yield from _guarded(path, frames)
        return
    raise ImportError(f"reading {path.suffix} needs PyAV, imageio-ffmpeg or OpenCV, none is installed: pip install av")


def _guarded(path: Path, frames: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    frames = iter(frames)
    while True:
        try:
            frame = next(frames)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001
            raise _unreadable(path, error) from None
        yield frame


# ---- a folder of clips ----------------------------------------------------------------------------------------------


def list_clips(folder: Path | str) -> list[Path]:
    """The clips in a folder, sorted by name: its readable files, and its subfolders that hold pictures."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is not a folder: data.path must name a folder of clips")
    kinds = ANIMATIONS + ARRAYS + CONTAINERS
    clips = [
        p
        for p in folder.iterdir()
        if not p.name.startswith(".") and (p.suffix.lower() in kinds if p.is_file() else p.is_dir() and _pictures(p))
    ]
    return sorted(clips, key=_natural)


def split_clips(clips: list[Path], seed: int = 0) -> dict[str, list[Path]]:
    """Clips to "train", "validation" and "test", in the order of a hash of name and seed.

    The last two get a tenth each, at least one; no clip is in two splits. ``ValueError`` for fewer than three clips.
    """
    if len(clips) < 3:
        raise ValueError(
            f"{len(clips)} clips are too few: training, validation and test need one each (cut a long clip into three)"
        )
    order = sorted(clips, key=lambda clip: hashlib.sha256(f"{seed}/{clip.name}".encode()).digest())
    held = max(1, round(len(order) / 10))
    parts = {"validation": order[:held], "test": order[held : 2 * held], "train": order[2 * held :]}
    return {split: sorted(part, key=_natural) for split, part in parts.items()}


class VideoFolder:
    """Windows of `length` frames of the clips of one split, grey, resized to size x size, held in memory as uint8.

    Training windows start at every frame; those of validation and test do not overlap. Clips shorter than `length`
    are left out with a warning; ``ValueError`` when no clip of the split is long enough. Other errors:
    :func:`read_video`.
    """

    online = False
    recordable = False  # the user's own

    def __init__(
        self,
        path: Path | str,
        split: str,
        *,
        length: int = 20,
        size: int = 64,
        seed: int = 0,
        device: torch.device | str = "cpu",
    ):
        if split not in _SPLITS:
            raise ValueError(f"no split {split!r}; known are: {', '.join(_SPLITS)}")
        if length < 1:
            raise ValueError(f"length is {length}, and must be at least 1")
        if not str(path):
            raise ValueError("data.path is empty: it must name a folder of clips")
        clips = split_clips(list_clips(path), seed)[split]
        videos, starts, short, position = [], [], [], 0
        for clip in tqdm(clips, desc=f"{split} clips", unit="clip", leave=False, disable=len(clips) < 5):
            video = (read_video(clip, size) * 255).round().to(torch.uint8)
            if len(video) < length:
                short.append(clip.name)
                continue
            step = 1 if split == "train" else length
            starts.extend(range(position, position + len(video) - length + 1, step))
            position += len(video)
            videos.append(video)
        if not videos:
            raise ValueError(
                f"none of the {len(clips)} {split} clips in {path} has {length} frames; put longer ones there"
            )
        if short:
            names = ", ".join(short)
            warnings.warn(f"{len(short)} {split} clips are shorter than {length} frames and left out: {names}")
        self.length, self.size, self.split, self.device = length, size, split, torch.device(device)
        self.clips = [clip for clip in clips if clip.name not in short]
        self._frames = torch.cat(videos).to(self.device)
        self._starts = torch.tensor(starts, device=self.device)
        self.source = Path(path).name

    def __len__(self) -> int:
        return len(self._starts)

    def __getitem__(self, index: int) -> Tensor:
        """One window, uint8 (T, 1, H, W)."""
        return self.batch(torch.tensor([index]))[0]

    @property
    def identity(self) -> str:
        """Which frames the windows are of, wherever the folder lies."""
        return hashlib.sha256(self._frames.cpu().numpy().tobytes()).hexdigest()[:16]

    @property
    def description(self) -> str:
        return (
            f"own clips from the folder {self.source}: {len(self.clips)} {self.split} clips, {len(self):,} windows of "
            f"{self.length} frames, grey, {self.size} x {self.size}"
        )

    def batch(self, indices: Tensor, epoch: int = 0) -> Tensor:
        """Frames uint8 (B, T, 1, H, W), values 0..255; indices: LongTensor (B,)."""
        starts = self._starts[torch.as_tensor(indices, dtype=torch.int64).to(self.device)]
        return self._frames[starts[:, None] + torch.arange(self.length, device=self.device)]


def build(settings: VideoData, split: str, pool: str | None, length: int, device="cpu") -> VideoFolder:
    """The dataset of one split of the clips in ``settings.path``."""
    return VideoFolder(settings.path, split, length=length, size=settings.size, seed=settings.seed, device=device)


# ---- writing --------------------------------------------------------------------------------------------------------


def write_webp(path: Path | str, frames: Tensor | np.ndarray, fps: float = 8, scale: int = 1) -> Path:
    """Write an endless, lossless WebP animation, atomically; returns its path.

    frames: (T, H, W) grey or (T, H, W, 3) colour, uint8, or float in [0, 1] (values outside are clipped). scale: whole
    number of pixels by which each pixel is enlarged. WebP merges equal neighbouring frames into one longer one.
    """
    path = Path(path)
    array = frames.detach().cpu().numpy() if isinstance(frames, Tensor) else np.asarray(frames)
    if path.suffix.lower() != ".webp":
        raise ValueError(f"{path.name} does not end in .webp")
    if array.ndim not in (3, 4) or (array.ndim == 4 and array.shape[-1] != 3) or 0 in array.shape:
        raise ValueError(f"frames of shape {array.shape} cannot be written; they must be (T, H, W) or (T, H, W, 3)")
    if fps <= 0 or scale < 1 or scale != int(scale):
        raise ValueError(f"fps is {fps} and scale {scale}; fps must be positive and scale a whole number of at least 1")
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ValueError(f"the frames for {path.name} hold NaN or infinite values")
        array = (array.clip(0, 1) * 255).round().astype(np.uint8)
    elif array.dtype != np.uint8:
        raise ValueError(f"frames of {array.dtype} cannot be written; they must be uint8, or float in [0, 1]")
    array = array.repeat(int(scale), axis=1).repeat(int(scale), axis=2)
    first, *rest = [Image.fromarray(frame).convert("RGB") for frame in array]
    options = dict(save_all=True, append_images=rest, duration=round(1000 / fps), loop=0, lossless=True)
    return atomic_write(path, lambda temporary: first.save(temporary, format="WEBP", **options))
