"""Ensembles: several networks of one config, each with its own fitted preprocessing, as one."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from leyden.batch import Batch
from leyden.data.base import DataModule
from leyden.data.batches.loader import ResumableLoader
from leyden.data.joined import JoinedReader, different_rows, join_fields, separate_fields
from leyden.data.readers import Reader
from leyden.data.rows import Split
from leyden.tasks.averaging import Averaging
from leyden.tasks.base import Task


def average_networks(tasks: Sequence[Task]) -> Task:
    """Make one task of several, whose network returns the average of theirs.

    Args:
        tasks: Tasks of one config. The first is changed and returned: it measures and predicts.

    Raises:
        UserError: If the outputs of their networks cannot be averaged.
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
        """Average the outputs for inputs ``(batch, ...)``, named by ``join_fields``."""
        own = separate_fields(inputs)
        return self.average([network(**own[i]) for i, network in enumerate(self.networks)])


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
        self._reader: Reader | None = None

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
            UserError: If the members keep different rows of the data.
        """
        self.members[0].setup(stage)
        for member in self.members[1:]:
            member.split_rows(stage)  # without the warnings, which are the same
        if len({member.split_fingerprint() for member in self.members}) > 1:
            raise different_rows("of these data")

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
        fields = zip(self.members, separate_fields(raw), strict=True)
        return join_fields([member.network_inputs(own) for member, own in fields])

    def normalisation(self) -> dict[str, nn.Module]:
        """Build the modules of all members, such as ``0/images``."""
        return join_fields([member.normalisation() for member in self.members])

    def normalise(
        self, raw: Mapping[str, Tensor], modules: Mapping[str, nn.Module]
    ) -> dict[str, Tensor]:
        """Convert the raw fields of all members with some modules."""
        fields = []
        for i, own in enumerate(separate_fields(raw)):
            of_member = {name: modules[f"{i}/{name}"] for name in own if f"{i}/{name}" in modules}
            fields.append(self.members[i].normalise(own, of_member))
        return join_fields(fields)

    def reader(self) -> Reader:
        """Return the reader that all members share, or one that reads once for each member."""
        if self._reader is None:
            readers = [member.reader() for member in self.members]
            shared = all(reader.to_json() == readers[0].to_json() for reader in readers)
            self._reader = readers[0] if shared else JoinedReader(members=readers)
        return self._reader

    def raw_fields(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the values of ``reader`` to the raw fields of all members."""
        joined = isinstance(self.reader(), JoinedReader)
        own = separate_fields(values) if joined else [values] * len(self.members)
        members = zip(self.members, own, strict=True)
        return join_fields([member.raw_fields(values) for member, values in members])

    def values_of(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return what ``reader`` would have read for cached rows ``(n,)``."""
        if isinstance(self.reader(), JoinedReader):
            return join_fields([member.values_of(rows) for member in self.members])
        return self.members[0].values_of(rows)


class _JoinedRows(Dataset[Batch]):
    """Fetches the same rows for each member."""

    def __init__(self, members: Sequence[Dataset[Batch]]) -> None:
        self.members = members

    def __getitem__(self, key: tuple[int, Tensor]) -> Batch:
        batches = [rows[key] for rows in self.members]
        return batches[0]._replace(inputs=join_fields([batch.inputs for batch in batches]))
