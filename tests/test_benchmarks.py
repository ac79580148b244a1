from importlib import import_module
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[1] / "benchmarks"


@pytest.mark.parametrize("name", sorted(file.stem for file in BENCHMARKS.glob("*.py")))
def test_a_benchmark_imports_what_exists(name, monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)
    import_module(name)
