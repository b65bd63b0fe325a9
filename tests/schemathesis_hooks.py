"""What schemathesis does with each request before it sends it; `schemathesis.toml` names this module.

It runs in an environment of its own, where nothing else of the project can be imported.
"""

from typing import Any

import schemathesis

_LONG_ENOUGH = 20
_LENGTH = "Inference-Header-Content-Length"
_COMPRESSED = {"gzip", "deflate"}


@schemathesis.hook
def before_call(context: Any, case: Any, kwargs: Any) -> None:
    """Takes back what would hide the answer to everything else that is in the request.

    Seconds that do not suffice are the client's own wish, and answered with 504. Bodies are sent as they were made,
    so that one which says that it is compressed would be damaged; and JSON of another length than the header says is
    no JSON, or a tensor.
    """
    headers = case.headers
    if _is_timeout(headers.get("X-Request-Timeout")):
        headers["X-Request-Timeout"] = str(_LONG_ENOUGH)
    if headers.get("Content-Encoding") in _COMPRESSED:
        headers["Content-Encoding"] = "identity"
    if case.media_type == "application/json" and str(headers.get(_LENGTH, "")).isdecimal():
        del headers[_LENGTH]


def _is_timeout(value: Any) -> bool:
    try:
        return 0 < float(value) < _LONG_ENOUGH
    except (TypeError, ValueError):
        return False
