"""A service with moods, for what fuzzing must survive: ``python moody.py PORT MOOD``.

* ``hangs``: GET /slow never answers.
* ``dies``: POST /notes ends the process at the tenth call.
* ``limits``: 20 requests from one address, then 429 with Retry-After.
* ``stingy``: 20 requests from all the world together, then 429 with Retry-After: 30.
* ``suicidal``: DELETE /users/{id} really deletes the caller; DELETE /me, which is documented, too.
* ``absent``: every path is 404.
* ``remembers``: POST /notes takes an Idempotency-Key; the same key with another body is 422.
"""

import asyncio
import itertools
import os
import re
import sys
from collections import Counter
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

PROBLEM = {"type": "object", "properties": {"status": {"type": "integer"}}, "required": ["status"]}
NOTE = {
    "type": "object",
    "properties": {"id": {"type": "integer"}, "text": {"type": "string", "maxLength": 50}},
    "required": ["text"],
    "additionalProperties": False,
}


def _answers(ok: int, schema: dict[str, Any] | None, *codes: int) -> dict[str, Any]:
    out: dict[str, Any] = {str(ok): {"description": "fine"}}
    if schema is not None:
        out[str(ok)]["content"] = {"application/json": {"schema": schema}}
    for code in codes:
        out[str(code)] = {"description": "not", "content": {"application/json": {"schema": PROBLEM}}}
    return out


KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": True,
    "schema": {"type": "string", "pattern": "^[A-Za-z0-9-]{8,40}$"},
    "example": "key-of-the-docs",
}


def _document(mood: str) -> dict[str, Any]:
    bearer = [{"bearer": []}]
    path_id = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    body = {"required": True, "content": {"application/json": {"schema": NOTE}}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "moody", "version": "1"},
        # Nobody listens there: the address that is given has to win.
        "servers": [{"url": "http://192.0.2.1:9"}],
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            "/slow": {"get": {"operationId": "slow", "responses": _answers(200, {"type": "object"}, 429)}},
            "/notes": {
                "get": {"operationId": "listNotes", "responses": _answers(200, {"type": "array", "items": NOTE}, 429)},
                "post": {
                    "operationId": "addNote",
                    "parameters": [KEY] if mood == "remembers" else [],
                    "requestBody": body,
                    "responses": _answers(201, NOTE, 400, 422, 429),
                },
            },
            "/users": {
                "get": {
                    "operationId": "listUsers",
                    "security": bearer,
                    "responses": _answers(200, {"type": "array", "items": {"type": "object"}}, 401, 429),
                }
            },
            "/users/{id}": {
                "parameters": [path_id],
                "get": {
                    "operationId": "readUser",
                    "security": bearer,
                    "responses": _answers(200, {"type": "object"}, 401, 404, 429),
                },
                "delete": {
                    "operationId": "deleteUser",
                    "security": bearer,
                    "responses": _answers(204, None, 401, 404, 429),
                },
            },
            "/me": {
                "get": {
                    "operationId": "me",
                    "security": bearer,
                    "responses": _answers(200, {"type": "object"}, 401, 429),
                },
                "delete": {"operationId": "deleteMe", "security": bearer, "responses": _answers(204, None, 401, 429)},
            },
        },
    }


def create_app(mood: str) -> Starlette:
    users = {f"u{n}": {"id": f"u{n}", "name": f"user {n}"} for n in range(1, 6)}
    notes: list[dict[str, Any]] = []
    remembered: dict[str, Any] = {}
    ids, calls, spent = itertools.count(1), itertools.count(1), Counter[str]()

    def who(request: Request) -> str | None:
        token = request.headers.get("authorization", "").removeprefix("Bearer ")
        return token if token in users else None

    def refuse(code: int, **headers: str) -> Response:
        return JSONResponse({"status": code}, code, headers={k.replace("_", "-"): v for k, v in headers.items()})

    async def slow(request: Request) -> Response:
        if mood == "hangs":
            await asyncio.sleep(3600)
        return JSONResponse({})

    async def list_notes(request: Request) -> Response:
        return JSONResponse(notes[-5:])

    async def add_note(request: Request) -> Response:
        if mood == "dies" and next(calls) >= 10:
            os._exit(3)
        try:
            note = await request.json()
        except ValueError:
            return refuse(400)
        text = note.get("text") if isinstance(note, dict) else None
        if not isinstance(text, str) or len(text) > 50 or note.keys() - {"id", "text"}:
            return refuse(422)
        if "id" in note and (
            isinstance(note["id"], bool) or not isinstance(note["id"], (int, float)) or note["id"] % 1
        ):
            return refuse(422)
        if mood == "remembers":
            key = request.headers.get("idempotency-key", "")
            if re.fullmatch("[A-Za-z0-9-]{8,40}", key) is None:
                return refuse(400)
            if remembered.setdefault(key, note) != note:
                return refuse(422)
        notes.append({"id": next(ids), "text": text})
        return JSONResponse(notes[-1], 201)

    async def list_users(request: Request) -> Response:
        return JSONResponse(list(users.values())) if who(request) else refuse(401, WWW_Authenticate="Bearer")

    async def one_user(request: Request) -> Response:
        if who(request) is None:
            return refuse(401, WWW_Authenticate="Bearer")
        user = users.get(request.path_params["id"])
        if user is None:
            return refuse(404)
        if request.method == "GET":
            return JSONResponse(user)
        del users[user["id"]]
        return Response(status_code=204)

    async def me(request: Request) -> Response:
        user = who(request)
        if user is None:
            return refuse(401, WWW_Authenticate="Bearer")
        if request.method == "GET":
            return JSONResponse(users[user])
        del users[user]
        return Response(status_code=204)

    async def document(request: Request) -> Response:
        return JSONResponse(_document(mood))

    routes = [
        Route("/openapi.json", document),
        Route("/slow", slow, methods=["GET"]),
        Route("/notes", list_notes, methods=["GET"]),
        Route("/notes", add_note, methods=["POST"]),
        Route("/users", list_users, methods=["GET"]),
        Route("/users/{id}", one_user, methods=["GET", "DELETE"]),
        Route("/me", me, methods=["GET", "DELETE"]),
    ]
    app = Starlette(routes=routes[:1] if mood == "absent" else routes)

    async def limited(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["path"] != "/openapi.json" and mood in ("limits", "stingy"):
            key = scope["client"][0] if mood == "limits" else "all"
            spent[key] += 1
            if spent[key] > 20:
                await refuse(429, Retry_After="30")(scope, receive, send)
                return
        await app(scope, receive, send)

    return limited  # type: ignore[return-value]


if __name__ == "__main__":
    uvicorn.run(
        create_app(sys.argv[2]), host="127.0.0.1", port=int(sys.argv[1]), log_level="critical", access_log=False
    )
