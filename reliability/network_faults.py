"""Names cannot be looked up; the certificate of a replica expires."""

import asyncio
import datetime
import ssl
import time
from contextlib import suppress
from pathlib import Path

from reliability import names, surroundings
from reliability.findings import Finding
from reliability.options import Work
from reliability.proxy import Proxy
from reliability.servers import Server, Starter, starter, until

_VALID_SECONDS = (8.0, 30.0, 120.0)
"""Of the certificate that expires: long enough for a gateway to connect, on a slow machine in the end."""
_IN_ITS_OWN_NAMESPACE = 'mount --bind "$0" /etc/resolv.conf && exec "$@"'


async def run(work: Work) -> list[Finding]:
    """Runs it; returns a line for each."""
    return await surroundings.run_all(work, {"names gone": _names, "certificate expired": _certificate})


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


async def _certificate(work: Work) -> Finding:
    folder = work.folder
    await _authority(folder)
    await _certify(folder, "good", seconds=3600)
    async with starter(folder, work.models) as start:
        replica = await start.replica("replica")
        await replica.started()
        port = int(replica.grpc.rpartition(":")[2])
        proxies = [Proxy(port, tls=_context(folder, "good")) for _ in range(2)]
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
                await _certify(folder, "short", seconds=3600)
                await proxies[1].renew(_context(folder, "short"))
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
        await _certify(folder, "short", seconds=seconds)
        await proxies[1].renew(_context(folder, "short"))
        with suppress(RuntimeError):
            await until(lambda: _connected(gateway, proxies[1]), "it is connected again", seconds=seconds)
            return expires
    raise RuntimeError("the gateway did not connect while the certificate was valid")


def _context(folder: Path, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / f"{name}.pem", folder / f"{name}.key")
    context.set_alpn_protocols(["h2"])
    return context


async def _authority(folder: Path) -> None:
    (folder / "index.txt").touch()
    (folder / "serial").write_text("01\n")
    (folder / "ca.cnf").write_text(
        f"[ca]\ndefault_ca = own\n[own]\ndir = {folder}\ndatabase = $dir/index.txt\nserial = $dir/serial\n"
        "new_certs_dir = $dir\ncertificate = $dir/ca.pem\nprivate_key = $dir/ca.key\ndefault_md = sha256\n"
        "policy = any\nunique_subject = no\nx509_extensions = names\n[any]\ncommonName = supplied\n"
        "[names]\nsubjectAltName = DNS:replica.test\n"
    )
    new = ("-newkey", "rsa:2048", "-nodes", "-keyout", folder / "ca.key", "-out", folder / "ca.pem")
    await surroundings.command("openssl", "req", "-x509", *new, "-days", "1", "-subj", "/CN=ca")


async def _certify(folder: Path, name: str, *, seconds: float) -> None:
    """Writes a key and a certificate for it that is valid for so many seconds."""
    key, request = folder / f"{name}.key", folder / f"{name}.csr"
    new = ("-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", request)
    await surroundings.command("openssl", "req", *new, "-subj", f"/CN={name}")
    now = datetime.datetime.now(datetime.UTC)
    begin, end = now - datetime.timedelta(days=1), now + datetime.timedelta(seconds=seconds)
    valid = ("-startdate", f"{begin:%Y%m%d%H%M%SZ}", "-enddate", f"{end:%Y%m%d%H%M%SZ}")
    signed = ("-config", folder / "ca.cnf", "-in", request, "-out", folder / f"{name}.pem")
    await surroundings.command("openssl", "ca", "-batch", *signed, *valid)
