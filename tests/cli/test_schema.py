"""``leyden schema``: where it writes, and what it prints for an editor."""

import json


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
