"""What a run is asked to do, and where its findings go."""

from ipaddress import IPv4Address
from pathlib import Path

import pytest

from reliability import findings, table
from reliability.findings import Finding
from reliability.names import answer_to
from reliability.options import Work, parse

FOUND = [Finding("one is killed", "0 failed", "0 of 10 failed"), Finding("a|b", "0 failed", "1 failed", holds=False)]


def test_findings_are_kept_from_run_to_run(tmp_path: Path) -> None:
    file = tmp_path / "build" / "findings.json"
    assert findings.load(file) == {}
    findings.save(file, "one", FOUND)
    findings.save(file, "two", FOUND[:1])
    findings.save(file, "one", FOUND[1:])
    assert findings.load(file) == {"one": FOUND[1:], "two": FOUND[:1]}
    assert findings.failed(FOUND) == FOUND[1:]


def test_the_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    document = tmp_path / "reliability.md"
    document.write_text(f"before\n{table.BEGIN}\nold\n{table.END}\nafter\n")
    written = table.as_markdown({"two": FOUND}, ["one", "two"])
    assert [line.count("|") for line in written.splitlines()] == [5] * 4
    table.write(document, written)
    table.write(document, written)
    assert document.read_text() == f"before\n{table.BEGIN}\n\n{written}\n{table.END}\nafter\n"
    document.write_text("no marks")
    with pytest.raises(ValueError, match="expected the lines"):
        table.write(document, written)


def test_options(capsys: pytest.CaptureFixture[str]) -> None:
    known = {"faults": ["one", "two"], "soak": ["three"]}
    assert parse(["faults", "--only", "two", "--minutes", "0.5"], known).only == ("two",)
    assert parse(["faults"], known).only == ("one", "two")
    for wrong in ([], ["soak", "--minutes", "0"], ["soak", "--minutes", "11"], ["faults", "--only", "three"]):
        with pytest.raises(SystemExit):
            parse(wrong, known)
    assert "there is no three; there are one, two" in capsys.readouterr().err


def test_a_shorter_run_does_less_but_something(tmp_path: Path) -> None:
    work = Work(tmp_path, tmp_path, share=0.1)
    assert (work.seconds(600), work.seconds(5), work.count(20), work.count(5, least=2)) == (60, 1, 2, 2)


@pytest.mark.parametrize(
    ("name", "kind", "answered"), [("replicas.test", 1, 1), ("replicas.test", 28, 0), ("other.test", 1, 0)]
)
def test_the_name_server_knows_one_name(name: str, kind: int, answered: int) -> None:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    question = labels + b"\0" + kind.to_bytes(2, "big") + b"\0\1"
    answer = answer_to(b"\x12\x34\1\0\0\1\0\0\0\0\0\0" + question + b"more", IPv4Address("127.0.0.1"))
    assert answer[:2] == b"\x12\x34"
    assert answer[3] & 15 == (0 if name == "replicas.test" else 3)
    assert answer[7] == answered
    assert answer[12:] == question + (b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4\x7f\0\0\1" if answered else b"")
