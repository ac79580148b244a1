"""``leyden completion``: candidates, and how shells insert them."""

import os
import pty
import select
import shutil
import subprocess
import sys
import time

import pytest

from leyden.cli.completion import SCRIPTS, candidates

TAB = "\t"
CLEAR = "\x15"
"""Ctrl-U, which clears the line in a shell."""


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("leyden tr", ["train "]),
        ("leyden completion z", ["zsh "]),
        ("leyden train netw", ["network.", "network="]),
        ("leyden train network=table_", ["network=table_mlp "]),
        ("leyden train +network=table_", ["+network=table_mlp "]),
        ("leyden train network=table_mlp network.emb", ["network.embedding_width="]),
        ("leyden train network=null network.chan", ["network.channels="]),
        ("leyden train -m optimizer=adam,rm", ["optimizer=adam,rmsprop "]),
        ("leyden train callbacks=[default,em", ["callbacks=[default,ema"]),
        ("leyden train 'callbacks=[default,em", ["callbacks=[default,ema"]),
        ("leyden train task/mix=m", ["task/mix=mixup "]),
        ("leyden train optimizer.l", ["optimizer.lr="]),
        ("leyden train optimizer.lr=", ["optimizer.lr=0.003 "]),
        ("leyden train optimizer.lr", ["optimizer.lr="]),
        ("leyden train deterministic=", ["deterministic=false ", "deterministic=true "]),
        ("leyden train ~callbacks.sum", ["~callbacks.summary.", "~callbacks.summary="]),
        ("leyden train --re", ["--rerun "]),
        ("leyden train resume=", ["resume=auto "]),
        ("leyden predict format=", ["format=csv ", "format=jsonl "]),
        ("leyden crossval fol", ["folds="]),
        ("leyden crossval network=table_", ["network=table_mlp "]),
        ("leyden consolidate network", []),
        ("leyden report ", ["--help ", "confirm=", "path="]),
        ("leyden explain optimizer.l", ["optimizer.lr "]),
        ("leyden explain optim", ["optimizer ", "optimizer."]),
        ("leyden explain optimizer.lr optim", ["optimizer.", "optimizer="]),
        ("leyden nothing ", []),
        ("leyden train network=nothing_of_the_kind network.chan", ["network.channels="]),
        ("", []),
    ],
)
def test_candidates(line, expected):
    assert candidates(line) == expected


def test_runs_and_files(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for run in ("digits/1", "digits/2-sweep/0"):
        (tmp_path / "runs" / run / "checkpoints").mkdir(parents=True)
        (tmp_path / "runs" / run / "config.yaml").touch()
    (tmp_path / "runs/digits/1/checkpoints/best.ckpt").touch()
    (tmp_path / ".hidden").touch()

    assert candidates("leyden train run=") == [
        "run=runs/digits/1 ",
        "run=runs/digits/2-sweep/0 ",
    ]
    (tmp_path / "runs/digits/2-sweep/sweep.json").touch()
    assert candidates("leyden report path=runs/digits/2") == [
        "path=runs/digits/2-sweep ",
        "path=runs/digits/2-sweep/0 ",
    ]
    inside = "run=runs/digits/1/checkpoints/"
    assert candidates(f"leyden evaluate {inside}") == [f"{inside}best.ckpt "]
    assert candidates("leyden predict input=") == ["input=runs/"]
    (tmp_path / "a b").mkdir()
    (tmp_path / "a b" / "c").touch()
    assert candidates("leyden predict input=a\\ ") == ["input=a b/"]
    assert candidates("leyden predict 'input=a b/") == ["input=a b/c "]
    (tmp_path / "a b" / "c").unlink()
    (tmp_path / "a b").rmdir()
    assert candidates("leyden predict run") == ["run=", "run_dir=", "runs/"]
    assert candidates("leyden train data=image_folder data.root=") == ["data.root=runs/"]


def test_it_is_quick(tmp_path):
    program = (
        "import sys; from leyden.cli.main import main; main(sys.argv[1:]);"
        "print({'torch', 'lightning'} & set(sys.modules))"
    )
    words = ["completion", "candidates", "leyden train network=mlp network.dro"]

    done = subprocess.run(
        [sys.executable, "-c", program, *words], cwd=tmp_path, capture_output=True, text=True
    )

    assert done.stdout == "network.dropout=\nset()\n"


class Terminal:
    """A shell in a pseudo-terminal."""

    def __init__(self, command, folder):
        (folder / "bin").mkdir()
        program = folder / "bin" / "leyden"
        program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m leyden "$@"\n')
        program.chmod(0o755)
        environment = os.environ | {"PATH": f"{folder}/bin:{os.environ['PATH']}", "TERM": "xterm"}
        environment |= {"HOME": str(folder), "PS1": "> "}
        self.process, self.terminal = pty.fork()
        if self.process == 0:
            os.chdir(folder)
            os.execvpe(command[0], command, environment)

    def type(self, text):
        os.write(self.terminal, text.encode())

    def wait_for(self, text, seconds=30):
        """Read until a text is shown; return all that was."""
        shown = ""
        deadline = time.monotonic() + seconds
        while text not in shown and time.monotonic() < deadline:
            if select.select([self.terminal], [], [], 0.1)[0]:
                shown += os.read(self.terminal, 4096).decode(errors="replace")
        assert text in shown, shown
        return shown

    def close(self):
        os.kill(self.process, 9)
        os.waitpid(self.process, 0)
        os.close(self.terminal)


SHELLS = {
    "bash": ["bash", "--noprofile", "--norc", "-i"],
    "zsh": ["zsh", "-f", "-i"],
    "fish": ["fish", "--no-config", "-i"],
}


@pytest.mark.parametrize("shell", SCRIPTS)
def test_tab_completes(shell, tmp_path):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    terminal = Terminal(SHELLS[shell], tmp_path)
    try:
        install = 'eval "$(leyden completion {})"; echo rea""dy\n'
        if shell == "fish":
            install = 'leyden completion {} | source; echo rea""dy\n'
        terminal.type(install.format(shell))
        terminal.wait_for("ready")
        terminal.type(f"leyden tr{TAB}")
        terminal.wait_for("ain")
        terminal.type(f"network=ta{TAB}")
        terminal.wait_for("ble_mlp")
        terminal.type(f"network.emb{TAB}")
        terminal.wait_for("edding_width")
        (tmp_path / "of mine").mkdir()
        (tmp_path / "of mine" / "a:b.csv").touch()
        terminal.type(f"{CLEAR}leyden predict input=of{TAB}")
        terminal.wait_for("mine/")
        terminal.type(f"a:{TAB}")
        terminal.wait_for("b.csv")
        (tmp_path / "bin" / "leyden").write_text("#!/bin/sh\nprintf '<%s>' \"$@\"\n")
        terminal.type("\n")
        terminal.wait_for("<input=of mine/a:b.csv>")
    finally:
        terminal.close()
