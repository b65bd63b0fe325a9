"""Names cannot be looked up."""

import asyncio

from reliability import names, surroundings
from reliability.findings import Finding
from reliability.options import Work
from reliability.servers import Server, Starter, starter, until

_IN_ITS_OWN_NAMESPACE = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


async def run(work: Work) -> list[Finding]:
    """Runs it; returns its line."""
    return await surroundings.run_all(work, {"names gone": _names})


async def _names(work: Work) -> Finding:
    resolver = work.folder / "resolv.conf"
    resolver.write_text(f"nameserver {names.ADDRESS}\noptions timeout:1 attempts:1\n")
    before = ["unshare", "--mount", "sh", "-c", _IN_ITS_OWN_NAMESPACE, resolver]
    await surroundings.command(*before, "true")
    async with names.name_server() as server, starter(work.folder, work.models) as start:
        replica = await start.replica("replica")
        await replica.started()
        address = f"dns:///{names.NAME}:{replica.grpc.rpartition(':')[2]}"
        gateway = await start.gateway("gateway", [address], "--log-level", "warning", before=before)
        async with surroundings.asked(gateway) as outcomes:
            server.silent = True
            await until(lambda: gateway.said(f"the name {names.NAME} cannot be looked up"), "the log says so")
            await asyncio.sleep(surroundings.dwell(work))
            ready, serving = await gateway.ready(), await gateway.serving_replicas()
            began = await _while_they_are_gone(start, address, before)
            server.silent = False
        await began.started()
    state = f"ready, {serving} replica serves, the log names what cannot be looked up; a gateway that starts meanwhile"
    state += " is not ready, and is once names are back"
    return surroundings.finding("names cannot be looked up (DNS)", state, outcomes, holds=ready and serving == 1)


async def _while_they_are_gone(start: Starter, address: str, before: list[object]) -> Server:
    """Starts a gateway that cannot find its replicas; returns it once it has said so.

    Raises:
        RuntimeError: When it is ready nevertheless.
    """
    options = ("--backend", "tfserving", "--tfserving-addresses", address, "--tfserving-models", "slow")
    gateway = await start.tensorgate("second-gateway", *options, before=before)
    await until(lambda: gateway.said("cannot be looked up"), "a gateway that starts meanwhile says so")
    if await gateway.ready():
        raise RuntimeError("a gateway without a replica is ready")
    return gateway
