"""What is kept of a conversation holds no secret, and says whether it can be sent again."""

from __future__ import annotations

from dataclasses import replace

from upheld.exchange import Exchange, Headers, Request, Response, Session
from upheld.report.mask import Masker
from upheld.run.record import LONGEST, dialogue_of, said

ANN = Session("ann", "user", "ann@example.test", "Ann-password-1", "an-access-token", headers=(("Authorization", "Bearer an-access-token"),))  # fmt: skip
MASKER = Masker({"Ann-password-1", "an-access-token"})
PLAIN = Exchange(
    Request("POST", "/notes", (("a", "1"),), Headers({"X-A": "b"}), b'{"text": "\xff"}', ANN, "POST /notes"),
    Response(500, Headers({"Content-Type": "text/plain"}), b"oh no"),
    phase="fuzz",
    intent="valid",
)


def test_an_identity_stands_for_its_credentials() -> None:
    kept = said(PLAIN, MASKER)
    assert (kept.role, kept.operation, kept.target, kept.masked) == ("user", "POST /notes", "/notes?a=1", False)
    assert (kept.body, kept.phase, kept.intent, kept.status) == ('{"text": "\udcff"}', "fuzz", "valid", 500)
    assert "an-access-token" not in repr(kept)


def test_what_is_secret_is_masked_and_that_is_said() -> None:
    for request in (
        PLAIN.request.with_json({"password": "Ann-password-1"}),
        PLAIN.request.with_headers(authorization="Bearer an-access-token"),
        PLAIN.request.with_(query=(("token", "an-access-token"),)),
    ):
        kept = said(replace(PLAIN, request=request), MASKER)
        assert kept.masked
        assert "Ann-password-1" not in repr(kept)
        assert "an-access-token" not in repr(kept)


def test_secrets_of_an_answer_are_masked_before_it_is_cut() -> None:
    body = b" " * (LONGEST - 5) + b"an-access-token"
    kept = said(replace(PLAIN, response=Response(200, Headers({"Set-Cookie": "sid=an-access-token"}), body)), MASKER)
    assert len(kept.answer) <= LONGEST
    assert "an-ac" not in repr(kept)
    assert not kept.masked


def test_a_dialogue_is_told_by_the_source_of_its_exchanges() -> None:
    assert dialogue_of("http/allow[GET /notes/{id}]#12") == "http/allow[GET /notes/{id}]"
    assert [dialogue_of(source) for source in ("sign-in #4", "fuzz", "replay", "")] == [""] * 4
