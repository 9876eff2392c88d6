"""Whether what was sent keeps the document: a request with its parameters and body, a field of an answer, a media type.

It reads the wire once more, without knowing how a value was made, and tells what every service has to refuse from what many
read leniently (``"1"`` for 1, null for an absent member, a format that JSON Schema calls an annotation).
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from upheld.contract import shapes

if TYPE_CHECKING:
    from upheld.contract.dialect import Direction, Violation
    from upheld.contract.model import Contract, JsonSchema, Operation, Parameter
    from upheld.exchange import Request

_INTEGER = re.compile(r"[+-]?\d{1,400}")
_NUMBER = re.compile(r"[+-]?(?:\d{1,400}(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d{1,3})?")
_BOOLEANS = {"true": True, "false": False}
_LENIENT_BOOLEANS = {"1": True, "0": False, "yes": True, "no": False, "on": True, "off": False, "t": True, "f": False}
# Formats that services in practice treat as types; of the others JSON Schema 2020-12 §7.2.1 only says that they annotate.
_FIRM_FORMATS = ("uuid", "date", "date-time")


@dataclass(frozen=True, slots=True)
class Fault:
    """One way in which a request breaks the document."""

    where: str
    """``body /quantity``, ``query parameter limit``."""
    what: str
    lenient: bool = False
    """Many services read it all the same, and lose nothing by it."""

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def violations(
    contract: Contract, schema: JsonSchema, value: Any, direction: Direction = "response", limit: int = 5
) -> tuple[Violation, ...] | None:
    """How a value breaks a schema of the contract; None when that can't be told (nested too deep, half a surrogate pair)."""
    try:
        return contract.validator(schema, direction).violations(value, limit)
    except (ValueError, RecursionError):
        return None


def media_key(content: Mapping[str, Any], media_type: str) -> str | None:
    """The key of ``content`` that covers the media type: itself, else its range, else ``*/*``."""
    for key in (media_type, media_type.partition("/")[0] + "/*", "*/*"):
        if key in content:
            return key
    return None


def readings(text: str) -> Iterator[Any]:
    """The JSON values that a bare text may stand for, itself first."""
    yield text
    if _INTEGER.fullmatch(text):
        yield int(text)
    elif _NUMBER.fullmatch(text):
        yield float(text)
    if text in _BOOLEANS:
        yield _BOOLEANS[text]
    if text == "null":
        yield None


def text_is_valid(contract: Contract, schema: JsonSchema, text: str) -> bool:
    """Whether a bare text (a header's value, a parameter's) is a way to write an instance of the schema.

    Arrays and objects have several notations; of those nothing is said against.
    """
    expanded = contract.schemas.expand(schema)
    if {"array", "object"} & set().union(*(shapes.types(b) for b in shapes.branches(contract.schemas, expanded))):
        return True
    validator = contract.validator(schema, "response")
    try:
        return any(validator.is_valid(value) for value in readings(text.strip()))
    except ValueError:
        return True  # half a surrogate pair, of which a validator can say nothing


def request_faults(contract: Contract, operation: Operation, request: Request) -> tuple[Fault, ...]:
    """How this request breaks what the document says about its parameters and its body; empty when it keeps it all."""
    return (*_parameter_faults(contract, operation, request), *_body_faults(contract, operation, request))


# -- parameters ----------------------------------------------------------------------------------------------------------


def _parameter_faults(contract: Contract, operation: Operation, request: Request) -> Iterator[Fault]:
    in_path = _path_values(operation.path, request.path)
    cookies = dict(part.strip().partition("=")[::2] for part in request.headers.get("cookie", "").split(";"))
    for parameter in operation.parameters:
        name = parameter.name
        match parameter.location:
            case "path":
                given = [in_path[name]] if name in in_path else None
            case "query":
                given = [value for key, value in request.query if key == name] or None
                if given is None and _is_structured(contract, parameter):
                    continue
            case "header":
                given = [request.headers[name]] if name in request.headers else None
            case _:
                given = [cookies[name]] if name in cookies else None
        where = f"{parameter.location} parameter {name}"
        if given is None:
            if parameter.required and not _sent_by_session(request, name):
                yield Fault(where, "is missing")
        elif len(given) == 1 and not text_is_valid(contract, parameter.schema, given[0]):
            yield Fault(where, f"{given[0][:60]!r} does not fit its schema", _is_lenient(contract, parameter, given[0]))


def _is_structured(contract: Contract, parameter: Parameter) -> bool:
    """Arrays and objects are written under other names too: ``ids[]``, ``filter[name]``."""
    branches = shapes.branches(contract.schemas, parameter.schema)
    return any({"array", "object"} & shapes.types(branch) for branch in branches)


def _sent_by_session(request: Request, name: str) -> bool:
    return request.session is not None and any(field.lower() == name.lower() for field, _ in request.session.headers)


def _is_lenient(contract: Contract, parameter: Parameter, text: str) -> bool:
    if not text.strip():
        return True  # an empty value is often taken for none
    validator = contract.validator(parameter.schema, "request")
    plain = text.strip().lower()
    others: list[Any] = [_LENIENT_BOOLEANS[plain]] if plain in _LENIENT_BOOLEANS else []
    others += [_BOOLEANS[plain]] if plain in _BOOLEANS else []
    if _NUMBER.fullmatch(plain) and (number := float(plain)).is_integer() and abs(number) < 1e300:
        others.append(int(number))
    if any(validator.is_valid(value) for value in others):
        return True
    faults = [fault for value in readings(text) for fault in validator.violations(value)]
    return any(_keyword(fault) == "format" and not _is_firm(fault) for fault in faults)


@lru_cache(maxsize=4096)
def _template(path: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^{}/]*\})", path)
    # A group's name must be an identifier, which a parameter's need not be: groups are counted instead.
    return re.compile("".join("([^/]+)" if part.startswith("{") else re.escape(part) for part in parts))


def _path_values(template: str, path: str) -> dict[str, str]:
    found = _template(template).fullmatch(path)
    names = re.findall(r"\{([^{}/]*)\}", template)
    return dict(zip(names, map(unquote, found.groups()), strict=True)) if found else {}


# -- bodies --------------------------------------------------------------------------------------------------------------


def _body_faults(contract: Contract, operation: Operation, request: Request) -> Iterator[Fault]:
    body = operation.body
    if body is None:
        return
    if not request.body:
        if body.required:
            yield Fault("body", "is missing")
        return
    kind = request.headers.get("content-type", "").split(";")[0].strip().lower()
    key = media_key(body.content, kind)
    if key is None:
        return  # which media types are taken is another question
    if kind == "application/json" or kind.endswith("+json"):
        yield from _json_faults(contract, body.content[key], request.body)
    elif kind == "application/x-www-form-urlencoded":
        given = parse_qs(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        for name in sorted(shapes.required(contract.schemas, body.content[key]) - given.keys()):
            yield Fault(f"body /{name}", "is missing")


def _json_faults(contract: Contract, schema: JsonSchema, body: bytes) -> Iterator[Fault]:
    try:
        value = json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_int=_whole)
    except RecursionError:
        return
    except ValueError:
        yield Fault("body", "is no JSON")
        return
    for violation in violations(contract, schema, value, "request") or ():
        lenient = _is_read_leniently(contract, schema, value, violation)
        yield Fault(f"body {violation.pointer}".rstrip(), violation.message[:160], lenient)


def _refuse(name: str) -> Any:
    raise ValueError(name)


def _whole(digits: str) -> int:
    # Python refuses to read more than 4300 digits; what is so large is only ever compared.
    return int(digits[:4000])


def _keyword(violation: Violation) -> str:
    return violation.schema_pointer.rpartition("/")[2]


def _is_firm(violation: Violation) -> bool:
    return violation.message.rstrip('"').rsplit('"', 1)[-1] in _FIRM_FORMATS


def _is_read_leniently(contract: Contract, schema: JsonSchema, value: Any, violation: Violation) -> bool:
    keyword = _keyword(violation)
    if keyword == "format":
        return not _is_firm(violation)
    if keyword in ("multipleOf", "oneOf"):
        # Binary fractions have remainders of their own; overlapping alternatives are the document's own slip.
        return keyword == "multipleOf" or "more than one" in violation.message
    if keyword not in ("type", "anyOf"):
        return False
    before = _places(contract, schema, value)
    for changed in _coerced(value, violation.pointer):
        after = _places(contract, schema, changed)
        if after < before and not any(pointer == violation.pointer for pointer, _ in after):
            return True
    return False


def _places(contract: Contract, schema: JsonSchema, value: Any) -> set[tuple[str, str]]:
    return {(v.pointer, v.schema_pointer) for v in violations(contract, schema, value, "request", 20) or ()}


def _coerced(value: Any, pointer: str) -> Iterator[Any]:
    """The value with its scalar at ``pointer`` in other types: text for numbers, numbers for text, absent for null."""
    if not pointer:
        return
    *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    changed = copy.deepcopy(value)
    owner = changed
    for part in parents:
        owner = owner[int(part)] if isinstance(owner, list) else owner[part]
    key: Any = int(last) if isinstance(owner, list) else last
    scalar = owner[key]
    if scalar is None and isinstance(owner, dict):
        del owner[key]
        yield changed
    elif isinstance(scalar, bool):
        for other in (int(scalar), "true" if scalar else "false"):
            owner[key] = other
            yield changed
    elif isinstance(scalar, int | float):
        for item in (json.dumps(scalar), *([bool(scalar)] if scalar in (0, 1) else [])):
            owner[key] = item
            yield changed
    elif isinstance(scalar, str):
        plain = scalar.strip().lower()
        for item in (*readings(plain), _LENIENT_BOOLEANS.get(plain)):
            if not isinstance(item, str) and item is not None:
                owner[key] = item
                yield changed
