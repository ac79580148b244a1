import pytest

from brightness import image_row

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend():
    return "asyncio"


async def test_rows_are_predicted(make_client):
    async with make_client() as client:
        answer = await client.post(
            "/v1/predict", json={"inputs": [image_row(0), image_row(255)], "top": 2}
        )

    assert answer.status_code == 200
    dark, light = answer.json()["predictions"]
    assert (dark["class"], light["class"]) == ("dark", "light")
    assert light["probability"] == 1
    assert light["top"] == [
        {"class": "light", "probability": 1.0},
        {"class": "dark", "probability": 0.0},
    ]
    assert answer.json()["model"] == {"name": "brightness", "version": "1"}
