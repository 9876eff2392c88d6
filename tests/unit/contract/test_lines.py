"""Which lines make a promise."""

from __future__ import annotations

from upheld.contract.lines import promised_at
from upheld.contract.load import load

from .conftest import Write, document, operation

UPHELD = """\
upheld: 1
extends: standard
errors: {format: rfc9457}
rate_limits:
  - {op: POST /login, quota: 10/min, key: ip}
  - {op: "**", quota: 100/min, key: ip}
roles:
  - {op: GET /admin, allow: [admin]}
caching:
  routes:
    GET /login: 60s
identities: {admin: {role: admin, token_env: TOKEN}}
"""
PATHS = {"/login": {"post": operation(), "get": operation()}, "/admin": {"get": operation()}}


def lines(write: Write, label: str | None, *reads: str, rule: int | None = None) -> list[str]:
    contract = load(write(upheld=UPHELD, openapi=document(PATHS)))
    chosen = None if rule is None else contract.rate_rules[rule]
    places = promised_at(contract, reads, contract.operation(label), chosen)
    return [str(place).rpartition("/")[2] for place in places]


def test_the_line_that_names_the_operation_comes_first(write: Write) -> None:
    assert lines(write, "GET /admin", "roles", "errors.format")[::2] == ["upheld.yaml:8", "upheld.yaml:3"]
    assert lines(write, "GET /login", "caching.routes")[0] == "upheld.yaml:11"
    assert lines(write, "POST /login", "rate_limits")[0] == "upheld.yaml:5"
    assert lines(write, "GET /admin", "rate_limits")[0] == "upheld.yaml:6"


def test_a_rule_has_its_own_line(write: Write) -> None:
    assert lines(write, None, "rate_limit.headers", rule=1) == ["upheld.yaml:6"]


def test_without_one_it_is_the_operation(write: Write) -> None:
    (place,) = lines(write, "GET /admin", "cors.origins")
    name, _, line = place.partition(":")
    text = (write() / "openapi.yaml").read_text().splitlines()[int(line) - 1]
    assert (name, '"get"' in text) == ("openapi.yaml", True)


def test_a_service_has_the_keys_that_are_written_else_the_standard(write: Write) -> None:
    assert lines(write, None, "errors.format", "cors.origins") == ["upheld.yaml:3"]
    assert lines(write, None, "cors.origins") == ["upheld.yaml:2"]


def test_a_served_document_has_no_lines(write: Write) -> None:
    folder = write(upheld="upheld: 1\nopenapi: /openapi.json\n")
    contract = load(
        folder, openapi_bytes=b'{"openapi": "3.1.0", "info": {}, "paths": {"/a": {"get": {"responses": {}}}}}'
    )
    (place,) = promised_at(contract, (), contract.operations[0])
    assert (place.file, place.line) == (contract.policy_file, 1)
