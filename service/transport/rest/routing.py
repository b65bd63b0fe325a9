"""Which route answers a path."""

import re
from collections.abc import Sequence

from service.errors import ErrorKind, GatewayError, Violation, shown
from service.seam.http import Found, Route

_PROBES, _INFERENCE = "the probes /livez and /readyz", "POST /v1/models/{model}:predict"
_USUAL = {
    **dict.fromkeys(("/health", "/healthz", "/health/live", "/health/ready", "/ping", "/status"), _PROBES),
    **dict.fromkeys(("/predict", "/invocations", "/v1/predict", "/predictions"), _INFERENCE),
    "/models": "/api/v1/models",
}
"""Paths of other servers, and where the same is found here."""
_PLACE = re.compile(r"\{(\w+)\}")


class MethodNotAllowedError(GatewayError):
    """The path exists and does not take this verb.

    Args:
        verb: What came.
        allowed: What it takes.
    """

    def __init__(self, verb: str, allowed: Sequence[str]) -> None:
        self.allowed = ", ".join(sorted(allowed))
        violation = Violation("method", self.allowed, verb)
        super().__init__(ErrorKind.METHOD_NOT_ALLOWED, str(violation), [violation])


class Router:
    """Finds routes: those without places at once, the others in their order.

    Args:
        routes: All of them.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._fixed: dict[str, dict[str, Route]] = {}
        templates: dict[str, dict[str, Route]] = {}
        for route in routes:
            known = templates if "{" in route.template else self._fixed
            verbs = known.setdefault(route.template, {})
            verbs[route.verb] = route
            if route.verb == "GET":
                verbs["HEAD"] = route
        self._patterns = [(_pattern(template), verbs) for template, verbs in templates.items()]

    def find(self, verb: str, path: str) -> Found:
        """Returns the route, and what stands in its places.

        Raises:
            GatewayError: NOT_FOUND, or METHOD_NOT_ALLOWED with the verbs that are.
        """
        if verbs := self._fixed.get(path):
            return _of_verb(verbs, verb), {}
        for pattern, verbs in self._patterns:
            if match := pattern.fullmatch(path):
                return _of_verb(verbs, verb), match.groupdict()
        hint = _USUAL.get(path, "") or (path[:-1] if path[:-1] in self._fixed else "")
        meant = f"; you may want {hint}" if hint else ""
        text = f"there is nothing at {shown(path)}{meant}; GET /docs shows what there is"
        raise GatewayError(ErrorKind.NOT_FOUND, text)


def _of_verb(verbs: dict[str, Route], verb: str) -> Route:
    if verb not in verbs:
        raise MethodNotAllowedError(verb, list(verbs))
    return verbs[verb]


def _pattern(template: str) -> re.Pattern[str]:
    parts = _PLACE.split(template)  # text and names of places by turns
    return re.compile(
        "".join(f"(?P<{part}>[^/]+)" if index % 2 else re.escape(part) for index, part in enumerate(parts))
    )
