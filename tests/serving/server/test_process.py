"""A server in a process of its own."""

import httpx


def test_the_example_is_answered_as_recorded(server, example):
    answer = httpx.post(f"{server.url}/v1/predict", json=example["request"])

    assert answer.json() == example["response"]
    assert httpx.get(f"{server.url}/readyz").status_code == 200
