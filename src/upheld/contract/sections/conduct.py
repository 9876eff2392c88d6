"""How the service answers: errors, browsers, versions, repeats, leaks."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from upheld.contract.sections.base import Duration, OpPattern, Regex, Section, Status


class Errors(Section):
    """The shape of every error."""

    format: Literal["rfc9457", "any"] | None = Field(
        None,
        description="rfc9457: every error body is a problem document. Left out: rfc9457 where the document says so, else any.",
    )
    require: tuple[str, ...] = Field(
        ("type", "title", "status"),
        description="Members that every problem document has; the RFC itself requires none.",
    )
    malformed: tuple[Status, ...] = Field(
        (400, 422), description="Statuses that may answer a body that cannot be read."
    )
    errors_member: str | None = Field(
        None, description="Member that lists the faults of a request, field by field.", examples=["errors"]
    )
    exempt: tuple[OpPattern, ...] = Field(
        (), description="Operations with an error format of their own (OAuth's token endpoint)."
    )
    types: dict[str, Status] = Field({}, description="Problem types in use, each with the status that it comes with.")
    pointer_style: Literal["pointer", "loc", "any"] = Field(
        "any", description="How a fault names its field: a JSON Pointer, or a list of keys as Pydantic writes it."
    )


class Cors(Section):
    """Which web pages of other origins may call the service."""

    origins: tuple[str, ...] = Field(
        (), description="Origins that are let in; none is the default.", examples=[["https://app.example.test"]]
    )
    credentials: bool = Field(False, description="Whether those pages may send cookies and credentials.")


class Idempotency(Section):
    """Which unsafe operations may be repeated safely under an Idempotency-Key."""

    ops: tuple[OpPattern, ...] = Field(
        (), description="Operations that take an Idempotency-Key; inferred from their parameters."
    )
    ttl: Duration | None = Field(None, description="How long a key is remembered.")
    required: bool | None = Field(None, description="Whether a request without a key is refused.")


class Leak(Section):
    """Exceptions from the search for secrets and internals in answers."""

    allow: tuple[Regex, ...] = Field(
        (), description="Regular expressions of texts that may appear although they look internal."
    )
