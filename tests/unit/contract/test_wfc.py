"""WFC authentication files as identities: what is read, what is refused with its line, what is said about the rest."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tests.unit.contract.conftest import Write, answer, body, fields, operation, problems
from tests.unit.contract.conftest import document as made

from upheld.contract import Contract
from upheld.contract.load import load

LOGIN = {
    "/auth/login": {
        "post": operation(requestBody=body(fields("email", "password")), responses=answer(fields("access_token")))
    },
    "/me": {"get": operation(security=[{"bearer": []}])},
}
DOCUMENT = made(LOGIN, components={"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}})
TOKEN = "token: {extractFrom: body, extractSelector: /access_token, sendIn: header, sendName: Authorization, sendTemplate: 'Bearer {token}'}"
URL = 'upheld: 1\ntarget: {url: "http://127.0.0.1:8000"}\n'
FROM_FILE = URL + "identities: wfc.yaml\n"


@pytest.fixture
def read(write: Write) -> Any:
    """``read(wfc)`` → the contract whose identities this file holds; ``upheld`` is upheld.yaml."""

    def read(wfc: str, upheld: str = FROM_FILE, **options: Any) -> Contract:
        return load(write(upheld=upheld, openapi=DOCUMENT, wfc_yaml=wfc), **options)

    return read


def notes(contract: Contract) -> list[str]:
    return [f"{Path(place.file).name}:{place.line}: {said}" for place, said in contract.notes]


def values(contract: Contract, name: str) -> dict[str, Any]:
    """What an identity says, secrets in the places of the variables that name them."""
    identity = contract.policy.identities[name].model_dump(exclude_defaults=True)
    text = json.dumps(identity)
    for variable, value in contract.given.items():
        text = text.replace(f"${{{variable}}}", value).replace(f'"{variable}"', json.dumps(value))
    read: dict[str, Any] = json.loads(text)
    return read


# -- what real files look like -------------------------------------------------------------------------------------------


def test_one_login_for_all_becomes_the_login_of_the_contract(read: Any) -> None:
    made = read(
        f"""
auth:
  - name: foo
    loginEndpointAuth:
      payloadRaw: "{{\\"email\\": \\"foo@example.test\\", \\"password\\": \\"foo-123\\"}}"
  - name: bar
    loginEndpointAuth:
      payloadUserPwd: {{username: bar@example.test, password: "456", usernameField: email, passwordField: password}}
authTemplate:
  loginEndpointAuth:
    endpoint: /auth/login
    verb: POST
    contentType: application/json
    {TOKEN}
"""
    )
    assert values(made, "foo") == {"user": "foo@example.test", "password_env": "foo-123"}
    assert values(made, "bar") == {"user": "bar@example.test", "password_env": "456"}
    assert made.logins == {}
    assert made.auth.login is not None
    assert (made.auth.login.body, made.auth.login.access) == (
        {"email": "$user", "password": "$password"},
        "/access_token",
    )
    assert ("auth.login.op", "POST /auth/login") in {(item.key, item.value) for item in made.inferences}
    assert notes(made) == []


def test_a_login_that_upheld_yaml_states_is_not_replaced(read: Any) -> None:
    wfc = f"""
auth:
  - name: foo
    loginEndpointAuth:
      endpoint: /auth/login
      verb: POST
      payloadUserPwd: {{username: foo, password: foo-123, usernameField: email, passwordField: password}}
      {TOKEN}
"""
    stated = FROM_FILE + "auth: {login: {op: POST /auth/login, body: {email: $user, password: $password, device: x}}}\n"
    made = read(wfc, stated)
    assert made.auth.login.body == {"email": "$user", "password": "$password", "device": "x"}
    assert made.logins["foo"].body == {"email": "$user", "password": "$password"}


def test_fixed_headers_are_the_token_or_the_key_where_everybody_sends_it(read: Any) -> None:
    made = read(
        """
auth:
  - name: FOO
    fixedHeaders:
      - name: Authorization
        value: " Bearer some-token"
  - name: BAR
    fixedHeaders: [{name: authorization, value: ApiKey moderator}]
  - name: both
    fixedHeaders: [{name: X-User, value: mod}, {name: Accept, value: application/json}]
"""
    )
    assert values(made, "FOO") == {"token_env": "some-token"}
    assert values(made, "BAR") == {"headers": {"authorization": "ApiKey moderator"}}
    assert values(made, "both") == {"headers": {"X-User": "mod", "Accept": "application/json"}}
    assert "application/json" not in made.given.values()
    assert made.policy.secret_fields() == ("authorization", "X-User")


def test_logins_of_all_kinds(read: Any) -> None:
    made = read(
        f"""
auth:
  - name: form
    loginEndpointAuth:
      endpoint: login
      verb: POST
      contentType: application/x-www-form-urlencoded; charset=utf-8
      payloadUserPwd: {{username: u, password: p, usernameField: user, passwordField: pass}}
      expectCookies: true
  - name: basic
    loginEndpointAuth:
      endpoint: /service/token
      verb: GET
      headers: [{{name: Authorization, value: "Basic dGVzdDp0ZXN0"}}]
      token: {{extractFrom: header, extractSelector: X-Auth-Token, sendIn: header, sendName: X-Auth-Token}}
  - name: before-0.2
    loginEndpointAuth:
      endpoint: /auth/login
      verb: POST
      contentType: application/json
      payloadRaw: '{{"usernameOrEmail": "admin", "password": "bar123", "remember": true}}'
      token: {{extractFromField: /access_token, httpHeaderName: Authorization, headerPrefix: "JWT "}}
  - name: raw
    loginEndpointAuth:
      endpoint: /auth/login
      verb: POST
      payloadRaw: grant_type=password&username=u&password=p&client_secret=s
      {TOKEN}
"""
    )
    assert values(made, "form")["login"] == {
        "op": "POST /login", "body": {"user": "$user", "pass": "$password"}, "access": "cookie",
        "media_type": "application/x-www-form-urlencoded",
    }  # fmt: skip
    assert values(made, "basic")["login"] == {
        "op": "GET /service/token", "headers": {"Authorization": "Basic dGVzdDp0ZXN0"}, "access": "header:X-Auth-Token",
        "scheme": "apiKey:header:X-Auth-Token",
    }  # fmt: skip
    old = values(made, "before-0.2")
    assert (old["user"], old["password_env"]) == ("admin", "bar123")
    assert old["login"]["body"] == {"usernameOrEmail": "$user", "password": "$password", "remember": True}
    assert old["login"]["scheme"] == "header:Authorization:JWT {token}"
    # Another secret than the password: the whole body is one.
    assert values(made, "raw")["login"]["body"] == "grant_type=password&username=u&password=p&client_secret=s"
    assert made.logins["raw"].body == "${WFC_RAW_PAYLOAD}"
    assert made.logins["raw"].media_type == "application/x-www-form-urlencoded"
    assert notes(made) == [
        "wfc.yaml:3: form signs in with POST /login, which is not in the document; the document has POST /auth/login",
        "wfc.yaml:10: basic signs in with GET /service/token, which is not in the document",
    ]


def test_json_is_read_as_well(write: Write) -> None:
    wfc = json.dumps({"auth": [{"name": "a", "fixedHeaders": [{"name": "X-Key", "value": "key-0815"}]}]})
    folder = write(upheld=URL + "identities: wfc.json\n", openapi=DOCUMENT, wfc_json=wfc)
    assert values(load(folder), "a") == {"headers": {"X-Key": "key-0815"}}


# -- secrets -------------------------------------------------------------------------------------------------------------


def test_no_secret_of_the_file_is_shown(read: Any) -> None:
    made = read("auth: [{name: a, fixedHeaders: [{name: X-Key, value: key-0815}]}]")
    assert list(made.given.values()) == ["key-0815"]
    assert "key-0815" not in repr(made) + repr(made.policy) + repr(made.policy.imported) + repr(made.logins)
    assert list(made.policy.environment_names()) == []


def test_a_variable_of_the_environment_is_named_as_in_upheld_yaml(read: Any) -> None:
    made = read(
        f"""
auth:
  - name: a
    loginEndpointAuth:
      endpoint: /auth/login
      verb: POST
      payloadUserPwd: {{username: a@b.test, password: "${{SHOP_A}}", usernameField: email, passwordField: password}}
      {TOKEN}
  - name: b
    fixedHeaders: [{{name: Authorization, value: "Bearer ${{SHOP_B}}"}}]
  - name: c
    fixedHeaders: [{{name: Authorization, value: "Basic ${{SHOP_C}}"}}]
"""
    )
    identities = made.policy.identities
    assert identities["a"].password_env == "SHOP_A"
    assert identities["b"].token_env == "SHOP_B"
    assert identities["c"].headers == {"Authorization": "Basic ${SHOP_C}"}
    assert made.given == {}
    assert [name for _, name in made.policy.environment_names()] == ["SHOP_A", "SHOP_B", "SHOP_C"]


def test_names_of_secrets_are_nobody_elses(read: Any) -> None:
    upheld = URL + "identities: {extends: wfc.yaml, admin: {role: admin, token_env: WFC_A_X_KEY}}\n"
    wfc = "auth: [{name: a, fixedHeaders: [{name: X-Key, value: one-secret}]}, {name: A, fixedHeaders: [{name: X-Key, value: another}]}]"
    made = read(wfc, upheld)
    assert made.given == {"WFC_A_X_KEY_2": "one-secret", "WFC_A_X_KEY_3": "another"}


# -- upheld.yaml beside it -----------------------------------------------------------------------------------------------

TWO = """\
auth:
  - name: alice
    fixedHeaders: [{name: Authorization, value: Bearer alices-token}]
  - name: root
    loginEndpointAuth:
      endpoint: /auth/login
      verb: POST
      payloadUserPwd: {username: root, password: roots-password, usernameField: email, passwordField: password}
      expectCookies: true
"""


def test_lines_beside_it_change_and_add(read: Any) -> None:
    upheld = URL + (
        "identities:\n  extends: wfc.yaml\n  root: {role: admin}\n  alice: {token_env: ALICE}\n  alise: {role: user}\n"
    )
    made = read(TWO, upheld)
    assert {name: identity.role for name, identity in made.policy.identities.items()} == {
        "alice": "user", "root": "admin", "alise": "user",
    }  # fmt: skip
    assert made.policy.identities["alice"].token_env == "ALICE"
    assert made.policy.identities["root"].user == "root"
    said = "upheld.yaml:7: identities.alise is not in {}/wfc.yaml and is an identity of its own; did you mean 'alice'?"
    assert notes(made) == [said.format(made.folder)]


def test_a_token_replaces_a_login(read: Any) -> None:
    made = read(TWO, URL + "identities: {extends: wfc.yaml, root: {role: admin, token_env: ROOT}}\n")
    assert values(made, "root") == {"role": "admin", "user": "root", "token_env": "ROOT"}
    assert made.logins == {}


# -- what is not done ----------------------------------------------------------------------------------------------------

OUTSIDE = """\
auth:
  - name: a
    loginEndpointAuth: {externalEndpointURL: "@URL@", verb: GET, headers: [{name: X-Id, value: id-0815}], TOKEN}
""".replace("TOKEN", TOKEN)


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://127.0.0.1:8000/auth/token", None),
        ("http://shop.test/auth/token", "http://shop.test:80"),
        ("http://localhost:8000/auth/token", None),
    ],
)
def test_a_whole_url_may_be_the_targets(read: Any, url: str, target: str | None) -> None:
    made = read(OUTSIDE.replace("@URL@", url), target_url=target)
    assert made.unusable == {}
    assert made.logins["a"].operation.label == "GET /auth/token"


@pytest.mark.parametrize(
    "url", ["https://login.example.com/token", "http://127.0.0.1:9000/x", "https://127.0.0.1:8000/x"]
)
def test_no_other_host_is_sent_to(read: Any, url: str) -> None:
    made = read(OUTSIDE.replace("@URL@", url))
    assert "is not the target" in made.unusable["a"]
    assert notes(made)[-1].startswith("wfc.yaml:2: a can't be signed in: it signs in at ")
    settled = read(OUTSIDE.replace("@URL@", url), URL + "identities: {extends: wfc.yaml, a: {token_env: A}}\n")
    assert settled.unusable == {}


@pytest.mark.parametrize(
    ("login", "why"),
    [
        (
            "endpoint: /l, verb: GET, token: {extractFrom: body, extractSelector: /t, sendIn: query, sendName: t}",
            "in the query",
        ),
        ("endpoint: '/l?x=1', verb: GET, expectCookies: true", "has a query"),
        (
            "endpoint: /l, verb: POST, contentType: text/xml, "
            "payloadUserPwd: {username: u, password: p, usernameField: u, passwordField: p}",
            "its contentType is text/xml",
        ),
    ],
)
def test_what_upheld_does_not_do_is_said(read: Any, login: str, why: str) -> None:
    made = read(f"auth: [{{name: a, loginEndpointAuth: {{{login}}}}}]")
    assert why in made.unusable["a"]
    assert why in notes(made)[-1]


def test_what_is_passed_over_is_said(read: Any) -> None:
    made = read(
        """\
auth:
  - name: a
    requireMockHandling: true
    fixedHeaders: [{name: X-Key, value: key-0815}]
    comment: for the nightly run
  - name: b
    createUsers: {endpoint: /users, verb: POST}
configs: {blackBox: true, attempts: 2}
"""
    )
    assert notes(made) == [
        "wfc.yaml:5: auth[0].comment is no member of WFC and is passed over",
        "wfc.yaml:2: a: requireMockHandling: whatever stands in for the other service has to run; Upheld starts none",
        "wfc.yaml:6: b: createUsers is passed over: each run registers it through auth.register",
    ]
    assert not made.policy.identities["b"].has_credentials


# -- what is wrong -------------------------------------------------------------------------------------------------------

START = "auth:\n  - name: a\n    loginEndpointAuth:\n"
MEMBERS = "createUsers, fixedHeaders, loginEndpointAuth, name, requireMockHandling"


@pytest.mark.parametrize(
    ("wfc", "said"),
    [
        ("users: []\n", ["1: is no WFC authentication file: it has no list 'auth'"]),
        ("auth: []\n", ["1: auth is empty"]),
        ("auth: {a: 1}\n", ["1: auth must be a list, found a mapping"]),
        ("auth: [5]\n", ["1: auth[0] must be a mapping (lines of 'key: value'), found a number"]),
        ("auth:\n  - fixedHeaders: [{name: X, value: y}]\n", ["2: 'name' is missing from auth[0]"]),
        ("auth:\n  - name: a\n", ["2: a has neither fixedHeaders nor loginEndpointAuth"]),
        (
            "auth:\n  - {name: a, fixedHeaders: [{name: X, value: y}]}\n  - {name: a, fixedHeaders: [{name: X, value: y}]}\n",
            ["3: the name 'a' is there twice, first in wfc.yaml:2"],
        ),
        (
            "auth:\n  - name: a\n    fixedHeader: [{name: X, value: y}]\n",
            ["2: a has neither fixedHeaders nor loginEndpointAuth", "3: unknown key 'fixedHeader' in auth[0]; did you mean 'fixedHeaders'?"],
        ),
        (START + "      endpoint: /l\n", ["3: 'verb' is missing from auth[0].loginEndpointAuth"]),
        (START + "      verb: GET\n", ["3: endpoint or externalEndpointURL is missing from auth[0].loginEndpointAuth"]),
        (
            START + "      verb: post\n      endpoint: /l\n",
            ["4: auth[0].loginEndpointAuth.verb must be one of POST, GET, PATCH, DELETE, PUT, found 'post'; did you mean 'POST'?"],
        ),
        (
            START + "      verb: GET\n      endpoint: /l\n      externalEndpointURL: http://x.test/l\n",
            ["6: endpoint and externalEndpointURL are both there; one of them is meant"],
        ),
        (
            START + "      verb: GET\n      externalEndpointURL: login\n      expectCookies: true\n",
            ["5: externalEndpointURL must be a URL such as https://login.example.test/token"],
        ),
        (
            START + "      verb: POST\n      endpoint: /l\n      payloadUserPwd:\n        username: u\n        password: 12345\n",
            [
                "6: 'passwordField' is missing from auth[0].loginEndpointAuth.payloadUserPwd",
                "6: 'usernameField' is missing from auth[0].loginEndpointAuth.payloadUserPwd",
                "8: auth[0].loginEndpointAuth.payloadUserPwd.password must be text, found a number; put it in quotes",
            ],
        ),
        (
            START + "      verb: POST\n      endpoint: /l\n      expectCookies: true\n      token: {extractFrom: body, extractSelector: t, "
            "sendIn: head, sendName: A, sendTemplate: Bearer}\n",
            [
                "6: token and expectCookies: true are both there; one of them is meant",
                "7: auth[0].loginEndpointAuth.token.sendIn must be one of header, query, found 'head'; did you mean 'header'?",
                "7: sendTemplate must hold {token}",
                "7: the token's place in the body must be a JSON Pointer such as '/t'",
            ],
        ),
        (
            START + "      verb: POST\n      endpoint: /l\n      token: {extractFromField: /t, sendIn: header}\n",
            ["6: sendIn is of WFC 0.2, extractFromField of the versions before"],
        ),
        (
            "auth:\n  - name: a\n    fixedHeaders:\n      - {name: X Y, value: secret-0815}\n      - {name: X, value: \"secret\\r\\nY: z\"}\n",
            [
                "4: 'X Y' is no name of a header field (RFC 9110 section 5.1)",
                "5: the value of X must be one line of text (RFC 9110 section 5.5)",
            ],
        ),
        (
            "auth:\n  - name: a\nauthTemplate:\n  name: b\n  fixedHeaders: [{name: X, value: 5}]\n",
            [
                "4: authTemplate.name must not be there: each entry has a name of its own",
                "5: authTemplate.fixedHeaders[0].value must be text, found a number; put it in quotes",
            ],
        ),
    ],
)  # fmt: skip
def test_problems_have_their_lines_and_show_no_secret(write: Write, wfc: str, said: list[str]) -> None:
    found = problems(write(upheld=FROM_FILE, openapi=DOCUMENT, wfc_yaml=wfc))
    assert found == [f"wfc.yaml:{line}" for line in said]
    assert "0815" not in " ".join(found)
    assert "12345" not in " ".join(found)


@pytest.mark.parametrize(
    ("upheld", "said"),
    [
        ("identities: there.yaml\n", "upheld.yaml:2: identities: there.yaml cannot be read: No such file or directory"),
        ("identities:\n  extends: em.toml\n", "upheld.yaml:3: identities: em.toml is TOML; a WFC file is read as YAML or JSON"),
        ("identities:\n  extends: wfc.yaml\n  a: {rle: admin}\n", "upheld.yaml:4: unknown key 'rle' in identities.a; did you mean 'role'?"),
    ],
)  # fmt: skip
def test_problems_of_upheld_yaml(write: Write, upheld: str, said: str) -> None:
    wfc = "auth: [{name: a, fixedHeaders: [{name: X, value: y}]}]"
    assert problems(write(upheld="upheld: 1\n" + upheld, openapi=DOCUMENT, wfc_yaml=wfc)) == [said]


# -- logins and headers in upheld.yaml itself ----------------------------------------------------------------------------


def test_a_login_of_its_own_can_be_written_by_hand(write: Write) -> None:
    upheld = URL + (
        "auth: {scheme: 'header:Authorization:Token {token}'}\n"
        "identities:\n"
        "  root: {role: admin, user: root, password_env: ROOT, headers: {X-Tenant: acme},\n"
        "         login: {op: POST /auth/login, body: {email: $user, password: $password, staff: true}, scheme: bearer}}\n"
    )
    made = load(write(upheld=upheld, openapi=DOCUMENT))
    step = made.logins["root"]
    assert (step.operation.label, step.scheme) == ("POST /auth/login", "bearer")
    assert made.auth.scheme == "header:Authorization:Token {token}"
    assert made.policy.secret_fields() == ()


@pytest.mark.parametrize(
    ("identity", "said"),
    [
        ("login: {op: POST /auth/logn}", "identities.a.login.op: 'POST /auth/logn' must name one operation, it matches none; did you mean POST /auth/login?"),
        ("login: {op: POST /auth/login, access: token}", "identities.a.login.access must be a JSON Pointer such as /access_token, header:NAME or cookie, found 'token'"),
        ("login: {op: POST /auth/login, scheme: Token}", "identities.a.login.scheme must look like header:Authorization:Token {token}, found 'Token' (text)"),
        ("headers: {Authorization: Bearer abc}", "identities.a.headers must give Authorization an environment variable, such as ${SHOP_TOKEN}: secrets are never written here"),
        ("headers: {X Y: abc}", "identities.a.headers has 'X Y', which is no name of a header field"),
        ("headers: {X: 5}", "identities.a.headers must give X a text, found 5 (a number)"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_it(write: Write, identity: str, said: str) -> None:
    found = problems(write(upheld=URL + f"identities:\n  a: {{{identity}}}\n", openapi=DOCUMENT))
    assert found == [f"upheld.yaml:4: {said}"]
