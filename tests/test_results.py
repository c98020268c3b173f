from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
import torch

from vrnn3d import config
from vrnn3d.evaluation import metrics
from vrnn3d.study import results
from vrnn3d.config import Data, Experiment, Loss, Model

FRAMES = {"5->10": 10, "5->15": 15, "10->10": 10, "10->20": 20}


def evaluation(mse, seed=0, sequences=30, protocols=tuple(FRAMES), spread=0.0):
    """An evaluation entry whose average MSE is about `mse`, made by metrics.summarise from per-frame values."""
    g = torch.Generator().manual_seed(seed)
    out = {}
    for protocol in protocols:
        shape = (sequences, int(protocol.split("->")[1]))
        base = mse * (1 + 0.2 * torch.rand(shape, generator=torch.Generator().manual_seed(99)))  # shared by all models
        own = base + 0.01 * mse * torch.randn(shape, generator=g)
        each = {"average": own, "best": own * 0.9, "mean_frame": own * 0.95}
        values = {
            "mse": each,
            "mae": each,
            "ssim": {k: 1 - v / 500 for k, v in each.items()},
            "psnr": {k: 30 - v / 10 for k, v in each.items()},
            "ssim_uint8": {"average": 1 - own / 500},
            "sample_variance": {"average": own * 0 + spread},
            "crps": {"average": own / 2},
        }
        out[protocol] = metrics.summarise(values, samples=3)
    return out


def record(name="vrnn3d_kl_ll", mse=40.0, profile="paper", seed=0, parameters=12_942_000, model="vrnn3d", **changes):
    spread, log_std = changes.pop("spread", 1.0), changes.pop("log_std", -2.0)
    protocols, data = changes.pop("protocols", tuple(FRAMES)), changes.pop("data", {})
    size = changes.pop("model_size", (2, 2))
    experiment = Experiment(name, profile, f"Title of {name}", Data(**data), Model(model, *size), Loss("kl_ll"))
    pool = "test" if data.get("name") == "kth" else "train"
    return {
        "schema": 1,
        "experiment": name,
        "profile": profile,
        "seed": seed,
        "title": experiment.title,
        "status": "finished",
        "config": config.to_dict(experiment),
        "config_hash": config.config_hash(experiment),
        **results.provenance(),
        "parameters": {"encoder": 1, "total": parameters},
        "training": {
            "sequences": 600_000,
            "steps": 9375,
            "seconds": 600.0,
            "sequences_per_second": 1000.0,
            "precision": "bfloat16",
            "curves": {"sequences": [64, 600_000], "loss": [900.0, 80.0], "log_std_prior": [0.0, log_std]},
        },
        "data": {"description": "two digits", "source": "cache"},
        "evaluation": {pool: evaluation(mse, seed=sum(name.encode()) + seed, protocols=protocols, spread=spread)},
        **changes,
    }


def test_a_record_comes_back_as_it_went(tmp_path):
    written = record()
    path = results.write_record(written, tmp_path)
    assert path == tmp_path / "paper" / "vrnn3d_kl_ll" / "seed0.json"
    assert [p.name for p in path.parent.iterdir()] == ["seed0.json"]  # no temporary left
    (read,) = results.read_records(tmp_path)
    assert list(read) == [k for k in json.loads(path.read_text())] and set(read) == set(written)
    ours, theirs = (r["evaluation"]["train"]["10->10"]["mse"]["per_frame"] for r in (read, written))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert read["config"] == written["config"]
    assert config.config_hash(config.from_dict(read["config"])) == read["config_hash"]
    # Writing what was read changes no byte: records do not drift.
    before = path.read_text()
    results.write_record(read, tmp_path)
    assert path.read_text() == before
    assert results.find("vrnn3d_kl_ll", "paper", 0, tmp_path) == read
    assert results.find("vrnn3d_kl_ll", "paper", 1, tmp_path) is None


def test_numbers_are_rounded_and_arrays_become_lists(tmp_path):
    path = results.write_json(
        {"a": np.float32(1 / 3), "b": torch.tensor([1, 2]), "c": (1.23456789, True, None), "d": {"e": "ü"}},
        tmp_path / "new" / "x.json",
    )
    assert path.read_text(encoding="utf-8") == (
        '{\n "a": 0.333333,\n "b": [1, 2],\n "c": [1.23457, true, null],\n "d": {\n  "e": "ü"\n }\n}\n'
    )
    assert results.read_json(path)["c"] == [1.23457, True, None]


def test_records_are_selected_and_sorted(tmp_path):
    for name, profile, seed in (("b", "paper", 1), ("b", "paper", 0), ("a", "smoke", 0), ("a", "paper", 0)):
        results.write_record(record(name, profile=profile, seed=seed, protocols=("10->10",)), tmp_path)
    found = [(r["profile"], r["experiment"], r["seed"]) for r in results.read_records(tmp_path)]
    assert found == [("paper", "a", 0), ("paper", "b", 0), ("paper", "b", 1), ("smoke", "a", 0)]
    assert len(results.read_records(tmp_path, profile="smoke")) == 1
    assert len(results.read_records(tmp_path, experiment="b")) == 2
    assert results.read_records(tmp_path / "nowhere") == []


def test_the_folder_of_records(monkeypatch, tmp_path):
    assert results.folder("x").name == "x"
    monkeypatch.setenv("VRNN3D_RESULTS", str(tmp_path))
    assert results.folder() == tmp_path
    monkeypatch.delenv("VRNN3D_RESULTS")
    assert results.folder().name == "results"
    monkeypatch.setattr(results, "checkout", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert results.folder() == tmp_path / "results"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("training.seconds", None, "lacks training.seconds"),
        ("code.commit", None, "lacks code.commit"),
        ("evaluation.train.10->10.mse.average", None, "lacks evaluation.train.10->10.mse.average"),
        ("evaluation.train.10->20.ssim_uint8", None, "lacks evaluation.train.10->20.ssim_uint8.average"),
        ("seed", "0", "seed is '0', but must be int"),
        ("seed", True, "seed is True, but must be int"),
        ("status", "done", "must be 'finished' or 'cut'"),
        ("schema", 2, "reads schema 1"),
        ("experiment", "../x", "cannot be a folder's name"),
        ("evaluation.train.10->10.mse.per_frame", [1.0], "has 1 values for 10->10"),
        ("training.curves.loss", [1.0, math.nan], r"training.curves.loss\[1\] is nan; a record holds finite numbers"),
        ("evaluation.train.5->10.psnr.best", math.inf, "psnr.best is inf"),
        ("data.source", {1, 2}, "data.source is a set, which JSON cannot hold"),
    ],
)
def test_bad_records_are_refused_by_name(tmp_path, path, value, message):
    bad = record()
    *parents, last = path.split(".")
    at = bad
    for key in parents:
        at = at[key]
    if value is None:
        del at[last]
    else:
        at[last] = value
    with pytest.raises(ValueError, match=message):
        results.write_record(bad, tmp_path)
    assert not list(tmp_path.rglob("*.json"))


def test_bad_files_are_named(tmp_path):
    path = results.write_record(record(protocols=("10->10",)), tmp_path)
    path.rename(path.with_name("seed3.json"))
    with pytest.raises(ValueError, match="seed3.json says it is paper/vrnn3d_kl_ll/seed0; move it there"):
        results.read_records(tmp_path)
    path.with_name("seed3.json").write_text("{")
    with pytest.raises(ValueError, match="seed3.json is not a JSON file"):
        results.read_records(tmp_path)


def test_provenance_says_what_ran():
    about = results.provenance("cpu")
    assert about["machine"]["device"].startswith("CPU (") and about["machine"]["cores"] >= 1
    assert about["versions"]["torch"] == torch.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", about["date"])
    if results.checkout() is not None and about["code"]["commit"] is not None:
        assert re.fullmatch(r"[0-9a-f]{40}", about["code"]["commit"]) and isinstance(about["code"]["dirty"], bool)


def test_without_a_checkout_the_commit_is_unknown(monkeypatch):
    monkeypatch.setattr(results, "checkout", lambda: None)
    assert results.provenance()["code"] == {"commit": None, "dirty": None}


def test_the_papers_numbers():
    # Spot checks against Table 1 and Table 3 of the paper.
    assert results.PAPER["vrnn3d_kl_ll"]["10->10"] == {"ssim": 0.896, "mse": 39.4}
    assert results.PAPER["e3d_lstm"]["10->20"] == {"ssim": 0.872, "mse": 47.6}
    assert results.PAPER["improved_vrnn"]["5->15"] == {"ssim": 0.728, "mse": 162.2}
    assert set(results.TABLE1) | set(results.TABLE3) == set(results.PAPER)
    assert all(set(results.PROTOCOLS) < set(row) for row in results.PAPER.values())
    assert all(a["mse"] > 0 and 0.9 < a["ssim"] < 1 for a in results.ANCHORS)


def test_table_1_puts_ours_beside_the_papers():
    pytest.importorskip("pandas")
    records = [record(mse=40.0), record(mse=50.0, seed=1), record("e3d_lstm", mse=45.0, parameters=12_899_000)]
    cut = record("convlstm2d", status="cut")
    table = results.table1([*records, cut])
    ours = [results.value(r, "train", "10->10", "mse") for r in records]
    row = table.loc["Variational 3D ConvLSTM + LL"]
    assert row["10 → 10", "MSE", "paper"] == 39.4
    assert row["10 → 10", "MSE", "ours"] == pytest.approx((ours[0] + ours[1]) / 2)
    assert row["10 → 10", "MSE", "difference"] == pytest.approx((ours[0] + ours[1]) / 2 - 39.4)
    assert row["", "", "seeds"] == 2 and row["parameters", "million", "ours"] == pytest.approx(12.942)
    for title in ("PredRNN++", "2D ConvLSTM"):  # not run, and cut
        assert math.isnan(table.loc[title]["5 → 15", "SSIM", "ours"])
        assert math.isnan(table.loc[title]["5 → 15", "SSIM", "difference"])
        assert table.loc[title]["", "", "seeds"] == 0
    assert table.loc["2D ConvLSTM"]["5 → 15", "SSIM", "paper"] == 0.482
    assert list(results.table1([], experiments=results.TABLE3).index) == [
        results.PAPER[e]["title"] for e in results.TABLE3
    ]
    counted = results.table1([], counts={"predrnnpp": 15_375_000}).loc["PredRNN++"]
    assert counted["parameters", "million", "ours"] == pytest.approx(15.375)
    extra = results.table1([record("beyond", mse=20)], experiments=(*results.TABLE1, "beyond"))
    assert math.isnan(extra.loc["Title of beyond"]["10 → 10", "MSE", "paper"])


def test_small_runs_never_join_the_papers_numbers():
    with pytest.raises(ValueError, match="'smoke' records cannot stand beside the paper's numbers"):
        results.table1([record(profile="smoke")], profile="smoke")
    with pytest.raises(ValueError, match="record small/vrnn3d_kl_ll/seed0 is not of profile 'paper'"):
        results.table1([record(profile="small")])
    excerpt = record(data={})
    excerpt["data"]["source"] = "excerpt"
    with pytest.raises(ValueError, match="1,000-digit excerpt"):
        results.table1([excerpt])


def test_seed_spread_is_apart_from_the_test_sets_interval():
    runs = [record(mse=m, seed=s) for s, m in enumerate((40.0, 44.0, 48.0))] + [record("vrnn2d", mse=60.0)]
    numbers = [results.value(r, "train", "10->10", "mse") for r in runs[:3]]
    spread = results.seed_spread(runs)
    ours = spread["paper", "vrnn3d_kl_ll"]
    assert ours["mean"] == pytest.approx(np.mean(numbers)) and ours["std"] == pytest.approx(np.std(numbers, ddof=1))
    assert (ours["min"], ours["max"], ours["seeds"]) == (min(numbers), max(numbers), [0, 1, 2])
    assert spread["paper", "vrnn2d"]["std"] is None


def test_differences_are_paired_over_the_test_sequences():
    a, b = [record(mse=40.0)], [record("vrnn3d_kl", mse=41.0)]
    difference = results.paired_difference(a, b)
    expected = results.value(a[0], "train", "10->10", "mse") - results.value(b[0], "train", "10->10", "mse")
    assert difference["estimate"] == pytest.approx(expected, abs=0.02)
    low, high = difference["interval"]
    assert low < difference["estimate"] < high < 0
    # Much narrower than either interval: the sequences' own difficulty cancels.
    alone = a[0]["evaluation"]["train"]["10->10"]["mse"]["interval"]
    assert high - low < 0.5 * (alone[1] - alone[0])
    assert results.paired_difference(a, []) is None
    with pytest.raises(ValueError, match="different test sequences"):
        results.paired_difference(a, [record("vrnn3d_kl", mse=41.0, data={"speed": "fixed"})])


def verdict(records, claim, **kwargs):
    return next(v for v in results.verdicts(records, **kwargs) if v["claim"] == claim)


def test_without_runs_nothing_that_needs_training_is_judged():
    found = {v["claim"]: v["verdict"] for v in results.verdicts([])}
    assert list(found) == ["C1", "C2", "C3", "C4", "C5", "C6", "C7"]
    for claim in ("C1", "C2", "C3", "C5", "C6"):
        assert found[claim] == "not tested yet"
    assert found["C4"] == "contradicted by derivation; empirical test pending"
    assert found["C7"] == "parameters: reproduced; sufficiency: not tested yet"
    smoke = [record(e, profile="smoke", mse=m) for e, m in (("vrnn3d_kl_ll", 10), ("vrnn3d_kl", 20), ("vrnn2d", 30))]
    assert {v["claim"]: v["verdict"] for v in results.verdicts(smoke)} == found
    assert all(v["text"] and v["where"] and v["why"] for v in results.verdicts([]))


def test_verdict_on_the_comparison():
    mse = {"convlstm2d": 82, "predrnnpp": 48, "e3d_lstm": 45, "vrnn2d": 60, "improved_vrnn": 129, "vrnn3d_kl_ll": 39}
    runs = [record(e, mse=m) for e, m in mse.items()]
    assert verdict(runs, "C1")["verdict"] == "reproduced"
    some = verdict([r for r in runs if r["experiment"] != "e3d_lstm"], "C1")
    assert some["verdict"] == "supported so far" and "Not run: E3D-LSTM" in some["why"]
    worse = [r if r["experiment"] != "predrnnpp" else record("predrnnpp", mse=30) for r in runs]
    found = verdict(worse, "C1")
    assert found["verdict"] == "partly" and "Not better everywhere than PredRNN++" in found["why"]
    lost = [record("vrnn3d_kl_ll", mse=500), *runs[:-1]]
    assert verdict(lost, "C1")["verdict"] == "not reproduced"
    assert "E3D-LSTM has the higher SSIM for 10 → 10 (0.910 against 0.896)" in found["why"]


def test_verdict_on_the_parameters():
    counts = {"vrnn3d_kl_ll": 12_942_000, "predrnnpp": 15_375_000, "e3d_lstm": 12_899_000, "improved_vrnn": 65_300_000}
    found = verdict([], "C2", counts=counts)
    assert found["verdict"] == "partly" and "3.00 times the count" in found["why"]
    assert "Not fewer than E3D-LSTM" in found["why"]
    assert verdict([], "C2", counts=counts | {"e3d_lstm": 38_700_000})["verdict"] == "reproduced"
    assert verdict([], "C2", counts=dict.fromkeys(counts, 10))["verdict"] == "not reproduced"
    two = {k: counts[k] for k in ("vrnn3d_kl_ll", "predrnnpp")}
    assert verdict([], "C2", counts=two)["verdict"] == "supported so far"


def test_verdict_on_the_ablation():
    mse = {"convlstm2d": 82, "vrnn2d": 61, "vrnn3d_kl": 42, "vrnn3d_kl_ll": 39}
    runs = [record(e, mse=m) for e, m in mse.items()]
    assert verdict(runs, "C3")["verdict"] == "reproduced"
    assert verdict(runs[:2], "C3")["verdict"] == "supported so far"
    changed = [*runs[:3], record("vrnn3d_kl_ll", mse=44)]
    found = verdict(changed, "C3")
    assert found["verdict"] == "partly"
    assert "+ LL raises the MSE" in found["why"] and "(the paper: 41.8 to 39.4)" in found["why"]
    assert verdict([record(e, mse=100 - m) for e, m in mse.items()], "C3")["verdict"] == "not reproduced"


def test_verdict_on_diversity():
    def runs(variance, log_std):
        return [record("vrnn3d_kl", spread=1.0, log_std=-2.0), record(spread=variance, log_std=log_std)]

    assert verdict(runs(2.0, -1.0), "C4")["verdict"] == "reproduced"
    assert verdict(runs(2.0, -3.0), "C4")["verdict"] == "partly"
    found = verdict(runs(0.5, -3.0), "C4")
    assert found["verdict"] == "not reproduced" and "-3.00 against -2.00" in found["why"]
    short = [record(f"loss_kl_{v}_z_q", profile="ablation", spread=s) for v, s in (("pq", 1.0), ("ll", 0.5))]
    found = verdict(short, "C4")
    assert found["verdict"] == "not reproduced" and "0.5 against 1 with KL" in found["why"]


def decaying(name="kth_vrnn3d_kl_ll", start=28.0, slope=-0.1, clips=20, profile="ablation", frames=(40, 60), **changes):
    """A KTH record whose PSNR falls by `slope` dB a frame from `start` at the first, in every window but for noise.

    The noise is of two kinds: the windows' own, in level and slope alike for all models, and a hundredth of it between
    models. Made by metrics.summarise, as evaluation makes it.
    """
    windows = torch.Generator().manual_seed(7)
    level, steeper = torch.randn(23, 1, generator=windows), 0.02 * torch.randn(23, 1, generator=windows)
    own = torch.Generator().manual_seed(sum(name.encode()))
    entry = {}
    for length in frames:
        psnr = start + level + (slope + steeper) * torch.arange(length) + 0.01 * torch.randn(23, length, generator=own)
        entry[f"10->{length}"] = metrics.summarise({m: {"average": psnr} for m in ("mse", "ssim", "psnr")}, samples=1)
    run = record(name, profile=profile, data={"name": "kth", **changes}, protocols=())
    run["evaluation"] = {"test": entry}
    run["data"]["description"] = f"KTH, {clips}-clip subset: 16 train clips"
    return run


def test_slopes_are_paired_over_the_test_windows():
    ours, theirs = decaying(slope=-0.10), decaying("kth_e3d_lstm", slope=-0.105)
    kwargs = dict(protocol="10->60", metric="psnr", pool="test", values="per_sequence_slope")
    found = results.paired_difference([ours], [theirs], **kwargs)
    assert found["estimate"] == pytest.approx(0.005, abs=5e-4) and found["interval"][0] > 0
    # Each side alone is uncertain by more than the difference: only the pairing tells them apart.
    low, high = metrics.bootstrap(ours["evaluation"]["test"]["10->60"]["psnr"]["per_sequence_slope"])
    assert high - low > 0.01 > 10 * (found["interval"][1] - found["interval"][0])
    mirrored = results.paired_difference([theirs], [ours], **kwargs)
    assert mirrored["estimate"] == pytest.approx(-found["estimate"])
    # A short protocol keeps no slope: that is "not measured", not an error.
    short = decaying("kth_convlstm2d", frames=(20,))
    assert results.paired_difference([short], [short], "10->20", "psnr", "test", values="per_sequence_slope") is None


def test_augmentation_leaves_the_test_windows_and_other_clips_do_not():
    plain, augmented = decaying("kth_vrnn3d_kl"), decaying("kth_vrnn3d_kl_augmented", start=27.0, augment=("flip",))
    found = results.paired_difference([augmented], [plain], "10->40", "psnr", "test")
    assert found["estimate"] == pytest.approx(-1, abs=0.01)
    with pytest.raises(ValueError, match="different test sequences"):
        results.paired_difference([plain], [decaying("kth_e3d_lstm", clips=30)], "10->40", "psnr", "test")


def test_verdict_on_kth():
    e3d = decaying("kth_e3d_lstm", start=28.0, slope=-0.1)
    found = verdict([decaying(start=28.5, slope=-0.09), e3d], "C5")
    assert found["verdict"] == "reproduced"
    start = "KTH, 20-clip subset, ablation profile, 40 frames: PSNR minus that of E3D-LSTM is +0.6"
    assert found["why"].startswith(start)
    assert "60 frames: slope of the PSNR minus that of E3D-LSTM is +0.01 dB a frame (+0.0" in found["why"]
    # It falls more slowly and stays behind all the same; it leads and falls faster; it does neither.
    assert verdict([decaying(start=22.0, slope=-0.09), e3d], "C5")["verdict"] == "partly"
    assert verdict([decaying(start=35.0, slope=-0.11), e3d], "C5")["verdict"] == "partly"
    assert verdict([decaying(start=27.0, slope=-0.11), e3d], "C5")["verdict"] == "not reproduced"
    # What the interval leaves undecided is not won.
    assert verdict([decaying(start=28.0, slope=-0.1), e3d], "C5")["verdict"] != "reproduced"
    assert verdict([e3d], "C5")["verdict"] == "not tested yet"
    small = [decaying(profile="small"), decaying("kth_e3d_lstm", slope=-0.2, profile="small")]
    assert verdict(small, "C5")["verdict"] == "not tested yet"
    assert verdict([decaying(clips=30), e3d], "C5")["verdict"] == "not tested yet"  # nothing to pair


def test_verdict_on_the_window():
    def window(m, h, mse):
        return record(f"window_M{m}_H{h}", mse=mse, profile="ablation", model_size=(m, h), protocols=("10->10",))

    found = verdict([window(1, 1, 30), window(10, 10, 40), window(2, 1, 31)], "C6")
    assert found["verdict"] == "partly" and "M = 1 minus that with M = 10" in found["why"]
    assert verdict([window(2, 1, 40), window(4, 1, 30)], "C6")["verdict"] == "not reproduced"
    assert verdict([window(2, 2, 30), window(4, 1, 40)], "C6")["verdict"] == "not tested yet"  # two things changed


def test_the_saving_of_the_truncated_encoder():
    # torchvision's r3d_18: 33,371,472 parameters with its classifier of 400 (512 x 400 + 400), as published.
    stem_and_first = 3 * 64 * 3 * 7 * 7 + 2 * 64 + 4 * (27 * 64 * 64 + 2 * 64)
    stages = [results.residual_stage_parameters(n, 2 * n) for n in (64, 128, 256)]
    assert stem_and_first + sum(stages) + 512 * 400 + 400 == 33_371_472
    assert "62.3M" in verdict([], "C7")["why"]
