"""Commands as a shell sees them: exit codes, streams, imports."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from leyden.cli.main import COMMANDS, main
from leyden.config.options import groups

TRACEBACK = "Traceback (most recent call last)"

USER_ERRORS = {
    "unknown command": (["trian"], ["'trian'", "Did you mean 'train'"]),
    "unknown key": (
        ["train", "optimizer.lrr=1"],
        ["optimizer.lrr=1", "Did you mean 'optimizer.lr'"],
    ),
    "unknown option": (["train", "network=cn"], ["network", "'cn'", "Did you mean 'cnn'", "mlp"]),
    "unknown group": (["train", "nework=cnn"], ["nework=cnn", "Did you mean 'network'"]),
    "wrong type": (
        ["train", "optimizer.betas=wrong", "optimizer.lr=0.1"],
        ["optimizer.betas", "expected a list", "'wrong'", "the override optimizer.betas=wrong"],
    ),
    "missing value": (["train", "data=image_folder"], ["data.root is missing", "data.root=VALUE"]),
    "untrusted target": (
        ["train", "network=mlp", "network._target_=os.system", "network.dropout=0.1"],
        ["'os.system' is refused", "src/NAME", "the override network._target_=os.system"],
    ),
    "unparsable override": (
        ["train", "network.channels=[1"],
        ["network.channels=[1", "cannot be parsed", "brackets"],
    ),
    "bare word": (["train", "network"], ["network", "KEY=VALUE"]),
    "unknown resume": (["train", "resume=yes"], ["resume=yes", "resume=auto", "run=RUN"]),
    "missing run": (["train", "run=nowhere"], ["run=nowhere does not exist", "run folder"]),
    "no run": (["train", "run=."], ["run=. is not a run folder", "config.yaml"]),
    "flag beside run": (["train", "run=nowhere", "-m"], ["'-m' is not understood"]),
    "every job of a sweep": (
        ["train", "-m", "optimizer.lr=high,low"],
        ["optimizer.lr: expected a float", "the override optimizer.lr=high"],
    ),
    "key that nothing takes": (
        ["train", "+init_from=x.ckpt"],
        ["init_from: nothing takes this key", "the override +init_from=x.ckpt"],
    ),
    "leaf of a key": (["train", "lr=0.1"], ["lr=0.1", "Did you mean 'optimizer.lr'"]),
    "no network": (["train", "network=null"], ["a run without network", "cnn"]),
    "seed": (["train", "seed=-1"], ["seed: expected 0 to 4294967295", "the override seed=-1"]),
    "no name": (["train", "name=null"], ["name: expected str", "the override name=null"]),
    "option as a value": (["train", "task.mix=mixup"], ["task/mix=OPTION", "mixup"]),
    "missing data": (
        ["train", "data=table", "data.path=nowhere.csv", "data.target=y"],
        ["nowhere.csv does not exist", "the override data.path=nowhere.csv"],
    ),
    "completion of Hydra's": (["train", "-sc", "install=bash"], ["leyden completion bash"]),
    "unknown shell": (["completion", "bsh"], ["'bsh'", "Did you mean 'bash'"]),
    "test split as objective": (
        ["train", "monitor=test/accuracy"],
        ["monitor: test/accuracy is refused", "not an objective", "val/accuracy", "the override"],
    ),
    "test split of a callback": (
        ["train", "callbacks.early_stopping.monitor=test/loss"],
        ["callbacks.early_stopping.monitor: test/loss is refused"],
    ),
    "test split of a schedule": (
        ["train", "-m", "seed=0,1", "scheduler=plateau", "scheduler.monitor=test/loss"],
        ["scheduler.monitor: test/loss is refused"],
    ),
    "no seeds": (["train", "seeds=0"], ["seeds=0", "an integer from 1 to 9999"]),
    "too many seeds": (["train", "seeds=" + "9" * 5000], ["expected an integer from 1 to 9999"]),
    "seeds twice": (["train", "seeds=2", "seed=0,1"], ["seed=0,1 and seeds=2 both"]),
    "seeds of a run": (["train", "run=nowhere", "seeds=2"], ["seeds=2 is for sweeps"]),
    "retries of a run": (["train", "retries=1"], ["retries=1 is for sweeps", "-m"]),
    "retries": (["train", "-m", "seed=0,1", "retries=yes"], ["retries=yes", "an integer from 0"]),
    "dry run": (["train", "-m", "seed=0,1", "dry_run=1"], ["dry_run=1", "dry_run=true"]),
    "flag beside a sweep": (["train", "seeds=2", "--cfg", "job"], ["--cfg", "-m"]),
    "unknown key in a sweep": (["train", "-m", "optimizer.lrr=1,2"], ["Did you mean"]),
    "evaluate nothing": (["evaluate"], ["run= is missing", "leyden evaluate run="]),
    "predict nothing": (["predict"], ["run= is missing", "leyden predict run="]),
    "unknown format": (["predict", "run=x", "format=jsonn"], ["format=jsonn", "'jsonl'"]),
    "evaluate a bare word": (["evaluate", "run=x", "y"], ["'y' is not understood"]),
}


def one_paragraph(text: str) -> bool:
    return text.startswith("leyden: ") and text.endswith("\n") and text.count("\n") == 1


@pytest.mark.parametrize("case", USER_ERRORS)
def test_user_errors_exit_with_2_and_one_paragraph(case, leyden, tmp_path):
    words, expected = USER_ERRORS[case]

    done = leyden(*words)

    assert done.code == 2
    assert one_paragraph(done.err), done.err
    assert [text for text in expected if text not in done.err] == []
    assert done.out == ""
    assert list(tmp_path.glob("runs/*/*[!p]")) == []


def test_user_error_in_a_process_of_its_own(leyden_process, tmp_path):
    done = leyden_process("train", "network=cn", cwd=tmp_path)

    assert done.code == 2
    assert one_paragraph(done.err), done.err
    assert done.out == ""
    assert list(tmp_path.iterdir()) == []


def test_full_error_shows_the_traceback_too(leyden, monkeypatch):
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")

    done = leyden("train", "network=cn")

    assert done.code == 2
    assert TRACEBACK in done.err
    assert "leyden: The group network has no option 'cn'" in done.err


def test_other_errors_exit_with_1_and_a_traceback(leyden_process, tmp_path):
    (tmp_path / "sitecustomize.py").write_text(
        "import leyden.cli.arguments as a\n"
        "def split(*_): raise RuntimeError('broken')\n"
        "a.split = split\n"
    )

    done = leyden_process("train", cwd=tmp_path, PYTHONPATH=str(tmp_path))

    assert done.code == 1
    assert TRACEBACK in done.err
    assert "RuntimeError: broken" in done.err


def test_interrupt_exits_with_130(monkeypatch, capsys):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr("leyden.cli.train.run", interrupted)

    assert main(["train"]) == 130
    assert capsys.readouterr().err == "leyden: interrupted\n"


def test_an_interrupt_that_lightning_turned_into_an_exit_is_one(monkeypatch, capsys):
    def interrupted(*_):
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt:
            sys.exit(1)

    monkeypatch.setattr("leyden.cli.evaluate.run", interrupted)

    assert main(["evaluate"]) == 130
    assert capsys.readouterr().err == "leyden: interrupted\n"


@pytest.mark.parametrize("words", [[], ["--help"], ["-h"], ["help"]], ids=str)
def test_help_lists_the_commands(words, leyden):
    done = leyden(*words)

    assert done.code == 0
    assert done.err == ""
    assert [command for command in COMMANDS if command not in done.out] == []


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command, leyden):
    done = leyden(command, "--help")

    assert done.code == 0
    assert f"leyden {command}" in done.out


def test_help_of_train_shows_options_and_the_config_that_is_asked_for(leyden):
    done = leyden("train", "network=mlp", "--help")

    for group, options in groups().items():
        assert f"  {group}  " in done.out
        assert [option for option in options if option not in done.out] == []
    assert "leyden.networks.mlp.MLP" in done.out
    assert leyden("train", "network=mlpp", "--help").code == 2
    assert leyden("train", "--help", "-m", "seed=0,1").code == 0
    assert leyden("train", "--help", "seeds=2").code == 0


TRAIN = ["train", "network=linear", "trainer.max_epochs=1"]


@pytest.mark.slow
@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], TRAIN], ids=str)
def test_a_closed_pipe_is_not_an_error(words, tmp_path):
    reader, writer = os.pipe()
    os.close(reader)

    done = subprocess.run(
        [sys.executable, "-m", "leyden", *words],
        cwd=tmp_path,
        stdout=writer,
        stderr=subprocess.PIPE,
    )

    os.close(writer)
    assert done.returncode == 0
    assert b"Error" not in done.stderr
    if words == TRAIN:
        (status,) = tmp_path.glob("runs/*/*/status.json")
        assert json.loads(status.read_text())["state"] == "finished"


def test_a_terminal_may_lack_characters(leyden_process, tmp_path):
    done = leyden_process("train", "--help", cwd=tmp_path, PYTHONIOENCODING="ascii")

    assert (done.code, done.err) == (0, "")


@pytest.mark.slow
def test_standard_output_may_be_closed(tmp_path):
    done = subprocess.run(
        ["sh", "-c", 'exec "$0" -m leyden train --help >&-', sys.executable],
        cwd=tmp_path,
        stderr=subprocess.PIPE,
    )

    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--help"], 0),
        (["train", "--help"], 0),
        (["train", "--cfg", "job"], 0),
        (["evaluate", "--help"], 0),
        (["predict", "--help"], 0),
        (["train", "optimizer.lr=high"], 2),
        (["train", "data=penguins", "data.path=nowhere.csv"], 2),
        (["train", "-m", "data=penguins", "data.path=nowhere.csv,elsewhere.csv"], 2),
        (["train", "-m", "optimizer.lr=high,low"], 2),
        (["train", "data=text_corpus", "data.root=.", "network=cnn"], 2),
        (["train", "data=text_corpus", "data.root=.", "task=ctc"], 2),
        (["train", "run=nowhere"], 2),
        (["evaluate", "run=nowhere"], 2),
        (["predict", "run=nowhere", "input=a.png"], 2),
    ],
    ids=str,
)
def test_torch_is_not_imported_for(words, code, tmp_path):
    script = (
        "import json, sys\n"
        "from leyden.cli.main import main\n"
        "try:\n"
        f"    code = main({words!r})\n"
        "except SystemExit as end:\n"
        "    code = end.code or 0\n"
        "print(json.dumps([code, 'torch' in sys.modules, 'lightning' in sys.modules]))\n"
    )

    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True
    )

    assert json.loads(done.stdout.splitlines()[-1]) == [code, False, False]


def test_config_is_printed(leyden):
    done = leyden("train", "--cfg", "job", "optimizer.lr=0.5")

    assert done.code == 0
    assert "lr: 0.5" in done.out
    assert "runs/" not in done.out


@pytest.mark.slow
def test_console_script_is_the_same(tmp_path):
    script = Path(sys.executable).with_name("leyden")

    done = subprocess.run([script, "--help"], cwd=tmp_path, capture_output=True, text=True)

    assert done.returncode == 0
    assert "usage: leyden COMMAND" in done.stdout


class Harmful:
    def __init__(self, file):
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


@pytest.mark.parametrize("command", ["evaluate", "predict"])
def test_pickled_checkpoint_is_refused_and_not_executed(command, leyden, tmp_path):
    torch.save({"leyden": Harmful(tmp_path / "executed")}, tmp_path / "evil.ckpt")

    done = leyden(command, "run=evil.ckpt", "input=x.png" if command == "predict" else "seed=0")

    assert done.code == 2
    assert one_paragraph(done.err), done.err
    assert "is refused" in done.err
    assert not (tmp_path / "executed").exists()


@pytest.mark.parametrize(
    "damage",
    {
        "cut": lambda content: content[: len(content) // 2],
        "empty": lambda _: b"",
        "text": lambda _: b"not a checkpoint",
        "flipped": lambda content: content[:200] + b"\xff" * 3000 + content[3200:],
    }.items(),
    ids=lambda item: item[0],
)
def test_damaged_checkpoint_is_named(damage, leyden, own_run):
    checkpoint = own_run / "checkpoints" / "best.ckpt"
    checkpoint.write_bytes(damage[1](checkpoint.read_bytes()))

    done = leyden("evaluate", f"run={own_run}")

    assert done.code == 2
    assert one_paragraph(done.err), done.err
    assert str(checkpoint) in done.err
    assert "damaged" in done.err


def test_a_checkpoint_of_another_program_is_named(leyden, tmp_path):
    torch.save({"state_dict": {}}, tmp_path / "strange.ckpt")

    done = leyden("evaluate", "run=strange.ckpt")

    assert done.code == 2
    assert "holds no record of a run" in done.err
