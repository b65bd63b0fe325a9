"""TLS as a process and its commands show it: the start, signals, clients, health checks."""

import asyncio
import json
import signal
import socket
import ssl
import subprocess
import sys
from pathlib import Path

import pytest

from service.commands.main import main
from service.replay.connect import AUTO, TFSERVING, connect
from service.replay.credentials import Credentials
from service.replay.target import Aim, TargetError
from service.replay.tls import ClientTls
from tests.certificates import Authority, Pair, install
from tests.processes import ROOT, ServerProcess, server_process

FAKE = ("--backend", "tests.fakes:FakeBackend", "--poll-seconds", "0")


@pytest.fixture(scope="module")
def pairs(authority: Authority) -> tuple[Pair, Pair]:
    return authority.issue("server"), authority.issue("client")


def flags(pair: Pair) -> tuple[str, ...]:
    return "--tls-certificate", str(pair.certificate), "--tls-key", str(pair.key)


def ports(server: ServerProcess) -> tuple[int, int]:
    return int(server.rest.rpartition(":")[2]), int(server.grpc.rpartition(":")[2])


def handshake(port: int, context: ssl.SSLContext) -> tuple[str, str | None]:
    """Returns the common name that is shown, and the version."""
    with (
        socket.create_connection(("127.0.0.1", port), 20) as plain,
        context.wrap_socket(plain, server_hostname="127.0.0.1") as connection,
    ):
        certificate = connection.getpeercert()
        assert certificate is not None
        subject: tuple[tuple[tuple[str, str], ...], ...] = certificate["subject"]  # type: ignore[assignment]
        return subject[0][0][1], connection.version()


async def test_clients_and_health_checks_of_a_server_that_asks_for_certificates(
    authority: Authority, pairs: tuple[Pair, Pair], grpc_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    server, client = pairs
    ca = str(authority.certificate)
    mutual = (*FAKE, *flags(server), "--tls-client-ca", ca, "--grpc-server", grpc_server)
    with server_process(*mutual) as running:
        assert "REST on https://127.0.0.1:" in await asyncio.to_thread(running.announcement)
        rest, _ = ports(running)
        shown = ("--tls-ca", ca, *flags(client))
        assert main(["models", "--address", running.grpc, *shown]) == 0
        assert main(["models", "--address", f"grpcs://{running.grpc}", *shown]) == 0
        assert "steps" in capsys.readouterr().out
        assert main(["models", "--address", running.grpc, "--tls-ca", ca, "--timeout", "5"]) == 1
        assert "with TLS and these certificates: " in capsys.readouterr().err
        assert main(["models", "--address", running.grpc, "--tls-ca", str(client.key)]) == 1
        assert f"{client.key} cannot be used for TLS: " in capsys.readouterr().err
        assert main(["models", "--address", running.grpc, *shown[:4]]) == 1
        assert "expected --tls-certificate and --tls-key together" in capsys.readouterr().err
        assert main(["models", "--address", f"grpc://{running.grpc}", "--timeout", "5"]) == 1

        assert main(["probe", "--rest-port", str(rest), *shown]) == 0
        assert main(["probe", "--rest-port", str(rest), "--tls", *flags(client)]) == 0
        assert json.loads(capsys.readouterr().out.splitlines()[-1])["status"] == "ready"
        assert main(["probe", "--rest-port", str(rest), "--tls"]) == 1
        assert main(["probe", "--rest-port", str(rest)]) == 1

        shown_to_it = Credentials(tls=ClientTls(authority.certificate, client.certificate, client.key))
        for url in (running.rest.replace("http:", "https:"), f"grpcs://{running.grpc}"):
            target, protocol = await asyncio.to_thread(
                connect, url, AUTO, Aim(), timeout=20, model="double", credentials=shown_to_it
            )
            target.close()
            assert protocol == TFSERVING
            with pytest.raises(TargetError, match="no server answers at"):
                await asyncio.to_thread(connect, url, AUTO, Aim(), timeout=5, model="double")


def test_who_speaks_tls_where_there_is_none_or_to_the_other_port_is_told_so(
    authority: Authority, pairs: tuple[Pair, Pair], grpc_server: str, capsys: pytest.CaptureFixture[str]
) -> None:
    tls = ("--tls-ca", str(authority.certificate))

    def said(address: str, *options: str) -> str:
        assert main(["models", "--address", address.removeprefix("http://"), "--timeout", "20", *options]) == 1
        return capsys.readouterr().err

    with server_process(*FAKE, *flags(pairs[0]), "--grpc-server", grpc_server) as running:
        running.announcement()
        assert "perhaps it speaks TLS there" in said(running.grpc)
        assert "it speaks HTTP/1.1 there: gRPC has a port of its own" in said(running.rest, *tls)
    with server_process(*FAKE, "--grpc-server", grpc_server) as running:
        running.announcement()
        assert "it speaks HTTP/1.1 there: gRPC has a port of its own" in said(running.rest)
        assert "it speaks no TLS there" in said(running.rest, *tls)
        if grpc_server == "grpcio":  # the other one lets go after ten seconds
            assert "it speaks no TLS there" in said(running.grpc, *tls)


def test_a_signal_has_a_renewed_certificate_taken_up(
    authority: Authority, pairs: tuple[Pair, Pair], grpc_server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    context = ssl.create_default_context(cafile=authority.certificate)
    installed = install(pairs[0], tmp_path)
    monkeypatch.setenv("TENSORGATE_TLS_CERTIFICATE", str(installed.certificate))
    monkeypatch.setenv("TENSORGATE_TLS_KEY", str(installed.key))
    with server_process(*FAKE, "--grpc-server", grpc_server) as running:
        running.announcement()
        # A health check finds in the environment of the server all that it needs, the certificate to show as well.
        assert main(["probe", "--rest-port", str(ports(running)[0])]) == 0
        assert {handshake(port, context)[0] for port in ports(running)} == {"server"}
        install(pairs[1], tmp_path)
        assert {handshake(port, context)[0] for port in ports(running)} == {"server"}
        running.process.send_signal(signal.SIGHUP)
        while {handshake(port, context)[0] for port in ports(running)} != {"client"}:
            assert running.process.poll() is None
        assert running.stop() == 0
        assert any(
            entry["message"].startswith("the certificate was renewed") for entry in running.entries("service.app.tls")
        )


def test_nothing_but_the_newest_version_is_spoken_where_that_is_wanted(
    authority: Authority, pairs: tuple[Pair, Pair]
) -> None:
    newest, older = (ssl.create_default_context(cafile=authority.certificate) for _ in range(2))
    older.maximum_version = ssl.TLSVersion.TLSv1_2
    settings = (*FAKE, *flags(pairs[0]), "--tls-min-version", "1.3", "--grpc-server", "grpcio")
    with server_process(*settings) as running:
        running.announcement()
        for port in ports(running):
            assert handshake(port, newest) == ("server", "TLSv1.3")
            with pytest.raises((ssl.SSLError, ConnectionError)):
                handshake(port, older)
        ca = str(authority.certificate)
        assert main(["models", "--address", running.grpc, "--tls-ca", ca]) == 0


def test_a_start_that_cannot_be_ends_with_a_line_that_says_why(pairs: tuple[Pair, Pair]) -> None:
    server, client = pairs
    wrong = {
        ("--tls-key", str(client.key)): f"tls_key {client.key}: it is not the key of the certificate in",
        ("--tls-min-version", "1.3"): "tensorgate: expected grpc_server grpcio, or tls_min_version 1.2: h2corn always",
    }
    for given, message in wrong.items():
        command = [sys.executable, "-m", "service", "serve", *FAKE, *flags(server), *given, "--rest-port", "0"]
        done = subprocess.run([*command, "--grpc-port", "0"], cwd=ROOT, capture_output=True, text=True, check=False)
        assert done.returncode == 2
        (line,) = done.stderr.splitlines()
        assert message in line
