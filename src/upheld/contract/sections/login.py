"""How one identity signs in, where ``auth.login`` does not say it: another operation, header fields, another place of the token."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from upheld.contract import units
from upheld.contract.placement import COOKIE, FIELD_NAME, PATTERN
from upheld.contract.sections.base import OpPattern, Pointer, Section

_ACCESS = rf"^(/.*|header:{FIELD_NAME}|{COOKIE})?$"
_CREDENTIALS = re.compile(r"authorization|cookie|token|secret|(^|-)api-?key$|password", re.IGNORECASE)


def _fields(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    for name, text in value.items():
        if not re.fullmatch(FIELD_NAME, str(name)):
            raise ValueError(f"has {name!r}, which is no name of a header field")
        if not isinstance(text, str):
            raise ValueError(f"must give {name} a text, found {units.found(text)}")
        if re.search(r"[\x00-\x08\x0a-\x1f\x7f]", text):
            raise ValueError(f"must give {name} one line of text")
        if _CREDENTIALS.search(name) and "${" not in text and "$password" not in text:
            raise ValueError(
                f"must give {name} an environment variable, such as ${{SHOP_TOKEN}}: secrets are never written here"
            )
    return value


def _access(value: str) -> str:
    if not re.fullmatch(_ACCESS, value):
        raise ValueError(f"must be a JSON Pointer such as /access_token, header:NAME or cookie, found {value!r}")
    return value


Fields = Annotated[
    dict[str, str],
    BeforeValidator(_fields),
    WithJsonSchema(
        {"type": "object", "additionalProperties": {"type": "string"}, "propertyNames": {"pattern": f"^{FIELD_NAME}$"}}
    ),
]
"""Header fields by name; ``${NAME}`` in a value is an environment variable."""
Access = Annotated[str, AfterValidator(_access), WithJsonSchema({"type": "string", "pattern": _ACCESS})]
"""A JSON Pointer into the answer's body, ``header:NAME`` or ``cookie``."""
Scheme = Annotated[str, Field(pattern=PATTERN)]


class Login(Section):
    """How this identity signs in, where it is not as ``auth.login`` says."""

    op: OpPattern = Field(description="The operation. It must match exactly one.")
    body: Any = Field(
        None,
        description="Template of the request body: $user and $password stand for the identity's values, ${NAME} for an "
        "environment variable. A text is sent as it stands.",
    )
    headers: Fields = Field(
        {},
        description="Header fields of the request; ${NAME} stands for an environment variable.",
        examples=[{"Authorization": "Basic ${SHOP_ADMIN_BASIC}"}],
    )
    access: Access | None = Field(
        None,
        description="Where the answer holds the token: a JSON Pointer into its body, header:NAME, or cookie for the cookies that "
        "it sets. Left out: wherever a token is seen, else the cookies.",
        examples=["/data/token", "header:X-Auth-Token", "cookie"],
    )
    refresh: Pointer | None = Field(None, description="Where the answer holds the refresh token.")
    media_type: str | None = Field(
        None, description="Media type of the request body.", examples=["application/x-www-form-urlencoded"]
    )
    scheme: Scheme | None = Field(
        None,
        description="How its token is sent, as auth.scheme has it. Left out: as auth.scheme says.",
        examples=["header:Authorization:Token {token}"],
    )
