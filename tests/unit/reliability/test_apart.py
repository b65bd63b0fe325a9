"""A client beside the load tells only of refusals, and of how late it was itself."""

from reliability.apart import refusals
from tests.processes import server_process


async def test_it_asks_in_a_process_of_its_own_and_tells_of_refusals_alone() -> None:
    with server_process("--backend", "tests.fakes:FakeBackend") as server:
        server.announcement()
        seen = await refusals(server.rest.removeprefix("http://"), server.grpc, 0.5)
    assert seen.seconds == []  # there is no such model, which is another failure
    assert 0 < seen.lag < 60
