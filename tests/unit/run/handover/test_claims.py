"""From a report to the promises that would prove it, and from their results to verdicts."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from upheld.contract import Contract
from upheld.contract.implementation import Endpoint, Implementation, Named
from upheld.run.handover.claims import EXISTS, NOBODY, OPEN, Claim, Proof, claims, operation_of
from upheld.run.handover.verify import Verified, settled
from upheld.verdict import Evidence, Result, Run, Verdict

AT = "/endpoints_created/0"


def report(file: Path = Path("report.json"), **members: Any) -> Implementation:
    return Implementation(file=file, feature="Notes", **members)


def endpoint(method: str, path: str, needs: bool | None = None, rate: str = "") -> Endpoint:
    return Endpoint(AT, method, path, needs, rate)


def of(contract: Contract, line: Endpoint) -> dict[str, Claim]:
    return {claim.pointer: claim for claim in claims(report(endpoints=(line,)), contract).claims}


@pytest.mark.parametrize(
    ("method", "path", "label"),
    [
        ("GET", "/notes", "GET /notes"),
        ("GET", "/notes/", "GET /notes"),
        ("GET", "/notes/{note_id}", "GET /notes/{id}"),
        ("GET", "/notes/:id", "GET /notes/{id}"),
        ("GET", "/notes?limit=1", "GET /notes"),
        ("PATCH", "/notes", None),
        ("GET", "/users", None),
    ],
)
def test_an_endpoint_is_found_by_its_shape(contract: Contract, method: str, path: str, label: str | None) -> None:
    found = operation_of(contract, endpoint(method, path))
    assert (found and found.label) == label


def test_the_catalogue_proves_what_the_contract_has(contract: Contract) -> None:
    found = of(contract, endpoint("GET", "/me", True))
    assert found[AT].proofs == (Proof("drift/operation-exists", "GET /me"),)
    assert found[f"{AT}/auth"].proofs == (Proof("auth/credentials-required", "GET /me"),)


def test_what_the_catalogue_would_not_ask_is_asked_for_the_claim(contract: Contract) -> None:
    assert of(contract, endpoint("GET", "/strange"))[AT].proofs == (Proof(EXISTS, AT),)
    assert of(contract, endpoint("DELETE", "/me", True))[AT].proofs == (Proof(EXISTS, AT),), "never sent"
    for line in (endpoint("GET", "/notes", True), endpoint("GET", "/me", False)):
        assert of(contract, line)[f"{AT}/auth"].proofs == (Proof(OPEN, AT),)
    assert f"{AT}/auth" not in of(contract, endpoint("GET", "/me"))


def test_a_claimed_quota_is_proven_as_a_rule(contract: Contract) -> None:
    same = claims(report(endpoints=(endpoint("POST", "/auth/login", rate="10/min"),)), contract)
    assert same.claims[1].proofs == (Proof("ratelimit/quota", "POST /auth/login 10/60s"),)
    assert same.contract is contract
    other = claims(report(endpoints=(endpoint("POST", "/auth/login", rate="5/min per ip"),)), contract)
    assert other.claims[1].proofs == (Proof("ratelimit/quota", "POST /auth/login 5/60s"),)
    assert [rule.quota for rule in other.contract.rate_rules] == [5, 10]
    assert of(contract, endpoint("POST", "/auth/login", rate="some"))[f"{AT}/rate_limit"].reason
    assert of(contract, endpoint("GET", "/strange", rate="5/min"))[f"{AT}/rate_limit"].add


def test_models(contract: Contract) -> None:
    def one(name: str, *fields: str) -> Claim:
        return claims(report(models=(Named("/models_created/0", name, fields=fields),)), contract).claims[0]

    used = {proof.subject for proof in one("note", "id", "text").proofs}
    assert used == {"GET /notes", "GET /notes/{id}"}
    assert "without colour" in one("Note", "id", "colour").wrong
    assert "no schema" in one("UserTable").reason
    assert "no body" in one("Unused").reason
    asked = one("Written").proofs
    assert asked == (Proof("body/invalid-input", "POST /notes"),)


def test_measures(contract: Contract) -> None:
    found = claims(
        report(middleware=(Named("/middleware_added/0", "CORS"),), measures=(Named("/security_measures/0", "TLS"),)),
        contract,
    ).claims
    assert {proof.requirement for proof in found[0].proofs} == {"cors/origins", "cors/wildcard-credentials"}
    assert (found[1].proofs, found[1].reason) == ((), NOBODY)


def test_the_document(contract: Contract) -> None:
    strange = claims(report(endpoints=(endpoint("GET", "/strange"),), openapi_updated=True), contract).claims[-1]
    assert strange.wrong == "openapi.yaml has no GET /strange"
    known = claims(report(endpoints=(endpoint("GET", "/notes"),), openapi_updated=True), contract).claims[-1]
    assert known.proofs == (Proof("drift/served-contract"),)


@pytest.mark.parametrize(
    ("content", "member", "said"),
    [
        (None, "reason", "not handed over"),
        ("{", "wrong", "not JSON"),
        ("[]", "wrong", "schema"),
        ('{"info": {}}', "wrong", "schema"),
        ('{"info": {"schema": "https://s/collection/v2.1.0/x"}, "item": []}', "wrong", "no request"),
        (
            json.dumps(
                {
                    "info": {"schema": "https://s/collection/v2.1.0/x"},
                    "item": [{"item": [{"request": {}}]}, {"request": {}}],
                }
            ),
            "seen",
            "2 requests",
        ),
    ],
)
def test_a_collection(contract: Contract, tmp_path: Path, content: str | None, member: str, said: str) -> None:
    if content is not None:
        (tmp_path / "c.json").write_text(content)
    found = claims(report(tmp_path / "report.json", postman_collection="c.json"), contract).claims[0]
    assert said in getattr(found, member)


def test_only_what_lies_beside_the_report_is_read(contract: Contract, tmp_path: Path) -> None:
    (tmp_path / "secret.json").write_text("{}")
    inside = tmp_path / "inside"
    inside.mkdir()
    for name in ("../secret.json", str(tmp_path / "secret.json"), "."):
        found = claims(report(inside / "report.json", postman_collection=name), contract).claims[0]
        assert "not handed over" in found.reason


# -- verdicts ------------------------------------------------------------------------------------------------------------


def result(requirement: str, verdict: Verdict, subject: str = "GET /me", **rest: Any) -> Result:
    empty: dict[str, Any] = {"title": "", "level": "MUST", "clause": "", "clause_url": "", "catalogue": ()}
    return Result(requirement=requirement, subject=subject, verdict=verdict, **empty, **rest)


def ran(*results: Result, **rest: Any) -> Run:
    return Run(
        contract="c", target="t", version="0", started="", seconds=0, requests=0, seed=0, results=results, **rest
    )


EVIDENCE = Evidence("sent", "required", "401", "200 without credentials", "again")
CLAIM = Claim("/x", "it holds", (Proof("a/b", "GET /me"), Proof("a/c")))


@pytest.mark.parametrize(
    ("results", "verdict"),
    [
        ((result("a/b", Verdict.UPHELD), result("a/c", Verdict.UPHELD)), Verdict.UPHELD),
        ((result("a/b", Verdict.UPHELD),), Verdict.UNPROVEN),
        ((result("a/b", Verdict.UPHELD, "GET /you"), result("a/c", Verdict.UPHELD)), Verdict.UNPROVEN),
        ((result("a/b", Verdict.UPHELD), result("a/c", Verdict.UNPROVEN, reason="nobody")), Verdict.UNPROVEN),
        ((result("a/b", Verdict.UPHELD), result("a/c", Verdict.NOT_APPLICABLE, reason="none")), Verdict.UNPROVEN),
        ((result("a/b", Verdict.BREACHED, evidence=EVIDENCE), result("a/c", Verdict.UPHELD)), Verdict.BREACHED),
        ((result("a/b", Verdict.UPHELD), result("a/c", Verdict.ADVISORY, evidence=EVIDENCE)), Verdict.BREACHED),
        ((result("a/b", Verdict.UPHELD), result("a/c", Verdict.WAIVED, evidence=EVIDENCE)), Verdict.BREACHED),
        ((), Verdict.UNPROVEN),
    ],
)
def test_a_claim_is_as_good_as_its_proofs(contract: Contract, results: tuple[Result, ...], verdict: Verdict) -> None:
    found = settled(CLAIM, ran(*results), contract)
    assert found.verdict is verdict
    assert found.reason or verdict is Verdict.UPHELD


def test_what_is_said_of_each(contract: Contract) -> None:
    unproven = settled(CLAIM, ran(result("a/b", Verdict.UNPROVEN, reason="nobody", add="a line")), contract)
    assert (unproven.reason, unproven.add) == ("a/b: nobody", "a line")
    breached = settled(CLAIM, ran(result("a/b", Verdict.BREACHED, evidence=EVIDENCE)), contract)
    assert (breached.reason, breached.by, breached.findings) == (EVIDENCE.actual, ("a/b[GET /me]",), (EVIDENCE,))
    part = (result("a/b", Verdict.UPHELD), result("a/c", Verdict.UPHELD), result("a/c", Verdict.UNPROVEN, "GET /x"))
    assert "on 2 of 3" in settled(CLAIM, ran(*part), contract).reason
    stopped = settled(CLAIM, ran(stopped="interrupted"), contract)
    assert "interrupted" in stopped.reason


def test_one_proof_may_be_enough(contract: Contract) -> None:
    either = replace(CLAIM, any_of=True)
    assert settled(either, ran(result("a/b", Verdict.UPHELD)), contract).verdict is Verdict.UPHELD
    assert settled(either, ran(result("a/b", Verdict.UNPROVEN, reason="x")), contract).verdict is Verdict.UNPROVEN
    refuted = ran(result("a/b", Verdict.UPHELD), result("a/c", Verdict.BREACHED, evidence=EVIDENCE))
    assert settled(either, refuted, contract).verdict is Verdict.BREACHED


def test_what_cannot_be_seen_can_be_refuted_and_not_proven(contract: Contract) -> None:
    hidden = replace(CLAIM, proofs=(Proof("a/b", "GET /me"),), reason="how it is kept cannot be seen")
    held = settled(hidden, ran(result("a/b", Verdict.UPHELD)), contract)
    assert (held.verdict, held.by) == (Verdict.UNPROVEN, ("a/b[GET /me]",))
    assert "what can be seen holds: a/b" in held.reason
    refuted = settled(hidden, ran(result("a/b", Verdict.BREACHED, evidence=EVIDENCE)), contract)
    assert refuted.verdict is Verdict.BREACHED


@pytest.mark.parametrize(
    ("ended", "claim", "status"),
    [
        (0, Verdict.UPHELD, 0),
        (1, Verdict.UPHELD, 0),
        (0, Verdict.BREACHED, 1),
        (0, Verdict.UNPROVEN, 0),
        (3, Verdict.UNPROVEN, 3),
        (4, Verdict.BREACHED, 4),
        (130, Verdict.UNPROVEN, 130),
    ],
)
def test_whose_fault_it_is(contract: Contract, ended: int, claim: Verdict, status: int) -> None:
    judged = replace(settled(CLAIM, ran(), contract), verdict=claim)
    found = Verified(report(), ran(exit_status=ended), (judged,))
    assert found.exit_status == status
    assert found.document()["summary"][str(claim)] == 1
