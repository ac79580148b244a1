"""The cleaning report of tables."""

from leyden.data.cleaning.steps import format_report
from leyden.data.table.cleaning import TableCleaning


def test_every_step_reports_what_it_found(table, visits):
    columns = visits(hospital=["St. Mary"] * 200)
    columns["age"][5] = 9999
    columns["age"][6] = ""
    columns["age"][7] = "old"
    columns["state"][8] = ""

    lines = format_report(table(columns).cleaning_report()).splitlines()

    assert lines[0] == "cleaning: 200 items read, 199 rows kept"
    found = {line.split()[0]: line.split(maxsplit=1)[1].strip() for line in lines[1:]}
    assert found["missing_target"] == "1 found, 1 dropped"
    assert found["misfits"] == "1 found, 0 dropped"
    assert found["missing_cells"] == "2 found, 0 dropped"
    assert found["outliers"] == "1 found, 0 dropped"
    assert found["constant_columns"] == "1 found, 1 dropped"


def test_a_disabled_step_is_reported_as_such(table, visits):
    steps = TableCleaning(outliers=False, constant_columns=False)
    data = table(visits(hospital=["St. Mary"] * 200), cleaning=steps)

    lines = format_report(data.cleaning_report()).splitlines()

    assert sum(line.endswith("switched off") for line in lines) == 4  # and what compares rows
    assert "hospital" in {column["name"] for column in data.statistics["columns"]}
