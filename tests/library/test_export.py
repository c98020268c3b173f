"""Exported steps compute what the model computes."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from vrnn3d.export import export_onnx, export_program, prepare
from vrnn3d.layers.gaussian import given_noise
from vrnn3d.models import build_model


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return build_model("vrnn3d", widths=(8, 16), hidden=8, latent=4, head=8).eval()


def expected(model, inputs: dict[str, torch.Tensor]) -> list[torch.Tensor]:
    with torch.no_grad():
        return list(prepare(model, 16, 16).step(*inputs.values()))


@pytest.mark.slow
def test_onnx_equals_pytorch(model, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    inputs = prepare(model, 16, 16).inputs
    session = runtime.InferenceSession(str(export_onnx(model, tmp_path / "step.onnx", 16, 16)))
    assert [i.name for i in session.get_inputs()] == list(inputs)
    found = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    for ours, theirs in zip(found, expected(model, inputs), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-5)


@pytest.mark.slow
def test_a_torch_program_equals_the_model(model, tmp_path):
    inputs = prepare(model, 16, 16).inputs
    program = torch.export.load(str(export_program(model, tmp_path / "step.pt2", 16, 16))).module()
    for ours, theirs in zip(program(*inputs.values()), expected(model, inputs), strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-6, rtol=0)


def test_the_step_is_that_of_the_model_with_the_same_noise(model):
    prepared = prepare(model, 16, 16)
    prepared.inputs["clip"] = torch.rand(prepared.inputs["clip"].shape)
    noise = [value for name, value in prepared.inputs.items() if name.startswith("noise")]
    assert len(noise) == 1
    with torch.no_grad(), given_noise(noise):
        prediction, _, _ = model.step(prepared.inputs["clip"], model.initial_state(1, 16, 16))
    torch.testing.assert_close(expected(model, prepared.inputs)[0], prediction)


def test_the_model_and_the_random_numbers_stay_as_they_were(model):
    training = copy.deepcopy(model).train()
    before, state = torch.get_rng_state(), {name: value.clone() for name, value in training.state_dict().items()}
    prepared = prepare(training, 16, 16)
    assert torch.equal(torch.get_rng_state(), before)
    assert training.training and all(torch.equal(value, state[name]) for name, value in training.state_dict().items())
    assert not any(part.training for part in prepared.step.modules())
    assert not {id(p) for p in prepared.step.parameters()} & {id(p) for p in training.parameters()}


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_model_on_a_gpu_is_exported_from_the_processor(model):
    there = copy.deepcopy(model).cuda()
    assert {value.device.type for value in prepare(there, 16, 16).step.state_dict().values()} == {"cpu"}
    assert {value.device.type for value in there.state_dict().values()} == {"cuda"}


def test_a_state_that_grows_is_refused():
    with pytest.raises(ValueError, match="changes its shape"):
        prepare(build_model("e3d_lstm", hidden=(4, 4), kernel=3), 16, 16)
