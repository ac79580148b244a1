from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from torch.distributed import HashStore

from leyden.config.compose import Config, compose, freeze
from leyden.errors import UserError
from leyden.runs.folder import RunFolder, write_json
from leyden.workflows import follow
from leyden.workflows.follow import Jobs


@pytest.fixture(scope="module")
def config() -> Config:
    return freeze(compose(["name=mine"]))


@pytest.fixture
def lead(config: Config) -> Iterator[Callable[[Jobs, RunFolder], None]]:
    """Publish jobs in a thread, as the first rank does in a process of its own."""
    with ThreadPoolExecutor() as threads:
        yield lambda jobs, *folders: threads.submit(published, jobs, config, folders)


def published(jobs: Jobs, config: Config, folders: list[RunFolder]) -> None:
    for folder in folders:
        jobs.publish(config, folder)
    jobs.end()


def two_ranks() -> tuple[Jobs, Jobs]:
    store = HashStore()
    return Jobs(store, rank=0, world_size=2), Jobs(store, rank=1, world_size=2)


def test_the_others_get_the_jobs_of_the_first(tmp_path: Path, config: Config, lead) -> None:
    folders = [RunFolder(tmp_path / name) for name in "ab"]
    for folder in folders:
        folder.path.mkdir()
        write_json(folder.provenance, {})
    leader, other = two_ranks()
    leading = lead(leader, *folders)

    assert list(other) == [(config, folder) for folder in folders]
    leading.result()


def test_a_folder_on_another_machines_disk_ends_all_ranks(
    tmp_path: Path, lead, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follow, "SLOWEST_DISK", 0.2)
    leader, other = two_ranks()
    leading = lead(leader, RunFolder(tmp_path / "elsewhere"))

    with pytest.raises(UserError, match=r"elsewhere is not seen on .* all machines share"):
        list(other)

    with pytest.raises(UserError, match=r"Rank 1: The run folder"):
        leading.result()
    assert not list(tmp_path.iterdir())
