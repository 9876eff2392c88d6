"""Health, maintenance, and the shape of every error."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from .base import Boolean, Closed


class Health(Closed):
    status: Literal["ok"]


class Maintenance(Closed):
    model_config = ConfigDict(json_schema_extra={"example": {"enabled": False}})

    enabled: Boolean


class FieldError(Closed):
    pointer: str = Field(max_length=2048, description="JSON Pointer to the part of the request: #/body, #/query, …")
    detail: str = Field(max_length=2048)


class ProblemDocument(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(title="Problem")

    type: str = Field(max_length=256, json_schema_extra={"format": "uri-reference"})
    title: str = Field(max_length=256)
    status: int = Field(ge=400, le=599)
    detail: str = Field("", max_length=2048)
    request_id: str = Field(max_length=64, description="Repeats X-Request-ID.")
    errors: list[FieldError] = Field([], max_length=20, description="What does not match the schema, and where.")
    violated_policies: list[str] = Field([], alias="violated-policies", description="Names in RateLimit-Policy.")
