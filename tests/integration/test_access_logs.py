"""What is written of those who ask: who it was and what came of it, and never what they have shown."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.access import HIDDEN, SEEN, add, serving_with_access
from tests.clients import classify_request
from tests.conftest import serving
from tests.otlp import receiving_grpc
from tests.processes import ROOT, ServerProcess, server_process
from tests.tokens import AUDIENCE, ISSUER, Issuer, jwks

BLACK = {"images": [{"pixels": [[0] * 4] * 4}]}
CLASSIFY = "/api/v1/models/{}/classify"


def audited(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    return [record.fields for record in caplog.records if record.name == "tensorgate.audit"]  # type: ignore[attr-defined]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "access.toml"


async def test_the_access_log_says_who_it_was(tmp_path: Path, file: Path, caplog: pytest.LogCaptureFixture) -> None:
    key = add(file, [SEEN], name="shop")
    caplog.set_level(logging.INFO)
    async with serving_with_access(tmp_path, access_log="all") as served:
        await served.rest.post(CLASSIFY.format(SEEN), json=BLACK, headers={"x-api-key": key})
        await served.stub.Classify(classify_request(SEEN, **BLACK), metadata=[("x-api-key", key)])
        await served.rest.post(CLASSIFY.format(SEEN), json=BLACK)
    entries = [record.fields for record in caplog.records if record.name == "tensorgate.access"]  # type: ignore[attr-defined]
    assert [entry.get("identity") for entry in entries] == ["shop", "shop", None]
    assert audited(caplog)[-1]["code"] == "unauthenticated"


async def test_who_changes_something_or_is_refused_has_a_line(
    tmp_path: Path, file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    operator, reader = add(file, ["*"], ["control"], name="ops"), add(file, [SEEN], ["read", "infer"], name="shop")
    async with serving_with_access(tmp_path, access_log="none", log_level="error") as served:
        ask: Any = served.rest.request
        await ask("PUT", f"/api/v1/models/{SEEN}/labels/best", json={"version": 2}, headers={"x-api-key": operator})
        await ask("DELETE", f"/api/v1/models/{SEEN}/labels/best", headers={"x-api-key": operator})
        for what in ("unload", "load"):
            await ask("POST", f"/v2/repository/models/{SEEN}/{what}", headers={"x-api-key": operator})
        await ask("POST", f"/v2/repository/models/{SEEN}/load", headers={"x-api-key": reader})
        await ask("GET", f"/api/v1/models/{SEEN}", headers={"x-api-key": operator})
        await ask("POST", f"/api/v1/models/{HIDDEN}/classify", json=BLACK, headers={"x-api-key": reader})
        await ask("POST", CLASSIFY.format(SEEN), json=BLACK, headers={"x-api-key": reader})
        await ask("POST", CLASSIFY.format(SEEN), json=BLACK, headers={"x-request-id": "mine"})
    lines = audited(caplog)
    said = [(line["identity"], line["action"], line.get("change"), line["code"]) for line in lines]
    assert said == [
        ("ops", "control", "label 'best' on version 2", "ok"),
        ("ops", "control", "label 'best' taken away", "ok"),
        ("ops", "control", "unload", "ok"),
        ("ops", "control", "load", "ok"),
        ("shop", "control", None, "forbidden"),
        ("ops", "read", None, "forbidden"),
        ("", "infer", None, "unauthenticated"),
    ]
    assert lines[0]["model"] == SEEN
    assert lines[0]["shown"] == operator.split("_")[1]
    assert {line["model"] for line in lines} == {SEEN}
    assert lines[-1]["request_id"] == "mine"
    assert all(line["peer"].startswith("127.0.0.1:") for line in lines)


async def test_a_change_is_audited_where_access_is_not_controlled(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    async with serving() as served:
        await served.rest.put("/api/v1/models/shades/labels/best", json={"version": 2})
        await served.rest.post("/api/v1/models/shades/classify", json=BLACK)
    [line] = audited(caplog)
    assert (line["identity"], line["model"], line["change"]) == ("", "shades", "label 'best' on version 2")


def tensorgate(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "service", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"COLUMNS": "200"} | environment,
        timeout=60,
        check=False,
    )


def asked(server: ServerProcess, secrets: list[str], folder: Path) -> str:
    """Asks in every way, well and badly; returns all that was answered."""
    said = ""
    paths = (CLASSIFY.format("shades"), "/v1/models/none:predict", "/v2/models/none/infer", "/nowhere", "/metrics")
    for secret in secrets:
        for headers in ({"authorization": f"Bearer {secret}"}, {"x-api-key": secret}, {"authorization": secret}):
            for path in paths:
                answer = httpx.post(server.rest + path, json=BLACK, headers=headers)
                said += f"{answer.headers} {answer.text}"
    (folder / "key").write_text(secrets[0])
    commands = [
        ["models", "--key-file", folder / "key"],
        ["label", "shades", "best", "1", "--key-file", folder / "key"],
    ]
    for command, variable in ((commands[0], ""), (commands[1], ""), (["models"], secrets[2])):
        done = tensorgate(*command, "--address", server.grpc, TENSORGATE_KEY=variable)
        said += done.stdout + done.stderr
    return said


def test_no_secret_is_in_anything_that_is_written(tmp_path: Path, file: Path) -> None:
    issuer = Issuer()
    (tmp_path / "jwks.json").write_bytes(jwks(issuer))
    good, gone = add(file, ["*"], ["infer", "read"]), "tg_0123456789ab_" + "s3cret-" * 6 + "x"
    secrets = [good, gone, "opaque-s3cret", issuer.token(), issuer.token(aud="other")]
    settings = ["--access-file", file, "--jwt-jwks", tmp_path / "jwks.json", "--jwt-issuer", ISSUER]
    settings += ["--jwt-audience", AUDIENCE, "--log-level", "debug", "--access-log", "all"]
    settings += ["--request-log", tmp_path / "requests", "--request-log-format", "jsonl"]
    with (
        receiving_grpc() as receiver,
        server_process(
            *("--backend", "tests.fakes:FakeBackend"),
            *map(str, settings),
            OTEL_EXPORTER_OTLP_ENDPOINT=receiver.endpoint,
            TENSORGATE_KEY="tg_variable",
        ) as server,
    ):
        server.announcement()
        said = asked(server, secrets, tmp_path)
        server.stop()
        spans = repr([span.message for span in receiver.spans])
        lines = "\n".join(server.lines)
    recorded = "".join(path.read_text() for path in (tmp_path / "requests").rglob("*") if path.is_file())
    assert "shades" in said
    assert "PERMISSION_DENIED: this needs the right to control, which 'somebody' has on no model" in said
    assert "UNAUTHENTICATED: Authorization: expected" in said
    assert "give a key by --key-file or TENSORGATE_KEY" in said
    assert spans != "[]"
    assert any(json.loads(line)["logger"] == "tensorgate.audit" for line in server.lines)
    for what in (said, lines, spans, recorded):
        for secret in (*secrets, good.split("_")[2], issuer.token().split(".")[2], "s3cret", "tg_variable"):
            assert secret not in what
    assert "TENSORGATE_KEY" not in lines  # it is no setting that is misspelt
    assert good not in tensorgate("serve", "--help", TENSORGATE_KEY=good).stdout


def test_what_a_key_file_must_have_is_said(tmp_path: Path) -> None:
    (tmp_path / "two").write_text("one two\n")
    for name, words in (("none", "No such file"), ("two", "expected a key and nothing else, got 2 words")):
        done = tensorgate("models", "--key-file", tmp_path / name)
        assert done.returncode == 1
        assert words in done.stderr
