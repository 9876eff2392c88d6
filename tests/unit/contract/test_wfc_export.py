"""Identities written as a WFC file: Schemathesis' own loader takes it, the schema's rules hold, and it comes back as it went."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest
from schemathesis.wfc.loader import load_from_file
from schemathesis.wfc.payloads import format_login_payload
from tests.unit.contract.conftest import Write
from tests.unit.contract.test_wfc import DOCUMENT, TOKEN, URL

from upheld.contract import Contract
from upheld.contract.load import load
from upheld.contract.source import read
from upheld.contract.wfc.export import Exported, dumps, export

LOGINS = """\
auth: {login: {op: POST /auth/login, body: {email: $user, password: $password}, access: /access_token}}
"""
PEOPLE = """\
  ann: {user: ann@example.test, password_env: ANN}
  root: {role: admin, user: root@example.test, password_env: ROOT}
  machine: {role: machine, token_env: MACHINE}
  key: {api_key_env: KEY}
  legacy: {headers: {Authorization: "Basic ${LEGACY}", X-Tenant: "${TENANT}"}}
  form:
    user: carl
    password_env: CARL
    login: {op: POST /auth/login, body: {email: $user, password: $password, device: web}, access: cookie, media_type: application/json}
  service:
    login: {op: POST /auth/login, headers: {X-Client: "${CLIENT}"}, access: "header:X-Token", scheme: "header:Authorization:Token {token}"}
"""
TEXT = {"type": "string"}
PAIR = {"type": "object", "required": ["name", "value"], "properties": {"name": TEXT, "value": TEXT}}
EITHER = {"oneOf": [{"required": ["endpoint"]}, {"required": ["externalEndpointURL"]}]}
RULES = {
    "type": "object",
    "required": ["auth"],
    "properties": {
        "schemaVersion": TEXT,
        "auth": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "additionalProperties": False,
                "properties": {
                    "name": TEXT,
                    "fixedHeaders": {"type": "array", "items": PAIR},
                    "loginEndpointAuth": {
                        "type": "object",
                        "required": ["verb"],
                        **EITHER,
                        "additionalProperties": False,
                        "properties": {
                            "endpoint": TEXT,
                            "verb": {"enum": ["POST", "GET", "PATCH", "DELETE", "PUT"]},
                            "headers": {"type": "array", "items": PAIR},
                            "contentType": TEXT,
                            "payloadRaw": TEXT,
                            "payloadUserPwd": {
                                "type": "object",
                                "required": ["username", "usernameField", "password", "passwordField"],
                                "additionalProperties": TEXT,
                            },
                            "token": {
                                "type": "object",
                                "required": ["extractFrom", "extractSelector", "sendIn", "sendName"],
                                "properties": {
                                    "extractFrom": {"enum": ["body", "header"]},
                                    "sendIn": {"enum": ["header", "query"]},
                                    "sendTemplate": {"type": "string", "pattern": "[{]token[}]"},
                                },
                            },
                            "expectCookies": {"type": "boolean"},
                        },
                    },
                },
            },
        },
    },
}
"""What https://github.com/WebFuzzing/Commons says of the parts that are written, in versions 0.2 to 0.6."""


@pytest.fixture
def contract(write: Write) -> Any:
    def make(people: str, auth: str = LOGINS, document: Any = DOCUMENT, **files: str) -> Contract:
        return load(write(upheld=f"{URL}{auth}identities:\n{people}", openapi=document, **files))

    return make


def placeholders(variable: str) -> str:
    return f"${{{variable}}}"


def told(contract: Contract) -> Exported:
    return export(contract, placeholders)


def test_every_kind_comes_back_as_it_went(contract: Any) -> None:
    before = contract(PEOPLE)
    exported = told(before)
    assert exported.notes == ()
    assert exported.roles == {"root": "admin", "machine": "machine"}
    roles = "  extends: wfc.yaml\n  root: {role: admin}\n  machine: {role: machine}\n"
    after = contract(roles, wfc_yaml=dumps(exported))
    assert dict(after.policy.identities) == dict(before.policy.identities)
    assert dict(after.logins) == dict(before.logins)
    assert after.given == {}
    assert after.notes == ()


def test_schemathesis_reads_it(contract: Any, tmp_path: Path) -> None:
    text = dumps(export(contract(PEOPLE), lambda variable: f"value-of-{variable}"))
    file = tmp_path / "wfc.yaml"
    file.write_text(text)
    jsonschema_rs.Draft202012Validator(RULES).validate(read(text, "wfc.yaml").value)
    entries = {entry.name: entry for entry in load_from_file(file)}
    assert list(entries) == ["ann", "root", "machine", "key", "legacy", "form", "service"]
    login = entries["ann"].login_endpoint_auth
    assert login is not None
    assert (login.verb, login.endpoint) == ("POST", "/auth/login")
    assert format_login_payload(login)[0] == '{"email": "ann@example.test", "password": "value-of-ANN"}'
    assert login.token is not None
    assert (login.token.send_name, login.token.send_template) == ("Authorization", "Bearer {token}")
    headers = {name: [(h.name, h.value) for h in entry.fixed_headers] for name, entry in entries.items()}
    assert headers["machine"] == [("Authorization", "Bearer value-of-MACHINE")]
    assert headers["key"] == [("X-API-Key", "value-of-KEY")]
    assert headers["legacy"] == [("Authorization", "Basic value-of-LEGACY"), ("X-Tenant", "value-of-TENANT")]
    form, service = entries["form"].login_endpoint_auth, entries["service"].login_endpoint_auth
    assert form is not None
    assert service is not None
    assert form.expect_cookies
    assert format_login_payload(form)[0] == '{"email": "carl", "password": "value-of-CARL", "device": "web"}'
    assert [(h.name, h.value) for h in service.headers] == [("X-Client", "value-of-CLIENT")]
    assert service.token is not None
    assert (service.token.extract_from, service.token.extract_selector) == ("header", "X-Token")


def test_roles_are_in_a_comment_that_gives_them_back(contract: Any) -> None:
    first = dumps(told(contract(PEOPLE))).splitlines()[2]
    assert first.endswith('identities: {extends: THIS FILE, "root": {role: "admin"}, "machine": {role: "machine"}}')


def test_a_file_that_was_imported_is_exported_again(contract: Any) -> None:
    wfc = f"auth: [{{name: a, loginEndpointAuth: {{endpoint: /l, verb: POST, payloadRaw: 'a=b&c=d', {TOKEN}}}}}]"
    made = contract("  extends: wfc.yaml\n", wfc_yaml=wfc)
    entry = export(made, lambda variable: made.given[variable]).document["auth"][0]["loginEndpointAuth"]
    assert (entry["payloadRaw"], entry["contentType"]) == ("a=b&c=d", "application/x-www-form-urlencoded")
    assert told(made).document["auth"][0]["loginEndpointAuth"]["payloadRaw"] == "${WFC_A_PAYLOAD}"


def test_a_form_keeps_its_placeholders(contract: Any) -> None:
    auth = LOGINS.replace("password: $password}", "password: $password, scope: a b}").replace(
        ", access:", ", media_type: application/x-www-form-urlencoded, access:"
    )
    login = told(contract("  a: {user: a@b.test, password_env: A}\n", auth)).document["auth"][0]["loginEndpointAuth"]
    assert login["payloadRaw"] == "email=a%40b.test&password=${A}&scope=a+b"


@pytest.mark.parametrize(
    ("people", "auth", "why"),
    [
        ("  a: {role: user}\n", LOGINS, "a is left out: each run registers it, and WFC names users that exist"),
        (
            "  a: {token_env: A}\n",
            "auth: {scheme: apiKey:query:key}\n",
            "a is left out: its token is sent in the query, and WFC has fixed header fields only",
        ),
        (
            "  a: {user: a, password_env: A}\n",
            LOGINS.replace("{login", "{scheme: apiKey:cookie:sid, login"),
            "a is left out: its token is sent in a cookie, and WFC has headers and the query",
        ),
    ],
)
def test_what_wfc_has_no_words_for_is_left_out_and_said(contract: Any, people: str, auth: str, why: str) -> None:
    exported = told(contract(people, auth))
    assert exported.document["auth"] == []
    assert exported.notes == (why,)


def test_a_login_and_header_fields_at_once_lose_the_fields(contract: Any) -> None:
    exported = told(contract("  a: {user: a, password_env: A, api_key_env: K}\n"))
    assert exported.notes == ("a: X-API-Key is left out: an entry has header fields or a login",)
    assert "fixedHeaders" not in exported.document["auth"][0]
