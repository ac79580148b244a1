"""Requests that are drawn from the OpenAPI schema, and others that break it."""

import os

import hypothesis
import pytest
import schemathesis
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.slow

ROUNDS = int(os.environ.get("LEYDEN_FUZZ_ROUNDS", "250"))
"""Requests that agree with the schema, and again those that do not."""

CHECKS = [
    not_a_server_error,
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
]
"""Not whether a request is accepted: most strings are no image, whatever the schema says."""


@pytest.fixture(scope="module")
def operations(server):
    """Return the operations that the server describes."""
    schema = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    return [found.ok() for found in schema.get_all_operations()]


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE])
def test_answers_to_damaged_requests_agree_with_the_schema(operations, server, mode):
    with_body = [operation for operation in operations if operation.body]
    sent = 0
    for operation in operations if mode is GenerationMode.POSITIVE else with_body:
        rounds = -(-ROUNDS // len(with_body)) if operation.body else 1

        @hypothesis.settings(
            max_examples=rounds, suppress_health_check=list(hypothesis.HealthCheck)
        )
        @hypothesis.given(case=operation.as_strategy(generation_mode=mode))
        def check(case):
            nonlocal sent
            sent += 1
            response = case.call()
            if response.status_code == 503:
                assert response.headers["Retry-After"]
            else:
                case.validate_response(response, checks=CHECKS)

        check()

    assert sent >= ROUNDS
    assert server.process.poll() is None
    assert not [each for each in server.messages if "traceback" in each]
