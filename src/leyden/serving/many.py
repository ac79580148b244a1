"""Predicting any number of inputs, part by part, in one process or several."""

import hashlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tqdm import tqdm

from leyden.data.inputs import Inputs, flag_last, unreadable
from leyden.data.parts import CellCounts, Keep, Part
from leyden.data.readers import Findings
from leyden.data.rows import RejectedItem
from leyden.errors import UserError
from leyden.files import file_state
from leyden.serving.formats import FORMATS, Row
from leyden.serving.partial import PartialFile
from leyden.serving.predictor import Predictor
from leyden.serving.processes import Workers, map_in_order

PREDICTED = ("class", "labels", "value")
"""Columns of predictions that are called after the target, if it has a name."""

Open = Callable[[], Predictor]
"""Loads a network; it can be pickled."""


@dataclass(frozen=True, kw_only=True)
class RowOptions:
    """Options that determine the predicted rows.

    Attributes:
        form: Format, one of ``FORMATS``.
        top: Number of the most probable classes to list; 0 for the predicted one alone.
        keep: Columns of the inputs to keep beside the predictions.
    """

    form: str
    top: int = 0
    keep: Keep = ()


@dataclass(frozen=True, kw_only=True)
class Predicted:
    """A predicted part.

    Attributes:
        rows: Number of rows.
        columns: Names of their columns; empty if there are no rows.
        unread: Number of items that cannot be read.
        first_unread: Name of the first of them, and why it cannot be read.
        counts: Counts of the cells of a table.
        content: The encoded rows.
    """

    rows: int
    columns: Sequence[str]
    unread: int
    first_unread: Sequence[str]
    counts: Mapping[str, Mapping[str, Any]]
    content: bytes = field(default=b"", repr=False)


class PartPredictor:
    """Predicts parts as encoded rows.

    Args:
        predictor: The network.
        options: Options of the rows.
    """

    def __init__(self, predictor: Predictor, options: RowOptions) -> None:
        self._predictor = predictor
        self._options = options
        self._format = FORMATS[options.form]

    def __call__(self, part: Part) -> Predicted:
        """Read, predict and encode a part."""
        inputs = self._predictor.reader.read_part(part)
        rows = list(self._rows(inputs))
        rejected = inputs.rejected
        return Predicted(
            rows=len(rows),
            columns=list(rows[0]) if rows else [],
            unread=len(rejected),
            first_unread=[rejected[0].source, rejected[0].reason] if rejected else [],
            counts={name: asdict(found) for name, found in inputs.counts.items()},
            content=self._format.encode(rows, texts=["file", *inputs.kept]) if rows else b"",
        )

    def _rows(self, inputs: Inputs) -> Iterator[Row]:
        if not inputs.names:
            return
        predictions = self._predictor.stream_values(inputs.fields, top=self._options.top)
        target = self._predictor.reader.target
        kept = zip(*inputs.kept.values(), strict=True) if inputs.kept else ((),) * len(inputs.names)
        for name, row, cells in zip(inputs.names, predictions, kept, strict=True):
            if "top" in row and not self._format.nested:
                row = flatten_top(row, self._options.top)
            named = {"file": name, **name_after(target, row)}
            beside = dict(zip(inputs.kept, cells, strict=True))
            if clash := [column for column in beside if column in named]:
                raise UserError(
                    f"columns={clash[0]} cannot be kept, because the predictions have a column of "
                    "this name. Name the columns to keep without it, or rename it."
                )
            yield named | beside


def flatten_top(row: Row, top: int) -> dict[str, Any]:
    """Replace the list of the most probable classes by columns of the classes after the predicted.

    Example:
        >>> best = [{"class": "a", "probability": 0.6}, {"class": "b", "probability": 0.3}]
        >>> flatten_top({"class": "a", "probability": 0.6, "top": best}, 2)
        {'class': 'a', 'probability': 0.6, 'class_2': 'b', 'probability_2': 0.3}
    """
    flat = {name: value for name, value in row.items() if name != "top"}
    others = [each for each in row.get("top", ()) if each["class"] != row["class"]]
    for place, each in enumerate(others[: top - 1], start=2):
        flat |= {f"{name}_{place}": value for name, value in each.items()}
    return flat


def name_after(target: str | None, row: Row) -> Row:
    """Call the predicted column after the target, if that has a name.

    Example:
        >>> name_after("species", {"class": "gentoo", "probability": 0.9, "class_2": "adelie"})
        {'predicted_species': 'gentoo', 'probability': 0.9, 'predicted_species_2': 'adelie'}
    """
    if target is None:
        return row
    return {
        f"predicted_{target}{name.removeprefix(stem)}"
        if (stem := name.partition("_")[0]) in PREDICTED
        else name: value
        for name, value in row.items()
    }


class Prediction:
    """The prediction of some inputs, in their order.

    Args:
        open_network: Loads the network, in this process and in each worker process.
        paths: Files, or folders of files.
        options: Options of the rows.
        processes: Number of processes that predict; 1 for this one.

    Raises:
        UserError: If the network cannot be loaded, or a path does not exist.
    """

    def __init__(
        self, open_network: Open, paths: Sequence[str], *, options: RowOptions, processes: int = 1
    ) -> None:
        self._open = open_network
        self._predictor = open_network()
        self._options = options
        self._processes = processes
        self._files = self._predictor.reader.files(paths)

    def stream(self) -> Iterator[bytes]:
        """Yield the encoded rows part by part, after the header.

        Raises:
            UserError: If inputs cannot be read; raised after all other rows if there are any.
        """
        totals = self._totals()
        has_header = False
        for _, predicted in self._predict(totals, shown=not sys.stdout.isatty()):
            if predicted.rows and not has_header:
                has_header = True
                yield FORMATS[self._options.form].header(predicted.columns)
            yield predicted.content
        totals.finish(self._files)

    def write(self, file: Path, settings: Mapping[str, Any]) -> None:
        """Write the rows to a file, which appears when it is complete; continue after a kill.

        Args:
            file: The file.
            settings: Other settings that determine the rows, such as overrides of a config.

        Raises:
            UserError: If the file exists or cannot be written, it was begun with other inputs or
                options, or inputs cannot be read; the last is raised after the file is complete.
        """
        output = PartialFile(file, FORMATS[self._options.form])
        totals = self._totals()
        found: set[int] = set()

        def recorded(number: int) -> Predicted | None:
            record = output.record(number)
            if record is None:
                return None
            found.add(number)
            return Predicted(**record)

        with output.held(self._job(settings)):
            for number, predicted in self._predict(totals, recorded):
                if number not in found:
                    record = asdict(predicted)
                    output.write(number, record, record.pop("content"))
            if totals.numbers:
                output.publish(totals.numbers, totals.columns)
            else:
                output.clear()
        totals.finish(self._files)

    def _job(self, settings: Mapping[str, Any]) -> dict[str, Any]:
        are_files = all(file.is_file() for file in self._files)
        return {
            "inputs": _digest(self._files) if are_files else None,
            "network": _digest(_files_below(self._predictor.path)),
            "options": {
                **asdict(self._options),
                **settings,
                "leyden": version("leyden"),
            },
        }

    def _totals(self) -> "Totals":
        return Totals(Findings(self._predictor.reader))

    def _predict(
        self,
        totals: "Totals",
        recorded: Callable[[int], Predicted | None] = lambda _: None,
        *,
        shown: bool = True,
    ) -> Iterator[tuple[int, Predicted]]:
        """Yield the predicted parts and their numbers, in order.

        Args:
            totals: Gets what is found in each part.
            recorded: Returns a part that was predicted before, by number.
            shown: Whether to show the progress if stderr is a terminal.
        """
        parts = self._predictor.reader.parts(self._files, keep=self._options.keep)
        with ExitStack() as stack:
            begin = self._beginner(stack)

            def submit(item: tuple[int, tuple[Part, bool]]) -> Callable[[], Predicted]:
                number, (part, _) = item
                found = recorded(number)
                return begin(part) if found is None else lambda: found

            bar = stack.enter_context(self._bar(shown=shown))
            ahead = 0 if self._processes == 1 else 2 * self._processes
            results = map_in_order(submit, enumerate(flag_last(parts)), ahead=ahead)
            for (number, (_, is_last)), predicted in results:
                totals.add(number, predicted, is_last=is_last)
                bar.update(predicted.rows + predicted.unread)
                yield number, predicted

    def _beginner(self, stack: ExitStack) -> Callable[[Part], Callable[[], Predicted]]:
        """Return a function that submits a part, and returns one that waits for it."""
        if self._processes == 1:
            predict = PartPredictor(self._predictor, self._options)
            return lambda part: partial(predict, part)
        start = partial(_start, self._open, self._options)
        workers: Workers[Part, Predicted] = Workers(start, processes=self._processes)
        stack.callback(workers.close)
        return workers.submit

    def _bar(self, *, shown: bool) -> Any:
        """Return a progress bar, whose length is known if each file is a row."""
        rows = None if self._predictor.reader.columns else len(self._files)
        return tqdm(total=rows, unit="row", unit_scale=True, disable=None if shown else True)


class Totals:
    """What is known of all parts so far.

    Args:
        findings: Collects what the inputs hold.

    Attributes:
        numbers: Numbers of the parts with rows.
        columns: Names of the columns of the rows.
    """

    def __init__(self, findings: Findings) -> None:
        self._findings = findings
        self._unread = 0
        self._first: Sequence[str] = ()
        self.numbers: list[int] = []
        self.columns: Sequence[str] = ()

    def add(self, number: int, predicted: Predicted, *, is_last: bool) -> None:
        """Add a part.

        Raises:
            UserError: If no cell of a column is known so far.
        """
        if predicted.rows:
            self.numbers.append(number)
            self.columns = predicted.columns
        self._unread += predicted.unread
        self._first = self._first or predicted.first_unread
        counts = {name: CellCounts(**found) for name, found in predicted.counts.items()}
        items = predicted.rows + predicted.unread
        self._findings.add(items, counts, is_last=is_last)

    def finish(self, files: Sequence[Path]) -> None:
        """Warn of unknown cells.

        Args:
            files: The inputs.

        Raises:
            UserError: If there is no row, or some inputs cannot be read.
        """
        self._findings.finish(files)
        if self._unread:
            source, reason = self._first
            raise unreadable(RejectedItem(source=source, reason=reason), others=self._unread - 1)


def _start(open_network: Open, options: RowOptions) -> PartPredictor:
    return PartPredictor(open_network(), options)


def _digest(files: Iterable[Path]) -> str:
    """Return a digest of the paths, sizes and times of files."""
    digest = hashlib.blake2b(digest_size=8)
    for file in files:
        digest.update(repr((str(file), file_state(file))).encode(errors="backslashreplace"))
    return digest.hexdigest()


def _files_below(path: Path) -> list[Path]:
    return [path, *sorted(path.rglob("*"))] if path.is_dir() else [path]
