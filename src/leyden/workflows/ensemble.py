"""Ensembles: several networks of one config, each with its own fitted preprocessing, as one."""

import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from leyden.batch import Batch
from leyden.data.base import DataModule
from leyden.data.batches.loader import ResumableLoader
from leyden.data.inputs import Inputs
from leyden.data.rows import Split
from leyden.errors import UserError
from leyden.tasks.averaging import Averaging
from leyden.tasks.base import Task


def average_networks(tasks: Sequence[Task]) -> Task:
    """Make one task of several, whose network returns the average of theirs.

    Args:
        tasks: Tasks of one config. The first is changed and returned: it measures and predicts.

    Raises:
        UserError: The outputs of their networks cannot be averaged.
    """
    first = tasks[0]
    average = first.averaging([task.spec for task in tasks])
    first.network = AveragedNetworks([task.network for task in tasks], average)
    return first


class AveragedNetworks(nn.Module):
    """Networks that share no weights; the output is the average of theirs.

    Args:
        networks: The networks.
        average: Averages their outputs.
    """

    def __init__(self, networks: Sequence[nn.Module], average: Averaging) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.average = average

    def forward(self, **inputs: Tensor) -> Tensor:
        """Average the outputs for inputs ``(batch, ...)``, named by ``joined``."""
        own = _separated(inputs)
        return self.average([network(**own[i]) for i, network in enumerate(self.networks)])


def _joined(fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the fields of all members into one mapping, such as ``0/images`` and ``1/images``."""
    return {f"{i}/{name}": value for i, own in enumerate(fields) for name, value in own.items()}


def _separated(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of each member, as they were before ``_joined``."""
    own: dict[int, dict[str, Any]] = {}
    for key, value in fields.items():
        member, _, name = key.partition("/")
        own.setdefault(int(member), {})[name] = value
    return [own[i] for i in range(len(own))]


class EnsembleData(LightningDataModule):
    """The data of an ensemble: each member reads and normalises the same rows in its own way.

    Args:
        members: Data modules of one config, each with the fitted preprocessing of a member. The
            first gives the targets.
    """

    def __init__(self, members: Sequence[DataModule]) -> None:
        super().__init__()
        self.members = list(members)
        self.batch_size = members[0].batch_size
        self.readable = members[0].readable

    @property
    def tests_all_rows(self) -> bool:
        """Whether all rows are one test split, as when other data are measured."""
        return self.members[0].tests_all_rows

    @tests_all_rows.setter
    def tests_all_rows(self, value: bool) -> None:
        for member in self.members:
            member.tests_all_rows = value

    def prepare_data(self) -> None:
        """Read, clean and cache the rows, unless that is done."""
        for member in self.members:
            member.prepare_data()

    def setup(self, stage: str | None = None) -> None:
        """Map the cache and split it.

        Raises:
            UserError: Members keep other rows of the data than the first.
        """
        self.members[0].setup(stage)
        for member in self.members[1:]:
            member.split_rows(stage)  # without the warnings, which are the same
        if len({member.split_fingerprint() for member in self.members}) > 1:
            raise UserError(_other_rows("of these data"))

    def fingerprint(self) -> str:
        """Return the digest of all prepared rows and their targets."""
        return self.members[0].fingerprint()

    def split_fingerprint(self) -> str:
        """Return a digest of the row numbers in each split."""
        return self.members[0].split_fingerprint()

    def row_numbers(self, split: Split) -> NDArray[Any]:
        """List the row numbers of a split."""
        return self.members[0].row_numbers(split)

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches of validation rows."""
        return self._loader(DataModule.val_dataloader)

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of test rows."""
        return self._loader(DataModule.test_dataloader)

    def _loader(self, loader_of: Callable[[DataModule], DataLoader[Batch]]) -> DataLoader[Batch]:
        loaders: list[Any] = [loader_of(member) for member in self.members]
        rows = _JoinedRows([loader.dataset for loader in loaders])
        return ResumableLoader(rows, order=loaders[0].order, num_workers=0, data=self)

    def transfer_batch_to_device(
        self,
        batch: Batch,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002  # Lightning's signature
    ) -> Batch:
        """Move a batch."""
        return batch.to(device)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """Normalise a batch on its device."""
        return batch._replace(inputs=self.network_inputs(batch.inputs))

    def network_inputs(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn the fields of a raw batch, of all members, into inputs of ``AveragedNetworks``."""
        fields = zip(self.members, _separated(raw), strict=True)
        return _joined([member.network_inputs(own) for member, own in fields])

    def read_inputs(self, paths: Sequence[str]) -> Iterator[Inputs]:
        """Read files to predict on, chunk by chunk, once for each member.

        Raises:
            UserError: Members can read other rows of the files than the first.
        """
        with _pipes_copied(paths) as copies:
            readers = (member.read_inputs(list(copies)) for member in self.members)
            for chunks in zip(*readers, strict=True):
                if any(list(chunk.names) != list(chunks[0].names) for chunk in chunks):
                    raise UserError(_other_rows(f"of {', '.join(paths)}"))
                yield Inputs(
                    names=[_renamed(name, copies) for name in chunks[0].names],
                    fields=_joined([chunk.fields for chunk in chunks]),
                    rejected=[
                        replace(item, source=_renamed(item.source, copies))
                        for item in chunks[0].rejected
                    ],
                )


class _JoinedRows(Dataset[Batch]):
    """Fetches the same rows for each member."""

    def __init__(self, members: Sequence[Dataset[Batch]]) -> None:
        self.members = members

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        batches = [rows[key] for rows in self.members]
        return batches[0]._replace(inputs=_joined([batch.inputs for batch in batches]))


@contextmanager
def _pipes_copied(paths: Sequence[str]) -> Iterator[dict[str, str]]:
    """Copy the content of pipes, such as ``/dev/stdin``, which can be read only once.

    Yields:
        The paths as they were given, by those to read.
    """
    with ExitStack() as copies:
        readable = {}
        for path in paths:
            if Path(path).is_fifo():
                copy = copies.enter_context(NamedTemporaryFile(prefix="leyden-"))
                with Path(path).open("rb") as stream:
                    shutil.copyfileobj(stream, copy)
                copy.flush()
                readable[copy.name] = path
            else:
                readable[path] = path
        yield readable


def _renamed(name: str, copies: Mapping[str, str]) -> str:
    """Return the name of a row, or of a file, with the path of a copy as it was given."""
    for copy, path in copies.items():
        if copy != path and name.startswith(copy):
            return path + name.removeprefix(copy)
    return name


def _other_rows(what: str) -> str:
    return (
        f"The members of the ensemble can read different rows {what}, because each knows the "
        "columns and values that it has learned from. Expected data like those of the run; or give "
        "one of its members, such as run=RUN/fold-0."
    )
