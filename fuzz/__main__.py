"""``make fuzz``: attacks decoders in processes of their own and a server over the network; tells what was found."""

import sys

from fuzz import figures
from fuzz.decoders import attack_decoders, tell
from fuzz.options import parse


def main(arguments: list[str]) -> int:
    """Runs it; returns the exit status."""
    options = parse(arguments)
    found = []
    if "decoders" in options.only:
        for each in attack_decoders(options):
            found.append(each)
            figures.save([each], options.output / "figures.json")
    sys.stdout.write(figures.table(found))
    wrong = [(each.name, finding) for each in found for finding in each.findings]
    for name, finding in wrong:
        tell(f"{name}: {finding}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
