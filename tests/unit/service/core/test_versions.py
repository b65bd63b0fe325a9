import pytest

from service.core.versions import VersionPolicy


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("latest", [10]),
        ("latest:1", [10]),
        ("latest:3", [10, 9, 2]),
        ("latest:99", [10, 9, 2, 1, 0]),
        ("all", [10, 9, 2, 1, 0]),
        ("specific:2", [2]),
        ("specific:1,9,77", [9, 1]),
        ("specific:0", [0]),
        ("specific:9,0,1", [9, 1, 0]),
    ],
)
def test_a_policy_chooses_the_newest_first(text: str, chosen: list[int]) -> None:
    assert VersionPolicy.parse(text).choose([2, 10, 1, 0, 9]) == chosen


@pytest.mark.parametrize(
    "text",
    [
        "",
        "newest",
        "latest:",
        "latest:0",
        "latest:-1",
        "specific:",
        "specific:1,",
        "specific:00",
        "specific:-1",
        "all:1",
    ],
)
def test_others_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"latest, latest:N, all or specific"):
        VersionPolicy.parse(text)
