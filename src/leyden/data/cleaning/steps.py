"""Cleaning: find rows that would teach or measure the wrong thing, drop them, and say so.

Only training and validation rows are ever dropped by comparison: a test split that the source
itself sets apart stays as it is, so that published figures remain comparable. What is wrong with
it is still counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leyden.data.cleaning.comparison import STEPS, TEST, Comparison
from leyden.data.cleaning.lost_rows import LostRows
from leyden.data.identity import Keys
from leyden.data.rows import RejectedItem
from leyden.errors import UserError

SKIPPED = "skipped"
"""Step of files that are not items of the data set; it cannot be switched off."""


class Names(Protocol):
    """The name of each row, for people."""

    def __getitem__(self, row: int, /) -> str:
        """Give that of one row."""


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """Which cleaning steps run; one that is off counts nothing and drops nothing.

    A kind of data adds steps of its own in a subclass; it judges them item by item as it reads.
    Only a step called ``near_duplicates`` compares rows, by the signatures that the kind gives.
    Fields that are not boolean are settings of steps.

    Attributes:
        unreadable: skip items that can't be read; when off, the first one is an error.
        conflicting_labels: drop training rows whose equal inputs carry different targets.
        duplicates: keep the first of several rows of one split that are equal, targets included.
        leakage: drop training rows that stand in validation or test too, and validation rows that
            stand in test.
        max_dropped: Largest share of the rows that all steps together may drop; more is an error.
    """

    unreadable: bool = True
    conflicting_labels: bool = True
    duplicates: bool = True
    leakage: bool = True
    max_dropped: float = 0.5

    def __post_init__(self) -> None:
        if not 0 <= self.max_dropped <= 1:
            raise ValueError(f"max_dropped is a share: expected 0 to 1, got {self.max_dropped}")


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one cleaning step found (or changed) and dropped, with a reason for each row dropped."""

    enabled: bool
    found: int = 0
    dropped: int = 0
    findings: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class CleaningReport:
    """The record of a data set's cleaning, written as ``cleaning.json``.

    Attributes:
        items_read: Number of items that were read.
        rows_kept: Number of rows that every step has kept.
        steps: What each step found.
        warnings: What cleaning has changed in the data as a whole, in sentences.
    """

    items_read: int
    rows_kept: int
    steps: dict[str, StepReport]
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Convert to plain containers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, report: dict[str, Any]) -> "CleaningReport":
        """Make a report of what ``as_dict`` gave."""
        steps = {name: StepReport(**step) for name, step in report["steps"].items()}
        return cls(**report | {"steps": steps})


def clean(
    *,
    digests: NDArray[np.void],
    targets: NDArray[np.generic],
    splits: NDArray[np.uint8],
    sources: Names,
    rejected: Sequence[RejectedItem],
    steps: Cleaning,
    class_names: Sequence[str] = (),
    changed: Mapping[str, int] | None = None,
    contexts: Keys | None = None,
    signatures: NDArray[np.uint32] | None = None,
) -> tuple[NDArray[np.bool_], CleaningReport]:
    """Compare all rows by their digests and targets.

    Args:
        digests: ``(rows,)`` digest of each row's inputs, 16 bytes each.
        targets: ``(rows,)`` or ``(rows, labels)`` targets.
        splits: ``(rows,)`` place in ``GIVEN_SPLITS`` of the split that the source gave each row.
        sources: name of each row, for the report.
        rejected: items that did not become rows.
        steps: the steps that run.
        class_names: Names of the classes or labels; empty if the targets are something else.
        changed: how many rows each step of the kind changed.
        contexts: ``(rows,)`` uint64 hash of each row's group and time, if it has any.
        signatures: ``(rows, hashes)`` that tell near-duplicates, where the kind gives them.

    Returns:
        Mask of the rows to keep, and the report.

    Raises:
        UserError: More than ``steps.max_dropped`` of the rows would be dropped.
    """
    rows = Comparison(
        digests=digests, targets=targets, splits=splits, contexts=contexts, signatures=signatures
    )
    lost = LostRows(targets[splits != TEST], class_names=class_names, rejected=rejected)
    reports = {
        step: _rejections(
            step,
            rejected,
            enabled=getattr(steps, step, True),
            changed=(changed or {}).get(step, 0),
        )
        for step in _steps_of_reading(steps, rejected)
    }
    for name in STEPS:
        if getattr(steps, name, False):
            reports[name], dropped = _dropped(rows, name, sources)
            lost.add(name, targets[dropped])
        elif hasattr(steps, name):
            reports[name] = StepReport(enabled=False)
    _check_lost_rows(lost, steps)
    report = CleaningReport(
        items_read=len(targets) + sum(item.dropped for item in rejected),
        rows_kept=int(rows.keep.sum()),
        steps=reports,
        warnings=lost.warnings(),
    )
    return rows.keep, report


def _steps_of_reading(steps: Cleaning, rejected: Sequence[RejectedItem]) -> list[str]:
    """List the steps that judge items as they are read."""
    own = [step.name for step in fields(steps) if isinstance(getattr(steps, step.name), bool)]
    skipped = [SKIPPED] if any(item.step == SKIPPED for item in rejected) else []
    return [name for name in own if name not in STEPS] + skipped


def _check_lost_rows(lost: LostRows, steps: Cleaning) -> None:
    dropped = lost.dropped.total()
    if dropped <= steps.max_dropped * lost.rows:
        return
    most = lost.dropped.most_common()
    raise UserError(
        f"Cleaning would drop {dropped} of {lost.rows} rows "
        f"({', '.join(f'{count} by {name}' for name, count in most)}). Expected at most "
        f"{steps.max_dropped:.0%}: turn steps off, such as data.cleaning.{most[0][0]}=false, or "
        "allow it with data.cleaning.max_dropped=1."
    )


def table(report: CleaningReport) -> str:
    """Lay the report out as a table for the log."""
    lines = [f"cleaning: {report.items_read} items read, {report.rows_kept} rows kept"]
    width = max(15, *map(len, report.steps))
    for name, step in report.steps.items():
        outcome = f"{step.found} found, {step.dropped} dropped" if step.enabled else "switched off"
        lines.append(f"  {name:<{width}} {outcome}")
    return "\n".join(lines)


def _rejections(
    step: str, rejected: Sequence[RejectedItem], *, enabled: bool, changed: int
) -> StepReport:
    """Report what a step turned away or changed while the items were read."""
    items = [item for item in rejected if item.step == step]
    findings = [{"source": item.source, "reason": item.reason} for item in items]
    dropped = sum(item.dropped for item in items)
    return StepReport(
        enabled=enabled,
        found=sum(item.count for item in items) + changed,
        dropped=dropped,
        findings=findings,
    )


def _dropped(rows: Comparison, step: str, sources: Names) -> tuple[StepReport, NDArray[np.int64]]:
    """Run a step that compares rows; report all that it found, and return the rows it dropped."""
    found, twins, dropped = rows.drop(step)
    findings = [
        {"source": sources[row], "reason": f"{_likeness(rows, row, twin)} as {sources[twin]}"}
        for row, twin in zip(found.tolist(), twins.tolist(), strict=True)
    ]
    report = StepReport(enabled=True, found=len(found), dropped=len(dropped), findings=findings)
    return report, dropped


def _likeness(rows: Comparison, row: int, twin: int) -> str:
    return "same content" if rows.are_equal(row, twin) else "nearly the same content"
