"""Cleaning: find rows that would distort training or evaluation, drop them, and report them.

Steps that compare rows drop training and validation rows only. The test split of a source is left
as it is, so that published figures remain comparable; what is found in it is still counted.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from leyden.data.cleaning.comparison import STEPS, TEST, Comparison
from leyden.data.cleaning.lost_rows import LostRows
from leyden.data.rows import RejectedItem
from leyden.errors import UserError

SKIPPED = "skipped"
"""Step that reports files which are not items of the data set; it cannot be switched off."""


class Names(Protocol):
    """Display names of the rows, by row number."""

    def __getitem__(self, row: int, /) -> str:
        """Return the display name of a row."""


@dataclass(frozen=True, kw_only=True)
class Cleaning:
    """Cleaning steps that run; a step that is off finds and drops nothing.

    A subclass adds the steps of a kind of data, which examine each item when it is read. Its field
    ``near_duplicates``, if it has one, is a step that compares the MinHash signatures of the rows.
    Fields that are not boolean are settings of steps.

    Attributes:
        unreadable: Whether to skip items that cannot be read; otherwise the first one is an error.
        conflicting_labels: Whether to drop training and validation rows that have equal inputs but
            different targets.
        duplicates: Whether to drop repeated rows of a split, targets included, except the first.
        leakage: Whether to drop training rows that are also in the validation or test split, and
            validation rows that are also in the test split.
        max_dropped: Maximum share of the rows, in [0, 1], that all steps together may drop; more
            is an error.

    Raises:
        ValueError: If ``max_dropped`` is not in [0, 1].
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
    """Result of one cleaning step.

    Attributes:
        enabled: Whether the step ran.
        found: Number of items that the step found or changed.
        dropped: Number of these items that are not rows.
        findings: ``source`` and ``reason`` of each item found.
    """

    enabled: bool
    found: int = 0
    dropped: int = 0
    findings: list[dict[str, str]] = field(default_factory=list)


@dataclass(frozen=True, kw_only=True)
class CleaningReport:
    """Result of cleaning a data set, written as ``cleaning.json``.

    Attributes:
        items_read: Number of items that were read.
        rows_kept: Number of rows that no step has dropped.
        steps: Result of each step by name.
        warnings: Sentences on how cleaning has changed the data as a whole.
    """

    items_read: int
    rows_kept: int
    steps: dict[str, StepReport]
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Return the report as plain containers."""
        return asdict(self)

    @classmethod
    def from_dict(cls, report: dict[str, Any]) -> "CleaningReport":
        """Build a report from the result of ``as_dict``."""
        steps = {name: StepReport(**step) for name, step in report["steps"].items()}
        return cls(**report | {"steps": steps})


def clean(
    rows: Comparison,
    *,
    sources: Names,
    rejected: Sequence[RejectedItem],
    steps: Cleaning,
    class_names: Sequence[str] = (),
    changed: Mapping[str, int] | None = None,
) -> CleaningReport:
    """Run the cleaning steps that compare rows, and report these and the steps of reading.

    Args:
        rows: Rows that were read; ``rows.keep`` is then the mask of the rows that are kept.
        sources: Display name of each row, for the report.
        rejected: Items that did not become rows, and findings on those that did.
        steps: Cleaning steps that run.
        class_names: Names of the classes or labels; empty for other targets.
        changed: Number of rows that each step of the kind changed.

    Raises:
        UserError: If more than ``steps.max_dropped`` of the rows would be dropped.
    """
    targets = rows.targets
    lost = LostRows(targets[rows.splits != TEST], class_names=class_names, rejected=rejected)
    reports = {
        step: _report_rejected(
            [item for item in rejected if item.step == step],
            enabled=getattr(steps, step, True),
            changed=(changed or {}).get(step, 0),
        )
        for step in _steps_of_reading(steps, rejected)
    }
    for name in STEPS:
        if getattr(steps, name, False):
            reports[name], dropped = _drop(rows, name, sources)
            lost.add(name, targets[dropped])
        elif hasattr(steps, name):
            reports[name] = StepReport(enabled=False)
    _check_lost_rows(lost, steps)
    return CleaningReport(
        items_read=len(targets) + sum(item.dropped for item in rejected),
        rows_kept=int(rows.keep.sum()),
        steps=reports,
        warnings=lost.warnings(),
    )


def _steps_of_reading(steps: Cleaning, rejected: Sequence[RejectedItem]) -> list[str]:
    """Return the names of the steps that examine items when they are read."""
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


def format_report(report: CleaningReport) -> str:
    """Format a report as a table for the log, one line per step."""
    lines = [f"cleaning: {report.items_read} items read, {report.rows_kept} rows kept"]
    width = max(15, *map(len, report.steps))
    for name, step in report.steps.items():
        outcome = f"{step.found} found, {step.dropped} dropped" if step.enabled else "switched off"
        lines.append(f"  {name:<{width}} {outcome}")
    return "\n".join(lines)


def _report_rejected(items: Sequence[RejectedItem], *, enabled: bool, changed: int) -> StepReport:
    """Report the items that a step of reading rejected, and the number of those it changed."""
    return StepReport(
        enabled=enabled,
        found=sum(item.count for item in items) + changed,
        dropped=sum(item.dropped for item in items),
        findings=[{"source": item.source, "reason": item.reason} for item in items],
    )


def _drop(rows: Comparison, step: str, sources: Names) -> tuple[StepReport, NDArray[np.int64]]:
    """Run a step that compares rows; return its report and the numbers of the rows it dropped."""
    found, twins, dropped = rows.drop(step)
    findings = []
    for row, twin in zip(found.tolist(), twins.tolist(), strict=True):
        likeness = "same content" if rows.are_equal(row, twin) else "nearly the same content"
        findings.append({"source": sources[row], "reason": f"{likeness} as {sources[twin]}"})
    report = StepReport(enabled=True, found=len(found), dropped=len(dropped), findings=findings)
    return report, dropped
