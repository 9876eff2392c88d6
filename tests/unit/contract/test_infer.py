"""What the document tells without upheld.yaml: sessions, families, paging, prefix, unique fields."""

from __future__ import annotations

from typing import Any

import pytest

from upheld.contract import Contract
from upheld.contract.load import from_parts
from upheld.contract.sessions import sent_as, tokens_in
from upheld.contract.words import key, singular, words

from .conftest import answer, body, contract, document, fields, operation

TOKENS = fields("access_token", "refresh_token", required=("access_token",))
BEARER = {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}}
SECURED: dict[str, Any] = {"security": [{"bearer": []}]}


def told(made: Contract) -> dict[str, str]:
    return {inference.key: inference.value for inference in made.inferences}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("createSalesOrder", ("create", "sales", "order")),
        ("/api/v1/sign-out", ("api", "v", "1", "signout")),
        ("log_in_user", ("login", "user")),
        ("/users/{userId}/orders", ("users", "orders")),
        ("HTTPServer", ("http", "server")),
        ("restaurants", ("restaurants",)),
        ("logOut", ("logout",)),
    ],
)
def test_words(name: str, expected: tuple[str, ...]) -> None:
    assert words(name) == expected


def test_keys_and_singulars() -> None:
    assert {key(name) for name in ("accessToken", "access_token", "access-token", "AccessToken")} == {"access_token"}
    pairs = {"orders": "order", "categories": "category", "boxes": "box", "address": "address", "status": "status"}
    assert {word: singular(word) for word in pairs} == pairs


# -- sessions ------------------------------------------------------------------------------------------------------------

CLASSIC = {
    "/auth/register": {
        "post": operation(requestBody=body(fields("email", "password")), responses=answer(fields("id"), "201"))
    },
    "/auth/login": {"post": operation(requestBody=body(fields("email", "password")), responses=answer(TOKENS))},
    "/auth/refresh": {"post": operation(requestBody=body(fields("refresh_token")), responses=answer(TOKENS))},
    "/auth/logout": {"post": operation(requestBody=body(fields("refresh_token")), **SECURED)},
    "/auth/forgot-password": {"post": operation(requestBody=body(fields("email")))},
    "/auth/reset-password": {"post": operation(requestBody=body(fields("token", "password")))},
    "/users": {"post": operation(requestBody=body(fields("email", "password")), **SECURED)},
}


def test_a_login_of_which_nothing_is_said_to_be_required() -> None:
    # Flask-AppBuilder's: it answers 400 without a provider, and its refresh is a question.
    members = fields(
        "username",
        "password",
        provider={"enum": ["db", "ldap"], "example": "db", "type": "string"},
        refresh={"type": "boolean"},
        required=(),
    )
    made = contract({"/login": {"post": operation(requestBody=body(members))}})
    assert made.auth.login
    assert made.auth.login.body == {"username": "$user", "password": "$password", "provider": "db", "refresh": True}


def test_the_classic_four() -> None:
    made = contract(CLASSIC, components=BEARER)
    auth = made.auth
    assert auth.register
    assert auth.login
    assert auth.refresh
    assert auth.logout
    assert auth.register.operation.label == "POST /auth/register"
    assert auth.login.operation.label == "POST /auth/login"
    assert auth.login.body == {"email": "$user", "password": "$password"}
    assert (auth.login.access, auth.login.refresh) == ("/access_token", "/refresh_token")
    assert auth.refresh.body == {"refresh_token": "$refresh"}
    assert auth.refresh.access == "/access_token"
    assert auth.logout.operation.label == "POST /auth/logout"
    assert (auth.scheme, auth.user_kind) == ("bearer", "email")
    source = next(i.source for i in made.inferences if i.key == "auth.login.op")
    assert source == "POST /auth/login: is named auth, its body has a password, its 200 has access_token"


def test_pins_win_over_what_is_inferred() -> None:
    policy = {
        "auth": {
            "login": {
                "op": "POST /auth/reset-password",
                "body": {"x": "$user"},
                "access": "/t",
                "media_type": "application/json",
            },
            "refresh": {"rotates": True},
            "logout": {"revokes": "all"},
            "scheme": "apiKey:header:X-Token",
        }
    }
    made = contract(CLASSIC, policy, components=BEARER)
    assert made.auth.login
    assert made.auth.login.operation.label == "POST /auth/reset-password"
    assert (made.auth.login.body, made.auth.login.access) == ({"x": "$user"}, "/t")
    assert made.auth.refresh
    assert made.auth.refresh.rotates
    assert made.auth.refresh.operation.label == "POST /auth/refresh"
    assert made.auth.logout
    assert made.auth.logout.revokes == "all"
    assert made.auth.scheme == "apiKey:header:X-Token"
    assert not {"auth.login.op", "auth.login.body", "auth.login.access", "auth.scheme"} & told(made).keys()


def test_the_password_flow_of_oauth_with_a_form() -> None:
    form = {
        "type": "object",
        "required": ["username", "password"],
        "properties": {
            "grant_type": {"anyOf": [{"type": "string", "pattern": "^password$"}, {"type": "null"}]},
            "username": {"type": "string"},
            "password": {"type": "string", "format": "password"},
            "scope": {"type": "string", "default": ""},
        },
    }
    flows = {"password": {"scopes": {}, "tokenUrl": "api/token"}}
    made = contract(
        {
            "/api/token": {
                "post": operation(requestBody=body(form, "application/x-www-form-urlencoded"), responses=answer({}))
            }
        },
        components={"securitySchemes": {"o": {"type": "oauth2", "flows": flows}}},
    )
    login = made.auth.login
    assert login
    assert login.media_type == "application/x-www-form-urlencoded"
    assert login.body == {"grant_type": "password", "username": "$user", "password": "$password"}
    assert login.access == "/access_token"


def test_envelopes_and_wrapped_users() -> None:
    envelope = {
        "allOf": [fields(data={"type": "object"}), {"properties": {"data": fields("accessToken", "refreshToken")}}]
    }
    user = fields(user=fields("email", "username", "password"))
    made = contract({
        "/users/login": {"post": operation(requestBody=body(fields(user=fields("email", "password"))), responses=answer(envelope))},
        "/users": {"post": operation(requestBody=body(user))},
    })  # fmt: skip
    assert made.auth.login
    assert made.auth.register
    assert (made.auth.login.access, made.auth.login.refresh) == ("/data/accessToken", "/data/refreshToken")
    assert made.auth.login.body == {"user": {"email": "$user", "password": "$password"}}
    assert made.auth.register.body == {"user": {"email": "$user", "username": "$unique", "password": "$password"}}


def test_registration_is_filled_in() -> None:
    register = fields(
        "password", "password_confirm", "full_name",
        username={"type": "string", "pattern": "^[a-z0-9]{3,20}$"}, email={"type": "string", "format": "email"},
        terms={"const": True}, country={"type": "string", "minLength": 2, "maxLength": 2}, role={"enum": ["user", "seller"]},
        age={"type": "integer", "minimum": 18}, newsletter={"type": "boolean"},
        required=("username", "email", "password", "password_confirm", "full_name", "terms", "country", "role", "age"),
    )  # fmt: skip
    made = contract({
        "/signup": {"post": operation(requestBody=body(register))},
        "/login": {"post": operation(requestBody=body(fields("username", "password")), responses=answer(fields("token")))},
    })  # fmt: skip
    assert made.auth.register
    assert made.auth.register.body == {
        "password": "$password", "password_confirm": "$password", "full_name": "sample", "username": "$user",
        "email": "$unique@example.com", "terms": True, "country": "DE", "role": "user", "age": 18,
    }  # fmt: skip
    assert made.auth.user_kind == "name"
    assert set(made.unique_fields) == {"username", "email"}


def test_a_body_that_is_only_an_example() -> None:
    login = body({"type": "object"}, example={"email": "a@b.test", "password": "x", "device": "web"})
    made = contract({"/login": {"post": operation(requestBody=login, responses=answer(fields("jwt")))}})
    assert made.auth.login
    assert made.auth.login.body == {"email": "$user", "password": "$password", "device": "web"}
    assert made.auth.login.access == "/jwt"


@pytest.mark.parametrize(
    ("path", "schema"),
    [
        ("/auth/reset-password", fields("email", "password")),
        ("/auth/verify", fields("email", "password")),
        ("/documents", fields("name", "password")),
        ("/items", fields("name")),
        ("/auth/login", fields("code")),
    ],
)
def test_what_is_no_login(path: str, schema: Any) -> None:
    assert contract({path: {"post": operation(requestBody=body(schema))}}).auth.login is None


def test_refresh_and_logout_without_bodies() -> None:
    made = contract({
        "/auth/login": {"post": operation(requestBody=body(fields("email", "password")), responses=answer(fields("token")))},
        "/auth/token/refresh": {"post": operation(responses=answer(fields("token")), **SECURED)},
        "/auth/session": {"delete": operation(**SECURED)},
        "/catalogue/refresh": {"post": operation()},
    }, components=BEARER)  # fmt: skip
    assert made.auth.refresh
    assert made.auth.refresh.operation.label == "POST /auth/token/refresh"
    assert made.auth.refresh.body is None
    assert made.auth.logout
    assert made.auth.logout.operation.label == "DELETE /auth/session"


@pytest.mark.parametrize(
    ("scheme", "sent"),
    [
        ({"type": "http", "scheme": "Bearer"}, "bearer"),
        ({"type": "oauth2", "flows": {}}, "bearer"),
        ({"type": "openIdConnect"}, "bearer"),
        ({"type": "http", "scheme": "basic"}, ""),
        ({"type": "apiKey", "in": "header", "name": "X-API-Key"}, "apiKey:header:X-API-Key"),
        ({"type": "apiKey", "in": "cookie", "name": "sid"}, "apiKey:cookie:sid"),
        ({"type": "apiKey", "in": "header", "name": "Authorization", "description": "Bearer <token>"}, "bearer"),
        ({"type": "apiKey", "in": "header", "name": "Authorization"}, "bearer"),
        (
            {"type": "apiKey", "in": "header", "name": "Authorization", "description": "Token <key>"},
            "header:Authorization:Token {token}",
        ),
        (
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": 'Token-based authentication with required prefix "Token"',
            },
            "header:Authorization:Token {token}",
        ),
        (
            {
                "type": "apiKey",
                "in": "header",
                "name": "Authorization",
                "description": "The format:\n    Token xx.yy.zz",
            },
            "header:Authorization:Token {token}",
        ),
        (
            {"type": "apiKey", "in": "header", "name": "Authorization", "description": "the token `x` as it is"},
            "apiKey:header:Authorization",
        ),
        (
            {"type": "apiKey", "in": "header", "name": "Authorization", "description": 'with the prefix "Bearer"'},
            "bearer",
        ),
    ],
)
def test_how_a_token_is_sent(scheme: dict[str, Any], sent: str) -> None:
    assert sent_as(scheme) == sent


def test_the_scheme_that_most_operations_ask_for() -> None:
    schemes = {"basic": {"type": "http", "scheme": "basic"}, "key": {"type": "apiKey", "in": "header", "name": "X-Key"},
               "bearer": {"type": "http", "scheme": "bearer"}}  # fmt: skip
    paths = {
        f"/{i}": {"get": operation(security=[{name: []}])} for i, name in enumerate(["key", "key", "bearer", "basic"])
    }
    assert contract(paths, components={"securitySchemes": schemes}).auth.scheme == "apiKey:header:X-Key"


def test_tokens_in_an_answer() -> None:
    assert tokens_in({"data": {"token": "a", "user": {"token": "b"}}, "refreshToken": "r"}) == (
        "/data/token",
        "/refreshToken",
    )
    assert tokens_in({"token": None, "x": []}) == ("", "")
    assert tokens_in(["token"]) == ("", "")


# -- families ------------------------------------------------------------------------------------------------------------

ITEM = fields("name", id={"type": "integer"})


def family(**collection: Any) -> dict[str, Any]:
    return {
        "/items": {"get": operation(responses=answer({"type": "array", "items": ITEM})),
                   "post": operation(requestBody=body(fields("name")), responses=answer(ITEM, "201"), **collection)},
        "/items/{item_id}": {
            "get": operation(responses=answer(ITEM), **collection), "put": operation(), "patch": operation(), "delete": operation(),
        },
    }  # fmt: skip


def test_a_family() -> None:
    (items,) = contract(family()).resources
    assert (items.name, items.collection, items.member) == ("items", "/items", "/items/{item_id}")
    assert (items.id_parameter, items.id_pointer, items.items_pointer) == ("item_id", "/id", "")
    parts = [items.create, items.list, items.read, items.replace, items.update, items.delete]
    assert [part.method if part else None for part in parts] == ["POST", "GET", "GET", "PUT", "PATCH", "DELETE"]
    assert not items.owned


def test_owned_is_secured_and_neither_shared_nor_for_some_roles() -> None:
    def owned(policy: dict[str, Any]) -> bool:
        return contract(family(**SECURED), policy, components=BEARER).resources[0].owned

    assert owned({})
    assert not owned({"ownership": {"shared": ["/items/**"]}})
    assert not owned({"public": ["GET /items/*"]})
    assert not owned({"roles": [{"op": "POST /items", "allow": ["admin"]}]})
    assert owned({"roles": [{"op": "DELETE /items/*", "allow": ["admin"]}]})
    everybody = {"identities": {"alice": {"role": "user"}, "root": {"role": "admin"}}}
    lines = [{"op": "* /items/**", "allow": ["user", "admin"]}, {"op": "**", "allow": ["admin"]}]
    assert owned(everybody | {"roles": lines})
    assert not owned(everybody | {"roles": lines[1:]})


@pytest.mark.parametrize(
    ("parameter", "representation", "pointer"),
    [
        ("id", fields("id"), "/id"),
        ("item_id", fields("id", "item_id"), "/item_id"),
        ("itemId", fields("id", "name"), "/id"),
        ("itemId", fields("item_id", "name"), "/item_id"),
        ("slug", fields("id", "slug"), "/slug"),
        ("uuid", fields("uuid", "name"), "/uuid"),
        ("id", fields("_id", "name"), "/_id"),
        ("id", fields(data=fields("id")), "/data/id"),
        ("id", fields(item=fields("id")), "/item/id"),
        ("id", {"allOf": [fields("name"), fields("id")]}, "/id"),
        ("id", {}, "/id"),
    ],
)
def test_the_pointer_of_an_id(parameter: str, representation: Any, pointer: str) -> None:
    (items,) = contract({f"/items/{{{parameter}}}": {"get": operation(responses=answer(representation))}}).resources
    assert items.id_pointer == pointer


@pytest.mark.parametrize(
    ("page", "pointer"),
    [
        ({"type": "array", "items": ITEM}, ""),
        (fields("total", items={"type": "array", "items": ITEM}), "/items"),
        (fields(tags={"type": "array"}, results={"type": "array", "items": ITEM}), "/results"),
        (fields(things={"type": "array", "items": ITEM}), "/things"),
        (fields(data=fields(items={"type": "array", "items": ITEM})), "/data/items"),
        (fields(meta=fields("x"), widgets={"type": "array"}, errors={"type": "array"}), "/widgets"),
        (fields("a"), None),
        ({}, None),
    ],
)
def test_the_pointer_of_the_items(page: Any, pointer: str | None) -> None:
    paths = {"/widgets": {"get": operation(responses=answer(page))}, "/widgets/{id}": {"get": operation()}}
    assert contract(paths).resources[0].items_pointer == pointer


def test_slashes_at_the_end_and_nested_families() -> None:
    paths = {
        "/orders/": {"post": operation(), "get": operation()},
        "/orders/{id}/": {"get": operation()},
        "/orders/{id}/lines": {"post": operation()},
        "/orders/{id}/lines/{line}": {"delete": operation()},
        "/orders/{id}/pay": {"post": operation()},
        "/{wild}": {"get": operation()},
    }
    made = contract(paths)
    assert [(r.name, r.collection, r.member) for r in made.resources] == [
        ("orders", "/orders/", "/orders/{id}/"),
        ("lines", "/orders/{id}/lines", "/orders/{id}/lines/{line}"),
    ]
    assert made.resource_of(made.operations[0]) is made.resources[0]


def test_paging() -> None:
    def paging(*names: str, page: Any = None, **schemas: Any) -> Any:
        parameters = [{"name": name, "in": "query", "schema": schemas.get(name, {"type": "string"})} for name in names]
        made = contract({"/items": {"get": operation(parameters=parameters, responses=answer(page or {}))}})
        return made.paging(made.operations[0])

    found = paging(
        "limit", "cursor", page=fields("next_cursor", "total"), limit={"type": "integer", "maximum": 50, "default": 20}
    )
    assert (found.kind, found.size, found.position, found.maximum, found.default) == (
        "cursor",
        "limit",
        "cursor",
        50,
        20,
    )
    assert (found.next_pointer, found.total_pointer) == ("/next_cursor", "/total")
    assert paging("limit", "offset").kind == "offset"
    assert paging("per_page", "page").position == "page"
    assert paging("pageSize", "pageNumber").size == "pageSize"
    assert paging("limit").kind == "size"
    assert paging("q", "sort") is None


# -- the rest ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paths", "prefix"),
    [
        (["/api/v1/a", "/api/v1/b", "/health"], "/api/v1"),
        (["/v2/a", "/v2/b"], "/v2"),
        (["/api/v1/a", "/api/v1/b", "/api/v2/a"], "/api/v1"),
        (["/api/v1/a", "/b", "/c"], ""),
        (["/users/v1/a", "/users/v1/b", "/books/v1/c"], ""),
        (["/a", "/vault/x"], ""),
        (["/api/v1.2/a"], "/api/v1.2"),
    ],
)
def test_the_prefix(paths: list[str], prefix: str) -> None:
    made = contract({path: {"get": operation()} for path in paths})
    assert made.prefix == prefix
    assert made.policy.versioning == ("path" if prefix else "none")


def test_unique_fields() -> None:
    conflict = {"201": {"description": ""}, "409": {"description": ""}}
    paths = {
        "/products": {"post": operation(requestBody=body(fields("sku", "name")), responses=conflict)},
        "/tags": {"post": operation(requestBody=body(fields("name", "colour")), responses=conflict)},
        "/notes": {"post": operation(requestBody=body(fields("name")))},
        "/orders/{id}/cancel": {"post": operation(requestBody=body(fields("name")), responses=conflict)},
    }
    made = contract(paths, {"unique": ["vat"]})
    assert made.unique_fields == ("vat", "sku", "name")
    assert [i.source for i in made.inferences if i.key == "unique"] == [
        "POST /products documents 409",
        "POST /tags documents 409",
    ]


def test_the_policy_is_completed() -> None:
    problem = {"404": {"description": "", "content": {"application/problem+json": {"schema": {}}}}}
    key_parameter = [{"name": "Idempotency-Key", "in": "header", "required": True, "schema": {"type": "string"}}]
    register = fields("email", password={"type": "string", "minLength": 10})
    paths = {
        "/healthz": {"get": operation()},
        "/orders": {"post": operation(parameters=key_parameter)},
        "/x": {"get": operation(responses=problem)},
        "/register": {"post": operation(requestBody=body(register))},
    }
    made = contract(paths)
    policy = made.policy
    assert policy.errors.format == "rfc9457"
    assert policy.target.health == "/healthz"
    assert (policy.idempotency.ops, policy.idempotency.required) == (("POST /orders",), True)
    assert policy.auth.password.min == 10
    assert {"errors.format", "target.health", "idempotency.ops", "auth.password.min"} <= told(made).keys()
    stated = {
        "errors": {"format": "any"},
        "target": {"health": "/x"},
        "auth": {"password": {"min": 8}},
        "idempotency": {"ops": ["/x"]},
    }
    pinned = contract(paths, stated).policy
    assert (pinned.errors.format, pinned.target.health, pinned.auth.password.min) == ("any", "/x", 8)
    assert pinned.idempotency.ops == ("/x",)


def test_rules_of_the_contract_by_operation() -> None:
    policy = {
        "roles": [{"op": "* /admin/**", "allow": ["admin"]}],
        "public": ["/health"],
        "rate_limits": [
            {"op": "POST /login", "quota": "10/min", "key": "ip"},
            {"op": "**", "quota": "100/min", "exempt": ["/health"]},
        ],
        "latency": {"complex_ops": ["GET /admin/*"]},
    }
    login = operation(requestBody=body(fields("email", "password")), responses=answer(fields("token")))
    paths = {
        "/login": {"post": login},
        "/admin/x": {"get": operation()},
        "/health": {"get": operation()},
        "/a": {"get": operation()},
    }
    made = from_parts(policy, document(paths, security=[{"bearer": []}], components=BEARER))
    by = {op.path: op for op in made.operations}
    assert made.roles(by["/admin/x"]) == ("admin",)
    assert made.roles(by["/a"]) is None
    assert made.is_public(by["/health"])
    assert not made.is_public(by["/a"])
    rules = [made.rate_rule(by[path]) for path in ("/login", "/a", "/health")]
    assert [rule and rule.quota for rule in rules] == [10, 100, None]
    assert [made.latency_class(by[path]) for path in ("/login", "/admin/x", "/a")] == ["auth", "complex", "crud"]


def test_a_login_makes_no_member() -> None:
    login = operation(requestBody=body(fields("username", "password")), responses=answer(fields("access_token")))
    paths = {"/auth": {"post": login, "get": operation()}, "/auth/{provider}": {"get": operation()}}
    made = contract(paths)
    assert made.auth.login
    assert made.auth.login.operation.label == "POST /auth"
    (family,) = made.resources
    assert family.create is None
    assert family.list is not None


def test_a_document_that_hardly_says_where_credentials_are_asked_for() -> None:
    paths = {path: {"get": operation()} for path in ("/ping", *(f"/things{i}" for i in range(12)))}
    paths["/mine"] = {"get": operation(**SECURED)}
    silent = contract(paths, components=BEARER)
    assert [op.label for op in silent.operations if op.secured] == ["GET /mine"]
    listed = contract(paths, {"public": ["/ping"]}, components=BEARER)
    assert [op.label for op in listed.operations if not op.secured] == ["GET /ping"]
    assert next(i.value for i in listed.inferences if i.key == "security") == "all but those under public"


@pytest.mark.parametrize("stated", [SECURED, {"security": []}])
def test_a_document_that_says_where_is_believed(stated: dict[str, Any]) -> None:
    paths = {"/ping": {"get": operation()}, "/open": {"get": operation()}, "/mine": {"get": operation(**stated)}}
    made = contract(paths, {"public": ["/ping"]}, components=BEARER)
    assert {op.label for op in made.operations if op.secured} == ({"GET /mine"} if stated["security"] else set())


def test_a_user_who_is_called_by_a_name_gets_one() -> None:
    names = fields("password", username={"type": "string", "maxLength": 20})
    assert contract({"/register": {"post": operation(requestBody=body(names))}}).auth.user_kind == "name"
    mails = fields("password", username={"type": "string", "format": "email"})
    assert contract({"/register": {"post": operation(requestBody=body(mails))}}).auth.user_kind == "email"
