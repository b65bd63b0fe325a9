"""Several processes that serve together: they share ports and a scrape, and one that ends is started again."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import httpx
import pytest

from tensorgate.v1.tensorgate_pb2_grpc import TensorgateServiceStub
from tests.clients import classify_request
from tests.processes import ROOT, START_SECONDS, server_process
from tests.workers import BLACK, CLASSIFY, FAKE, SLOW, Workers, alive, samples, total, workers

OK = 'code="ok"'


@pytest.fixture(scope="module")
def pair() -> Iterator[Workers]:
    """Two workers that no test harms."""
    with workers(*FAKE) as running:
        yield running


@contextlib.contextmanager
def connections(running: Workers) -> Iterator[dict[int, httpx.Client]]:
    with contextlib.ExitStack() as stack:
        clients = running.connected()
        for client in clients.values():
            stack.callback(client.close)
        yield clients


def wait_until(condition: Any) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def counted(client: httpx.Client) -> float:
    return total(samples(client), "tensorgate_requests_total", OK)


def test_connections_of_both_transports_are_spread(pair: Workers) -> None:
    with connections(pair) as clients:
        assert set(clients) == {0, 1}
    answered = set()
    wanted = {0, 1}
    for number in range(64):
        with grpc.insecure_channel(pair.server.grpc, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
            stub: Any = TensorgateServiceStub(channel)  # type: ignore[no-untyped-call]
            stub.Classify(classify_request("shades", **BLACK), metadata=(("x-request-id", f"call-{number}"),))
        answered.add(pair.worker_of(f"call-{number}"))
        if answered == wanted:
            break
    assert answered == wanted


def test_one_scrape_has_what_all_count(pair: Workers) -> None:
    with connections(pair) as clients:
        before = {number: counted(client) for number, client in clients.items()}
        assert before[0] == before[1]
        for client in clients.values():
            client.post(CLASSIFY, json=BLACK).raise_for_status()
        wait_until(lambda: counted(clients[0]) == before[0] + 2)
        for client in clients.values():
            told = samples(client)
            assert total(told, "tensorgate_requests_total", OK) == before[0] + 2
            assert total(told, "tensorgate_request_duration_seconds_count", OK) == before[0] + 2
            assert told['tensorgate_limit{setting="max_requests_in_flight"}'] == 1024
            assert told['tensorgate_model_state{model_name="steps",model_version="7",state="AVAILABLE"}'] == 1
            assert told["tensorgate_workers"] == 2
            assert told["tensorgate_worker_restarts_total"] == 0
            assert total(told, "tensorgate_build_info") == 1


def test_the_names_and_labels_are_those_of_a_single_server() -> None:
    def names(client: httpx.Client) -> set[str]:
        client.post(CLASSIFY, json=BLACK).raise_for_status()
        return set(samples(client))

    with workers(*FAKE) as running, connections(running) as clients, server_process(*FAKE) as server:
        server.announcement()
        with httpx.Client(base_url=server.rest) as single:
            of_workers = {"tensorgate_workers", "tensorgate_worker_restarts_total"}
            wait_until(lambda: names(single) | of_workers == names(clients[0]))


def test_a_scrape_may_ask_for_open_metrics(pair: Workers) -> None:
    response = httpx.get(pair.server.rest + "/metrics", headers={"accept": "application/openmetrics-text"})
    assert response.headers["content-type"].startswith("application/openmetrics-text")
    assert response.text.endswith("# EOF\n")


def test_clients_change_nothing_as_each_worker_would_have_its_own(pair: Workers) -> None:
    label = httpx.put(pair.server.rest + "/api/v1/models/shades/labels/stable", json={"version": 1})
    unload = httpx.post(pair.server.rest + "/v2/repository/models/shades/unload")
    for response in (label, unload):
        assert response.status_code == 403
        assert "there are several workers" in response.text
        assert "model_config_file" in response.text


def test_a_second_server_on_the_same_port_does_not_start(pair: Workers) -> None:
    rest, rpc = (address.rpartition(":")[2] for address in (pair.server.rest, pair.server.grpc))
    for count in ("1", "2"):
        for ports in (["--rest-port", rest, "--grpc-port", "0"], ["--rest-port", "0", "--grpc-port", rpc]):
            done = start("--workers", count, *FAKE, *ports)
            assert done.returncode == 2
            assert "cannot listen on 127.0.0.1" in done.stderr
    assert httpx.get(pair.server.rest + "/readyz").status_code == 200


def start(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "service", "serve", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def test_workers_do_not_start_beside_a_single_server() -> None:
    with server_process(*FAKE) as server:
        server.announcement()
        done = start("--workers", "2", *FAKE, "--rest-port", server.rest.rpartition(":")[2], "--grpc-port", "0")
        assert done.returncode == 2
        assert "for REST: Address already in use" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--backend", "savedmodel"], "workers: expected 1 with the backend savedmodel (each worker would load"),
        (["--backend", "nope"], "there is no backend 'nope'"),
        (["--backend", "tests.fakes:Nope"], "has no 'Nope'"),
        (["--model-config-file", "/nonexistent", *FAKE], "/nonexistent"),
        (["--host", "203.0.113.1", *FAKE], "cannot listen on 203.0.113.1"),
        (["--workers", "0"], "workers: expected greater than or equal to 1"),
    ],
)
def test_a_start_that_cannot_succeed_says_why_once(arguments: list[str], words: str) -> None:
    done = start("--workers", "2", "--rest-port", "0", "--grpc-port", "0", "--log-level", "error", *arguments)
    assert done.returncode == 2
    assert done.stderr.count("tensorgate: ") == 1
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_free_ports_are_the_same_for_all() -> None:
    with server_process("--workers", "2", *FAKE, "--rest-port", "0", "--grpc-port", "0") as server:
        announced = server.announcement()
        server.rest = announced.partition("REST on ")[2].partition(" ")[0]
        with connections(Workers(server)) as clients:
            assert set(clients) == {0, 1}
        assert server.stop() == 0
    listening = [line for line in server.lines if "listening: REST on port" in line]
    assert len(listening) == 2
    assert all(f"REST on port {server.rest.rpartition(':')[2]}," in line for line in listening)


class Load:
    """Asks over one connection, again and again, until it ends or fails.

    Attributes:
        answered: How many requests were.
        failed: Why it ended, if it failed.
    """

    def __init__(self, client: httpx.Client) -> None:
        self.answered = 0
        self.failed = ""
        self._client = client
        self._ending = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        while not self._ending.is_set():
            try:
                self._client.post(CLASSIFY, json=BLACK).raise_for_status()
            except httpx.HTTPError as error:
                self.failed = repr(error)
                return
            self.answered += 1

    def end(self) -> None:
        self._ending.set()
        self._thread.join()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_is_started_again_and_the_other_goes_on(number: signal.Signals) -> None:
    with workers(*FAKE) as running, connections(running) as clients, connections(running) as scraping:
        victim = running.processes()[0]
        loads = {number: Load(client) for number, client in clients.items()}
        seen = [0.0]

        def look() -> dict[str, float]:
            told = samples(scraping[1])
            seen.append(total(told, "tensorgate_requests_total", OK))
            return told

        try:
            wait_until(lambda: look() and seen[-1] > 20)
            os.kill(victim, number)
            wait_until(lambda: look()["tensorgate_worker_restarts_total"] == 1)
            before = loads[1].answered
            wait_until(lambda: loads[1].answered > before + 20)
        finally:
            for load in loads.values():
                load.end()
        wait_until(lambda: 0 in running.processes() and running.processes()[0] != victim)
        with connections(running) as again:  # the new one answers
            assert again[0].get("/readyz").status_code == 200
        look()
        assert loads[1].failed == ""
        assert seen == sorted(seen)
        [entry] = running.logged("is started again")
        assert (entry["level"], entry["worker"]) == ("error", 0)
        assert running.server.stop() == 0


def test_a_worker_that_does_not_answer_does_not_hold_up_a_scrape() -> None:
    with workers(*FAKE) as running, connections(running) as clients:
        before = counted(clients[1])
        stopped = running.processes()[0]
        os.kill(stopped, signal.SIGSTOP)
        try:
            clients[1].post(CLASSIFY, json=BLACK).raise_for_status()
            wait_until(lambda: counted(clients[1]) == before + 1)
        finally:
            os.kill(stopped, signal.SIGCONT)


def test_without_the_supervisor_there_is_no_scrape_and_the_workers_end() -> None:
    with workers(*FAKE) as running, connections(running) as clients:
        processes = running.processes().values()
        running.server.process.send_signal(signal.SIGSTOP)
        response = clients[0].get("/metrics")
        assert (response.status_code, response.json()["code"]) == (503, "not_ready")
        running.server.process.kill()
        wait_until(lambda: not any(alive(process) for process in processes))
        with socket.socket() as taken:
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", int(running.server.rest.rpartition(":")[2])))


def test_requests_in_flight_on_all_workers_are_answered_before_the_end() -> None:
    with workers(*SLOW) as running, connections(running) as clients:
        answers: list[int] = []

        def ask(client: httpx.Client) -> None:
            answers.append(client.post(CLASSIFY, json=BLACK).status_code)

        asking = [threading.Thread(target=ask, args=(client,)) for client in clients.values()]
        for thread in asking:
            thread.start()
        wait_until(lambda: "tensorgate_requests_in_flight 2.0" in httpx.get(running.server.rest + "/metrics").text)
        assert running.server.stop() == 0
        for thread in asking:
            thread.join()
        assert answers == [200, 200]


def test_a_second_signal_ends_all_at_once() -> None:
    with workers(*SLOW, TENSORGATE_TEST_SLOW_SECONDS="0") as running, connections(running) as clients:
        processes = running.processes()
        os.kill(processes[0], signal.SIGSTOP)  # it will not drain
        running.server.process.send_signal(signal.SIGTERM)
        wait_until(lambda: running.logged("stopping 2 workers"))
        assert running.server.stop() == 130
        assert not any(alive(process) for process in processes.values())
        assert len(clients) == 2
