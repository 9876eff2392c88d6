"""Does an answer show the same failure again? Judged by statuses, fields and schemas; None where only the engine can tell."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upheld.exchange import NotJson, Request, Response
from upheld.run.fuzz.events import Failure, Sent
from upheld.run.fuzz.overlay import PROBLEM

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.contract.model import JsonSchema

STATUS_CODES = frozenset(
    {"ST101", "ST102", "ST103", "ST104", "ST105", "ST106", "ST107", "ST108", "ST109", "ST201", "ST202"}
)
"""Failures that one request shows and that can be judged here well enough to make the request smaller."""

# The engine's own list of statuses that say nothing against a valid request.
_ACCEPTED_OR_BESIDE_THE_POINT = frozenset({401, 403, 404, 409, 412, 429})


def again(failure: Failure, sent: Sent, response: Response, contract: Contract) -> bool | None:
    """Whether ``response``, to a repetition, shows the failure that ``sent`` showed."""
    status, before = response.status, sent.exchange.response
    data, code = failure.data, failure.code
    same = status == before.status
    if status in (429, 503) and not same:
        return None
    match code:
        case "ST101" | "ST102":
            return status >= 500
        case "ST103" | "ST111":
            return same
        case "ST104":
            return same and not response.media_type
        case "ST105" | "ST106":
            return same and response.media_type == before.media_type
        case "ST107":
            return same and any(name not in response.headers for name in data.get("missing_headers") or ())
        case "ST108":
            return same and _breaks_schema(failure, sent, response, contract)
        case "ST109" | "ST110":
            return same and _unreadable(response)
        case "ST201":
            return 200 <= status < 400
        case "ST202":
            return 400 <= status < 500 and status not in _ACCEPTED_OR_BESIDE_THE_POINT
        case "ST203":
            return status not in (data.get("expected_statuses") or ())
        case "ST204":
            if data.get("failure_reason") == "missing_allow_header":
                return status == 405 and "allow" not in response.headers
            return same and status != 405
        case "ST205":
            return _allow_differs(failure, response)
        case "ST301":
            return 200 <= status < 400
        case "ST302":
            return status == 404
        case "ST401":
            return not (status in (401, 403) or 300 <= status < 400)
        case _:
            return None


def _unreadable(response: Response) -> bool:
    try:
        response.json()
    except NotJson:
        return True
    return False


def _breaks_schema(failure: Failure, sent: Sent, response: Response, contract: Contract) -> bool | None:
    if failure.check != "response_schema_conformance":
        return None
    schema = response_schema(sent.label, response, contract)
    if schema is None:
        return None
    try:
        return not contract.validator(schema).is_valid(response.json())
    except NotJson:
        return True


def response_schema(label: str, response: Response, contract: Contract) -> JsonSchema | None:
    """The schema that the document gives for this answer; None when it gives none."""
    operation = contract.operation(label)
    spec = operation.response_for(response.status) if operation is not None else None
    return spec.content.get(response.media_type) if spec is not None else None


def _allow_differs(failure: Failure, response: Response) -> bool:
    listed = {method.strip().upper() for method in response.headers.get("allow", "").split(",")}
    missing = failure.data.get("missing_methods") or ()
    extra = failure.data.get("undocumented_methods") or ()
    return any(method not in listed for method in missing) or any(method in listed for method in extra)


def promised_by(failure: Failure, sent: Sent, contract: Contract) -> str:
    """``policy`` when the document alone would not object: what was broken was laid over it from upheld.yaml."""
    operation = contract.operation(sent.label)
    response = sent.exchange.response
    spec = operation.response_for(response.status) if operation is not None else None
    if spec is None:
        return "document"
    match failure.code:
        case "ST107":
            wanted = [str(name).lower() for name in failure.data.get("missing_headers") or ()]
            return "policy" if not any(spec.headers.get(name, (False, None))[0] for name in wanted) else "document"
        case "ST104":
            return "policy" if not spec.content else "document"
        case "ST105":
            return "policy" if response.media_type in spec.content or not spec.content else "document"
        case "ST108" | "ST109":
            laid_over = failure.check == "response_schema_conformance" and response.media_type == PROBLEM
            return "policy" if laid_over and PROBLEM not in spec.content else "document"
        case _:
            return "document"


# -- requests ------------------------------------------------------------------------------------------------------------


def request_schema(label: str, request: Request, contract: Contract) -> JsonSchema | None:
    """The schema of the request's body by its media type; None when the document has none."""
    operation = contract.operation(label)
    media_type = request.headers.get("content-type", "").split(";")[0].strip().lower()
    return operation.body.content.get(media_type) if operation is not None and operation.body is not None else None


def body_breaks(label: str, request: Request, body: Any, contract: Contract) -> frozenset[str]:
    """The places in its schema that the body breaks; empty when it conforms, or when there is nothing to hold it against."""
    schema = request_schema(label, request, contract)
    if schema is None:
        return frozenset()
    return frozenset(violation.schema_pointer for violation in contract.validator(schema, "request").violations(body))
