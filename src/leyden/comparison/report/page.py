"""The report on a folder: its page, and what the terminal shows of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from leyden.comparison.report import sections
from leyden.comparison.report.confirmation import Confirmation, confirmation_section, describe
from leyden.comparison.report.crossval import (
    OutOfFold,
    calibration,
    count_label_errors,
    fold_table,
    label_errors,
    read_predictions,
)
from leyden.comparison.report.html import Page, Section, render
from leyden.comparison.report.study import Study
from leyden.comparison.report.wording import equals, measured, plural, words
from leyden.comparison.table import RANKING, as_text, write_csv
from leyden.files import write_aside
from leyden.runs.folder import RunFolder, read_json

PAGE = "report.html"
"""File of the page in the folder that it is about."""

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
        with write_aside(file) as aside:
            aside.write_text(render(self.page), encoding="utf-8")


def report(study: Study, confirmation: Confirmation | None = None) -> Report:
    """Report on a sweep, a cross-validation or a run.

    Args:
        study: What was read from its folder.
        confirmation: The best and the default config, trained again with new seeds.
    """
    path = study.path.resolve()
    first = study.best.results[0] if study.best else None
    predictions = read_predictions(first) if first and first.folds else None
    page = Page(
        title=f"{KINDS[study.kind]} {path.parent.name}/{path.name}",
        subtitle=_subtitle(study),
        findings=[*_findings(study, confirmation, predictions)],
        sections=[*_sections(study, confirmation, predictions)],
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


def _sections(
    study: Study, confirmation: Confirmation | None, predictions: OutOfFold | None
) -> Iterator[Section]:
    yield sections.metrics(study)
    yield sections.ranking(study)
    if confirmation:
        yield confirmation_section(confirmation)
    if study.best:
        yield fold_table(study.best.results[0])
    if predictions:
        yield calibration(predictions)
        yield label_errors(predictions)
    yield sections.curves(study)
    yield sections.parameters(study)
    yield sections.cost(study)
    yield sections.failures(study)
    yield sections.repetition(study)
    yield sections.reproducibility(study)


def _findings(
    study: Study, confirmation: Confirmation | None, predictions: OutOfFold | None
) -> Iterator[str]:
    unfinished = [each for each in study.results if not each.is_finished]
    if unfinished:
        yield f"{len(unfinished)} of {plural(len(study.results), 'job')} did not finish."
    best = study.best
    if best is None:
        yield "Nothing was measured, so there is no best config."
        return
    if study.mode is None and len(study.rows) > 1:
        yield (
            f"Whether lower or higher values of {best.monitor} are better is not recorded, so the "
            "first job is called the best."
        )
    estimate = measured(best.metrics[best.monitor])
    if study.kind == "sweep":
        count = plural(len(study.rows), "config")
        yield f"Best of {count}: {words(best.overrides)}, with {best.monitor} {estimate}."
        yield from _noise(study)
        yield from _default(study, confirmation)
    else:
        yield f"{best.monitor} {estimate}."
    yield from _baselines(study)
    if predictions and (wrong := count_label_errors(predictions)):
        yield f"{plural(wrong, 'label')} of {len(predictions.sources)} may be wrong."
    for each in best.results:
        warnings = RunFolder(each.path).read_status().get("warnings")
        yield from map(str, warnings if isinstance(warnings, list) else ())


def _noise(study: Study) -> Iterator[str]:
    """Say which of the other points may be as good as the best."""
    others = [
        found.verdict for row in study.rows if row.finished and (found := study.difference_of(row))
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
        "differs": "worse than the best beyond noise",
        "noise": "within noise of the best",
        "untested": "not comparable with the best",
    }
    if len(others) == 1:
        yield f"The other is {said[others[0]]}."
        return
    parts = [f"{count} {said[verdict]}" for verdict, count in counts.items() if count]
    yield f"Of the {len(others)} others: {', '.join(parts)}."


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
    elif default is best:
        yield "The best is the default config."
    elif default.monitor in default.metrics and (found := study.difference_of(default)):
        said = {
            "noise": f"within noise, p {equals(found.p_value)}",
            "differs": f"beyond noise, p {equals(found.p_value)}",
            "untested": "which may be noise",
        }
        yield (
            f"The default config is at {measured(default.metrics[default.monitor])}, "
            f"{found.estimate.mean:+.3g} from the best ({said[found.verdict]}). The best was "
            f"chosen by these values, which favours it: {again}"
        )


def _baselines(study: Study) -> Iterator[str]:
    """Compare the best baseline with the best config."""
    rows = [row for row in study.all_rows if study.is_baseline(row) and row.monitor in row.metrics]
    if not rows or (found := study.difference_of(rows[0])) is None:
        return
    first = next(row for row in study.all_rows if row is rows[0] or row is study.best)
    order = "better" if first is rows[0] else "worse"
    verdict = {"noise": ", within noise", "differs": ", beyond noise", "untested": ""}
    name = rows[0].overrides.get("model", rows[0].results[0].name)
    yield (
        f"The best baseline, {name}, is {order} than the best config{verdict[found.verdict]}: "
        f"{measured(rows[0].metrics[rows[0].monitor])}."
    )
