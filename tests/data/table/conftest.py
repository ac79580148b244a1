import numpy as np
import pytest
import torch

from leyden.data.table.table import Table


@pytest.fixture(scope="session")
def visits():
    """Return columns of a table of patients, whose ages and wards determine who is ill."""

    def make(rows=200, **columns):
        random = np.random.default_rng(0)
        age = random.integers(20, 90, rows)
        ward = random.choice(["north", "south", "west"], rows)
        ill = age + 30 * (ward == "west") + random.normal(0, 8, rows) > 70
        return {
            "age": age.tolist(),
            "ward": ward.tolist(),
            "smokes": random.choice(["yes", "no"], rows).tolist(),
            "seen": [f"2024-{1 + row % 12:02}-{1 + row % 28:02}" for row in range(rows)],
            "state": np.where(ill, "ill", "well").tolist(),
        } | columns

    return make


@pytest.fixture
def table(tmp_path, visits, write_csv):
    """Build and set up a table of given columns and options."""

    def make(columns=None, /, **options):
        path = write_csv(tmp_path / "visits.csv", columns or visits())
        settings = {"name": "visits", "path": str(path), "target": "state", "batch_size": 16}
        data = Table(**settings | options)
        data.prepare_data()
        data.setup()
        return data

    return make


@pytest.fixture(scope="session")
def inputs_of():
    """Return the network inputs of a split, in the order of its rows."""

    def give(data, split="train"):
        rows = torch.from_numpy(data.row_numbers(split))
        return data.network_inputs(data.dataset(data.cached)[(0, rows)].inputs)

    return give
