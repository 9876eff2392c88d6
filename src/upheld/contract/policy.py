"""upheld.yaml as a frozen model. `upheld.contract.load` reads the file into it; this module does no I/O.

Where a key is left out, nothing is promised beyond the OpenAPI document and the RFCs, except where the description names a
default. ``extends: standard`` lays the house standard (standard.yaml in this folder) under the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr

from upheld.contract.environment import variables
from upheld.contract.sections.access import (
    ApiKeys,
    Auth,
    AuthStep,
    Enumeration,
    Identity,
    Jwt,
    OAuth,
    OAuthClient,
    Ownership,
    Password,
    RoleRule,
)
from upheld.contract.sections.base import OpPattern, Section, Status
from upheld.contract.sections.conduct import Cors, Errors, Idempotency, Leak
from upheld.contract.sections.login import Login
from upheld.contract.sections.running import Checks, Fuzz, OpenApi, Part, Profile, Profiles, Store, Target, Waiver
from upheld.contract.sections.traffic import Caching, Latency, Limits, Load, RateLimit, RateLimitRule

if TYPE_CHECKING:
    from upheld.contract.wfc import Imported

__all__ = [
    "ApiKeys",
    "Auth",
    "AuthStep",
    "Caching",
    "Checks",
    "Cors",
    "Enumeration",
    "Errors",
    "Fuzz",
    "Idempotency",
    "Identity",
    "Jwt",
    "Latency",
    "Leak",
    "Limits",
    "Load",
    "Login",
    "OAuth",
    "OAuthClient",
    "OpenApi",
    "Ownership",
    "Part",
    "Password",
    "Policy",
    "Profile",
    "Profiles",
    "RateLimit",
    "RateLimitRule",
    "RoleRule",
    "Store",
    "Target",
    "Waiver",
]


def _openapi(value: Any) -> Any:
    if not isinstance(value, str):
        return value
    return {"served": value} if value.startswith(("/", "http://", "https://")) else {"file": value}


class Policy(Section):
    """Everything that upheld.yaml can say."""

    upheld: Literal[1] = Field(description="Version of this file's format: 1.")
    openapi: Annotated[OpenApi, BeforeValidator(_openapi)] = Field(
        OpenApi(),
        description="The OpenAPI document: a file, or a path of the target that serves it. "
        "Left out: openapi.yaml or openapi.json beside this file, else the target's own /openapi.json.",
    )
    extends: Literal["standard"] | None = Field(
        None, description="standard: lay the house standard under this file; every line here then only changes it."
    )
    target: Target = Field(Target(), description="Where the service runs, or how it is started.")
    prefix: str | None = Field(
        None,
        pattern=r"^(/[^/\s]+)*$",
        description="Version prefix of all paths. Left out: the longest common prefix that ends in a version.",
        examples=["/api/v1"],
    )
    public: tuple[OpPattern, ...] = Field((), description="Operations that may be called without credentials.")
    errors: Errors = Field(Errors(), description="The shape of every error.")
    auth: Auth = Field(Auth(), description="How identities come to be, are let in and leave.")
    identities: dict[str, Identity] = Field(
        {},
        description="Who calls. Two of one role and one of another let everything about access be proven. A text, or the key "
        "extends, names a WFC authentication file.",
    )
    roles: tuple[RoleRule, ...] = Field(
        (), description="Operations that only some roles may call; the first match decides."
    )
    ownership: Ownership = Field(Ownership(), description="Whose things are whose.")
    rate_limits: tuple[RateLimitRule, ...] = Field(
        (), description="The limits, each with its quota; the first match decides."
    )
    rate_limit: RateLimit = Field(RateLimit(), description="What all rate limits have in common.")
    caching: Caching = Field(Caching(), description="What may be kept, where, for how long.")
    cors: Cors = Field(Cors(), description="Which web pages of other origins may call the service.")
    latency: Latency = Field(
        Latency(), description="The 95th percentile of answering times, for each class of operations."
    )
    load: Load = Field(Load(), description="What the load run presses with.")
    limits: Limits = Field(Limits(), description="The sizes that the service takes.")
    never: tuple[OpPattern, ...] = Field(
        (),
        description="Operations that generated requests never call. Logout, self-deletion and their like are recognised.",
    )
    unique: tuple[str, ...] = Field((), description="Fields whose values must differ from one thing to the next.")
    volatile: tuple[str, ...] = Field(
        ("updated_at", "last_seen", "instance", "request_id"),
        description="Fields that may differ between two looks at the same thing.",
    )
    normalised: tuple[str, ...] = Field(
        (),
        description="Fields that the service stores in another form than it was given, such as a lower-cased e-mail.",
    )
    secrets: tuple[str, ...] = Field(
        ("password", "token", "access_token", "refresh_token", "secret", "api_key"),
        description="Fields whose values no answer may repeat.",
    )
    leak: Leak = Field(Leak(), description="Exceptions from the search for secrets and internals in answers.")
    implicit_statuses: tuple[Status, ...] = Field(
        (405, 406, 413, 414, 415, 431, 503),
        description="Statuses that any operation may answer although the document does not list them.",
    )
    security_headers: bool = Field(False, description="Every answer carries the safe headers (nosniff and its like).")
    head: Literal["mirror", 405, "any"] = Field(
        "any", description="mirror: HEAD answers as GET does, without content. 405: HEAD is disabled."
    )
    versioning: Literal["path", "header", "none"] | None = Field(
        None, description="Where the version stands. Left out: path when there is a version prefix, else none."
    )
    unknown_route: Literal[404, 401, 403] = Field(404, description="What an unknown path answers.")
    idempotency: Idempotency = Field(
        Idempotency(), description="Which operations may be repeated under an Idempotency-Key."
    )
    waive: tuple[Waiver, ...] = Field((), description="Breaches that are known and accepted until a date.")
    checks: Checks = Field(Checks(), description="Which requirements are checked, and what decides the exit status.")
    fuzz: Fuzz = Field(Fuzz(), description="How much is generated.")

    _imported: Imported | None = PrivateAttr(default=None)

    @property
    def imported(self) -> Imported | None:
        """The file that identities come from besides; None where upheld.yaml has them all."""
        return self._imported

    def with_imported(self, imported: Imported, identities: Mapping[str, Identity]) -> Policy:
        """A copy whose identities are these."""
        policy = self.model_copy(update={"identities": dict(identities)})
        policy._imported = imported
        return policy

    def environment_names(self) -> Iterator[tuple[tuple[str, ...], str]]:
        """Every environment variable that the file names: (path of the key, name)."""
        for path, variable in self._environment_names():
            if self._imported is None or variable not in self._imported.given:
                yield path, variable

    def _environment_names(self) -> Iterator[tuple[tuple[str, ...], str]]:
        for name, identity in self.identities.items():
            for key in ("password_env", "token_env", "api_key_env"):
                if variable := getattr(identity, key):
                    yield ("identities", name, key), variable
            for key, value in (("user", identity.user), ("headers", identity.headers), ("login", identity.login)):
                for variable in variables(repr(value)):
                    yield ("identities", name, key), variable
        if self.auth.jwt.key_env:
            yield ("auth", "jwt", "key_env"), self.auth.jwt.key_env
        for name, client in self.auth.oauth.clients.items():
            if client.secret_env:
                yield ("auth", "oauth", "clients", name, "secret_env"), client.secret_env
        for variable in self.target.inherit:
            yield ("target", "inherit"), variable

    def secret_fields(self) -> tuple[str, ...]:
        """Header fields by which identities are known, beside the usual ones."""
        fields = (item for identity in self.identities.values() for item in identity.headers.items())
        return tuple(dict.fromkeys(name for name, value in fields if variables(value)))

    def roles_named(self) -> tuple[str, ...]:
        """Roles of the identities, in the order of the file, each once."""
        return tuple(dict.fromkeys(identity.role for identity in self.identities.values()))
