"""Cleaning: find rows that would teach or measure the wrong thing, drop them, and say so.

Only training and validation rows are ever dropped by comparison: a test part that the source
itself sets apart stays as it is, so that published figures remain comparable. What is wrong with
it is still counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leyden.data.comparison import STEPS, Comparison
from leyden.data.rows import RejectedItem


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
        contradictions: drop training rows whose equal inputs carry different targets.
        duplicates: keep the first of several rows of one part that are equal, targets included.
        leakage: drop training rows that stand in validation or test too, and validation rows that
            stand in test.
    """

    unreadable: bool = True
    contradictions: bool = True
    duplicates: bool = True
    leakage: bool = True


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one cleaning step found (or changed) and dropped, with a reason for each row dropped."""

    enabled: bool
    found: int = 0
    dropped: int = 0
    findings: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class CleaningReport:
    """The record of a data set's cleaning, written as ``cleaning.json``."""

    items_read: int
    rows_kept: int
    steps: dict[str, StepReport]

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
    parts: NDArray[np.uint8],
    sources: Names,
    rejected: Sequence[RejectedItem],
    steps: Cleaning,
    changed: Mapping[str, int] | None = None,
    signatures: NDArray[np.uint32] | None = None,
) -> tuple[NDArray[np.bool_], CleaningReport]:
    """Compare all rows by their digests and targets.

    Args:
        digests: ``(rows,)`` digest of each row's inputs, 16 bytes each.
        targets: ``(rows,)`` or ``(rows, labels)`` targets.
        parts: ``(rows,)`` place in ``PARTS`` of the part that the source gave each row.
        sources: name of each row, for the report.
        rejected: items that did not become rows.
        steps: the steps that run.
        changed: how many rows each step of the kind changed.
        signatures: ``(rows, hashes)`` that tell near-duplicates, where the kind gives them.

    Returns:
        Mask of the rows to keep, and the report.
    """
    rows = Comparison(digests=digests, targets=targets, parts=parts, signatures=signatures)
    reports = {
        step.name: _rejections(
            step.name,
            rejected,
            enabled=getattr(steps, step.name),
            changed=(changed or {}).get(step.name, 0),
        )
        for step in fields(steps)
        if step.name not in STEPS and isinstance(getattr(steps, step.name), bool)
    }
    for name in STEPS:
        if getattr(steps, name, False):
            reports[name] = _dropped(rows, name, sources)
        elif hasattr(steps, name):
            reports[name] = StepReport(enabled=False)
    items = len(targets) + sum(item.dropped for item in rejected)
    report = CleaningReport(items_read=items, rows_kept=int(rows.keep.sum()), steps=reports)
    return rows.keep, report


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
        enabled=enabled, found=len(items) + changed, dropped=dropped, findings=findings
    )


def _dropped(rows: Comparison, step: str, sources: Names) -> StepReport:
    """Run a step that compares rows, and report all that it found."""
    found, twins, dropped = rows.drop(step)
    findings = [
        {"source": sources[row], "reason": f"{_likeness(rows, row, twin)} as {sources[twin]}"}
        for row, twin in zip(found.tolist(), twins.tolist(), strict=True)
    ]
    return StepReport(enabled=True, found=len(found), dropped=dropped, findings=findings)


def _likeness(rows: Comparison, row: int, twin: int) -> str:
    return "same content" if rows.are_equal(row, twin) else "nearly the same content"
