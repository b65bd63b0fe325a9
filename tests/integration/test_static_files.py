"""Files of pages over HTTP: compressed where that is taken, and not sent again to who has them."""

import gzip
from pathlib import Path

import pytest

from service.transport import operations
from tests.conftest import Served

SCRIPT = "/page/page.js"
CONTENT = Path(operations.__file__).parent.joinpath("page/page.js").read_bytes()


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [("gzip", True), ("br, GZIP;q=0.5", True), ("gzip;q=0", False), ("gzip; q=0.0", False), ("identity", False)],
)
async def test_they_are_compressed_where_that_is_taken(served: Served, accepted: str, packed: bool) -> None:
    async with served.rest.stream("GET", SCRIPT, headers={"accept-encoding": accepted}) as response:
        body = b"".join([part async for part in response.aiter_raw()])
    assert response.headers.get("content-encoding") == ("gzip" if packed else None)
    assert (gzip.decompress(body) if packed else body) == CONTENT
    assert int(response.headers["content-length"]) == len(body)


async def test_who_has_them_is_told_so(served: Served) -> None:
    first = await served.rest.get(SCRIPT)
    tag = first.headers["etag"]
    assert first.headers["cache-control"] == "no-cache"
    again = await served.rest.get(SCRIPT, headers={"if-none-match": f'"other", W/{tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert (await served.rest.get(SCRIPT, headers={"if-none-match": '"other"'})).content == CONTENT


async def test_a_compressed_one_has_a_tag_of_its_own(served: Served) -> None:
    tags = {
        (await served.rest.get(SCRIPT, headers={"accept-encoding": coding})).headers["etag"]
        for coding in ("gzip", "identity")
    }
    assert len(tags) == 2
