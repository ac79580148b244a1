import gc
import sys

import pytest

from leyden.cli.startup import importing


@pytest.fixture
def without_torch(monkeypatch):
    """Let it look as if torch had not been imported yet."""
    monkeypatch.delitem(sys.modules, "torch")
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("without_torch")
def test_imports_are_not_searched_for_garbage():
    with importing():
        assert not gc.isenabled()

    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


@pytest.mark.usefixtures("without_torch")
def test_an_import_that_fails_leaves_the_collector_on():
    with pytest.raises(ImportError), importing():
        raise ImportError

    assert gc.isenabled()


def test_later_imports_change_nothing():
    frozen = gc.get_freeze_count()

    with importing():
        assert gc.isenabled()

    assert gc.get_freeze_count() == frozen
