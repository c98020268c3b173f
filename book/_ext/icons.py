"""Keep of Font Awesome only the icons that the pages show: 1.5 MB of the theme's script become a few thousand bytes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

#: Where the theme puts the script, in the built pages.
SCRIPT = "_static/scripts/fontawesome.js"
#: One icon of the script: its name, [width, height, [other names], code, path or paths], and the comma behind it.
_ICON = re.compile(r'(?:"([\w-]+)"|([\w$]+)):\[\d+,\d+,\[([^\]]*)\],"[0-9a-f]+",(?:"[^"]*"|\[[^\]]*\])\],?')
_SHOWN = re.compile(r"\bfa-([a-z0-9-]+)")


def shown(texts: Iterable[str]) -> set[str]:
    """Names of the icons, and of Font Awesome's other classes, in pages and scripts."""
    return {name for text in texts for name in _SHOWN.findall(text)}


def subset(script: str, names: set[str]) -> str:
    """The script without the icons that have none of these names."""

    def keep(icon: re.Match[str]) -> str:
        own = {icon[1] or icon[2], *(name.strip('"') for name in icon[3].split(","))}
        return icon[0] if own & names else ""

    return _ICON.sub(keep, script)


def shrink(app, error) -> None:
    """Rewrite the script of the built pages, and drop its source map."""
    script = Path(app.outdir) / SCRIPT
    if error or app.builder.format != "html" or not script.exists():
        return
    others = [path for path in (Path(app.outdir) / "_static").rglob("*.js") if path != script]
    files = [*Path(app.outdir).rglob("*.html"), *others]
    names = shown(path.read_text(encoding="utf-8", errors="ignore") for path in files)
    script.write_text(subset(script.read_text(encoding="utf-8"), names), encoding="utf-8")
    script.with_name(script.name + ".map").unlink(missing_ok=True)


def setup(app) -> dict:
    app.connect("build-finished", shrink)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
