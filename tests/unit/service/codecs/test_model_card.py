"""Reports of versions on disk: what is read of them, and what never is."""

from pathlib import Path

import pytest

from service.codecs import model_card
from service.codecs.model_card import ModelCard, Plot, read_card, read_plot


@pytest.fixture
def extra(tmp_path: Path) -> Path:
    folder = tmp_path / "1" / "assets.extra"
    folder.mkdir(parents=True)
    return folder


def test_a_report_is_read(extra: Path) -> None:
    (extra / "model_card.md").write_text("# digits é\n", encoding="utf-8")
    (extra / "metrics.json").write_text('{"accuracy": 0.5}')
    (extra / "b.svg").write_bytes(b"<svg/>")
    (extra / "a.png").write_bytes(b"png")
    (extra / "tf_serving_warmup_requests").write_bytes(b"secret")
    plots = (Plot("a.png", "image/png", 3), Plot("b.svg", "image/svg+xml", 6))
    assert read_card(extra.parent) == ModelCard("# digits é\n", {"accuracy": 0.5}, plots)
    assert read_plot(extra.parent, "a.png") == (b"png", "image/png")


def test_without_a_report_there_is_an_empty_one(tmp_path: Path) -> None:
    assert read_card(tmp_path / "nowhere") == ModelCard("", {}, ())
    assert read_plot(tmp_path / "nowhere", "a.png") is None


@pytest.mark.parametrize("text", ["{", "[1]", "", "\udcff", '{"a":' * 17 + "1" + "}" * 17])
def test_figures_that_are_none_are_left_out(extra: Path, text: str) -> None:
    (extra / "metrics.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    assert read_card(extra.parent).metrics == {}


def test_figures_may_lie_in_each_other(extra: Path) -> None:
    (extra / "metrics.json").write_text('{"a":' + "[" * 15 + "1" + "]" * 15 + "}")
    assert read_card(extra.parent).metrics["a"]


@pytest.mark.parametrize(
    "name",
    [
        *("../1/assets.extra/a.png", "./a.png", "/etc/passwd", "..", "", "a.PNG", "a.png\0", "A.png"),
        *("model_card.md", "tf_serving_warmup_requests", "link.png", "folder.png", "linked.png"),
    ],
)
def test_no_other_file_is_read(extra: Path, name: str) -> None:
    for inside in ("a.png", "model_card.md", "tf_serving_warmup_requests"):
        (extra / inside).write_bytes(b"x")
    outside = extra.parent / "saved_model.pb"
    outside.write_bytes(b"secret")
    (extra / "link.png").symlink_to(outside)
    (extra / "folder.png").mkdir()
    (extra / "linked.png").symlink_to(extra / "a.png")
    assert read_plot(extra.parent, name) is None
    assert [plot.name for plot in read_card(extra.parent).plots] == ["a.png"]


def test_what_is_too_long_is_left_out(extra: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_card, "MAX_PLOT_BYTES", 3)
    (extra / "long.png").write_bytes(b"1234")
    (extra / "model_card.md").write_bytes(b"x" * (2**20 + 1))
    assert read_card(extra.parent) == ModelCard("", {}, ())
    assert read_plot(extra.parent, "long.png") is None
