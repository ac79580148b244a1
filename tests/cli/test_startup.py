import gc
import subprocess
import sys

import pytest

from leyden.cli.startup import importing


@pytest.fixture
def without_torch(monkeypatch):
    """Pretend that torch has not been imported yet."""
    monkeypatch.delitem(sys.modules, "torch")
    yield
    gc.unfreeze()


@pytest.mark.usefixtures("without_torch")
def test_the_collector_is_off_during_imports():
    with importing():
        assert not gc.isenabled()

    assert gc.isenabled()
    assert gc.get_freeze_count() > 0


@pytest.mark.usefixtures("without_torch")
def test_the_collector_is_off_before_imports():
    with importing():
        assert not gc.isenabled()
        with importing():
            pass
        assert gc.isenabled()


@pytest.mark.usefixtures("without_torch")
def test_a_command_without_imports_leaves_the_collector_on():
    with importing():
        pass

    assert gc.isenabled()


def test_the_collector_stays_on_after_torch_was_imported():
    with importing():
        assert gc.isenabled()


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


@pytest.mark.slow
def test_a_run_does_not_import_rarely_used_packages():
    slow = {"torch.distributed.checkpoint", "pyarrow", "tokenizers", "soxr"}
    program = (
        "import leyden.data.sets.digits, leyden.tasks.classification, leyden.workflows.train\n"
        f"import sys; print(sorted({slow} & set(sys.modules)))"
    )

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )

    assert done.stdout == "[]\n"
