"""Operations that a run never calls on its own: they would take away what it stands on (its session, its account, the service,
the data) and everything after them would be judged wrongly.

``never:`` names some; the others are recognised by whole words of path and operationId, so that ``/restaurants`` is no restart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from upheld.contract import shapes
from upheld.contract.sessions import PASSWORD
from upheld.contract.words import key, words

if TYPE_CHECKING:
    from upheld.contract.model import Contract, Operation

_SELF = frozenset({"me", "self", "myself", "account", "profile", "user"})
_PEOPLE = _SELF | {"users", "accounts", "members", "customers"}
_MINE = frozenset({"my", "current", "own"})
_DELETES = frozenset({"delete", "close", "remove", "terminate"})
_PLAIN = _PEOPLE | {"api", "rest", "v", "auth", "my", "current", "own", "delete", *map(str, range(10))}
_LOGOUT = frozenset({"logout", "signout", "logoff", "signoff"})
_REVOKE = frozenset({"revoke", "revocation", "invalidate", "blacklist"})
_CREDENTIALS = frozenset({"token", "tokens", "session", "sessions", "credential", "credentials"})
_FORGOTTEN = frozenset(
    {"forgot", "forget", "forgotten", "recover", "recovery", "strength", "policy", "validate", "check"}
)
_STARTS = frozenset({"login", "signin", "registration", "register", "signup", "recovery", "verification"})
_SETTINGS = frozenset({"settings", "setting", "config", "configuration"})
_HOUSE = frozenset({"admin", "system", "server", "instance", "service", "global", "site"})
_LOCK = frozenset({"disable", "suspend", "ban", "block", "lock"})
_SHELL = frozenset({"shell", "exec", "eval", "cmd"})

# What may stand beside a verb without making it another thing: /cache/flush and /reset-database, but not /reset-links.
_OBJECTS = frozenset({
    "all", "cache", "caches", "data", "database", "databases", "db", "demo", "everything", "factory", "hard", "index", "kv", "logs",
    "mode", "queue", "queues", "redis", "server", "service", "soft", "state", "store", "system", "app", "application", "instance",
    "test", "tables", "tenant", "fixtures", "env", "environment", "storage", "sessions", "process", "worker", "workers", "machine",
})  # fmt: skip
_AFTER = frozenset({"on", "off", "enable", "disable", "start", "stop", "toggle", "run", "now", "begin", "end", "confirm", "force",
                    "csv", "json", "file", "bulk", "excel", "xlsx", "xml", "upload", "full", "up", "down"})  # fmt: skip
_VERBS: Mapping[str, str] = {
    "maintenance": "switches the service to maintenance",
    "shutdown": "stops the service", "poweroff": "stops the service", "halt": "stops the service", "reboot": "restarts the service",
    "restart": "restarts the service", "quit": "stops the service", "crash": "stops the service",
    "flush": "empties a store", "purge": "deletes data in bulk", "truncate": "deletes data in bulk", "wipe": "deletes data in bulk",
    "reset": "puts data back to a beginning", "reseed": "puts data back to a beginning",
    "backup": "copies all data", "restore": "replaces data by an older copy", "rollback": "replaces data by an older copy",
    "createdb": "puts data back to a beginning", "resetdb": "puts data back to a beginning", "initdb": "puts data back to a beginning",
    "dropdb": "deletes data in bulk", "import": "takes in data in bulk", "migrate": "changes the database",
}  # fmt: skip
_CLEARS = frozenset(
    {"cache", "caches", "data", "database", "db", "all", "logs", "queue", "queues", "storage", "everything"}
)
_COMMANDS = frozenset({"command", "commands", "code", "script", "sql"})


def dangerous(contract: Contract) -> Mapping[str, str]:
    """Label → why generated requests never call it."""
    collections = {path.rstrip("/") for operation in contract.operations if (path := _collection_of(operation.path))}
    found: dict[str, str] = {}
    for operation in contract.operations:
        if any(contract.matches(pattern, operation) for pattern in contract.policy.never):
            found[operation.label] = "listed under never"
        else:
            why = next(_reasons(contract, operation, collections), None)
            if why:
                found[operation.label] = why
    return found


def _collection_of(path: str) -> str | None:
    head, _, tail = path.rstrip("/").rpartition("/")
    return head if tail.startswith("{") and head else None


def _reasons(contract: Contract, operation: Operation, collections: set[str]) -> Iterator[str]:
    segments = [segment for segment in operation.path.split("/") if segment]
    fixed = [frozenset(words(segment)) for segment in segments if "{" not in segment]
    templates = [index for index, segment in enumerate(segments) if "{" in segment]
    named = frozenset(words(operation.operation_id))
    last = frozenset() if not segments or "{" in segments[-1] else fixed[-1]
    yield from _sessions(contract, operation, fixed, last, named)
    # POST /user beside /user/{id} makes a user; without members, /user is the caller.
    makes = operation.method == "POST" and operation.path.rstrip("/") in collections
    yield from _account(contract, operation, fixed, last, other=bool(templates) or makes)
    if fixed and any(word in _SHELL for word in last) and not operation.safe:
        yield "runs what it is sent"
    settings = last & _SETTINGS and not last - _SETTINGS - _HOUSE and any(segment & _HOUSE for segment in fixed)
    if settings and not operation.safe and not templates:
        yield "changes the settings of the whole service"
    if not templates:
        yield from _service(operation, segments, collections)
        if operation.method == "DELETE" and operation.path.rstrip("/") in collections and not _narrowed(operation):
            yield "deletes a whole collection"


def _sessions(
    contract: Contract, operation: Operation, fixed: list[frozenset[str]], last: frozenset[str], named: frozenset[str]
) -> Iterator[str]:
    logout = contract.auth.logout
    if (logout and logout.operation == operation) or (last | named) & _LOGOUT:
        yield "ends the session"
    before = fixed[-2] if len(fixed) > 1 else frozenset[str]()
    if (
        not operation.safe
        and last & _REVOKE
        and (last & _CREDENTIALS or before & (_CREDENTIALS | _SELF | {"auth", "oauth"}))
    ):
        yield "revokes credentials"
    if operation.method == "DELETE" and fixed and not fixed[-1] - _CREDENTIALS - {"current", "all", "others"}:
        if any(segment & {"session", "sessions"} for segment in fixed):
            yield "ends the session"
        elif last & {"token", "tokens"}:
            yield "revokes credentials"


def _account(
    contract: Contract, operation: Operation, fixed: list[frozenset[str]], last: frozenset[str], *, other: bool
) -> Iterator[str]:
    auth = contract.auth
    if auth.delete_account and auth.delete_account.operation == operation:
        yield "deletes the caller's own account"
    if auth.change_password and auth.change_password.operation == operation:
        yield "changes the caller's own password"
    own = bool(last & _SELF) and not last - _SELF - _MINE and not other
    if operation.method == "DELETE" and own and all(segment <= _PLAIN for segment in fixed):
        # DELETE /carts/me empties a cart; only where nothing else is named is it the account.
        yield "deletes the caller's own account"
    if operation.safe:
        return
    before = fixed[-2] if len(fixed) > 1 else frozenset[str]()
    if not other and last & _DELETES and not last - _DELETES - _SELF - _MINE and (last | before) & _SELF:
        yield "deletes the caller's own account"
    if "password" in last and not last & _FORGOTTEN and not any(segment & _STARTS for segment in fixed):
        # A reset that anybody may ask for sends a mail; one that needs credentials changes the password of somebody at once.
        if "reset" not in last or operation.secured:
            yield "changes a password"
    elif own and operation.method in ("PUT", "PATCH", "POST") and _changes_password(contract, operation):
        yield "changes the caller's own password"
    people = any(segment & _PEOPLE for segment in fixed)
    plain = all(segment <= _PLAIN | {"deactivate"} for segment in fixed)
    if (last & _LOCK and people) or ("deactivate" in last and (people or plain)):
        yield "locks an account"


def _changes_password(contract: Contract, operation: Operation) -> bool:
    form = shapes.form_schema(operation)
    register = contract.auth.register
    if form is None or (register and register.operation == operation):
        return False
    wanted = PASSWORD | {"new_password"}
    return any(True for _ in shapes.find(contract.schemas, form[1], lambda name, _: key(name) in wanted, depth=2))


def _service(operation: Operation, segments: list[str], collections: set[str]) -> Iterator[str]:
    spoken = [words(segment) for segment in segments]
    for index, segment in enumerate(spoken):
        rest = spoken[index + 1 :]
        # A word with members of its own is a thing, not a deed: POST /maintenance beside /maintenance/{id}.
        thing = "/" + "/".join(segments[: index + 1]) in collections
        if not thing and all(set(other) <= _AFTER | _OBJECTS for other in rest):
            yield from _deed(segment, safe=operation.safe and bool(rest))
        if set(segment) & {"execute", "run"} and set(segment) & _COMMANDS and not operation.safe:
            yield "runs what it is sent"
    if len(spoken) > 1 and spoken[-1] == ("clear",) and set(spoken[-2]) & _CLEARS and not operation.safe:
        yield "empties a store"
    if not operation.safe:
        yield from _deed(_verb_first(operation, spoken), safe=False)


def _verb_first(operation: Operation, spoken: list[tuple[str, ...]]) -> tuple[str, ...]:
    """The words of an operationId that its author chose; one that a framework made repeats the path and tells nothing new."""
    named = words(operation.operation_id)
    path = {word for segment in spoken for word in segment}
    return () if path and path <= set(named) else named


def _deed(spoken: tuple[str, ...], *, safe: bool) -> Iterator[str]:
    said = set(spoken)
    if safe or not said:
        return
    for verb in said & _VERBS.keys():
        if said - {verb} <= _OBJECTS | _AFTER:
            yield _VERBS[verb]
    if "clear" in said and said & _CLEARS and said - {"clear"} <= _OBJECTS:
        yield "empties a store"
    if said & {"seed"} and said - {"seed"} and said - {"seed"} <= _OBJECTS:
        yield "puts data back to a beginning"


def _narrowed(operation: Operation) -> bool:
    return any(p.required for p in operation.parameters if p.location == "query") or (
        operation.body is not None and operation.body.required
    )
