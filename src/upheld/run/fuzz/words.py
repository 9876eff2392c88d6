"""What the engine tells in codes and keywords, said in sentences of ours."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from upheld.check import Finding
from upheld.steps import describe

if TYPE_CHECKING:
    from upheld.contract import Operation
    from upheld.exchange import Exchange
    from upheld.run.fuzz.events import Failure

_PLACES = {
    "BODY": "the body",
    "QUERY": "query parameter",
    "PATH": "path parameter",
    "HEADER": "header field",
    "COOKIE": "cookie",
}

# What a coverage case does to one value, by the engine's name for it.
_SCENARIOS = {
    "value_above_maximum": "above its maximum",
    "value_below_minimum": "below its minimum",
    "string_above_max_length": "longer than maxLength",
    "string_below_min_length": "shorter than minLength",
    "array_above_max_items": "more items than maxItems",
    "array_below_min_items": "fewer items than minItems",
    "object_above_max_properties": "more members than maxProperties",
    "object_below_min_properties": "fewer members than minProperties",
    "object_unexpected_properties": "a member that the schema does not allow",
    "object_missing_required_property": "a required member is missing",
    "object_invalid_property_name": "a member with a name that the schema does not allow",
    "incorrect_type": "of another type",
    "invalid_enum_value": "none of the listed values",
    "invalid_format": "not in its format",
    "invalid_pattern": "does not match its pattern",
    "not_multiple_of": "no multiple of multipleOf",
    "non_unique_items": "items that are equal",
    "missing_parameter": "left out",
    "duplicate_parameter": "given twice",
    "unsupported_path_pattern": "does not match its pattern",
    "unspecified_http_method": "a method that the path does not document",
    "malformed_content_type": "a Content-Type that is no media type",
    "unsupported_content_type": "a Content-Type that the operation does not document",
}

_OPERATORS = {
    "change_type": "of another type",
    "remove_required_property": "a required member is missing",
    "syntax_fuzzing": "random octets in place of JSON",
}


def broken(meta: Mapping[str, Any] | None) -> str:
    """Which part of a request breaks the contract, and how; empty for a request that is meant to be valid."""
    if meta is None or meta.get("mode") != "negative":
        return ""
    mutations = meta.get("mutations") or ()
    if mutations:
        return "; ".join(dict.fromkeys(_mutation(mutation) for mutation in mutations))
    scenario = meta.get("scenario") or ""
    how = _SCENARIOS.get(scenario, scenario.replace("_", " "))
    if scenario in ("unspecified_http_method", "malformed_content_type", "unsupported_content_type"):
        return how
    where = _place(meta.get("place") or "", meta.get("parameter") or "")
    if not where:
        where = " and ".join(_place(name, "") for name in meta.get("negative") or ())
    return f"{where}: {how}" if where and how else where or how


def _place(place: str, parameter: str) -> str:
    word = _PLACES.get(place, "")
    # The engine names the media type as the body's parameter, which tells nothing.
    return f"{word} {parameter}" if word and parameter and place != "BODY" else word


def _mutation(mutation: Mapping[str, Any]) -> str:
    where = _place(mutation.get("place") or "", mutation.get("parameter") or "")
    how = _OPERATORS.get(mutation.get("operator") or "")
    if how is None:
        words = [word for word in mutation.get("keywords") or () if word]
        how = f"breaks {', '.join(words)}" if words else "breaks its schema"
    pointer = (mutation.get("pointer") or "").removesuffix("/")
    at = f" at {pointer}" if pointer else ""
    return f"{where}{at}: {how}" if where else f"{how}{at}"


def reason(status: int) -> str:
    """``404 Not Found``"""
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)


# -- findings ------------------------------------------------------------------------------------------------------------


def finding(failure: Failure, exchange: Exchange, operation: Operation | None) -> Finding:
    """One failure in our words. The request is the exchange's own; a smaller one may replace it later."""
    expected, actual, origin = _said(failure, exchange, operation)
    return Finding(
        expected=expected,
        actual=actual,
        sent=sent(exchange),
        origin=origin,
        request=exchange.request,
    )


def required_by_policy(code: str, exchange: Exchange) -> str:
    """The promise of upheld.yaml that was laid over the document, for failures of that layer."""
    if code != "ST107":
        return "errors are problem documents (RFC 9457; upheld.yaml: errors.format)"
    if exchange.response.status == 429:
        return "429 carries Retry-After (RFC 9110 §10.2.3; upheld.yaml: rate_limit.retry_after)"
    return "401 carries WWW-Authenticate (RFC 9110 §15.5.2)"


def sent(exchange: Exchange) -> str:
    """What was sent, and what of it was wrong on purpose."""
    request = exchange.request
    who = f" as {request.session.name}" if request.session else " without credentials"
    size = f", {len(request.body)} octets of {request.headers.get('content-type', 'no type')}" if request.body else ""
    line = f"{request.method} {request.target[:120]}{who}{size}"
    if exchange.intent == "invalid" and exchange.broken:
        return f"{line}; broken on purpose: {exchange.broken}"
    return f"{line}; valid by the contract" if exchange.intent == "valid" else line


def _said(failure: Failure, exchange: Exchange, operation: Operation | None) -> tuple[str, str, str]:
    """(expected, actual, origin)"""
    code, data = failure.code, failure.data
    response = exchange.response
    status, kind = response.status, response.media_type or "no Content-Type"
    documented = ", ".join(sorted(operation.responses)) if operation is not None else ""
    shown = describe(response)
    match code:
        case "ST101" | "ST102":
            return "a status below 500", shown, ""
        case "ST103":
            return (
                f"one of {documented or 'the documented statuses'}",
                shown,
                _shape(f"undocumented {status}", exchange),
            )
        case "ST104":
            wanted = ", ".join(data.get("media_types") or ())
            return f"Content-Type: {wanted}", f"{status} without Content-Type", f"{status} without Content-Type"
        case "ST105" | "ST106":
            wanted = ", ".join(data.get("defined_content_types") or ()) or str(data.get("defined") or "")
            return (
                f"Content-Type: {wanted}",
                f"{status} with Content-Type: {response.headers.get('content-type', '')}",
                f"{kind} for {_range(status)}" if status >= 400 else "",
            )
        case "ST107":
            names = ", ".join(data.get("missing_headers") or ())
            return (
                f"{status} carries {names}",
                f"{status} without {names}",
                f"{status} without {names}",
            )
        case "ST108":
            where = "/".join(map(str, data.get("instance_path") or ()))
            what = str(data.get("validation_message") or "does not conform to the documented schema").rstrip(".")
            place = f"/{where}" if where else "the body"
            if failure.check == "response_headers_conformance":
                return f"the fields of {status} conform to their documented schemas", f"{reason(status)}: {what}", ""
            return (
                f"the body of {status} conforms to its documented schema",
                f"{reason(status)}: {place}: {what}",
                f"{_range(status)} bodies: {place}: {what}" if status >= 400 else "",
            )
        case "ST109" | "ST110" | "ST111":
            what = data.get("validation_message") or "the body cannot be read"
            return f"the body of {status} can be read as {kind}", f"{shown}: {what}", ""
        case "ST201":
            return (
                "the request is refused with a 4xx",
                f"accepted with {reason(status)}",
                "",
            )
        case "ST202":
            return (
                "a request that conforms to the contract is accepted",
                f"refused with {shown}",
                "",
            )
        case "ST203":
            name = data.get("header_name") or "the field"
            wanted = ", ".join(str(item) for item in data.get("expected_statuses") or ())
            return (
                f"without {name} the answer is one of {wanted}",
                shown,
                f"{name} is not required",
            )
        case "ST204":
            method = data.get("method") or exchange.request.method
            if data.get("failure_reason") == "missing_allow_header":
                return (
                    "405 carries Allow",
                    "405 without Allow",
                    "405 without Allow",
                )
            return (
                f"{method}, which the path does not document, is answered with 405",
                shown,
                f"undocumented {method} is answered with {status}",
            )
        case "ST205":
            missing, extra = data.get("missing_methods") or (), data.get("undocumented_methods") or ()
            parts = [f"without {', '.join(missing)}"] if missing else []
            parts += [f"with the undocumented {', '.join(extra)}"] if extra else []
            return (
                "Allow lists the methods that the path documents",
                f"Allow: {data.get('allow_header', '')}, {' and '.join(parts)}",
                "Allow leaves out documented methods" if missing else "Allow adds undocumented methods",
            )
        case "ST301":
            return (
                f"404 or 410 after {data.get('free') or 'the deletion'}",
                f"{data.get('usage') or exchange.request.method} was answered with {reason(status)}",
                "",
            )
        case "ST302":
            return (
                f"what {data.get('created_with') or 'the creation'} made can be reached",
                f"{data.get('not_available_with') or exchange.request.method} was answered with {reason(status)}",
                "",
            )
        case "ST401":
            how = "without credentials" if data.get("scenario") == "no_auth" else "with credentials that nobody issued"
            return f"401 or 403 {how}", f"{shown} {how}", ""
        case _:
            return "the answer conforms to the contract", shown, ""


def _range(status: int) -> str:
    return f"{status // 100}xx"


def _shape(what: str, exchange: Exchange) -> str:
    """One framework default has one shape: its status, media type and the names of its members."""
    response = exchange.response
    if response.status < 400 or response.status >= 500:
        return f"{what} of {exchange.operation or exchange.request.path}"
    try:
        body = response.json() if response.is_json else None
    except ValueError:
        body = None
    members = ", ".join(sorted(body)) if isinstance(body, dict) else ""
    return f"{what}: {response.media_type or 'no Content-Type'}{f' with {members}' if members else ''}"
