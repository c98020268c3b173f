"""The oracle: its futures, the first frame it does not know, and scores that theory predicts."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from vrnn3d.study.chance import measure, oracle, record
from vrnn3d.study.profiles import get

pytestmark = pytest.mark.slow  # draws many futures


def small(sequences: int = 24, **data):
    found = get("chance_no_latent", "half")
    sizes = replace(found.data, sequences=(10, 10, 1000), **data)
    return replace(found, data=sizes, eval=replace(found.eval, sequences=sequences, samples=4))


@pytest.fixture(scope="module", autouse=True)
def fewer_futures():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "MEAN_OF", 20)
        yield


@pytest.fixture(scope="module")
def measured():
    return measure.measure_oracle(small())


def test_until_the_first_unknown_frame_all_futures_are_the_truth():
    world, indices = oracle.world_of(small(), 30), torch.arange(24)
    first = oracle.first_unknown(world, indices, 10, 20)
    futures = oracle.draw_futures(world, indices, 10, 20, 5).samples
    truth = world.batch(indices)[:, 10:].float() / 255
    equal = (futures == truth[:, None]).flatten(3).all(-1)  # (B, S, T)
    time = torch.arange(20)
    assert equal[(time < first[:, None])[:, None].expand_as(equal)].all()
    at = equal[first < 20].gather(2, first[first < 20, None, None].expand(-1, 5, 1))
    assert not at.all(1).any(), "some future leaves the truth in that frame"
    assert 0 < first.float().mean() < 20


def test_a_world_without_chance_is_refused():
    with pytest.raises(ValueError, match="has no random bounces"):
        oracle.world_of(get("vrnn3d_kl", "half"), 30)


def test_more_test_sequences_begin_with_the_same_ones():
    few, many = oracle.world_of(small(), 20), oracle.world_of(small(), 20, 1500)
    assert len(many) == 1500
    assert torch.equal(few.batch(torch.arange(3)), many.batch(torch.arange(3)))


def test_the_mean_of_futures_halves_the_squared_error(measured):
    """E |x - y|^2 of two draws is twice their variance, E |mean - y|^2 is once it."""
    found, _ = measured
    mse = {name: table["10->20"].scores["mse"].average for name, table in found.evaluation.items()}
    assert mse[record.ORACLE] / mse[record.ORACLE_MEAN] == pytest.approx(2, abs=0.3)
    assert mse[record.ORACLE] == pytest.approx(mse[record.ORACLE_SINGLE], rel=0.3)
    assert all(set(table) == {"5->10", "5->15", "10->10", "10->20"} for table in found.evaluation.values())


def test_the_oracle_is_calibrated_and_spreads_at_bounces_alone(measured):
    found, shown = measured
    assert found.spread.before < 1e-6 < found.spread.after and found.spread.order == 1.0
    assert found.spread.over_error(4) == pytest.approx(1, abs=0.3)
    assert {name: c.samples for name, c in found.calibration.items()} == {"pixel": 4, "position": 4, "known position": 4}
    assert all(c.index < 0.4 for c in found.calibration.values())
    assert found.probe["frames"].nats > 0.2
    assert shown["sample"].shape == (3, 4, 20, 1, 32, 32) and shown["truth"].shape == (3, 30, 1, 32, 32)


def test_an_analysis_comes_back_from_its_file(measured, tmp_path):
    path = record.write(measured[0], tmp_path / "oracle.json")
    again = record.read(path)
    assert again.forecaster == "oracle" and again.provenance == measured[0].provenance
    assert again.spread.frames == measured[0].spread.frames
    assert again.calibration["pixel"].ranked == measured[0].calibration["pixel"].ranked
    path.write_text(path.read_text().replace('"schema": 1', '"schema": 7'))
    with pytest.raises(ValueError, match="oracle.json has schema 7"):
        record.read(path)


def test_two_digits_have_no_probe_and_no_known_position():
    found, _ = measure.measure_oracle(small(6, digits=2))
    assert found.probe == {} and set(found.calibration) == {"pixel", "position"}
