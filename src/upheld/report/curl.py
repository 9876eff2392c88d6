"""A request as one line to paste into a POSIX shell."""

from __future__ import annotations

import gzip
import re
from base64 import b64encode
from shlex import quote

from upheld.exchange import Request
from upheld.report.mask import Masker

LONGEST = 60_000
"""A single word of a command line may have 128 KiB on Linux; a longer request is not told as curl."""
_INLINE = 4_000
"""Bodies above this are sent compressed through a pipe: they are mostly one letter, repeated to be too large."""
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_HIDDEN = re.compile("\0(.?)", re.DOTALL)


def curl(request: Request, base_url: str, masker: Masker) -> str:
    """The request as one line that a POSIX shell runs; empty when it is too long for one.

    Credentials are variables to set beforehand: ``$TOKEN``, ``$PASSWORD``, ``$API_KEY``, ``$COOKIE``, or the name of the
    member that holds one.
    """
    shell = _Shell(masker)
    words = ["curl", "-i", *_method(request), "--path-as-is", *_address(request, base_url, shell)]
    for name, value in _fields(request):
        words += ["-H", shell.header(name, value)]
    before = ""
    if request.body is not None:
        if not request.body or (len(request.body) <= _INLINE and shell.is_plain(request.body)):
            words += ["--data-raw", shell.word(request.body.decode())]
        else:
            before = shell.pipe(request.body)
            words += ["--data-binary", "@-"]
    line = before + " ".join(words)
    return line if len(line) <= LONGEST else ""


def _method(request: Request) -> list[str]:
    method = request.method
    if method == "HEAD" and request.body is None:
        return ["--head"]
    implied = "GET" if request.body is None else "POST"
    return [] if method == implied else ["-X", quote(method)]


def _address(request: Request, base_url: str, shell: _Shell) -> list[str]:
    base, target = base_url.rstrip("/"), request.target
    if not target.startswith("/") or re.search(r"[^!-~]|#", target):
        # curl would resolve, cut or encode it; this sends it as it stands.
        return ["--request-target", shell.word(target), shell.word(base + "/")]
    return [*(["-g"] if re.search(r"[][{}]", target) else []), shell.word(base + target)]


def _fields(request: Request) -> list[tuple[str, str]]:
    fields = [
        (name, value)
        for name, value in request.headers.pairs
        if _TOKEN.fullmatch(name) and not (name.lower() == "content-length" and value == str(len(request.body or b"")))
    ]
    present = {name.lower() for name, _ in fields}
    if request.session is not None:
        own = request.session.headers or (("Authorization", "Bearer -"),)
        fields += [(name, value) for name, value in own if name.lower() not in present]
    if request.body is not None and "content-type" not in present:
        fields.append(("Content-Type", "\0"))  # curl would add one of its own
    return fields


class _Shell:
    """Words of a command line, with variables where secrets stood."""

    def __init__(self, masker: Masker) -> None:
        self._masker = masker
        self._names: list[str] = []

    def _mark(self, name: str) -> str:
        variable = re.sub(r"[^A-Z0-9]+", "_", name.upper()).strip("_") or "SECRET"
        variable = {"BEARER": "TOKEN", "X_API_KEY": "API_KEY", "AUTHORIZATION": "CREDENTIALS"}.get(variable, variable)
        variable = {"BASIC": "CREDENTIALS", "SET_COOKIE": "COOKIE"}.get(variable, variable)
        if not variable[0].isalpha():
            variable = f"_{variable}"
        if variable not in self._names:
            self._names.append(variable)
        # NUL cannot be in a word of a command line, so it is free to mark where a variable goes.
        return "\0" + chr(ord("!") + self._names.index(variable))

    def header(self, name: str, value: str) -> str:
        if value == "\0":
            return quote(f"{name}:")
        if not value.strip():
            return quote(f"{name};")  # how curl sends a field without a value
        return self._word(f"{name}: " + self._masker.header(name, value.replace("\0", ""), self._mark))

    def word(self, text: str) -> str:
        return self._word(self._masker.hide(text.replace("\0", ""), self._mark))

    def is_plain(self, body: bytes) -> bool:
        try:
            return body.decode().isprintable()
        except UnicodeDecodeError:
            return False

    def pipe(self, body: bytes) -> str:
        """The command that writes ``body`` to curl's standard input."""
        if len(body) > _INLINE:
            # Nothing can be filled in once it is compressed, hence asterisks for secrets here.
            packed = b64encode(gzip.compress(self._masker.octets(body), mtime=0)).decode()
            return f"printf %s {packed} | base64 -d | gzip -d | "
        if b"\0" in body:
            return f"printf {_format(self._masker.octets(body))} | "
        return f"{self._printf(self._masker.hide(body.decode('utf-8', 'surrogateescape'), self._mark))} | "

    def _word(self, text: str) -> str:
        if not text.replace("\0", "").isprintable():
            return f'"$({self._printf(text)})"'
        if "\0" not in text:
            return quote(text)
        if not re.search(r"[\"\\$`!]", _HIDDEN.sub("", text)):
            return '"' + re.sub(_HIDDEN.pattern + r"(?P<next>\w?)", self._braced, text, flags=re.DOTALL) + '"'
        parts = re.split("(\0.?)", text, flags=re.DOTALL)
        return "".join(self._part(part) for part in parts if part)

    def _braced(self, found: re.Match[str]) -> str:
        variable, following = self._variable(found), found["next"]
        return f"${{{variable}}}{following}" if following else f"${variable}"

    def _part(self, part: str) -> str:
        found = _HIDDEN.fullmatch(part)
        return f'"${self._variable(found)}"' if found else quote(part)

    def _printf(self, text: str) -> str:
        variables = [f'"${self._variable(found)}"' for found in _HIDDEN.finditer(text)]
        pieces = _HIDDEN.split(text)[::2]
        template = "%s".join(_format(piece.encode("utf-8", "surrogateescape"))[1:-1] for piece in pieces)
        return " ".join(["printf", f"'{template}'", *variables])

    def _variable(self, found: re.Match[str]) -> str:
        index = ord(found[1]) - ord("!") if found[1] else -1
        return self._names[index] if 0 <= index < len(self._names) else "SECRET"


def _format(data: bytes) -> str:
    """``data`` as a quoted format of printf that writes exactly these octets."""
    octets = "".join(_octet(code) for code in data)
    # A leading hyphen would be an option, of which printf has none to spare.
    return f"'\\055{octets[1:]}'" if octets.startswith("-") else f"'{octets}'"


def _octet(code: int) -> str:
    char = chr(code)
    if char == "%":
        return "%%"
    return char if " " <= char <= "~" and char not in "'\\" else f"\\{code:03o}"
