import pytest

from fabricated import write_sweep


@pytest.fixture
def sweep(tmp_path):
    """A sweep over three rates with three seeds: the second is best, the first close to it."""
    losses = {0.003: [0.50, 0.53, 0.48], 0.01: [0.49, 0.50, 0.51], 0.1: [0.9, 0.93, 0.91]}
    return write_sweep(tmp_path / "runs/cats/1-sweep", losses)
