"""``leyden report``: what it prints and writes, and how it refuses what it cannot report on."""

import shutil
import subprocess
import sys

import pytest

from fabricated import write_crossval, write_run, write_sweep

CHROMIUM = shutil.which("chromium")


@pytest.fixture
def sweep(tmp_path):
    return write_sweep(tmp_path / "sweep", {0.1: [0.3, 0.31], 0.2: [0.2, 0.25]})


def test_a_sweep(leyden, sweep):
    done = leyden("report", "path=sweep")
    assert done.code == 0, done.err
    assert "optimizer.lr" in done.out
    assert "- Best of 2 configs: optimizer.lr=0.2" in done.out
    assert done.out.endswith("ranking: sweep/ranking.csv\nreport: sweep/report.html\n")
    assert (sweep / "ranking.csv").read_text().startswith("rank,optimizer.lr,")
    assert "optimizer.lr=0.2" in (sweep / "report.html").read_text()


def test_two_runs_whose_names_have_commas(leyden, tmp_path):
    for name in ("0_a=1,b=2", "1_a=3,b=4"):
        write_run(tmp_path / "sweep" / name, loss=0.1)
    done = leyden("report", "path=sweep/0_a=1,b=2,sweep/1_a=3,b=4")
    assert done.code == 0, done.err
    assert "The configs are equal." in done.out
    page = tmp_path / "sweep/0_a=1,b=2/compared-with-1_a=3,b=4.html"
    assert "Two runs" in page.read_text()


def test_one_run_whose_name_has_commas(leyden, tmp_path):
    write_run(tmp_path / "0_a=1,b=2", loss=0.1)
    assert leyden("report", "path=0_a=1,b=2").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "path= is missing. Expected for example"),
        (["path=sweeq"], "sweeq is not a folder. Expected that of a sweep"),
        (["path=sweeq"], "Did you mean 'sweep'?"),
        (["path=sweep,sweeq"], "path=sweeq is not a folder"),
        (["path=sweep,sweep"], "is a sweep, and two runs can be compared"),
        (["path=empty"], "is not the folder of a run"),
        (["path=sweep", "seed=1"], "seed=1 is not understood"),
        (["path=sweep", "confirm=many"], "confirm=many: expected an integer"),
        (["path=crossval", "confirm=2"], "trains the best job of a sweep again"),
        (["path=crossval,crossval", "confirm=2"], "Leave it out"),
    ],
)
@pytest.mark.usefixtures("sweep")
def test_what_is_refused(leyden, tmp_path, words, message):
    (tmp_path / "empty").mkdir()
    write_crossval(tmp_path / "crossval", [0.1, 0.2])
    done = leyden("report", *words)
    assert done.code == 2
    assert message in done.err


@pytest.mark.slow
def test_torch_is_not_imported(sweep):
    program = (
        "import sys; from leyden.cli.main import main; main(sys.argv[1:]);"
        "print({'torch', 'lightning'} & set(sys.modules))"
    )
    words = [sys.executable, "-c", program, "report", f"path={sweep}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.endswith("\nset()\n")


@pytest.mark.slow
def test_a_real_sweep_whose_best_and_default_run_again(tmp_path, leyden_process):
    words = ["network=linear", "trainer=cpu", "trainer.max_epochs=1", "name=real"]
    swept = ["optimizer.lr=0.003,0.03", "optimizer.weight_decay=0.01,0.1"]
    done = leyden_process("train", "-m", *words, *swept, cwd=tmp_path)
    assert done.code == 0, done.err
    (sweep,) = (tmp_path / "runs/real").iterdir()

    done = leyden_process("report", f"path={sweep}", cwd=tmp_path)
    assert "The default config is at" in done.out or "The best is the default" in done.out
    done = leyden_process("report", f"path={sweep}", "confirm=2", cwd=tmp_path)
    assert done.code == 0, done.err
    assert "With 2 new seeds the best config" in done.out
    again = leyden_process("report", f"path={sweep}", cwd=tmp_path)
    assert "With 2 new seeds the best config" in again.out

    page = (sweep / "report.html").read_text()
    command = page.partition("As a command:</p>\n<pre>")[2].partition("</pre>")[0]
    assert leyden_process(*command.split()[1:], cwd=tmp_path).code == 0
    best = (sweep / "ranking.csv").read_text().splitlines()[1].split(",")
    (run,) = (path for path in (tmp_path / "runs/real").iterdir() if path != sweep)
    assert f"weight_decay: {best[2]}" in (run / "config.yaml").read_text()


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="opens the page in a browser")
def test_a_browser_shows_the_page(leyden, sweep, tmp_path):
    leyden("report", "path=sweep")
    words = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={tmp_path}/browser"]
    done = subprocess.run(
        [CHROMIUM, *words, "--dump-dom", f"file://{sweep}/report.html"],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert "<h2>Ranking</h2>" in done.stdout
    assert "<h2>Reproducibility</h2>" in done.stdout
    assert done.stdout.count("<svg") > 5
