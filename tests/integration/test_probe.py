"""``tensorgate probe`` says what ``/readyz`` says, and says so when nobody does."""

import asyncio
import json
import socket
import subprocess
import sys
import threading

import pytest

from service.commands.main import main
from tests.conftest import serving
from tests.processes import ROOT, free_port


async def probe(port: int, *options: str) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "service", "probe", "--rest-port", str(port), *options]
    process = await asyncio.create_subprocess_exec(*command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    out, complaint = await process.communicate()
    return process.returncode or 0, out.decode(), complaint.decode()


async def test_a_server_that_is_ready() -> None:
    async with serving() as served:
        status, answer, complaint = await probe(served.runtime.rest_port)
    assert (status, json.loads(answer)["status"], complaint) == (0, "ready", "")


@pytest.mark.parametrize("host", ["::1", "localhost"])
async def test_a_server_at_another_name_of_this_machine(host: str) -> None:
    async with serving(host=host) as served:
        status, _, complaint = await probe(served.runtime.rest_port, "--host", host)
    assert (status, complaint) == (0, "")


async def test_a_server_that_is_going_down_works_and_is_not_ready() -> None:
    async with serving() as served:
        served.runtime._draining = True
        status, answer, _ = await probe(served.runtime.rest_port)
        live, _, _ = await probe(served.runtime.rest_port, "--live")
    assert (status, json.loads(answer)["status"], live) == (1, "not ready", 0)


def test_nobody_there(capsys: pytest.CaptureFixture[str]) -> None:
    port = free_port()
    assert main(["probe", "--rest-port", str(port)]) == 1
    assert f"127.0.0.1:{port}/readyz: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("answer", "complaint"), [(b"hello\r\n", "does not speak HTTP"), (None, "timed out")], ids=["no HTTP", "silence"]
)
def test_something_else_there(answer: bytes | None, complaint: str, capsys: pytest.CaptureFixture[str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        done = threading.Event()

        def reply() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(1024)
                connection.sendall(answer) if answer is not None else done.wait()

        thread = threading.Thread(target=reply)
        thread.start()
        try:
            status = main(["probe", "--rest-port", str(listener.getsockname()[1]), "--timeout", "0.2"])
        finally:
            done.set()
            thread.join()
    assert status == 1
    assert complaint in capsys.readouterr().err


def test_it_imports_little() -> None:
    program = (
        "import sys\nfrom service.commands.main import main\nmain(['probe', '--rest-port', '1'])\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules} & "
        "{'asyncio', 'grpc', 'numpy', 'pydantic', 'ssl'}))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"
