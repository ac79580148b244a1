"""Base class of data modules: from a source of rows to batches on the device."""

import hashlib
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
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
from leyden.data.features import Features, concatenate
from leyden.data.readers import Reader
from leyden.data.rows import SPLITS, Rows, Split
from leyden.data.split_checks import check_splits, warn_of_unmeasured
from leyden.data.splits import HoldOut, Population, Splits, Splitter
from leyden.errors import UserError

log = logging.getLogger(__name__)

ROWS_PER_CHUNK = 1024
"""Rows whose features are computed at once."""


class DataModule(LightningDataModule, ABC):
    """Base class of data modules, which cache, clean and split rows and fetch whole batches.

    A data set implements ``source_settings`` and ``read``, which define its source. A kind of data
    implements ``fit``, ``normalisation``, ``network_sizes`` and ``reader``, which define how raw
    rows become network inputs.

    Args:
        name: Name of the cache's folder, and the default name of runs.
        batch_size: Number of rows per batch and process, at least 1.
        num_workers: Number of loader processes; rows are memory-mapped, so 0 is usually fastest.
        seed: Seed of the batch order and the augmentation.
        splitter: Rule that assigns rows to splits if the source does not; ``HoldOut()`` by default.
        balanced: Whether to draw training rows such that all classes are equally frequent.
        cleaning: Cleaning steps that run; all steps of ``cleaning_type`` by default.
        augment: Augmentations of raw training batches by name, in order; ``None`` is skipped.
        augment_inputs: Augmentations of the normalised network inputs, in the same format.
        keep_on_device: Whether to keep all rows on the GPU if they have one shape and fit in it.
        cache_dir: Folder of the caches; the user's cache folder by default.

    Raises:
        TypeError: If ``splitter``, ``cleaning`` or an augmentation is of another type.
        ValueError: If ``batch_size`` is less than 1 or ``num_workers`` is negative.
    """

    cleaning_type: ClassVar[type[Cleaning]] = Cleaning
    """Class of the cleaning steps of this kind of data."""

    look: ClassVar[str | None] = None
    """Dotted name of the function that looks at the source before torch is imported: a ``Looker``
    of ``leyden.data.look``, by which a run chooses its network and task."""

    input_names: ClassVar[Mapping[str, str]] = {}
    """Network input by raw field, if normalisation changes what the field holds."""

    predict_split: Split = "test"
    """Split of which ``predict_dataloader`` gives the rows."""

    class_names: tuple[str, ...] | None = None
    """Class names by index; a data set declares them on its class if its targets are indices."""

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
        self.tests_all_rows = False  # True if a trained network is evaluated on other data
        self.statistics: dict[str, Any] = {}
        self.target_counts: dict[str, Any] = {}
        self._cache: Cache | None = None
        self._splits: Splits = {}
        self._dataset: Dataset[Batch] | None = None
        self._normalise: dict[str, nn.Module] | None = None

    @abstractmethod
    def source_settings(self) -> dict[str, Any]:
        """Return what identifies the source, without reading it: values that change with its rows.

        Returns:
            Plain containers and values by name; they are part of the fingerprint of the cache.
        """

    @abstractmethod
    def read(self) -> Iterator[Rows]:
        """Yield the rows of the source in chunks, in an order that never changes.

        Raises:
            UserError: If the source is missing or cannot be read as a whole.
        """

    @abstractmethod
    def fit(self, arrays: dict[str, Any], rows: NDArray[np.int64]) -> dict[str, Any]:
        """Compute the statistics of the preprocessing from the training rows.

        Args:
            arrays: Inputs of all rows by name of the field, ``(rows, ...)`` or ``Ragged``, in the
                dtypes of the cache.
            rows: Numbers ``(n,)`` (int64) of the training rows.

        Returns:
            Tensors and plain containers by name; checkpoints hold them.
        """

    @abstractmethod
    def normalisation(self) -> dict[str, nn.Module]:
        """Build the modules that convert raw fields to network inputs, from ``statistics``.

        Returns:
            Module by name of the raw field, of which it takes a tensor ``(batch, ...)`` in the
            dtype of the cache. Fields without a module, such as a mask, are passed unchanged.
        """

    @abstractmethod
    def network_sizes(self) -> dict[str, Any]:
        """Return the keyword arguments that determine the sizes of networks of this kind.

        Returns:
            ``num_outputs``, and for instance ``input_shape`` or ``vocabulary_size``.
        """

    def reader(self) -> Reader:
        """Return the reader of files to predict on, which an exported network comes with.

        Raises:
            UserError: If this kind of data does not implement it.
        """
        raise UserError(
            f"{type(self).__name__} cannot read files to predict on. Implement `reader`."
        )

    def raw_fields(self, values: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Convert the values of ``reader``, ``(batch, ...)``, to raw fields of the same rows."""
        return dict(values)

    def values_of(self, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
        """Return what ``reader`` would have read for cached rows ``(n,)``, once ``setup`` has run.

        Returns:
            Arrays ``(n, ...)`` by name.
        """
        raw = self.dataset(self.cached)[0, torch.from_numpy(rows)].inputs
        return {value.name: raw[value.name].numpy() for value in self.reader().values}

    def readable(self, columns: Mapping[str, list[Any]]) -> dict[str, list[Any]]:
        """Convert predictions that are in units of the data, such as token ids, to plain values.

        Args:
            columns: Predicted values ``(rows,)`` by name of the column.
        """
        return dict(columns)

    def readable_targets(self, rows: NDArray[np.int64]) -> list[Any]:
        """Return the targets of rows ``(n,)`` as a person reads them, ``n`` plain values."""
        return targets.readable_targets(self.cached, rows)

    def dataset(self, cached: Cache) -> Dataset[Batch]:
        """Build the dataset that returns the raw batch for a key ``(seed, row numbers)``.

        Kinds whose rows differ in size override it to pad them.

        Args:
            cached: Prepared rows; number targets are centred.
        """
        return CachedRows(cached)

    def row_sizes(self, rows: NDArray[np.int64]) -> Tensor | None:  # noqa: ARG002
        """Return the sizes of rows that differ in size, so that batches hold rows of similar size.

        Args:
            rows: Row numbers ``(n,)`` (int64).

        Returns:
            Sizes ``(n,)``, or ``None`` if all rows have one shape.
        """
        return None

    def assign(self, rows: Population) -> Splits:
        """Assign the rows to splits, by default with the splitter."""
        if self.tests_all_rows:
            return dict(zip(SPLITS, rows.given(), strict=True))
        return self.splitter.split(rows)

    def tokens(self) -> tuple[str, ...]:
        """Return the tokens of target sequences by id; empty for other targets."""
        return ()

    def network_inputs(self, raw: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Normalise the fields of a raw batch on its device.

        Args:
            raw: Fields ``(batch, ...)`` by name, in the dtypes of the cache.

        Returns:
            Tensors ``(batch, ...)`` by name of the argument of the network's ``forward``.
        """
        if self._normalise is None:
            device = next(iter(raw.values())).device
            modules = self.normalisation()
            self._normalise = {field: module.to(device) for field, module in modules.items()}
        return self.normalise(raw, self._normalise)

    def normalise(
        self, raw: Mapping[str, Tensor], modules: Mapping[str, nn.Module]
    ) -> dict[str, Tensor]:
        """Convert the fields of a raw batch with some modules, as ``network_inputs`` does.

        Args:
            raw: Fields ``(batch, ...)`` by name, in the dtypes of the cache.
            modules: Module by name of the field, as ``normalisation`` returns them.
        """
        return {
            self.input_names.get(field, field): modules[field](values)
            if field in modules
            else values
            for field, values in raw.items()
        }

    def centred_targets(self, split: Split) -> Tensor:
        """Return the targets of a split as batches hold them, once ``setup`` has run.

        Args:
            split: The split; rows are in the order of ``row_numbers(split)``.
        """
        centred = targets.centre_targets(self.cached, self.target_counts)
        return torch.from_numpy(centred.targets[self.row_numbers(split)])

    def features(self, split: Split) -> Features:
        """Compute the features of a split that baselines learn from, once ``setup`` has run.

        Args:
            split: The split; rows are in the order of ``row_numbers(split)``.

        Raises:
            UserError: If this kind of data does not implement ``summarise``.
        """
        rows = torch.from_numpy(self.row_numbers(split))
        dataset = self.dataset(self.cached)
        batches = (dataset[0, chunk] for chunk in torch.split(rows, ROWS_PER_CHUNK))
        return concatenate([self.summarise(self.network_inputs(batch.inputs)) for batch in batches])

    def summarise(self, inputs: Mapping[str, Tensor]) -> Features:  # noqa: ARG002
        """Compute features for baselines from normalised inputs, ``(batch, ...)`` each."""
        raise UserError(
            f"{type(self).__name__} has no features for baselines. Implement `summarise`, or "
            "choose data of another kind."
        )

    def prepare_data(self) -> None:
        """Read, clean and cache the rows, unless the cache exists.

        Raises:
            UserError: If the source has no usable rows, or the cache cannot be written.
        """
        folder = self._cache_folder()
        if not folder.is_dir():
            log.info("preparing %s in %s", self.name, folder)
        # The class names of a checkpoint must not affect the cache.
        names = type(self).class_names
        prepare(folder, self._rows, steps=self.cleaning, class_names=names)

    def setup(self, stage: str | None = None) -> None:
        """Memory-map the cache, split it, and fit the preprocessing on the training split.

        Args:
            stage: Lightning's name of what follows. Only ``fit`` and ``None`` need splits from
                which a network can learn.

        Raises:
            UserError: If such a split is empty, or the classes differ from those of a checkpoint.
        """
        if self._cache is None:
            self.split_rows(stage)
            if not self.tests_all_rows:
                warn_of_unmeasured(self._splits, self.cached)
            for warning in self.cached.cleaning_report().warnings:
                log.warning("cleaning: %s", warning)
        if not self.target_counts:
            self._fit()

    def split_rows(self, stage: str | None = None) -> None:
        """Memory-map the cache and split it, as ``setup`` does, without fitting anything."""
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
        """The prepared rows.

        Raises:
            RuntimeError: If ``setup`` has not run.
        """
        if self._cache is None:
            raise RuntimeError("call prepare_data() and setup() first")
        return self._cache

    @property
    def spec(self) -> DataSpec:
        """The sizes, class names and target statistics from which networks and tasks are built."""
        return DataSpec(
            network_sizes=self.network_sizes(),
            class_names=self.class_names or (),
            targets=self.target_counts,
            tokens=self.tokens(),
        )

    def cleaning_report(self) -> CleaningReport:
        """Return what cleaning has found and dropped.

        Raises:
            RuntimeError: If ``setup`` has not run.
        """
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
        """Return the sorted row numbers ``(n,)`` (int64) of a split."""
        return self._splits[split]

    def train_dataloader(self) -> DataLoader[Batch]:
        """Return the loader of training batches, whose order is drawn anew each epoch."""
        return self._loader("train")

    def val_dataloader(self) -> DataLoader[Batch]:
        """Return the loader of validation batches."""
        return self._loader("val")

    def test_dataloader(self) -> DataLoader[Batch]:
        """Return the loader of test batches."""
        return self._loader("test")

    def predict_dataloader(self) -> DataLoader[Batch]:
        """Return the loader of batches of the split ``predict_split``."""
        return self._loader(self.predict_split)

    def transfer_batch_to_device(
        self,
        batch: Batch,
        device: torch.device,
        dataloader_idx: int,  # noqa: ARG002
    ) -> Batch:
        """Move a batch to a device; Lightning's default searches all of its fields for tensors."""
        return batch.to(device)

    def on_after_batch_transfer(self, batch: Batch, dataloader_idx: int) -> Batch:  # noqa: ARG002
        """Normalise a batch on its device, and augment it in training.

        Returns:
            Batch whose inputs are those of the network.

        Raises:
            UserError: If an augmentation names a field that batches do not have.
        """
        changes = self.augment or self.augment_inputs
        if not (changes and self.trainer and self.trainer.training):
            return batch._replace(inputs=self.network_inputs(batch.inputs))
        generator = torch.Generator(batch.rows.device).manual_seed(batch.seed)
        raw = augment_fields(batch.inputs, self.augment, generator)
        inputs = augment_fields(self.network_inputs(raw), self.augment_inputs, generator)
        return batch._replace(inputs=inputs)

    def state_dict(self) -> dict[str, Any]:
        """Return the class names and the fitted preprocessing as plain containers and tensors."""
        return {
            "class_names": list(self.class_names or ()),
            "statistics": self.statistics,
            "target_counts": self.target_counts,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the class names and the fitted preprocessing.

        Raises:
            UserError: If ``setup`` has run on rows of other classes.
        """
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
                f"The {split} split has {len(numbers)} rows for {world_size} ranks. Expected at "
                "least one for each: add data, change data.splitter, or give trainer.devices=1."
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
            # A short last batch has a noisy loss, and batch norm fails on a single row.
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
    """Raise if a value is of another class, such as a mapping of the arguments of ``kind``.

    Raises:
        TypeError: If the value is neither ``None`` nor an instance of ``kind``.
    """
    if value is not None and not isinstance(value, kind):
        raise TypeError(
            f"{key}: expected a value of type {kind.__name__}, got {value!r:.200}. "
            f"In a config, {key} is a node with a _target_: {kind.__module__}.{kind.__name__}."
        )
