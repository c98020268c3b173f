"""Tables: what a cell says, how it is aligned, and that a wide one scrolls by itself."""

from __future__ import annotations

import re

import pandas
import pytest

from vrnn3d.study.figures import tables

MINUS = "\N{MINUS SIGN}"
NBSP = "\N{NO-BREAK SPACE}"


def cells(page: str) -> list[list[str]]:
    """The text of the cells, row by row, without the headings."""
    body = page.split("<tbody>")[1]
    return [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in body.split("</tr>")[:-1]]


def classes(page: str, text: str) -> set[str]:
    return set(re.search(rf'<td class="([^"]*)" >{re.escape(text)}</td>', page).group(1).split())


def test_numbers_are_printed_as_a_reader_wants_them():
    frame = pandas.DataFrame([{"n": 12_942_000, "SSIM": 0.8964, "difference": -1.25, "x": 1234.56, "y": 0.0}])
    assert cells(tables.table_html(frame).data) == [["12,942,000", "0.896", f"{MINUS}1.2", "1,234.6", "0.0"]]
    assert cells(tables.table_html(frame, decimals=0).data)[0][1:3] == ["1", f"{MINUS}1"]
    assert cells(tables.table_html(frame[["difference"]] * -1).data) == [["+1.2"]]


def test_what_is_missing_is_said_in_ours_only():
    nan = float("nan")
    page = tables.table_html(
        [{"paper": nan, "ours": nan, "difference": nan}, {"paper": None, "ours": 1.0, "difference": 0.5}]
    ).data
    assert cells(page) == [["", "not run", ""], ["", "1.0", "+0.5"]]
    assert classes(page, "not run") >= {"number", "missing"}
    assert "td.missing {font-style: italic;}" in page


@pytest.mark.parametrize("text", ["11.01 ± 0.08", "39.4 [38.2, 41.0]", "0.850 (−0.046)", "12%", "-3", "1,234"])
def test_a_number_with_its_uncertainty_is_a_number_and_stays_on_one_line(text):
    page = tables.table_html([{"a": text}]).data
    assert "number" in classes(page, text.replace(" ± ", "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"))
    assert re.search(r"td\.number \{[^}]*white-space: nowrap", page)


def test_an_uncertainty_stays_beside_its_number_among_words():
    page = tables.table_html([{"a": "11.01 ± 0.08, worse"}]).data
    assert "11.01\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}0.08, worse" in page


@pytest.mark.parametrize("text", ["3D VRNN", "10 → 10", "2D ConvLSTM", "2026-11-25", "KL", "12 of 14 (all)"])
def test_words_are_no_numbers(text):
    assert "number" not in classes(tables.table_html([{"a": text}]).data, text)


def test_a_column_is_aligned_as_most_of_its_cells():
    page = tables.table_html([{"a": "1.5", "b": "8"}, {"a": "2.5", "b": "two digits"}, {"a": "takes 10", "b": "cosine"}]).data
    assert all("number" in classes(page, text) for text in ("1.5", "2.5", "takes 10"))
    assert not any("number" in classes(page, text) for text in ("8", "two digits", "cosine"))


def test_headings_stand_over_their_cells():
    page = tables.table_html(
        [{"model": "3D VRNN", "MSE": 1.0, "seeds": "not run"}, {"model": "x", "MSE": 2.0, "seeds": 3}]
    ).data
    right = set(re.findall(r"th\.level0\.col(\d) \{text-align: right;\}", page))
    assert right == {"1", "2"}


def test_column_levels_are_joined_and_labels_escaped():
    columns = pandas.MultiIndex.from_tuples(
        [("10 → 10", "SSIM", "paper"), ("10 → 10", "SSIM", "ours"), ("10 → 10", "MSE", "difference")]
    )
    frame = pandas.DataFrame(
        [[0.896, float("nan"), -1.25], [float("nan"), 0.9, 2.0]], pandas.Index(["a < b", "c"], name="model"), columns
    )
    page = tables.table_html(frame, caption="A & B").data
    assert f'colspan="3">10{NBSP}→{NBSP}10<' in page and 'colspan="2">SSIM<' in page
    assert "<caption><span>A &amp; B</span></caption>" in page and ">a &lt; b</th>" in page and ">model</th>" in page
    assert cells(page) == [["0.896", "not run", f"{MINUS}1.2"], ["", "0.900", "+2.0"]]


def test_text_is_escaped_and_rows_may_have_the_same_name():
    frame = pandas.DataFrame([{"run": "all", "why": "<b>"}, {"run": "all", "why": "&"}]).set_index("run")
    page = tables.table_html(frame).data
    assert cells(page) == [["&lt;b&gt;"], ["&amp;"]]
    assert page.count(">all</th>") == 2 and "rowspan" not in page


def test_a_table_scrolls_by_itself_and_has_a_name():
    page = tables.table_html([{"a": 1}], caption="Title").data
    assert page.startswith('<div class="vrnn3d-scroll" style="overflow-x:auto" tabindex="0" role="region" aria-label="Title">')


def test_the_same_table_gives_the_same_bytes_and_two_tables_do_not_style_each_other():
    one, two = tables.table_html([{"a": 1}]).data, tables.table_html([{"a": 2}]).data
    assert one == tables.table_html([{"a": 1}]).data
    names = [re.search(r'<table id="([^"]+)"', page).group(1) for page in (one, two)]
    assert names[0] != names[1] and f"#{names[0]} td.number" in one


def test_paper_and_ours_on_two_lines():
    nan = float("nan")
    values = {
        ("parameters", "million", "paper"): [12.9, nan],
        ("parameters", "million", "ours"): [12.94, 12.94],
        ("", "", "seeds"): [2, 1],
        ("10 → 10", "SSIM", "paper"): [0.896, nan],
        ("10 → 10", "SSIM", "ours"): [0.85, 0.95],
        ("10 → 10", "SSIM", "difference"): [-0.046, nan],
        ("10 → 10", "MSE", "paper"): [39.4, nan],
        ("10 → 10", "MSE", "ours"): [nan, 20.0],
        ("10 → 10", "MSE", "difference"): [nan, nan],
    }
    page = tables.comparison_html(pandas.DataFrame(values, index=["<a>", "b"]), "Title").data
    assert cells(page) == [
        ["12.9", "0.896", "39.4"],
        ["12.9", f"0.850 ({MINUS}0.046)", "not run"],
        ["", "", ""],
        ["12.9", "0.950", "20.0"],
    ]
    assert page.count('rowspan="2"') == 2 and ">&lt;a&gt;</th>" in page and f'colspan="2">10{NBSP}→{NBSP}10<' in page
    assert [page.count(f">{words}</th>") for words in ("the paper", "ours, 2 seeds", "ours")] == [2, 1, 1]


def test_a_table_of_mathematics_is_markdown():
    made = tables.markdown_table([{"loss": "KL", "best $s_q^2$": "$s_p^2$"}, {"loss": "`kl_ll`", "best $s_q^2$": 0}], "Title")
    assert made.data.splitlines() == [
        "*Title*",
        "",
        "| loss | best $s_q^2$ |",
        "| --- | --- |",
        "| KL | $s_p^2$ |",
        "| `kl_ll` | 0 |",
    ]
