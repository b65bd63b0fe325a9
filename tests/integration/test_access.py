"""Keys, tokens and what they may do, while the server runs: over every transport."""

import logging
import struct
import sys
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from pathlib import Path

import grpc
import httpx
import pytest
from prometheus_client import CollectorRegistry

from service.access import key_set
from service.access.key_file import remove_key
from service.app.access import followed_access
from service.app.settings import SettingsError, load
from service.errors import ErrorKind, GatewayError
from service.telemetry.access import AccessMetrics
from tensorgate.v1 import tensorgate_pb2 as pb
from tests.access import HIDDEN, SEEN, add, read, serving_with_access, write
from tests.clients import classify_request
from tests.conftest import Served, until
from tests.tokens import AUDIENCE, ISSUER, Issuer, jwks, publishing

BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
CLASSIFY = f"/api/v1/models/{SEEN}/classify"
TOKENS = '[[tokens]]\nclaims = {groups = "data-*"}\nmodels = ["bri*"]\nactions = ["infer"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "access.toml"


async def rest(served: Served, path: str = CLASSIFY, **headers: str) -> httpx.Response:
    return await served.rest.post(path, json=BLACK, headers=headers)


async def over_grpc(served: Served, *metadata: tuple[str, str]) -> grpc.StatusCode:
    try:
        await served.stub.Classify(classify_request(SEEN, **BLACK), metadata=metadata)
    except grpc.aio.AioRpcError as error:
        return error.code()
    return grpc.StatusCode.OK


async def over_web(served: Served, port: int, content_type: str, **headers: str) -> str:
    """Returns the status that ends a call of gRPC-Web."""
    data = classify_request(SEEN, **BLACK).SerializeToString()
    body = struct.pack(">BI", 0, len(data)) + data
    async with httpx.AsyncClient() as client:
        response = await client.post(
            f"http://127.0.0.1:{port}/tensorgate.v1.TensorgateService/Classify",
            content=b64encode(body) if content_type.endswith("text") else body,
            headers={"content-type": content_type, **headers},
        )
    return str(response.headers.get("grpc-status") or response.content.decode("latin-1"))


async def test_a_key_is_good_over_every_transport(grpc_server: str, tmp_path: Path, file: Path) -> None:
    key = add(file, [SEEN], ["infer"])
    async with serving_with_access(tmp_path, grpc_server=grpc_server) as served:
        for name, value in (("authorization", f"Bearer {key}"), ("x-api-key", key)):
            assert (await rest(served, **{name: value})).status_code == 200
            assert await over_grpc(served, (name, value)) is grpc.StatusCode.OK
            wrong = value[:-1] + ("A" if value[-1] != "A" else "B")
            assert (await rest(served, **{name: wrong})).status_code == 401
            assert await over_grpc(served, (name, wrong)) is grpc.StatusCode.UNAUTHENTICATED
        assert await over_grpc(served) is grpc.StatusCode.UNAUTHENTICATED


@pytest.mark.over_rest
@pytest.mark.parametrize("content_type", ["application/grpc-web+proto", "application/grpc-web-text"])
async def test_so_it_is_over_grpc_web(content_type: str, tmp_path: Path, file: Path) -> None:
    key = add(file, [SEEN], ["infer"])
    async with serving_with_access(tmp_path) as served:
        for port in (served.runtime.rest_port, served.runtime.grpc_port):
            well = await over_web(served, port, content_type, authorization=f"Bearer {key}")
            refused = await over_web(served, port, content_type)
            assert well != refused
            if not content_type.endswith("text"):
                assert "grpc-status:0" in well.replace(" ", "")
                assert "grpc-status:16" in refused.replace(" ", "")


@pytest.mark.over_rest
async def test_who_is_refused_is_told_what_to_show(tmp_path: Path, file: Path) -> None:
    add(file, [SEEN])
    async with serving_with_access(tmp_path) as served:
        for path in (CLASSIFY, "/v1/models/m:predict", "/v2/models/m/infer", "/nowhere", "/metrics"):
            response = await rest(served, path)
            assert response.status_code == 401
            assert response.headers["www-authenticate"] == 'Bearer realm="tensorgate"'
            assert response.json()["code"] == "unauthenticated"
            assert response.headers["x-request-id"]
        response = await rest(served, **{"x-api-key": "tg_nonsense"})
        assert response.headers["www-authenticate"].startswith('Bearer realm="tensorgate", error="invalid_token"')
        preflight = {"origin": "https://a.example", "access-control-request-method": "POST"}
        assert (await served.rest.options(CLASSIFY, headers=preflight)).status_code == 401  # there are no origins here


@pytest.mark.over_rest
async def test_the_file_is_followed(tmp_path: Path, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving_with_access(tmp_path) as served:
        key = add(file, [SEEN])

        def status(logged: str) -> bool:
            return any(logged in record.getMessage() for record in caplog.records)

        await until(lambda: status("access.toml has changed"))
        assert (await rest(served, **{"x-api-key": key})).status_code == 200
        good = read(file)
        for text, words in (("[[keys", "it is not TOML"), (None, "No such file"), ("[[key]]", "no such field")):
            write(file, text)
            await until(partial(status, words))
            assert status("what it said before stays in force")
            assert (await rest(served, **{"x-api-key": key})).status_code == 200
        caplog.clear()
        write(file, good + "# again\n")
        await until(lambda: status("access.toml has changed"))
        remove_key(file, key.split("_")[1])
        await served.runtime.look()
        assert (await rest(served, **{"x-api-key": key})).status_code == 401


async def test_a_stream_is_of_who_opened_it(grpc_server: str, tmp_path: Path, file: Path) -> None:
    key = add(file, [SEEN], ["infer"])
    async with serving_with_access(tmp_path, grpc_server=grpc_server) as served:
        stream = served.stub.ClassifyStream(metadata=[("x-api-key", key)])
        for name in (SEEN, HIDDEN):
            await stream.write(classify_request(name, **BLACK))
        await stream.done_writing()
        answers = [answer async for answer in stream]
        assert [answer.WhichOneof("outcome") for answer in answers] == ["response", "error"]
        assert "expected one of the models served: bright, got 'zephyr'" in answers[1].error.message


async def test_tokens_are_believed_and_have_the_rights_of_their_claims(
    grpc_server: str, tmp_path: Path, file: Path
) -> None:
    issuer = Issuer(claims={"groups": ["data-science"]})
    (tmp_path / "jwks.json").write_bytes(jwks(issuer))
    write(file, TOKENS)
    settings = {"jwt_jwks": str(tmp_path / "jwks.json"), "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
    async with serving_with_access(tmp_path, grpc_server=grpc_server, **settings) as served:
        for token, status, code in (
            (issuer.token(), 200, grpc.StatusCode.OK),
            (issuer.token(groups=["other"]), 403, grpc.StatusCode.PERMISSION_DENIED),
            (issuer.token(seconds=-60), 401, grpc.StatusCode.UNAUTHENTICATED),
            (Issuer(kid="two").token(), 401, grpc.StatusCode.UNAUTHENTICATED),
        ):
            assert (await rest(served, authorization=f"Bearer {token}")).status_code == status
            assert await over_grpc(served, ("authorization", f"Bearer {token}")) is code
        new = replace(issuer, kid="new", private=None)
        (tmp_path / "jwks.json").write_bytes(jwks(new))
        await served.runtime.look()
        assert (await rest(served, authorization=f"Bearer {new.token()}")).status_code == 200
        assert (await rest(served, authorization=f"Bearer {issuer.token()}")).status_code == 401


@pytest.mark.over_rest
async def test_an_issuer_that_is_away_keeps_nobody_else(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_set, "_UNKNOWN_SECONDS", 0)
    issuer = Issuer(claims={"groups": ["data-science"]})
    write(file, TOKENS)
    key = add(file, [SEEN])
    with publishing(jwks(issuer)) as publisher:
        publisher.status = 503
        settings = {"jwt_jwks": publisher.url, "jwt_issuer": ISSUER, "jwt_audience": AUDIENCE}
        async with serving_with_access(tmp_path, **settings) as served:
            response = await rest(served, authorization=f"Bearer {issuer.token()}")
            assert (response.status_code, response.json()["code"]) == (503, "not_ready")
            assert response.headers["retry-after"] == "1"
            assert (await rest(served, authorization=f"Bearer {key}")).status_code == 200
            publisher.status = 200
            assert (await rest(served, authorization=f"Bearer {issuer.token()}")).status_code == 200


def test_what_tokens_need_is_named_where_it_is_not_installed(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("jwks", "key_set", "remembered", "tokens"):
        monkeypatch.delitem(sys.modules, f"service.access.{name}", raising=False)
    monkeypatch.setitem(sys.modules, "jwt", None)
    write(file, TOKENS)
    settings = load({"access_file": file, "jwt_jwks": "x", "jwt_issuer": "i", "jwt_audience": "a"})
    with pytest.raises(GatewayError, match=r"^jwt_jwks: jwt is not installed; .* pip install '\.\[jwt\]' in a clone"):
        followed_access(settings, AccessMetrics(CollectorRegistry()))


@pytest.mark.over_rest
async def test_what_was_shown_is_counted(tmp_path: Path, file: Path) -> None:
    key, operator = add(file, [SEEN], ["infer"]), add(file, ["*"], ["metrics"])
    async with serving_with_access(tmp_path) as served:
        await rest(served, **{"x-api-key": key})
        await rest(served, **{"x-api-key": "tg_nonsense"})
        await rest(served)
        served.rest.headers["x-api-key"] = operator
        count = "tensorgate_authentication_total"
        assert await served.metric(count, method="key", outcome="malformed") == 1
        assert await served.metric(count, method="key", outcome="ok") >= 2
        assert await served.metric("tensorgate_requests_total", code="unauthenticated") == 2


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"jwt_jwks": "x", "access_file": "y"}, "jwt_issuer and jwt_audience beside jwt_jwks"),
        ({"jwt_jwks": "x", "jwt_issuer": "i", "jwt_audience": "a"}, "access_file beside jwt_jwks"),
    ],
)
def test_settings_that_do_not_go_together_are_refused(settings: dict[str, str], words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        load(settings)
    assert load({}).has_access_control is False
    assert load({"access_file": "x"}).has_access_control is True


@pytest.mark.over_rest
@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        (None, ErrorKind.MALFORMED, "access_file .*access.toml: No such file"),
        ("[[keys]]\nid = 1\n", ErrorKind.INVALID_INPUT, r"access_file .*access.toml: keys\[0\]"),
    ],
)
async def test_a_file_that_makes_no_sense_ends_the_start(
    text: str | None, kind: ErrorKind, words: str, tmp_path: Path, file: Path
) -> None:
    write(file, text)
    with pytest.raises(GatewayError, match=words) as caught:
        async with serving_with_access(tmp_path, access_file=file if text else tmp_path / "none" / "access.toml"):
            pass
    assert caught.value.kind is kind


@pytest.fixture
async def anybody(tmp_path: Path) -> AsyncIterator[Served]:
    async with serving_with_access(tmp_path) as served:
        yield served


@pytest.mark.over_rest
async def test_probes_and_the_page_stay_open_and_tell_no_names(anybody: Served) -> None:
    for path in ("/livez", "/readyz", "/v2/health/live", "/v2/health/ready", "/docs", "/openapi.json"):
        response = await anybody.rest.get(path, headers={"authorization": "Bearer gone"})
        assert response.status_code == 200, path
        assert SEEN not in response.text
    assert (await anybody.rest.get("/readyz")).json()["models"] == {}


@pytest.mark.over_rest
async def test_the_document_says_how_to_show_who_one_is(anybody: Served) -> None:
    document = (await anybody.rest.get("/openapi.json")).json()
    assert document["security"] == [{"Bearer": []}, {"Key": []}]
    assert set(document["components"]["securitySchemes"]) == {"Bearer", "Key"}
    assert document["paths"]["/livez"]["get"]["security"][0] == {}
    assert "security" not in document["paths"]["/api/v1/models"]["get"]
    assert {"401", "403"} <= set(document["paths"]["/metrics"]["get"]["responses"])


async def test_where_access_is_not_controlled_nothing_is_asked_for(served: Served) -> None:
    assert (await served.rest.get("/api/v1/models")).status_code == 200
    assert len((await served.stub.ListModels(pb.ListModelsRequest())).models) == 3
    assert "security" not in (await served.rest.get("/openapi.json")).json()
