import pytest

from service.core.rights import ACTIONS, NO_RIGHTS, Access, Grant, Rights


@pytest.mark.parametrize(
    ("globs", "model", "matches"),
    [
        (["digits"], "digits", True),
        (["digits"], "digits2", False),
        (["digits"], "Digits", False),
        (["digits*"], "digits/2\n", True),
        (["digit?"], "digits", True),
        (["v[12]"], "v2", True),
        (["v[!12]"], "v2", False),
        (["a.c"], "abc", False),
        (["a", "b"], "b", True),
        (["a|b"], "a", False),
        (["*"], "", True),
    ],
)
def test_globs_are_of_whole_names(globs: list[str], model: str, matches: bool) -> None:
    assert Grant(globs, [Access.READ]).is_for(model) == matches


def test_what_one_grant_allows_is_allowed() -> None:
    rights = Rights([Grant(["digits*"], [Access.INFER]), Grant(["*"], [Access.READ])])
    assert rights.allow(Access.INFER, "digits")
    assert not rights.allow(Access.INFER, "sunspots")
    assert rights.allow(Access.READ, "sunspots")
    assert rights.allow(Access.AUTHENTICATED, "sunspots")
    assert not rights.allow_some(Access.CONTROL)
    assert (rights.allow_all(Access.READ), rights.allow_all(Access.INFER)) == (True, False)


def test_who_has_no_rights_may_nothing() -> None:
    assert not NO_RIGHTS.see("digits")
    assert not any(NO_RIGHTS.allow_some(access) or NO_RIGHTS.allow(access, "a") for access in Access)


def test_what_is_public_or_for_all_who_are_known_is_not_granted() -> None:
    assert set(Access) - set(ACTIONS) == {Access.PUBLIC, Access.AUTHENTICATED}
