import subprocess
import sys
from pathlib import Path

import pytest
import torch

from leyden.runs.provenance import PACKAGES, provenance


def test_command_and_versions_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["leyden train", "network=a b"])

    facts = provenance()

    assert facts["command"] == "'leyden train' 'network=a b'"
    assert set(facts["versions"]) == {"python", *PACKAGES}
    assert facts["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_outside_a_checkout_there_is_no_revision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert provenance()["git"] is None

    monkeypatch.setenv("PATH", str(tmp_path))
    assert provenance()["git"] is None


def test_revision_and_changes_of_a_checkout_are_recorded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    for words in (["init", "-q"], ["commit", "-q", "--allow-empty", "-m", "first"]):
        subprocess.run(["git", *who, *words], check=True)

    clean = provenance()["git"]
    (tmp_path / "new").touch()

    assert len(clean["revision"]) == 40
    assert not clean["modified"]
    assert provenance()["git"] == clean | {"modified": True}
