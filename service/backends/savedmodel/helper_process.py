"""One helper process as the gateway sees it: starts it, sends requests, watches its heartbeat, and ends it."""

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
"""Buffer of a connection in each direction, if the kernel allows as much."""
_BEATS = 64


class HelperProcess:
    """Starts the process, which lives until it crashes, is killed, or this process ends.

    Args:
        threads: Number of threads for one operation of TensorFlow.

    Attributes:
        number: The process id.
        ended: Whether it is known to have ended.

    Raises:
        OSError: When it cannot be started, as there are too many processes or files.
    """

    def __init__(self, threads: int) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            arguments = (native_output.secret() or "", threads, theirs.fileno())
            try:
                self._process = subprocess.Popen(
                    # Modules are found as the gateway's are, and not in the working directory.
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
        """Sends a request, and waits for the answer; may be called from several threads.

        Args:
            request: Name of the request.
            tensors: Tensors of the request.
            progress: The progress of a load, to be updated.
            fields: Fields of the request.

        Raises:
            GatewayError: The error that it answers with.
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
            self.kill()  # half an answer may be left on the connection, which the next request would read
            raise
        self._free.append(connection)
        if "kind" in answer:
            raise GatewayError(ErrorKind(answer["kind"]), answer["message"], upstream=answer["upstream"])
        if "unexpected" in answer:
            raise RuntimeError(f"in the helper process: {answer['unexpected']}")
        return answer, given

    def _connect(self) -> socket.socket:
        """Opens another connection; as many are kept as there were concurrent requests."""
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
        """Waits until it ends; kills it after so many seconds without a heartbeat. Returns whether it did."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                async with asyncio.timeout(silence):
                    beats = await loop.sock_recv(self._control, _BEATS)
            except TimeoutError:
                try:
                    beats = self._control.recv(_BEATS)  # it may be this process that was suspended
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
        """Kills it."""
        self._process.kill()

    def close(self) -> str:
        """Kills it if it still runs, and closes its connections; returns how it ended. Blocks for a moment."""
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
