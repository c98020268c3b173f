"""Wide tables on narrow screens, in a real browser: each row becomes a block that fits, and every cell names its column."""

from __future__ import annotations

from pathlib import Path

import pandas
import pytest
from browser import Browser, needs_chromium

from vrnn3d.study.figures.tables import comparison_html, table_html

pytestmark = [pytest.mark.slow, needs_chromium]  # a browser

STATIC = Path(__file__).resolve().parents[2] / "book" / "_static"
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><style>body {{ margin: 0; padding: 0 12px }} table {{
border-collapse: collapse }} {style}</style>
<body><main class="bd-article">{body}</main><script>{script}</script></body></html>"""
STACKED = "[...document.querySelectorAll('table')].map((t) => t.classList.contains('vrnn3d-stacked'))"
TOO_WIDE = "[...document.querySelectorAll('.vrnn3d-scroll')].filter((e) => e.scrollWidth > e.clientWidth + 1).length"
#: What a reader of a narrow screen sees of a cell: its column's name, as the style sheet puts it there, and its text.
SEEN = "[...document.querySelectorAll('tbody td')].map((c) => [getComputedStyle(c, '::before').content, c.textContent])"


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


@pytest.fixture
def show(browser, tmp_path):
    """Open a page with tables at a width."""

    def shown(width: int, *tables, around: str = "{}", scripts: bool = True) -> None:
        style, script = (STATIC / "book.css").read_text("utf-8"), (STATIC / "tables.js").read_text("utf-8")
        body = around.format("".join(table.data for table in tables))
        (tmp_path / "page.html").write_text(PAGE.format(style=style, script=script, body=body), encoding="utf-8")
        browser.open(tmp_path / "page.html", width, scripts=scripts)
        assert browser.errors == []

    return shown


def grouped() -> pandas.DataFrame:
    """Two columns, ours and the paper's, under each of four protocols."""
    columns = [(protocol, side) for protocol in ("5 → 10", "5 → 15", "10 → 10", "10 → 20") for side in ("ours, %", "paper, %")]
    rows = {"Variational 3D ConvLSTM": [41.25 + i for i in range(8)], "2D ConvLSTM": [52.5 + i for i in range(8)]}
    return pandas.DataFrame(rows, index=pandas.MultiIndex.from_tuples(columns)).T


def plain(words: str = "of the test sequences") -> pandas.DataFrame:
    names = [f"column {i} {words}" for i in range(6)]
    return pandas.DataFrame([[i + 0.5 for i in range(6)]] * 2, columns=names, index=pandas.Index(["a", "b"], name="model"))


def test_a_table_that_is_too_wide_is_stacked_and_then_fits(show, browser):
    show(390, table_html(grouped(), "Grouped"), table_html(plain(), "Plain"))
    assert browser.evaluate(STACKED) == [True, True] and browser.evaluate(TOO_WIDE) == 0
    assert browser.evaluate("document.documentElement.scrollWidth") <= 390


def test_each_cell_names_its_column_and_each_row_its_model(show, browser):
    show(390, table_html(grouped()))
    seen = browser.evaluate(SEEN)
    seen = [[text.replace("\N{NO-BREAK SPACE}", " ") for text in pair] for pair in seen]
    assert seen[:3] == [['"5 → 10: ours, %"', "41.2"], ['"paper, %"', "42.2"], ['"5 → 15: ours, %"', "43.2"]]
    assert browser.evaluate("[...document.querySelectorAll('[role=rowheader]')].map((c) => c.textContent)") == [
        "Variational 3D ConvLSTM",
        "2D ConvLSTM",
    ]
    lefts = browser.evaluate("[...document.querySelectorAll('.vrnn3d-first')].map((c) => c.getBoundingClientRect().left)")
    assert len(lefts) == 8 and max(lefts) - min(lefts) < 1, "each protocol begins a line"


def test_a_value_with_its_spread_stands_beside_its_label(show, browser):
    table = grouped().map("{:.1f}".format)
    for protocol in table.columns.levels[0]:
        table[protocol, "ours, %"] += " ± 0.1"
    show(360, table_html(table), around="<div style='font-family: sans-serif'>{}</div>")
    assert browser.evaluate(STACKED) == [True]
    below = """[...document.querySelectorAll('tbody td')].map((c) => {
        const range = document.createRange(); range.selectNodeContents(c);
        return range.getBoundingClientRect().top - c.getBoundingClientRect().top })"""
    tops = browser.evaluate(below)
    assert len(tops) == 16 and max(tops) < 10, "none stands in a second line"


def test_a_group_whose_pairs_do_not_fit_a_line_takes_one_for_each_cell(show, browser):
    table = grouped().map("{:.2f} [24.90, 28.88]".format)
    show(390, table_html(table))
    assert browser.evaluate(STACKED) == [True]
    lefts = browser.evaluate("[...document.querySelectorAll('tbody td')].map((c) => c.getBoundingClientRect().left)")
    assert len(lefts) == 16 and max(lefts) - min(lefts) < 1


def test_words_run_on_after_their_label_and_numbers_stand_at_the_right(show, browser):
    words = "handclapping and handwaving, which take two lines here because they are many"
    table = plain().assign(**{"the test actions": words})
    show(390, table_html(table))
    assert browser.evaluate(STACKED) == [True]
    ends = """[...document.querySelectorAll('tbody td')].map((c) => {
        const range = document.createRange(); range.selectNodeContents(c);
        const text = range.getBoundingClientRect(), cell = c.getBoundingClientRect();
        return [text.top - cell.top, cell.right - text.right] })"""
    *numbers, (above, _) = browser.evaluate(ends)[:7]
    assert above < 10 and all(right < 10 for _, right in numbers)


def test_a_heading_that_reaches_over_two_rows_moves_no_label(show, browser):
    sides, metrics = ("paper", "ours", "difference"), ("SSIM", "MSE")
    columns = [(p, metric, side) for p in ("5 → 10", "10 → 10", "10 → 20") for metric in metrics for side in sides]
    table = pandas.DataFrame([[1000.0 + i for i in range(18)]], index=["a model with a long name"])
    table.columns = pandas.MultiIndex.from_tuples(columns)
    table["", "", "seeds"] = 1
    show(390, comparison_html(table))
    assert browser.evaluate(STACKED) == [True] and browser.evaluate(TOO_WIDE) == 0
    names = [label.strip('"') for label, _ in browser.evaluate(SEEN)]
    names = [name.replace("\N{NO-BREAK SPACE}", " ") for name in names]
    assert names == 2 * ["5 → 10: SSIM", "MSE", "10 → 10: SSIM", "MSE", "10 → 20: SSIM", "MSE"], "of the paper, and ours"


def test_what_fits_and_wide_screens_stay_as_they_are(show, browser):
    show(390, table_html(plain().iloc[:, :1]))
    assert browser.evaluate(STACKED) == [False]
    show(1400, table_html(grouped()), table_html(plain()))
    assert browser.evaluate(STACKED) == [False, False]


def test_a_folded_table_is_stacked_when_it_is_opened(show, browser):
    show(390, table_html(plain()), around="<details><summary>more</summary>{}</details>")
    browser.evaluate(
        "new Promise((done) => { document.querySelector('details').open = true; setTimeout(done, 300); })"  # toggle comes later
    )
    assert browser.evaluate(STACKED) == [True] and browser.evaluate(TOO_WIDE) == 0
