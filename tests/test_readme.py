"""What the README shows is true."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from leyden.config.check import check
from leyden.config.compose import compose, freeze, groups
from shipped import OPTIONS, README, SHOWN

ROOT = Path(__file__).parents[1]
TRAIN_LINES = re.findall(r"^leyden train (?!-m|--cfg|run=)(.+)$", README, re.MULTILINE)


def test_every_option_of_the_table_exists():
    assert SHOWN
    assert SHOWN == OPTIONS


@pytest.mark.release
def test_the_table_names_every_option():
    assert groups() == SHOWN


@pytest.mark.parametrize("line", TRAIN_LINES)
def test_commands_are_accepted(line):
    words = [word for word in shlex.split(line) if not word.startswith("resume=")]
    check(freeze(compose(words)))


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.fixture(scope="module")
def own_copy(tmp_path_factory):
    """Copy what a clone has, and add what the README says, and files that nobody judges."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("src", "conf", "tests", "notebooks", "README.md", "pyproject.toml"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
    files = re.findall(
        r"^`((?:src|conf|tests)/\S+)`\n\n```\w+\n(.*?)^```", README, re.M | re.DOTALL
    )
    assert len(files) == 6
    for name, text in files:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(text)
    (copy / "notebooks" / "scribble.ipynb").write_text("{}")
    for group in ("mine", *SHOWN):
        (copy / "conf" / group).mkdir(exist_ok=True)
        (copy / "conf" / group / "scribble.yaml").write_text("some: ${thing.of.mine}\nroot: ???\n")
    return copy


def in_copy(copy, *command):
    return subprocess.run(
        [sys.executable, "-m", *command],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy / "src")},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize(
    "command",
    [
        ["leyden", "train", "data=stripes", "network=pooled", "debug=smoke"],
        ["pytest", "tests/data/image/test_stripes.py", "tests/networks/test_pooled.py"],
        ["pytest", "tests/conf/test_conf.py", "-k", "comment or short or crosses or files"],
    ],
    ids=["train", "own tests", "all options"],
)
def test_the_added_data_set_and_network(own_copy, command):
    done = in_copy(own_copy, *command)

    assert done.returncode == 0, done.stdout + done.stderr


def test_no_test_of_leyden_judges_what_is_added(own_copy):
    folders = ("tests/conf", "tests/networks/test_every_network.py", "tests/strategies")
    folders += ("tests/tasks/test_batching.py", "tests/test_notebooks.py")

    done = in_copy(own_copy, "pytest", "--collect-only", "-q", *folders)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "network=cnn" in done.stdout
    assert re.findall(r".*(?:scribble|stripes|=pooled).*", done.stdout) == []
