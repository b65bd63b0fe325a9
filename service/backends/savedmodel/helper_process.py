"""One helper process as the gateway sees it: how it is started, asked, watched and ended."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from service.backends.savedmodel import frames, helper
from service.backends.savedmodel.helper import PROGRESS
from service.core import native_output
from service.core.load_progress import LoadProgress
from service.core.tensors import Tensor
from service.errors import ErrorKind, GatewayError, RunEndedError

_BUFFER_BYTES = 1 << 20
"""Of a connection, each way, where the kernel allows as much."""
_BEATS = 64


class HelperProcess:
    """Starts the process; it lives until it ends by itself, is ended, or this process is gone.

    Args:
        threads: How many threads share the work of one operation of TensorFlow.

    Attributes:
        number: Of the process.
        ended: Whether it is known to have ended.

    Raises:
        OSError: When it cannot be started: there are too many processes, or files.
    """

    def __init__(self, threads: int) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            arguments = (native_output.secret() or "", threads, theirs.fileno())
            try:
                self._process = subprocess.Popen(
                    # Found as the gateway's own modules are, and not in the folder that it happens to run in.
                    [sys.executable, "-P", "-m", helper.__name__, *map(str, arguments)],
                    env=os.environ | {"PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path)},
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(),),
                )
            except OSError:
                self._control.close()
                raise
        self.number = self._process.pid
        self.ended = False
        self._control.setblocking(False)
        self._connections: list[socket.socket] = []
        self._free: list[socket.socket] = []  # appending to it and popping from it are safe on any thread

    def ask(
        self,
        request: str,
        tensors: Mapping[str, Tensor] | None = None,
        *,
        progress: LoadProgress | None = None,
        **fields: object,
    ) -> frames.Frame:
        """Waits for its answer; may be called from several threads.

        Args:
            request: What it is to do.
            tensors: What it is to do that with.
            progress: Of a load; told how far it is.
            fields: Likewise.

        Raises:
            GatewayError: The one that it answers with.
            RunEndedError: When it ends before it has answered.
        """
        frame = frames.encode({"request": request, **fields}, tensors or {})
        try:
            connection = self._free.pop()
        except IndexError:
            connection = self._connect()
        try:
            frames.send(connection, frame)
            answer, given = frames.receive(connection)
            while progress is not None and PROGRESS in answer:
                progress.enter(**answer[PROGRESS])
                answer, given = frames.receive(connection)
        except frames.ConnectionEndedError:
            self.ended = True
            raise RunEndedError("the process that runs the models has ended") from None
        except BaseException:
            self.kill()  # half of an answer may be left on the connection: nobody is to read it as the next one's
            raise
        self._free.append(connection)
        if "kind" in answer:
            raise GatewayError(ErrorKind(answer["kind"]), answer["message"], upstream=answer["upstream"])
        if "unexpected" in answer:
            raise RuntimeError(f"in the helper process: {answer['unexpected']}")
        return answer, given

    def _connect(self) -> socket.socket:
        """Makes another connection: as many are kept as there were asking at a time."""
        ours, theirs = socket.socketpair()
        self._connections.append(ours)
        with theirs:
            for option in (socket.SO_SNDBUF, socket.SO_RCVBUF):
                ours.setsockopt(socket.SOL_SOCKET, option, _BUFFER_BYTES)
            try:
                socket.send_fds(self._control, [helper.CONNECT], [theirs.fileno()])
            except OSError:
                self.ended = True
                raise RunEndedError("the process that runs the models has ended") from None
        return ours

    async def watch(self, silence: float) -> bool:
        """Waits until it ends; ends it where it gives no sign of life for so many seconds. Returns whether it did."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(silence):
                    beats = await loop.sock_recv(self._control, _BEATS)
            except TimeoutError:
                try:
                    beats = self._control.recv(_BEATS)  # it may be this process that was stopped meanwhile
                except BlockingIOError:
                    self.kill()
                    return True
                except OSError:
                    return False
            except OSError:
                return False
            if not beats:
                return False

    def kill(self) -> None:
        """Ends it at once, whatever it does."""
        self._process.kill()

    def close(self) -> str:
        """Ends it if it has not ended; returns how it did, once nothing of it is left. Blocks for a moment."""
        self.kill()
        status = self._process.wait()
        for connection in (self._control, *self._connections):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)  # whoever still waits on it
            connection.close()
        if status >= 0:
            return f"status {status}"
        try:
            return signal.Signals(-status).name
        except ValueError:
            return f"signal {-status}"
