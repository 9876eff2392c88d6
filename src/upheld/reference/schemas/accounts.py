"""Registration, sessions, users and API keys."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, ConfigDict, Field, StringConstraints
from pydantic_core import PydanticCustomError

from .base import Boolean, Closed, Email, Instant, Name, Uuid

Role = Literal["user", "admin"]

COMMON_PASSWORDS = (
    "12345678", "123456789", "1234567890", "11111111", "00000000", "87654321", "abcd1234", "abc12345", "admin123",
    "asdfghjkl", "baseball", "changeme", "football", "iloveyou", "letmein1", "passw0rd", "password", "password1",
    "password123", "princess", "qwerty12", "qwerty123", "qwertyui", "qwertyuiop", "sunshine", "superman", "trustno1",
    "welcome1", "welcome123", "1q2w3e4r", "1qaz2wsx", "zaq12wsx", "starwars", "computer", "michelle", "jennifer",
)  # fmt: skip
"""The commonest that are long enough to pass (ASVS 5.0 6.2.4 asks for a list). In the contract as ``not: {enum: …}``."""


def _not_common(value: str) -> str:
    if value in COMMON_PASSWORDS:
        raise PydanticCustomError("common_password", "This password is among the commonest")
    return value


def _schema_of_password(schema: dict[str, Any]) -> None:
    schema["not"] = {"enum": list(COMMON_PASSWORDS)}
    schema["format"] = "password"
    schema["writeOnly"] = True


NewPassword = Annotated[
    str,
    # Printable ASCII, so that 72 characters are 72 bytes, which is all that bcrypt reads. No rule of composition
    # (ASVS 6.2.5), nothing trimmed, nothing truncated.
    StringConstraints(min_length=8, max_length=72, pattern=r"^[ -~]+$"),
    AfterValidator(_not_common),
    Field(json_schema_extra=_schema_of_password),
]
GivenPassword = Annotated[
    str,
    StringConstraints(min_length=1, max_length=256),
    Field(json_schema_extra={"format": "password", "writeOnly": True}),
]
RefreshToken = Annotated[
    str, StringConstraints(min_length=1, max_length=4096), Field(description="The refresh token of this session.")
]


class Registration(Closed):
    model_config = ConfigDict(
        json_schema_extra={"example": {"email": "kim@example.test", "password": "correct horse battery"}}
    )

    email: Email
    password: NewPassword
    name: Name | None = None


class Credentials(Closed):
    model_config = ConfigDict(
        json_schema_extra={"example": {"email": "kim@example.test", "password": "correct horse battery"}}
    )

    email: Email
    password: GivenPassword


class RefreshRequest(Closed):
    refresh_token: RefreshToken


class Tokens(Closed):
    """What login and refresh answer; the fields of RFC 6749 §5.1."""

    access_token: str = Field(max_length=4096)
    refresh_token: str = Field(max_length=4096)
    token_type: Literal["Bearer"] = "Bearer"
    expires_in: int = Field(ge=1, description="Seconds until the access token expires.")


class UserOut(Closed):
    id: Uuid = Field(json_schema_extra={"readOnly": True})
    email: str = Field(max_length=254, json_schema_extra={"format": "email"})
    name: str | None = Field(max_length=100)
    role: Role
    disabled: bool
    created_at: Instant
    updated_at: Instant


class ProfilePatch(Closed):
    model_config = ConfigDict(json_schema_extra={"example": {"name": "Kim"}})

    name: Name | None = Field(None, description="Null removes it.")


class PasswordChange(Closed):
    current_password: GivenPassword
    new_password: NewPassword


class UserPatch(Closed):
    model_config = ConfigDict(json_schema_extra={"example": {"disabled": False}})

    role: Role = Field(default_factory=lambda: "user")
    disabled: Boolean = Field(default_factory=bool)


class UserPage(Closed):
    items: list[UserOut] = Field(max_length=100)
    total: int = Field(ge=0)
    limit: int = Field(ge=1, le=100)
    offset: int = Field(ge=0)


class ApiKeyIn(Closed):
    model_config = ConfigDict(json_schema_extra={"example": {"name": "nightly export"}})

    name: Name


class ApiKeyOut(Closed):
    id: Uuid
    name: str = Field(max_length=100)
    hint: str = Field(max_length=12, description="How the key begins.")
    created_at: Instant


class NewApiKey(ApiKeyOut):
    key: str = Field(max_length=100, description="The key itself. Shown this once; only its hash is kept.")


class ApiKeyList(Closed):
    items: list[ApiKeyOut] = Field(max_length=100)
