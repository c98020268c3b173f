"""Downloads that are continued where they broke off, and given up where they crawl.

What arrives is appended to a file NAME.part. A later attempt, from the same address or another that serves the same file,
asks for the rest only. ``VRNN3D_OFFLINE=1`` forbids all downloads.
"""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

from tqdm import tqdm

CONNECT_SECONDS = 4.0  #: to wait for an address to answer
READ_SECONDS = 20.0  #: to wait for the next bytes
SLOWEST_RATE = 16_000  #: bytes a second, averaged over RATE_SECONDS, below which a download is given up
RATE_SECONDS = 60.0
LONGEST_SECONDS = 3600.0  #: for one file from one address, all its attempts together
STALE_SECONDS = 3600.0  #: age from which a temporary file is taken for one whose writer was killed
_CHUNK = 1 << 16  # bytes taken at a time, at most


class Unavailable(Exception):
    """A source that cannot serve now; the message says why."""


def offline() -> bool:
    """Whether ``VRNN3D_OFFLINE`` forbids downloads."""
    return os.environ.get("VRNN3D_OFFLINE", "") not in ("", "0")


def download(url: str, part: Path, name: str, progress: bool = True) -> None:
    """Append to `part` what it lacks of the file at `url`, until it is whole.

    Args:
        url: http or https address.
        part: where the file grows. Another file's beginning is found out only where its length betrays it: check the
            result.
        name: of the file and its place, for messages and the progress bar.
        progress: show a bar.

    Raises:
        Unavailable: when there is no answer, an error, a line that breaks off without bringing anything, one that is
            slower than `SLOWEST_RATE`, or `LONGEST_SECONDS` are over. What has arrived is kept.
    """
    try:
        from requests.exceptions import HTTPError, RequestException
    except ImportError:
        raise Unavailable("downloading needs requests, which is not installed: pip install requests") from None
    part.parent.mkdir(parents=True, exist_ok=True)
    pace, before = _Pace(name), -1
    try:
        while True:  # go on as long as each attempt brings some bytes
            have = part.stat().st_size if part.exists() else 0
            if have == before:
                raise Unavailable(f"{name}: the line broke off at {have:,} bytes (kept to be continued)")
            before = have
            if _attempt(url, part, have, pace, progress):
                return
    except HTTPError as error:
        status = error.response.status_code if error.response is not None else "an error"
        raise Unavailable(f"{name}: the mirror answered {status}") from None
    except RequestException:
        raise Unavailable(f"{name}: no network or no answer") from None


def _attempt(url: str, part: Path, have: int, pace: _Pace, progress: bool) -> bool:
    """True when the file is whole; False when the line broke off while reading."""
    import requests
    from urllib3.exceptions import HTTPError as LineError

    headers = {"Accept-Encoding": "identity", **({"Range": f"bytes={have}-"} if have else {})}
    with requests.get(url, headers=headers, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS)) as response:
        if response.status_code == 416:  # the part is no beginning of this file
            part.unlink()
            return False
        response.raise_for_status()
        have = have if response.status_code == 206 else 0  # 200: the whole file comes, whatever was asked
        total = have + int(response.headers.get("Content-Length", 0)) or None
        bar = tqdm(total=total, initial=have, unit="B", unit_scale=True, desc=pace.name, disable=not progress)
        with part.open("ab" if have else "wb") as stream, bar:
            try:
                # read1 returns with what has come; read would wait for a whole chunk, however slowly it drips in
                while chunk := response.raw.read1(_CHUNK):
                    stream.write(chunk)
                    bar.update(len(chunk))
                    have += len(chunk)
                    pace.check(len(chunk))
            except LineError:
                return False
    return total is None or have >= total


class _Pace:
    """Watches how fast bytes come: on average over each period of `RATE_SECONDS`, and for `LONGEST_SECONDS` at most."""

    def __init__(self, name: str):
        self.name, self.since, self.arrived = name, time.monotonic(), 0
        self.end = self.since + LONGEST_SECONDS

    def check(self, count: int) -> None:
        """Called with the bytes that just came.

        Raises:
            Unavailable: when they come too slowly, or time is over.
        """
        now = time.monotonic()
        self.arrived += count
        if now > self.end:
            raise Unavailable(f"{self.name}: not done after {LONGEST_SECONDS:,.0f} seconds (what arrived is kept)")
        if now - self.since < RATE_SECONDS:
            return
        rate = self.arrived / (now - self.since)
        if rate < SLOWEST_RATE:
            raise Unavailable(
                f"{self.name}: only {rate:,.0f} bytes a second came, fewer than {SLOWEST_RATE:,} (what arrived is kept)"
            )
        self.since, self.arrived = now, 0


def sweep(folder: Path, *patterns: str) -> None:
    """Remove the temporary files and folders that killed writers left in a folder.

    Args:
        folder: where they lie; it need not exist.
        patterns: of their names; what was touched within `STALE_SECONDS` stays, as its writer may be alive.
    """
    oldest = time.time() - STALE_SECONDS
    for path in [path for pattern in patterns for path in folder.glob(pattern)]:
        try:
            if path.stat().st_mtime > oldest:
                continue
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError:  # another writer was faster
            continue
