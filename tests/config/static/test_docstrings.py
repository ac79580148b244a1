import pytest

from leyden.config.static.docstrings import parameters_of, summary_of
from leyden.config.static.targets import resolve


@pytest.mark.parametrize(
    ("target", "name", "expected"),
    [
        ("leyden.networks.cnn.CNN", "channels", "Channels of each convolution, first to last."),
        ("leyden.optim.schedules.step", "gamma", "Factor"),
        # a field of a dataclass, and one of its base
        ("leyden.data.table.cleaning.TableCleaning", "outliers", "impossible"),
        ("leyden.data.table.cleaning.TableCleaning", "duplicates", "Whether to drop repeated rows"),
        # handed on by **options to a base in another file
        ("leyden.tasks.classification.Classification", "compile_network", "Whether to compile"),
        # assigned to __doc__, joined from pieces, and inserted from another module
        ("torch.optim.AdamW", "weight_decay", "weight decay coefficient"),
        ("torch.optim.AdamW", "maximize", "maximize the objective"),
        # in the docstring of the constructor
        ("lightning.pytorch.Trainer", "max_epochs", "Stop training once this number of epochs"),
    ],
)
def test_docstring_of_a_parameter(target: str, name: str, expected: str) -> None:
    found = parameters_of(resolve(target).definition)[name]

    assert expected in found
    assert "`" not in found


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("leyden.tasks.classification.Classification", "Multi-class classification."),
        ("torch.optim.AdamW", "Implements AdamW algorithm"),
    ],
)
def test_summary(target: str, expected: str) -> None:
    assert summary_of(resolve(target).definition).startswith(expected)
