"""One curl command as a request. It is read, never run: no shell, no files, and nothing of this machine's environment goes into it."""

from __future__ import annotations

import getopt
import re
import shlex
from base64 import b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from urllib.parse import parse_qsl, quote, urlsplit

from upheld.contract.patterns import METHODS
from upheld.contract.placement import FIELD_NAME
from upheld.exchange import Headers, Request
from upheld.report.mask import Masker
from upheld.run.handover.addresses import origin

_SHORT = "X:H:d:u:A:e:b:w:m:o:GIisSvfLkg"
_WITH_VALUE = (
    "request", "header", "data", "data-raw", "data-ascii", "data-binary", "data-urlencode", "json", "user", "user-agent",
    "referer", "cookie", "url", "write-out", "max-time", "connect-timeout", "retry", "output",
)  # fmt: skip
_ALONE = (
    "get", "head", "include", "silent", "show-error", "verbose", "fail", "fail-with-body", "location", "insecure",
    "globoff", "path-as-is", "compressed", "http1.1", "no-progress-meter",
)  # fmt: skip
_TOKENS = frozenset(
    {"token", "access_token", "accesstoken", "auth_token", "jwt", "jwt_token", "bearer_token", "user_token"}
)
_BASES = frozenset({"base_url", "baseurl", "base", "host", "api", "api_url", "url", "server"})
_OF_CONNECTIONS = frozenset({"host", "content-length", "transfer-encoding", "connection", "expect"})
"""Fields that whoever sends sets itself."""
_VARIABLE = re.compile(
    r"\$\{(?P<braced>\w+)\}|\$(?P<plain>[A-Za-z_]\w*)|<(?P<angle>[A-Za-z_ -]+)>|\{\{(?P<twice>\w+)\}\}|(?P<yours>\bYOUR_\w+)"
)
_READERS = ("jq", "python", "python3", "head", "cat", "grep", "tee", "json_pp")


class NotACommand(Exception):
    """Why a line can't be sent: it is more than one curl command, or asks for what is not done here."""


@dataclass(frozen=True)
class Command:
    """What a command asks for."""

    request: Request
    wants_token: bool = False
    """It names an access token that somebody has to supply: that of a session goes with the request."""
    carries_credentials: bool = False
    """Credentials are written out in it."""


def read_command(
    line: str, base_url: str, others: Iterable[str] = (), known: Mapping[str, str] = MappingProxyType({})
) -> Command:
    """The request of a command to the target at ``base_url``, which is also known as ``others``. Raises `NotACommand`.

    ``known`` has what further variables stand for, by their names in lower case.
    """
    words = _curl(line)
    try:
        options, urls = getopt.gnu_getopt(words, _SHORT, [*(f"{name}=" for name in _WITH_VALUE), *_ALONE])
    except getopt.GetoptError as error:
        raise NotACommand(f"curl's {error.opt and '-' + error.opt} is not done here: {error.msg}") from None
    asked = _Asked(base_url, known)
    for name, value in options:
        asked.take(name.lstrip("-"), value)
    urls = [*asked.urls, *urls]
    if len(urls) != 1:
        raise NotACommand(f"it names {len(urls)} URLs; one is sent")
    return asked.command(asked.filled(urls[0]), (base_url, *others))


def _curl(line: str) -> list[str]:
    """The words after ``curl``, up to a pipe into something that only shows the answer."""
    if re.search(r"`|\$\(", line):
        raise NotACommand("it takes what another command prints, and nothing here runs a shell")
    text = line.strip().removeprefix("$ ").replace("\\\n", " ")
    try:
        # `<` and `>` stand around placeholders too.
        lexer = shlex.shlex(text, posix=True, punctuation_chars="|;&")
        lexer.commenters = ""
        parts, words = list(lexer), shlex.split(text)
    except ValueError as error:
        raise NotACommand(f"it is no command: {error}") from None
    marks = [at for at, word in enumerate(words) if word == "|"]
    if marks and marks[0] + 1 < len(words) and words[marks[0] + 1] in _READERS:
        words = words[: marks[0]]
        parts = []
    if not words or words[0] != "curl":
        raise NotACommand("it is no curl command")
    if {"|", "||", "&&", ";", "&", ">", ">>"} & {*words} or any(word in ("&&", "||", ";") for word in parts):
        raise NotACommand("it is more than one command, and nothing here runs a shell")
    return words[1:]


class _Asked:
    """What the options of one command say."""

    def __init__(self, base_url: str, known: Mapping[str, str]) -> None:
        self.base_url = base_url
        self.known = known
        self.urls: list[str] = []
        self.method = ""
        self.fields: list[tuple[str, str]] = []
        self.data: list[str] = []
        self.as_query = False
        self.wants_token = False

    def filled(self, text: str) -> str:
        """The text with what stands for the target's address in place; a token's place stays. Raises `NotACommand`."""

        def value(found: re.Match[str]) -> str:
            name = next(filter(None, found.groups())).strip().lower().replace(" ", "_").replace("-", "_")
            if name in _BASES:
                return self.base_url
            if name.removeprefix("your_") in _TOKENS:
                self.wants_token = True
                return ""
            if name in self.known:
                return self.known[name]
            raise NotACommand(f"it takes {found[0]}, which nobody has supplied")

        return _VARIABLE.sub(value, text)

    def take(self, option: str, value: str) -> None:
        """One option of curl. Raises `NotACommand`."""
        match option:
            case "X" | "request":
                self.method = value.upper()
            case "H" | "header":
                name, _, content = value.partition(":")
                before, self.wants_token = self.wants_token, False
                content = self.filled(content.strip())
                if not self.wants_token and name.strip().lower() not in _OF_CONNECTIONS:
                    self.fields.append((name.strip(), content))
                self.wants_token = before or self.wants_token
            case "d" | "data" | "data-ascii" | "data-binary" | "data-raw" | "data-urlencode" | "json":
                self._data(option, value)
            case "u" | "user":
                self.fields.append(("Authorization", f"Basic {b64encode(self.filled(value).encode()).decode()}"))
            case "A" | "user-agent":
                self.fields.append(("User-Agent", value))
            case "e" | "referer":
                self.fields.append(("Referer", value))
            case "b" | "cookie":
                if "=" not in value:
                    raise NotACommand("it reads cookies from a file")
                self.fields.append(("Cookie", self.filled(value)))
            case "url":
                self.urls.append(value)
            case "G" | "get":
                self.as_query = True
            case "I" | "head":
                self.method = self.method or "HEAD"

    def _data(self, option: str, value: str) -> None:
        if value.startswith("@") and option != "data-raw":
            raise NotACommand("it sends a file of its author's machine")
        if option == "data-urlencode":
            name, equals, content = value.partition("=")
            value = f"{name}{equals}{quote(content)}" if equals else quote(name)
        if option == "json":
            self.fields += [("Content-Type", "application/json"), ("Accept", "application/json")]
        self.data.append(self.filled(value))

    def _check(self, method: str, query: list[tuple[str, str]]) -> None:
        """Raises `NotACommand` for what cannot be sent as it stands, and for what hides another method in a safe one."""
        if method not in METHODS:
            raise NotACommand(f"{method!r} is no method that is sent here")
        for name, value in self.fields:
            if not re.fullmatch(FIELD_NAME, name) or not re.fullmatch(r"[\t -~]*", value):
                raise NotACommand(f"the field {name!r} cannot be sent as it stands")
            if re.search(r"method", name, re.IGNORECASE):
                raise NotACommand(f"the field {name} asks for another method")
        if any(name.lower() == "_method" for name, _ in query):
            raise NotACommand("_method asks for another method")

    def command(self, url: str, homes: Iterable[str]) -> Command:
        """Raises `NotACommand` where the URL is not the target's."""
        where = url if "://" in url else f"http://{url}"
        try:
            own = any(origin(where) == origin(home) for home in homes)
            parts = urlsplit(where)
        except ValueError as error:
            raise NotACommand(f"{url} is no URL: {error}") from None
        if not own:
            raise NotACommand(f"it goes to {parts.netloc}, which is not the target; nothing is sent there")
        query = parse_qsl(parts.query, keep_blank_values=True)
        body: bytes | None = None
        if self.as_query:
            query += parse_qsl("&".join(self.data), keep_blank_values=True)
        elif self.data:
            body = "&".join(self.data).encode()
        given = {name.lower() for name, _ in self.fields}
        if body is not None and "content-type" not in given:
            self.fields.append(("Content-Type", "application/x-www-form-urlencoded"))
        method = self.method or ("GET" if body is None else "POST")
        if (parameter := re.search(r"\{[^/{}]+\}|(?<=/):[A-Za-z]\w*", parts.path)) is not None:
            raise NotACommand(f"its path has {parameter[0]}, which nobody has supplied")
        self._check(method, query)
        path = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
        request = Request(method, path, tuple(query), Headers(self.fields), body)
        return Command(request, self.wants_token, any(Masker().is_credential(name) for name, _ in self.fields))
