"""Gateways, and stand-ins for the replicas behind them, as processes."""

import sys
from collections.abc import Sequence

from benchmarks.processes import free_port
from benchmarks.servers import LIMITS
from capacity.model import MODEL
from capacity.system import Runs
from reliability.servers import Server, Starter, until


async def replica(start: Starter, name: str, runs: Runs) -> Server:
    """Starts a stand-in for a replica, with runs that take that long, and waits until it listens."""
    port = free_port()
    command = [sys.executable, "-m", "capacity.replica", port, runs.fixed, runs.each]
    made = await start.start(name, command, grpc=f"127.0.0.1:{port}")
    await made.started()
    return made


async def gateway(start: Starter, name: str, replicas: Sequence[Server], *options: object) -> Server:
    """Starts a gateway in front of replicas, and waits until all of them serve."""
    behind = ["--backend", "tfserving", "--tfserving-addresses", ",".join(server.grpc for server in replicas)]
    made = await start.tensorgate(
        name, *behind, "--tfserving-models", MODEL, "--log-level", "warning", *LIMITS, *options
    )
    await made.started()

    async def whole() -> bool:
        return await made.serving_replicas() == len(replicas)

    await until(whole, f"{name}: all replicas serve", server=made)
    return made
