"""What is claimed rests on verdicts; everything else stands apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from upheld.contract import Contract
from upheld.contract.implementation import schema
from upheld.errors import UsageError
from upheld.run.handover.commands import NotACommand, read_command
from upheld.run.handover.written import RunReport, implementation, read_run

HERE = "http://127.0.0.1:8000"


def promise(requirement: str, subject: str, verdict: str = "upheld", **rest: Any) -> dict[str, Any]:
    return {
        "id": f"{requirement}[{subject}]",
        "requirement": requirement,
        "subject": subject,
        "verdict": verdict,
        "flaky": False,
        **rest,
    }


def run(*promises: dict[str, Any], **coverage: dict[str, int]) -> RunReport:
    operations = {label.replace("_", " ", 1): counts for label, counts in coverage.items()}
    document = {
        "schema": "upheld.report/1",
        "contract": "c",
        "promises": promises,
        "coverage": {"operations": operations},
    }
    return RunReport(document)


def written(found: RunReport, contract: Contract, **rest: Any) -> dict[str, Any]:
    document = implementation(found, contract, **{"base_url": HERE, **rest})
    assert list(jsonschema_rs.Draft202012Validator(schema()).iter_errors(document)) == []
    return document


def test_nothing_is_claimed_that_no_verdict_shows(contract: Contract) -> None:
    empty = written(run(), contract)
    for member in ("endpoints_created", "models_created", "middleware_added", "security_measures", "test_commands"):
        assert empty[member] == [], member
    assert (empty["documentation"], empty["verified"]) == ({}, {})
    left = {line["claim"] for line in empty["unproven"]}
    assert {operation.label for operation in contract.operations} <= left
    reasons = {line["claim"]: line["reason"] for line in empty["unproven"]}
    assert reasons["DELETE /me"] == "never sent on its own: listed under never"
    assert {"model Note", "documentation: openapi_updated"} <= left


def test_endpoints_with_what_was_seen_of_them(contract: Contract) -> None:
    found = written(
        run(
            promise("drift/operation-exists", "GET /me", detail="answered with 200"),
            promise("auth/credentials-required", "GET /me"),
            promise("drift/operation-exists", "GET /notes", detail="answered with 200"),
            promise("drift/operation-exists", "POST /auth/login", detail="answered with 401"),
            promise("ratelimit/quota", "POST /auth/login 10/60s"),
            promise("drift/operation-exists", "POST /notes", "breached"),
        ),
        contract,
    )
    assert found["endpoints_created"] == [
        {"method": "POST", "path": "/auth/login", "rate_limit": "10/min per ip"},
        {"method": "GET", "path": "/me", "auth": "bearer"},
        {"method": "GET", "path": "/notes", "auth": "none"},
    ]
    assert found["verified"]["/endpoints_created/1/auth"] == ["auth/credentials-required[GET /me]"]
    assert found["verified"]["/endpoints_created/0/rate_limit"] == ["ratelimit/quota[POST /auth/login 10/60s]"]
    left = {line["claim"]: line["reason"] for line in found["unproven"]}
    assert left["POST /notes"] == "drift/operation-exists[POST /notes] is breached"
    assert "POST /auth/login: auth" in left


@pytest.mark.parametrize("verdict", ["breached", "advisory", "waived", "unproven"])
def test_what_does_not_hold_is_not_claimed(contract: Contract, verdict: str) -> None:
    found = written(
        run(
            promise("drift/operation-exists", "GET /me"),
            promise("auth/credentials-required", "GET /me", verdict, reason="why", add="a line"),
            promise("security/headers", "service", verdict, reason="why", add="a line"),
        ),
        contract,
    )
    assert found["endpoints_created"] == [{"method": "GET", "path": "/me"}]
    assert found["middleware_added"] == []
    left = {line["claim"]: line for line in found["unproven"]}
    assert {"GET /me: auth", "security header fields"} <= set(left)
    assert ("add" in left["GET /me: auth"]) == (verdict == "unproven")


def test_flaky_is_no_proof(contract: Contract) -> None:
    assert run(promise("security/headers", "service", flaky=True)).held("security/headers") == ()


def test_models_come_from_answers_that_were_seen(contract: Contract) -> None:
    shown = promise("body/response-schema", "GET /notes")
    assert written(run(shown, **{"GET_/notes": {"200": 3}}), contract)["models_created"] == ["Note", "Notes"]
    assert written(run(shown, **{"GET_/notes": {"405": 3}}), contract)["models_created"] == []
    broken = promise("body/response-schema", "GET /notes/{id}", "breached")
    seen = {"GET_/notes": {"200": 3}, "GET_/notes/{id}": {"200": 1}}
    assert written(run(shown, broken, **seen), contract)["models_created"] == ["Notes"]


def test_models_of_requests_come_from_refusals(contract: Contract) -> None:
    refused = promise("body/invalid-input", "POST /notes")
    assert written(run(refused), contract)["models_created"] == ["Written"]
    taken = promise("body/invalid-input", "POST /notes", "breached")
    found = written(run(taken), contract)
    assert found["models_created"] == []
    assert {"claim": "model Written", "reason": "a body that holds it is not as it says"} in found["unproven"]


def test_measures_need_every_proof(contract: Contract) -> None:
    origins, wildcard = promise("cors/origins", "service"), promise("cors/wildcard-credentials", "service")
    assert written(run(origins), contract)["middleware_added"] == []
    both = written(run(origins, wildcard, promise("jwt/rotation", "service")), contract)
    assert both["middleware_added"] == ["CORS for the stated origins only"]
    assert both["security_measures"] == ["rotation of refresh tokens"]
    assert both["verified"]["/middleware_added/0"] == ["cors/origins[service]", "cors/wildcard-credentials[service]"]


def test_what_nobody_can_see_is_not_claimed(contract: Contract) -> None:
    found = run(promise("authz/secrets-exposed", "service"), promise("auth/exact-password", "service"))
    assert written(found, contract)["security_measures"] == ["no secrets in answers"]


def test_commands_run_and_hold_no_secret(contract: Contract) -> None:
    good = {label.replace(" ", "_", 1): {"200": 1} for label in contract.by_label}
    lines = written(run(**good), contract)["test_commands"]
    found = {}
    for line in lines:
        if "auth/login" in line:
            assert '"$EMAIL"' in line
            assert '"$PASSWORD"' in line
            with pytest.raises(NotACommand, match=r"\$EMAIL"):
                read_command(line, HERE)
        else:
            command = read_command(line, HERE)
            found[f"{command.request.method} {command.request.target}"] = command.wants_token
    assert found == {"GET /health": False, "GET /me": True, "GET /notes": False}
    assert written(run(**good), contract, base_url="")["test_commands"] == []


def test_the_document(contract: Contract) -> None:
    for verdict, updated in (("upheld", True), ("breached", False)):
        found = written(run(promise("drift/served-contract", "service", verdict)), contract, collection="c.json")
        assert found["documentation"] == {"openapi_updated": updated, "postman_collection": "c.json"}


@pytest.mark.parametrize(("text", "said"), [("{", "not JSON"), ("{}", "not a JSON report"), (None, "cannot be read")])
def test_what_is_no_report_of_a_run(tmp_path: Path, text: str | None, said: str) -> None:
    file = tmp_path / "report.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_run(file)


def test_a_report_that_was_written(tmp_path: Path) -> None:
    file = tmp_path / "report.json"
    file.write_text(json.dumps(run().document))
    assert read_run(file).contract == "c"
