import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from leyden.runs.folder import RunFolder
from leyden.runs.provenance import COMMAND, PACKAGES, provenance, record_command, record_provenance


@pytest.fixture(autouse=True)
def no_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(COMMAND, "")


def test_command_and_versions_are_recorded() -> None:
    record_command(["train", "network=a b"])

    facts = provenance()

    assert facts["command"] == "leyden train 'network=a b'"
    assert set(facts["versions"]) == {"python", *PACKAGES}
    assert facts["versions"]["torch"].split("+")[0] == torch.__version__.split("+")[0]


def test_a_rank_records_the_command_that_started_it(monkeypatch: pytest.MonkeyPatch) -> None:
    record_command(["train", "trainer=ddp"])
    monkeypatch.setenv("RANK", "0")
    monkeypatch.setenv("WORLD_SIZE", "2")
    record_command(["train", "run=FOLDER"])

    assert provenance()["command"] == "leyden train trainer=ddp"


def test_a_notebook_has_a_command_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["python", "a b"])

    assert provenance()["command"] == "python 'a b'"


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


def test_a_run_keeps_the_changes_that_it_was_started_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    who = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
    (tmp_path / "code.py").write_text("before\n")
    for words in (["init", "-q"], ["add", "code.py"], ["commit", "-q", "-m", "first"]):
        subprocess.run(["git", *who, *words], check=True)
    (tmp_path / "code.py").write_text("after\n")
    (tmp_path / "new.py").touch()
    folder = RunFolder(tmp_path / "run")

    record_provenance(folder)
    (tmp_path / "code.py").write_text("later\n")
    record_provenance(folder)

    changes = (folder.path / "changes.diff").read_text()
    assert "-before\n+after" in changes
    assert "# untracked: new.py" in changes
    assert json.loads(folder.provenance.read_text())["hardware"]["cores"] >= 1
