"""From documents to the files of a contract: what is in force, what can be switched on, what is asked, what is never done."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.unit.contract.conftest import answer, body, document, fields, operation

from upheld.contract import Contract
from upheld.contract.load import load
from upheld.errors import ContractError, TargetUnreachable, UsageError
from upheld.exchange import Request, Response
from upheld.run.init import begin as module
from upheld.run.init.begin import Beginning, begin, write
from upheld.run.init.draft import Address, Doors, draft
from upheld.run.init.people import people
from upheld.run.init.signs import Look, signs
from upheld.run.init.visitor import Visitor

TOKENS = answer(fields("access_token", "refresh_token"))
LOGIN = operation(requestBody=body(fields("email", "password")), responses=TOKENS, security=[])
SIGNED: dict[str, Any] = {"security": [{"auth": []}]}
BEARER = {"securitySchemes": {"auth": {"type": "http", "scheme": "bearer"}}}
ITEM = fields("id", "name")
ID = {"parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}]}
ITEMS: dict[str, Any] = {
    "/items": {
        "get": operation(responses=answer({"type": "array", "items": ITEM}), **SIGNED),
        "post": operation(
            requestBody=body(ITEM), responses={**answer(ITEM, "201"), "409": {"description": "taken"}}, **SIGNED
        ),
    },
    "/items/{id}": {
        "get": operation(responses={**answer(ITEM), "304": {"description": "same"}}, **ID, **SIGNED),
        "delete": operation(responses={"204": {"description": "gone"}}, **ID, **SIGNED),
    },
    "/admin/users": {"get": operation(**SIGNED)},
    "/reports/sales": {"get": operation(**SIGNED)},
}
CLOSED = {"/auth/login": {"post": LOGIN}, **ITEMS}
OPEN = {"/auth/register": {"post": operation(requestBody=body(fields("email", "password")), security=[])}, **CLOSED}
OAUTH = {
    "securitySchemes": {
        "auth": {
            "type": "oauth2",
            "flows": {
                "clientCredentials": {"tokenUrl": "/oauth/token", "scopes": {"items:read": "read"}},
                "authorizationCode": {
                    "tokenUrl": "/oauth/token",
                    "authorizationUrl": "/oauth/authorize",
                    "scopes": {},
                },
            },
        }
    }
}
TOKEN = operation(
    requestBody=body(fields("grant_type"), "application/x-www-form-urlencoded"), responses=TOKENS, security=[]
)
OF_OAUTH = {"/oauth/token": {"post": TOKEN}, "/oauth/authorize": {"get": operation(security=[])}, **ITEMS}
SILENT = {
    path: {method: {name: part for name, part in op.items() if name != "security"} for method, op in item.items()}
    for path, item in CLOSED.items()
}
DOCUMENTS: dict[str, dict[str, Any]] = {
    "3.1": document(OPEN, components=BEARER),
    "3.0": document(OPEN, "3.0.3", components=BEARER),
    "nobody can register": document(CLOSED, components=BEARER),
    "no security": document({"/items": {"get": operation()}}),
    "OAuth": document(OF_OAUTH, components=OAUTH),
    "keys": document(ITEMS, components={"securitySchemes": {"auth": {"type": "apiKey", "in": "header", "name": "X-Key"}}}),
    "basic": document(ITEMS, components={"securitySchemes": {"auth": {"type": "http", "scheme": "basic"}}}),
    "silent": document(SILENT, components=BEARER),
    "a server of its own": document(OPEN, components=BEARER, servers=[{"url": "https://api.shop.test/v1"}]),
    "a strange title": document(OPEN, components=BEARER, info={"title": "x\ntarget: {url: evil}\n# ", "version": "1"}),
}  # fmt: skip


def switched_on(text: str) -> str:
    """The file with every line in force that only ``#`` keeps from it."""
    return re.sub(r"(?m)^#(?! \S)", "", text)


class Person:
    """Answers questions by a word in them; Enter to all others."""

    def __init__(self, **answers: str) -> None:
        self.answers = answers
        self.asked: list[str] = []

    def __call__(self, question: str, default: str) -> str:
        self.asked.append(question)
        return next((answer for word, answer in self.answers.items() if word in question), default)


def nobody(question: str, default: str) -> str:
    return ""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def file(spec: Mapping[str, Any], name: str = "spec.json") -> str:
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"info": {"title": "Shop", "version": "1"}, **spec}))
    return name


def begun(spec: Mapping[str, Any], ask: Any = nobody, **how: Any) -> Beginning:
    made = begin(file({**spec, "info": {"title": "Shop", "version": "1"}}), ask=ask, **how)
    write(made)
    return made


def begun_from(name: str) -> Beginning:
    made = begin(file(DOCUMENTS[name]), ask=nobody, folder=Path("out"))
    write(made)
    return made


@pytest.mark.parametrize("name", DOCUMENTS)
def test_the_files_load_without_a_complaint(name: str) -> None:
    made = begun_from(name)
    contract = load("out")
    assert contract.notes == ()
    assert len(contract.operations) == len(made.contract.operations)
    assert contract.document["openapi"] == DOCUMENTS[name]["openapi"]


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_line_can_be_switched_on(name: str) -> None:
    begun_from(name)
    path = Path("out/upheld.yaml")
    before = load("out")
    path.write_text(switched_on(path.read_text()))
    after = load("out", target_url="http://127.0.0.1:8000/v1" if "server" in name else None)
    assert len(path.read_text().splitlines()) > 5
    # What was read from the document says the same once it is written down.
    for step in ("register", "login", "refresh", "logout"):
        assert getattr(after.auth, step) == getattr(before.auth, step) or name in ("silent", "a server of its own")


def test_in_force_is_only_what_nobody_could_infer() -> None:
    made = begun(DOCUMENTS["3.1"], target=None)
    lines = [line for line in made.files[Path("contracts/shop/upheld.yaml")].splitlines() if line[:1] not in ("#", "")]
    assert lines == [
        "upheld: 1",
        "openapi: openapi.yaml",
        "identities:  # registered by POST /auth/register for each run",
        "  alice: {role: user}",
        "  bob: {role: user}",
    ]


def test_what_was_read_is_there_with_its_reason() -> None:
    text = begun(DOCUMENTS["3.1"]).files[Path("contracts/shop/upheld.yaml")]
    assert "#  login: {op: POST /auth/login, body: {email: $user, password: $password}, access: /access_token, " in text
    assert "login: is named auth, its body has a password" in text
    assert "#unique: [email, name]" in text
    assert '#  - {op: "* /admin/**", allow: [admin]}' in text
    assert "complex_ops: [GET /reports/sales]" in text
    assert '#caching: {etag: ["GET /items/{id}"]}  # GET /items/{id} documents ETag or 304' in text
    assert "# - items (/items/{id}): create, list, read, delete; id /id; owned" in text


def test_what_was_seen_can_be_switched_on() -> None:
    contract = contract_of(DOCUMENTS["3.1"])
    seen = Look(
        contract.by_label["GET /items"],
        Request("GET", "/items"),
        Response.of(
            200,
            [],
            ratelimit_policy='"default";q=100;w=60',
            cache_control="max-age=30",
            access_control_allow_origin="*",
        ),
    )
    refused = Look(contract.by_label["GET /items"], Request("GET", "/items"), Response.problem(401))
    found = signs(contract, [seen], refused)
    text = draft(
        contract,
        people(contract, "shop", nobody),
        found,
        Address("http://127.0.0.1:1"),
        Doors(),
        folder="x",
        document="openapi.yaml",
    )
    Path("upheld.yaml").write_text(switched_on(text))
    Path("openapi.yaml").write_text(json.dumps(DOCUMENTS["3.1"]))
    policy = load("upheld.yaml").policy
    assert [(rule.op, rule.quota) for rule in policy.rate_limits] == [("**", (100, 60.0))]
    assert policy.rate_limit.headers == "draft-10"
    assert policy.errors.format == "rfc9457"
    assert policy.caching.routes == {"GET /items": 30.0}
    assert policy.cors.origins == ("*",)


def contract_of(spec: Mapping[str, Any]) -> Contract:
    from upheld.contract.load import from_parts

    return from_parts({}, spec)


# -- people --------------------------------------------------------------------------------------------------------------


def test_off_a_terminal_what_nobody_knows_stays_a_comment_and_is_told() -> None:
    made = begun(DOCUMENTS["nobody can register"])
    assert not made.contract.policy.identities
    assert [line.partition(":")[0] for line in made.unknown] == ["where it runs", "who signs in"]
    text = made.files[Path("contracts/shop/upheld.yaml")]
    assert "#  alice: {role: user, user: alice@example.com, password_env: SHOP_ALICE_PASSWORD}" in text


def test_on_a_terminal_it_is_asked_for() -> None:
    person = Person(where="", sign="ann@shop.test", Role="clerk", Another="ben@shop.test")
    made = begun(DOCUMENTS["nobody can register"], person)
    found = made.contract.policy.identities
    assert {name: (one.role, one.user, one.password_env) for name, one in found.items()} == {
        "ann": ("clerk", "ann@shop.test", "SHOP_ANN_PASSWORD"),
        "ben": ("clerk", "ben@shop.test", "SHOP_BEN_PASSWORD"),
    }
    assert made.people.variables == ("SHOP_ANN_PASSWORD", "SHOP_BEN_PASSWORD")
    assert made.unknown == ("where it runs: target.url",)


def test_where_people_register_only_an_administrator_is_asked_for() -> None:
    person = Person(administrator="root@shop.test")
    made = begun(DOCUMENTS["3.1"], person)
    assert list(made.contract.policy.identities) == ["alice", "bob", "admin"]
    assert made.contract.policy.identities["admin"].role == "admin"
    assert len(person.asked) == 2


@pytest.mark.parametrize(
    ("name", "form"),
    [
        ("keys", "#  alice: {role: user, api_key_env: SHOP_ALICE_KEY}"),
        ("OAuth", "#  alice: {role: user, token_env: SHOP_ALICE_TOKEN}"),
        ("basic", '#  alice: {role: user, headers: {Authorization: "Basic ${SHOP_ALICE_BASIC}"}}'),
    ],
)
def test_credentials_without_a_login(name: str, form: str) -> None:
    assert form in begun(DOCUMENTS[name]).files[Path("contracts/shop/upheld.yaml")]


def test_a_credential_that_somebody_has() -> None:
    made = begun(DOCUMENTS["keys"], Person(environment="yes"))
    assert made.contract.policy.identities["alice"].api_key_env == "SHOP_ALICE_KEY"
    assert made.people.variables == ("SHOP_ALICE_KEY",)


def test_a_document_that_does_not_say_who_may_come_in() -> None:
    made = begun(DOCUMENTS["silent"])
    text = made.files[Path("contracts/shop/upheld.yaml")]
    assert "#public: [POST /auth/login]" in text
    assert any(line.startswith("who may come in: public") for line in made.unknown)
    Path("contracts/shop/upheld.yaml").unlink()
    Path("contracts/shop/openapi.yaml").unlink()
    said = begun(DOCUMENTS["silent"], Person(credentials="yes", sign="ann"))
    assert said.contract.policy.public == ("POST /auth/login",)
    assert said.contract.by_label["GET /items"].secured
    assert [line.partition(":")[0] for line in said.unknown] == ["where it runs"]


# -- where it runs -------------------------------------------------------------------------------------------------------


def test_a_server_that_the_document_names_is_neither_visited_nor_in_force(monkeypatch: pytest.MonkeyPatch) -> None:
    def visited(*_: object) -> None:
        raise AssertionError("somebody was asked")

    monkeypatch.setattr(module, "visiting", visited)
    made = begun(DOCUMENTS["a server of its own"])
    text = made.files[Path("contracts/shop/upheld.yaml")]
    assert '#  url: "https://api.shop.test"' in text
    assert made.sent == 0
    again = begin("spec.json", ask=Person(), folder=Path("again"))
    assert again.contract.policy.target.url == "https://api.shop.test"
    assert (again.sent, again.host) == (0, "api.shop.test")


def test_a_host_that_is_not_allowed_is_not_asked() -> None:
    with pytest.raises(UsageError, match=r"--allow-host api.shop.test"):
        begin("https://api.shop.test/openapi.json", ask=nobody)
    with pytest.raises(UsageError, match=r"--allow-host api.shop.test"):
        begin(file(DOCUMENTS["3.1"]), ask=nobody, target="https://api.shop.test")
    assert not Path("contracts").exists()


PAUSE = httpx.Response(503, headers={"Retry-After": "5"})


@pytest.mark.parametrize(("said", "more"), [(httpx.Response(429), 0), (PAUSE, 0), (httpx.Response(503), 2)])
def test_a_service_that_asks_for_a_pause_is_left_alone(said: httpx.Response, more: int) -> None:
    asked: list[str] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        return said if request.url.path == "/b" else httpx.Response(200, json={})

    visitor = Visitor(httpx.Client(transport=httpx.MockTransport(handler)), "http://127.0.0.1:1")
    contract = contract_of(document({path: {"get": operation()} for path in ("/a", "/b", "/c")}))
    module.look(visitor, contract, visitor.origin)
    assert asked[:2] == ["/a", "/b"]
    assert len(asked[2:]) == more


def test_a_target_that_is_named_has_to_be_there(free_port: int) -> None:
    with pytest.raises(TargetUnreachable):
        begin(file(DOCUMENTS["3.1"]), ask=nobody, target=f"http://127.0.0.1:{free_port}")
    assert not Path("contracts").exists()


@pytest.fixture
def free_port() -> int:
    from upheld.targets.ports import free_port

    return free_port()


# -- writing -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["upheld.yaml", "upheld.yml", "openapi.yaml", "openapi.json"])
def test_nothing_is_overwritten(name: str) -> None:
    Path("contracts/shop").mkdir(parents=True)
    Path("contracts/shop", name).write_text("mine")
    with pytest.raises(UsageError, match=rf"contracts/shop/{name} exists, .*`--output FOLDER`"):
        begun(DOCUMENTS["3.1"])
    assert [path.name for path in Path("contracts/shop").iterdir()] == [name]
    assert Path("contracts/shop", name).read_text() == "mine"


def test_a_file_that_comes_between_is_kept_and_the_other_is_taken_back() -> None:
    made = begin(file(DOCUMENTS["3.1"]), ask=nobody, folder=Path("out"))
    Path("out").mkdir()
    Path("out/upheld.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"out/upheld.yaml exists"):
        write(made)
    assert [path.name for path in Path("out").iterdir()] == ["upheld.yaml"]
    assert Path("out/upheld.yaml").read_text() == "mine"


def test_an_interrupted_writing_leaves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = begin(file(DOCUMENTS["3.1"]), ask=nobody, folder=Path("deep/er/out"))
    opened = Path.open

    def interrupted(path: Path, *how: Any, **more: Any) -> Any:
        if path.name == "upheld.yaml":
            raise KeyboardInterrupt
        return opened(path, *how, **more)

    monkeypatch.setattr(Path, "open", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write(made)
    assert not Path("deep").exists()


def test_an_interrupted_question_leaves_nothing() -> None:
    def interrupted(question: str, default: str) -> str:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        begun(DOCUMENTS["3.1"], interrupted)
    assert not Path("contracts").exists()


def test_a_document_that_lies_in_its_place_stays_as_it_is() -> None:
    source = file(DOCUMENTS["3.1"], "contracts/shop/openapi.json")
    before = Path(source).read_text()
    made = begin(source, ask=nobody)
    write(made)
    assert list(made.files) == [Path("contracts/shop/upheld.yaml")]
    assert Path(source).read_text() == before
    assert load("contracts/shop").openapi_file == source


def test_a_document_that_cannot_be_used_writes_nothing() -> None:
    broken = document({"/items": {"get": operation(responses=answer({"$ref": "elsewhere.yaml#/A"}))}})
    with pytest.raises(ContractError, match="points to a file that is not there"):
        begun(broken)
    assert not Path("contracts").exists()


def test_the_folder_is_named_after_the_title() -> None:
    spec = {**DOCUMENTS["3.1"], "info": {"title": "The Shop API (v2)", "version": "1"}}
    assert begin(file(spec), ask=nobody).folder == Path("contracts/shop-v2")
    spec["info"] = {"title": "API", "version": "1"}
    assert begin(file(spec), ask=nobody).folder == Path("contracts/service")
