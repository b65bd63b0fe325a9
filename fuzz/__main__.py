"""``make fuzz``: attacks decoders in processes of their own and a server over the network; tells what was found."""

import sys
import time
from collections.abc import Iterator
from dataclasses import replace

from fuzz import figures
from fuzz.decoders import attack_decoders, tell
from fuzz.options import Options, parse
from fuzz.wire import attack_server

GRPC_SERVERS = ("h2corn", "grpcio")


def main(arguments: list[str]) -> int:
    """Runs it; returns the exit status."""
    options = parse(arguments)
    if options.report:
        sys.stdout.write(figures.table(figures.load(options.output / "figures.json")))
        return 0
    found = []
    for each in _attacked(options):
        found.append(each)
        figures.save([each], options.output / "figures.json")
    sys.stdout.write(figures.table(found))
    wrong = [(each.name, finding) for each in found for finding in each.findings]
    for name, finding in wrong:
        tell(f"{name}: {finding}\n")
    return 1 if wrong else 0


def _attacked(options: Options) -> Iterator[figures.Figures]:
    """Attacks decoders for half of the time where both are attacked, and the two servers for what is left."""
    parts, until = len(options.only), time.monotonic() + options.seconds
    if "decoders" in options.only:
        yield from attack_decoders(replace(options, seconds=options.seconds // parts))
    if "wire" in options.only:
        for number, server in enumerate(GRPC_SERVERS):
            left = (until - time.monotonic()) / (len(GRPC_SERVERS) - number)
            share = replace(options, wire_inputs=options.wire_inputs // len(GRPC_SERVERS))
            yield from attack_server(share, server, left)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
