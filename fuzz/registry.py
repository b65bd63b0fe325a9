"""All decoders that are attacked, by name."""

from fuzz.target import Target
from fuzz.targets import application, files, json_bodies, messages, transport

TARGETS: tuple[Target, ...] = (
    *json_bodies.TARGETS,
    *messages.TARGETS,
    *files.TARGETS,
    *transport.TARGETS,
    *application.TARGETS,
)


def by_name() -> dict[str, Target]:
    """Returns them by name."""
    return {target.name: target for target in TARGETS}
