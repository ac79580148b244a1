import pytest

from fabricated import write_crossval, write_run
from leyden.comparison.report.confirmation import (
    DEFAULT,
    best_name,
    describe,
    new_seeds,
    read_confirmation,
    run_folder,
)
from leyden.comparison.report.page import report
from leyden.comparison.report.study import read_study


def test_seeds_are_new(sweep, tmp_path):
    assert new_seeds(read_study(sweep), 3) == [3, 4, 5]
    # Folds have a seed of their own each.
    assert new_seeds(read_study(write_crossval(tmp_path / "crossval", [0.1, 0.2])), 2) == [2, 4]


@pytest.mark.parametrize(
    ("best", "default", "expected"),
    [
        ([0.1, 0.12, 0.11], [0.5, 0.51, 0.55], "beats the default (-0."),
        ([0.5, 0.51, 0.55], [0.1, 0.12, 0.11], "is worse than the default (+0."),
        ([0.1, 0.2, 0.3], [0.11, 0.18, 0.31], "cannot be told from the default"),
        ([0.1], [0.5], "differs from the default by -0.4 in val/loss; more are needed"),
    ],
)
def test_whether_the_best_beats_the_default(sweep, best, default, expected):
    study = read_study(sweep)
    assert read_confirmation(study) is None
    for name, losses in {best_name(study): best, DEFAULT: default}.items():
        for seed, loss in enumerate(losses, 3):
            write_run(run_folder(study, name, seed), loss=loss, seed=seed)
    found = read_confirmation(study)
    assert expected in describe(found)
    assert expected in report(study, found).text
    assert len(read_study(sweep).results) == 9  # the new runs are no jobs of the sweep
