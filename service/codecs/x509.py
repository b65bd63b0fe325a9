"""X.509 certificates, as far as a server reads them itself: whose they are, and until when they are valid.

Whether a certificate is to be believed is what the TLS library has decided before.
"""

import re
from binascii import Error as Base64Error
from binascii import a2b_base64
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address

_PEM = re.compile(rb"-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----([^-]*)-----END (?:TRUSTED |X509 )?CERTIFICATE-----")

_OBJECT_IDENTIFIER, _OCTET_STRING, _SEQUENCE, _SET, _UTC_TIME, _GENERALIZED_TIME = 0x06, 0x04, 0x30, 0x31, 0x17, 0x18
_VERSION, _EXTENSIONS = 0xA0, 0xA3
_LONG_FORM, _LONGEST_LENGTH = 0x80, 4
_CENTURY = 50
"""From this year on, two digits are a year of the twentieth century."""

_ENCODINGS = {
    0x0C: "utf-8",
    0x12: "ascii",  # NumericString
    0x13: "ascii",  # PrintableString
    0x14: "latin-1",  # TeletexString, as it is used
    0x16: "ascii",  # IA5String
    0x1A: "ascii",  # VisibleString
    0x1C: "utf-32-be",  # UniversalString
    0x1E: "utf-16-be",  # BMPString
}
_TYPES = {
    "2.5.4.3": "CN",
    "2.5.4.6": "C",
    "2.5.4.7": "L",
    "2.5.4.8": "ST",
    "2.5.4.9": "STREET",
    "2.5.4.10": "O",
    "2.5.4.11": "OU",
    "0.9.2342.19200300.100.1.1": "UID",
    "0.9.2342.19200300.100.1.25": "DC",
    # These two are not among those of RFC 4514, which allows others that are known.
    "2.5.4.5": "serialNumber",
    "1.2.840.113549.1.9.1": "emailAddress",
}
_SUBJECT_ALTERNATIVE_NAME = "2.5.29.17"
_EMAIL, _DNS, _URI, _IP = 0x81, 0x82, 0x86, 0x87
_PREFIXES = {_EMAIL: "email:", _DNS: "DNS:", _URI: "URI:"}
_ESCAPED = re.compile(r'[\\"+,;<>]|^[ #]| \Z')
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate.

    Attributes:
        subject: Its distinguished name as RFC 4514 writes it, such as ``CN=client,O=Example``.
        names: Its subject alternative names, each with its kind before it: ``DNS:``, ``URI:``, ``email:``, ``IP:``.
        not_after: When it expires.
    """

    subject: str
    names: tuple[str, ...]
    not_after: datetime


def parse_pem(data: bytes) -> list[Certificate]:
    """Returns the certificates of a PEM file, in their order.

    Raises:
        ValueError: When there is none, or one cannot be read.
    """
    try:
        found = [parse_der(a2b_base64(block)) for block in _PEM.findall(data)]
    except Base64Error:
        raise ValueError("a certificate in it is not base64") from None
    if not found:
        raise ValueError("there is no certificate in it")
    return found


def parse_der(data: bytes) -> Certificate:
    """Returns the certificate.

    Raises:
        ValueError: When it cannot be read.
    """
    try:
        return _certificate(data)
    except (ValueError, IndexError, StopIteration, OverflowError):
        raise ValueError("a certificate in it is not one of X.509 in DER") from None


def _certificate(data: bytes) -> Certificate:
    whole = _only(data, _SEQUENCE)
    fields = iter(list(_elements(_expected(next(_elements(whole)), _SEQUENCE))))
    first = next(fields)
    if first[0] == _VERSION:
        next(fields)  # the serial number
    next(fields)  # the signature's algorithm
    next(fields)  # the issuer
    validity = list(_elements(_expected(next(fields), _SEQUENCE)))
    subject = _name(_expected(next(fields), _SEQUENCE))
    extensions = next((content for tag, content in fields if tag == _EXTENSIONS), None)
    names = () if extensions is None else tuple(_alternative_names(_only(extensions, _SEQUENCE)))
    return Certificate(subject, names, _time(*validity[1]))


def _elements(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Yields tag and content of each element of DER."""
    at = 0
    while at < len(data):
        tag, length = data[at], data[at + 1]
        at += 2
        if length >= _LONG_FORM:
            count = length - _LONG_FORM
            if not 0 < count <= _LONGEST_LENGTH:
                raise ValueError(length)
            length = int.from_bytes(data[at : at + count])
            at += count
        if at + length > len(data):
            raise IndexError
        yield tag, data[at : at + length]
        at += length


def _expected(element: tuple[int, bytes], tag: int) -> bytes:
    if element[0] != tag:
        raise ValueError(element)
    return element[1]


def _only(data: bytes, tag: int) -> bytes:
    return _expected(next(_elements(data)), tag)


def _name(data: bytes) -> str:
    """Returns a distinguished name; RFC 4514 writes it from the last to the first."""
    parts = [
        "+".join(reversed([_attribute(_expected(one, _SEQUENCE)) for one in _elements(_expected(part, _SET))]))
        for part in _elements(data)
    ]
    return ",".join(reversed(parts))


def _attribute(data: bytes) -> str:
    kind, (tag, content) = list(_elements(data))[:2]
    identifier = _identifier(_expected(kind, _OBJECT_IDENTIFIER))
    name, encoding = _TYPES.get(identifier), _ENCODINGS.get(tag)
    if name is None or encoding is None:
        length = bytes([len(content)]) if len(content) < _LONG_FORM else _long_length(len(content))
        return f"{name or identifier}=#{(bytes([tag]) + length + content).hex()}"
    text = _ESCAPED.sub(r"\\\g<0>", content.decode(encoding))
    return f"{name}=" + _CONTROL.sub(lambda found: f"\\{ord(found[0]):02X}", text)


def _long_length(length: int) -> bytes:
    octets = length.to_bytes((length.bit_length() + 7) // 8)
    return bytes([_LONG_FORM | len(octets)]) + octets


def _identifier(data: bytes) -> str:
    """Returns an object identifier in its dotted form."""
    numbers, number = [], 0
    for octet in data:
        number = number << 7 | octet & 0x7F
        if octet < _LONG_FORM:
            numbers.append(number)
            number = 0
    first = min(numbers[0] // 40, 2)
    return ".".join(map(str, (first, numbers[0] - 40 * first, *numbers[1:])))


def _alternative_names(extensions: bytes) -> Iterator[str]:
    for extension in _elements(extensions):
        identifier, *_, value = _elements(_expected(extension, _SEQUENCE))
        if _identifier(_expected(identifier, _OBJECT_IDENTIFIER)) == _SUBJECT_ALTERNATIVE_NAME:
            for tag, content in _elements(_only(_expected(value, _OCTET_STRING), _SEQUENCE)):
                if tag in _PREFIXES:
                    yield _PREFIXES[tag] + content.decode("ascii")
                elif tag == _IP:
                    yield f"IP:{ip_address(content)}"


def _time(tag: int, content: bytes) -> datetime:
    text = content.decode("ascii")
    if tag == _UTC_TIME:
        text = ("19" if int(text[:2]) >= _CENTURY else "20") + text
    elif tag != _GENERALIZED_TIME:
        raise ValueError(tag)
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)
