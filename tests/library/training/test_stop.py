"""When a training stops: a signal, a time, a number of updates."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from trials import tiny
from vrnn3d.training.loop import train
from vrnn3d.training.stop import StopRule

pytestmark = pytest.mark.slow  # starts processes


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_asks_for_a_stop_and_the_handlers_come_back(number):
    outside = signal.signal(number, handler := lambda *_: pytest.fail("it reaches the handler outside"))
    try:
        with StopRule() as rule:
            assert not rule.asks(10**6)
            os.kill(os.getpid(), number)
            assert rule.asks(0) and rule.received == number
        assert signal.getsignal(number) is handler
    finally:
        signal.signal(number, outside)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_that_is_ignored_stays_so(number):
    """As SIGINT is by a shell's background job, which Ctrl-C in that shell shall not stop."""
    before = signal.signal(number, signal.SIG_IGN)
    try:
        with StopRule() as rule:
            os.kill(os.getpid(), number)
            assert not rule.asks(0) and rule.received is None
        assert signal.getsignal(number) is signal.SIG_IGN
    finally:
        signal.signal(number, before)


def test_limits():
    assert StopRule(max_steps=3).asks(3) and not StopRule(max_steps=3).asks(2)
    assert StopRule(max_minutes=0.0).asks(0) and not StopRule(max_minutes=1000.0).asks(0)


def test_outside_the_main_thread_there_are_no_handlers():
    asked = []

    def work():
        with StopRule(max_steps=1) as rule:
            asked.append(rule.asks(1))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert asked == [True]


def test_a_signal_during_a_training_leaves_a_checkpoint_to_go_on_from(tmp_path, monkeypatch):
    from vrnn3d.training import order

    seed_noise = order.seed_noise

    def interrupted(seed, step):
        if step == 2:
            os.kill(os.getpid(), signal.SIGINT)
        seed_noise(seed, step)

    monkeypatch.setattr(order, "seed_noise", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs begin with it ignored
    try:
        cut = train(tiny("convlstm2d"), 0, tmp_path, progress=False)
    finally:
        signal.signal(signal.SIGINT, before)
    assert not cut.finished and cut.updates == 3
    monkeypatch.undo()
    done = train(tiny("convlstm2d"), 0, tmp_path, progress=False)
    whole = train(tiny("convlstm2d"), 0, tmp_path / "whole", progress=False)
    assert done.finished and done.curves == whole.curves
