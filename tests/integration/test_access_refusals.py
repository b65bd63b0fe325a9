"""What is shown in place of a key and is none: refused alike over REST and gRPC."""

from pathlib import Path

import grpc
import pytest

from tests.access import SEEN, serving_with_access
from tests.clients import classify_request

BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
CLASSIFY = f"/api/v1/models/{SEEN}/classify"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("authorization", "Bearer", "got Bearer and nothing after it"),
        ("authorization", "", "got something else"),
        ("authorization", "Basic eDp5", "got something else"),
        ("x-api-key", "", "expected a key (tg_...) of this server, got nothing"),
        ("x-api-key", "Bearer", "got what is no key"),
    ],
)
async def test_what_shows_no_key_is_told_so(
    grpc_server: str, tmp_path: Path, name: str, value: str, words: str
) -> None:
    async with serving_with_access(tmp_path, grpc_server=grpc_server) as served:
        assert words in (await served.rest.post(CLASSIFY, json=BLACK, headers={name: value})).json()["detail"]
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.stub.Classify(classify_request(SEEN, **BLACK), metadata=[(name, value)])
        assert caught.value.code() is grpc.StatusCode.UNAUTHENTICATED
        assert words in str(caught.value.details())


async def test_metadata_that_end_with_a_blank_are_malformed_to_one_of_the_servers(
    grpc_server: str, tmp_path: Path
) -> None:
    """HTTP/2 forbids it (RFC 9113, 8.2.1), and h2corn resets such a call before anything of ours sees it."""
    async with serving_with_access(tmp_path, grpc_server=grpc_server) as served:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await served.stub.Classify(classify_request(SEEN, **BLACK), metadata=[("authorization", "Bearer ")])
        assert caught.value.code().name == {"h2corn": "INTERNAL", "grpcio": "UNAUTHENTICATED"}[grpc_server]
