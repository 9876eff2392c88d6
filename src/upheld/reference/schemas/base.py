"""Types that accept exactly what their JSON Schema says, which Pydantic's own do not always.

Pydantic's lax mode takes ``true`` and ``"1"`` for an integer and ``{...}`` braces around a UUID; its strict mode refuses ``1.0``,
which JSON Schema calls an integer. A contract that says less than the server enforces, or more, breaks a promise.
"""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Any
from uuid import UUID

from email_validator import EmailNotValidError, validate_email
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    StrictBool,
    StringConstraints,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

_CANONICAL_UUID = re.compile(r"[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}")
_INTEGER_TEXT = re.compile(r"-?(?:0|[1-9][0-9]{0,18})(?:\.0+)?")
_DATE_TEXT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Closed(BaseModel):
    """A model that takes and shows exactly the properties it declares."""

    model_config = ConfigDict(extra="forbid", from_attributes=True)


def _json_integer(value: Any) -> Any:
    """An integer as JSON Schema 2020-12 §6.1.1 has it: "any number with a zero fractional part"."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("int_type", "Input should be a valid integer")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value


def _text_integer(value: Any) -> Any:
    """An integer in a path or query: plain digits, no sign but minus, no spaces or underscores."""
    if isinstance(value, str):
        if not _INTEGER_TEXT.fullmatch(value):
            raise PydanticCustomError("int_parsing", "Input should be a valid integer")
        return int(value.partition(".")[0])
    return value


def _canonical_uuid(value: Any) -> Any:
    if isinstance(value, UUID):
        return value
    if not isinstance(value, str) or not _CANONICAL_UUID.fullmatch(value):
        raise PydanticCustomError("uuid_parsing", "Input should be a UUID in its canonical form")
    return value


def _full_date(value: Any) -> Any:
    if isinstance(value, str) and not _DATE_TEXT.fullmatch(value):
        raise PydanticCustomError("date_parsing", "Input should be a date, YYYY-MM-DD")
    return value


def canonical_email(value: str) -> str:
    """The one spelling under which an address is stored: lower case, ASCII. ``Alice@X`` and ``alice@x`` are one account."""
    try:
        checked = validate_email(value, allow_smtputf8=False, check_deliverability=False, globally_deliverable=False)
    except EmailNotValidError:
        # The library's messages quote the input.
        raise PydanticCustomError("email", "Input should be an email address") from None
    return checked.normalized.lower()


def _instant(value: datetime) -> str:
    return value.isoformat(timespec="microseconds").replace("+00:00", "Z")


JsonInteger = BeforeValidator(_json_integer)
TextInteger = BeforeValidator(_text_integer)
Boolean = StrictBool
Uuid = Annotated[UUID, BeforeValidator(_canonical_uuid)]
Date = Annotated[date, BeforeValidator(_full_date)]
Email = Annotated[
    str,
    StringConstraints(min_length=3, max_length=254),
    AfterValidator(canonical_email),
    WithJsonSchema({"type": "string", "format": "email", "minLength": 3, "maxLength": 254}),
]
Instant = Annotated[
    datetime, PlainSerializer(_instant, return_type=str), WithJsonSchema({"type": "string", "format": "date-time"})
]

# Control characters have no place in a line of text, and PostgreSQL cannot store NUL at all.
LINE = r"^[^\u0000-\u001f\u007f]+$"
PARAGRAPH = r"^[^\u0000]*$"


# Lines of text are kept as they came: no trimming, no normalisation. Lengths are code points, as in JSON Schema.
Name = Annotated[str, StringConstraints(min_length=1, max_length=100, pattern=LINE)]
Title = Annotated[str, StringConstraints(min_length=1, max_length=200, pattern=LINE)]
Note = Annotated[str, StringConstraints(max_length=500, pattern=PARAGRAPH)]
Description = Annotated[str, StringConstraints(max_length=2000, pattern=PARAGRAPH)]
