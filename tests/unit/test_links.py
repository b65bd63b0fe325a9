"""Links in the documents: each leads to a file that there is, and to a heading in it where it names one."""

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.processes import ROOT

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "protos" / "README.md"])
_CODE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6} +(.+?) *$", re.MULTILINE)


@cache
def text_of(document: Path) -> str:
    """Returns a document without its blocks of code."""
    return _CODE.sub("", document.read_text(encoding="utf-8"))


@cache
def anchors(document: Path) -> frozenset[str]:
    """Returns what may follow the # in links to a document: its headings, as GitHub writes them there."""
    seen: Counter[str] = Counter()
    found = set()
    for heading in _HEADING.findall(text_of(document)):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        slug = re.sub(r"[^\w\- ]", "", words).replace(" ", "-")
        found.add(f"{slug}-{seen[slug]}" if seen[slug] else slug)
        seen[slug] += 1
    return frozenset(found)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda document: str(document.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    for link in _LINK.findall(text_of(document)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (document.parent / path).resolve() if path else document
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target), link


def test_a_heading_is_linked_as_it_is_written() -> None:
    assert {"in-production-docker-compose", "what-a-mistake-looks-like"} <= anchors(ROOT / "README.md")
    assert "what-a-request-can-cost" in anchors(ROOT / "docs" / "operations.md")
