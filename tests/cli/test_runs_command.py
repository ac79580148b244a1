"""``leyden runs``: what it lists, what it calls the best, and what it removes."""

import pytest

from leyden.config.compose import compose, freeze, save
from leyden.runs.folder import RunFolder, write_json


@pytest.fixture(scope="module")
def config():
    return freeze(compose([]))


@pytest.fixture
def make(tmp_path, config):
    """Make a function that writes the files of a run."""

    def run(name, state="finished", *, loss=None, rows="a"):
        folder = RunFolder(tmp_path / "runs" / name)
        save(config, folder.config)
        if state:
            folder.write_status(state, mode="min", split_fingerprint=rows)
        if loss is not None:
            write_json(folder.metrics, {"val/loss": loss, "test/accuracy": 1 - loss})
        return folder

    return run


def lines(done):
    assert done.code == 0, done.err
    return [line.split() for line in done.out.splitlines()]


def test_runs_are_listed_with_the_best_of_each_name(make, leyden):
    for number, loss in enumerate((0.3, 0.1, 0.2)):
        make(f"digits/{number}", loss=loss)
    make("pets/0", loss=0.05)
    make("pets/1", "failed")

    done = leyden("runs")

    table = lines(done)
    assert table[0] == ["run", "state", "metric", "time", "size"]
    assert [row[:4] for row in table[1:5]] == [
        ["runs/digits/0", "finished", "val/loss", "0.3"],
        ["runs/digits/1", "finished", "val/loss", "0.1"],
        ["runs/digits/2", "finished", "val/loss", "0.2"],
        ["runs/pets/0", "finished", "val/loss", "0.05"],
    ]
    assert table[5][:3] == ["runs/pets/1", "failed", "start"]
    assert table[5][-1] in ("kB", "B")
    assert done.out.endswith("\nbest of digits by val/loss 0.1: runs/digits/1\n")


def test_runs_on_other_rows_are_not_compared(make, leyden):
    make("mine/0", loss=0.3, rows="a")
    make("mine/1", loss=0.1, rows="b")

    assert "best of" not in leyden("runs").out


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("val/loss", ["1", "2", "0", "3"]),
        ("-val/loss", ["0", "2", "1", "3"]),
        ("test/accuracy", ["0", "2", "1", "3"]),
        ("size", None),
    ],
)
def test_sorting_puts_runs_without_the_metric_last(sort, expected, make, leyden):
    for number, loss in enumerate((0.3, 0.1, 0.2)):
        make(f"digits/{number}", loss=loss)
    make("digits/3", "interrupted").last.parent.mkdir()

    found = [row[0].rpartition("/")[2] for row in lines(leyden("runs", f"sort={sort}"))[1:5]]

    assert found == (expected or ["3", "0", "1", "2"])


def test_a_sweep_is_one_line_unless_it_is_named(make, leyden, tmp_path):
    for number, loss in enumerate((0.3, 0.1)):
        job = make(f"digits/1-sweep/{number}_seed={number}", loss=loss)
        job.write_job({"seed": number}, number=number)
    make("digits/1-sweep/2_seed=2", "failed").write_job({"seed": 2}, number=2)
    write_json(tmp_path / "runs/digits/1-sweep/sweep.json", {"swept": {"seed": "0,1,2"}})

    whole, jobs = leyden("runs"), leyden("runs", "path=runs/digits/1-sweep")

    row = "runs/digits/1-sweep 2 of 3 jobs val/loss 0.1"
    assert [" ".join(line[:7]) for line in lines(whole)[1:]] == [row]
    assert [line[0].rpartition("/")[2] for line in lines(jobs)[1:4]] == [
        "0_seed=0",
        "1_seed=1",
        "2_seed=2",
    ]
    assert leyden("runs", "clean=failed").out.startswith("failed starts removed: 0;")


def test_states(make, leyden):
    make("digits/0", "running", loss=None).path.joinpath("metrics.csv").touch()
    held = make("digits/1", "running")
    make("digits/2", None)  # such as a job that waits for a machine

    with held.held():
        table = lines(leyden("runs"))

    assert [row[1] for row in table[1:]] == ["killed", "running", "not"]


def test_cleaning_removes_failed_starts_alone(make, leyden, tmp_path):
    make("digits/0", loss=0.1)
    make("digits/1", "failed")
    make("pets/0", "interrupted")
    make("pets/1", "failed").path.joinpath("metrics.csv").touch()

    done = leyden("runs", "clean=failed")

    assert done.out.splitlines() == [
        "removed runs/digits/1",
        "removed runs/pets/0",
        "failed starts removed: 2; runs and sweeps kept: 2",
    ]
    left = {path.relative_to(tmp_path / "runs").as_posix() for path in tmp_path.glob("runs/*/*")}
    assert left == {"digits/0", "pets/1"}


def test_a_real_run_is_listed(leyden, shared_run):
    for path in (shared_run, shared_run.parent.parent):
        row = lines(leyden("runs", f"path={path}"))[1]

        assert row[0].endswith(shared_run.name)
        assert row[1:3] == ["finished", "val/loss"]


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        ([], "The folder runs does not exist here"),
        (["path=rums"], "Did you mean 'runs'?"),
        (["clean=all"], "Expected clean=failed"),
        (["sort=val/los"], "Did you mean 'val/loss'"),
        (["network=cnn"], "network=cnn is not understood"),
        (["best"], "'best' is not understood"),
    ],
)
def test_faults(words, fault, make, leyden):
    if words:
        make("digits/0", loss=0.1)

    done = leyden("runs", *words)

    assert done.code == 2
    assert fault in done.err


def test_no_runs(leyden, tmp_path):
    (tmp_path / "runs").mkdir()

    assert leyden("runs").out == "no runs in runs\n"


def test_torch_is_not_imported(leyden_process, tmp_path):
    (tmp_path / "runs").mkdir()

    done = leyden_process("runs", cwd=tmp_path, options=("-X", "importtime"))

    assert done.code == 0, done.err
    imported = {line.rpartition("|")[2].strip() for line in done.err.splitlines()}
    assert "leyden.comparison.listing" in imported
    assert not {"torch", "lightning"} & imported
