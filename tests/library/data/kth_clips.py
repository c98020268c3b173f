"""What the tests of KTH share: small synthetic clips with a list of their intervals, and where real ones lie."""

from __future__ import annotations

import os
import stat
import zipfile
from pathlib import Path

import numpy as np
import pytest

from vrnn3d.data.kth import clips
from vrnn3d.data.settings import KTHData

REAL = Path(os.environ.get("VRNN3D_DATA") or "absent") / "kth"
HAS_CLIPS = (REAL / clips.LIST).is_file() and any(REAL.rglob("person*_boxing_d*_uncomp.avi"))
real = pytest.mark.skipif(not HAS_CLIPS, reason="needs real KTH clips in $VRNN3D_DATA/kth")

# person 1 boxes and runs (train), person 11 waves (validation), person 20 walks (test)
LISTING = {
    "person01_boxing_d1": "1-45, 46-70, 60-95",
    "person01_running_d2": "1-26, 40-60",
    "person11_handwaving_d1": "3-50",
    "person20_walking_d4": "1-30, 31-60",
}
FRAMES = {"person01_boxing_d1": 100, "person01_running_d2": 60, "person11_handwaving_d1": 50, "person20_walking_d4": 60}


def write_clip(path: Path, frames: int, codec: str = "ffv1", base: int = 40) -> Path:
    """A clip of 32 x 24 pixels, brighter to the right, whose frame t is `base` + t bright on average."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        slope = np.arange(32)[None, :, None] - 15.5
        for t in range(frames):
            picture = np.broadcast_to(base + t + slope, (24, 32, 3)).round().astype(np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_list(folder: Path, listing=LISTING) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name}\t\tframes\t{intervals}\r\n" for name, intervals in listing.items())
    (folder / clips.LIST).write_bytes(f"{text}\r\nperson13_handclapping_d3\t*missing*\r\n".encode())


def settings(size: int | tuple[int, int] = 16, **others) -> KTHData:
    return KTHData(size=size, length=10, **others)


def make_zip(path: Path, members: dict[str, bytes], links=()) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = ((stat.S_IFLNK if name in links else stat.S_IFREG) | 0o644) << 16
            archive.writestr(info, content)
    return path
