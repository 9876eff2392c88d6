"""Operations that a run never calls on its own, and their harmless neighbours."""

from __future__ import annotations

from typing import Any

import pytest

from .conftest import body, contract, document, fields, operation

PLAIN = operation()


def dangerous(*labels: str, policy: dict[str, Any] | None = None, **parts: Any) -> dict[str, str]:
    paths: dict[str, Any] = {}
    for label in labels:
        method, path = label.split()
        paths.setdefault(path, {})[method.lower()] = operation(**parts)
    return dict(contract(paths, policy).dangerous)


@pytest.mark.parametrize(
    ("label", "why"),
    [
        ("POST /auth/logout", "ends the session"),
        ("GET /logout", "ends the session"),
        ("POST /auth/sign-out", "ends the session"),
        ("POST /auth/logoutAll", "ends the session"),
        ("DELETE /sessions/{id}", "ends the session"),
        ("DELETE /auth/session", "ends the session"),
        ("POST /auth/revoke", "revokes credentials"),
        ("POST /oauth/token/revoke", "revokes credentials"),
        ("DELETE /auth/token", "revokes credentials"),
        ("DELETE /me", "deletes the caller's own account"),
        ("DELETE /api/v1/users/me", "deletes the caller's own account"),
        ("DELETE /account", "deletes the caller's own account"),
        ("POST /account/delete", "deletes the caller's own account"),
        ("POST /users/me/close", "deletes the caller's own account"),
        ("PUT /me/password", "changes a password"),
        ("POST /auth/change-password", "changes a password"),
        ("POST /auth/changePassword", "changes a password"),
        ("POST /users/{id}/deactivate", "locks an account"),
        ("POST /users/{id}/suspend", "locks an account"),
        ("POST /account/deactivate", "locks an account"),
        ("POST /auth/deactivate", "locks an account"),
        ("PUT /admin/api/v1/settings", "changes the settings of the whole service"),
        ("DELETE /system/config", "changes the settings of the whole service"),
        ("POST /admin/maintenance", "switches the service to maintenance"),
        ("PUT /admin/maintenance-mode", "switches the service to maintenance"),
        ("POST /system/maintenance/enable", "switches the service to maintenance"),
        ("POST /shutdown", "stops the service"),
        ("POST /actuator/shutdown", "stops the service"),
        ("GET /shutdown", "stops the service"),
        ("POST /admin/restart", "restarts the service"),
        ("POST /cache/flush", "empties a store"),
        ("POST /admin/flush-cache", "empties a store"),
        ("POST /cache/clear", "empties a store"),
        ("DELETE /admin/purge", "deletes data in bulk"),
        ("POST /reset", "puts data back to a beginning"),
        ("POST /test/reset-database", "puts data back to a beginning"),
        ("GET /createdb", "puts data back to a beginning"),
        ("POST /db/seed-data", "puts data back to a beginning"),
        ("POST /admin/backup", "copies all data"),
        ("POST /admin/restore", "replaces data by an older copy"),
        ("POST /products/import", "takes in data in bulk"),
        ("POST /products/import/csv", "takes in data in bulk"),
        ("POST /db/migrate", "changes the database"),
        ("POST /admin/shell", "runs what it is sent"),
        ("POST /containers/{id}/exec", "runs what it is sent"),
        ("POST /debug/run-command", "runs what it is sent"),
    ],
)
def test_recognised(label: str, why: str) -> None:
    assert dangerous(label) == {label: why}


@pytest.mark.parametrize(
    "label",
    [
        "GET /restaurants",
        "POST /restaurants",
        "POST /restaurants/{id}/menus",
        "POST /orders/{id}/restore",
        "POST /orders/{id}/reset",
        "POST /vms/{id}/restart",
        "POST /documents/{id}/import",
        "GET /imports",
        "POST /imports",
        "GET /backups",
        "POST /important",
        "POST /reset-links",
        "POST /auth/forgot-password",
        "POST /auth/reset-password",
        "POST /password/recover",
        "POST /auth/login/password",
        "POST /shares/{id}/revoke",
        "POST /api-keys",
        "DELETE /api-keys/{id}",
        "DELETE /users/{id}",
        "DELETE /carts/me",
        "DELETE /me/favourites/{id}",
        "GET /me",
        "PATCH /me",
        "POST /cart/clear",
        "GET /status/maintenance/schedule",
        "POST /executives",
        "POST /shells",
        "POST /commands/{id}/execute",
        "POST /documents/lock",
        "POST /groups/{id}/remove-user",
        "POST /migrations-guide",
        "POST /flushing-toilets",
        "PUT /extensions/{id}/deactivate",
        "PUT /settings",
        "PATCH /me/settings",
        "GET /admin/settings",
        "PUT /admin/settings/{name}",
    ],
)
def test_harmless(label: str) -> None:
    assert dangerous(label) == {}


def test_never_comes_first() -> None:
    found = dangerous(
        "POST /api/v1/auth/logout", "POST /api/v1/mail", "GET /api/v1/x", policy={"never": ["/auth/*", "POST /mail"]}
    )
    assert found == {"POST /api/v1/auth/logout": "listed under never", "POST /api/v1/mail": "listed under never"}


def test_the_collection_of_a_thing_is_no_deed() -> None:
    assert dangerous("POST /maintenance", "GET /maintenance/{id}") == {}
    assert dangerous("POST /maintenance", "GET /other/{id}") != {}


def test_deleting_a_whole_collection() -> None:
    assert dangerous("DELETE /items", "GET /items/{id}") == {"DELETE /items": "deletes a whole collection"}
    assert dangerous("DELETE /orders/{id}/items", "GET /orders/{id}/items/{item}") == {}
    narrowed = [{"name": "ids", "in": "query", "required": True, "schema": {"type": "string"}}]
    assert dangerous("DELETE /items", "GET /items/{id}", parameters=narrowed) == {}


def test_a_body_that_holds_the_callers_password() -> None:
    given = operation(requestBody=body({"type": "object", "properties": {"user": fields("email", "password")}}))
    assert contract({"/user": {"put": given}}).dangerous == {"PUT /user": "changes the caller's own password"}
    assert contract({"/users/{id}": {"put": given}}).dangerous == {}
    secured = {**given, "security": [{"token": []}]}
    scheme = {"components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}}}
    alone, members = {"/user": {"post": secured}}, {"/user": {"post": secured}, "/user/{id}": {"get": PLAIN}}
    assert contract(alone, **scheme).dangerous == {"POST /user": "changes the caller's own password"}
    assert contract(members, **scheme).dangerous == {}


def test_what_upheld_yaml_says_the_steps_are() -> None:
    auth = {"delete_account": {"op": "POST /farewell"}, "change_password": {"op": "PUT /passphrase"}}
    found = dangerous("POST /farewell", "PUT /passphrase", "PUT /phrases", policy={"auth": auth})
    assert found == {
        "POST /farewell": "deletes the caller's own account",
        "PUT /passphrase": "changes the caller's own password",
    }


def test_the_operation_id_that_its_author_chose() -> None:
    assert dangerous("POST /actions", operationId="shutdownServer") == {"POST /actions": "stops the service"}
    assert dangerous("POST /actions", operationId="resetDemoData") == {"POST /actions": "puts data back to a beginning"}
    assert dangerous("POST /actions", operationId="importantAction") == {}
    assert dangerous("POST /orders/{id}/again", operationId="restart_order") == {}


def test_a_reset_of_passwords_that_needs_credentials() -> None:
    secured = operation(security=[{"b": []}])
    schemes = {"securitySchemes": {"b": {"type": "http", "scheme": "bearer"}}}
    made = contract({"/users/{id}/reset-password": {"post": secured}}, components=schemes)
    assert made.dangerous == {"POST /users/{id}/reset-password": "changes a password"}


def test_the_document_of_a_whole_shop_has_few() -> None:
    nouns = [
        "products",
        "orders",
        "reviews",
        "restores",
        "carts",
        "shipments",
        "imports",
        "exports",
        "tokens",
        "sessions-log",
    ]
    paths: dict[str, Any] = {}
    for noun in nouns:
        paths[f"/{noun}"] = {"get": PLAIN, "post": PLAIN}
        paths[f"/{noun}/{{id}}"] = {"get": PLAIN, "put": PLAIN, "patch": PLAIN, "delete": PLAIN}
    from upheld.contract.load import from_parts

    assert set(from_parts({}, document(paths)).dangerous) <= {"DELETE /tokens/{id}"}
