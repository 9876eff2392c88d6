"""Which requirements prove what people write under ``middleware_added`` and ``security_measures``."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Measure:
    """Something that protects a service: the words by which reports name it, and what proves it from outside."""

    says: str
    """As our own reports say it."""
    words: str
    """A regular expression over a claim, in lower case."""
    proofs: tuple[str, ...]
    """Ids of requirements; each of them has to hold."""
    middleware: bool = False
    beyond: str = ""
    """What of such a claim nobody can see from outside: it can be refuted, not proven."""


MEASURES = (
    Measure("rate limiting", r"rate.?limit|throttl|slowapi", ("ratelimit/quota",), True),
    Measure("Retry-After with every 429", r"retry.?after", ("ratelimit/retry-after",)),
    Measure("CORS for the stated origins only", r"\bcors|cross.origin", ("cors/origins", "cors/wildcard-credentials"), True),
    Measure("security header fields", r"security.?header|helmet|\bhsts\b|nosniff|x-content-type", ("security/headers",), True),
    Measure("problem details for errors", r"problem.?(details|json)|rfc.?(9457|7807)", ("errors/problem-json", "errors/members"), True),
    Measure("no insides in errors", r"insides|stack.?trace|internal (error|detail)|error (leak|disclos)", ("errors/leak", "errors/internal")),
    Measure("bounds on the size of requests", r"(body|request|payload|upload).{0,10}size|size.?limit|size of requests", ("http/size-limits",), True),
    Measure("caching without stale reads", r"\bcach(e|ed|ing)\b(?!.?control)", ("cache/fresh-after-write",), True),
    Measure("private answers kept out of shared caches", r"no.?store|cache.?control|shared cache", ("cache/private",)),
    Measure("credentials required", r"credentials required|authenticat|auth.?(guard|middleware|dependency)|login.?required|bearer", ("auth/credentials-required",)),
    Measure("signed tokens, forged ones refused", r"\bjwts?\b|json.?web.?token|\b[hre]s256\b|signature|forge", ("jwt/forged-signature",)),
    Measure("tokens that expire", r"(token|jwt|access|session).{0,40}(expir|ttl|lifetime|short.?lived|minute)|expir.{0,20}(token|jwt)", ("jwt/expiry", "jwt/lifetime")),
    Measure("rotation of refresh tokens", r"rotat", ("jwt/rotation",)),
    Measure("detection of reused refresh tokens", r"re-?us(e|ed)\b.{0,20}(detect|token)|token.{0,20}re-?use", ("jwt/refresh-reuse",)),
    Measure("logout that ends sessions", r"log.?out|token.{0,20}(revo|blacklist|denylist)|(blacklist|denylist|revo\w+).{0,20}token", ("jwt/logout-ends-session",)),
    Measure("a signing key that cannot be guessed", r"(strong|random|signing|secret).?key", ("jwt/weak-secret",)),
    Measure(
        "password hashing", r"bcrypt|argon2|scrypt|pbkdf2|hash(ed|ing)?\b", ("authz/secrets-exposed", "auth/exact-password"),
        beyond="how passwords are kept cannot be seen from outside",
    ),
    Measure("a password policy", r"password.{0,20}(policy|length|strength|complex|minim)|weak.?password", ("auth/password-policy",)),
    Measure("failed logins that do not tell who exists", r"enumerat|who exists", ("auth/user-enumeration",)),
    Measure("logins without difference in time", r"timing|constant.?time|difference in time", ("auth/login-time",)),
    Measure("a bound on failed logins", r"bound on failed logins|brute|lock.?out|login.?attempt|credential.?stuffing", ("ratelimit/login-attempts",)),
    Measure("logins that take no query", r"injection|take no query", ("auth/login-injection",), beyond="only the login is tried for injection"),
    Measure("roles", r"\brbac\b|\broles?\b|role.based|admin.?only|permission", ("authz/role-matrix",)),
    Measure("members that only their owners reach", r"\bowner|\bidor\b|\bbola\b|object.level|tenant", ("authz/foreign-read", "authz/foreign-write")),
    Measure("protected fields against mass assignment", r"mass.?assign|over.?post|protected.?field", ("authz/mass-assignment",)),
    Measure("no secrets in answers", r"(password|secret|hash).{0,30}(never|not|no).{0,20}(return|expos|respon|leak)|secret.{0,20}expos|secrets in answers", ("authz/secrets-exposed",)),
    Measure("validation of input", r"validat|pydantic|sanit", ("errors/malformed-body", "body/invalid-input")),
    Measure("API keys that can be revoked", r"api.?key", ("auth/api-keys",)),
    Measure("PKCE", r"\bpkce\b", ("oauth/pkce",)),
)  # fmt: skip
"""In the order in which reports list them."""


def meant(claim: str) -> tuple[Measure, ...]:
    """The measures that a claim speaks of; none where nobody here knows how to prove it from outside."""
    text = " ".join(claim.lower().replace("_", " ").split())
    words = re.sub(r"(?<=[a-z])(?=[A-Z])", " ", claim).lower()
    return tuple(m for m in MEASURES if re.search(m.words, text) or re.search(m.words, words))
