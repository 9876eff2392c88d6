"""JSON Web Tokens from outside: what one says, who could have signed it, another one with the same key."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

from upheld.check import CannotProve, Lane, secret
from upheld.exchange import Response, Session
from upheld.steps.requests import Move

if TYPE_CHECKING:
    from upheld.contract import Contract

HMACS = {"HS256": "sha256", "HS384": "sha384", "HS512": "sha512"}
KEY_LINE = "auth: {jwt: {key_env: SERVICE_JWT_KEY}}"


@dataclass(frozen=True, slots=True)
class Token:
    """A JWS in compact form (RFC 7515 §7.1) that was taken apart."""

    text: str
    header: Mapping[str, Any]
    claims: Mapping[str, Any]

    @property
    def parts(self) -> tuple[str, str, str]:
        """Header, payload and signature, encoded as they were sent."""
        header, payload, signature = self.text.split(".")
        return header, payload, signature

    @property
    def alg(self) -> str:
        return str(self.header.get("alg", ""))


@dataclass(frozen=True, slots=True)
class Key:
    """A key that signs tokens which the service takes. ``found``: it was guessed, so anybody has it."""

    value: bytes
    found: bool = False


def read_token(text: str | None) -> Token | None:
    """The token taken apart, or None where it is opaque."""
    parts = (text or "").split(".")
    if len(parts) != 3:
        return None
    header, claims = decoded(parts[0]), decoded(parts[1])
    return Token(text or "", header, claims) if isinstance(header, dict) and isinstance(claims, dict) else None


def access_token(session: Session) -> Token | None:
    """The session's access token taken apart, or None where it is opaque or not sent as Bearer."""
    return read_token(session.access)


def as_bearer(token: str) -> str:
    """The value of an Authorization field (RFC 6750 §2.1)."""
    return f"Bearer {token}"


def issued_at(token: Token, answer: Response | None = None) -> int:
    """When it was issued, by the service's own clock: its ``iat``, else the Date of the answer that gave it.

    Forged times are counted from here, so that a clock which differs from ours accuses nobody. Raises `CannotProve`.
    """
    iat = token.claims.get("iat")
    if isinstance(iat, (int, float)) and not isinstance(iat, bool):
        return int(iat)
    date = answer.headers.get("date") if answer is not None else None
    try:
        return int(parsedate_to_datetime(date or "").timestamp())
    except ValueError:
        raise CannotProve("the token has no iat and the answer no Date, so its time is not known") from None


def forged(header: Mapping[str, Any], claims: Mapping[str, Any], key: bytes, alg: str | None = None) -> str:
    """A token with this header and these claims, signed with an HMAC. ``alg`` defaults to the header's own.

    Raises `CannotProve` for an algorithm that is no HMAC and for which ``key`` is no PEM private key.
    """
    alg = alg or str(header.get("alg", "HS256"))
    content = f"{encoded(header)}.{encoded(claims)}"
    return f"{content}.{part(_signature(content, key, alg))}"


def resigned(token: Token, key: Key, without: Iterable[str] = (), **changes: Any) -> str:
    """The token once more with other claims, under a signature that fits. ``without`` names claims to leave out."""
    claims = {name: value for name, value in {**token.claims, **changes}.items() if name not in set(without)}
    return forged(token.header, claims, key.value)


def signing_key(lane: Lane, token: Token) -> Move:
    """``key = yield from signing_key(lane, token)``: from upheld.yaml, else guessed offline; None where neither has it.

    Raises `CannotProve` when the stated key signs other tokens than this one.
    """
    variable = lane.contract.policy.auth.jwt.key_env
    if variable:
        value: str | None = yield from secret(variable)
        if value is None:
            raise CannotProve(lane.contract.unset(variable), f"export {variable}=…")
        for candidate in _readings(value):
            if signs(candidate, token):
                return Key(candidate)
        if token.alg in HMACS:
            raise CannotProve(
                f"the key in {variable} does not sign the tokens that the login gives",
                f"export {variable}=… with the key that the service signs with",
            )
        return Key(value.encode())
    guessed = guess(token, lane.contract)
    return Key(guessed.encode(), found=True) if guessed is not None else None


def key_or_unproven(lane: Lane, token: Token) -> Move:
    """As `signing_key`, but raises `CannotProve` with the line to add where no key is known."""
    key: Key | None = yield from signing_key(lane, token)
    if key is None:
        raise CannotProve(
            "it takes tokens that only the service's own key can sign, and that key is not known here", KEY_LINE
        )
    return key


def signs(key: bytes, token: Token) -> bool:
    """Whether this HMAC key made the token's signature. False for algorithms that are no HMAC (RFC 7518 §3.2)."""
    header, payload, signature = token.parts
    if token.alg not in HMACS:
        return False
    return hmac.compare_digest(part(_signature(f"{header}.{payload}", key, token.alg)), signature.rstrip("="))


def guess(token: Token, contract: Contract) -> str | None:
    """The signing secret, when it is one of the words that everybody tries first; all offline."""
    if token.alg not in HMACS:
        return None
    return next((word for word in candidates(contract) if signs(word.encode(), token)), None)


def candidates(contract: Contract) -> Iterator[str]:
    """Words for `guess`: the well-known ones, and variants of the service's name and of ``auth.jwt.guess_words``."""
    from upheld.steps.weak_secrets import WELL_KNOWN

    yield from WELL_KNOWN
    title = str(contract.document.get("info", {}).get("title", ""))
    own = {contract.name, title, title.replace(" ", ""), title.replace(" ", "-"), title.replace(" ", "_")}
    for word in sorted(own | {name.lower() for name in own}) + list(contract.policy.auth.jwt.guess_words):
        if word:
            yield word
            for pattern in (
                "{}-secret",
                "{}_secret",
                "{}secret",
                "secret-{}",
                "{}-key",
                "{}_key",
                "{}123",
                "{}-jwt-secret",
            ):
                yield pattern.format(word)


def decoded(text: str) -> Any:
    """The JSON value of one part of a token, or None."""
    try:
        return json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except (ValueError, RecursionError):
        return None


def encoded(value: Any) -> str:
    """A JSON value as one part of a token."""
    return part(json.dumps(value, separators=(",", ":")).encode())


def part(data: bytes) -> str:
    """base64url without padding (RFC 7515 §2)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _signature(content: str, key: bytes, alg: str) -> bytes:
    if alg in HMACS:
        return hmac.digest(key, content.encode(), HMACS[alg])
    import jwt

    try:
        algorithm = jwt.get_algorithm_by_name(alg)
        return algorithm.sign(content.encode(), algorithm.prepare_key(key))
    except (jwt.PyJWTError, NotImplementedError, ValueError, TypeError) as error:
        raise CannotProve(f"tokens are signed with {alg}, and the key is none for it: {type(error).__name__}") from None


def _readings(value: str) -> Iterator[bytes]:
    """The octets that a secret may stand for: its text, or what it encodes in base64 or hexadecimal."""
    yield value.encode()
    for read in (base64.b64decode, base64.urlsafe_b64decode, bytes.fromhex):
        try:
            yield read(value)
        except ValueError:
            continue
