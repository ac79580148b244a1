"""Schemas of ``conf/``: what an editor accepts is what Leyden accepts."""

import json
from pathlib import Path

import pytest
from check_jsonschema import main as check_jsonschema
from click.testing import CliRunner

import shipped
from leyden.config.options import ROOT_CONFIG
from leyden.config.projects import CONF
from leyden.config.schema import CHOICES, file_of, make_schemas, write_schemas

FILES = {
    **{name: [CONF / f"{name}.yaml"] for name in (ROOT_CONFIG, CHOICES)},
    **{
        group: [CONF / group / f"{option}.yaml" for option in options]
        + sorted((CONF / group).glob("_*.yaml"))
        for group, options in shipped.OPTIONS.items()
    },
}


@pytest.fixture(scope="module")
def schemas(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("schema")
    write_schemas(folder)
    return folder


def faults(schema: Path, *files: Path) -> str:
    """Return what check-jsonschema reports about files; an empty string if they are valid."""
    words = ["--output-format", "json", "--schemafile", str(schema), *map(str, files)]
    done = CliRunner().invoke(check_jsonschema, words)
    report = json.loads(done.output)
    return "" if report["status"] == "ok" else json.dumps(report)


@pytest.mark.parametrize("group", FILES)
def test_every_file_is_valid(group: str, schemas: Path) -> None:
    assert FILES[group]
    assert not faults(schemas / file_of(group), *FILES[group])


@pytest.mark.parametrize(
    ("group", "text", "fault"),
    [
        ("network", "_target_: leyden.networks.cnn.CNN\nchannels: many", "many"),
        ("network", "_target_: leyden.networks.cnn.CNN\nchannels: [many]", "many"),
        ("network", "_target_: leyden.networks.cnn.CNN\nchanels: [4]", "chanels"),
        ("network", "_target_: os.system\ncommand: ls", "os.system"),
        ("network", "defaults: [cnnn]", "cnnn"),
        ("optimizer", "_target_: torch.optim.AdamW\nbetas: [0.9]", "betas"),
        ("optimizer", "_target_: torch.optim.AdamW\nfused: sometimes", "fused"),
        ("trainer", "defaults: [auto]\nmax_epoch: 3", "max_epoch"),
        ("trainer", "defaults: [auto]\nmax_epochs: many", "max_epochs"),
        ("data", "defaults: [_table]\nmax_categories: most", "most"),
        ("data", "defaults: [_table]\ncleaning: {_target_: leyden.data.x}\nbatch_size: a", "batch"),
        ("callbacks", "ema: 0.9", "ema"),
        (
            "callbacks",
            "stop:\n  _target_: leyden.callbacks.early_stopping.EarlyStopping\n  patience: long",
            "patience",
        ),
        ("experiment", "defaults: [override /network: cnnn]", "cnnn"),
        ("experiment", "optimiser:\n  lr: 0.1", "optimiser"),
        ("experiment", "optimizer:\n  lrr: 0.1", "lrr"),
        ("experiment", "seed: first", "first"),
        ("choices", "- {network: cnnn, task: regression}", "cnnn"),
        ("choices", "- {network: cnn, task: regression, targets: number}", "targets"),
        ("choices", "- {network: cnn}", "task"),
    ],
)
def test_mistakes_are_found(
    group: str, text: str, fault: str, schemas: Path, tmp_path: Path
) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)

    assert fault in faults(schemas / file_of(group), file)


@pytest.mark.parametrize(
    ("group", "text"),
    [
        ("network", "_target_: leyden.networks.of_mine.Mine\nanything: 1"),
        ("network", "_target_: leyden.networks.cnn.CNN\ndropout: ${oc.env:DROPOUT}"),
        ("network", "# nothing yet"),
        ("data", "defaults: [_table]\npath: ???"),
        ("callbacks", "ema: null"),
        ("experiment", "defaults: [override /data@data: digits]\nnetwork: null"),
        ("experiment", "data:\n  cleaning:\n    duplicates: false\nname: 3"),
    ],
)
def test_what_works_is_valid(group: str, text: str, schemas: Path, tmp_path: Path) -> None:
    file = tmp_path / "own.yaml"
    file.write_text(text)

    assert not faults(schemas / file_of(group), file)


def test_editors_show_what_a_key_means() -> None:
    channels = make_schemas()["nodes.json"]["$defs"]["leyden.networks.cnn.CNN"]["properties"]

    assert channels["channels"]["description"] == "Channels of each convolution, first to last."
    assert channels["dropout"]["default"] == 0.0
