import threading

import pytest

from service.core.offload import INLINE_BYTES, offloaded


@pytest.mark.parametrize(("size", "inline"), [(0, True), (INLINE_BYTES, True), (INLINE_BYTES + 1, False)])
async def test_what_is_large_is_done_on_a_thread(size: int, inline: bool) -> None:
    assert (await offloaded(size, threading.current_thread) is threading.current_thread()) == inline


async def test_its_errors_come_back() -> None:
    with pytest.raises(ZeroDivisionError):
        await offloaded(INLINE_BYTES + 1, lambda: 1 // 0)
