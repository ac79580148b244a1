"""Cleaning: find rows that would teach or measure the wrong thing, drop them, and say so.

Only training and validation rows are ever dropped by comparison: a test part that the source
itself sets apart stays as it is, so that published figures remain comparable. What is wrong with
it is still counted.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from leyden.data.near import near_twins
from leyden.data.rows import RejectedItem

RowMask = NDArray[np.bool_]

Twins = NDArray[np.intp]
"""For each row the number of the row that it is equal to, or -1."""


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
    parts: NDArray[np.str_],
    sources: Sequence[str],
    rejected: Sequence[RejectedItem],
    steps: Cleaning,
    changed: Mapping[str, int] | None = None,
    signatures: NDArray[np.uint32] | None = None,
) -> tuple[RowMask, CleaningReport]:
    """Compare all rows by their digests and targets.

    Args:
        digests: ``(rows,)`` digest of each row's inputs.
        targets: ``(rows,)`` or ``(rows, labels)`` targets.
        parts: ``(rows,)`` part of each row, as the source gave it.
        sources: name of each row, for the report.
        rejected: items that did not become rows.
        steps: the steps that run.
        changed: how many rows each step of the kind changed.
        signatures: ``(rows, hashes)`` that tell near-duplicates, where the kind gives them.

    Returns:
        Mask of the rows to keep, and the report.
    """
    _, content = np.unique(digests, return_inverse=True)
    _, target = np.unique(targets, axis=0, return_inverse=True)
    rows = _Compared(
        content=content,
        targets=target,
        parts=parts,
        keep=np.ones(len(targets), dtype=bool),
        signatures=signatures,
    )
    finders: dict[str, Callable[[_Compared], Twins]] = {
        "contradictions": _contradictions,
        "duplicates": _duplicates,
        "leakage": _leakage,
        "near_duplicates": _near_duplicates,
    }
    reports = {
        step.name: _rejections(
            step.name,
            rejected,
            enabled=getattr(steps, step.name),
            changed=(changed or {}).get(step.name, 0),
        )
        for step in fields(steps)
        if step.name not in finders and isinstance(getattr(steps, step.name), bool)
    }
    for name, find in finders.items():
        if getattr(steps, name, False):
            reports[name] = _drop(rows, find(rows), sources)
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


@dataclass(kw_only=True)
class _Compared:
    """All rows while they are compared; ``keep`` shrinks from step to step."""

    content: NDArray[np.intp]
    targets: NDArray[np.intp]
    parts: NDArray[np.str_]
    keep: RowMask
    signatures: NDArray[np.uint32] | None

    def first_of(self, among: RowMask, *, same_target: bool = False) -> Twins:
        """Find for each row the first one among some that has its content, or target as well."""
        keys = self.content
        if same_target:
            _, keys = np.unique(
                keys * (self.targets.max(initial=0) + 1) + self.targets, return_inverse=True
            )
        first = np.full(keys.max(initial=-1) + 1, -1, dtype=np.intp)
        candidates = np.flatnonzero(among)[::-1]
        first[keys[candidates]] = candidates
        return first[keys]

    def likeness(self, row: int, twin: int) -> str:
        """Word how a row and its twin are alike."""
        equal = self.content[row] == self.content[twin]
        return "same content" if equal else "nearly the same content"

    def nobody(self) -> Twins:
        """Begin with no row that has a twin."""
        return np.full(len(self.content), -1, dtype=np.intp)


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


def _drop(rows: _Compared, twins: Twins, sources: Sequence[str]) -> StepReport:
    """Drop the rows that have a twin, but for those of the test part, and report all."""
    found = twins >= 0
    dropped = found & (rows.parts != "test")
    rows.keep &= ~dropped
    findings = [
        {
            "source": sources[row],
            "reason": f"{rows.likeness(row, twins[row])} as {sources[twins[row]]}",
        }
        for row in np.flatnonzero(found).tolist()
    ]
    return StepReport(
        enabled=True, found=int(found.sum()), dropped=int(dropped.sum()), findings=findings
    )


def _contradictions(rows: _Compared) -> Twins:
    """Point each row to one with the same content and part but another target."""
    twins = rows.nobody()
    order = np.lexsort((rows.targets, rows.content, rows.parts))
    content, parts, targets = rows.content[order], rows.parts[order], rows.targets[order]
    same = (content[1:] == content[:-1]) & (parts[1:] == parts[:-1])
    group = np.concatenate(([0], np.cumsum(~same)))
    starts = np.append(np.flatnonzero(np.append(True, ~same)), len(order))
    for contradicting in np.unique(group[1:][same & (targets[1:] != targets[:-1])]):
        members = order[starts[contradicting] : starts[contradicting + 1]]
        for row in members:
            twins[row] = members[rows.targets[members] != rows.targets[row]][0]
    return twins


def _duplicates(rows: _Compared) -> Twins:
    """Point each repeated row to the first of its kind in the same part."""
    twins = rows.nobody()
    for part in np.unique(rows.parts):
        among = rows.keep & (rows.parts == part)
        first = rows.first_of(among, same_target=True)
        repeated = among & (first != np.arange(len(first)))
        twins[repeated] = first[repeated]
    return twins


def _leakage(rows: _Compared) -> Twins:
    """Point rows of an earlier part to their equals in a later one."""
    twins = rows.nobody()
    for part, later in (("val", ["test"]), ("train", ["val", "test"]), ("all", ["val", "test"])):
        first = rows.first_of(rows.keep & np.isin(rows.parts, later))
        leaking = rows.keep & (rows.parts == part) & (first >= 0)
        twins[leaking] = first[leaking]
    return twins


def _near_duplicates(rows: _Compared) -> Twins:
    """Point rows to a nearly equal one of a later part, or else an earlier one of their own."""
    if rows.signatures is None:
        return rows.nobody()
    kept = np.flatnonzero(rows.keep)
    rank = np.select([rows.parts[kept] == "test", rows.parts[kept] == "val"], [0, 1], default=2)
    order = kept[np.argsort(rank, kind="stable")]
    return near_twins(rows.signatures, order=order, fixed=rows.parts == "test")
