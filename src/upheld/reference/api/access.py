"""Who may call an operation. Judged by the route before it reads the body: 401 and 403 come before 415 and 422."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from upheld.reference.core.problems import forbidden, insufficient_scope, unauthenticated
from upheld.reference.core.scopes import Scope
from upheld.reference.middleware.admission import Credential
from upheld.reference.services.principal import Caller, Principal
from upheld.reference.services.sessions import Sessions


class Access:
    """A dependency that is also a rule: the route asks ``admit``, the endpoint is given the principal.

    :param role: the one role that may call it; None: every user.
    :param scope: what an OAuth client's token must hold; None: it takes no such token.
    :param api_key: whether X-API-Key is taken as well as a token.
    :param optional: whether it may be called without credentials. One that is sent is checked all the same.
    """

    def __init__(
        self, *, role: str | None = None, scope: Scope | None = None, api_key: bool = False, optional: bool = False
    ) -> None:
        self.role = role
        self.scope = scope
        self.api_key = api_key
        self.optional = optional

    async def admit(self, request: Request) -> None:
        caller = await self._authenticate(request)
        if caller is not None and not self.optional:
            self.check_scope(caller)
            # A client that acts on its own behalf has no role: its scope is all that it is judged by.
            if isinstance(caller, Principal) and self.role not in (None, caller.role):
                raise forbidden(self.role or "")
        request.state.caller = caller

    def check_scope(self, caller: Caller) -> None:
        if caller.scopes is not None and self.scope not in caller.scopes:
            raise insufficient_scope(self.scope)

    async def _authenticate(self, request: Request) -> Caller | None:
        credential: Credential = request.state.credential
        if credential.refusal is not None:
            raise credential.refusal
        sessions: Sessions = request.app.state.components.sessions
        if credential.claims is not None:
            return await sessions.caller_of_token(credential.claims)
        if credential.api_key is not None and self.api_key:
            return await sessions.principal_of_key(*credential.api_key)
        if self.optional and not credential.was_sent:
            return None
        raise unauthenticated("This operation takes no API key." if credential.api_key else "No credentials were sent.")

    async def __call__(self, request: Request) -> Caller | None:
        caller: Caller | None = request.state.caller
        return caller


SIGNED_IN = Access()
ANYONE = Access(api_key=True, optional=True)
ADMIN = Access(role="admin")

User = Annotated[Principal, Depends(SIGNED_IN)]
Anyone = Annotated[Caller | None, Depends(ANYONE)]
Admin = Annotated[Principal, Depends(ADMIN)]

# Who else may call what an OAuth client can be let to do. Scopes of users are never in a client's own token.
ProfileReader = Annotated[Principal, Depends(Access(scope="profile", api_key=True))]
ProfileWriter = Annotated[Principal, Depends(Access(scope="profile"))]
OrderReader = Annotated[Principal, Depends(Access(scope="orders:read", api_key=True))]
OrderWriter = Annotated[Principal, Depends(Access(scope="orders:write"))]
ReportReader = Annotated[Caller, Depends(Access(scope="reports:read", role="admin"))]
