"""Compiles what is used, and nothing else, by importing it: at run time the file system is read-only.

It is also the proof that an image can import all that it has, after it was trimmed.
"""

import argparse
import importlib
import pkgutil
import sys


def modules(package: str) -> list[str]:
    """Returns the names of the package and of everything below it that can be imported without running it."""
    path = importlib.import_module(package).__path__
    below = [module.name for module in pkgutil.walk_packages(path, package + ".")]
    return [package, *(name for name in below if not name.endswith(".__main__"))]


def main() -> None:
    """Imports all modules of the packages, and the modules that these import late."""
    parser = argparse.ArgumentParser()
    parser.add_argument("packages", nargs="+", metavar="PACKAGE")
    parser.add_argument("--late", nargs="*", default=[], metavar="MODULE")
    parser.add_argument(
        "--without", nargs="*", default=[], metavar="PACKAGE", help="modules may fail for lack of these"
    )
    options = parser.parse_args()
    for name in [*options.late, *(name for package in options.packages for name in modules(package))]:
        try:
            importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name not in options.without:
                raise
            sys.stdout.write(f"{name} is passed over: {error}\n")


if __name__ == "__main__":
    main()
