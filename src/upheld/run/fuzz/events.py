"""Lines of the engine's process as exchanges and failures. Pure: the pipe is read elsewhere."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from upheld.exchange import Exchange, Headers, Intent, Request, Response, Session
from upheld.run.fuzz import words

# Fields that the engine or its HTTP library adds to every request; whoever sends the request again adds its own.
_ADDED = {
    "x-schemathesis-testcaseid": None,
    "x-upheld-run": None,
    "user-agent": None,
    "connection": None,
    "content-length": None,
    "accept-encoding": None,
    "accept": "*/*",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """One failed check of the engine on one exchange."""

    check: str
    code: str
    data: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sent:
    """One line about an exchange."""

    id: str
    scenario: str
    phase: str
    label: str
    exchange: Exchange
    failures: tuple[Failure, ...]
    is_probe: bool
    is_own_method: bool
    """The request's method is the operation's, not one that was tried because the path does not document it."""
    parent: str
    known: bool
    """Every id that the request names was seen to exist."""
    whole: bool
    """The request was recorded whole, so that it can be sent again."""


def sent(line: Mapping[str, Any], sessions: Mapping[str, Session | None], began: float) -> Sent:
    """The exchange that a line of kind ``x`` tells of."""
    meta = line["meta"]
    failures = tuple(Failure(item["check"], item["code"], item["data"]) for item in line["failures"])
    own, probe = bool(line["own"]), bool(line["probe"])
    headers = Headers((name, value) for name, value in line["h"] if not _is_added(name, value))
    request = Request(
        method=line["m"],
        path=line["u"],
        query=tuple(parse_qsl(line["q"], keep_blank_values=True)),
        headers=headers,
        body=_octets(line["b"]),
        session=sessions.get(line["who"]),
        operation=line["op"] if own else None,
    )
    response = Response(
        status=line["st"],
        headers=Headers((name, value) for name, value in line["rh"]),
        body=_octets(line["rb"]) or b"",
        elapsed=line["el"],
        at=line["at"] - began,
        truncated=bool(line["long"][1]),
    )
    exchange = Exchange(
        request,
        response,
        phase="fuzz",
        source=f"fuzz/{line['phase']}/{line['s']}",
        intent=_intent(meta, response.status, failures) if own and not probe else None,
        broken=words.broken(meta) if not probe else "",
    )
    return Sent(
        id=line["id"],
        scenario=line["s"],
        phase=line["phase"],
        label=line["op"],
        exchange=exchange,
        failures=failures,
        is_probe=probe,
        is_own_method=own,
        parent=line["parent"] or "",
        known=bool(line["known"]),
        whole=not line["long"][0],
    )


def _intent(meta: Mapping[str, Any] | None, status: int, failures: tuple[Failure, ...]) -> Intent | None:
    if meta is None:
        return None
    if meta["mode"] == "positive":
        return "valid"
    # Some values that were broken become valid on the wire (a number sent as text in a query). The engine knows those; what it
    # lets pass with a 2xx is not told to be invalid.
    if status < 300 and not any(failure.code == "ST201" for failure in failures):
        return None
    return "invalid"


def _is_added(name: str, value: str) -> bool:
    name = name.lower()
    return name in _ADDED and _ADDED[name] in (None, value)


def _octets(text: str | None) -> bytes | None:
    return None if text is None else b64decode(text)


def key(failure: Failure, sent: Sent) -> tuple[str, str, str, str]:
    """(operation, check, code, detail): failures with one key are one finding."""
    data, status = failure.data, sent.exchange.response.status
    match failure.code:
        case "ST101" | "ST102" | "ST103" | "ST202" | "ST109" | "ST110" | "ST111":
            detail = str(status)
        case "ST104" | "ST105" | "ST106":
            detail = f"{status} {sent.exchange.response.media_type}"
        case "ST107":
            detail = f"{status} {data.get('missing_headers')}"
        case "ST108":
            detail = f"{status} {data.get('schema_path')}"
        case "ST201":
            detail = sent.exchange.broken
        case "ST203":
            detail = str(data.get("header_name"))
        case "ST204":
            has_allow = data.get("failure_reason") != "missing_allow_header"
            detail = f"{data.get('method')} {status}" if has_allow else "without Allow"
        case "ST302":
            detail = str(data.get("created_with"))
        case "ST401":
            detail = str(data.get("scenario"))
        case _:
            detail = ""
    return sent.label, failure.check, failure.code, detail
