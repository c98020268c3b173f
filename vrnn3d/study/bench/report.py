"""What the speed chapter and the command say about a benchmark: the fastest forms, tables, and comparisons in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from vrnn3d.study.bench.jobs import COMPILED, FAST, GRAPHS, HALF, PLAIN, SLIDING, STEP, WATERFALL
from vrnn3d.study.bench.record import Bench, Row

#: What counts as fast: the fast form as it is, compiled, or replayed as CUDA graphs, whichever took least.
FAST_FORMS = (FAST, COMPILED, GRAPHS)
OURS = "vrnn3d"
NOT_MEASURED = "not measured"
#: {factory of outside code: what its paper calls the model}, where none of ours has that name.
OUTSIDE = {"convlstm": "ConvLSTM"}
#: {(model, form): its name in a sentence} of what the fast form of ours is compared with.
COMPARED = {
    (OURS, PLAIN): "the plain form in the same windows",
    (OURS, SLIDING): "the plain form sliding by one frame, which takes about twice the steps",
    ("e3d_lstm", PLAIN): "the plain form of an E3D-LSTM of the same 12.9M parameters",
    ("e3d_lstm", FAST): "the fast form of that E3D-LSTM",
}


# --- rows -------------------------------------------------------------------------------------------------------------


def rows_of(bench: Bench, form: str) -> dict[str, Row]:
    """{model: its row} of one form."""
    return {row.model: row for row in bench.rows if row.form == form}


def fastest(bench: Bench, forms: Sequence[str] = FAST_FORMS) -> dict[str, Row]:
    """{model: its row with the most sequences a second} among some forms."""
    best: dict[str, Row] = {}
    for form in forms:
        for model, row in rows_of(bench, form).items():
            if model not in best or row.sequences_per_second > best[model].sequences_per_second:
                best[model] = row
    return best


def ours_by_form(bench: Bench) -> dict[str, Row]:
    """The rows of the 3D VRNN; sweeps left out."""
    return {row.form: row for row in bench.rows if row.model == OURS and not row.sweep}


def waterfall(bench: Bench) -> list[tuple[str, float]]:
    """(label, seconds) of a training step of ours from the plain, sliding form to the fastest, as far as measured."""
    ours = ours_by_form(bench)
    forms = [("plain, sliding by one frame", SLIDING), ("plain, in windows", PLAIN)]
    forms += [(form.removeprefix(STEP), form) for form in ours if form.startswith(STEP)]
    return [(label, ours[form].seconds) for label, form in forms if form in ours]


def folding_gain(bench: Bench) -> float | None:
    """How many times as fast depth folding makes a training step of ours; None where the steps were not measured."""
    seconds = dict(waterfall(bench))
    before, after = ([step.label for step in WATERFALL if (step.folding == "auto") == folds][-1] for folds in (False, True))
    return seconds[before] / seconds[after] if {before, after} <= seconds.keys() else None


def growth(benches: Sequence[Bench]) -> dict[str, list[tuple[int, float]]]:
    """{what is varied: (value, seconds per training sequence)} of all sweeps of the first machine that has any."""
    found: dict[str, list[tuple[int, float]]] = {}
    swept = [bench for bench in benches if any(row.sweep for row in bench.rows)]
    for row in (row for bench in swept for row in bench.rows if bench.device == swept[0].device):
        if row.sweep and row.value is not None:
            found.setdefault(row.sweep, []).append((row.value, row.seconds / row.batch))
    return found


def outside_models(benches: Sequence[Bench]) -> dict[str, str]:
    """{model: the name of its factory} of the models that are no part of this package."""
    return {row.model: row.model.split(":")[1] for bench in benches for row in bench.rows if ":" in row.model}


# --- tables -----------------------------------------------------------------------------------------------------------


def _number(value: float | None, form: str) -> str:
    return NOT_MEASURED if value is None else form.format(value)


def _seconds(row: Row | None) -> str:
    return NOT_MEASURED if row is None else f"{row.seconds:.2f}" if row.seconds >= 0.1 else f"{row.seconds:.4f}"


def overview(bench: Bench, titles: Mapping[str, str]) -> list[dict[str, str]]:
    """One line a model: the time of a training step, plain and fast, and how far it is from the machine's limit."""
    plain, best = rows_of(bench, PLAIN), fastest(bench)
    sampled = {row.model: row for row in bench.rows if row.form.endswith(" samples")}
    lines = []
    for name in dict.fromkeys(row.model for row in bench.rows if row.form in (PLAIN, *FAST_FORMS)):
        row, slow = best.get(name), plain.get(name)
        line = {"model": titles.get(name, name), "plain (s / step)": _seconds(slow)}
        for form in FAST_FORMS:
            if any(other.form == form for other in bench.rows):
                line[f"{form} (s / step)"] = _seconds(rows_of(bench, form).get(name))
        line["plain / fast"] = _number(slow.seconds / row.seconds if row and slow else None, "{:.2f}")
        line["sequences / s"] = _number(row.sequences_per_second if row else None, "{:.2f}")
        line["share of a matrix product"] = _number(row.share_of_matrix_product if row else None, "{:.0%}")
        line["peak memory (MiB)"] = _number(row.peak_mib if row else None, "{:,.0f}")
        if sampled:
            samples = next(iter(sampled.values())).samples
            needed = name in sampled or any(f.model == name and f.form.endswith(" samples") for f in bench.failures)
            line[f"{samples} samples (s / sequence)"] = _seconds(sampled.get(name)) if needed else "one is enough"
        lines.append(line)
    return lines


def work(bench: Bench, titles: Mapping[str, str]) -> list[dict[str, str]]:
    """One line a model: its parameters, and the operations and bytes of a training sequence in the fast form."""
    return [
        {
            "model": titles.get(name, name),
            "parameters (M)": f"{row.parameters / 1e6:.1f}",
            "useful GFLOP / sequence": _number(row.useful_gflop_per_sequence, "{:,.0f}"),
            "GB / sequence, at most": _number(row.gigabytes_per_sequence, "{:.2f}"),
            "FLOP / byte": _number(intensity(row), "{:,.0f}"),
        }
        for name, row in fastest(bench).items()
    ]


def intensity(row: Row) -> float | None:
    """Useful operations per byte moved."""
    if not row.useful_gflop_per_sequence or not row.gigabytes_per_sequence:
        return None
    return row.useful_gflop_per_sequence / row.gigabytes_per_sequence


def short_overview(bench: Bench, titles: Mapping[str, str]) -> list[dict[str, str]]:
    """One line a model: the plain form and the fastest one, whichever that is."""
    return [
        {
            "model": titles.get(name, name),
            "plain (s / step)": _seconds(rows_of(bench, PLAIN).get(name)),
            "fastest (s / step)": _seconds(row),
            "form": row.form,
            "sequences / s": f"{row.sequences_per_second:.2f}",
            "peak memory (MiB)": f"{row.peak_mib:,.0f}",
        }
        for name, row in fastest(bench, (PLAIN, *FAST_FORMS)).items()
    ]


def half_precision(bench: Bench, titles: Mapping[str, str]) -> list[dict[str, str]]:
    """One line for each model that was also measured in bfloat16: its fast form in either precision."""
    whole = rows_of(bench, FAST)
    return [
        {
            "model": titles.get(name, name),
            "float32 (s / step)": _seconds(whole.get(name)),
            "bfloat16 (s / step)": _seconds(row),
            "float32 / bfloat16": _number(whole[name].seconds / row.seconds if name in whole else None, "{:.2f}"),
            "sequences / s in bfloat16": f"{row.sequences_per_second:.2f}",
            "peak memory (MiB)": f"{row.peak_mib:,.0f}",
        }
        for name, row in rows_of(bench, HALF).items()
    ]


def caption(bench: Bench) -> str:
    """On what a benchmark was made, and how."""
    s, commit = bench.settings, bench.provenance.code.commit
    rounds = f"{s.rounds} round{'s' * (s.rounds > 1)} of {s.repeats} call{'s' * (s.repeats > 1)}"
    if bench.rounds_measured < s.rounds:
        rounds = f"up to {rounds}, stopped by a time budget"
    return (
        f"{bench.device}, {s.threads} threads; {s.size} x {s.size} pixels, batch {s.batch}, medians of {rounds};"
        f" commit {commit[:10] if commit else 'unknown'}, {bench.provenance.date}"
    )


def failures(bench: Bench, titles: Mapping[str, str]) -> list[str]:
    """A line of Markdown for every row that failed."""
    return [f"{titles.get(r.model, r.model)}, {r.form}: `{r.failed.replace('`', '')}`" for r in bench.failures]


# --- words ------------------------------------------------------------------------------------------------------------


def comparisons(bench: Bench, titles: Mapping[str, str]) -> list[str]:
    """How many times as fast the fast form of ours was as other forms and models of the same run, in words."""
    ours = ours_by_form(bench)
    if FAST not in ours:
        return []
    rows = {(row.model, row.form): row for row in bench.rows if not row.sweep}
    said = [
        f"{rows[key].seconds / ours[FAST].seconds:.2f} times as fast as {words}"
        for key, words in COMPARED.items()
        if key in rows
    ]
    outside = outside_models([bench])
    return said + [
        f"{row.seconds / ours[FAST].seconds:.2f} times as fast as {titles[name]} in its quickest form,"
        f" {row.parameters / 1e6:.1f}M parameters"
        for name, row in fastest(bench, (PLAIN, *FAST_FORMS)).items()  # theirs in whichever form took least
        if name in outside
    ]


def as_text(bench: Bench) -> str:
    """The whole record as a table for a terminal."""
    lines = [f"{'model':16} {'form':44} {'s / call':>9} {'seq / s':>9} {'MiB':>7} {'TFLOP/s':>8} {'GB / seq':>8}"]
    lines += [_line(row) for row in bench.rows]
    lines += [f"{row.model[:16]:16} {row.form[:44]:44} failed: {row.failed}" for row in bench.failures]
    lines.append(f"matrix product: {_number(bench.matrix_product_tflops, '{:.3f} TFLOP/s')}")
    lines.append(f"copy of memory: {_number(bench.copy_gigabytes_per_second, '{:.3f} GB/s')}")
    return "\n".join(lines)


def _line(row: Row) -> str:
    form = f"{row.form}: {row.sweep} = {row.value}" if row.sweep else row.form
    rate = "" if row.useful_tflops is None else f"{row.useful_tflops:8.3f}"
    traffic = "" if row.gigabytes_per_sequence is None else f"{row.gigabytes_per_sequence:8.2f}"
    speed = f"{row.seconds:9.3f} {row.sequences_per_second:9.2f} {row.peak_mib:7.0f}"
    return f"{row.model[:16]:16} {form[:44]:44} {speed} {rate:8} {traffic}".rstrip()


def titles_of(benches: Sequence[Bench], known: Mapping[str, str]) -> dict[str, str]:
    """What tables call the models: `known` titles, ours with its windows, and outside code marked as such."""
    known = {**OUTSIDE, **known}
    outside = {name: f"{known.get(factory, factory)} (outside code)" for name, factory in outside_models(benches).items()}
    return {**known, **outside, OURS: "3D VRNN (ours), M = H = 2"}
