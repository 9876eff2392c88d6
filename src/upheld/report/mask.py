"""Secrets out of everything that is printed or written.

Two nets. What is known to be secret (passwords, tokens, keys of this run) is replaced wherever it stands, also
percent-encoded or JSON-escaped. What merely looks secret is replaced by where it stands (a credential header, a member
called ``password``) or by its shape (a JWT, a password hash, a private key).

Mask before shortening: half a secret is no longer known to be one.
"""

from __future__ import annotations

import binascii
import json
import re
from base64 import b64decode
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from urllib.parse import quote, quote_plus

MASK = "***"
SHORTEST = 6
"""Shorter strings are too common to be replaced wherever they stand."""

Mark = Callable[[str], str]
"""What stands for a secret, given what it is called (``password``; empty when nobody knows). At most three characters,
so that masking always shortens and therefore ends."""

_CREDENTIAL_HEADERS = (
    "authorization",
    "proxy-authorization",
    "cookie",
    "set-cookie",
    "x-api-key",
    "api-key",
    "x-auth-token",
)
_SCHEMES = re.compile(
    r"(Basic|Bearer|Digest|DPoP|GNAP|HOBA|Mutual|Negotiate|NTLM|OAuth|SCRAM-[\w-]+|Token|ApiKey|Api-Key|AWS4-[\w-]+)(\s+)(.+)",
    re.IGNORECASE | re.DOTALL,
)
_KEYWORDS = ("pass", "pwd", "secret", "credential", "token", "key", "jwt", "otp", "pin", "session", "cookie", "authori")
_OURS = re.compile(r"\$\{?(?:[A-Z][A-Z0-9_]*|user|password|access|refresh)\}?")
"""Placeholders of ours (``$TOKEN``) say nothing and are worth more than asterisks."""
_SHAPES = re.compile(
    r"\bey[JA][\w-]{5,}\.[\w-]{2,}(?:\.[\w-]*){1,3}"  # JWS and JWE, compact
    r"|\$2[abxy]?\$\d\d\$[./A-Za-z0-9]{53}"  # bcrypt
    r"|\$(?:argon2(?:id|i|d)|scrypt|pbkdf2[\w-]*)\$[\w$,=+/.-]{16,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)",
    re.DOTALL,
)
_USERINFO = re.compile(
    r"(?P<head>\b[a-z][a-z0-9+.-]{1,20}://[^\s/?#@:\"']*:)(?P<value>[^\s/?#@\"']+)(?=@)", re.IGNORECASE
)
_BARE = re.compile(r"\b(?P<scheme>Bearer|Basic|DPoP)(?P<gap>\s+)(?P<value>[\w.~+/-]{8,}=*)(?![\w=\"'])", re.IGNORECASE)


class Masker:
    """Replaces secrets by ``***``. ``names`` are further members, fields and headers whose values are secret."""

    def __init__(self, secrets: Iterable[str] = (), names: Iterable[str] = ()) -> None:
        self._secrets = tuple(dict.fromkeys(secret for secret in secrets if len(secret) >= SHORTEST))
        self._extra = tuple(dict.fromkeys(name.lower() for name in names if name))
        self._forms = tuple(
            sorted({form for secret in self._secrets for form in _forms(secret)}, key=len, reverse=True)
        )
        self._headers = frozenset({*_CREDENTIAL_HEADERS, *self._extra})
        self._keywords = (*_KEYWORDS, *(re.split(r"[_-]", name)[0] for name in self._extra))
        self._rules = _rules(self._extra)
        self._secret_name = re.compile(_names(r"[\w-]", self._extra), re.IGNORECASE)

    def also(self, *secrets: str) -> Masker:
        """A masker that knows these secrets too."""
        return Masker((*self._secrets, *secrets), self._extra)

    def __call__(self, text: str) -> str:
        """``text`` without secrets."""
        return self.hide(text, _stars)

    def hide(self, text: str, mark: Mark) -> str:
        """``text`` with ``mark(name)`` where a secret stood."""
        text = self._known(text, mark)
        text = _SHAPES.sub(lambda found: mark("token" if found[0].startswith("ey") else ""), text)
        lowered = text.lower()
        if any(word in lowered for word in self._keywords):
            for rule, replace in self._rules:
                text = rule.sub(partial(replace, self, mark), text)
        if "://" in text:
            text = _USERINFO.sub(lambda found: found["head"] + mark("password"), text)
        if "bearer" in lowered or "basic" in lowered or "dpop" in lowered:
            text = _BARE.sub(lambda found: _bare(found, mark), text)
        return self._known(text, mark)

    def header(self, name: str, value: str, mark: Mark | None = None) -> str:
        """The value of this field without secrets; the name of an authentication scheme and of a cookie stays."""
        mark = mark or _stars
        lowered = name.lower()
        if lowered not in self._headers:
            return self.hide(value, mark)
        return self._known(_credential(lowered, value, mark, loose=False), mark)

    def headers(self, pairs: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
        """Header pairs without secrets."""
        return tuple((name, self.header(name, value)) for name, value in pairs)

    def is_credential(self, header: str) -> bool:
        """Whether the field carries a credential."""
        return header.lower() in self._headers

    def octets(self, data: bytes) -> bytes:
        """``data`` without secrets, whatever else is in it."""
        return self(data.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")

    def data(self, value: Any) -> Any:
        """A JSON value without secrets: members by their name at any depth, strings by their content."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, dict):
            return {self(str(name)): self._member(str(name), member) for name, member in value.items()}
        if isinstance(value, (list, tuple)):
            return [self.data(item) for item in value]
        return value

    def _member(self, name: str, value: Any) -> Any:
        if value and not isinstance(value, (dict, bool)) and self._secret_name.fullmatch(name):
            return [self._member(name, item) for item in value] if isinstance(value, (list, tuple)) else MASK
        return self.data(value)

    def _known(self, text: str, mark: Mark) -> str:
        # Until nothing changes: what a mark leaves behind can close up with its neighbours to another secret.
        while spans := _spans(text, self._forms):
            pieces, last = [], 0
            for start, end in spans:
                pieces += [text[last:start], mark("")]
                last = end
            text = "".join(pieces) + text[last:]
        return text


def _stars(_name: str) -> str:
    return MASK


def _forms(secret: str) -> set[str]:
    """The ways in which a secret can stand in a URL, a form, a JSON text."""
    forms = {secret, _dumps(secret, ascii_only=False)}
    forms |= {_dumps(secret, ascii_only=True), _dumps(_dumps(secret, ascii_only=True), ascii_only=True)}
    encodable = secret.encode("utf-8", "surrogatepass")
    forms |= {quote(encodable, safe=""), quote(encodable), quote_plus(encodable)}
    forms |= {re.sub(r"%[0-9A-F]{2}", lambda found: found[0].lower(), form) for form in forms}
    return forms


def _dumps(text: str, *, ascii_only: bool) -> str:
    return json.dumps(text, ensure_ascii=ascii_only)[1:-1]


def _spans(text: str, forms: Iterable[str]) -> list[tuple[int, int]]:
    """Where any of ``forms`` stands in ``text``; those that overlap or touch are one."""
    found = []
    for form in forms:
        at = text.find(form)
        while at >= 0:
            found.append((at, at + len(form)))
            at = text.find(form, at + 1)
    merged: list[tuple[int, int]] = []
    for start, end in sorted(found):
        if merged and start < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((start, end))
    return merged


# -- what looks secret by where it stands --------------------------------------------------------------------------------

Replace = Callable[[Masker, Mark, "re.Match[str]"], str]


def _names(filler: str, extra: Iterable[str]) -> str:
    fill = filler + "{0,40}"
    more = "".join("|" + re.sub(r"_|\\-", "[_-]?", re.escape(name)) for name in extra)
    return (
        rf"(?!{fill}(?:page|cursor|continuation|sync)[_-]?token)"  # those are positions in a list, not credentials
        rf"(?:{fill}(?:pass(?:word|wd|phrase|code)|secret|credential){fill}|{fill}token|{fill}pwd"
        rf"|(?:{fill}[_-])?(?:api|private|signing|encryption|access)[_-]?key|(?:{fill}[_-])?(?:jwt|t?otp|pin|session[_-]?id)"
        rf"|(?:proxy-)?authorization|(?:set-)?cookie{more})"
    )


def _rules(extra: tuple[str, ...]) -> tuple[tuple[re.Pattern[str], Replace], ...]:
    headers = "|".join(map(re.escape, (*_CREDENTIAL_HEADERS, *extra)))
    member = _names(r"[\w-]", extra)
    flags = re.IGNORECASE
    return (
        (
            re.compile(
                rf"(?P<head>(?P<q>[\"'])(?P<name>{headers})[ \t]*:[ \t]*)(?P<value>(?:(?!(?P=q))[^\r\n])+)", flags
            ),
            _line,
        ),
        (re.compile(rf"(?<![\"'\w-])(?P<head>(?P<name>{headers})[ \t]*:[ \t]*)(?P<value>[^\r\n]+)", flags), _line),
        (re.compile(rf"(?P<head>([\"'])(?P<name>{headers})\2\s*,\s*)(?P<value>{_STRING})", flags), _quoted),
        (
            re.compile(rf"(?P<head>([\"'])(?P<name>{member})\2\s*:\s*)(?P<value>{_STRING}|-?\d[\d.eE+-]*)", flags),
            _quoted,
        ),
        (
            re.compile(
                rf"(?P<head>\\\"(?P<name>{member})\\\"\s*:\s*)(?P<value>\\\"(?:\\\\\\?.|[^\\])*(?:\\\"|\Z))", flags
            ),
            _escaped,
        ),
        (
            re.compile(
                rf"(?P<head>\bname=\"?(?P<name>{member})\"?[^\r\n]*\r?\n(?:[^\r\n]+\r?\n)*\r?\n)(?P<value>.*?)(?=\r?\n--|\Z)",
                flags | re.DOTALL,
            ),
            _plain,
        ),
        (
            re.compile(rf"(?P<head>(?:^|[?&;,\s\"'(])(?P<name>{_names(_FORM, extra)})=)(?P<value>[^&\s\"'#]*)", flags),
            _plain,
        ),
    )


_STRING = r"\"(?:\\.|[^\"\\])*(?:\"|\Z)|'(?:\\.|[^'\\])*(?:'|\Z)"
_FORM = r"[\w\-.\[\]%]"


def _line(masker: Masker, mark: Mark, found: re.Match[str]) -> str:
    return found["head"] + _credential(found["name"].lower(), found["value"], mark, loose=True)


def _quoted(masker: Masker, mark: Mark, found: re.Match[str]) -> str:
    value = found["value"]
    if value[0] not in "\"'":
        return f'{found["head"]}"{mark(found["name"])}"'
    ends = value[0] if len(value) > 1 and value[-1] == value[0] else ""
    inner = value[1:-1] if ends else value[1:]
    if masker.is_credential(found["name"]):
        return found["head"] + value[0] + _credential(found["name"].lower(), inner, mark, loose=False) + ends
    return found["head"] + value[0] + _value(found["name"], inner, mark) + ends


def _escaped(masker: Masker, mark: Mark, found: re.Match[str]) -> str:
    inner = found["value"].removeprefix('\\"').removesuffix('\\"')
    return f'{found["head"]}\\"{_value(found["name"], inner, mark)}\\"'


def _plain(masker: Masker, mark: Mark, found: re.Match[str]) -> str:
    return found["head"] + _value(found["name"], found["value"], mark)


def _value(name: str, value: str, mark: Mark) -> str:
    return value if not value or _OURS.fullmatch(value) else mark(name)


def _credential(header: str, value: str, mark: Mark, *, loose: bool) -> str:
    """A credential field's value. ``loose``: it may stand in prose, which goes on after it."""
    if not value.strip():
        return value
    if header in ("cookie", "set-cookie"):
        pairs = value.split(";")
        hidden = pairs if header == "cookie" else pairs[:1]
        return ";".join([*(_cookie(pair, mark) for pair in hidden), *pairs[len(hidden) :]])
    scheme, gap, rest = "", "", value
    if found := _SCHEMES.fullmatch(value):
        scheme, gap, rest = found.groups()
    if loose and scheme.lower() != "digest" and (scheme or header not in ("authorization", "proxy-authorization")):
        word, prose = re.match(r"(\S+)(.*)", rest, re.DOTALL).groups()  # type: ignore[union-attr]
        return scheme + gap + _value(scheme or header, word, mark) + prose
    if not scheme and value.strip().lower() in ("bearer", "basic"):
        return value
    return scheme + gap + _value(scheme or header, rest, mark)


def _cookie(pair: str, mark: Mark) -> str:
    name, equals, value = pair.partition("=")
    return f"{name}={_value('cookie', value, mark)}" if equals else mark("cookie") if name.strip() else pair


def _bare(found: re.Match[str], mark: Mark) -> str:
    value = found["value"]
    if found["scheme"].lower() == "basic":
        try:
            secret = b":" in b64decode(value, validate=True)
        except (binascii.Error, ValueError):
            secret = False
    else:
        secret = len(value) >= 24 or any(char.isdigit() for char in value)
    return found["scheme"] + found["gap"] + mark("token") if secret else found[0]
