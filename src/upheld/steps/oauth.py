"""OAuth 2 from a client's side: token requests, authorization requests, codes."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, quote_plus, urlencode, urlsplit

from upheld.check import CannotProve, Lane, NotApplicable, Subject, Subjects, secret, send, sign_in
from upheld.exchange import NotJson, Request, Response, Session
from upheld.steps.requests import Move
from upheld.steps.tokens import part
from upheld.steps.values import describe

if TYPE_CHECKING:
    from upheld.contract import Contract

CLIENT_LINE = "auth: {oauth: {clients: {NAME: {id: …, secret_env: …, redirect_uri: …, scopes: [...]}}}}"
FORM = "application/x-www-form-urlencoded"


def code_grants(contract: Contract) -> Subjects:
    """The token endpoint of a service that gives codes as well."""
    token = contract.oauth.token if contract.oauth.authorize else None
    if token is None:
        return NotApplicable("the contract declares no authorization code flow of its own")
    return [Subject(token.label, operation=token)]


def authorizations(contract: Contract) -> Subjects:
    """The authorization endpoint."""
    authorize = contract.oauth.authorize
    if authorize is None:
        return NotApplicable("the contract declares no authorization endpoint of its own")
    return [Subject(authorize.label, operation=authorize)]


@dataclass(frozen=True, slots=True)
class Client:
    """A client that upheld.yaml states, with its secret."""

    name: str
    id: str
    secret: str
    """Empty for a public client."""
    redirect_uri: str
    scopes: tuple[str, ...]


def oauth_client(lane: Lane, *, redirects: bool = False, confidential: bool = False) -> Move:
    """``client = yield from oauth_client(lane)``: the first stated client that has what is asked for.

    Raises `CannotProve` where there is none.
    """
    for name, stated in lane.contract.policy.auth.oauth.clients.items():
        if (redirects and not stated.redirect_uri) or (confidential and not stated.secret_env):
            continue
        value = ""
        if stated.secret_env:
            supplied: str | None = yield from secret(stated.secret_env)
            if supplied is None:
                raise CannotProve(lane.contract.unset(stated.secret_env), f"export {stated.secret_env}=…")
            value = supplied
        return Client(name, stated.id, value, stated.redirect_uri or "", stated.scopes)
    raise CannotProve("it takes an OAuth client that is registered for tests, and upheld.yaml states none", CLIENT_LINE)


def token_request(lane: Lane, form: Mapping[str, str], client: Client | None = None) -> Request:
    """A request to the token endpoint (RFC 6749 §3.2). ``client`` authenticates by Basic, or is named in the form."""
    operation = lane.contract.oauth.token
    if operation is None:
        raise CannotProve("no token endpoint is stated or declared", "auth: {oauth: {token: POST /oauth/token}}")
    pairs = dict(form)
    request = Request(operation.method, operation.path, operation=operation.label)
    if client is not None and client.secret:
        request = request.with_headers(authorization=basic(client.id, client.secret))
    elif client is not None:
        pairs["client_id"] = client.id
    return request.with_(body=urlencode(pairs).encode()).with_headers(content_type=FORM)


def basic(user: str, password: str) -> str:
    """A Basic credential; RFC 6749 §2.3.1 has both parts form-encoded first."""
    pair = f"{quote_plus(user)}:{quote_plus(password)}"
    return f"Basic {base64.b64encode(pair.encode()).decode()}"


def challenge_of(verifier: str) -> str:
    """The S256 code challenge of a verifier (RFC 7636 §4.2)."""
    return part(hashlib.sha256(verifier.encode()).digest())


def authorization_request(lane: Lane, client: Client, session: Session | None, **parameters: str | None) -> Request:
    """An authorization request for a code (RFC 6749 §4.1.1) as the session's user; None leaves a parameter out."""
    operation = lane.contract.oauth.authorize
    if operation is None:
        raise CannotProve(
            "no authorization endpoint is stated or declared", "auth: {oauth: {authorize: GET /oauth/authorize}}"
        )
    asked: dict[str, str | None] = {
        "response_type": "code", "client_id": client.id, "redirect_uri": client.redirect_uri, "state": lane.unique("s"),
        "scope": " ".join(client.scopes) or None, **parameters,
    }  # fmt: skip
    query = tuple((name, value) for name, value in asked.items() if value is not None)
    return Request(operation.method, operation.path, query, session=session, operation=operation.label)


def sent_back(response: Response) -> dict[str, str]:
    """The parameters of a redirect, of its query and its fragment; empty where it is none."""
    location = response.headers.get("location") if 300 <= response.status < 400 else None
    parts = urlsplit(location or "")
    return dict(parse_qsl(parts.query) + parse_qsl(parts.fragment))


def new_code(lane: Lane, client: Client, session: Session, verifier: str, **parameters: str | None) -> Move:
    """``code = yield from new_code(…)``: an authorization code. Raises `CannotProve` where none comes without a person."""
    parameters = {"code_challenge": challenge_of(verifier), "code_challenge_method": "S256", **parameters}
    response: Response = yield from send(authorization_request(lane, client, session, **parameters))
    code = sent_back(response).get("code")
    if not code:
        raise CannotProve(
            f"no code came for a signed-in user: {describe(response)}"
            + (f" to {response.headers['location']}" if "location" in response.headers else "")
            + "; a login page or a consent is beyond us"
        )
    return code


def redeem(lane: Lane, client: Client, code: str, verifier: str | None, **parameters: str) -> Request:
    """The request that trades a code for tokens (RFC 6749 §4.1.3)."""
    form = {"grant_type": "authorization_code", "code": code, "redirect_uri": client.redirect_uri, **parameters}
    if verifier is not None:
        form["code_verifier"] = verifier
    return token_request(lane, form, client)


def redeemed_twice(lane: Lane, client: Client) -> Move:
    """``request, first, second = yield from redeemed_twice(lane, client)``: a fresh code traded for tokens, and once more.

    Raises `CannotProve` where the first use is refused.
    """
    user = yield from somebody(lane)
    verifier = verifier_of(lane)
    code = yield from new_code(lane, client, user, verifier)
    request = redeem(lane, client, code, verifier)
    first: Response = yield from send(request)
    if not first.ok:
        raise CannotProve(f"a fresh code is refused: {describe(first)}")
    second: Response = yield from send(request)
    return request, first, second


def verifier_of(lane: Lane) -> str:
    """A code verifier that nobody else uses (RFC 7636 §4.1: 43 to 128 unreserved characters)."""
    return hashlib.sha256(lane.unique("v").encode()).hexdigest()


def tokens_of(response: Response) -> tuple[str, str]:
    """(access token, refresh token) of a token answer; empty where there is none."""
    try:
        document = response.json()
    except NotJson:
        return "", ""
    found = [document.get(name) if isinstance(document, dict) else None for name in ("access_token", "refresh_token")]
    return str(found[0] or ""), str(found[1] or "")


def somebody(lane: Lane) -> Move:
    """``session = yield from somebody(lane)``: who signs in to the client."""
    session: Session = yield from sign_in()
    return session
