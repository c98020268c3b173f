"""Tables of the book: data frames as HTML that reads on wide and narrow screens, made by pandas' Styler."""

from __future__ import annotations

import html
import re
import zlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas

from vrnn3d.study.wording import MINUS, NOT_RUN, with_minus

if TYPE_CHECKING:
    from IPython.display import HTML, Markdown

_MISSING = (NOT_RUN, "not measured")
#: Digits after the point by column name, on any level; one digit elsewhere.
DECIMALS = {"SSIM": 3, "ssim": 3, "PSNR": 2, "psnr": 2}
#: Text that is one number, perhaps with its uncertainty, interval or difference: "11.01 ± 0.08", "39.4 [38.2, 41.0]", "12%".
_NUMBER = re.compile(rf"[+{MINUS}-]?\d[\d,.]*\s?%?(\s?±\s?\d[\d,.]*)?(\s?[\[(].*[\])])?")
_SPACE = re.compile(r"\s*\n\s*")  # Styler lays its HTML out in many lines
#: Here, and not in the book's style sheet, so that a table looks the same in a notebook that is run elsewhere.
_LOOKS = [
    {"selector": "caption", "props": "caption-side:top;text-align:left"},
    # The words of a caption stay on the screen when the table is wider than it.
    {"selector": "caption span", "props": "display:inline-block;position:sticky;left:0;max-width:min(100%,88vw)"},
    {"selector": "th, td", "props": "text-align:left;vertical-align:top"},
    {"selector": "td.number", "props": "text-align:right;white-space:nowrap;font-variant-numeric:tabular-nums"},
    {"selector": "th.col_heading[colspan]", "props": "text-align:center"},
    {"selector": "td.missing", "props": "font-style:italic"},
]


def table_html(table: Any, caption: str | None = None, decimals: int | Mapping[str, int] = DECIMALS) -> HTML:
    """A data frame, or a list of mappings, as an HTML table for the page.

    Args:
        table: numbers and text; with column levels, equal neighbours of the upper ones are joined. An index other than
            0, 1, 2, ... becomes the first column.
        caption: written above; plain text.
        decimals: digits after the point, one number or one per column name of any level (default: `DECIMALS`).

    A column that holds mostly numbers is right-aligned and its cells are never broken across lines; thousands are separated,
    and a table that is wider than the page scrolls by itself. A missing value in a column named "ours" reads "not run",
    elsewhere nothing; numbers in a column named "difference" carry their sign.
    """
    frame = table if isinstance(table, pandas.DataFrame) else pandas.DataFrame(list(table))
    texts = [
        [_text(value, column, decimals) for value, column in zip(row, frame.columns)] for row in frame.itertuples(index=False)
    ]
    headings = [] if isinstance(frame.index, pandas.RangeIndex) else [(str(label),) for label in frame.index]
    return _page(texts, frame.columns, headings, str(frame.index.name or ""), caption)


def comparison_html(table: pandas.DataFrame, caption: str | None = None, decimals: int | Mapping[str, int] = DECIMALS) -> HTML:
    """A table of the paper's numbers beside ours, made to fit a page: two lines a model, the paper's and ours.

    Args:
        table: columns (protocol, metric, side), side being "paper", "ours" or "difference", and ("", "", "seeds").
        caption, decimals: as for :func:`table_html`.

    Ours carries its difference from the paper's in parentheses, and the number of seeds where it averages several. What
    was not run says so.
    """
    groups = list(dict.fromkeys((above, name) for above, name, side in table.columns if side == "ours"))
    texts: list[list[str]] = []
    headings: list[tuple[str, ...]] = []
    for label, row in table.iterrows():
        paper, ours = [], []
        for group in groups:
            theirs, mine = row[*group, "paper"], row[*group, "ours"]
            digits = _digits(group, decimals)
            paper.append("" if pandas.isna(theirs) else number(theirs, digits))
            ours.append(NOT_RUN if pandas.isna(mine) else number(mine, digits))
            if not pandas.isna(mine + theirs) and (*group, "difference") in row.index:
                ours[-1] += f" ({number(mine - theirs, digits, '+')})"
        seeds = int(row["", "", "seeds"])
        texts += [paper, ours]
        headings += [(str(label), "the paper"), (str(label), "ours" + (f", {seeds} seeds" if seeds > 1 else ""))]
    return _page(texts, pandas.MultiIndex.from_tuples(groups), headings, "", caption)


def markdown_table(rows: Sequence[Mapping[str, Any]], caption: str = "") -> Markdown:
    """A table for cells that hold mathematics or code, which HTML would show as written; an ``IPython.display.Markdown``.

    Args:
        rows: {heading: cell} of each line, all with the headings of the first.
        caption: written above, in italics.
    """
    from IPython.display import Markdown

    lines = [list(rows[0]), ["---"] * len(rows[0]), *([str(cell) for cell in row.values()] for row in rows)]
    text = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return Markdown(f"*{caption}*\n\n{text}" if caption else text)


def number(value: float, digits: int, sign: str = "") -> str:
    """A number as tables print it: thousands separated, a true minus sign; `sign` "+" also marks what is above zero."""
    return with_minus(f"{value:{sign},.{digits}f}")


def _digits(column: Any, decimals: int | Mapping[str, int]) -> int:
    if isinstance(decimals, int):
        return decimals
    levels = column if isinstance(column, tuple) else (column,)
    return next((decimals[level] for level in levels if level in decimals), 1)


def _text(value: Any, column: Any, decimals: int | Mapping[str, int]) -> str:
    """One cell."""
    name = column[-1] if isinstance(column, tuple) else column
    if value is None or (isinstance(value, (float, np.floating)) and np.isnan(value)):
        return NOT_RUN if name == "ours" else ""
    if isinstance(value, (int, np.integer)) and not isinstance(value, (bool, np.bool_)):
        return number(int(value), 0)
    if isinstance(value, (float, np.floating)):
        return number(float(value), _digits(column, decimals), "+" if name == "difference" else "")
    return " ".join(str(value).split()).replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}")  # never broken


def _page(
    texts: list[list[str]], columns: pandas.Index, headings: Sequence[tuple[str, ...]], corner: str, caption: str | None
) -> HTML:
    """The table in a box that scrolls.

    `headings` are those of each row, none, one or two of them; of two, the first is joined over every pair of rows. `corner`
    is written above the first.
    """
    from IPython.display import HTML

    rows = range(len(texts))  # rows are told apart by their place: headings need not differ
    two = bool(headings) and len(headings[0]) == 2
    frame = pandas.DataFrame(texts, index=pandas.MultiIndex.from_arrays([[i // 2 for i in rows], rows]) if two else rows)
    frame.columns = columns.map(lambda name: tuple(map(_escaped, name)) if isinstance(name, tuple) else _escaped(name))
    depth, narrow = frame.columns.nlevels, [i for i in range(len(columns)) if _is_numeric(frame.iloc[:, i])]
    classes = frame.map(lambda text: "missing" if text in _MISSING else "")
    for i in narrow:
        classes.isetitem(i, ("number " + classes.iloc[:, i]).str.strip())
    heads = [f"th.level{depth - 1}.col{i}" for i in narrow]
    frame.columns.names = [""] * (depth - 1) + [_escaped(corner)]

    styler = (
        frame.style.format(escape="html").set_td_classes(classes).set_uuid(f"{zlib.crc32(repr((texts, caption)).encode()):08x}")
    )
    styler.set_table_attributes('class="table vrnn3d-table"')
    styler.set_table_styles(_LOOKS + [{"selector": ", ".join(heads), "props": "text-align:right"}] * bool(heads))
    if caption:
        styler.set_caption(f"<span>{_escaped(caption)}</span>")
    if not headings:
        styler.hide(axis="index")
    for level in range(len(headings[0]) if headings else 0):
        step = 2 if two and level == 0 else 1
        styler.format_index(lambda i, level=level, step=step: _escaped(headings[i * step][level]), level=level)
    styler.cell_ids = False
    name, drawn = _escaped(caption or "table"), _SPACE.sub("", styler.to_html(sparse_index=True, sparse_columns=True))
    return HTML(
        f'<div class="vrnn3d-scroll" style="overflow-x:auto" tabindex="0" role="region" aria-label="{name}">{drawn}</div>'
    )


def _is_numeric(column: pandas.Series) -> bool:
    """Whether a column holds numbers: most of its cells, not counting those that are empty or not measured."""
    measured = column[~column.isin(["", *_MISSING])]
    return measured.empty or bool(measured.map(lambda text: _NUMBER.fullmatch(text) is not None).mean() > 0.5)


def _escaped(name: Any) -> str:
    """As HTML; a protocol, 10 → 20, is not broken across lines."""
    return html.escape(str(name)).replace(" → ", "\N{NO-BREAK SPACE}→\N{NO-BREAK SPACE}")
