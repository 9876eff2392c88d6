"""OAuth's own errors (RFC 6749 §5.2 and §4.1.2.1): what its clients are written against, in place of problem documents."""

from __future__ import annotations

from typing import Literal

from starlette.responses import JSONResponse, Response

from .problems import REALM

ErrorCode = Literal[
    "invalid_request",
    "invalid_client",
    "invalid_grant",
    "unauthorized_client",
    "unsupported_grant_type",
    "unsupported_response_type",
    "invalid_scope",
]
CLIENT_CHALLENGE = f'Basic realm="{REALM}", charset="UTF-8"'


class OAuthError(Exception):
    """Raised by the token endpoint's parts. The description is a fixed sentence of ASCII without quotation marks (§5.2):
    what was sent is never repeated."""

    def __init__(self, code: ErrorCode, description: str) -> None:
        super().__init__(code)
        self.code = code
        self.description = description

    def members(self) -> dict[str, str]:
        return {"error": self.code, "error_description": self.description}

    def response(self) -> Response:
        """The token endpoint's answer: 401 where the client is not who it says it is, else 400."""
        headers = {"Cache-Control": "no-store"}
        if self.code != "invalid_client":
            return JSONResponse(self.members(), 400, headers)
        # RFC 9110 §15.5.2: a 401 MUST have a challenge; Basic is the only scheme there is.
        return JSONResponse(self.members(), 401, headers | {"WWW-Authenticate": CLIENT_CHALLENGE})
