"""Values and fields of several networks that predict the same rows, in one mapping."""

from collections import ChainMap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from leyden.arrays import Arrays
from leyden.data.inputs import Inputs
from leyden.data.parts import Counts, Part
from leyden.data.readers import Limits, Reader, object_schema
from leyden.data.sources.tables import TableFile
from leyden.errors import UserError
from leyden.schema import Field


def join_fields(fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Put the fields of all members into one mapping, such as ``0/images`` and ``1/images``."""
    return {f"{i}/{name}": value for i, own in enumerate(fields) for name, value in own.items()}


def separate_fields(fields: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return the fields of each member, as they were before ``join_fields``."""
    own: dict[int, dict[str, Any]] = {}
    for key, value in fields.items():
        member, _, name = key.partition("/")
        own.setdefault(int(member), {})[name] = value
    return [own[i] for i in range(len(own))]


@dataclass(frozen=True, kw_only=True)
class JoinedReader(Reader):
    """Reads the same files once for each member, whose columns or vocabularies differ.

    Attributes:
        members: Readers of the members.
    """

    kind: ClassVar = "ensemble"

    members: Sequence[Reader]

    @property
    def values(self) -> tuple[Field, ...]:
        """The values of all members; sizes other than the batch vary on their own."""
        return tuple(
            replace(
                field,
                name=f"{i}/{field.name}",
                shape=tuple(
                    f"{size}_{i}" if isinstance(size, str) and size != "batch" else size
                    for size in field.shape
                ),
                meaning=f"of member {i}: {field.meaning}",
            )
            for i, member in enumerate(self.members)
            for field in member.values
        )

    @property
    def columns(self) -> Sequence[str]:
        """Names of the columns that some member reads."""
        return list(dict.fromkeys(name for member in self.members for name in member.columns))

    @property
    def target(self) -> str | None:
        """Name of what all members predict."""
        return self.members[0].target

    @property
    def unit(self) -> str | None:
        """Unit of the number that all members predict."""
        return self.members[0].unit

    def files(self, paths: Sequence[str]) -> list[Path]:
        """List the files, which are the same for all members."""
        return self.members[0].files(paths)

    def table(self, path: Path) -> TableFile | None:
        """Return a file as a table."""
        return self.members[0].table(path)

    def read_part(self, part: Part) -> Inputs:
        """Read the rows of a part, once for each member.

        Raises:
            UserError: If the members read different rows.
        """
        chunks = [member.read_part(part) for member in self.members]
        if any(list(chunk.names) != list(chunks[0].names) for chunk in chunks):
            raise different_rows("of the files")
        return replace(
            chunks[0],
            fields=join_fields([chunk.fields for chunk in chunks]),
            counts=join_fields([chunk.counts for chunk in chunks]),
        )

    def check(self, counts: Counts, *, is_last: bool) -> None:
        """Raise if a column has cells, but none that a member knows."""
        for member, own in zip(self.members, separate_fields(counts), strict=False):
            member.check(own, is_last=is_last)

    def warnings(self, counts: Counts) -> Iterable[str]:
        """Describe what members do not know; equal descriptions once."""
        members = zip(self.members, separate_fields(counts), strict=False)
        return dict.fromkeys(text for member, own in members for text in member.warnings(own))

    @property
    def row_schema(self) -> dict[str, Any]:
        """An object with the properties of all members."""
        own = [member.row_schema["properties"] for member in self.members]
        return object_schema(ChainMap(*own))

    def decode_rows(self, rows: Sequence[Any]) -> Inputs:
        """Decode JSON rows for each member; those that one of them rejects are rejected."""
        return _join_inputs([member.decode_rows(rows) for member in self.members])

    def decode_file(self, name: str, content: bytes) -> Inputs:
        """Read an uploaded file for each member."""
        return _join_inputs([member.decode_file(name, content) for member in self.members])

    def encode_row(self, values: Arrays, row: int) -> dict[str, Any]:
        """Return a JSON row with the properties of all members."""
        own = zip(self.members, separate_fields(values), strict=True)
        return dict(ChainMap(*(member.encode_row(fields, row) for member, fields in own)))

    def limited(self, limits: Limits) -> Self:
        """Return a copy whose members reject inputs beyond some limits."""
        members = [member.limited(limits) for member in self.members]
        return replace(self, members=members, limits=limits)


def _join_inputs(inputs: Sequence[Inputs]) -> Inputs:
    """Join what the members read of the same rows: those that all of them can read."""
    common = set.intersection(*(set(own.names) for own in inputs))
    fields = []
    for own in inputs:
        kept = np.array([name in common for name in own.names], bool)
        fields.append({name: value[kept] for name, value in own.fields.items()})
    rejected = {item.source: item for own in inputs for item in own.rejected}
    return Inputs(
        names=[name for name in inputs[0].names if name in common],
        fields=join_fields(fields) if common else {},
        rejected=list(rejected.values()),
    )


def different_rows(what: str) -> UserError:
    """Return the error for files or data of which members can read different rows."""
    return UserError(
        f"The members of the ensemble can read different rows {what}, because each knows the "
        "columns and values that it has learned from. Expected data like those of the run; or give "
        "one of its members, such as run=RUN/fold-0."
    )
