from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from torch.distributed import HashStore

from leyden.errors import UserError
from leyden.ranks import jobs as module
from leyden.ranks.jobs import Jobs


@pytest.fixture
def lead() -> Iterator[Callable[..., Any]]:
    """Publish jobs in a thread, as the first rank does in a process of its own."""
    with ThreadPoolExecutor() as threads:
        yield lambda *arguments: threads.submit(publish, *arguments)


def publish(jobs: Jobs, *published: tuple[dict[str, Any], Path]) -> None:
    for job, shared in published:
        jobs.publish(job, shared=shared)
    jobs.end()


def two_ranks() -> tuple[Jobs, Jobs]:
    store = HashStore()
    return Jobs(store, rank=0, world_size=2), Jobs(store, rank=1, world_size=2)


def test_the_others_get_the_jobs_of_the_first(tmp_path: Path, lead: Callable[..., Any]) -> None:
    published = [({"name": name, "sizes": [1, None]}, tmp_path / name) for name in "ab"]
    for _, file in published:
        file.touch()
    leader, other = two_ranks()
    leading = lead(leader, *published)

    assert list(other) == [job for job, _ in published]
    leading.result()


def test_a_folder_on_another_machines_disk_ends_all_ranks(
    tmp_path: Path, lead: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "SLOWEST_DISK", 0.2)
    leader, other = two_ranks()
    leading = lead(leader, ({}, tmp_path / "elsewhere" / "file"))

    with pytest.raises(UserError, match=r"elsewhere is not visible on .* all machines share"):
        list(other)

    with pytest.raises(UserError, match=r"Rank 1: The run folder"):
        leading.result()
    assert not list(tmp_path.iterdir())
