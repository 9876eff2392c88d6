"""A service of a few lines over asyncio streams, for tests of the commands: conforming, or wrong in one way at a time.

Run in a thread (``with Notes() as notes``), or in a process of its own: ``python notes.py PORT [SECONDS]``, which waits that
long before each answer. A subclass overrides
`answer` (what is said to one request) or `connected` (what is done with one connection).
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import threading
from collections import Counter
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Self

BEARER = 'Bearer realm="notes"'
REFUSED = BEARER + ', error="invalid_token"'
PROBLEM = {
    "type": "object",
    "required": ["type", "title", "status"],
    "properties": {"type": {"type": "string"}, "title": {"type": "string"}, "status": {"type": "integer"}},
}
NOTE = {
    "type": "object",
    "required": ["id", "text"],
    "properties": {"id": {"type": "string"}, "text": {"type": "string", "minLength": 1, "maxLength": 200}},
}
WRITTEN = {
    "type": "object",
    "required": ["text"],
    "additionalProperties": False,
    "properties": {"text": NOTE["properties"]["text"]},  # type: ignore[index]
}
CREDENTIALS = {
    "type": "object",
    "required": ["email", "password"],
    "properties": {"email": {"type": "string", "format": "email"}, "password": {"type": "string", "minLength": 8}},
}


@dataclass
class Asked:
    """One request."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    peer: str
    number: int
    """How many requests this service has had, this one included."""

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    def json(self) -> Any:
        try:
            return json.loads(self.body)
        except (ValueError, RecursionError):
            return None


@dataclass
class Said:
    """One answer. ``after`` is what is done when it has been sent: ``close`` or ``drop`` (in the middle of the body)."""

    status: int
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    after: str = ""

    def octets(self, method: str) -> bytes:
        content = b"" if self.body is None else self.body
        fields = dict(self.headers)
        if not isinstance(content, bytes):
            content = json.dumps(content).encode()
            fields.setdefault("Content-Type", "application/problem+json" if self.status >= 400 else "application/json")
        if self.status not in (204, 304):
            fields.setdefault("Content-Length", str(len(content)))
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        try:
            phrase = HTTPStatus(self.status).phrase
        except ValueError:
            phrase = "Odd"
        head = f"HTTP/1.1 {self.status} {phrase}\r\n{lines}\r\n".encode()
        return head + (b"" if method == "HEAD" else content[: len(content) // 2] if self.after == "drop" else content)


def problem(status: int, **headers: str) -> Said:
    title = HTTPStatus(status).phrase
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Said(status, {"type": "about:blank", "title": title, "status": status}, fields)


class Notes:
    """Accounts and their notes."""

    def __init__(self, port: int = 0) -> None:
        self.port = port
        self.asked: Counter[str] = Counter()
        self.log: list[Asked] = []
        self.users: dict[str, str] = {"ann@example.test": "Ann-password-1"}
        self.tokens: dict[str, str] = {}
        self.notes: dict[str, dict[str, Any]] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._up = threading.Event()
        self._stop: asyncio.Event | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    # -- the service -----------------------------------------------------------------------------------------------------

    async def answer(self, asked: Asked) -> Said | bytes | None:
        """What is said: an answer, these octets as they are, or nothing and the connection is closed."""
        return self.kept(asked)

    def kept(self, asked: Asked) -> Said:
        """The answer of a service that keeps its contract."""
        routes = {
            "/health": {"GET": self._health},
            "/openapi.json": {"GET": lambda asked: Said(200, document())},
            "/auth/register": {"POST": self._register},
            "/auth/login": {"POST": self._login},
            "/me": {"GET": self._me, "DELETE": self._delete_me},
            "/notes": {"GET": self._list, "POST": self._write},
        }
        found = routes.get(asked.path)
        if re.fullmatch(r"/notes/[^/]+", asked.path):
            found = {"GET": self._read, "DELETE": self._remove}
        if found is None:
            return problem(404)
        method = "GET" if asked.method == "HEAD" and "GET" in found else asked.method
        if method not in found:
            return problem(405, Allow=", ".join(sorted({*found, *(["HEAD"] if "GET" in found else [])})))
        secured = asked.path == "/me" or (asked.path.startswith("/notes") and method != "GET")
        if secured and self.caller(asked) is None:
            return problem(401, WWW_Authenticate=REFUSED if "authorization" in asked.headers else BEARER)
        if method == "POST" and "content-encoding" in asked.headers:
            return problem(415)
        if method == "POST" and asked.headers.get("content-type", "").partition(";")[0] != "application/json":
            return problem(415)
        return found[method](asked)

    def caller(self, asked: Asked) -> str | None:
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        return self.tokens.get(token) if scheme.lower() == "bearer" else None

    def _health(self, asked: Asked) -> Said:
        return Said(200, {"status": "ok"})

    def _register(self, asked: Asked) -> Said:
        body = asked.json()
        if not _credentials(body):
            return problem(422 if isinstance(body, dict) else 400)
        if body["email"] in self.users:
            return problem(409)
        self.users[body["email"]] = body["password"]
        return Said(201, {"email": body["email"]})

    def _login(self, asked: Asked) -> Said:
        body = asked.json()
        if not _credentials(body):
            return problem(422 if isinstance(body, dict) else 400)
        if self.users.get(body["email"]) != body["password"]:
            return problem(401, WWW_Authenticate=BEARER)
        token = f"notes-token-{len(self.tokens)}-{asked.number:08x}"
        self.tokens[token] = body["email"]
        return Said(200, {"access_token": token}, {"Cache-Control": "no-store"})

    def _me(self, asked: Asked) -> Said:
        return Said(200, {"email": self.caller(asked)})

    def _delete_me(self, asked: Asked) -> Said:
        user = self.caller(asked)
        self.tokens = {token: name for token, name in self.tokens.items() if name != user}
        return Said(204)

    def _list(self, asked: Asked) -> Said:
        return Said(200, {"items": list(self.notes.values())[-20:]})

    def _write(self, asked: Asked) -> Said:
        body = asked.json()
        if not isinstance(body, dict):
            return problem(400)
        if not isinstance(body.get("text"), str) or not 1 <= len(body["text"]) <= 200 or len(body) > 1:
            return problem(422)
        note = {"id": f"n{asked.number}", "text": body["text"]}
        self.notes[str(note["id"])] = note
        return Said(201, note, {"Location": f"/notes/{note['id']}"})

    def _read(self, asked: Asked) -> Said:
        note = self.notes.get(asked.path.rpartition("/")[2])
        return Said(200, note) if note else problem(404)

    def _remove(self, asked: Asked) -> Said:
        return Said(204) if self.notes.pop(asked.path.rpartition("/")[2], None) else problem(404)

    # -- the socket ------------------------------------------------------------------------------------------------------

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
                line, *fields = head.split("\r\n")
                method, target, _ = line.split(" ")
            except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
                return
            pairs = (item.partition(":") for item in fields if item)
            headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
            try:
                body = await reader.readexactly(int(headers.get("content-length") or 0))
            except (ValueError, asyncio.IncompleteReadError):
                return
            peer = writer.get_extra_info("peername")[0]
            asked = Asked(method, target, headers, body, peer, self.asked.total() + 1)
            self.asked[f"{method} {asked.path}"] += 1
            self.log.append(asked)
            said = await self.answer(asked)
            if said is None:
                return
            writer.write(said if isinstance(said, bytes) else said.octets(method))
            await writer.drain()
            if isinstance(said, bytes) or said.after:
                return

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await self.connected(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _run(self) -> None:
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", self.port, backlog=512)
        self.port = server.sockets[0].getsockname()[1]
        self._up.set()
        await self._stop.wait()
        server.close()
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()

    def _serve(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.run_until_complete(self._run())
        self._loop.run_until_complete(self._loop.shutdown_asyncgens())
        self._loop.close()

    def die(self) -> None:
        """Stop listening and drop every connection, as a process that is killed. Callable from `answer`."""
        if self._stop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop.set)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._up.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self.die()
        self._thread.join(10)


def _credentials(body: Any) -> bool:
    return (
        isinstance(body, dict)
        and isinstance(body.get("email"), str)
        and "@" in body["email"]
        and isinstance(body.get("password"), str)
        and len(body["password"]) >= 8
    )


def document(url: str = "") -> dict[str, Any]:
    """Its OpenAPI document."""

    def answers(success: int, schema: dict[str, Any] | None, *errors: int) -> dict[str, Any]:
        good: dict[str, Any] = {"description": "good"}
        if schema is not None:
            good["content"] = {"application/json": {"schema": schema}}
        found = {str(success): good}
        for status in (*errors, 405):
            content = {"application/problem+json": {"schema": PROBLEM}}
            found[str(status)] = {"description": HTTPStatus(status).phrase, "content": content}
        return found

    def body(schema: dict[str, Any]) -> dict[str, Any]:
        return {"required": True, "content": {"application/json": {"schema": schema}}}

    who = {"type": "object", "required": ["email"], "properties": {"email": {"type": "string"}}}
    token = {"type": "object", "required": ["access_token"], "properties": {"access_token": {"type": "string"}}}
    notes = {"type": "object", "required": ["items"], "properties": {"items": {"type": "array", "items": NOTE}}}
    secured = [{"bearer": []}]
    one = {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Notes", "version": "1"},
        **({"servers": [{"url": url}]} if url else {}),
        "components": {"securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}}},
        "paths": {
            "/health": {"get": {"operationId": "health", "responses": answers(200, {"type": "object"})}},
            "/auth/register": {
                "post": {
                    "operationId": "register",
                    "requestBody": body(CREDENTIALS),
                    "responses": answers(201, who, 400, 409, 415, 422),
                }
            },
            "/auth/login": {
                "post": {
                    "operationId": "login",
                    "requestBody": body(CREDENTIALS),
                    "responses": answers(200, token, 400, 401, 415, 422),
                }
            },
            "/me": {
                "get": {"operationId": "me", "security": secured, "responses": answers(200, who, 401)},
                "delete": {"operationId": "deleteMe", "security": secured, "responses": answers(204, None, 401)},
            },
            "/notes": {
                "get": {"operationId": "notes", "responses": answers(200, notes)},
                "post": {
                    "operationId": "write",
                    "security": secured,
                    "requestBody": body(WRITTEN),
                    "responses": answers(201, NOTE, 400, 401, 415, 422),
                },
            },
            "/notes/{id}": {
                "get": {"operationId": "read", "parameters": [one], "responses": answers(200, NOTE, 404)},
                "delete": {
                    "operationId": "remove",
                    "security": secured,
                    "parameters": [one],
                    "responses": answers(204, None, 401, 404),
                },
            },
        },
    }


if __name__ == "__main__":
    pause = float(sys.argv[2]) if len(sys.argv) > 2 else 0.0

    class Unhurried(Notes):
        async def answer(self, asked: Asked) -> Said:
            await asyncio.sleep(pause)
            return self.kept(asked)

    with Unhurried(int(sys.argv[1])) as running:
        print(running.port, flush=True)
        threading.Event().wait()
