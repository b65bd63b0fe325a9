"""What becomes of a finished call: it is counted, its trace ends, and the log may have a line of it."""

import math

from service.app.settings import Settings
from service.core.call import Call
from service.core.rollouts import Rollouts
from service.core.tracing import Tracer
from service.errors import OK
from service.telemetry import logs
from service.telemetry.access import audit
from service.telemetry.metrics import Metrics


class CallReports:
    """Takes finished calls.

    Args:
        settings: Of them ``access_log`` and ``slow_request_seconds``.
        metrics: Count them.
        rollouts: Judge versions by them.
        tracer: Has begun their traces, where there are any.
    """

    def __init__(self, settings: Settings, metrics: Metrics, rollouts: Rollouts, tracer: Tracer | None) -> None:
        self._logged = settings.access_log
        self._slow = settings.slow_request_seconds or math.inf
        self._metrics = metrics
        self._rollouts = rollouts
        self._tracer = tracer

    def call(self, call: Call, code: str) -> None:
        """Takes a call, and the code of how it ended."""
        # How long a stream was open says nothing: its messages are slow or not.
        self._tell(call, code, can_be_slow=not call.messages, if_well=self._logged == "all")

    def message(self, call: Call, code: str) -> None:
        """Takes a message of a stream, which has a line of its own unless all is well; else its stream's is enough."""
        self._tell(call, code, can_be_slow=True, if_well=False)

    def _tell(self, call: Call, code: str, *, can_be_slow: bool, if_well: bool) -> None:
        """Counts a finished call, ends its trace, and logs it where it failed, was slow, or all are to be logged."""
        self._metrics.observe(call, code)
        self._rollouts.observe(call, code)
        audit(call, code)
        if self._tracer is not None and call.trace is not None:
            self._tracer.end(call, code)
        if self._logged == "none":
            return
        is_slow = can_be_slow and self._slow < math.inf and code == OK and call.elapsed() > self._slow
        if is_slow or code != OK or if_well:
            logs.log_access(call, code, message="slow request" if is_slow else "request")
