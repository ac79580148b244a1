"""The cleaning steps of tables."""

from dataclasses import dataclass

from leyden.data.cleaning.steps import Cleaning

COLUMN_STEPS = ("constant_columns", "duplicate_columns", "identifier_columns", "leaking_columns")
"""The steps that leave columns out."""


@dataclass(frozen=True, kw_only=True)
class TableCleaning(Cleaning):
    """Which cleaning steps run on a table; those of every kind, and those of columns and cells.

    Equal rows are not dropped by default: two passengers of one age and class are two
    observations. Nor are equal rows with different targets, because few columns rarely settle what
    happened. Columns and ranges are judged on the training rows alone, so these steps are reported
    once the rows are split.

    Attributes:
        missing_target: leave rows out that lack a target, a group or a time; when off, the
            first one is an error.
        misfits: count cells that are not of their column's kind, such as words among numbers, and
            infinite numbers, as missing; when off, they are an error.
        outliers: count impossible numbers as missing; those of the target are only reported.
        constant_columns: leave columns out that are the same in every row.
        duplicate_columns: leave columns out that repeat another one.
        identifier_columns: leave columns out that name or number rows, unless their kind is
            declared.
        leaking_columns: leave columns out that determine the target by themselves.
    """

    contradictions: bool = False
    duplicates: bool = False
    missing_target: bool = True
    misfits: bool = True
    outliers: bool = True
    constant_columns: bool = True
    duplicate_columns: bool = True
    identifier_columns: bool = True
    leaking_columns: bool = True
