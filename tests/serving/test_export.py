import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

import leyden
from leyden.comparison.calibrate import calibrate
from leyden.config.build import build_node
from leyden.config.compose import compose, freeze
from leyden.errors import UserError
from leyden.runs.folder import RunFolder
from leyden.serving.export import export
from leyden.serving.precision import TOLERANCES
from leyden.workflows.train import train

SHORT = ["trainer=cpu", "trainer.max_epochs=1", "trainer.precision=32-true"]

MEASURED = """
import json, sys
import leyden
rows = leyden.load(sys.argv[1]).predict(sys.argv[2:])
status = dict(line.split(":") for line in open("/proc/self/status"))
kilobytes = int(status["VmHWM"].split()[0])
print(json.dumps({"rows": rows, "torch": "torch" in sys.modules, "MiB": kilobytes / 1024}))
"""


def trained(folder: Path, *words: str) -> Path:
    train(freeze(compose([*SHORT, *words])), RunFolder(folder))
    return folder


def in_a_fresh_process(exported: Path, *inputs: Path) -> dict:
    command = [sys.executable, "-c", MEASURED, str(exported), *map(str, inputs)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def exported(run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exports") / "digits"
    export(str(run), folder)
    return folder


@pytest.fixture(scope="module")
def digit(tmp_path_factory):
    path = tmp_path_factory.mktemp("png") / "a.png"
    pixels = np.random.default_rng(0).integers(0, 256, (8, 8), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def test_an_export_predicts_as_its_run(run, exported, digit):
    (by_run,), (by_export,) = (leyden.load(each).predict(digit) for each in (run, exported))

    assert by_export.keys() == by_run.keys() == {"file", "class", "probability"}
    assert by_export["class"] == by_run["class"]
    assert by_export["probability"] == pytest.approx(by_run["probability"], abs=TOLERANCES["fp32"])


def test_the_most_probable_classes_are_listed_on_request(run, exported, digit):
    (by_run,), (by_export,) = (leyden.load(each).predict(digit, top=3) for each in (run, exported))

    for row in (by_run, by_export):
        assert row.keys() == {"file", "class", "probability", "top"}
        assert row["top"][0] == {name: row[name] for name in ("class", "probability")}
        probabilities = [each["probability"] for each in row["top"]]
        assert probabilities == sorted(probabilities, reverse=True)
        assert [round(each, 6) for each in probabilities] == probabilities
    assert [each["class"] for each in by_run["top"]] == [each["class"] for each in by_export["top"]]
    assert len(leyden.load(exported).predict(digit, top=99)[0]["top"]) == 10


def test_files_and_arrays_have_the_same_predictions(run, exported, digit):
    pixels = np.asarray(Image.open(digit))[np.newaxis, np.newaxis]
    for path in (run, exported):
        network = leyden.load(path)
        (of_file,), (of_array,) = network.predict([digit]), network.predict(pixels)

        assert of_array == {name: of_file[name] for name in ("class", "probability")}
        assert network.predict({"images": pixels}) == [of_array]
        assert network.classes == tuple("0123456789")


def test_the_example_is_a_row_and_its_prediction(exported):
    record = json.loads((exported / "model.json").read_text())
    request, response = record["example"]["request"], record["example"]["response"]
    network = leyden.load(exported)
    inputs = network.artefact.reader.decode_rows(request["inputs"])

    assert network.predict(inputs.fields, top=request["top"]) == response["predictions"]
    assert [len(row["top"]) for row in response["predictions"]] == [5]
    assert response["model"] == {"name": record["name"], "version": record["version"]}
    assert record["row"] == network.artefact.reader.row_schema
    assert record["task"] == "classification"
    assert record["metrics"]["test/accuracy"] > 0
    assert record["data_fingerprint"]


def test_the_model_card_has_the_shapes_as_documented(exported):
    assert "| images | uint8 | (batch, 1, 8, 8) | pixels" in (exported / "README.md").read_text()


@pytest.mark.slow
def test_a_fresh_process_needs_no_torch_and_little_memory(run, exported, digit):
    measured = in_a_fresh_process(exported, digit)

    assert not measured["torch"]
    assert measured["MiB"] <= 200
    assert measured["rows"][0]["class"] == leyden.load(run).predict(digit)[0]["class"]


@pytest.mark.parametrize("place", ["file/digits", "a" * 255])
def test_a_folder_that_cannot_be_written_is_refused_before_the_run_is_read(tmp_path, place):
    (tmp_path / "file").touch()

    with pytest.raises(UserError, match=f"{place} cannot be written"):
        export("no run", tmp_path / place)

    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_nothing_is_left_if_the_answers_differ(run, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "leyden.serving.parity.compute_answers",
        lambda *_: {"probabilities": np.zeros((1, 10))},
    )

    with pytest.raises(UserError, match=r"differs from the checkpoint by .* on a batch of 1 rows"):
        export(str(run), tmp_path / "digits")

    assert list(tmp_path.iterdir()) == []


def test_rows_may_be_those_of_given_files(run, tmp_path, digit):
    record = export(str(run), tmp_path / "digits", inputs=[str(digit)])

    assert record["parity"]["deviation"] <= TOLERANCES["fp32"]
    assert np.shape(record["example"]["request"]["inputs"]) == (1,)


def test_only_an_export_is_replaced(run, tmp_path):
    (tmp_path / "notes").mkdir()
    with pytest.raises(UserError, match="is not an exported network"):
        export(str(run), tmp_path / "notes")
    assert list(tmp_path.iterdir()) == [tmp_path / "notes"]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pixels": np.zeros(3)}, r"takes the arrays images, got pixels"),
        (np.zeros((1, 8, 8), np.uint8), r"expected \(batch, 1, 8, 8\) uint8"),
        (np.zeros((1, 1, 8, 9), np.uint8), r"got \(1, 1, 8, 9\) uint8"),
        (np.zeros((1, 1, 8, 8)), r"got \(1, 1, 8, 8\) float64"),
        ([{"image": 1}], "row 0: image: expected a string, got a number"),
        ([1], "Expected paths of files, rows, or arrays .* got a list of int"),
        ([], "got a list of nothing"),
    ],
)
def test_other_arrays_are_refused_by_name(exported, values, message):
    with pytest.raises(UserError, match=message):
        leyden.load(exported).predict(values)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "is not an exported network"),
        ('{"format": 0}', "has format 0, expected 1"),
        ('{"format": 1}', "is damaged"),
        ("[]", "has format None"),
    ],
)
def test_damaged_exports_are_refused(tmp_path, content, message):
    (tmp_path / "model.json").write_text(content)
    with pytest.raises(UserError, match=message):
        leyden.load(tmp_path)


def test_the_commands_export_and_predict(run, digit, leyden, tmp_path):
    done = leyden("export", f"run={run}", f"to={tmp_path}/network", "deploy=triton,kserve")
    assert done.code == 0, done.err
    assert (tmp_path / "network" / "config.pbtxt").is_file()
    assert (tmp_path / "network" / "inference_service.yaml").is_file()
    assert json.loads(done.out)["deviation"] <= TOLERANCES["fp32"]

    done = leyden("predict", f"export={tmp_path}/network", digit)
    assert done.code == 0, done.err
    assert done.out.splitlines()[0] == "file,class,probability"

    done = leyden("predict", f"export={tmp_path}/network", digit, "trainer=cpu")
    assert done.code == 2
    assert "has no config" in done.err


def test_a_graph_of_torch_predicts_the_same(run, exported, digit, tmp_path):
    record = export(str(run), tmp_path / "network", form="pt2")

    assert record["parity"]["deviation"] <= TOLERANCES["fp32"]
    (by_torch,), (by_onnx,) = (
        leyden.load(each).predict(digit) for each in (tmp_path / "network", exported)
    )
    assert by_torch["class"] == by_onnx["class"]
    assert by_torch["probability"] == pytest.approx(by_onnx["probability"], abs=TOLERANCES["fp32"])
    (tmp_path / "network" / "model.pt2").write_bytes(b"")
    with pytest.raises(UserError, match="torch cannot read"):
        leyden.load(tmp_path / "network")


def test_a_graph_of_torch_needs_no_package_of_onnx(run, tmp_path, monkeypatch):
    for name in ("onnx", "onnxruntime"):
        monkeypatch.setitem(sys.modules, name, None)

    record = export(str(run), tmp_path / "network", form="pt2")

    assert list(record["versions"]) == ["leyden", "torch"]


def test_weights_alone_rebuild_the_network(run, exported, digit, tmp_path):
    folder = tmp_path / "network"
    record = export(str(run), folder, form="safetensors")

    (member,) = record["members"]
    network = build_node(member["network"], "network").eval()
    network.load_state_dict(load_file(folder / "model.safetensors"))
    buffers = load_file(folder / "normalisation.safetensors")
    pixels = torch.from_numpy(np.array(Image.open(digit)))[None, None]
    with torch.inference_mode():
        logits = network(images=pixels * buffers["images.scale"] + buffers["images.offset"])
    probabilities = (logits / record["temperature"]).softmax(dim=1)

    (expected,) = leyden.load(exported).predict(digit)
    assert probabilities.max().item() == pytest.approx(expected["probability"], abs=1e-5)
    assert "## Weights" in (folder / "README.md").read_text()
    assert (folder / "model.safetensors").stat().st_mode == (folder / "model.json").stat().st_mode
    with pytest.raises(UserError, match=r"holds weights alone, .* format=onnx"):
        leyden.load(folder)


def test_weights_that_are_not_numbers_are_refused(run, tmp_path):
    own_run = shutil.copytree(run, tmp_path / "run")
    checkpoint = next((own_run / "checkpoints").glob("best*"))
    content = torch.load(checkpoint, weights_only=True)
    for tensor in content["state_dict"].values():
        if tensor.is_floating_point():
            tensor.fill_(torch.nan)
    torch.save(content, checkpoint)

    with pytest.raises(UserError, match="reads back other weights"):
        export(str(own_run), tmp_path / "network", form="safetensors")

    assert not (tmp_path / "network").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            ["format=pt2", "deploy=triton"],
            "deploy has no effect on format=pt2. Expected format=onnx",
        ),
        (["format=pt2", "precision=int8"], "precision=int8 has no effect on format=pt2"),
        (["format=safetensors", "precision=fp16"], "Expected format=onnx or format=pt2"),
        (["format=safetensors", "input=a.png"], "input has no effect"),
        (["deploy=triton,kserv"], "deploy=kserv is unknown. Did you mean 'kserve'?"),
    ],
)
def test_arguments_without_effect_are_refused(words, message, leyden):
    done = leyden("export", "run=missing", *words)

    assert done.code == 2
    assert message in done.err


@pytest.mark.parametrize("form", ["onnx", "pt2", "safetensors"])
def test_no_path_of_this_machine_is_in_an_export(run, tmp_path, form):
    export(str(run), tmp_path / "network", form=form)

    for path in (tmp_path / "network").iterdir():
        for place in (Path(leyden.__file__).parent, run, Path(sys.prefix)):
            assert str(place).encode() not in path.read_bytes(), (path, place)


def test_values_that_the_graph_cannot_take_are_refused(exported):
    with pytest.raises(UserError, match="cannot compute these values"):
        leyden.load(exported).network({"images": np.zeros((1, 2), np.uint8)})


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_lower_precision_records_what_it_costs(digit, tmp_path, precision):
    run = trained(tmp_path / "run", "network=mlp")
    export(str(run), tmp_path / "original")

    record = export(str(run), tmp_path / "network", precision=precision)

    assert TOLERANCES["fp32"] < record["parity"]["deviation"] <= TOLERANCES[precision]
    before, after = record["metrics_before"], record["metrics"]
    original = json.loads((tmp_path / "original" / "model.json").read_text())["metrics"]
    assert before["val/accuracy"] == pytest.approx(original["val/accuracy"], abs=1e-6)
    assert after["val/accuracy"] == pytest.approx(before["val/accuracy"], abs=0.05)
    sizes = [(tmp_path / name / "model.onnx").stat().st_size for name in ("network", "original")]
    assert sizes[0] < 0.6 * sizes[1]
    assert leyden.load(tmp_path / "network").predict(digit)


@pytest.mark.slow
def test_calibrated_probabilities_are_exported(digit, tmp_path):
    run = trained(tmp_path / "run", "network=linear")
    (before,) = leyden.load(run).predict(digit)
    settings = calibrate(str(run))
    export(str(run), tmp_path / "network")

    (by_run,), (by_export,) = (
        leyden.load(tmp_path / name).predict(digit) for name in ("run", "network")
    )
    assert settings["temperature"] != 1
    assert by_run["probability"] != before["probability"]
    assert by_export["probability"] == pytest.approx(by_run["probability"], abs=1e-5)
