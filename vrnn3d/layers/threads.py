"""One thread at a time: what the layers share during a forward pass belongs to the whole process."""

from __future__ import annotations

import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

_LOCK = threading.RLock()


def one_thread() -> AbstractContextManager[Any]:
    """Inside the ``with`` other threads wait where they ask for the same; the thread that is inside may enter again.

    A function that ``torch.compile`` traces is left as it is: it keeps nothing of what is shared when it runs.
    """
    return nullcontext() if torch.compiler.is_compiling() else _LOCK
