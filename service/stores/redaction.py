"""The messages of libraries' errors, without secrets."""

import logging
import os
import re

from service.errors import shown

_LOUD = ("adlfs", "aiobotocore", "azure", "botocore", "fsspec", "gcsfs", "google", "msal", "oras", "s3fs", "urllib3")
"""Loggers of libraries that write what they send at the level debug, headers and signatures included."""
_QUERY = re.compile(r"\?[^\s'\"<>)]+")
_USER = re.compile(r"(?<=://)[^/\s@]+@")
_NAMED = re.compile(
    r"(?i)(\w{0,32}(?:key|secret|token|password|signature|\bsig|credential|authorization)\w{0,32}['\"]?\s*[=:]\s*['\"]?)"
    r"(?:bearer |basic )?[^\s'\",;&]+"
)
_SECRET = re.compile(r"(?i)key|secret|token|password|credential|connection_string|auth")
_LONGEST = 500
"""Maximum length of a text that is searched for secrets; the rest is cut off."""
_SHORTEST = 6
"""Minimum length of a variable's value that is searched for: shorter ones are common words."""


def said(error: BaseException) -> str:
    """Returns the text of an error on one line, short, and without secrets.

    The query and the credentials of URLs are replaced, the values of names such as ``token``, and the value of every
    environment variable whose name is that of a secret.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    for name, value in os.environ.items():
        if len(value) >= _SHORTEST and _SECRET.search(name):
            text = text.replace(value, "***")
    text = text[:_LONGEST]  # the searches do not take linear time, and the store chooses the text
    text = _USER.sub("***@", _QUERY.sub("?***", text))
    return shown(_NAMED.sub(r"\1***", text))[1:-1]


def hush() -> None:
    """Keeps libraries from logging what they send, at any log level."""
    for name in _LOUD:
        logging.getLogger(name).setLevel(logging.WARNING)
