"""``leyden schema``: where it writes, and what it prints for an editor."""

import json
import sys


def test_every_schema_is_mapped_to_files(leyden, tmp_path):
    done = leyden("schema")

    assert done.code == 0, done.err
    mapped = json.loads(done.out)["yaml.schemas"]
    assert mapped["conf/schema/network.json"] == "conf/network/*.yaml"
    assert mapped["conf/schema/train.json"] == "conf/train.yaml"
    assert all(json.loads((tmp_path / file).read_text()) for file in mapped)


def test_another_folder(leyden, tmp_path):
    done = leyden("schema", "to=elsewhere")

    assert "elsewhere/task-mix.json" in json.loads(done.out)["yaml.schemas"]
    assert (tmp_path / "elsewhere/nodes.json").is_file()


def test_other_words_are_refused(leyden):
    assert leyden("schema", "network=cnn").code == 2
    assert leyden("schema", "now").code == 2


def test_classes_of_the_project_are_described(leyden, tmp_path, monkeypatch):
    monkeypatch.setattr(sys, "path", sys.path[:])  # which gets the project's src/
    for folder in ("conf/network", "src/mine"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "pyproject.toml").touch()
    (tmp_path / "src/mine/__init__.py").write_text(
        'class Net:\n    """Mine.\n\n    Args:\n        width: Of the layer.\n    """\n\n'
        "    def __init__(self, *, width: int) -> None: ...\n"
    )
    (tmp_path / "conf/network/net.yaml").write_text("# Mine.\n_target_: mine.Net\nwidth: 3\n")

    assert leyden("schema").code == 0

    nodes = json.loads((tmp_path / "conf/schema/nodes.json").read_text())["$defs"]
    assert nodes["mine.Net"]["properties"]["width"]["description"] == "Of the layer."
    network = json.loads((tmp_path / "conf/schema/network.json").read_text())
    assert "width" in network["else"]["properties"]
