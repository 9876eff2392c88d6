"""Reading what somebody says was built: every member, the words for credentials, and where a bad report is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from upheld.contract.implementation import Implementation, pointer, read_implementation, schema
from upheld.errors import UsageError

REPORT: dict[str, Any] = {
    "feature": "Notes",
    "endpoints_created": [
        {"method": "get", "path": "/notes", "auth": "none", "rate_limit": None, "since": "1.2"},
        {"method": "POST", "path": "/notes", "auth": "Bearer JWT", "rate_limit": " 10/min "},
    ],
    "models_created": ["Note", {"name": "User", "fields": ["email"]}, {"name": "Token", "fields": {"value": "str"}}],
    "middleware_added": ["RateLimitMiddleware"],
    "security_measures": [{"name": "bcrypt", "description": "cost 12"}],
    "test_commands": ["curl http://127.0.0.1:8000/notes"],
    "documentation": {"openapi_updated": True, "postman_collection": "notes.json"},
    "author": "somebody",
}


def read(folder: Path, document: Any) -> Implementation:
    file = folder / "report.json"
    file.write_text(document if isinstance(document, str) else json.dumps(document))
    return read_implementation(file)


def test_every_member_is_read(tmp_path: Path) -> None:
    found = read(tmp_path, REPORT)
    assert found.feature == "Notes"
    assert [(e.pointer, e.label, e.needs_credentials, e.rate_limit) for e in found.endpoints] == [
        ("/endpoints_created/0", "GET /notes", False, ""),
        ("/endpoints_created/1", "POST /notes", True, "10/min"),
    ]
    assert [(m.name, m.fields) for m in found.models] == [("Note", ()), ("User", ("email",)), ("Token", ("value",))]
    assert [m.name for m in found.middleware] == ["RateLimitMiddleware"]
    assert [(m.pointer, m.text) for m in found.measures] == [("/security_measures/0", "bcrypt: cost 12")]
    assert found.commands == ("curl http://127.0.0.1:8000/notes",)
    assert (found.openapi_updated, found.postman_collection) == (True, "notes.json")


def test_what_is_left_out_claims_nothing(tmp_path: Path) -> None:
    found = read(tmp_path, {"feature": "x", "endpoints_created": [{"method": "GET", "path": "/x"}]})
    assert (found.endpoints[0].needs_credentials, found.endpoints[0].rate_limit) == (None, "")
    assert (found.models, found.commands, found.openapi_updated, found.postman_collection) == ((), (), False, "")


@pytest.mark.parametrize(
    ("auth", "needs"),
    [
        (True, True), (False, False), (None, False), ("bearer", True), ("JWT", True), ("admin", True), ("None", False),
        ("public", False), ("not required", False), ("", False), ("optional", None),
    ],
)  # fmt: skip
def test_words_for_credentials(tmp_path: Path, auth: Any, needs: bool | None) -> None:
    endpoint = {"method": "GET", "path": "/x", "auth": auth}
    assert read(tmp_path, {"feature": "x", "endpoints_created": [endpoint]}).endpoints[0].needs_credentials is needs


@pytest.mark.parametrize(
    ("change", "where"),
    [
        ({"feature": 1}, "/feature: "),
        ({"endpoints_created": {}}, "/endpoints_created: "),
        ({"endpoints_created": [{"method": "GET"}]}, "/endpoints_created/0: "),
        ({"endpoints_created": [{"method": "FETCH", "path": "/x"}]}, "/endpoints_created/0/method: "),
        ({"endpoints_created": [{"method": "GET", "path": "x"}]}, "/endpoints_created/0/path: "),
        ({"endpoints_created": [{"method": "GET", "path": "/x", "auth": 1}]}, "/endpoints_created/0/auth: "),
        ({"security_measures": ["x", 2]}, "/security_measures/1: "),
        ({"test_commands": [""]}, "/test_commands/0: "),
        ({"documentation": {"openapi_updated": "yes"}}, "/documentation/openapi_updated: "),
    ],
)
def test_what_is_wrong_is_told_with_its_place(tmp_path: Path, change: dict[str, Any], where: str) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, {**REPORT, **change})
    assert [line for line in str(caught.value).splitlines() if line.startswith(f"{tmp_path / 'report.json'}: {where}")]


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read(tmp_path, {"endpoints_created": [{"method": 1, "path": 2}] * 9})
    lines = str(caught.value).splitlines()
    assert (len(lines), lines[-1]) == (11, "and 9 more")
    assert any("the whole document" in line and "feature" in line for line in lines)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{", "is not JSON"),
        ("[]", "the whole document"),
        ('{"schema": "upheld.report/1"}', "--implementation"),
    ],
)
def test_other_files_are_refused(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read(tmp_path, text)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_implementation(tmp_path / "none.json")


def test_the_schema_is_one_and_takes_the_example() -> None:
    jsonschema_rs.meta.validate(schema())
    assert jsonschema_rs.Draft202012Validator(schema()).is_valid(REPORT)


def test_pointers_escape() -> None:
    assert pointer("a/b", 0, "c~d") == "/a~1b/0/c~0d"
