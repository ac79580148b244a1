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

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
TRAIN_LINES = re.findall(r"^leyden train (?!-m|--cfg|run=)(.+)$", README, re.MULTILINE)


def test_the_table_names_every_option():
    rows = re.findall(r"^\| `([a-z/]+)` \| (.+) \|$", README, re.MULTILINE)
    shown = {group: sorted(re.findall(r"`(\w+)`", options)) for group, options in rows}
    assert shown == {group: sorted(options) for group, options in groups().items()}


@pytest.mark.parametrize("line", TRAIN_LINES)
def test_commands_are_accepted(line):
    words = [word for word in shlex.split(line) if not word.startswith("resume=")]
    check(freeze(compose(words)))


def test_links_lead_somewhere():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


@pytest.mark.parametrize(
    "command",
    [
        ["leyden", "train", "data=stripes", "network=pooled", "debug=smoke"],
        ["pytest", "tests/data/image/test_stripes.py", "tests/networks/test_pooled.py"],
    ],
    ids=["train", "test"],
)
def test_the_added_data_set_and_network(tmp_path, command):
    for folder in ("src", "conf"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    files = re.findall(
        r"^`((?:src|conf|tests)/\S+)`\n\n```\w+\n(.*?)^```", README, re.M | re.DOTALL
    )
    assert len(files) == 6
    for name, text in files:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)

    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path / "src")},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
