"""The routes, in this process."""

import asyncio
import json
import time

import numpy as np
import pytest

from brightness import brightness, image_row, png

pytestmark = pytest.mark.anyio

DARK, LIGHT = image_row(0), image_row(255)

SECRET = "a-secret-key"


def message(answer):
    """Return the message of an error, which all errors have in the same place."""
    assert answer.headers["content-type"] == "application/json"
    return answer.json()["error"]["message"]


async def test_rows_are_predicted_in_their_order(make_client):
    async with make_client() as client:
        answer = await client.post("/v1/predict", json={"inputs": [DARK, LIGHT], "top": 2})

    dark, light = answer.json()["predictions"]
    assert (dark["class"], light["class"]) == ("dark", "light")
    assert light["top"] == [
        {"class": "light", "probability": 1.0},
        {"class": "dark", "probability": 0.0},
    ]
    assert answer.json()["model"] == {"name": "brightness", "version": "1"}


async def test_a_prediction_has_the_most_probable_classes_unless_none_are_wanted(make_client):
    async with make_client() as client:
        answer = await client.post("/v1/predict", json={"inputs": [LIGHT]})
        without = await client.post("/v1/predict", json={"inputs": [LIGHT], "top": 0})

    assert [each["class"] for each in answer.json()["predictions"][0]["top"]] == ["light", "dark"]
    assert without.json()["predictions"] == [{"class": "light", "probability": 1.0}]


async def test_files_are_predicted_under_their_names(make_client):
    files = [("a", ("dark.png", png([[0, 0]] * 2))), ("b", ("light.png", png([[255, 255]] * 2)))]
    async with make_client() as client:
        answer = await client.post("/v1/predict", files=files, data={"top": "1"})

    assert [(row["file"], row["class"]) for row in answer.json()["predictions"]] == [
        ("dark.png", "dark"),
        ("light.png", "light"),
    ]
    assert all(len(row["top"]) == 1 for row in answer.json()["predictions"])


async def test_large_bodies_are_decoded_too(make_client):
    async with make_client() as client:
        noise = np.random.default_rng(0).integers(0, 256, (300, 300))
        answer = await client.post("/v1/predict", files={"a": ("noise.png", png(noise))})
        rows = await client.post("/v1/predict", json={"inputs": [DARK, LIGHT] * 100})

    assert answer.json()["predictions"][0]["file"] == "noise.png"
    assert len(rows.json()["predictions"]) == 200


@pytest.mark.parametrize(
    ("body", "status", "expected"),
    [
        (b"", 400, "not JSON"),
        (b"\xff", 400, "not JSON"),
        (b"{", 400, "not JSON"),
        (b'{"inputs": [{"x": NaN}]}', 400, "NaN"),
        (b'{"inputs": [{"x": -Infinity}]}', 400, "Infinity"),
        (b'{"inputs": [], "inputs": []}', 400, "twice"),
        (b'{"inputs": [], "top": ' + b"1" * 5000 + b"}", 400, "not JSON"),
        (b'{"inputs": ' + b"[" * 100_000, 400, "nested too deeply"),
        (b"[]", 422, "expected a JSON object, got an array"),
        (b"null", 422, "got null"),
        (b"{}", 422, "inputs: expected an array of rows, got null"),
        (b'{"inputs": {"image": ""}}', 422, "got an object"),
        (b'{"input": []}', 422, "Did you mean 'inputs'?"),
        (b'{"inputs": [], "top": -1}', 422, "top: expected an integer"),
        (b'{"inputs": [], "top": 1.5}', 422, "top: expected an integer"),
        (b'{"inputs": [], "top": true}', 422, "top: expected an integer"),
        (b'{"inputs": [], "top": 1e999}', 422, "top: expected an integer"),
        (json.dumps({"inputs": [{}] * 5}).encode(), 413, "at most 4 rows, got 5"),
    ],
)
async def test_bad_json_is_refused(make_client, body, status, expected):
    async with make_client(max_rows=4) as client:
        answer = await client.post(
            "/v1/predict", content=body, headers={"Content-Type": "application/json"}
        )

    assert answer.status_code == status
    assert expected.lower() in message(answer).lower()


@pytest.mark.parametrize("depth", range(400, 1000, 20))
async def test_json_of_any_depth_is_the_fault_of_the_client(make_client, depth):
    deep = "[" * depth + "]" * depth
    bodies = [f'{{"inputs": [{{"image": {deep}}}]}}', f'{{"inputs": [], "top": {deep}}}']
    async with make_client() as client:
        for body in bodies:
            answer = await client.post(
                "/v1/predict", content=body, headers={"Content-Type": "application/json"}
            )
            assert answer.status_code in (400, 422)


@pytest.mark.parametrize("row", [None, 1, "x", [], {}, {"image": 1}, {"image": "*"}])
async def test_a_bad_row_is_named(make_client, row):
    async with make_client() as client:
        answer = await client.post("/v1/predict", json={"inputs": [DARK, row]})

    assert answer.status_code == 422
    assert answer.json()["error"]["row"] == 1
    assert message(answer).startswith("row 1: ")


async def test_a_bad_file_is_named(make_client):
    files = [("x", ("good.png", png([[0]]))), ("x", ("bad.png", b"\x89PNG\r\n"))]
    async with make_client() as client:
        answer = await client.post("/v1/predict", files=files)

    assert answer.status_code == 422
    assert answer.json()["error"]["file"] == "bad.png"


@pytest.mark.parametrize(
    ("content_type", "body", "status"),
    [
        ("text/plain", b"", 415),
        ("", b"", 415),
        ("multipart/form-data", b"", 400),
        ("multipart/form-data; boundary=x", b"nonsense", 400),
        ("multipart/form-data; boundary=x", b"--x--\r\n", 422),
    ],
)
async def test_other_bodies_are_refused(make_client, content_type, body, status):
    async with make_client() as client:
        answer = await client.post(
            "/v1/predict", content=body, headers={"Content-Type": content_type}
        )

    assert answer.status_code == status
    assert message(answer)


async def test_compressed_bodies_are_refused(make_client):
    async with make_client() as client:
        answer = await client.post(
            "/v1/predict", json={"inputs": [DARK]}, headers={"Content-Encoding": "gzip"}
        )

    assert answer.status_code == 415


async def test_too_many_files_are_refused(make_client):
    files = [("x", (f"{i}.png", png([[0]]))) for i in range(3)]
    async with make_client(max_rows=2) as client:
        answer = await client.post("/v1/predict", files=files)

    assert answer.status_code in (400, 413)
    assert message(answer)


async def test_a_bad_request_fails_alone(make_client):
    async with make_client(delay_ms=50) as client:
        answers = await asyncio.gather(
            *(
                client.post("/v1/predict", json={"inputs": [image_row(value)]})
                for value in (0, 13, 255)
            )
        )

    assert [answer.status_code for answer in answers] == [200, 422, 200]
    assert "cannot compute" in message(answers[1])


async def test_answers_that_are_not_finite_are_errors(make_client):
    def diverged(values):
        return {"probabilities": np.full((len(values["images"]), 2), np.nan, np.float32)}

    async with make_client(network=diverged) as client:
        answer = await client.post("/v1/predict", json={"inputs": [DARK]})

    assert answer.status_code == 422
    assert "not finite" in message(answer)


async def test_faults_of_the_program_are_no_secrets(make_client):
    def faulty(_):
        raise ZeroDivisionError

    async with make_client(network=faulty) as client:
        answer = await client.post("/v1/predict", json={"inputs": [DARK]})

    assert answer.status_code == 500
    assert message(answer) == "The server has failed. See its log."


@pytest.mark.parametrize(
    ("method", "path", "status", "expected"),
    [
        ("GET", "/v1/predict", 405, "does not take GET"),
        ("OPTIONS", "/v1/predict", 405, "does not take OPTIONS"),
        ("DELETE", "/healthz", 405, "does not take DELETE"),
        ("GET", "/v1/predict/", 404, "/v1/predict/ does not exist"),
        ("GET", "/docs", 404, "/docs does not exist"),
    ],
)
async def test_other_paths_and_methods(make_client, method, path, status, expected):
    async with make_client() as client:
        answer = await client.request(method, path)

    assert answer.status_code == status
    assert expected in message(answer)
    assert "access-control-allow-origin" not in answer.headers


async def test_large_bodies_are_refused(make_client):
    async def chunks():
        for _ in range(20):
            yield b" " * 100

    async with make_client(max_bytes=1000) as client:
        stated = await client.post("/v1/predict", content=b" " * 1001)
        headers = {"Content-Type": "application/json"}
        chunked = await client.post("/v1/predict", content=chunks(), headers=headers)

    for answer in (stated, chunked):
        assert answer.status_code == 413
        assert "at most 1000 bytes" in message(answer)


async def test_bodies_that_are_too_large_together_are_refused(make_client):
    waiting = asyncio.Event()

    async def body():
        yield b" " * 1000
        await waiting.wait()

    headers = {"Content-Type": "application/json"}
    async with make_client(max_bytes=1000) as client:
        held = [
            asyncio.create_task(client.post("/v1/predict", content=body(), headers=headers))
            for _ in range(16)
        ]
        await asyncio.sleep(0.1)
        refused = await client.post("/v1/predict", content=b" " * 1000, headers=headers)
        waiting.set()
        statuses = {(await each).status_code for each in held}
        later = await client.post("/v1/predict", content=b" " * 1000, headers=headers)

    assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
    assert statuses == {400}
    assert later.status_code == 400


async def test_a_slow_network_is_given_up(make_client):
    def slow(values):
        time.sleep(0.3)
        return brightness(values)

    async with make_client(network=slow, timeout=0.1) as client:
        answer = await client.post("/v1/predict", json={"inputs": [DARK]})

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "1"
    assert "more than 0.1 s" in message(answer)


async def test_rows_beyond_the_queue_are_refused(make_client):
    def slow(values):
        time.sleep(0.1)
        return brightness(values)

    async with make_client(network=slow, queue_rows=3, batch_rows=1) as client:
        answers = await asyncio.gather(
            *(client.post("/v1/predict", json={"inputs": [DARK]}) for _ in range(12))
        )

    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) < 12
    assert {answer.status_code for answer in refused} == {503}
    assert {answer.headers["Retry-After"] for answer in refused} == {"1"}


@pytest.mark.parametrize("headers", [{"Authorization": f"Bearer {SECRET}"}, {"X-API-Key": SECRET}])
async def test_a_key_is_accepted(make_client, headers):
    async with make_client(keys=["another", SECRET]) as client:
        answer = await client.get("/v1/model", headers=headers)

    assert answer.status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Basic {SECRET}"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Bearer {SECRET}x"},
        {"X-API-Key": ""},
        {"X-API-Key": "é".encode()},
    ],
)
async def test_a_wrong_key_is_refused(make_client, headers):
    async with make_client(keys=[SECRET]) as client:
        answer = await client.get("/v1/model", headers=headers)
        nowhere = await client.get("/nowhere", headers=headers)

    assert (answer.status_code, nowhere.status_code) == (401, 401)
    assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert SECRET not in message(answer)


async def test_health_needs_no_key(make_client):
    async with make_client(keys=[SECRET]) as client:
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.get("/readyz")).status_code == 200
        assert (await client.get("/metrics")).status_code == 401


async def test_the_model_is_described_without_its_preprocessing(make_client):
    async with make_client() as client:
        described = (await client.get("/v1/model")).json()

    assert described["row"]["properties"].keys() == {"image"}
    assert not {"preprocessing", "reading"} & described.keys()


async def test_the_id_of_a_request_is_returned_and_logged(make_client, caplog):
    caplog.set_level("INFO", "leyden")
    async with make_client() as client:
        own = await client.get("/healthz", headers={"X-Request-ID": "mine-1"})
        new = await client.get("/healthz", headers={"X-Request-ID": "two words"})

    assert own.headers["X-Request-ID"] == "mine-1"
    assert new.headers["X-Request-ID"] not in ("", "two words")
    fields = caplog.records[0].fields
    assert (fields["method"], fields["path"], fields["status"]) == ("GET", "/healthz", 200)


async def test_requests_and_batches_are_counted(make_client):
    async with make_client() as client:
        await client.post("/v1/predict", json={"inputs": [DARK, LIGHT]})
        await client.get("/no/such/path")
        metrics = (await client.get("/metrics")).text

    assert 'leyden_requests_total{route="/v1/predict",status="200"} 1.0' in metrics
    assert 'leyden_requests_total{route="unknown",status="404"} 1.0' in metrics
    assert "leyden_batch_rows_sum 2.0" in metrics
    assert "leyden_queue_rows 0.0" in metrics


async def test_head_is_answered_like_get(make_client):
    async with make_client() as client:
        assert (await client.head("/readyz")).status_code == 200


async def test_openapi_describes_the_rows_of_the_network(make_client):
    async with make_client() as client:
        described = (await client.get("/openapi.json")).json()
        example = described["paths"]["/v1/predict"]["post"]["requestBody"]["content"][
            "application/json"
        ]["example"]
        answer = await client.post("/v1/predict", json=example)

    schemas = described["components"]["schemas"]
    assert schemas["Row"]["properties"].keys() == {"image"}
    assert answer.json()["predictions"][0].keys() == schemas["Prediction"]["properties"].keys()
    post = described["paths"]["/v1/predict"]["post"]["responses"]
    assert {"200", "400", "401", "408", "413", "415", "422", "503"} == post.keys()
    assert "securitySchemes" not in described["components"]


async def test_openapi_asks_for_a_key_where_one_is_needed(make_client):
    async with make_client(keys=[SECRET]) as client:
        headers = {"X-API-Key": SECRET}
        described = (await client.get("/openapi.json", headers=headers)).json()

    assert "security" in described["paths"]["/v1/predict"]["post"]
    assert "security" not in described["paths"]["/healthz"]["get"]
    assert described["components"]["securitySchemes"]
