"""Work after an object has gone, whatever lock is held at that moment."""

import subprocess
import sys
import threading

from service.backends.savedmodel.disposal import Disposal


class Thing:
    """Something that goes."""


def test_the_work_is_done_on_another_thread_once_the_thing_is_gone() -> None:
    disposal, done, threads = Disposal(), threading.Event(), []

    def work() -> None:
        threads.append(threading.current_thread().name)
        done.set()

    thing = Thing()
    disposal.after(thing, work)
    assert not done.wait(0.05)
    del thing
    assert done.wait(5)
    assert threads == ["disposal"]
    disposal.close()


def test_a_thing_may_go_while_a_pool_holds_its_lock() -> None:
    program = """
import gc, threading
from concurrent.futures import ThreadPoolExecutor, thread
from service.backends.savedmodel.disposal import Disposal

class Thing: pass

disposal, done, pool = Disposal(), threading.Event(), ThreadPoolExecutor(1)
thing = Thing()
thing.itself = thing
disposal.after(thing, done.set)
del thing
with pool._shutdown_lock, thread._global_shutdown_lock:
    gc.collect()
assert done.wait(5)
"""
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
