from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from leyden.comparison.results import Result, is_sweep, read_results, swept_keys
from leyden.comparison.table import as_text, rank, write_csv
from leyden.config.compose import compose, freeze, save
from leyden.errors import UserError
from leyden.runs.folder import RunFolder, write_json


def a_run(path: Path, metrics: Mapping[str, float | None] | None, seed: int = 0) -> RunFolder:
    """Write the folder of a run, which failed if it has no metrics."""
    folder = RunFolder(path)
    path.mkdir(parents=True)
    save(freeze(compose([f"seed={seed}", "monitor=val/accuracy"])), folder.config)
    if metrics is None:
        folder.write_status("failed", error="RuntimeError: out of memory")
    else:
        write_json(folder.metrics, metrics)
        folder.write_status("finished", mode="max")
    write_json(folder.status, folder.read_status() | {"seconds": 2.5})
    return folder


def a_job(
    sweep: Path, number: int, metrics: Mapping[str, float | None] | None, **overrides: Any
) -> RunFolder:
    folder = a_run(sweep / str(number), metrics, overrides.get("seed", 0))
    folder.write_job(overrides, number=number)
    return folder


@pytest.fixture
def sweep(tmp_path: Path) -> Path:
    """Two points with two seeds, and one that failed; numbers have more than one digit."""
    path = tmp_path / "sweep"
    a_job(path, 10, {"val/accuracy": 0.9, "val/loss": 1.0}, lr=0.1, seed=1)
    a_job(path, 2, {"val/accuracy": 0.7, "val/loss": 2.0}, lr=0.01, seed=1)
    a_job(path, 0, {"val/accuracy": 0.5, "val/loss": 3.0}, lr=0.01, seed=0)
    a_job(path, 1, {"val/accuracy": 0.8, "val/loss": None}, lr=0.1, seed=0)
    a_job(path, 3, None, lr="high", seed=0)
    write_json(path / "sweep.json", {"swept": {"lr": "0.01,0.1,high", "seed": "0,1"}})
    return path


def a_crossval(path: Path, seed: int = 0) -> RunFolder:
    folder = a_run(path, {"test/accuracy": 0.8, "val/accuracy": 0.9}, seed)
    write_json(folder.crossval, {"folds": 3, "repeats": 1, "jobs": 1})
    folder.folds.write_text("fold,n_train,n_test\n0,60,40\n1,60,40\n2,80,20\n")
    for fold, accuracy in enumerate((0.7, 0.8, 0.9)):
        a_run(path / f"fold-{fold}", {"test/accuracy": accuracy, "val/accuracy": 0.9}, fold)
    return folder


def test_jobs_of_a_sweep_are_read_in_their_order(sweep: Path) -> None:
    results = read_results(sweep)

    assert is_sweep(sweep)
    assert swept_keys(sweep) == ["lr", "seed"]
    assert [each.number for each in results] == [0, 1, 2, 3, 10]
    first, failed = results[0], results[3]
    assert (first.overrides, first.seed) == ({"lr": 0.01, "seed": 0}, 0)
    assert (first.monitor, first.mode, first.value) == ("val/accuracy", "max", 0.5)
    assert (first.fold, first.repeat, first.seconds) == (None, 0, 2.5)
    assert (failed.state, failed.error) == ("failed", "RuntimeError: out of memory")
    assert failed.metrics == {}
    assert first.config()["optimizer.lr"] == 0.003
    assert first.history() == []


def test_points_are_ranked_by_their_mean_over_seeds(sweep: Path) -> None:
    best, second, last = rank(read_results(sweep))

    assert [row.overrides["lr"] for row in (best, second, last)] == [0.1, 0.01, "high"]
    assert best.metrics["val/accuracy"].mean == pytest.approx(0.85)
    assert best.metrics["val/accuracy"].high == pytest.approx(0.85 + 12.706 * 0.05, abs=1e-3)
    assert best.metrics["val/loss"].count == 1  # the other diverged
    assert best.seconds == 5.0
    assert last.metrics == {}


def test_the_table_of_a_terminal(sweep: Path) -> None:
    assert as_text(rank(read_results(sweep))).splitlines() == [
        "   lr    runs         val/accuracy  95 % interval     seconds",
        "1  0.1   2            0.85          0.2147 to 1.485   5.0",
        "2  0.01  2            0.6           -0.6706 to 1.871  5.0",
        "3  high  0, 1 failed                                  2.5",
    ]


def test_the_file_has_every_metric(sweep: Path, tmp_path: Path) -> None:
    write_csv(rank(read_results(sweep)), tmp_path / "ranking.csv")

    lines = [line.split(",") for line in (tmp_path / "ranking.csv").read_text().splitlines()]
    assert lines[0][:6] == ["rank", "lr", "finished", "failed", "seconds", "val/accuracy"]
    assert lines[0][6:] == [
        *("val/accuracy low", "val/accuracy high", "val/loss", "val/loss low", "val/loss high")
    ]
    assert lines[1][:5] == ["1", "0.1", "2", "0", "5.0"]
    assert float(lines[1][5]) == pytest.approx(0.85)
    assert lines[1][8:] == ["1.0", "", ""]
    assert lines[3] == ["3", "high", "0", "1", "2.5", *[""] * 6]


def test_a_job_may_be_stood_in_for_by_an_earlier_run(sweep: Path, tmp_path: Path) -> None:
    earlier = a_run(tmp_path / "earlier", {"val/accuracy": 0.99}, seed=7)
    job = RunFolder(sweep / "11")
    job.path.mkdir()
    job.write_job({"lr": 1.0, "seed": 7}, number=11, run=earlier.path)

    result = read_results(sweep)[-1]

    assert result.is_finished
    assert (result.name, result.path, result.value) == ("11", earlier.path, 0.99)


def test_a_cross_validation_is_judged_by_the_folds_left_out(tmp_path: Path) -> None:
    (result,) = read_results(a_crossval(tmp_path / "cv").path)

    assert (result.monitor, result.mode, result.value) == ("test/accuracy", "max", 0.8)
    assert [(each.fold, each.repeat, each.seed) for each in result.folds] == [
        *((fold, 0, fold) for fold in range(3))
    ]
    assert result.test_ratio == 0.5
    assert result.seconds == 7.5
    (row,) = rank([result])
    estimate = row.metrics["test/accuracy"]
    # Nadeau-Bengio: 4.303 * sqrt((1 / 3 + 1 / 2) * 0.01)
    assert estimate.high - estimate.mean == pytest.approx(0.3928, abs=1e-4)
    assert as_text([row]).splitlines()[0].split("  ")[0].strip() == ""
    assert "mean of 3" in as_text([row])


def test_cross_validations_of_a_sweep_are_grouped_by_seed(tmp_path: Path) -> None:
    path = tmp_path / "sweep"
    for number in range(2):
        folder = a_crossval(path / f"{number}_seed={number}", seed=number)
        folder.write_job({"seed": number}, number=number)
    write_json(path / "sweep.json", {"swept": {"seed": "0,1"}})

    (row,) = rank(read_results(path))

    assert row.metrics["test/accuracy"].count == 6
    assert row.metrics["test/accuracy"].mean == pytest.approx(0.8)


@pytest.mark.parametrize(
    "content", ["", "[1]", '{"number": "x", "overrides": 3, "run": 5}', r'{"run": "\u0000"}']
)
def test_a_damaged_record_hides_no_other_job(sweep: Path, content: str) -> None:
    (sweep / "2" / "job.json").write_text(content)

    results = read_results(sweep)

    assert len(results) == 5
    assert [each.number for each in rank(results)[0].results] == [1, 10]


@pytest.mark.parametrize("content", ["", "n_train,n_test\n60", "n_train,n_test\n0,40", "\0"])
def test_the_ratio_of_damaged_folds_is_that_of_equal_ones(tmp_path: Path, content: str) -> None:
    folder = a_crossval(tmp_path / "cv")
    folder.folds.write_text(content)

    (result,) = read_results(folder.path)

    assert result.test_ratio == 0.5


def test_another_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="not the folder of a run, a cross-validation or a sweep"):
        read_results(tmp_path)


def test_without_a_direction_the_order_is_kept(sweep: Path) -> None:
    unknown = [Result(**{**vars(each), "mode": None}) for each in read_results(sweep)]

    assert [row.overrides["lr"] for row in rank(unknown)] == [0.01, 0.1, "high"]
