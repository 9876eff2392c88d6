"""The token endpoint's form and answers."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from .base import Closed

GRANTS = ("authorization_code", "client_credentials", "refresh_token")
LONGEST = 4096

Parameter = Annotated[str, StringConstraints(max_length=LONGEST)]


def _without_null(schema: dict[str, Any]) -> None:
    """What is optional is left out, and never null: a form could not say it, and RFC 6749 §5.1 does not know it."""
    for name, member in schema["properties"].items():
        options = [option for option in member.pop("anyOf", ()) if option.get("type") != "null"]
        shown = {key: value for key, value in member.items() if key not in ("default", "title")}
        schema["properties"][name] = shown | (options[0] if options else {})


class TokenRequest(BaseModel):
    """RFC 6749 §4.1.3, §4.4.2 and §6. Parameters that nobody knows are ignored (§3.2)."""

    model_config = ConfigDict(extra="ignore", json_schema_extra=_without_null)

    grant_type: Parameter = Field(json_schema_extra={"enum": list(GRANTS)})
    code: Parameter | None = Field(
        None, description="authorization_code: the code of the redirect. Good once, for 60 s."
    )
    redirect_uri: Parameter | None = Field(None, description="authorization_code: the one that the code was sent to.")
    code_verifier: Parameter | None = Field(
        None, description="authorization_code: what code_challenge is the SHA-256 of."
    )
    refresh_token: Parameter | None = Field(None, description="refresh_token: the current one. Good once.")
    scope: Parameter | None = Field(
        None,
        description="client_credentials: less than all that the client may. refresh_token: less than was granted.",
    )
    client_id: Parameter | None = Field(None, description="Needed where there is no Authorization field.")
    client_secret: Parameter | None = Field(
        None, description="Of a confidential client that does not use Basic.", json_schema_extra={"format": "password"}
    )


class AccessToken(Closed):
    """RFC 6749 §5.1."""

    model_config = ConfigDict(json_schema_extra=_without_null)

    access_token: str = Field(max_length=LONGEST)
    token_type: Literal["Bearer"]
    expires_in: int = Field(ge=1, description="Seconds until the access token expires.")
    refresh_token: str | None = Field(None, max_length=LONGEST, description="Not with client_credentials.")
    scope: str = Field(max_length=200, description="What the access token is good for, separated by spaces.")


class OAuthErrorDocument(Closed):
    """RFC 6749 §5.2. Not a problem document: OAuth's clients are written against this."""

    model_config = ConfigDict(title="OAuthError")

    error: Literal[
        "invalid_request", "invalid_client", "invalid_grant", "unauthorized_client", "unsupported_grant_type",
        "invalid_scope",
    ]  # fmt: skip
    error_description: str = Field(max_length=200, pattern=r"^[ !#-\[\]-~]+$")
