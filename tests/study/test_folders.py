"""Where runs lie, which of them are done, and which process holds one."""

from __future__ import annotations

import subprocess
import sys
import warnings

import pytest
from study.made import record

from trials import MINI
from vrnn3d.study import records
from vrnn3d.study.folders import CLIPS, RECORD, claim, commit_record, local_record, run_folder, waiting
from vrnn3d.study.profiles import customised, get
from vrnn3d.study.queue import runs


def put(root, name: str = "vrnn3d_kl", **changes) -> records.Record:
    """A record in its run's folder."""
    made = record(name, profile=MINI, **changes)
    records.write(made, run_folder(root, get(name, MINI), made.seed) / RECORD)
    return made


def test_a_run_s_folder_says_profile_experiment_and_seed(tmp_path, mini):
    assert run_folder(tmp_path, get("black", MINI), 3) == tmp_path / MINI / "black" / "seed3"


def test_a_local_record_is_that_of_the_same_configuration_and_seed(tmp_path, mini):
    experiment = get("vrnn3d_kl", MINI)
    assert local_record(tmp_path, experiment, 0) is None
    put(tmp_path)
    assert local_record(tmp_path, experiment, 0).name == f"{MINI}/vrnn3d_kl/seed0"
    assert local_record(tmp_path, experiment, 1) is None
    put(tmp_path, changes={"train.lr": 0.5})
    assert local_record(tmp_path, experiment, 0) is None, "its settings are others"
    put(tmp_path, status="cut")
    assert local_record(tmp_path, experiment, 0) is None, "it was cut"


@pytest.mark.parametrize("text", ["", "{", "{}", "[]", '{"schema": 2}', "null"])
def test_a_damaged_record_is_named_and_taken_for_none(tmp_path, mini, text):
    mini("vrnn3d_kl", "black")
    put(tmp_path)
    put(tmp_path, "black")
    path = run_folder(tmp_path, get("black", MINI), 0) / RECORD
    path.write_text(text)
    with pytest.warns(UserWarning, match="the run is taken for unfinished") as told:
        left = list(waiting(tmp_path, runs(MINI)))
    assert [run.name for run in left] == ["black"] and str(path) in str(told[0].message)


def test_what_is_done_elsewhere_meanwhile_is_not_done_again(tmp_path, mini):
    """The state is that of the moment a run is asked for, not of the start."""
    mini("vrnn3d_kl", "black")
    left = waiting(tmp_path, runs(MINI))
    assert next(left).name == "vrnn3d_kl"
    put(tmp_path, "black")
    assert list(left) == []


def test_committing_takes_the_pictures_of_the_first_seed_along(tmp_path, mini):
    results = mini()
    for seed in (0, 1):
        made = put(tmp_path, seed=seed)
        folder = run_folder(tmp_path, get("vrnn3d_kl", MINI), seed)
        (folder / CLIPS).write_bytes(b"pictures")
        assert commit_record(made, folder) == results / MINI / "vrnn3d_kl" / f"seed{seed}.json"
    assert sorted(path.name for path in results.rglob("*.*")) == ["seed0.json", "seed0.npz", "seed1.json"]


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="Windows has no such locks")
def test_a_run_belongs_to_one_process_until_it_ends(tmp_path):
    experiment = get("black", "smoke")
    code = (
        "import sys\n"
        "from vrnn3d.study.folders import claim\n"
        "from vrnn3d.study.profiles import get\n"
        "with claim(sys.argv[1], get('black', 'smoke'), 0) as mine:\n"
        "    print(mine, flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        try:
            assert other.stdout.readline().strip() == "True"
            with claim(tmp_path, experiment, 0) as mine:
                assert not mine
            with claim(tmp_path, experiment, 1) as mine:
                assert mine, "another seed is another run"
        finally:
            other.kill()
    with claim(tmp_path, experiment, 0) as mine:
        assert mine


def test_reading_says_nothing_of_good_records(tmp_path, mini):
    put(tmp_path)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert local_record(tmp_path, get("vrnn3d_kl", MINI), 0)
        assert local_record(tmp_path, customised(get("vrnn3d_kl", MINI), {"train.lr": 0.5}), 0) is None
