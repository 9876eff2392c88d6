"""An access token stops working when its time is over.

## What it requires

An access token that worked is refused as soon as its life has passed, whatever was remembered of it meanwhile.

## Why

A gateway that caches what a token proved, or a session that the token only opened, goes on after the token's end. No forged token shows
that: it was never let in before.

## What it sends

A login, the control, and after the token's life and a second the same request again. It is played against a start of the service whose
tokens live for some seconds (`target: {profiles: {short_lived: {env: {…}}}}`). Where the service may be lenient for a while,
`auth: {jwt: {leeway: …}}` says how long, and it waits for that too.

## Example of a breach

Tokens live for 4 s. After 5 s `GET /users/me` is still answered `200`.

## When to waive it

Where a cache in front of the service is known to answer for a bounded time. State it as leeway instead.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from upheld.check import (
    MUST,
    CannotProve,
    Clause,
    Conversation,
    Example,
    Finding,
    Kept,
    Lane,
    NotApplicable,
    Requirement,
    Subject,
    Subjects,
    Unproven,
    send,
    sign_in,
    wait,
)
from upheld.exchange import NotJson, Response, Session
from upheld.steps import canary, control, forged, pointed, read_token

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.sample import Shop

REQUIREMENT = Requirement(
    title="An access token stops working when its time is over",
    level=MUST,
    clause=Clause(
        "RFC 7519 §4.1.4, OWASP ASVS 5.0, 9.2.1",
        "https://www.rfc-editor.org/rfc/rfc7519#section-4.1.4",
        "identifies the expiration time on or after which the JWT MUST NOT be accepted for processing.",
    ),
    catalogue=("JWT-06",),
    reads=("target.profiles", "auth.jwt.leeway", "auth.jwt.key_env", "identities"),
    profile="short_lived",
    waits=True,
    cost=4,
    owasp="API2:2023",
    cwe=("CWE-613",),
)

_LINE = "target: {profiles: {short_lived: {env: {ACCESS_TTL: 4}}}}"
_LONGEST = 10.0


def subjects(contract: Contract) -> Subjects:
    operation, profiles = canary(contract), contract.policy.target.profiles
    if profiles is None or profiles.short_lived is None:
        if contract.policy.auth.jwt.key_env is not None:
            return NotApplicable("no short-lived tokens are stated; jwt/expiry makes expired ones with the key")
        return Unproven(
            "it takes tokens that end within seconds, and no start of the service with such is stated", _LINE
        )
    if operation is None:
        return Unproven("no secured GET without parameters is there to show tokens to")
    return [Subject(operation.label, operation=operation)]


def converse(lane: Lane) -> Conversation:
    allowed = lane.contract.roles(lane.operation)
    session: Session = yield from sign_in(allowed[0] if allowed else None, fresh=True)
    life = _life(lane, session)
    if life is None:
        return Unproven("the access token is opaque, and the login does not say when it ends (expires_in)")
    if life > _LONGEST:
        return Unproven(
            f"tokens live for {life:.10g} s here: the short_lived profile did not shorten them to {_LONGEST:g} s at most, "
            "or this target was not started by us",
            _LINE,
        )
    request, _ = yield from control(lane, lane.operation, session)
    leeway = lane.contract.policy.auth.jwt.leeway
    late = life + 1 + (leeway or 0)
    yield from wait(late)
    answer: Response = yield from send(request)
    if not answer.ok:
        return Kept(f"refused ({answer.status}) after {late:.10g} s; it lived for {life:.10g} s")
    anybody: Response = yield from send(request.as_(None))
    if anybody.ok:
        raise CannotProve(f"{lane.operation.label} answers {anybody.status} without any token, too")
    if leeway is None:
        # "Implementers MAY provide for some small leeway, usually no more than a few minutes" (RFC 7519 §4.1.4).
        return Unproven(
            "the token is still accepted 1 s after its end, and the contract does not say how much leeway there is",
            "auth: {jwt: {leeway: 0s}}",
        )
    lenient = f" and {leeway:.10g} s of leeway" if leeway else ""
    return Finding(
        expected=f"a refusal after the token's end{lenient}: 401, or 400, 403, 404",
        actual=f"{answer.status}, 1 s after that",
        sent=f"{lane.operation.label} with an access token that lives for {life:.10g} s, at once and after {late:.10g} s",
    )


def _life(lane: Lane, session: Session) -> float | None:
    """Seconds from issue to end, by the token itself or by the answer that gave it."""
    token, login = read_token(session.access), lane.contract.auth.login
    told: Any = None
    if token is not None and {"exp", "iat"} <= set(token.claims):
        exp, iat = token.claims["exp"], token.claims["iat"]
        told = exp - iat if isinstance(exp, int | float) and isinstance(iat, int | float) else None
    elif session.answer is not None and login is not None:
        try:
            told = pointed(session.answer.json(), login.access.rpartition("/")[0] + "/expires_in")
        except (LookupError, NotJson):
            return None
    return float(told) if isinstance(told, int | float) and told > 0 else None


def _short(*skips: str) -> Any:
    """A shop whose access tokens live for four seconds."""

    def change(shop: Shop) -> None:
        made = shop._tokens

        def tokens(user: str, family: str) -> Response:
            answer = made(user, family).json()
            token = read_token(answer["access_token"])
            assert token is not None
            claims = {**token.claims, "exp": shop.time + 4}
            return Response.of(200, {**answer, "access_token": forged(token.header, claims, shop.key.encode())})

        shop._tokens = tokens  # type: ignore[method-assign]
        shop.skips.update(skips)

    return change


def _promised(**jwt: Any) -> dict[str, Any]:
    return {
        "target": {"profiles": {"short_lived": {"env": {"ACCESS_TTL": 4}}}},
        "auth": {"jwt": {"key_env": "SHOP_JWT_KEY", **jwt}},
    }


CONFORMING = (
    Example("the sample shop, short-lived", shop=_short(), policy=_promised()),
    Example("within the leeway", shop=_short(), policy=_promised(leeway="30s")),
)

BREACHING = (Example("its end passes unnoticed", shop=_short("exp"), policy=_promised(leeway="0s")),)
