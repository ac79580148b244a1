"""The base data module: from a source of rows to batches on the device."""

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from lightning.pytorch import LightningDataModule
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from leyden.batch import Batch, DataSpec
from leyden.data import targets
from leyden.data.batches.cached_rows import (
    CPU,
    Augmentation,
    CachedRows,
    augment_fields,
    without_none,
)
from leyden.data.batches.loader import ResumableLoader
from leyden.data.batches.sampler import BatchOrder
from leyden.data.cache import store
from leyden.data.cache.preparation import prepare
from leyden.data.cache.prepared import Cache, read_cache
from leyden.data.cleaning.steps import Cleaning, CleaningReport
from leyden.data.inputs import Inputs
from leyden.data.rows import SPLITS, Rows, Split
from leyden.data.split_checks import check_splits
from leyden.data.splits import HoldOut, Population, Splits, Splitter
from leyden.errors import UserError

log = logging.getLogger(__name__)


class DataModule(LightningDataModule, ABC):
    """Rows are read and cleaned once into a cache, split, and fetched a whole batch at a time.

    A data set declares where its rows come from (``source_settings``, ``read``). A kind of data
    declares what is fitted on the training split and how raw rows become network inputs
    (``fit``, ``normalisation``, ``network_sizes``, ``read_inputs``).

    Args:
        name: folder of the cache, and name of the run unless told otherwise.
        batch_size: rows per batch and process.
        num_workers: loader processes; rows are memory-mapped, so zero is usually fastest.
        seed: of the order of batches and of augmentation.
        splitter: Assigns rows to splits where the source does not; ``HoldOut()`` by default.
        balanced: draw training rows so that every class comes equally often.
        cleaning: the cleaning steps that run.
        augment: named augmentations of raw training batches, in order; ``None`` switches one off.
        augment_inputs: the same, applied after normalisation to what the network gets.
        keep_on_device: keep rows of one shape on a GPU that has room for all of them.
        cache_dir: where caches are kept; the user's cache folder by default.
    """

    cleaning_type: ClassVar[type[Cleaning]] = Cleaning
    """The cleaning steps of this kind of data, all of which run by default."""

    input_names: ClassVar[Mapping[str, str]] = {}
    """Names of network inputs by raw field, for fields that normalisation makes something else."""

    class_names: tuple[str, ...] | None = None
    """Declared on the class by a data set whose targets are indices; else those of its rows."""

    def __init__(
        self,
        *,
        name: str,
        batch_size: int = 64,
        num_workers: int = 0,
        seed: int = 0,
        splitter: Splitter | None = None,
        balanced: bool = False,
        cleaning: Cleaning | None = None,
        augment: Mapping[str, Augmentation | None] | None = None,
        augment_inputs: Mapping[str, Augmentation | None] | None = None,
        keep_on_device: bool = True,
        cache_dir: str | None = None,
    ) -> None:
        super().__init__()
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1, got {batch_size}")
        _check_node("splitter", splitter, Splitter)
        _check_node("cleaning", cleaning, self.cleaning_type)
        if num_workers < 0:
            raise ValueError(f"num_workers must be at least 0, got {num_workers}")
        self.name = name
        self.batch_size = batch_size
        self.num_workers = num_workers
        self.seed = seed
        self.splitter = splitter or HoldOut()
        self.balanced = balanced
        self.cleaning = cleaning or self.cleaning_type()
        self.augment = without_none(augment)
        self.augment_inputs = without_none(augment_inputs)
        self.keep_on_device = keep_on_device
        self.cache_dir = Path(cache_dir).expanduser() if cache_dir else store.default_folder()
        self.tests_all_rows = False  # as when a trained network is measured on other data
        self.statistics: dict[str, Any] = {}
        self.target_counts: dict[str, Any] = {}
        self._cache: Cache | None = None
        self._splits: Splits = {}
        self._dataset: Dataset[Batch] | None = None
        self._normalise: dict[str, nn.Module] | None = None

    @abstractmethod
    def source_settings(self) -> dict[str, Any]:
        """Say what the source is, cheaply: plain values that change when its rows would."""

    @abstractmethod
    def read(self) -> Iterator[Rows]:
        """Yield the rows of the source in chunks, in an order that never changes."""

    @abstractmethod
    def fit(self, arrays: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Fit the preprocessing's statistics on the training rows alone.

        Returns:
            Tensors and plain containers: they are kept in checkpoints.
        """

    @abstractmethod
    def normalisation(self) -> dict[str, nn.Module]:
        """Build the modules that turn raw fields into network inputs.

        Returns:
            A module by name of the raw field ``(batch, ...)`` that it takes. Fields without one,
            such as a mask, are network inputs as they are.
        """

    @abstractmethod
    def network_sizes(self) -> dict[str, Any]:
        """Give the keyword arguments that size every network of this kind."""

    @abstractmethod
    def read_inputs(self, paths: Sequence[str]) -> Iterator[Inputs]:
        """Read files to predict on, and those below folders, chunk by chunk."""

    def readable(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Turn predictions that only the data can read, such as token ids, into plain values."""
        return dict(columns)

    def readable_targets(self, rows: NDArray[np.int64]) -> list[Any]:
        """Return the targets of rows ``(n,)`` as a person reads them, ``n`` plain values."""
        return targets.readable_targets(self.cached, rows)

    def dataset(self, cached: Cache) -> Dataset[Batch]:
        """Make what fetches a batch by ``(seed, rows)``; kinds of uneven rows make their own."""
        return CachedRows(cached)

    def row_sizes(self, rows: NDArray[np.int64]) -> Tensor | None:  # noqa: ARG002
        """Give the sizes ``(rows,)`` of uneven rows, so that a batch holds rows of like size."""
        return None

    def assign(self, rows: Population) -> Splits:
        """Assign rows to splits; override it if the splits are given otherwise."""
        if self.tests_all_rows:
            return dict(zip(SPLITS, rows.given(), strict=True))
        return self.splitter.split(rows)

    def tokens(self) -> tuple[str, ...]:
        """Name the numbers in target sequences; kinds whose targets are sequences have such."""
        return ()

    def network_inputs(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Turn the fields of a raw batch into the network's inputs, on the batch's device.

        Args:
            raw: ``(batch, ...)`` by name, as ``dataset`` or ``read_inputs`` gives them.

        Returns:
            ``(batch, ...)`` by the name of the network's argument.
        """
        if self._normalise is None:
            device = next(iter(raw.values())).device
            modules = self.normalisation()
            self._normalise = {field: module.to(device) for field, module in modules.items()}
        return {
            self.input_names.get(field, field): self._normalise[field](values)
            if field in self._normalise
            else values
            for field, values in raw.items()
        }

    def prepare_data(self) -> None:
        """Read, clean and cache the rows, unless another run or process has done so."""
        folder = self._cache_folder()
        if not folder.is_dir():
            log.info("preparing %s in %s", self.name, folder)
        # A checkpoint's names must not shape the cache.
        names = type(self).class_names
        prepare(folder, self._rows, steps=self.cleaning, class_names=names)

    def setup(self, stage: str | None = None) -> None:
        """Map the cache, split it, and fit the preprocessing on the training split.

        Args:
            stage: Lightning's name of what follows; any but ``None`` and ``fit`` lets splits that
                nothing could be learned from pass.
        """
        if self._cache is None:
            self.split_rows(stage)
            for warning in self.cached.cleaning_report().warnings:
                log.warning("cleaning: %s", warning)
        if not self.target_counts:
            self._fit()

    def split_rows(self, stage: str | None = None) -> None:
        """Map the cache and split it, as ``setup`` does, without fitting anything."""
        cached = read_cache(self._cache_folder())
        if self.class_names is not None:
            cached = targets.align_classes(cached, self.class_names)
        self.class_names = cached.class_names
        self._cache, self._splits = cached, self.assign(cached.population())
        if not self.tests_all_rows:
            check_splits(self._splits, cached, to_learn=stage in (None, "fit"))

    def _fit(self) -> None:
        cached, rows = self.cached, self._splits["train"]
        self.statistics = self.fit(cached.arrays, rows)
        self.target_counts = {"kind": "sequence"}
        if "sequences" not in cached.arrays:
            classes = len(cached.class_names)
            self.target_counts = targets.count_targets(cached.targets[rows], classes)

    @property
    def cached(self) -> Cache:
        """The prepared rows, once ``setup`` has run."""
        if self._cache is None:
            raise RuntimeError("call prepare_data() and setup() first")
        return self._cache

    @property
    def spec(self) -> DataSpec:
        """The sizes and class names that networks and tasks take."""
        return DataSpec(
            network_sizes=self.network_sizes(),
            class_names=self.class_names or (),
            targets=self.target_counts,
            tokens=self.tokens(),
        )

    def cleaning_report(self) -> CleaningReport:
        """Give what cleaning found, once ``setup`` has run."""
        return self.cached.cleaning_report()

    def fingerprint(self) -> str:
        """Return the digest of all prepared rows and their targets."""
        return read_cache(self._cache_folder()).fingerprint

    def split_fingerprint(self) -> str:
        """Return a digest of the row numbers in each split."""
        digest = hashlib.blake2b(digest_size=16)
        for split in SPLITS:
            digest.update(len(self.row_numbers(split)).to_bytes(8, "little"))
            digest.update(self.row_numbers(split).data)
        return digest.hexdigest()

    def row_numbers(self, split: Split) -> NDArray[np.int64]:
        """List the row numbers of ``train``, ``val`` or ``test``."""
        return self._splits[split]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Batches of training rows in an order drawn anew each epoch."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Batch]:
        """Batches of validation rows."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Batches of test rows."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Batches of test rows, which training has not seen."""
        return self._loader("test")

    def transfer_batch_to_device(
        self,
        batch: Batch,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> Batch:
        """Move a batch; Lightning's own way looks for tensors in everything that it holds."""
        return batch.to(device)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """Augment (in training) and normalise a batch on its device."""
        changes = self.augment or self.augment_inputs
        if not (changes and self.trainer and self.trainer.training):
            return batch._replace(inputs=self.network_inputs(batch.inputs))
        generator = torch.Generator(batch.rows.device).manual_seed(batch.seed)
        raw = augment_fields(batch.inputs, self.augment, generator)
        inputs = augment_fields(self.network_inputs(raw), self.augment_inputs, generator)
        return batch._replace(inputs=inputs)

    def state_dict(self) -> dict[str, Any]:
        """Give the fitted preprocessing as plain containers and tensors."""
        return {
            "class_names": list(self.class_names or ()),
            "statistics": self.statistics,
            "target_counts": self.target_counts,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take fitted preprocessing over from a checkpoint."""
        names = tuple(state_dict["class_names"])
        if self._cache is not None and names != self._cache.class_names:
            raise targets.different_classes(names, self._cache.class_names)
        self.class_names = names
        self.target_counts = state_dict["target_counts"]
        self.statistics = state_dict["statistics"]
        self._dataset = self._normalise = None

    def _rows(self) -> Iterator[Rows]:
        for rows in self.read():
            yield replace(rows, split="test") if self.tests_all_rows else rows

    def _cache_folder(self) -> Path:
        settings = {
            "module": f"{type(self).__module__}.{type(self).__qualname__}",
            "source": self.source_settings(),
            "class_names": type(self).class_names,
            "cleaning": vars(self.cleaning),
            "tests_all_rows": self.tests_all_rows,
        }
        return self.cache_dir / str(self.name) / store.fingerprint(settings)

    def _loader(self, split: Split) -> DataLoader[Batch]:
        numbers = self._splits[split]
        training = split == "train"
        world_size = self.trainer.world_size if self.trainer else 1
        if len(numbers) < world_size:
            raise UserError(
                f"The {split} split has {len(numbers)} rows for {world_size} ranks. Expected one "
                "each at least: add data, change data.splitter, or give trainer.devices=1."
            )
        order = BatchOrder(
            torch.from_numpy(numbers),
            sizes=self.row_sizes(numbers),
            weights=targets.balancing_weights(self.cached.targets[numbers], self.class_names)
            if training and self.balanced
            else None,
            batch_size=self.batch_size,
            seed=self.seed,
            shuffle=training,
            # A short last batch makes the loss noisy and batch norm fail on one row.
            drop_last=training and len(numbers) >= self.batch_size * world_size,
            repeat=bool(getattr(self.trainer, "overfit_batches", 0)),
            rank=self.trainer.global_rank if self.trainer else 0,
            world_size=world_size,
        )
        if self._dataset is None:
            self._dataset = self.dataset(targets.centre_targets(self.cached, self.target_counts))
        return ResumableLoader(
            self._dataset,
            order=order,
            num_workers=self.num_workers,
            device=self.trainer.strategy.root_device if self.trainer else CPU,
            keep_on_device=self.keep_on_device,
            data=self,
        )


def _check_node(key: str, value: Any, kind: type) -> None:
    """Refuse an object of another class, or a mapping of some of its arguments.

    Raises:
        TypeError: The value is neither None nor of the class.
    """
    if value is not None and not isinstance(value, kind):
        raise TypeError(
            f"{key}: expected a value of type {kind.__name__}, got {value!r:.200}. "
            f"In a config, {key} is a node with a _target_: {kind.__module__}.{kind.__name__}."
        )
