"""README.md and the pages in docs/ are correct: commands run, and links have targets."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from leyden.config.check import check
from leyden.config.compose import compose, freeze
from leyden.config.options import groups
from leyden.config.shorthands import expand_shorthands
from shipped import OPTIONS, SHOWN

ROOT = Path(__file__).parents[1]
PAGES = {
    path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
}
TEXT = "\n".join(PAGES.values())

EXAMPLES = dict(
    re.findall(r"^`((?:src|conf|tests)/\S+)`\n\n```\w+\n(.*?)^```", TEXT, re.M | re.DOTALL)
)
"""Files that the pages add, by their path."""

ADDED = {Path(name).stem for name in EXAMPLES if name.startswith("conf/")}
"""Options that exist only once these files do."""

COMMANDS = [
    line
    for block in re.findall(r"^```bash\n(.*?)^```", TEXT, re.M | re.DOTALL)
    for line in block.splitlines()
    if line.startswith("leyden ")
]
INLINE = [" ".join(words.split()) for words in re.findall(r"`(leyden train [^`]+)`", TEXT)]
TRAINING = [
    line
    for line in dict.fromkeys(COMMANDS + INLINE)
    if re.match(r"leyden (?:train|crossval) (?!--cfg|--help|run=)", line)
]
OF_ADDED = [line for line in TRAINING if ADDED & set(re.findall(r"\w+", line))]
OF_A_RUN = [line for line in dict.fromkeys(COMMANDS) if re.match(r"leyden \w+ run=RUN", line)]


def overrides_of(line):
    """Return the overrides of a command; of a sweep, those of its first job."""
    _, _, *words = shlex.split(line)
    if "-m" in words:
        words = [re.sub(r"=([^\[{,]*),.*", r"=\1", word) for word in words if word != "-m"]
    own = ("resume=", "hydra", "folds=", "repeats=", "jobs=", "seeds=", "retries=", "dry_run=")
    return [word for word in words if not word.startswith(own)]


def console(page):
    """List the commands of ``leyden`` that a page shows with what they print."""
    return re.findall(r"^```console\n\$ (leyden .+)\n((?:.+\n)+?)```", PAGES[page], re.M)


def test_every_option_of_the_table_exists():
    assert SHOWN
    assert SHOWN == OPTIONS


@pytest.mark.release
def test_the_table_names_every_option():
    assert groups() == SHOWN


@pytest.mark.parametrize("line", [line for line in TRAINING if line not in OF_ADDED])
def test_training_commands_are_accepted(line):
    check(freeze(compose(expand_shorthands(overrides_of(line)))))


@pytest.mark.parametrize("line", OF_A_RUN)
def test_commands_on_a_run_succeed(line, leyden, own_run, tmp_path):
    shutil.copytree(ROOT / "docs" / "samples", tmp_path / "docs" / "samples")
    (tmp_path / "folder").mkdir()
    for name in ("image.png", "folder/other.png"):
        Image.fromarray(np.eye(8, dtype=np.uint8) * 255).save(tmp_path / name)

    done = leyden(*shlex.split(line.replace("RUN", str(own_run)))[1:])

    assert done.code == 0, done.err


@pytest.mark.parametrize(("command", "printed"), [e for page in PAGES for e in console(page)])
def test_messages_are_printed_as_shown(command, printed, leyden):
    done = leyden(*shlex.split(command)[1:])

    pattern = printed.strip().replace("[", "[[]").replace("…", "*")
    assert fnmatchcase(" ".join(done.err.split()), pattern)


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)#]+)[^)]*\)", PAGES[page])

    within = [link for link in links if not link.startswith("https://")]
    assert [link for link in within if not (ROOT / page).parent.joinpath(link).exists()] == []


@pytest.mark.parametrize("page", PAGES)
def test_linked_names_are_defined_in_their_files(page):
    links = re.findall(r"\[`(\w+)`\]\((\S+\.py)\)", PAGES[page])

    for name, link in links:
        text = (ROOT / page).parent.joinpath(link).read_text(encoding="utf-8")
        assert re.search(rf"^(class {name}|def {name}|{name}) ?[\W]", text, re.M), (name, link)


@pytest.fixture(scope="module")
def own_copy(tmp_path_factory):
    """Copy the files of a clone, and add the examples of the pages and files of a user."""
    copy = tmp_path_factory.mktemp("copy")
    for name in ("src", "conf", "tests", "notebooks", "docs", "README.md", "pyproject.toml"):
        source = ROOT / name
        (shutil.copytree if source.is_dir() else shutil.copy)(source, copy / name)
    for name, text in EXAMPLES.items():
        assert not (ROOT / name).exists()
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


@pytest.mark.slow
@pytest.mark.parametrize("line", OF_ADDED)
def test_the_added_options_train(line, own_copy):
    done = in_copy(own_copy, "leyden", "train", *overrides_of(line), "debug=smoke")

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_added_option_is_trained_with():
    assert {word for line in OF_ADDED for word in re.findall(r"\w+", line)} >= ADDED


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    [
        ["pytest", *(name for name in EXAMPLES if name.startswith("tests/"))],
        ["pytest", "tests/conf/test_conf.py", "-k", "comment or short or crosses or files"],
        ["mypy", *(name for name in EXAMPLES if name.startswith("src/"))],
        ["ruff", "check", *(name for name in EXAMPLES if name.endswith(".py"))],
        ["ruff", "format", "--check", *(name for name in EXAMPLES if name.endswith(".py"))],
    ],
    ids=["own tests", "all options", "types", "style", "format"],
)
def test_the_added_files_pass_the_checks(command, own_copy):
    done = in_copy(own_copy, *command)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.slow
def test_no_test_of_leyden_covers_what_is_added(own_copy):
    folders = ("tests/conf", "tests/networks/test_every_network.py", "tests/strategies")
    folders += ("tests/tasks/test_batching.py", "tests/test_notebooks.py")

    done = in_copy(own_copy, "pytest", "--collect-only", "-q", *folders)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "network=cnn" in done.stdout
    assert re.findall(r".*(?:scribble|stripes|=pooled).*", done.stdout) == []
