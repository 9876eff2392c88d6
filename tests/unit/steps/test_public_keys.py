"""Which public key a service's tokens are verified with, and where it is found."""

from __future__ import annotations

from typing import Any

import pytest

from upheld.check import SERVICE, CannotProve, Lane, Secret
from upheld.contract.load import from_parts
from upheld.exchange import Response
from upheld.sample import POLICY, document
from upheld.steps import Token, read_token
from upheld.steps.public_keys import own_pair, public_key, verifies
from upheld.steps.tokens import forged


def token() -> Token:
    made = read_token(forged({"alg": "ES256"}, {"sub": "1"}, own_pair().private))
    assert made is not None
    return made


def found(jwt: dict[str, Any], *, keys: Any = None, variable: str | None = None) -> tuple[Any, list[str]]:
    """The key, and the paths that were asked for."""
    contract = from_parts({**POLICY, "auth": {"jwt": jwt}}, document(), name="sample")
    asked: list[str] = []
    conversation = public_key(Lane(contract, SERVICE, "t"), token())
    answer: Any = None
    try:
        while True:
            action = conversation.send(answer)
            if isinstance(action, Secret):
                answer = variable
            else:
                asked.append(action.request.path)
                answer = Response(404) if keys is None else Response.of(200, keys)
    except StopIteration as end:
        return end.value, asked


@pytest.mark.parametrize(("stated", "path"), [({}, "/.well-known/jwks.json"), ({"jwks": "/keys"}, "/keys")])
def test_the_key_of_a_key_set_that_fits(stated: dict[str, Any], path: str) -> None:
    others = ["text", {"kty": "oct"}, {"kty": "oct", "k": "eHh4"}, {"kty": "EC", "crv": "P-999"}, {}]
    key, asked = found(stated, keys={"keys": [*others, dict(own_pair().jwk)]})
    assert verifies(key, token())
    assert asked == [path]


@pytest.mark.parametrize("half", ["private", "public"])
def test_either_half_in_a_variable(half: str) -> None:
    key, asked = found({"key_env": "KEY"}, variable=getattr(own_pair(), half).decode())
    assert hasattr(key, "public_bytes")
    assert asked == []


@pytest.mark.parametrize("keys", [None, [], {"keys": 1}, {"keys": [{"kty": "EC"}]}])
def test_no_key_names_the_line_to_add(keys: Any) -> None:
    with pytest.raises(CannotProve, match=r"found in KEY or at /\.well-known/jwks\.json") as cannot:
        found({"key_env": "KEY"}, keys=keys, variable="no PEM")
    assert cannot.value.outcome.add == "auth: {jwt: {jwks: /.well-known/jwks.json}}"
