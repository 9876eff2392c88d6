"""Plans: what they hold, how they travel, and that no secret is in them."""

from __future__ import annotations

import json
import re
import stat
from copy import deepcopy
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.load.making import plan, pressed

from upheld import sample
from upheld.check import Example
from upheld.contract.load import from_parts
from upheld.errors import SetupError
from upheld.exchange import Headers, Request, Response, Session
from upheld.load.corpus import Case, laid_over
from upheld.load.members import Members
from upheld.load.plan import MAKER, MEMBER, UNIQUE, Plan, Template, loads, missing_secrets, render
from upheld.load.prepare import ODD_SHIPPED, _signed_in_again, make_plan
from upheld.load.rates import FEWER, HASHING
from upheld.load.renewal import Credentials
from upheld.load.run import save_plan
from upheld.load.schedule import schedule
from upheld.load.templates import CannotMake, refers, secrets_of, sign_in, templates, text
from upheld.load.tokens import renewing
from upheld.load.traffic import Traffic
from upheld.verdict import LeftOut


def document() -> dict[str, Any]:
    """The part of the sample that is worth a load run: goods, orders, and who comes in."""
    whole = deepcopy(dict(sample.contract().document))
    paths = {"/health", "/auth/register", "/auth/login", "/auth/refresh", "/auth/logout", "/users/me", "/items", "/items/{item_id}",
             "/orders", "/orders/{order_id}"}  # fmt: skip
    whole["paths"] = {path: item for path, item in whole["paths"].items() if path.removeprefix(sample.PREFIX) in paths}
    for path, method in (("users/me", "patch"), ("users/me", "delete"), ("orders/{order_id}", "put")):
        del whole["paths"][f"{sample.PREFIX}/{path}"][method]
    return whole


class InMemory:
    """Stands in for `upheld.load.plain.Plain`: the sample shop, or another service, without a socket."""

    def __init__(self, service: Any) -> None:
        self.service = service
        self.sent = 0
        self.seen: list[Request] = []

    def ask(self, method: str, target: str, headers: Any, body: bytes | None = None) -> Response:
        self.sent += 1
        path, _, query = target.partition("?")
        pairs = tuple(parse_qsl(query))
        request = Request(method, path, pairs, Headers(headers), body)
        self.seen.append(request)
        answer: Response = self.service(request)
        return answer


def prepared(
    profile: Any = "raised",
    *,
    rate: float = 50.0,
    seconds: Any = 60.0,
    policy: dict[str, Any] | None = None,
    roles: tuple[str, ...] = ("user", "user", "admin"),
    service: Any = None,
    corpus: Any = None,
) -> tuple[Plan, sample.Shop, InMemory, list[Session]]:
    """The sample's plan, made by talking to its shop in memory."""
    shop = sample.Shop()
    sessions = [shop.session(f"{role}{number}", role) for number, role in enumerate(roles)]
    contract = from_parts({**sample.POLICY, **(policy or {})}, document(), name="sample")
    http = InMemory(service or shop)
    known = {session.name: secrets_of(session) for session in sessions}
    members: Any = Members(contract, sessions, http, known, namespace="abcdef", each=3)  # type: ignore[arg-type]
    made = make_plan(
        contract,
        members,
        origin="http://127.0.0.1:1",
        seconds=seconds,
        rate=rate,
        profile=profile,
        seed=1,
        corpus=corpus,
    )
    return made, shop, http, sessions


# -- travelling ----------------------------------------------------------------------------------------------------------

TEXTS = st.lists(st.text(max_size=5), min_size=1, max_size=5).map(tuple)


@given(TEXTS, st.text(max_size=9), TEXTS, st.floats(0.1, 1e4))
def test_a_plan_survives_its_journey(path: tuple[str, ...], identity: str, body: tuple[str, ...], rate: float) -> None:
    template = Template(path, identity, headers=(("Content-Type", body),), body=body)
    made = plan(
        pressed(templates=(template, Template(("/",))), rate=rate, makes="/a", id_pointer="/id"),
        pools={"/a": (("1", "alice"),)},
        left_out=(LeftOut("GET /b", "crud", 200.0, "why"),),
        notes=("a note",),
    )
    assert loads(made.dumps()) == made
    assert loads(made.dumps()).digest == made.digest


@pytest.mark.parametrize(
    "damage", ["{}", "[]", "nonsense", '{"schema": "upheld.load-plan/2"}', '{"schema": "other/1"}']
)
def test_what_is_no_plan_is_refused(damage: str) -> None:
    with pytest.raises(ValueError, match=r"plan|Expecting"):
        loads(damage)


def test_a_plan_says_whose_secrets_it_needs() -> None:
    made = plan(
        pressed(templates=(Template(("/",), "alice"), Template(("/",), person="bob"), Template(("/",), "alice"))),
        pools={"/a": (("1", "carol"),)},
    )
    assert made.identities == ("alice", "bob", "carol")
    assert list(missing_secrets(made, {"alice": {}})) == ["bob", "carol"]


def test_a_plan_says_what_it_will_send() -> None:
    made = plan(pressed("GET /a", rate=10.0), pressed("GET /b", rate=2.5), seconds=60.0, warmup=5.0)
    assert made.told == "2 operations at 12.5/s, by the clock, for 60 s after 5 s of warm-up"
    waiting = plan(seconds=300.0, least=10.0, longest=300.0, model="closed", users=4)
    assert "4 users who wait for answers, for 10 to 300 s" in waiting.told


@given(st.lists(st.sampled_from(["q7zk4v9x2m1w", "Q7ZK4V9X2M1W", "upheldmember5x8c", "a", '"', "7"]), max_size=8))
def test_marks_become_splices(pieces: list[str]) -> None:
    marked = "".join(pieces)
    filled = render(text(marked), {"unique": "u1", "UNIQUE": "U1", "member": "m1"})
    expected = marked.replace("q7zk4v9x2m1w", "u1").replace("Q7ZK4V9X2M1W", "U1").replace("upheldmember5x8c", "m1")
    assert filled == expected


def test_saved_secrets_are_for_their_owner_alone(tmp_path: Path) -> None:
    made, _, _, sessions = prepared()
    known = {session.name: secrets_of(session) for session in sessions}
    file, beside = save_plan(made, known, tmp_path / "plan.json")
    assert loads(file.read_text()) == made
    assert stat.S_IMODE(beside.stat().st_mode) == 0o600
    assert json.loads(beside.read_text()) == known


def test_no_secret_is_in_a_plan() -> None:
    made, _, _, sessions = prepared()
    for session in sessions:
        for secret in (session.access, session.password, session.refresh):
            assert secret
            assert secret not in made.dumps()


# -- from the contract ---------------------------------------------------------------------------------------------------


def test_the_sample_is_pressed_on_whole() -> None:
    made, _, _, _ = prepared()
    assert {item.name for item in made.operations} == {
        "GET /health", "POST /api/v1/auth/login", "GET /api/v1/users/me", "GET /api/v1/items", "POST /api/v1/items",
        "GET /api/v1/items/{item_id}", "PUT /api/v1/items/{item_id}", "DELETE /api/v1/items/{item_id}",
        "GET /api/v1/orders", "POST /api/v1/orders", "GET /api/v1/orders/{order_id}", "DELETE /api/v1/orders/{order_id}",
    }  # fmt: skip
    reasons = {item.name: item.reason for item in made.left_out}
    assert set(reasons) == {f"POST /api/v1/auth/{name}" for name in ("register", "refresh", "logout")}
    assert "leave an account behind" in reasons["POST /api/v1/auth/register"]
    login = next(item for item in made.operations if item.latency_class == "auth")
    assert (login.name, login.limit_ms) == ("POST /api/v1/auth/login", 1000.0)
    assert login.rate <= HASHING
    assert made.rate == pytest.approx(50, rel=0.15)
    assert made.arrivals == "poisson"
    assert made.drain > max(item.limit_ms for item in made.operations) / 1000


def test_every_request_of_the_plan_is_answered_2xx() -> None:
    made, shop, _, sessions = prepared()
    statuses = play(made, shop, sessions, limit=400, limits=False)
    assert set(statuses) <= {200, 201, 204}


def test_deletions_use_up_what_creations_make() -> None:
    made, _, _, _ = prepared()
    by_name = {item.name: item for item in made.operations}
    for kind in ("items", "orders"):
        taker = by_name[f"DELETE /api/v1/{kind}/{{{kind[:-1]}_id}}"]
        maker = by_name[f"POST /api/v1/{kind}"]
        assert taker.takes == maker.makes == f"/api/v1/{kind}"
        assert maker.id_pointer == "/id"
        assert taker.rate <= FEWER * maker.rate + 1e-9


def test_without_identities_the_secured_operations_are_left_out_and_told() -> None:
    made, _, _, _ = prepared(roles=())
    assert {item.name for item in made.operations} <= {
        "GET /health", "GET /api/v1/items", "GET /api/v1/items/{item_id}",
    }  # fmt: skip
    told = {item.name: item for item in made.left_out}
    assert told["GET /api/v1/users/me"].reason == "nobody is signed in for it"
    assert told["DELETE /api/v1/items/{item_id}"].reason == "nobody with the role admin is signed in for it"
    assert "role: admin" in told["DELETE /api/v1/items/{item_id}"].add


def test_weights() -> None:
    weights = {"GET /items": 10, "GET /health": 0, "POST /auth/login": 1}
    made, _, _, _ = prepared(policy={"load": {"weights": weights}})
    rates = {item.name: item.rate for item in made.operations}
    assert "GET /health" not in rates
    assert rates["GET /api/v1/items"] == pytest.approx(10 * rates["GET /api/v1/users/me"])
    assert rates["POST /api/v1/auth/login"] == pytest.approx(rates["GET /api/v1/users/me"])


def test_what_is_never_sent_is_not_tried_either() -> None:
    made, _, http, _ = prepared(policy={"never": ["GET /users/me"]})
    assert not any(request.path.endswith("/users/me") for request in http.seen)
    assert {item.name: item.reason for item in made.left_out}["GET /api/v1/users/me"]


def test_a_request_that_the_quiet_service_refuses_is_not_pressed() -> None:
    shop = sample.Shop()

    def picky(request: Request) -> Response:
        return Response.problem(418) if request.path.endswith("/users/me") else shop(request)

    contract = from_parts(sample.POLICY, document(), name="sample")
    session = shop.session("alice")
    members: Any = Members(
        contract, [session], InMemory(picky), {"alice": secrets_of(session)}, namespace="abcdef", each=1  # type: ignore[arg-type]
    )  # fmt: skip
    left = make_plan(contract, members, origin="", seconds=10, rate=5, profile="raised", seed=1).left_out
    assert "it answers 418" in {item.name: item.reason for item in left}["GET /api/v1/users/me"]


@pytest.mark.parametrize(("status", "says"), [(404, "not the service"), (401, "no credential works")])
def test_a_service_that_is_another_one_is_a_set_up_error(status: int, says: str) -> None:
    with pytest.raises(SetupError, match=says):
        prepared(service=lambda request: Response.problem(status))


# -- quotas --------------------------------------------------------------------------------------------------------------


def play(
    made: Plan, shop: sample.Shop, sessions: list[Session], *, limit: int | None = None, limits: bool = True
) -> list[int]:
    """The plan's schedule against the shop's virtual clock; the statuses."""
    known = Credentials(made, {session.name: secrets_of(session) for session in sessions})
    traffic = Traffic(made)
    statuses: list[int] = []
    unique, start = count(), shop.now
    renewals = {renewal: renewal.first for renewal in made.renewals}
    rates = [item.rate for item in made.operations]
    for due, index in schedule(rates, made.warmup + made.seconds, model=made.arrivals, seed=str(made.seed)):
        if limit is not None and len(statuses) >= limit:
            break
        shop.now = start + due
        if not limits:
            shop._buckets.clear()
        for renewal in [renewal for renewal, moment in renewals.items() if moment <= due]:
            renewed = InMemory(shop).ask(*known.request(renewal, f"r{next(unique)}"))
            renewals[renewal] = due + (known.book(renewal, renewed.status, renewed.headers, renewed.body) or 1e9)
        item, asked = made.operations[index], traffic.next(index)
        if asked is None:
            continue
        template = asked.template
        values = {UNIQUE: f"u{next(unique):011d}", "member": asked.member}
        values |= known.texts(template.person)
        headers = {name: render(value, values) for name, value in template.headers}
        headers |= dict(known.headers(asked.identity))
        body = None if template.body is None else render(template.body, values).encode()
        answer = InMemory(shop).ask(item.method, render(template.path, values), headers, body)
        statuses.append(answer.status)
        if answer.ok:
            traffic.answered(index, answer.body, asked.identity)
    return statuses


def test_the_plan_keeps_within_the_declared_quotas() -> None:
    """The shop's token buckets count what the set-up sent too; ten minutes of its clock, not one 429."""
    made, shop, _, sessions = prepared("shipped", seconds=600.0, rate=200.0)
    assert made.arrivals == "even"
    assert any("the rate limits allow" in note for note in made.notes)
    statuses = play(made, shop, sessions)
    assert 429 not in statuses
    assert set(statuses) <= {200, 201, 204}
    # /health is exempt; the rest stays near the quotas of three identities and one address.
    limited = sum(item.rate for item in made.operations if item.name != "GET /health")
    assert 3 * 100 / 60 < limited < 4 * 100 / 60 + 10 / 60


def test_the_shop_would_refuse_the_full_rate() -> None:
    made, shop, _, sessions = prepared("raised", seconds=60.0, rate=200.0)
    assert 429 in play(made, shop, sessions)


def test_too_few_samples_are_foretold() -> None:
    made, _, _, _ = prepared("shipped", seconds=30.0)
    assert any("in 30 s a verdict is likely (90%) on" in note and "s would do for all" in note for note in made.notes)


# -- tokens --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["raised", "shipped"])
def test_tokens_are_renewed_before_they_end_and_within_the_quotas(profile: Any) -> None:
    """The shop's access tokens live 15 minutes and its refresh tokens are good for once; 35 minutes of its clock, not one 401."""
    made, shop, _, sessions = prepared(profile, seconds=2100.0, rate=2.0)
    assert {renewal.operation for renewal in made.renewals} == {"POST /api/v1/auth/refresh"}
    assert {renewal.identity for renewal in made.renewals} == {session.name for session in sessions}
    assert len({renewal.first for renewal in made.renewals}) == 3
    assert all(0.4 * 900 < renewal.first <= 0.8 * 900 == renewal.every for renewal in made.renewals)
    assert any("3 access tokens are renewed by POST /api/v1/auth/refresh" in note for note in made.notes)
    assert set(play(made, shop, sessions, limits=profile == "shipped")) <= {200, 201, 204}
    old = replace(made, renewals=())
    assert 401 in play(old, sample.Shop(), sessions, limits=False)


def test_a_load_that_tokens_outlive_renews_none() -> None:
    made, _, _, _ = prepared(seconds=600.0)
    # Later than its end, for generators that take long to come together.
    assert all(renewal.first > made.warmup + made.longest for renewal in made.renewals)
    assert not any("renewed" in note for note in made.notes)
    assert prepared(seconds=60.0)[0].renewals == ()


def test_without_a_refresh_a_login_renews() -> None:
    session = replace(sample.Shop().session("alice"), refresh=None)
    (renewal,) = renewing(sample.contract(), [session], 2000.0, 0.0).renewals
    assert renewal.operation == "POST /api/v1/auth/login"
    assert renewal.template.person == "alice"
    assert (renewal.field, renewal.value) == ("Authorization", ("Bearer ", "access", ""))


def test_what_was_made_can_be_deleted_after_the_tokens_ended() -> None:
    """The generators' tokens stay with them; the clean-up signs in anew, and only those whose tokens were renewed."""
    made, shop, http, sessions = prepared(seconds=2000.0)
    known = {session.name: secrets_of(session) for session in sessions}
    first = replace(made, renewals=made.renewals[:1])
    shop.now += 100 * 60
    again = _signed_in_again(sample.contract(), first, known, sessions, http)  # type: ignore[arg-type]
    assert set(again) == {sessions[0].name}
    for headers, status in ((known, 401), (again, 200)):
        fields = dict(headers[sessions[0].name]["headers"])
        assert http.ask("GET", f"{sample.PREFIX}/users/me", fields).status == status


def test_a_given_token_that_ends_is_told() -> None:
    shop = sample.Shop()
    session = replace(shop.session("alice"), answer=None)
    found = renewing(sample.contract(), [session], 2000.0, 0.0)
    assert found.renewals == ()
    assert "the access token of alice ends 900 s after the start and is not renewed" in found.notes[0]


def test_too_many_tokens_for_the_quota_are_told() -> None:
    shop = sample.Shop()
    sessions = [shop.session(f"user{number}") for number in range(250)]
    found = renewing(sample.contract(), sessions, 2000.0, 0.0)
    assert found.spent["POST /api/v1/auth/refresh", ""] > 30
    assert any("too many to be renewed within POST /auth/refresh 30/60s" in note for note in found.notes)


# -- how long, with whom, for which targets ------------------------------------------------------------------------------


def test_how_many_identities_the_full_rate_takes() -> None:
    made, _, _, _ = prepared("shipped", seconds=600.0, rate=30.0)
    (note,) = [note for note in made.notes if "the rate limits allow" in note]
    needed = int(re.search(r"or give it (\d+) identities", note)[1])  # type: ignore[index]
    # 30/s less what needs no user, at 90 of the quota of 100 a minute for each.
    assert 0.6 * 30 * 60 / 90 < needed <= 30 * 60 / 90
    assert "POST /auth/login 10/60s" in note


def test_as_long_as_it_takes() -> None:
    made, _, _, _ = prepared(
        seconds="auto", policy={"load": {"longest": "3m", "model": "closed", "users": 7, "check_every": 9}}
    )
    assert (made.least, made.longest) == (10.0, 180.0)
    # What is likely to be long enough is announced.
    assert 10.0 < made.seconds <= 180.0
    assert any(f"in {made.seconds:g} s a verdict is likely" in note for note in made.notes)
    assert (made.model, made.users, made.keep) == ("closed", 7, 9)
    fixed, _, _, _ = prepared(seconds=60.0)
    assert (fixed.least, fixed.longest, fixed.seconds, fixed.model) == (60.0, 60.0, 60.0, "open")


def test_an_operation_with_a_target_of_its_own_is_held_to_it() -> None:
    made, _, _, _ = prepared(policy={"latency": {"crud": "200ms", "ops": {"POST /orders": "400ms"}}})
    by_name = {item.name: item for item in made.operations}
    assert (by_name["POST /api/v1/orders"].limit_ms, by_name["POST /api/v1/orders"].own_target) == (400.0, True)
    assert (by_name["GET /api/v1/orders"].limit_ms, by_name["GET /api/v1/orders"].own_target) == (200.0, False)


# -- what is unusual, what is new ----------------------------------------------------------------------------------------


def test_some_reads_are_of_what_the_load_made() -> None:
    made, _, _, _ = prepared()
    by_name = {item.name: item for item in made.operations}
    for name, identity in (("items", ""), ("orders", MAKER)):
        read = by_name[f"GET /api/v1/{name}/{{{name[:-1]}_id}}"]
        assert read.reads == f"/api/v1/{name}" == by_name[f"POST /api/v1/{name}"].makes
        assert {template.identity for template in read.recent} == {identity}
        assert {template.path[1] for template in read.recent} == {MEMBER}


ODD = {
    "POST /api/v1/items": (
        Case(body='{"name": "\\u00e9", "quantity": 1000}'),
        Case(body='{"name": "x", "quantity": 0}'),
        Case(
            headers=(("X-Trace", "a"), ("Authorization", "Bearer mine"), ("Host", "elsewhere")),
            body='{"name": "x", "quantity": 7}',
        ),
    ),
    "POST /api/v1/orders": (Case(body='{"note": "\\u202e"}'), Case(headers=(("X-Bad", "\x00"),))),
    "GET /api/v1/items": (Case((("limit", "100"), ("q", "a&b"))),),
    "PUT /api/v1/items/{item_id}": (Case(body='{"name": "x", "quantity": 2}'),),
}


def test_unusual_requests_that_the_quiet_service_takes_join_the_usual_ones() -> None:
    made, shop, _, sessions = prepared(corpus=ODD)
    odd = {item.name: item.odd for item in made.operations if item.odd}
    # A change of what other requests need is not among them.
    assert set(odd) == {"POST /api/v1/items", "POST /api/v1/orders", "GET /api/v1/items"}
    items = [json.loads(render(template.body or (), {UNIQUE: "mark"})) for template in odd["POST /api/v1/items"]]
    # What is refused is left out, and what is unique is spliced in.
    assert [item["quantity"] for item in items] == [1000, 7]
    assert all("mark" in item["name"] for item in items)
    # Nobody's credentials or host get in, nor whatever is no parameter.
    assert {tuple(dict(t.headers)) for t in odd["POST /api/v1/items"]} == {("Content-Type",)}
    assert [json.loads(render(t.body or (), {}))["note"] for t in odd["POST /api/v1/orders"]] == ["\u202e"]
    assert [t.path for t in odd["GET /api/v1/items"]] == [("/api/v1/items?limit=100",)]
    assert set(play(made, shop, sessions, limit=600, limits=False)) <= {200, 201, 204}


def test_a_creation_that_needs_other_things_stays_usual() -> None:
    """A stock would be used up sooner than the usual requests do."""

    def of_an_item(document: dict[str, Any]) -> None:
        order = document["components"]["schemas"]["NewOrder"]
        order["properties"]["item_id"] = {"type": "string"}
        order["required"] = [*order.get("required", ()), "item_id"]

    contract = sample.contract(Example("", document=of_an_item))
    create, item = contract.by_label["POST /api/v1/orders"], contract.by_label["POST /api/v1/items"]
    assert refers(contract, create, {}, {"item_id": "7"})
    assert not refers(contract, item, {}, {"item_id": "7"})


def test_few_are_tried_where_quotas_are_in_force() -> None:
    cases = {"GET /api/v1/items": tuple(Case((("limit", str(number)),)) for number in range(1, 30))}
    limited, _, http, _ = prepared("shipped", corpus=cases)
    assert sum("limit" in dict(request.query) for request in http.seen) == ODD_SHIPPED
    assert len({item.name: item for item in limited.operations}["GET /api/v1/items"].odd) == ODD_SHIPPED


def test_what_is_ours_stays_ours() -> None:
    odd = {"email": "odd@", "items": [{"product_id": 9, "note": "\u00e9"}, {"productId": 8}], "extra": {"email": 1}}
    usual = {"email": "mark@example.com", "items": [{"product_id": 1}]}
    assert laid_over(odd, usual, {"email", "product_id"}) == {
        "email": "mark@example.com", "items": [{"product_id": 1, "note": "\u00e9"}, {"product_id": 1}], "extra": {},
    }  # fmt: skip


# -- templates -----------------------------------------------------------------------------------------------------------


def test_unique_values_that_cannot_be_spliced_are_made_beforehand() -> None:
    def add_code(document: dict[str, Any]) -> None:
        item = document["components"]["schemas"]["NewItem"]
        item["properties"]["code"] = {"type": "string", "pattern": "^[A-Z]{3}-[0-9]{4}$"}
        item["required"].append("code")

    contract = sample.contract(Example("", document=add_code, policy={"unique": ["code"]}))
    create = contract.operation("POST /api/v1/items")
    assert create is not None
    made = templates(contract, create, identity="alice", copies=40, namespace="abcdef")
    codes = {json.loads(render(item.body or (), {"unique": "u"}))["code"] for item in made}
    assert len(made) == 40
    assert len(codes) > 35
    assert all(re.fullmatch("[A-Z]{3}-[0-9]{4}", code) for code in codes)


def test_sign_in_splices_awkward_passwords() -> None:
    login = sample.contract().auth.login
    assert login is not None
    session = Session("eve", "user", 'e"v\\e@example.test', 'p"a$s\\s\n', "t")
    template = sign_in(login, session)
    body = json.loads(render(template.body or (), {k: v for k, v in secrets_of(session).items() if isinstance(v, str)}))
    assert body == {"email": session.user, "password": session.password}
    with pytest.raises(CannotMake, match="password of eve"):
        sign_in(login, Session("eve", "user"))
