"""A certificate expires: that of a replica, and the server's own."""

import asyncio
import time
from contextlib import suppress
from pathlib import Path

from reliability import asking, surroundings
from reliability.authority import certify, context, make_authority
from reliability.findings import Finding
from reliability.load import OK, steady
from reliability.options import Work
from reliability.proxy import Proxy
from reliability.servers import Server, starter, until

_VALID_SECONDS = (8.0, 30.0, 120.0)
"""Of the certificate that expires: long enough to connect, on a slow machine in the end."""
_ROUNDED = 2.0
"""Certificates expire at whole seconds."""
_ON_ALL_CONNECTIONS = 12
"""Requests: a client has four connections, and asks in three ways."""


async def run(work: Work) -> list[Finding]:
    """Runs it; returns a line for each."""
    return await surroundings.run_all(work, {"of a replica": _of_a_replica, "its own": _of_its_own})


async def _of_a_replica(work: Work) -> Finding:
    folder = work.folder
    await make_authority(folder)
    await certify(folder, "good", seconds=3600)
    async with starter(folder, work.models) as start:
        replica = await start.replica("replica")
        await replica.started()
        port = int(replica.grpc.rpartition(":")[2])
        proxies = [Proxy(port, tls=context(folder, "good")) for _ in range(2)]
        for proxy in proxies:
            await proxy.start()
        try:
            tls = ("--tfserving-ca", folder / "ca.pem", "--tfserving-server-name", "replica.test")
            addresses = [proxy.address for proxy in proxies]
            gateway = await start.gateway("gateway", addresses, *tls, "--log-level", "warning")
            await until(lambda: _serving(gateway, 2), "both replicas serve")
            async with surroundings.asked(gateway) as outcomes:
                expires = await _connected_for_a_while(folder, gateway, proxies)
                await asyncio.sleep(max(0.0, expires + 1 - time.time()))
                kept = await _serving(gateway, 2)  # connections that are open stay
                proxies[1].drop()
                await until(lambda: _serving(gateway, 1), "the replica with the expired certificate is left out")
                await asyncio.sleep(surroundings.dwell(work))
                states = await gateway.metrics("tensorgate_replica_state")
                ready = await gateway.ready() and await _serving(gateway, 1)
                await certify(folder, "short", seconds=3600)
                await proxies[1].renew(context(folder, "short"))
                await until(lambda: _serving(gateway, 2), "with a new certificate it serves again")
        finally:
            for proxy in proxies:
                await proxy.stop()
    [said] = [labels for labels, value in states.items() if value and proxies[1].address in labels]
    word = said.partition('state="')[2].partition('"')[0]
    state = f"ready; what was connected is asked on; once its connection breaks it is {word}, and serves again with a"
    return surroundings.finding(
        "the certificate of one of two replicas expires", f"{state} new certificate", outcomes, holds=kept and ready
    )


async def _serving(gateway: Server, count: int) -> bool:
    return await gateway.serving_replicas() == count


async def _connected(gateway: Server, proxy: Proxy) -> bool:
    return proxy.connected and await _serving(gateway, 2)


async def _connected_for_a_while(folder: Path, gateway: Server, proxies: list[Proxy]) -> float:
    """Has the gateway connect to the second replica while its certificate is valid; returns when that expires.

    Raises:
        RuntimeError: When it does not connect in time, however long that is.
    """
    for seconds in _VALID_SECONDS:
        expires = time.time() + seconds
        await certify(folder, "short", seconds=seconds)
        await proxies[1].renew(context(folder, "short"))
        with suppress(RuntimeError):
            await until(lambda: _connected(gateway, proxies[1]), "it is connected again", seconds=seconds)
            return expires
    raise RuntimeError("the gateway did not connect while the certificate was valid")


async def _of_its_own(work: Work) -> Finding:
    folder = work.folder
    await make_authority(folder)
    await certify(folder, "own", seconds=3600)
    files = ("--tls-certificate", folder / "own.pem", "--tls-key", folder / "own.key", "--poll-seconds", 0.5)
    async with starter(folder, work.models) as start:
        server = await start.tensorgate("server", *files)
        await server.started()
        await _renewed(server, folder, seconds=3600)
        async with asking.client("", server.grpc, ca=folder / "ca.pem") as connected:
            expires = await _asked_for_a_while(server, folder, connected)
            async with steady(connected.ask, rate=surroundings.RATE, deadline=asking.DEADLINE) as outcomes:
                await asyncio.sleep(max(0.0, expires + 1 - time.time()))
                await until(lambda: server.said("clients will refuse it"), "the log says that it expired")
                refused = await _asked_by_another(server, folder)
                ready = await server.ready()
                await _renewed(server, folder, seconds=3600)
                answered = await _asked_by_another(server, folder)
    state = "ready for who does not look at it; the log and the metric tell; connections that are open stay, new"
    state += " ones are refused by the clients until it is renewed"
    holds = ready and all("UNAVAILABLE" in code for code in refused) and set(answered) == {OK}
    return surroundings.finding("the server's own certificate expires", state, outcomes, holds=holds)


async def _renewed(server: Server, folder: Path, *, seconds: float) -> float:
    """Has the server take up a certificate that is valid for so many seconds; returns when it expires."""
    expires = time.time() + seconds
    await certify(folder, "own", seconds=seconds)

    async def is_taken_up() -> bool:
        return abs(await server.metric("tensorgate_tls_certificate_expiry_timestamp_seconds") - expires) < _ROUNDED

    await until(is_taken_up, "the server has taken up the certificate")
    return expires


async def _asked_for_a_while(server: Server, folder: Path, client: asking.Client) -> float:
    """Has a client ask on all its connections while the certificate is valid; returns when that expires.

    Raises:
        RuntimeError: When it does not come to that in time, however long that is.
    """
    for seconds in _VALID_SECONDS:
        expires = await _renewed(server, folder, seconds=seconds)
        codes = [await client.ask(number) for number in range(_ON_ALL_CONNECTIONS)]
        if set(codes) == {OK} and time.time() < expires:
            return expires
    raise RuntimeError("the client did not connect while the certificate was valid")


async def _asked_by_another(server: Server, folder: Path) -> list[str]:
    async with asking.client("", server.grpc, ca=folder / "ca.pem") as client:
        return [await client.ask(number) for number in range(_ON_ALL_CONNECTIONS)]
