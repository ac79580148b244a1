import json
import signal
import sys

import pytest

from leyden.config.compose import compose, freeze
from leyden.errors import InterruptedRunError, UserError
from leyden.ranks.launch import count_ranks, launch, report_errors, take_first_error


def needed(words):
    trainer = freeze(compose(words)).trainer
    return count_ranks(trainer.devices, trainer.accelerator)


@pytest.mark.parametrize(
    ("gpus", "words", "expected"),
    [
        (0, [], 1),
        (0, ["trainer.devices=2"], 2),
        (0, ["trainer=ddp"], 2),
        (4, [], 1),
        (4, ["trainer.devices=auto"], 4),
        (4, ["trainer.devices=-1"], 4),
        (4, ["trainer.devices=auto", "trainer.accelerator=cpu"], 1),
        (4, ["trainer.devices=[1,3]"], 2),
        (4, ["trainer.devices='1,3'"], 2),
        (4, ["trainer.devices='3'"], 3),
        (4, ["trainer.devices=8", "trainer.accelerator=cpu"], 8),
    ],
)
def test_each_device_has_a_process(gpus, words, expected, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)

    assert needed(words) == expected


@pytest.mark.parametrize(
    ("gpus", "words", "message"),
    [
        (1, ["trainer.devices=2"], "needs 2 GPUs, but 1 are visible"),
        (0, ["trainer.devices=2", "trainer.accelerator=gpu"], "needs 2 GPUs, but 0 are visible"),
        (2, ["trainer.devices=[0,1]", "trainer.accelerator=cpu"], "Give trainer.devices=2"),
        (0, ["trainer.devices=1000000"], "starts 1000000 processes. Expected at most"),
    ],
)
def test_unavailable_devices_are_an_error(gpus, words, message, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)

    with pytest.raises(UserError, match=message):
        needed(words)


def test_the_first_error_is_reported_and_damaged_ones_are_ignored(tmp_path):
    for number, text in enumerate(['[2, 0, "ValueError", "late"]', "{", "[]", "5"]):
        (tmp_path / f"error.rank{number}.json").write_text(text)
    (tmp_path / "error.rank9.json").write_text(json.dumps([1, 9, "ValueError", "first"]))

    assert str(take_first_error(tmp_path)) == "Rank 9 failed with ValueError: first"
    assert take_first_error(tmp_path) is None


@pytest.mark.parametrize("error", [UserError("no"), InterruptedRunError("no", exit_code=75)])
def test_a_rank_reports_its_error(error, tmp_path, monkeypatch):
    monkeypatch.setenv("RANK", "3")

    with pytest.raises(type(error)), report_errors(tmp_path):
        raise error

    reported = take_first_error(tmp_path)
    assert (reported.rank, reported.message) == (3, "no")


RANK = """
import os, signal, sys, time
from pathlib import Path
from leyden.errors import InterruptedRunError, UserError
from leyden.ranks.launch import report_errors

if os.environ["RANK"] == "0":
    time.sleep(100)
with report_errors(Path(sys.argv[1])):
    {ending}
"""


def launched(folder, ending):
    """Launch two ranks, of which the second ends in some way, and return the error."""
    with pytest.raises(BaseException) as raised:  # noqa: PT011  # of any class
        launch(("-c", RANK.format(ending=ending), str(folder)), 2, folder)
    return raised.value


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="signals of Linux")
@pytest.mark.parametrize(
    ("ending", "kind", "message"),
    [
        ("raise ValueError('no')", ChildProcessError, "Rank 1 failed with ValueError: no."),
        ("os.kill(os.getpid(), signal.SIGKILL)", ChildProcessError, "Rank 1 was ended by SIGKILL."),
        ("os._exit(3)", ChildProcessError, "No rank reported an error."),
    ],
)
def test_a_rank_that_fails_ends_the_others(ending, kind, message, tmp_path):
    handler = signal.getsignal(signal.SIGTERM)

    error = launched(tmp_path, ending)

    assert isinstance(error, kind)
    assert str(error).startswith(f"{message} All 2 ranks were stopped")
    assert signal.getsignal(signal.SIGTERM) is handler


@pytest.mark.slow
@pytest.mark.parametrize("code", [75, 130])
def test_ranks_that_were_stopped_can_be_continued(code, tmp_path):
    words = "stopped by trainer.max_time"
    ending = f"""try:
        with report_errors(Path(sys.argv[1])):
            raise InterruptedRunError("{words}", exit_code={code})
    finally:
        os._exit({code})"""

    error = launched(tmp_path, ending)

    assert isinstance(error, InterruptedRunError)
    assert (str(error), error.exit_code) == (words, code)


@pytest.mark.slow
def test_input_that_ranks_refuse_is_a_user_error(tmp_path):
    ending = """try:
        with report_errors(Path(sys.argv[1])):
            raise UserError("no.")
    finally:
        os._exit(2)"""

    error = launched(tmp_path, ending)

    assert isinstance(error, UserError)
    assert str(error) == "Rank 1 failed with UserError: no. All 2 ranks were stopped."
