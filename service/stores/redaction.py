"""What libraries say of errors, without what may be secret in it."""

import logging
import os
import re

from service.errors import shown

_LOUD = ("adlfs", "aiobotocore", "azure", "botocore", "fsspec", "gcsfs", "google", "msal", "oras", "s3fs", "urllib3")
"""Loggers of libraries that write what they send, headers and signatures among it, when they are to debug."""
_QUERY = re.compile(r"\?[^\s'\"<>)]+")
_USER = re.compile(r"(?<=://)[^/\s@]+@")
_NAMED = re.compile(
    r"(?i)(\w{0,32}(?:key|secret|token|password|signature|\bsig|credential|authorization)\w{0,32}['\"]?\s*[=:]\s*['\"]?)"
    r"(?:bearer |basic )?[^\s'\",;&]+"
)
_SECRET = re.compile(r"(?i)key|secret|token|password|credential|connection_string|auth")
_LONGEST = 500
"""Characters that are looked through."""
_SHORTEST = 6
"""Characters of a variable's value that is looked for in texts: shorter ones are words."""


def said(error: BaseException) -> str:
    """Returns the text of an error on one line, short, and without secrets.

    What stands behind the question mark of a URL, before its host, or behind a name such as ``token``, is left out, and
    so is the value of every variable of the environment whose name is that of a secret.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _SECRET.search(name):
            text = text.replace(value, "***")
    text = text[:_LONGEST]  # searches take longer than a text grows, and a store words it
    text = _USER.sub("***@", _QUERY.sub("?***", text))
    return shown(_NAMED.sub(r"\1***", text))[1:-1]


def hush() -> None:
    """Keeps libraries from writing what they send, whatever the log's level is."""
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)
