import pytest

from leyden.comparison.baselines.run import baselines, measure_baselines
from leyden.config.compose import compose, freeze
from leyden.errors import UserError


def measure(*overrides):
    found = measure_baselines(freeze(compose(list(overrides))), baselines())
    return {name: measured.metrics for name, measured in found}


def test_baselines_are_measured_by_the_metrics_of_the_task_on_its_splits(tmp_path, measurements):
    where = (f"data.path={measurements}", f"data.cache_dir={tmp_path}")
    found = measure("data=table", "data.target=species", *where)
    assert list(found) == ["constant", "linear", "gradient_boosting", "nearest_neighbours"]
    names = {f"{stage}/{name}" for stage in ("val", "test") for name in ("loss", "accuracy", "f1")}
    assert names < set(found["constant"])
    assert found["constant"]["test/accuracy"] < 0.6
    assert all(found[name]["test/accuracy"] > 0.9 for name in list(found)[1:])


def test_numbers_are_measured_in_their_own_unit(tmp_path):
    lines = [f"{x * x % 211},{x % 7},{1000 + 3 * (x * x % 211) + x % 7}" for x in range(200)]
    (tmp_path / "t.csv").write_text("\n".join(["x,z,y", *lines]))
    where = (f"data.path={tmp_path}/t.csv", f"data.cache_dir={tmp_path}")
    found = measure("data=table", "data.target=y", "task=regression", *where)
    assert found["constant"]["test/mae"] > 50
    assert found["linear"]["test/mae"] < 1


def test_sequences_are_refused(tmp_path):
    (tmp_path / "c").mkdir()
    for number in range(30):
        (tmp_path / "c" / f"{number}.txt").write_text(f"text {number} of a corpus")
    where = (f"data.root={tmp_path}/c", f"data.cache_dir={tmp_path}/cache")
    with pytest.raises(UserError, match="targets of c are sequences"):
        measure("data=text_corpus", "task=language_modelling", "network=causal_transformer", *where)
