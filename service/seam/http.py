"""HTTP as the protocols see it: a request that has been read, a response to be sent, and routes."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field

from starlette.datastructures import QueryParams

from service.core.call import Call
from service.core.rights import Access
from service.errors import GatewayError

JSON = "application/json"


@dataclass(slots=True)
class HttpRequest:
    """A request, read to its end.

    Attributes:
        params: What stands in the places of the route's template, decoded.
        query_string: As it was sent.
        headers: Names, in lower case, and values.
    """

    params: Mapping[str, str]
    query_string: bytes
    headers: Sequence[tuple[bytes, bytes]]
    body: bytes

    def header(self, name: bytes) -> str | None:
        """Returns the first value of a header; its name is given in lower case."""
        for found, value in self.headers:
            if found == name:
                return value.decode("latin-1")
        return None

    def header_values(self, name: bytes) -> list[str]:
        """Returns all values of a header; its name is given in lower case."""
        return [value.decode("latin-1") for found, value in self.headers if found == name]

    @property
    def query(self) -> QueryParams:
        """The query's parameters."""
        return QueryParams(self.query_string)


@dataclass(slots=True)
class HttpResponse:
    """A response.

    Attributes:
        body: All of it.
        media_type: Of the body.
        headers: Further ones, by name in lower case.
    """

    body: bytes
    status: int = 200
    media_type: str = JSON
    headers: Mapping[str, str] = field(default_factory=dict)


Handle = Callable[[HttpRequest, Call], Awaitable[HttpResponse]]
"""Answers a request; is called once more, to resolve the model again, where it raises `OutdatedVersionError`."""


@dataclass(frozen=True, slots=True)
class Route:
    """A path and what answers it.

    Attributes:
        verb: The HTTP method; GET stands for HEAD as well.
        template: The path, ``{name}`` where one segment of it may be anything.
        handle: Answers a request.
        is_probe: Whether it is a probe of the server itself: it takes no place among the requests in flight, and is
            reported only when it fails.
        place: What it is called in metrics and logs; by default the template.
        access: What it takes to ask it.
    """

    verb: str
    template: str
    handle: Handle
    is_probe: bool = False
    place: str = ""
    access: Access = field(kw_only=True)

    @property
    def name(self) -> str:
        """For metrics and logs."""
        return f"{self.verb} {self.place or self.template}"


Found = tuple[Route, Mapping[str, str]]
"""A route, and what stands in the places of its template."""


@dataclass(frozen=True, slots=True)
class RestApi:
    """The REST side of a protocol.

    Attributes:
        owns: Returns whether a path is of this protocol, even if no route has it.
        refuse: Makes the response of an error for a request id.
        routes: All that it answers.
        find: Finds the route of a verb and of a path as it was sent, where templates cannot say it. Raises
            `GatewayError` where there is none.
    """

    owns: Callable[[str], bool]
    refuse: Callable[[GatewayError, str], HttpResponse]
    routes: Sequence[Route] = ()
    find: Callable[[str, str], Found] | None = None
