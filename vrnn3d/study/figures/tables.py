"""Tables of the book."""

from __future__ import annotations

import html
import math
from typing import Any, Mapping

import numpy as np

from vrnn3d.show import GREY


def _cell(value: Any, column: str, decimals: int) -> tuple[str, str]:
    """(text, style) of one table cell. A missing number of ours is "not run"; any other missing value stays empty."""
    right = "text-align:right;white-space:nowrap"
    if value is None or (isinstance(value, (float, np.floating)) and math.isnan(value)):
        return ("not run", right + f";font-style:italic;color:{GREY}") if column == "ours" else ("", right)
    if isinstance(value, (bool, np.bool_, str)):
        return html.escape(str(value)), "text-align:left"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}", right
    if not isinstance(value, (float, np.floating)):
        return html.escape(str(value)), "text-align:left"
    sign = "+" if column == "difference" else ""
    return _number(value, decimals, sign), right


#: Digits after the point by column name, on any level; one digit elsewhere.
DECIMALS = {"SSIM": 3, "ssim": 3, "PSNR": 2, "psnr": 2}


def table_html(table, caption: str | None = None, decimals: int | Mapping[str, int] = DECIMALS):
    """A pandas DataFrame, or a list of mappings, as an HTML table for the page; an ``IPython.display.HTML``.

    Args:
        table: ``results.table1(...)`` for example; with column levels, cells of the upper ones are joined.
        caption: written above; plain text.
        decimals: digits after the point, one number or one per column name of any level (default: DECIMALS).

    A missing value in a column named "ours" reads "not run"; numbers in one named "difference" carry their sign.
    """
    import pandas
    from IPython.display import HTML

    frame = table if isinstance(table, pandas.DataFrame) else pandas.DataFrame(list(table))
    levels = frame.columns.nlevels
    columns = [c if isinstance(c, tuple) else (c,) for c in frame.columns]
    indexed = not isinstance(frame.index, pandas.RangeIndex)

    def digits(column: tuple) -> int:
        if isinstance(decimals, int):
            return decimals
        return next((decimals[part] for part in column if part in decimals), 1)

    out = ['<div style="overflow-x:auto"><table class="table vrnn3d-table">']
    if caption:
        out.append(f"<caption>{html.escape(caption)}</caption>")
    out.append("<thead>")
    for level in range(levels):
        cells = []
        if indexed and level == 0:
            name = html.escape(str(frame.index.name or ""))
            cells.append(f'<th scope="col" rowspan="{levels}" style="text-align:left">{name}</th>')
        at = 0
        while at < len(columns):
            span, last = 1, level == levels - 1
            while not last and at + span < len(columns) and columns[at + span][: level + 1] == columns[at][: level + 1]:
                span += 1
            align = "center" if not last else "left" if _is_text(frame.iloc[:, at]) else "right"
            text = html.escape(str(columns[at][level]))
            cells.append(f'<th scope="col" colspan="{span}" style="text-align:{align}">{text}</th>')
            at += span
        out.append(f"<tr>{''.join(cells)}</tr>")
    out.append("</thead><tbody>")
    for label, row in zip(frame.index, frame.itertuples(index=False, name=None)):
        head = f'<th scope="row" style="text-align:left">{html.escape(str(label))}</th>' if indexed else ""
        cells = [_cell(value, str(column[-1]), digits(column)) for value, column in zip(row, columns)]
        body = "".join(f'<td style="{style}">{text}</td>' for text, style in cells)
        out.append(f"<tr>{head}{body}</tr>")
    out.append("</tbody></table></div>")
    return HTML("".join(out))


def comparison_html(table, caption: str | None = None, decimals: int | Mapping[str, int] = DECIMALS):
    """``results.table1(...)`` made to fit a page: two lines a model, the paper's and ours; an ``IPython.display.HTML``.

    Ours carries its difference from the paper's in parentheses, and the number of seeds where it averages several. What
    was not run says so.
    """
    import pandas
    from IPython.display import HTML

    groups = list(dict.fromkeys((a, b) for a, b, side in table.columns if side == "ours"))
    flat = []
    for label, row in table.iterrows():
        seeds = int(row["", "", "seeds"])
        paper: dict[tuple, Any] = {("model", ""): label, ("", ""): "the paper"}
        ours: dict[tuple, Any] = {("model", ""): "", ("", ""): "ours" + (f", {seeds} seeds" if seeds > 1 else "")}
        for group in groups:
            digits = decimals if isinstance(decimals, int) else decimals.get(group[1], 1)
            theirs, mine = row[*group, "paper"], row[*group, "ours"]
            paper[group] = "" if pandas.isna(theirs) else _number(theirs, digits)
            ours[group] = "not run" if pandas.isna(mine) else _number(mine, digits)
            if not pandas.isna(mine + theirs) and (*group, "difference") in row.index:
                ours[group] += f" ({_number(mine - theirs, digits, '+')})"
        flat += [paper, ours]
    head, sub = [], []
    keys = list(flat[0]) if flat else []
    for key in keys:
        if not head or head[-1][0] != key[0]:
            head.append([key[0], 0])
        head[-1][1] += 1
        align = "right" if key in groups else "left"
        sub.append(f'<th scope="col" style="text-align:{align}">{html.escape(key[1])}</th>')
    out = ['<div style="overflow-x:auto"><table class="table vrnn3d-table">']
    if caption:
        out.append(f"<caption>{html.escape(caption)}</caption>")
    tops = "".join(
        f'<th scope="colgroup" colspan="{span}" style="text-align:{"left" if name == "model" else "center"}">'
        f"{html.escape(name)}</th>"
        for name, span in head
    )
    out.append(f"<thead><tr>{tops}</tr><tr>{''.join(sub)}</tr></thead><tbody>")
    for line in flat:
        cells = []
        if label := line["model", ""]:
            cells = [f'<th scope="rowgroup" rowspan="2" style="text-align:left">{html.escape(label)}</th>']
        for key in keys[1:]:
            style = "text-align:right;white-space:nowrap" if key in groups else "text-align:left;white-space:nowrap"
            if line[key] == "not run":
                style += f";font-style:italic;color:{GREY}"
            cells.append(f'<td style="{style}">{html.escape(line[key])}</td>')
        out.append(f"<tr>{''.join(cells)}</tr>")
    out.append("</tbody></table></div>")
    return HTML("".join(out))


def _number(value: float, digits: int, sign: str = "") -> str:
    return f"{value:{sign}.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _is_text(column) -> bool:
    return any(isinstance(value, str) for value in column)
