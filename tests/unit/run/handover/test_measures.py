"""Words of claims, and the requirements that prove them."""

from __future__ import annotations

import re

import pytest

from upheld.checks import catalogue
from upheld.run.handover.claims import requirements
from upheld.run.handover.measures import MEASURES, Measure, meant


def test_every_proof_is_a_requirement() -> None:
    assert requirements() - set(catalogue()) == set()


@pytest.mark.parametrize("measure", MEASURES, ids=lambda measure: measure.says)
def test_what_we_say_ourselves_is_understood(measure: Measure) -> None:
    assert meant(measure.says) == (measure,)


def test_the_words_are_in_lower_case() -> None:
    assert [
        m.says for m in MEASURES if re.sub(r"\\[A-Z]", "", m.words) != re.sub(r"\\[A-Z]", "", m.words).lower()
    ] == []


@pytest.mark.parametrize(
    ("claim", "proofs"),
    [
        ("RateLimitMiddleware", {"ratelimit/quota"}),
        ("slowapi", {"ratelimit/quota"}),
        ("CORSMiddleware", {"cors/origins", "cors/wildcard-credentials"}),
        ("RFC 9457 error handler", {"errors/problem-json", "errors/members"}),
        ("bcrypt, cost 12", {"authz/secrets-exposed", "auth/exact-password"}),
        ("JWT access tokens expire after 15 minutes", {"jwt/forged-signature", "jwt/expiry", "jwt/lifetime"}),
        ("refresh token rotation with reuse detection", {"jwt/rotation", "jwt/refresh-reuse"}),
        ("mass-assignment protection", {"authz/mass-assignment"}),
        ("TLS 1.3 at the edge", set()),
        ("CSRF tokens", set()),
        ("encrypted backups", set()),
        ("threshold alerts", set()),
    ],
)
def test_what_is_meant(claim: str, proofs: set[str]) -> None:
    assert {proof for measure in meant(claim) for proof in measure.proofs} == proofs


def test_what_cannot_be_seen_is_said() -> None:
    assert [m.beyond for m in meant("argon2id hashing")] == ["how passwords are kept cannot be seen from outside"]
