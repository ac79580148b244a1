"""The report on a folder: its page, and what the terminal shows of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leyden.comparison.report import sections
from leyden.comparison.report.confirmation import Confirmation, confirmation_section, describe
from leyden.comparison.report.crossval import (
    calibration,
    count_label_errors,
    fold_table,
    label_errors,
    read_predictions,
)
from leyden.comparison.report.html import Page, Section, render
from leyden.comparison.report.study import Study
from leyden.comparison.report.wording import equals, measured, plural, words
from leyden.comparison.table import Row, as_text, write_csv
from leyden.files import written_aside
from leyden.runs.folder import RunFolder, read_json

PAGE, RANKING = "report.html", "ranking.csv"
"""Files that a report writes."""

KINDS = {"sweep": "Sweep", "crossval": "Cross-validation", "run": "Run"}


@dataclass(frozen=True, kw_only=True)
class Report:
    """A report.

    Attributes:
        page: Its page.
        table: The ranking, for a terminal.
    """

    page: Page
    table: str

    @property
    def text(self) -> str:
        """What a terminal shows: the ranking, then the findings."""
        findings = "\n".join(f"- {each}" for each in self.page.findings)
        return f"{self.table}\n\n{findings}"

    def write(self, file: Path) -> None:
        """Write the page."""
        with written_aside(file) as aside:
            aside.write_text(render(self.page), encoding="utf-8")


def report(study: Study, confirmation: Confirmation | None = None) -> Report:
    """Report on a sweep, a cross-validation or a run.

    Args:
        study: What was read from its folder.
        confirmation: The best and the default config, trained again with new seeds.
    """
    name = study.path.resolve().name
    page = Page(
        title=f"{KINDS[study.kind]} {study.path.resolve().parent.name}/{name}",
        subtitle=_subtitle(study),
        findings=[*_findings(study, confirmation)],
        sections=[*_sections(study, confirmation)],
    )
    return Report(page=page, table=as_text(study.all_rows))


def write_ranking(study: Study) -> Path:
    """Write the ranking as CSV."""
    file = study.path / RANKING
    write_csv(study.all_rows, file)
    return file


def _subtitle(study: Study) -> str:
    first = study.results[0]
    provenance = read_json(RunFolder(first.path).provenance)
    started = str(RunFolder(first.path).read_status().get("started", ""))[:16].replace("T", " ")
    return " · ".join(
        filter(None, [str(provenance.get("command", "")), started and f"{started} UTC"])
    )


def _sections(study: Study, confirmation: Confirmation | None) -> Iterator[Section]:
    yield sections.metrics(study)
    yield sections.ranking(study)
    if confirmation:
        yield confirmation_section(confirmation)
    best = study.best.results[0] if study.best else None
    if best is not None and best.folds:
        yield fold_table(best)
        if found := read_predictions(best):
            yield calibration(found)
            yield label_errors(found)
    yield sections.curves(study)
    yield sections.parameters(study)
    yield sections.cost(study)
    yield sections.failures(study)
    yield sections.repetition(study)
    yield sections.reproducibility(study)


def _findings(study: Study, confirmation: Confirmation | None) -> Iterator[str]:
    unfinished = [each for each in study.results if not each.is_finished]
    if unfinished:
        yield f"{len(unfinished)} of {plural(len(study.results), 'job')} did not finish."
    best = study.best
    if best is None:
        yield "Nothing was measured, so there is no best config."
        return
    estimate = measured(best.metrics[best.monitor])
    if study.kind == "sweep":
        count = plural(len(study.rows), "config")
        yield f"Best of {count}: {words(best.overrides)}, with {best.monitor} {estimate}."
        yield from _noise(study)
        yield from _default(study, confirmation)
    else:
        yield f"{best.monitor} {estimate}."
    yield from _baselines(study)
    yield from _labels(best)
    for each in best.results:
        warnings = RunFolder(each.path).read_status().get("warnings")
        yield from map(str, warnings if isinstance(warnings, list) else ())


def _noise(study: Study) -> Iterator[str]:
    """Say which of the other points may be as good as the best."""
    others = [
        found.verdict
        for place, found in study.differences.items()
        if not study.is_baseline(study.all_rows[place]) and study.all_rows[place].finished
    ]
    if not others:
        return
    counts = {verdict: others.count(verdict) for verdict in ("differs", "noise", "untested")}
    if counts["untested"] == len(others):
        yield (
            "Each config ran once, so no difference can be told from noise. Give seeds=5, or use "
            "leyden crossval -m."
        )
        return
    said = {
        "differs": "{} worse than the best beyond noise",
        "noise": "{} within noise of the best",
        "untested": "{} not comparable with it",
    }
    parts = [said[verdict].format(count) for verdict, count in counts.items() if count]
    yield f"Of the {plural(len(others), 'other')}: {', '.join(parts)}."


def _default(study: Study, confirmation: Confirmation | None) -> Iterator[str]:
    """Say whether the best beats the default config."""
    best, default = study.best, study.default
    assert best is not None
    if confirmation:
        yield describe(confirmation)
        return
    again = "confirm=5 trains both again with new seeds."
    if default is None:
        yield (
            "The default config is not among the jobs, so whether the best beats it is unknown: "
            f"{again}"
        )
    elif default.results[0] is best.results[0]:
        yield "The best is the default config."
    elif default.monitor in default.metrics:
        found = study.differences[_place(study, default)]
        said = {
            "noise": f"within noise, p {equals(found.p_value)}",
            "differs": f"beyond noise, p {equals(found.p_value)}",
            "untested": "which may be noise",
        }
        yield (
            f"The default config is at {measured(default.metrics[default.monitor])}, "
            f"{found.estimate.mean:+.3g} from the best ({said[found.verdict]}). The best was chosen "
            f"by these values, which favours it: {again}"
        )


def _baselines(study: Study) -> Iterator[str]:
    rows = [row for row in study.all_rows if study.is_baseline(row) and row.monitor in row.metrics]
    best = study.best
    if rows and best is not None:
        row = rows[0]
        before = study.all_rows.index(row) < _place(study, best)
        verdict = "is better than the best config" if before else "is behind"
        name = row.overrides.get("model", row.results[0].name)
        yield f"The best baseline, {name}, {verdict}: {measured(row.metrics[row.monitor])}."


def _place(study: Study, row: Row) -> int:
    return next(k for k, each in enumerate(study.all_rows) if each.results[0] is row.results[0])


def _labels(best: Row) -> Iterator[str]:
    first = best.results[0]
    if first.folds and (found := read_predictions(first)):
        count = count_label_errors(found)
        rows = len(found.predictions.targets)
        yield (
            f"{plural(count, 'label')} of {rows} may be wrong."
            if count
            else "No label seems wrong."
        )
