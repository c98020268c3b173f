"""The examples of CONTRIBUTING.md, executed. As a plugin, ``pytest -p extended``, it registers them for all tests."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parent.parent
#: The sections whose example registers something.
REGISTERING = ("A model", "A latent loss", "A data set", "A metric")


def block(section: str, language: str = "python") -> str:
    """The first block of code in a section of CONTRIBUTING.md."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    found = re.search(rf"^### {section}\n.*?^```{language}\n(.*?)^```", text, re.M | re.S)
    assert found, f"CONTRIBUTING.md has no example below {section!r}"
    return found.group(1)


def execute(section: str) -> ModuleType:
    """The example of a section as a module of its own."""
    module = ModuleType("example_of_" + section.lower().replace(" ", "_"))
    sys.modules[module.__name__] = module  # dataclasses look their annotations up there
    exec(compile(block(section), f"CONTRIBUTING.md, {section}", "exec"), module.__dict__)
    return module


def pytest_configure(config) -> None:
    for section in REGISTERING:
        execute(section)
