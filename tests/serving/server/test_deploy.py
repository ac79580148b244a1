"""The Dockerfile and the unit in docs/deploy/ serve an export where torch is not installed."""

import json
import os
import re
import shlex
import shutil
import subprocess
import time
import tomllib
from pathlib import Path

import httpx
import pytest

from leyden.serving.server.launch import GRACE, LAST
from leyden.serving.server.options import Options

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "docs" / "deploy"
UNIT = (DEPLOY / "leyden.service").read_text()

DRAIN = GRACE + LAST + Options.timeout
"""Seconds that requests may take to end after SIGTERM."""

FOLDERS = re.compile(r"(?<![\w.:/])/(build|etc/leyden|opt|srv)\b")
"""Folders of the image and of the machine, which are in a temporary folder here."""

DESCRIBED = ("FROM", "USER", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "CMD")
"""Instructions that build nothing."""


def instructions():
    """Return the instructions of the Dockerfile, with their arguments."""
    text = re.sub(r"^#.*\n", "", (DEPLOY / "Dockerfile").read_text(), flags=re.MULTILINE)
    return [line.split(maxsplit=1) for line in text.replace("\\\n", "").splitlines() if line]


def command(instruction):
    """Return the words of CMD or HEALTHCHECK."""
    return json.loads(re.search(r"\[.*\]", dict(instructions())[instruction])[0])


def setting(name):
    """Return the value of a key of the unit that is there once."""
    (value,) = re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)
    return value


class Image:
    """Does what the Dockerfile says in a folder of its own; commands have an empty home folder.

    Args:
        root: Folder that stands for the root folder of the image.
        export: Folder that stands for the export in the clone.
    """

    def __init__(self, root, export):
        self.root = root
        self.home = root / "home"
        kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        self.environment = kept | {"HOME": str(root / "root")}
        self._export = export
        self._folder = root
        build = {"ARG": self._arg, "WORKDIR": self._workdir, "COPY": self._copy, "RUN": self._run}
        for name, text in instructions():
            if name not in DESCRIBED:
                build[name](text)
        self.home.mkdir()
        self.environment["HOME"] = str(self.home)

    def within(self, text):
        """Return a text with the paths that it stands for here."""
        return FOLDERS.sub(rf"{self.root}/\1", text)

    def run(self, *words):
        """Run a command as a user does, from another folder."""
        return subprocess.run(
            [self.within(word) for word in words],
            cwd=self.home.parent,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def _arg(self, text):
        name, _, value = text.partition("=")
        self.environment[name] = value.strip('"')

    def _workdir(self, text):
        self._folder = Path(self.within(text))
        self._folder.mkdir()

    def _copy(self, text):
        *sources, target = (word for word in text.split() if not word.startswith("--"))
        if "--from=build" in text:  # both stages are in one folder
            assert sources == [target]
            return
        for name in sources:
            source = self._export if name == "$EXPORT" else ROOT / name
            place = self._folder / self.within(target)
            if source.is_dir():
                shutil.copytree(source, place)
            else:
                shutil.copy(source, place)

    def _run(self, text):
        done = subprocess.run(
            ["sh", "-c", self.within(text)],
            cwd=self._folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        if "Could not find a version" in done.stderr:
            pytest.skip("needs an index of packages")
        assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def image(tmp_path_factory, exported):
    return Image(tmp_path_factory.mktemp("image"), exported)


@pytest.fixture(scope="module")
def container(image, start_command):
    """Return the server that the image starts."""
    words = [image.within(word) for word in command("CMD")]
    return start_command([*words, "port=0"], image.environment)


def check_health(image, server):
    """Return the exit status of the health check."""
    words = command("HEALTHCHECK")
    return image.run(*(word.replace("0.0.1:8000", f"0.0.1:{server.port}") for word in words))


@pytest.mark.slow
def test_the_image_answers_the_example(image, container, example):
    answer = httpx.post(f"{container.url}/v1/predict", json=example["request"])

    assert answer.json() == example["response"]
    assert check_health(image, container).returncode == 0


@pytest.mark.slow
def test_the_image_holds_no_torch_and_little_else(image):
    folders = image.root.glob("opt/leyden/lib/*/site-packages/*.dist-info")
    packages = {folder.name.partition("-")[0] for folder in folders}
    size = sum(file.stat().st_size for file in image.root.glob("opt/**/*") if not file.is_symlink())

    assert "leyden" in packages
    assert packages.isdisjoint({"torch", "lightning", "hydra_core"})
    assert size / 2**20 < 300


@pytest.mark.slow
def test_the_container_stops_as_docker_wants_it(image, container):
    assert dict(instructions())["STOPSIGNAL"] == "SIGTERM"
    assert container.stop() == 0
    assert check_health(image, container).returncode == 1
    assert list(image.home.iterdir()) == []


def test_the_container_is_not_root():
    user, group = map(int, dict(instructions())["USER"].split(":"))

    assert min(user, group) > 0


def test_requests_may_end_before_a_server_is_killed():
    docker = re.search(r"--stop-timeout (\d+)", (DEPLOY / "Dockerfile").read_text())[1]

    assert int(docker) > DRAIN + 5
    assert int(setting("TimeoutStopSec")) > DRAIN + 5


def test_the_packages_are_those_of_the_project():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    serve = project["optional-dependencies"]["serve"]
    lines = (DEPLOY / "requirements.txt").read_text().splitlines()
    listed = [line for line in lines if line and not line.startswith("#")]

    assert set(serve) <= set(listed)
    assert set(listed) <= {*serve, *project["dependencies"]}


@pytest.fixture
def clone(tmp_path, exported):
    """Return a folder with what is installed beside the unit: keys, and another export."""
    folder = shutil.copytree(exported, tmp_path / "exports" / "digits")
    record = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps({**record, "version": "other"}))
    (tmp_path / "keys.txt").write_text("secret\n")
    return tmp_path


@pytest.mark.slow
def test_the_unit_serves_with_keys_and_replaces_the_network(image, start_command, example, clone):
    export, keys = (
        f"cd {clone}; {line}" for line in re.findall(r"^#   (install -D .*)", UNIT, re.MULTILINE)
    )
    place = setting("LoadCredential").partition(":")[2]
    credentials = Path(image.within(place)).parent
    assert image.run("sh", "-c", keys).returncode == 0
    start = image.within(setting("ExecStart"))
    words = shlex.split(start.replace("${CREDENTIALS_DIRECTORY}", str(credentials)))
    server = start_command([*words, "port=0"], image.environment)

    def ask(**headers):
        return httpx.post(f"{server.url}/v1/predict", json=example["request"], headers=headers)

    assert ask().status_code == 401
    assert ask(authorization="Bearer secret").json() == example["response"]
    assert image.run("sh", "-c", export).returncode == 0
    reload = setting("ExecReload").replace("$MAINPID", str(server.process.pid))
    assert image.run(*shlex.split(reload)).returncode == 0
    wait_for(lambda: ask(authorization="Bearer secret").json()["model"]["version"] == "other")
    assert server.stop() == 0


def wait_for(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd")
def test_the_unit_is_valid_and_confined(tmp_path):
    unit = tmp_path / "leyden.service"
    unit.write_text(UNIT.replace("/opt/leyden/bin/leyden", "/bin/true"))

    verified = subprocess.run(
        ["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False
    )
    confined = ["systemd-analyze", "security", "--offline=true", "--threshold=15", unit]

    assert (verified.returncode, verified.stderr) == (0, "")
    assert subprocess.run(confined, capture_output=True, check=False).returncode == 0
