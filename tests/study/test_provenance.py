"""What a record says of its origin."""

from __future__ import annotations

import re
from dataclasses import replace

import torch
from study.made import ORIGIN, record

from vrnn3d.study import provenance, records


def test_it_says_what_ran():
    about = provenance.provenance("cpu")
    assert about.machine.device.startswith("CPU (") and about.machine.cores >= 1
    assert about.versions["torch"] == torch.__version__
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", about.date)
    if about.code.commit is not None:
        assert re.fullmatch(r"[0-9a-f]{40}", about.code.commit) and isinstance(about.code.dirty, bool)


def test_without_a_checkout_the_commit_is_unknown(monkeypatch):
    monkeypatch.setattr(provenance, "checkout", lambda: None)
    assert provenance.provenance().code == provenance.Code(None, None)


def test_a_record_made_without_a_checkout_can_be_read(tmp_path):
    unknown = replace(record(), provenance=replace(ORIGIN, code=provenance.Code(None, None)))
    assert records.read(records.write(unknown, tmp_path / "record.json")).provenance.code == provenance.Code(None, None)
