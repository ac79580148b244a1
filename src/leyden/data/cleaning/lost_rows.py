"""Counts of the rows that cleaning drops, in total and by class."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from leyden.data.rows import RejectedItem
from leyden.data.values import matcher

MOST_DROPPED = 0.05
"""Maximum share of the rows that a step may drop without a warning."""

MOST_SHIFTED = 0.02
"""Maximum change of a class's share of the rows without a warning."""

MOST_NAMED = 5
"""Maximum number of classes that a warning lists."""


class LostRows:
    """Counts of the rows that each cleaning step drops, in total and by class.

    Rows of a test split that the source sets apart are never dropped, and are not counted.

    Args:
        targets: Class indices ``(rows,)`` (int64) or labels ``(rows, labels)`` (uint8) of the rows
            that were read; others are counted in total only.
        class_names: Names of the classes or labels; empty for other targets.
        rejected: Items that did not become rows, and findings on those that did.
    """

    def __init__(
        self,
        targets: NDArray[np.generic],
        *,
        class_names: Sequence[str],
        rejected: Iterable[RejectedItem],
    ) -> None:
        self.class_names = class_names
        self.find = matcher(class_names)
        self.rows = len(targets)
        self.classes = self._count_classes(targets)
        self.dropped: Counter[str] = Counter()
        self.dropped_classes: dict[str, Counter[str]] = {}
        for item in rejected:
            if item.dropped:
                self.rows += 1
                counts = self._class_of(item)
                self.classes.update(counts)
                self._count(item.step, 1, counts)

    def add(self, step: str, targets: NDArray[np.generic]) -> None:
        """Count the rows that a step drops.

        Args:
            step: Name of the step.
            targets: Targets of these rows, ``(rows,)`` or ``(rows, labels)``.
        """
        self._count(step, len(targets), self._count_classes(targets))

    def warnings(self) -> list[str]:
        """Return a sentence for each step that changes the data notably, and one for all steps."""
        changes = {
            step: self._changes(self.dropped[step], lost)
            for step, lost in self.dropped_classes.items()
        }
        found = [
            f"data.cleaning.{step} {', '.join(each)}. cleaning.json lists the rows; "
            f"data.cleaning.{step}=false turns the step off."
            for step, each in changes.items()
            if each
        ]
        lost = sum(self.dropped_classes.values(), Counter[str]())
        together = self._changes(self.dropped.total(), lost)
        if together and len(self.dropped) > 1:
            steps = ", ".join(f"{step} {count}" for step, count in self.dropped.most_common())
            found.append(
                f"Cleaning as a whole ({steps}) {', '.join(together)}. cleaning.json lists the "
                "rows; data.cleaning.STEP=false turns a step off."
            )
        return found

    def _count(self, step: str, rows: int, classes: Mapping[str, int]) -> None:
        if rows == 0:
            return
        self.dropped[step] += rows
        self.dropped_classes.setdefault(step, Counter()).update(classes)

    def _count_classes(self, targets: NDArray[np.generic]) -> Counter[str]:
        if not self.class_names:
            return Counter()
        if targets.ndim == 2:
            counts = targets.sum(axis=0, dtype=np.int64)
        else:
            counts = np.bincount(targets.astype(np.int64), minlength=len(self.class_names))
        return Counter(dict(zip(self.class_names, counts.tolist(), strict=True)))

    def _class_of(self, item: RejectedItem) -> Counter[str]:
        if item.target is None:
            return Counter()
        if isinstance(item.target, int):
            return Counter([self.class_names[item.target]])
        return Counter([self.find(item.target) or item.target])

    def _changes(self, dropped: int, lost: Counter[str]) -> list[str]:
        """Return phrases that describe notable changes when some rows are dropped.

        Args:
            dropped: Number of rows that are dropped.
            lost: Number of these rows by class.
        """
        changes = []
        if dropped > MOST_DROPPED * self.rows:
            changes.append(f"drops {dropped} of {self.rows} rows")
        if gone := sorted(name for name, rows in self.classes.items() if 0 < rows <= lost[name]):
            more = f" and {len(gone) - MOST_NAMED} more" if len(gone) > MOST_NAMED else ""
            changes.append(f"drops every row of {', '.join(gone[:MOST_NAMED])}{more}")
        before, after = _shares(self.classes), _shares(self.classes - lost)
        shifts = {name: abs(after.get(name, 0.0) - share) for name, share in before.items()}
        name = max(before, key=shifts.__getitem__, default="")
        if shifts.get(name, 0.0) > MOST_SHIFTED:
            changes.append(
                f"changes the share of {name} from {before[name]:.1%} to {after.get(name, 0.0):.1%}"
            )
        return changes


def _shares(counts: Counter[str]) -> dict[str, float]:
    total = counts.total()
    return {name: count / total for name, count in counts.items() if total}
