"""Who may do what: sessions, tokens, passwords, identities, roles, ownership."""

from __future__ import annotations

import warnings
from typing import Any, Literal

from pydantic import Field

from upheld.contract.sections.base import Duration, EnvName, OpPattern, Pointer, Section
from upheld.contract.sections.login import Fields, Login, Scheme


def _register_is_a_field() -> warnings.catch_warnings[None]:
    # Pydantic warns that "register" shadows an attribute: it is ABCMeta's, of the class, and no instance has it.
    return warnings.catch_warnings(action="ignore", category=UserWarning)


class AuthStep(Section):
    """One operation of the session's life. What is left out is inferred from the document."""

    op: OpPattern | None = Field(
        None, description="The operation, such as POST /auth/login. It must match exactly one."
    )
    body: Any = Field(
        None,
        description="Template of the request body. $user, $password, $refresh and $unique stand for the identity's values, "
        "$new_password for the next password.",
    )
    access: Pointer | None = Field(None, description="Where the answer holds the access token.")
    refresh: Pointer | None = Field(None, description="Where the answer holds the refresh token.")
    rotates: bool | None = Field(
        None, description="Refreshing gives a new refresh token and the old one dies at once (RFC 9700 section 4.14.2)."
    )
    grace: Duration | None = Field(
        None, description="How long a refresh token that was used may be used again, for clients that lost the answer."
    )
    revokes: Literal["refresh", "access", "all"] | None = Field(
        None, description="What stops working after logout: the refresh token, the access token, or all of both."
    )
    media_type: str | None = Field(
        None,
        description="Media type of the request body, when the document leaves a choice.",
        examples=["application/json"],
    )


class Jwt(Section):
    """What access tokens promise, where they are JSON Web Tokens."""

    alg: str | None = Field(
        None, description="The one signature algorithm that tokens carry.", examples=["HS256", "RS256"]
    )
    access_ttl: Duration | None = Field(None, description="Life of an access token.")
    refresh_ttl: Duration | None = Field(None, description="Life of a refresh token.")
    claims: tuple[str, ...] = Field(
        (), description="Claims that every access token has.", examples=[["sub", "exp", "iat"]]
    )
    key_env: EnvName | None = Field(
        None,
        description="Environment variable with the signing key. With it, expired tokens are made instead of waited for.",
    )
    jwks: str | None = Field(
        None,
        pattern=r"^/\S*$",
        description="Path of the service's JSON Web Key Set, where tokens are signed with a private key.",
        examples=["/.well-known/jwks.json"],
    )
    guess_words: tuple[str, ...] = Field(
        (), description="Words that a careless signing secret may be made of, tried offline beside the well-known ones."
    )
    leeway: Duration | None = Field(
        None,
        description="How long after its end a token may still be accepted, for clocks that differ.",
        examples=["0s"],
    )
    iss: str | None = Field(None, description="The issuer that tokens name and that the service insists on.")
    aud: str | None = Field(None, description="The audience that tokens name and that the service insists on.")


class Password(Section):
    """Which passwords registration takes."""

    min: int | None = Field(None, ge=1, description="Fewest characters of a password.")
    max_bytes: int | None = Field(
        None, ge=1, description="Most octets of a password in UTF-8; a longer one is refused or counts in full."
    )


with _register_is_a_field():

    class Enumeration(Section):
        """Whether answers may tell that an account exists."""

        login: Literal["forbidden", "allowed"] = Field(
            "forbidden", description="Whether login may answer differently for an unknown user and a wrong password."
        )
        register: Literal["forbidden", "allowed"] = Field(
            "allowed", description="Whether registration may say that a user exists already (409 does)."
        )


class ApiKeys(Section):
    """API keys that callers make and revoke themselves."""

    create: OpPattern | None = Field(None, description="The operation that makes a key. It must match exactly one.")
    key: Pointer | None = Field(None, description="Where its answer holds the key.")
    revoke: OpPattern | None = Field(None, description="The operation that revokes a key.")


class OAuthClient(Section):
    """A client that is registered at the token endpoint for tests."""

    id: str = Field(description="Its client_id.")
    secret_env: EnvName | None = Field(
        None, description="Environment variable with its secret. Left out: a public client, which proves nothing."
    )
    redirect_uri: str | None = Field(None, description="The redirect URI that is registered for it.")
    scopes: tuple[str, ...] = Field((), description="Scopes that it may be given.")


class OAuth(Section):
    """OAuth 2: the endpoints come from the document's security schemes; the clients can only be stated."""

    token: OpPattern | None = Field(None, description="The token endpoint, where the document does not name it.")
    authorize: OpPattern | None = Field(None, description="The authorization endpoint, where the document does not.")
    clients: dict[str, OAuthClient] = Field({}, description="Clients by a name of your choice.")


with _register_is_a_field():

    class Auth(Section):
        """How identities come to be, are let in and leave."""

        register: AuthStep | None = Field(None, description="The operation that makes a new identity.")
        login: AuthStep | None = Field(None, description="The operation that gives the first tokens.")
        refresh: AuthStep | None = Field(None, description="The operation that trades a refresh token for new tokens.")
        logout: AuthStep | None = Field(None, description="The operation that ends a session.")
        change_password: AuthStep | None = Field(
            None, description="The operation that changes the caller's own password; $password is the current one."
        )
        delete_account: AuthStep | None = Field(None, description="The operation that ends the caller's own account.")
        api_keys: ApiKeys = Field(ApiKeys(), description="API keys that callers make and revoke themselves.")
        oauth: OAuth = Field(OAuth(), description="OAuth 2 clients for tests, and endpoints that the document hides.")
        scheme: Scheme | None = Field(
            None,
            description="How an access token is sent: bearer, apiKey:header:NAME, or header:NAME: and the text that stands there.",
            examples=["bearer", "apiKey:header:X-API-Key", "header:Authorization:Token {token}"],
        )
        jwt: Jwt = Field(Jwt(), description="What access tokens promise, where they are JSON Web Tokens (RFC 7519).")
        password: Password = Field(Password(), description="Which passwords registration takes.")
        enumeration: Enumeration = Field(Enumeration(), description="Whether answers may tell that an account exists.")


class Identity(Section):
    """A person or machine that signs in. Without a password or token it is registered through ``auth.register``."""

    role: str = Field("user", description="The identity's role, as the lines under roles name it.")
    scopes: tuple[str, ...] | None = Field(
        None,
        description="What its credential may do, in the words of the document's security requirements. Stated, they decide who "
        "may call what where no line under roles does.",
        examples=[["orders:read"]],
    )
    user: str | None = Field(
        None, description="Name or e-mail to sign in with; made up when the identity is registered."
    )
    password_env: EnvName | None = Field(None, description="Environment variable with the password.")
    token_env: EnvName | None = Field(None, description="Environment variable with a ready access token.")
    api_key_env: EnvName | None = Field(None, description="Environment variable with an API key.")
    headers: Fields = Field(
        {},
        description="Header fields of all its requests; ${NAME} stands for an environment variable.",
        examples=[{"Authorization": "Basic ${SHOP_ADMIN_BASIC}", "X-Tenant": "acme"}],
    )
    login: Login | None = Field(None, description="How this identity signs in, where it is not as auth.login says.")

    @property
    def has_credentials(self) -> bool:
        """It is somebody whom the service knows already; else it is registered."""
        return bool(self.user or self.token_env or self.api_key_env or self.headers or self.login)


class RoleRule(Section):
    """Operations that only some roles may call. The first line that matches an operation decides."""

    op: OpPattern = Field(description="The operations.")
    allow: tuple[str, ...] = Field(description="Roles that may call them; everybody else is refused with 403.")


class Ownership(Section):
    """Whose things are whose."""

    foreign: Literal[403, 404, "any"] = Field(
        "any", description="How somebody else's thing is refused: 404 hides that it exists, 403 tells, any takes both."
    )
    shared: tuple[OpPattern, ...] = Field(
        (), description="Collections that all identities see alike, although reading them needs credentials."
    )
    protected: tuple[str, ...] = Field(
        (),
        description="Fields that a client can never set, however it tries.",
        examples=[["role", "is_admin", "owner_id"]],
    )
