import importlib
import logging
import sys

import pytest

from service.errors import GatewayError
from service.stores.redaction import hush, said
from service.stores.urls import KINDS, cache_name, checked, open_store


@pytest.mark.parametrize(
    "url",
    [
        "s3://bucket",
        "s3://bucket/a/b",
        "gs://bucket/models",
        "az://container/models",
        "abfs://container@account.dfs.core.windows.net/models",
        "https://models.example/a",
        "http://127.0.0.1:8080/a",
        "http://localhost/a",
        "oci://registry.example:5000/space/digits,sunspots",
    ],
)
def test_stores_have_urls(url: str) -> None:
    assert checked(url) == checked(url + "/") == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("ftp://host/x", "a URL that begins with s3://, gs://"),
        ("s3:///models", "s3://, and a bucket"),
        ("https://me:secret@host/x", "without a name and a password"),
        ("https://me@host/x", "without a name and a password"),
        ("abfs://container:key@account/x", "without a name and a password"),
        ("az://container/x?sig=secret", "without ?"),
        ("https://host/x#y", "without ?"),
        ("http://models.example/a", "https://, or http:// for this machine alone"),
    ],
)
def test_other_urls_are_refused_and_secrets_in_them_are_not_repeated(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=words.replace("?", r"\?")) as caught:
        checked(url)
    assert "secret" not in str(caught.value)


def test_the_extra_is_named_that_brings_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for scheme, kind in KINDS.items():
        if kind.module:
            monkeypatch.setitem(sys.modules, kind.module, None)
            with pytest.raises(
                GatewayError, match=rf"{kind.module} is not installed; .* pip install '\.\[{kind.extra}\]' in a clone"
            ):
                open_store(f"{scheme}://bucket/models")


def test_each_url_has_a_cache_of_its_own() -> None:
    names = {cache_name(url) for url in ("s3://a/b", "s3://a-b", "s3://a/b/c", "gs://a/b", "s3://" + "a" * 200)}
    assert len(names) == 5
    assert all(len(name) < 80 and "/" not in name and not name.startswith(".") for name in names)


@pytest.mark.parametrize(
    "text",
    [
        "cannot get https://account.blob/x?sv=1&sig=HUSHHUSH: 403",
        "https://me:HUSHHUSH@host/ is away",
        "Authorization: Bearer HUSHHUSH was refused",
        "aws_secret_access_key='HUSHHUSH' is wrong",
        "AccountKey=HUSHHUSH;EndpointSuffix=x",
        "{'token': 'HUSHHUSH'}",
        "the value HUSHHUSH is in the environment",
    ],
)
def test_secrets_are_left_out_of_what_libraries_say(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if "environment" in text:
        monkeypatch.setenv("AWS_SESSION_TOKEN", "HUSHHUSH")
    told = said(ValueError(text))
    assert "HUSH" not in told
    assert "***" in told


def test_what_libraries_say_is_one_short_line() -> None:
    assert said(OSError("a\n  b")) == "a b"
    assert said(TimeoutError()) == "TimeoutError"
    assert len(said(OSError("x" * 10_000))) < 200


def test_libraries_do_not_write_what_they_send() -> None:
    hush()
    assert not logging.getLogger("botocore.auth").isEnabledFor(logging.DEBUG)
    assert not logging.getLogger("urllib3.connectionpool").isEnabledFor(logging.DEBUG)


def test_nothing_is_imported_before_it_is_needed() -> None:
    importlib.import_module("service.stores.urls")
    source = (
        "import sys, service.app.lifecycle; print(sorted(set(sys.modules) & {'fsspec', 's3fs', 'oras', 'aiohttp'}))"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
