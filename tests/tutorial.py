"""docs/tutorial.md: its commands, and what it says that they print."""

import re

from tests.processes import ROOT

_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```\n", re.MULTILINE | re.DOTALL)
_CODE = {"sh", "python"}
_LEFT_OUT = "…"


def steps() -> list[tuple[str, str]]:
    """Returns each block of code, and the output that follows it; an empty one where none is shown."""
    blocks = _BLOCK.findall((ROOT / "docs" / "tutorial.md").read_text("utf-8"))
    follows = [*blocks[1:], ("sh", "")]
    return [
        (code, "" if next_kind in _CODE else output)
        for (kind, code), (next_kind, output) in zip(blocks, follows, strict=True)
        if kind in _CODE
    ]


def step(begin: str) -> tuple[str, str]:
    """Returns the step whose code begins so."""
    [found] = [one for one in steps() if one[0].startswith(begin)]
    return found


def assert_shown(shown: str, printed: str) -> None:
    """Holds a shown output to one that was printed: the same lines, but for figures, and those that are left out."""
    lines = iter(_without_figures(printed))
    is_gap = False
    for line in _without_figures(shown):
        if line == _LEFT_OUT:
            is_gap = True
            continue
        came = next((one for one in lines if one == line), None) if is_gap else next(lines, None)
        assert came == line, f"{line!r} is shown, {came!r} was printed:\n{printed}"
        is_gap = False
    assert is_gap or next(lines, None) is None, printed


def _without_figures(text: str) -> list[str]:
    """Returns the lines, each number a 0, and spaces and rules of any width one."""
    found = (re.sub(r"\d+([.,]\d+)*(e[-+]\d+)?", "0", line) for line in text.splitlines())
    return [re.sub(r"([ ─━-])\1+", r"\1", line).strip() for line in found if line.strip()]
