"""Run by the interpreter that has KServe's package: names the fields of resources that its classes do not have.

Reads a list of resources from standard input, and writes a list of paths for each.
"""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

import kserve
from kubernetes import client

_PLAIN = {"str", "int", "bool", "float", "object", "datetime"}


def unknown(value: Any, kind: str, place: str) -> Iterator[str]:
    """Yields the paths of fields below a value of that type that there are not."""
    if inner := re.fullmatch(r"list\[(.+)\]", kind):
        for index, item in enumerate(value):
            yield from unknown(item, inner[1], f"{place}[{index}]")
    elif inner := re.fullmatch(r"dict[(\[]str, (.+)[)\]]", kind):
        for key, item in value.items():
            yield from unknown(item, inner[1], f"{place}.{key}")
    elif kind not in _PLAIN:
        made = getattr(kserve, kind, None) or getattr(client, kind, None)
        if made is None or not hasattr(made, "openapi_types"):
            return  # one that takes anything, such as a quantity
        kinds = {name: made.openapi_types[field] for field, name in made.attribute_map.items()}
        for key, item in value.items():
            where = f"{place}.{key}" if place else key
            if key in kinds:
                yield from unknown(item, kinds[key], where)
            else:
                yield where


def main() -> None:
    """Answers."""
    found = []
    for manifest in json.load(sys.stdin):
        version = manifest["apiVersion"].rpartition("/")[2]
        found.append(list(unknown(manifest, version.capitalize() + manifest["kind"], "")))
    json.dump(found, sys.stdout)


main()
