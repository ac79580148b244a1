"""Answers to the questions of the reproducibility checklists of conferences.

The questions are those that the lists of ACL and NeurIPS have in common. What a run does not know
is said to be unknown, not left out.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any

from leyden.comparison.report.pictures import number
from leyden.comparison.report.study import Study, relative
from leyden.comparison.report.wording import duration, interval, plural, size, words
from leyden.comparison.results import SWEEP, Result
from leyden.comparison.statistics import Estimate
from leyden.comparison.table import Row
from leyden.runs.folder import RunFolder, read_json

UNKNOWN = "not recorded"

KINDS = {"main": "main memory", "gpu": "memory of one GPU"}
"""Kinds of memory in a status, in words."""


def checklist(study: Study, row: Row) -> dict[str, str]:
    """Answer the questions about a study, and about one of its rows, by their words.

    Args:
        study: All runs.
        row: The row that is reported; the best one.
    """
    result = row.results[0]
    run = RunFolder((result.folds or (result,))[0].path)
    status, provenance = run.read_status(), read_json(run.provenance)
    count = status.get("parameters")
    return {
        "Number of runs": _runs(study),
        "Method and bounds of the search": _search(study),
        "Configuration of the best": f"{words(row.overrides)}\n{relative(run.config)}".strip(),
        "Seeds": ", ".join(sorted({str(each.seed) for each in row.results}, key=_natural)),
        "Validation and test, mean and spread": _metrics(row.metrics),
        "Compute": _compute(study, provenance),
        "Parameters": f"{count:,}" if isinstance(count, int) else UNKNOWN,
        "Split": _split(result, status),
        "Rows left out, and why": _cleaning(run),
        "Data": _data(result, status),
        "Code and versions": _code(provenance),
    }


def _natural(text: str) -> tuple[int, str]:
    return len(text), text


def _runs(study: Study) -> str:
    finished = sum(each.is_finished for each in study.results)
    folds = sum(len(each.folds) for each in study.results)
    jobs = f"{len(study.results)}, of which {finished} finished"
    return f"{jobs}; {plural(folds, 'fold')} trained" if folds else jobs


def _search(study: Study) -> str:
    swept = as_mapping(read_json(study.path / SWEEP).get("swept"))
    if study.kind != "sweep" or not swept:
        return "none: the config was given"
    bounds = "\n".join(f"{key}: {values}" for key, values in swept.items())
    return f"all combinations that were given, {len(study.rows)} points\n{bounds}"


def _metrics(metrics: Mapping[str, Estimate]) -> str:
    return "\n".join(
        f"{name}: {number(each.mean)}"
        + (f" ± {number(each.deviation)} (95 % {interval(each)})" if interval(each) else "")
        for name, each in metrics.items()
        if not name.startswith("train/")
    )


def _compute(study: Study, provenance: Mapping[str, Any]) -> str:
    total = sum(each.seconds for each in study.results)
    hardware = as_mapping(provenance.get("hardware"))
    found = hardware.get("gpus")
    gpus = ", ".join(map(str, found if isinstance(found, list) else ())) or "no GPU"
    machine = f"{hardware.get('processor', UNKNOWN)}, {hardware.get('cores', '?')} cores, {gpus}"
    lines = [f"{duration(total)} in total", machine, f"{provenance.get('platform', UNKNOWN)}"]
    return "\n".join([*lines, *memory_lines(study.results)])


def memory_lines(results: Iterable[Result]) -> list[str]:
    """Return the peak of each kind of memory over all runs, in words."""
    peaks = peak_memory(results)
    return [f"at most {size(count)} of {KINDS[kind]}" for kind, count in peaks.items()]


def peak_memory(results: Iterable[Result]) -> dict[str, float]:
    """Return the most bytes that any run has held, in main memory and on a GPU if it used one."""
    runs = [run for each in results for run in each.folds or (each,)]
    found = [as_mapping(RunFolder(run.path).read_status().get("peak_memory")) for run in runs]
    peaks = {kind: [each[kind] for each in found if _is_count(each.get(kind))] for kind in KINDS}
    return {kind: max(counts) for kind, counts in peaks.items() if counts}


def _is_count(value: Any) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)


def _split(result: Result, status: Mapping[str, Any]) -> str:
    config = result.config()
    prefix = "data.splitter."
    splitter = {
        key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)
    }
    name = str(splitter.pop("_target_", UNKNOWN)).rpartition(".")[2]
    rule = ", ".join(f"{key} {value}" for key, value in splitter.items() if value is not None)
    rows = as_mapping(status.get("rows"))
    counts = ", ".join(f"{split} {count}" for split, count in rows.items()) or UNKNOWN
    of_fold = " of the first fold" if result.folds else ""
    return f"{name}: {rule}\nrows{of_fold}: {counts}"


def _cleaning(run: RunFolder) -> str:
    report = read_json(run.cleaning)
    steps = {key: as_mapping(step) for key, step in as_mapping(report.get("steps")).items()}
    if not steps:
        return UNKNOWN
    dropped = [
        f"{name}: {step['dropped']} of {step.get('found', '?')} found"
        for name, step in steps.items()
        if step.get("dropped")
    ]
    kept = f"{report.get('rows_kept', '?')} of {report.get('items_read', '?')} items are kept"
    return "\n".join([kept, *(dropped or ["no step left any out"])])


def _data(result: Result, status: Mapping[str, Any]) -> str:
    config = result.config()
    places = [f"{key}: {config[key]}" for key in ("data.root", "data.path") if config.get(key)]
    prints = [
        f"{key.replace('_', ' ')} {status[key]}"
        for key in ("data_fingerprint", "split_fingerprint")
        if status.get(key)
    ]
    return "\n".join([str(config.get("data.name", UNKNOWN)), *places, *prints])


def _code(provenance: Mapping[str, Any]) -> str:
    return "\n".join(code_lines(provenance).values()) or UNKNOWN


def code_lines(provenance: Mapping[str, Any]) -> dict[str, str]:
    """Return the revision of the code and the versions of packages, by their names."""
    git, versions = as_mapping(provenance.get("git")), as_mapping(provenance.get("versions"))
    lines = {}
    if git:
        changed = ", with uncommitted changes (changes.diff)" if git.get("modified") else ""
        lines["git"] = f"git {git.get('revision')}{changed}"
    return lines | {package: f"{package} {version}" for package, version in versions.items()}


def as_mapping(value: Any) -> Mapping[str, Any]:
    """Return a mapping as it is, and anything else, as a damaged file may have, as an empty one."""
    return value if isinstance(value, Mapping) else {}
