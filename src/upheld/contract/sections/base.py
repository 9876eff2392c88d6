"""What every section shares: frozen, unknown keys refused, quantities with units."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, WithJsonSchema

from upheld.contract import patterns, units


class Section(BaseModel):
    """A frozen mapping of upheld.yaml that refuses unknown keys."""

    model_config = ConfigDict(extra="forbid", frozen=True, hide_input_in_errors=True)


def _written(pattern: str, description: str, *examples: str) -> WithJsonSchema:
    return WithJsonSchema(
        {"type": "string", "pattern": pattern, "description": description, "examples": list(examples)}
    )


def _environment_name(value: Any) -> str:
    if not isinstance(value, str) or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", value):
        raise ValueError(
            f"must be the name of an environment variable such as CONTRACT_ADMIN_PASSWORD, found {units.found(value)}; "
            "secrets are never written into the file"
        )
    return value


def _pointer(value: Any) -> str:
    if not isinstance(value, str) or (value and not value.startswith("/")):
        raise ValueError(f"must be a JSON Pointer such as /access_token or /data/token, found {units.found(value)}")
    return value


def _regular_expression(value: str) -> str:
    try:
        re.compile(value)
    except re.error as error:
        raise ValueError(f"must be a regular expression, found {value!r}: {error}") from error
    return value


def _status(value: int) -> int:
    if not 100 <= value <= 599:
        raise ValueError(f"must be an HTTP status from 100 to 599, found {value}")
    return value


Duration = Annotated[
    float,
    BeforeValidator(units.duration),
    _written(units.DURATION_PATTERN, "A duration with its unit.", "200ms", "15m"),
]
"""Seconds."""
Length = Annotated[
    float | Literal["auto"],
    BeforeValidator(units.length),
    WithJsonSchema(
        {
            "type": "string",
            "pattern": units.LENGTH_PATTERN,
            "description": "A duration with its unit, or auto.",
            "examples": ["60s", "auto"],
        }
    ),
]
"""Seconds, or ``auto``."""
Quota = Annotated[
    tuple[int, float],
    BeforeValidator(units.quota),
    _written(units.QUOTA_PATTERN, "Requests in a window of time.", "10/min", "100/15m"),
]
"""(requests, window in seconds)."""
Size = Annotated[
    int,
    BeforeValidator(units.size),
    WithJsonSchema(
        {
            "anyOf": [{"type": "string", "pattern": units.SIZE_PATTERN}, {"type": "integer", "minimum": 0}],
            "description": "A size with its unit, or octets.",
            "examples": ["1MiB", "16KiB"],
        }
    ),
]
"""Octets."""
Percent = Annotated[
    float, BeforeValidator(units.percent), _written(units.PERCENT_PATTERN, "A percentage.", "0.1%", "5%")
]
"""A fraction, 0 to 1."""
Rate = Annotated[float, BeforeValidator(units.rate), _written(units.RATE_PATTERN, "Events in a time.", "50/s")]
"""Events a second."""
OpPattern = Annotated[
    str,
    AfterValidator(patterns.check),
    _written(patterns.PATTERN, "A method and a path glob, or a glob alone.", "POST /auth/*", "* /admin/**", "**"),
]
EnvName = Annotated[
    str,
    BeforeValidator(_environment_name),
    _written(r"^[A-Za-z_][A-Za-z0-9_]*$", "The name of an environment variable.", "CONTRACT_ADMIN_PASSWORD"),
]
Pointer = Annotated[
    str, BeforeValidator(_pointer), _written(r"^(/.*)?$", "A JSON Pointer (RFC 6901).", "/access_token", "/data/token")
]
Regex = Annotated[str, AfterValidator(_regular_expression)]
Status = Annotated[int, AfterValidator(_status), WithJsonSchema({"type": "integer", "minimum": 100, "maximum": 599})]
