"""The page in headless Chromium, at a server and with answers of servers of other networks."""

import io
import json
import re
import shutil
import wave

import numpy as np
import pytest
from playwright.sync_api import expect, sync_playwright

from brightness import png
from leyden.data.audio.reader import SpeechReader
from leyden.data.image.reader import ImageReader
from leyden.data.table.columns import Column
from leyden.data.table.json_rows import column_schema
from leyden.data.text.reader import TextReader
from leyden.serving.predictor import as_rows
from leyden.tasks.readings import LabelReading

CHROMIUM = shutil.which("chromium")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="needs Chromium: apt install chromium"),
]

FLAGS = (
    "--no-sandbox",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP page.test 127.0.0.1",
)

HOSTILE = "<img src=x onerror=alert(1)>"

NUMBER = column_schema(Column(name="", kind="numeric"), ())
WORD = column_schema(Column(name="", kind="categorical"), ("Dream", "Biscoe"))
TRUTH = column_schema(Column(name="", kind="boolean"), ())
DATE = column_schema(Column(name="", kind="date"), ())
(TEXT,) = TextReader(vocabulary="", max_tokens=256).row_schema["properties"].values()
(IMAGE,) = ImageReader(shape=(1, 8, 8)).row_schema["properties"].values()
(SOUND,) = SpeechReader(sample_rate=8000, hop=80).row_schema["properties"].values()

PENGUIN = {"bill length": 39.1, "island": "Biscoe", "tagged": True, "seen": "2007-11-11"}
PENGUINS = {"bill length": NUMBER, "island": WORD, "tagged": TRUTH, "seen": DATE}


@pytest.fixture(scope="module")  # anyio's tests of other modules need its event loop to be gone
def chromium():
    with sync_playwright() as playwright:
        expect.set_options(timeout=20_000)  # ms; the machine may be busy
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium, server):
    """Open the page; at the end, it must have made no request elsewhere and no error."""
    contexts, requested, errors = [], [], []

    def note(message):
        if message.type == "error" and not message.text.startswith("Failed to load resource"):
            errors.append(message.text)

    def open_page(url=server.url, *, stub=None, **options):
        context = chromium.new_context(**options)
        context.set_default_timeout(20_000)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requested.append(request.url))
        page.on("console", note)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(dialog.message))
        if stub:
            stub(page)
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    hosts = {re.match(r"blob:|[a-z]+://[^/:]+", url)[0] for url in requested}
    assert hosts <= {"blob:", "http://127.0.0.1", "http://page.test"}
    assert errors == []


def network(properties, task, *, names=(), example=None):
    """Return the description of a network, as ``GET /v1/model`` answers."""
    return {
        "name": "pets",
        "version": "1",
        "task": task,
        "class_names": list(names),
        "metrics": {"val/loss": 0.123456},
        "row": {"type": "object", "properties": properties, "required": list(properties)},
        "example": {"request": {"inputs": [example or {}]}},
    }


def answering(model, *predictions, status=200, error=None, version="1"):
    """Return a function that makes a page see another network, and the requests that it gets."""
    received = []

    def predict(route):
        received.append(route.request)
        answer = {"predictions": predictions, "model": {"name": "pets", "version": version}}
        route.fulfill(status=status, json={"error": {"message": error}} if error else answer)

    def stub(page):
        page.route("**/v1/model", lambda route: route.fulfill(json=model))
        page.route("**/v1/predict", predict)

    return stub, received


def cards(page):
    return page.locator("#cards > li")


@pytest.fixture
def digit(tmp_path):
    path = tmp_path / "seven <b>.png"
    path.write_bytes(png(np.eye(8) * 255))
    return path


# --- at the server of the digits ---


def test_several_files_get_a_card_each(visit, digit, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    page = visit()

    page.set_input_files("#files", [digit, broken])

    good, bad = cards(page).first, cards(page).nth(1)
    expect(good.locator(".bars li")).to_have_count(5)
    expect(good.locator("h3")).to_have_text("seven <b>.png")
    expect(good.locator(".version")).to_have_text(re.compile("^shared, version [0-9a-f]{12}$"))
    assert good.locator("img").evaluate("image => image.naturalWidth") == 8
    shares = [float(text[:-1]) for text in good.locator(".bars .share").all_text_contents()]
    assert shares == sorted(shares, reverse=True)
    expect(bad.locator(".error")).to_contain_text("broken.png")
    expect(bad.locator("img")).to_have_count(0)
    page.get_by_role("button", name="Clear").click()
    expect(cards(page)).to_have_count(0)
    expect(page.get_by_role("heading", name="Results")).to_be_focused()


def test_the_example_is_predicted_as_recorded(visit, example):
    page = visit()

    page.get_by_role("button", name="Try an example").click()

    (prediction,) = example["response"]["predictions"]
    expect(cards(page).locator(".headline bdi")).to_have_text(prediction["class"])
    expect(page.locator("#status")).to_contain_text(f"example.png: {prediction['class']} ")


def test_dropped_and_pasted_files_are_predicted(visit, digit):
    page = visit()
    transfer = page.evaluate_handle(
        "bytes => { const transfer = new DataTransfer();"
        "transfer.items.add(new File([new Uint8Array(bytes)], 'x.png', {type: 'image/png'}));"
        "return transfer; }",
        list(digit.read_bytes()),
    )

    page.dispatch_event("h1", "dragover", {"dataTransfer": transfer})
    expect(page.locator("#drop")).to_have_class(re.compile("over"))
    page.dispatch_event("h1", "drop", {"dataTransfer": transfer})
    page.evaluate(
        "clipboardData => document.dispatchEvent(new ClipboardEvent('paste', {clipboardData}))",
        transfer,
    )

    expect(page.locator("#drop")).not_to_have_class(re.compile("over"))
    expect(cards(page).locator(".bars")).to_have_count(2)


def test_a_folder_or_a_file_that_is_gone_is_an_error_of_its_own(visit, digit):
    page = visit()
    page.evaluate("() => { Blob.prototype.arrayBuffer = () => Promise.reject() }")

    page.set_input_files("#files", digit)

    expect(cards(page).locator(".error")).to_contain_text("cannot read this file")


def test_a_key_is_asked_for_and_sent(visit, start_server, exported):
    page = visit(start_server(f"export={exported}", LEYDEN_API_KEYS="secret").url)
    expect(page.get_by_role("heading", name="Images")).to_be_hidden()
    field = page.get_by_label("API key")
    expect(field).to_be_focused()

    field.fill("wrong")
    field.press("Enter")
    expect(page.locator("#key-error")).to_have_text("The server does not know this key.")
    field.fill("secret")
    field.press("Enter")

    expect(page.locator("#files")).to_be_focused()
    expect(page.locator("#key")).to_be_hidden()
    page.get_by_role("button", name="Try an example").click()
    expect(cards(page).locator(".bars")).to_have_count(1)


# --- with the answers of other networks ---


def test_a_row_is_filled_in_with_the_keyboard_alone(visit):
    model = network(PENGUINS, "regression", example=PENGUIN) | {"target": "mass", "unit": "g"}
    stub, received = answering(model, {"value": 3750.25})
    page = visit(stub=stub)

    def focus(label):
        for _ in range(20):
            page.keyboard.press("Tab")
            if page.get_by_label(label, exact=True).evaluate("each => each.matches(':focus')"):
                return
        raise AssertionError(label)

    focus("bill length")
    outline = page.locator(":focus").evaluate("each => getComputedStyle(each).outlineStyle")
    assert outline == "solid"
    page.keyboard.type("-1e3")
    focus("island")
    page.keyboard.type("Elsewhere")
    focus("tagged")
    page.keyboard.type("no")
    focus("seen")
    page.keyboard.press("Enter")

    expect(cards(page).locator(".headline")).to_have_text("3750.25 g")
    expect(page.locator("#summary")).to_contain_text("Regression of mass")
    assert json.loads(received[0].post_data)["inputs"] == [
        {"bill length": -1000, "island": "Elsewhere", "tagged": False, "seen": None}
    ]
    expect(page.get_by_label("island")).to_have_value("Elsewhere")
    page.get_by_role("button", name="Fill in an example").press("Enter")
    page.get_by_role("button", name="Predict").press("Enter")
    expect(cards(page).locator(".headline")).to_have_count(2)
    assert json.loads(received[1].post_data)["inputs"] == [PENGUIN]


def test_what_is_no_number_is_not_sent(visit):
    stub, received = answering(network(PENGUINS, "regression", example=PENGUIN), {"value": 1.0})
    page = visit(stub=stub)

    page.get_by_label("bill length").press_sequentially("1e")
    page.get_by_role("button", name="Predict").click()

    expect(page.get_by_label("bill length")).to_be_focused()
    assert received == []


def test_enter_submits_a_text_and_shift_enter_does_not(visit):
    model = network({"text": TEXT}, "language_modelling")
    stub, received = answering(model, {"text": "Once upon\na time <b>"})
    page = visit(stub=stub)

    field = page.get_by_role("textbox", name="text")
    field.press_sequentially("Once upon")
    field.press("Shift+Enter")
    field.dispatch_event("keydown", {"key": "Enter", "isComposing": True})  # ends a word in Chinese
    field.press("Enter")

    expect(cards(page)).to_have_count(1)
    expect(cards(page).locator("mark")).to_have_text("\na time <b>")
    expect(cards(page).locator(".prose")).to_have_text("Once upon\na time <b>")
    assert json.loads(received[0].post_data)["inputs"] == [{"text": "Once upon\n"}]


def test_names_are_inert(visit, tmp_path):
    names = (HOSTILE, "猫", "قطة")
    top = [{"class": name, "probability": 0.25} for name in names]
    row = {HOSTILE: NUMBER, "__proto__": NUMBER, "عمود": WORD | {"examples": [HOSTILE]}}
    model = network(row, "classification", names=names, example=dict.fromkeys(row))
    model["name"] = HOSTILE
    stub, received = answering(model, {"class": HOSTILE, "probability": 0.25, "top": top})
    page = visit(stub=stub)
    file = tmp_path / "<svg onload=alert(1)>.csv"
    file.write_text("x")

    page.get_by_label("__proto__").fill("3")
    page.get_by_role("button", name="Predict").click()
    page.set_input_files("#files", file)
    page.get_by_text("About this network").click()

    expect(cards(page).locator(".bars")).to_have_count(2)
    expect(cards(page).first.locator(".bars bdi")).to_have_text(names)
    expect(page.locator("h1")).to_have_text(HOSTILE)
    expect(page.locator("img, svg, b")).to_have_count(0)
    assert '"__proto__":3' in received[0].post_data


def test_labels_are_sorted_and_the_predicted_ones_marked(visit):
    names = [f"label {i}" for i in range(8)]
    probabilities = np.linspace(0, 0.8, 8)[np.newaxis]
    columns = LabelReading(names=names, threshold=0.6).columns({"probabilities": probabilities})
    model = network({"text": TEXT}, "multilabel", names=names)
    stub, _ = answering(model, *as_rows(columns))
    page = visit(stub=stub)

    page.get_by_role("button", name="Predict").click()

    expect(cards(page).locator(".headline")).to_have_text("label 7, label 6")
    expect(cards(page).locator(".bars bdi")).to_have_text([f"label {i}" for i in (7, 6, 5, 4, 3)])
    expect(cards(page).locator(".predicted")).to_have_count(2)


def test_what_a_task_of_a_project_predicts_is_listed(visit):
    stub, _ = answering(
        network({"text": TEXT}, "tides"), {"height": 1.5, "times": ["1:20", "13:45"]}
    )
    page = visit(stub=stub)

    page.get_by_role("button", name="Predict").click()

    expect(cards(page).locator(".prose")).to_have_text('height: 1.5\ntimes: ["1:20","13:45"]')
    expect(page.locator("#summary")).to_have_text("tides · version 1")


def test_the_rows_of_a_file_are_a_table(visit, tmp_path):
    rows = [{"file": f"a.csv:{i}", "value": float(i)} for i in range(520)]
    stub, _ = answering(network(PENGUINS, "regression"), *rows)
    page = visit(stub=stub)
    (tmp_path / "a.csv").write_text("x")

    page.set_input_files("#files", tmp_path / "a.csv")

    expect(cards(page).locator(".headline")).to_contain_text("520 rows")
    expect(cards(page).locator("tbody tr")).to_have_count(500)
    expect(cards(page).locator("thead th")).to_have_text(["row", "value"])
    expect(cards(page).locator("tbody tr").nth(2)).to_have_text("32")


def test_a_recording_is_sent_as_wav(visit):
    model = network({"sound": SOUND}, "ctc", example={"sound": ""})
    stub, received = answering(model, {"transcript": "你好"})
    page = visit(stub=stub)

    expect(page.get_by_text("content of a sound file (WAV,")).to_be_visible()
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#elapsed")).to_have_text("0:01")
    page.get_by_role("button", name="Stop and predict").click()

    expect(cards(page).locator(".prose")).to_have_text("你好")
    assert cards(page).locator("audio").evaluate("each => each.duration > 0.9")
    body = received[0].post_data_buffer
    with wave.open(io.BytesIO(body[body.index(b"RIFF") :])) as recorded:
        assert (recorded.getnchannels(), recorded.getsampwidth()) == (1, 2)
        samples = np.frombuffer(recorded.readframes(recorded.getnframes()), "<i2")
        assert 0.9 < len(samples) / recorded.getframerate() < 10
    assert np.abs(samples).max() > 1000  # the fake microphone beeps


def test_why_there_is_no_microphone_is_said(visit, server):
    model = network({"sound": SOUND}, "classification", example={"sound": ""})
    page = visit(f"http://page.test:{server.port}", stub=answering(model)[0])

    expect(page.get_by_text("To record, open this page at an https:// address")).to_be_visible()
    expect(page.get_by_role("button", name="Record")).to_be_hidden()

    page = visit(stub=answering(model)[0])
    page.evaluate(
        "() => { navigator.mediaDevices.getUserMedia = async () => {"
        "throw new DOMException('', 'NotAllowedError') } }"
    )
    page.get_by_role("button", name="Record").click()
    expect(page.locator("#record-error")).to_contain_text("does not let this page use")


@pytest.mark.parametrize("status", [401, 413, 422, 503])
def test_an_error_shows_the_message_of_the_server(visit, status):
    model = network(PENGUINS, "regression", example=PENGUIN)
    stub, _ = answering(model, status=status, error=f"Expected less, got {HOSTILE}.")
    page = visit(stub=stub)

    page.get_by_label("island").fill("Dream")
    page.get_by_role("button", name="Predict").click()

    expect(cards(page).locator(".error")).to_have_text(f"Expected less, got {HOSTILE}.")
    expect(page.locator("#status")).to_contain_text("Expected less")
    expect(page.get_by_label("island")).to_have_value("Dream")
    expect(page.get_by_label("API key")).to_be_visible(visible=status == 401)


def test_a_server_that_is_away_may_be_tried_again(visit):
    page = visit(stub=lambda page: page.route("**/v1/model", lambda route: route.abort()))
    expect(page.get_by_role("alert")).to_contain_text("The server cannot be reached.")

    page.unroute("**/v1/model")
    page.get_by_role("button", name="Try again").click()

    expect(page.get_by_role("heading", name="Images")).to_be_visible()
    expect(page.locator("#problem")).to_be_hidden()


def test_a_network_that_has_been_replaced_is_described_anew(visit):
    model = network(PENGUINS, "regression", example=PENGUIN)
    stub, _ = answering(model, {"value": 1.0}, version="2")
    page = visit(stub=stub)
    page.get_by_label("island").fill("Dream")
    model["version"] = "2"
    model["row"] = network(PENGUINS | {"mass": NUMBER}, "regression")["row"]

    page.get_by_role("button", name="Predict").click()

    expect(page.locator("#summary")).to_contain_text("version 2")
    expect(page.get_by_label("mass")).to_be_visible()
    expect(page.get_by_label("island")).to_have_value("Dream")


LONG = "ein_sehr_langer_Name_ohne_ein_einziges_Leerzeichen_" * 3


@pytest.mark.parametrize(
    ("row", "task", "prediction"),
    [
        (IMAGE, "classification", {"class": LONG, "probability": 1.0}),
        (SOUND, "ctc", {"transcript": LONG}),
        (TEXT, "multilabel", {"labels": LONG, f"probability of {LONG}": 1.0}),
        (NUMBER, "regression", {"value": 1.2345678901234567e-5}),
    ],
)
def test_a_narrow_screen_is_wide_enough(visit, tmp_path, row, task, prediction):
    model = network({LONG: row}, task, names=[LONG], example={LONG: ""})
    model["name"] = LONG
    stub, _ = answering(model, prediction | {"top": [prediction]})
    page = visit(stub=stub, viewport={"width": 360, "height": 640}, is_mobile=True, has_touch=True)
    file = tmp_path / f"{LONG}.png"
    file.write_bytes(png(np.eye(8)))

    page.set_input_files("#files", file)
    page.get_by_text("About this network").click()

    expect(cards(page).locator(".version")).to_be_visible()
    expect(page.get_by_text("Take a photo")).to_be_visible(visible=row is IMAGE)
    assert page.evaluate("document.documentElement.scrollWidth") == 360
    heights = page.locator("button:visible, .button:visible, textarea, #fields input").evaluate_all(
        "all => all.map(each => each.getBoundingClientRect().height)"
    )
    assert min(heights) >= 44  # a finger hits them


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_words_have_contrast(visit, scheme):
    model = network(PENGUINS, "classification", names=["a"], example=PENGUIN)
    top = [{"class": "a", "probability": 1.0}]
    stub, _ = answering(model, {"class": "a", "probability": 1.0, "top": top})
    page = visit(stub=stub, color_scheme=scheme, reduced_motion="reduce")
    page.get_by_role("button", name="Predict").click()
    expect(cards(page)).to_have_count(1)

    colours = page.locator("h1, p, label, button, .button, h2, summary, .share").evaluate_all(
        """all => all.filter(each => each.checkVisibility()).map(each => {
          let ground = each;
          while (getComputedStyle(ground).backgroundColor === "rgba(0, 0, 0, 0)")
            ground = ground.parentElement;
          return [getComputedStyle(each).color, getComputedStyle(ground).backgroundColor];
        })"""
    )

    assert len(colours) > 15
    for pair in {tuple(each) for each in colours}:
        assert contrast(*pair) >= 4.5, pair
    animations = page.locator(".bar").evaluate("each => each.getAnimations({subtree: true}).length")
    assert animations == 0


def contrast(*colours):
    """Return the ratio of WCAG 2.2 of two colours such as ``rgb(0, 0, 0)``."""
    low, high = sorted(luminance(colour) for colour in colours)
    return (high + 0.05) / (low + 0.05)


def luminance(colour):
    shares = np.array([float(part) for part in re.findall(r"[\d.]+", colour)[:3]]) / 255
    linear = np.where(shares <= 0.04045, shares / 12.92, ((shares + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]
