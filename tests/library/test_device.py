"""Devices: what is there is listed, what is not ends in one sentence; precision and compilation as asked for."""

from __future__ import annotations

import pytest
import torch

from vrnn3d import device


@pytest.fixture
def two_gpus(monkeypatch):
    """A machine with two GPUs, as far as PyTorch says."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.fixture
def no_gpu(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)


@pytest.mark.parametrize("name", ["", "tpu", "foo", "cuda", "cuda:9", "mps", "cpu:1", "cuda:-1", "meta", "xla", "CPU"])
def test_what_is_not_there_is_told_with_what_is(name, no_gpu):
    with pytest.raises(ValueError) as told:
        device.pick_device(name)
    assert str(told.value) == f"there is no device {name!r} here; there are: cpu"


def test_gpus_are_listed_and_numbered(two_gpus, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device.devices() == ["cpu", "cuda:0", "cuda:1"]
    assert device.pick_device("cuda") == torch.device("cuda:0") and device.pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ValueError, match="no device 'cuda:2' here; there are: cpu, cuda:0, cuda:1"):
        device.pick_device("cuda:2")


@pytest.mark.parametrize("name", [None, "cuda", torch.device("cuda")])
def test_without_a_number_each_process_takes_its_own_gpu(two_gpus, monkeypatch, name):
    assert device.pick_device(name) == torch.device("cuda:0")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    for rank in (0, 1):
        monkeypatch.setenv("LOCAL_RANK", str(rank))
        assert device.pick_device(name) == torch.device("cuda", rank)
        assert device.pick_device("cpu") == torch.device("cpu") and device.pick_device("cuda:0") == torch.device("cuda:0")


@pytest.mark.parametrize("name", [None, "cuda"])
@pytest.mark.parametrize("rank", ["0", "2"])
def test_more_processes_than_gpus_are_told_by_each_of_them(two_gpus, monkeypatch, name, rank):
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    monkeypatch.setenv("LOCAL_RANK", rank)
    with pytest.raises(ValueError, match=r"3 processes here, more than there are GPUs \(2\): start it with --nproc-per-node 2"):
        device.pick_device(name)


def test_without_a_gpu_it_is_the_cpu(no_gpu):
    assert device.pick_device() == device.pick_device("cpu") == device.pick_device(torch.device("cpu")) == torch.device("cpu")


@pytest.mark.parametrize(
    "precision, place, half",
    [("auto", "cpu", False), ("auto", "cuda", True), ("float32", "cuda", False), ("bfloat16", "cpu", True)],
)
def test_precision(precision, place, half):
    assert device.uses_bfloat16(precision, torch.device(place)) == half


@pytest.mark.parametrize(
    "told, there", [({"amx_bf16": True}, True), ({"avx512_bf16": True}, True), ({"amx_bf16": False}, False), ({}, False)]
)
def test_instructions_for_bfloat16(monkeypatch, told, there):
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: told, raising=False)
    assert device.has_bfloat16_instructions() == there
    monkeypatch.delattr(torch.cpu, "get_capabilities")
    assert not device.has_bfloat16_instructions(), "an older PyTorch does not say"


def test_autocast_computes_in_what_was_asked_for():
    conv, x = torch.nn.Conv2d(1, 1, 1), torch.rand(1, 1, 2, 2)
    for precision, dtype in (("auto", torch.float32), ("bfloat16", torch.bfloat16)):
        with device.autocast(precision, torch.device("cpu")):
            assert conv(x).dtype == dtype


@pytest.mark.parametrize(
    "setting, place, alone, asked",
    [
        ("no", "cuda", True, None),
        ("auto", "cpu", True, None),
        ("auto", "cuda", False, None),
        ("auto", "cuda", True, {"dynamic": False}),
        ("yes", "cpu", True, {"dynamic": False}),
        ("graphs", "cuda", True, {"dynamic": False, "mode": "reduce-overhead"}),
    ],
)
def test_what_is_compiled(setting, place, alone, asked, monkeypatch):
    calls = []

    def compiler(compute, **options):
        calls.append(options)
        return lambda *arguments: ("compiled", compute(*arguments))

    monkeypatch.setattr(torch, "compile", compiler)
    monkeypatch.setattr(torch.compiler, "cudagraph_mark_step_begin", lambda: calls.append("a step begins"))
    result = device.compiled(lambda x: x + 1, setting, torch.device(place), alone)(1)
    assert result == (2 if asked is None else ("compiled", 2))
    assert calls == ([] if asked is None else [asked, "a step begins"] if setting == "graphs" else [asked])


def test_a_small_tensor_stays_on_the_cpu():
    x = torch.rand(2)
    assert device.to_device(x, torch.device("cpu")) is x
