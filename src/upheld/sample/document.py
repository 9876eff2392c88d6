"""The sample shop's promises: its OpenAPI document and the keys of its upheld.yaml."""

from __future__ import annotations

from functools import cache
from typing import Any

PREFIX = "/api/v1"

POLICY: dict[str, Any] = {
    "upheld": 1,
    "prefix": PREFIX,
    "errors": {"format": "rfc9457", "require": ["type", "title", "status"], "errors_member": "errors"},
    "identities": {
        "alice": {"role": "user"},
        "bob": {"role": "user"},
        "admin": {"role": "admin", "user": "admin@example.test", "password_env": "SHOP_ADMIN_PASSWORD"},
    },
    "roles": [{"op": "DELETE /items/*", "allow": ["admin"]}],
    "ownership": {"foreign": 404},
    "rate_limits": [
        {"op": "POST /auth/login", "quota": "10/min", "key": "ip"},
        {"op": "POST /auth/refresh", "quota": "30/min", "key": "ip"},
        {"op": "**", "quota": "100/min", "key": "user-or-ip", "exempt": ["/health"]},
    ],
    "rate_limit": {"algorithm": "token-bucket", "headers": "draft-10", "retry_after": "required"},
    "caching": {"authenticated": "private", "routes": {"GET /items": "60s", "GET /items/*": "60s"}},
    "cors": {"origins": ["https://app.example.test"], "credentials": False},
    "auth": {
        "refresh": {"op": "POST /auth/refresh", "body": {"refresh_token": "$refresh"}, "rotates": True},
        "logout": {"op": "POST /auth/logout", "body": {"refresh_token": "$refresh"}, "revokes": "all"},
        "jwt": {
            "alg": "HS256",
            "access_ttl": "15m",
            "refresh_ttl": "7d",
            "claims": ["sub", "exp", "iat", "jti"],
            "iss": "shop",
            "aud": "shop-api",
            "key_env": "SHOP_JWT_KEY",
        },
        "password": {"min": 8, "max_bytes": 72},
        "oauth": {
            "clients": {
                "till": {
                    "id": "till",
                    "secret_env": "SHOP_TILL_SECRET",
                    "redirect_uri": "https://till.example.test/back",
                    "scopes": ["orders:read"],
                },
                "app": {"id": "app", "redirect_uri": "https://app.example.test/back", "scopes": ["orders:read"]},
            }
        },
    },
}


def _problem(description: str, *headers: str) -> dict[str, Any]:
    return {
        "description": description,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        "headers": {name: {"required": True, "schema": {"type": "string"}} for name in headers},
    }


@cache
def document() -> dict[str, Any]:
    def ref(name: str) -> dict[str, Any]:
        return {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}

    problems = {
        "400": _problem("malformed"),
        "422": _problem("invalid"),
        "429": _problem("too many requests", "Retry-After"),
        "500": _problem("our fault"),
    }
    secured = {**problems, "401": _problem("no valid credentials", "WWW-Authenticate"), "403": _problem("not allowed")}
    bearer: list[dict[str, list[str]]] = [{"bearer": []}]
    item_id = {"name": "item_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    key_id = {"name": "key_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    note_id = {"name": "note_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    order_id = {"name": "order_id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    paging = [
        {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 100}},
        {"name": "cursor", "in": "query", "schema": {"type": "string"}},
    ]
    missing = {"404": _problem("no such thing")}
    location = {"Location": {"required": True, "schema": {"type": "string"}}}

    def body(name: str) -> dict[str, Any]:
        return {"required": True, "content": ref(name)}

    def operation(id: str, responses: dict[str, Any], **rest: Any) -> dict[str, Any]:
        return {"operationId": id, "responses": responses, **rest}

    paths = {
        "/health": {"get": operation("health", {"200": {"description": "alive", "content": ref("Health")}})},
        f"{PREFIX}/auth/register": {
            "post": operation(
                "register",
                {
                    "201": {"description": "made", "content": ref("User"), "headers": location},
                    "409": _problem("taken"),
                    **problems,
                },
                requestBody=body("Credentials"),
            )
        },
        f"{PREFIX}/auth/login": {
            "post": operation(
                "login",
                {"200": {"description": "in", "content": ref("Tokens")}, "401": secured["401"], **problems},
                requestBody=body("Credentials"),
            )
        },
        f"{PREFIX}/auth/refresh": {
            "post": operation(
                "refresh",
                {"200": {"description": "in", "content": ref("Tokens")}, "401": secured["401"], **problems},
                requestBody=body("Refresh"),
            )
        },
        f"{PREFIX}/auth/logout": {
            "post": operation(
                "logout",
                {"204": {"description": "out"}, "401": secured["401"], **problems},
                requestBody=body("Refresh"),
            )
        },
        f"{PREFIX}/oauth/token": {
            "post": operation(
                "token",
                {
                    "200": {"description": "tokens", "content": ref("Tokens")},
                    "400": {"description": "refused", "content": ref("OAuthError")},
                    "401": {"description": "no such client", "content": ref("OAuthError")},
                    "429": problems["429"],
                },
                requestBody={
                    "required": True,
                    "content": {
                        "application/x-www-form-urlencoded": {
                            "schema": {
                                "type": "object",
                                "required": ["grant_type"],
                                "properties": {"grant_type": {"enum": ["client_credentials", "authorization_code"]}},
                            }
                        }
                    },
                },
            )
        },
        f"{PREFIX}/oauth/authorize": {
            "get": operation(
                "authorize",
                {"302": {"description": "back to the client"}, **secured},
                parameters=[
                    {"name": name, "in": "query", "required": True, "schema": {"type": "string"}}
                    for name in ("response_type", "client_id", "redirect_uri")
                ],
                security=bearer,
            )
        },
        f"{PREFIX}/users/me": {
            "get": operation(
                "me",
                {"200": {"description": "you", "content": ref("User")}, **secured},
                security=[*bearer, {"apiKey": []}],
            ),
            "patch": operation(
                "changeMe",
                {"200": {"description": "you", "content": ref("User")}, **secured},
                requestBody=body("Profile"),
                security=bearer,
            ),
            "delete": operation("deleteMe", {"204": {"description": "gone"}, **secured}, security=bearer),
        },
        f"{PREFIX}/users/me/password": {
            "put": operation(
                "changePassword",
                {"204": {"description": "changed"}, **secured},
                requestBody=body("PasswordChange"),
                security=bearer,
            )
        },
        f"{PREFIX}/api-keys": {
            "get": operation(
                "listApiKeys",
                {"200": {"description": "yours", "content": ref("ApiKeyList")}, **secured},
                security=bearer,
            ),
            "post": operation(
                "createApiKey",
                {"201": {"description": "made", "content": ref("NewApiKey"), "headers": location}, **secured},
                requestBody=body("ApiKeyIn"),
                security=bearer,
            ),
        },
        f"{PREFIX}/api-keys/{{key_id}}": {
            "parameters": [key_id],
            "delete": operation(
                "revokeApiKey", {"204": {"description": "gone"}, **missing, **secured}, security=bearer
            ),
        },
        f"{PREFIX}/items": {
            "get": operation(
                "listItems",
                {"200": {"description": "a page", "content": ref("ItemPage")}, **problems},
                parameters=paging,
            ),
            "post": operation(
                "createItem",
                {
                    "201": {"description": "made", "content": ref("Item"), "headers": location},
                    "409": _problem("taken"),
                    **secured,
                },
                requestBody=body("NewItem"),
                security=bearer,
            ),
        },
        f"{PREFIX}/items/{{item_id}}": {
            "parameters": [item_id],
            "get": operation("readItem", {"200": {"description": "it", "content": ref("Item")}, **missing, **problems}),
            "put": operation(
                "replaceItem",
                {"200": {"description": "it", "content": ref("Item")}, **missing, **secured},
                requestBody=body("NewItem"),
                security=bearer,
            ),
            "delete": operation("deleteItem", {"204": {"description": "gone"}, **missing, **secured}, security=bearer),
        },
        f"{PREFIX}/orders": {
            "get": operation(
                "listOrders",
                {"200": {"description": "a page", "content": ref("OrderPage")}, **secured},
                parameters=paging,
                security=bearer,
            ),
            "post": operation(
                "createOrder",
                {"201": {"description": "made", "content": ref("Order"), "headers": location}, **secured},
                requestBody=body("NewOrder"),
                security=bearer,
            ),
        },
        f"{PREFIX}/orders/{{order_id}}": {
            "parameters": [order_id],
            "get": operation(
                "readOrder",
                {"200": {"description": "it", "content": ref("Order")}, **missing, **secured},
                security=bearer,
            ),
            "put": operation(
                "replaceOrder",
                {"200": {"description": "it", "content": ref("Order")}, **missing, **secured},
                requestBody=body("NewOrder"),
                security=bearer,
            ),
            "delete": operation("deleteOrder", {"204": {"description": "gone"}, **missing, **secured}, security=bearer),
        },
        f"{PREFIX}/orders/{{order_id}}/notes": {
            "parameters": [order_id],
            "get": operation(
                "listNotes",
                {"200": {"description": "all", "content": ref("NoteList")}, **missing, **secured},
                security=bearer,
            ),
            "post": operation(
                "createNote",
                {"201": {"description": "made", "content": ref("Note"), "headers": location}, **missing, **secured},
                requestBody=body("NewNote"),
                security=bearer,
            ),
        },
        f"{PREFIX}/orders/{{order_id}}/notes/{{note_id}}": {
            "parameters": [order_id, note_id],
            "get": operation(
                "readNote",
                {"200": {"description": "it", "content": ref("Note")}, **missing, **secured},
                security=bearer,
            ),
        },
        f"{PREFIX}/returns": {
            "post": operation(
                "createReturn",
                {"201": {"description": "made", "content": ref("Return"), "headers": location}, **secured},
                requestBody=body("NewReturn"),
                security=bearer,
            ),
        },
        f"{PREFIX}/returns/{{return_id}}": {
            "parameters": [{**order_id, "name": "return_id"}],
            "get": operation(
                "readReturn",
                {"200": {"description": "it", "content": ref("Return")}, **missing, **secured},
                security=bearer,
            ),
        },
    }
    text = {"type": "string", "minLength": 1, "maxLength": 100}
    identifier = {"type": "string"}

    def thing(required: list[str], **properties: Any) -> dict[str, Any]:
        return {"type": "object", "required": required, "properties": properties, "additionalProperties": False}

    quantity = {"type": "integer", "minimum": 1, "maximum": 1000}
    schemas = {
        "Problem": {
            "type": "object",
            "required": ["type", "title", "status"],
            "properties": {
                "type": {"type": "string"},
                "title": {"type": "string"},
                "status": {"type": "integer"},
                "detail": {"type": "string"},
                "errors": {"type": "array", "items": {"type": "object"}},
            },
        },
        "Health": thing(["status"], status={"type": "string"}),
        "Credentials": thing(
            ["email", "password"],
            email={"type": "string", "format": "email", "maxLength": 200},
            password={"type": "string", "minLength": 8, "maxLength": 72, "format": "password"},
        ),
        "Refresh": thing(["refresh_token"], refresh_token={"type": "string"}),
        "Tokens": thing(
            ["access_token", "refresh_token", "token_type", "expires_in"],
            access_token={"type": "string"},
            refresh_token={"type": "string"},
            token_type={"type": "string"},
            expires_in={"type": "integer"},
        ),
        "OAuthError": {"type": "object", "required": ["error"], "properties": {"error": {"type": "string"}}},
        "Profile": thing([], nickname=text),
        "PasswordChange": thing(
            ["current_password", "new_password"],
            current_password={"type": "string", "minLength": 1, "maxLength": 200, "format": "password"},
            new_password={"type": "string", "minLength": 8, "maxLength": 72, "format": "password"},
        ),
        "ApiKeyIn": thing(["name"], name=text),
        "ApiKey": thing(["id", "name"], id=identifier, name=text),
        "NewApiKey": thing(["id", "name", "key"], id=identifier, name=text, key={"type": "string"}),
        "ApiKeyList": thing(["items"], items={"type": "array", "items": {"$ref": "#/components/schemas/ApiKey"}}),
        "User": thing(
            ["id", "email", "role"],
            id=identifier,
            email={"type": "string"},
            role={"type": "string", "readOnly": True},
            nickname={"type": "string"},
        ),
        "NewItem": thing(["name", "quantity"], name=text, quantity=quantity),
        "Item": thing(["id", "name", "quantity"], id=identifier, name=text, quantity=quantity),
        "ItemPage": thing(["items"], items={"type": "array", "items": {"$ref": "#/components/schemas/Item"}}),
        "NewOrder": thing(["note"], note=text),
        "Order": thing(["id", "note", "owner_id"], id=identifier, note=text, owner_id=identifier),
        "NewNote": thing(["text"], text=text),
        "Note": thing(["id", "text"], id=identifier, text=text),
        "NoteList": thing(["items"], items={"type": "array", "items": {"$ref": "#/components/schemas/Note"}}),
        "NewReturn": thing(["order_id"], order_id=identifier),
        "Return": thing(["id", "order_id"], id=identifier, order_id=identifier),
        "OrderPage": thing(["items"], items={"type": "array", "items": {"$ref": "#/components/schemas/Order"}}),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Sample shop", "version": "1"},
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
                "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
                "oauth": {
                    "type": "oauth2",
                    "flows": {
                        "authorizationCode": {
                            "authorizationUrl": f"{PREFIX}/oauth/authorize",
                            "tokenUrl": f"{PREFIX}/oauth/token",
                            "scopes": {"orders:read": "see orders", "orders:write": "place orders"},
                        },
                        "clientCredentials": {"tokenUrl": f"{PREFIX}/oauth/token", "scopes": {}},
                    },
                },
            },
        },
    }
