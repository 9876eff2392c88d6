"""Who may call an operation. Judged by the route before it reads the body: 401 and 403 come before 415 and 422."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from upheld.reference.core.problems import forbidden, unauthenticated
from upheld.reference.middleware.admission import Credential
from upheld.reference.services.principal import Principal
from upheld.reference.services.sessions import Sessions


class Access:
    """A dependency that is also a rule: the route asks ``admit``, the endpoint is given the principal.

    :param role: the one role that may call it; None: every user.
    :param api_key: whether X-API-Key is taken as well as a token.
    :param optional: whether it may be called without credentials. One that is sent is checked all the same.
    """

    def __init__(self, *, role: str | None = None, api_key: bool = False, optional: bool = False) -> None:
        self.role = role
        self.api_key = api_key
        self.optional = optional

    async def admit(self, request: Request) -> None:
        principal = await self._authenticate(request)
        if self.role is not None and (principal is None or principal.role != self.role):
            raise forbidden(self.role)
        request.state.principal = principal

    async def _authenticate(self, request: Request) -> Principal | None:
        credential: Credential = request.state.credential
        if credential.refusal is not None:
            raise credential.refusal
        sessions: Sessions = request.app.state.components.sessions
        if credential.claims is not None:
            return await sessions.principal_of_token(credential.claims)
        if credential.api_key is not None and self.api_key:
            return await sessions.principal_of_key(*credential.api_key)
        if self.optional and not credential.was_sent:
            return None
        raise unauthenticated("This operation takes no API key." if credential.api_key else "No credentials were sent.")

    async def __call__(self, request: Request) -> Principal | None:
        principal: Principal | None = request.state.principal
        return principal


SIGNED_IN = Access()
SIGNED_IN_OR_KEY = Access(api_key=True)
ANYONE = Access(api_key=True, optional=True)
ADMIN = Access(role="admin")

User = Annotated[Principal, Depends(SIGNED_IN)]
UserOrKey = Annotated[Principal, Depends(SIGNED_IN_OR_KEY)]
Anyone = Annotated[Principal | None, Depends(ANYONE)]
Admin = Annotated[Principal, Depends(ADMIN)]
