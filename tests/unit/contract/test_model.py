"""What a contract offers beside its parts, and what importing it costs."""

from __future__ import annotations

import subprocess
import sys

from upheld.contract import Operation, ResponseSpec

from .conftest import Write, answer, contract, document, fields, operation, problems

HEAVY = ("pydantic", "yaml", "jsonschema_rs", "hypothesis", "httpx")


def test_importing_the_words_of_the_contract_imports_nothing_heavy() -> None:
    code = (
        f"import sys, upheld.contract, upheld.contract.model; sys.exit(sum(name in sys.modules for name in {HEAVY!r}))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_loading_imports_neither_a_client_nor_hypothesis() -> None:
    code = (
        "import sys; from upheld.contract.load import from_parts;"
        "from_parts({}, {'openapi': '3.1.0', 'paths': {'/a': {'get': {'responses': {}}}}}).dangerous;"
        "sys.exit(sum(name in sys.modules for name in ('hypothesis', 'httpx', 'schemathesis')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_answer_that_is_documented() -> None:
    spec = {code: ResponseSpec({}, {}) for code in ("200", "4XX", "default")}
    op = Operation("GET", "/a", "", (), None, spec, ())
    assert op.success == 200
    assert op.response_for(200) is spec["200"]
    assert op.response_for(404) is spec["4XX"]
    assert op.response_for(500) is spec["default"]
    assert op.safe


def test_places_and_validators() -> None:
    made = contract({"/a": {"get": operation(responses=answer(fields("name")))}})
    assert str(made.place("rate_limits", 0)) == "upheld.yaml"
    schema = made.operations[0].responses["200"].content["application/json"]
    assert made.validator(schema) is made.validator(schema, "response")
    assert made.operation("GET /a") is made.operations[0]
    assert made.operation(None) is None


def test_keys_of_tables_may_be_spaced_freely(write: Write) -> None:
    openapi = document({"/a": {"get": operation()}})
    text = 'upheld: 1\ncaching:\n  routes:\n    "GET   /a": 1s\n    "GET   /b": 1s\n'
    found = problems(write(upheld=text, openapi=openapi))
    assert len(found) == 1
    assert found[0].startswith("upheld.yaml:5: caching.routes['GET   /b']: 'GET /b' matches no operation")
