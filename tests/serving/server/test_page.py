"""The files of the page, as the server sends them."""

import re

import pytest

from leyden.serving.server.page import FILES

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/page/page.css", "text/css; charset=utf-8"),
        ("/page/page.js", "text/javascript; charset=utf-8"),
        ("/page/icon.svg", "image/svg+xml"),
    ],
)
async def test_browsers_may_load_files_from_this_server_alone(make_client, path, media_type):
    async with make_client() as client:
        answer = await client.get(path)

    assert answer.headers["Content-Type"] == media_type
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'self';")
    assert "unsafe" not in policy
    assert "http" not in policy


async def test_a_file_is_sent_again_only_if_it_has_changed(make_client):
    async with make_client() as client:
        first = await client.get("/")
        kept = {"If-None-Match": f'"other", W/{first.headers["ETag"]}'}
        again = await client.get("/", headers=kept)
        head = await client.head("/")
        other = await client.get("/", headers={"If-None-Match": '"other"'})

    assert first.headers["Cache-Control"] == "no-cache"
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["ETag"] == first.headers["ETag"]
    assert head.status_code == 200
    assert other.content == first.content


async def test_the_page_needs_no_key(make_client):
    async with make_client(keys=["secret"]) as client:
        assert all([(await client.get(path)).status_code == 200 for path in FILES])
        assert (await client.get("/page/../v1/model")).status_code == 401
        assert (await client.get("/page/other.js")).status_code == 401
        assert (await client.get("/v1/model")).status_code == 401


@pytest.mark.parametrize("path", [path for path, file in FILES.items() if file.suffix != ".svg"])
async def test_all_that_a_file_loads_is_there(make_client, path):
    async with make_client() as client:
        content = (await client.get(path)).text
        names = re.findall(r'(?:href|src)="page/([^"]+)"|"\./([^"]+)"', content)
        for name in filter(None, (name for pair in names for name in pair)):
            assert f"/page/{name}" in FILES
    assert "//" not in re.sub(r"https://|/\*\*.*?\*/|(^| )//.*", "", content, flags=re.MULTILINE)
