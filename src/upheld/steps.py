"""Moves that dialogues share: a valid request of any operation, a resource made for the occasion, a control that succeeds."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Generator, Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from upheld.check import Action, CannotProve, Lane, NotApplicable, Subject, Subjects, Unproven, send, sign_in
from upheld.exchange import Exchange, Headers, NotJson, Request, Response, Session

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource, Step

Move = Generator[Action, Any, Any]


# -- subjects ------------------------------------------------------------------------------------------------------------


def operations(contract: Contract, keep: Callable[[Operation], bool], otherwise: str) -> Subjects:
    """One subject for each operation that ``keep`` keeps and that may be sent; not applicable (``otherwise``) without any."""
    found = [
        Subject(op.label, operation=op) for op in contract.operations if keep(op) and op.label not in contract.dangerous
    ]
    return found or NotApplicable(otherwise)


def resources(contract: Contract, keep: Callable[[Resource], bool], otherwise: str) -> Subjects:
    """One subject for each resource family that ``keep`` keeps."""
    found = [Subject(family.collection, resource=family) for family in contract.resources if keep(family)]
    return found or NotApplicable(otherwise)


def canary(contract: Contract) -> Operation | None:
    """A safe, secured operation that needs nothing but credentials: the smallest proof that a session is alive.

    Operations about the caller (``/me``) come first, then those that no ``roles:`` line restricts, then short paths.
    """

    def needs_nothing(op: Operation) -> bool:
        return (
            op.method == "GET"
            and not contract.is_public(op)
            and not any(p.required for p in op.parameters)
            and op.label not in contract.dangerous
        )

    def order(op: Operation) -> tuple[bool, bool, int, str]:
        about_me = op.path.rstrip("/").rsplit("/", 1)[-1] in ("me", "self", "profile", "whoami", "current", "user")
        return (contract.roles(op) is not None, not about_me, len(op.path), op.path)

    return min(filter(needs_nothing, contract.operations), key=order, default=None)


def plain_get(contract: Contract) -> Operation | None:
    """A GET that needs no parameters: below the version prefix and open to everybody where there is such a one."""

    def needs_nothing(op: Operation) -> bool:
        return (
            op.method == "GET"
            and op.success is not None
            and not any(p.required for p in op.parameters)
            and op.label not in contract.dangerous
        )

    def order(op: Operation) -> tuple[bool, bool, bool, int, str]:
        outside = not op.path.startswith(contract.prefix + "/")
        return (outside, op.secured, contract.roles(op) is not None, len(op.path), op.path)

    return min(filter(needs_nothing, contract.operations), key=order, default=None)


# -- routes --------------------------------------------------------------------------------------------------------------


def templates(contract: Contract, path: str) -> tuple[str, ...]:
    """The contract's path templates that a concrete path fits, the most literal one first."""
    return tuple(
        template for pattern, template in _routes(contract).get(path.count("/"), ()) if pattern.fullmatch(path)
    )


def reached(exchange: Exchange, contract: Contract) -> Operation | None:
    """The operation that the exchange names, if its method and path lead there and nowhere else; None when they don't.

    Generated paths can miss their template: an empty parameter, an encoded slash, dots, or the name of a sibling (``/users/me``).
    """
    operation, path = contract.operation(exchange.operation), exchange.request.path
    if operation is None or exchange.request.method != operation.method or _ELUSIVE.search(path):
        return None
    return operation if templates(contract, path)[:1] == (operation.path,) else None


_ELUSIVE = re.compile(r"%2f|%5c|%00|\\|;|//|/(?:\.|%2e){1,2}(?:/|$)", re.IGNORECASE)


@lru_cache(maxsize=64)
def _routes(contract: Contract) -> Mapping[int, list[tuple[re.Pattern[str], str]]]:
    table: dict[int, list[tuple[re.Pattern[str], str]]] = {}
    paths = {operation.path for operation in contract.operations}
    for path in sorted(paths, key=lambda p: (["{" in segment for segment in p.split("/")], p)):
        parts = re.split(r"\{[^{}/]*\}", path)
        table.setdefault(path.count("/"), []).append((re.compile("[^/]+".join(map(re.escape, parts))), path))
    return table


# -- requests ------------------------------------------------------------------------------------------------------------


def caller(lane: Lane, operation: Operation, *, fresh: bool = False) -> Move:
    """``session = yield from caller(lane, op)``: somebody who may call it; None where no credentials are asked for."""
    if not operation.secured:
        return None
    allowed = lane.contract.roles(operation)
    session: Session = yield from sign_in(allowed[0] if allowed else None, fresh=fresh)
    return session


def valid_request(lane: Lane, operation: Operation, session: Session | None) -> Move:
    """``request = yield from valid_request(lane, op, session)``: one that the contract says is right.

    Members that its path names are made first (or taken from the collection). The request carries ``session``.
    Raises `CannotProve` when a member is needed and nobody can make one.
    """
    from upheld.contract.example import parameters_example

    values = parameters_example(lane.contract, operation, lane.unique)
    yield from _links(lane, operation, session)
    path = yield from _path(lane, operation, session, values.get("path", {}))
    headers = Headers({name: _plain(value) for name, value in values.get("header", {}).items()})
    cookies = "; ".join(f"{name}={_plain(value)}" for name, value in values.get("cookie", {}).items())
    if cookies:
        headers = headers.with_("Cookie", cookies)
    query = tuple((name, _plain(item)) for name, value in values.get("query", {}).items() for item in _many(value))
    request = Request(operation.method, path, query, headers, session=session, operation=operation.label)
    return with_valid_body(lane, request, operation)


def with_valid_body(lane: Lane, request: Request, operation: Operation) -> Request:
    """The request with a body that fits the operation's schema, unique where the contract says so.

    Other things that it has to name (``product_id``) are those that the dialogue made for it before.
    """
    from upheld.contract.example import example

    body = operation.body
    if body is None:
        return request
    if body.json_schema is not None:
        media_type = next(t for t in body.content if t == "application/json" or t.endswith("+json"))
        value = example(lane.contract, body.json_schema, unique=lane.unique, known=lane.known)
        return request.with_json(value).with_headers(content_type=media_type)
    if "application/x-www-form-urlencoded" in body.content:
        value = example(lane.contract, body.content["application/x-www-form-urlencoded"], unique=lane.unique)
        form = urlencode({k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else {})
        return request.with_(body=form.encode()).with_headers(content_type="application/x-www-form-urlencoded")
    if body.required:
        raise CannotProve(
            f"{operation.label} takes {', '.join(body.content) or 'an undescribed body'}, which we do not make"
        )
    return request


def control(lane: Lane, operation: Operation, session: Session | None) -> Move:
    """``request, response = yield from control(lane, op, session)``: a valid request that was answered with 2xx.

    Every accusation stands on one: raises `CannotProve` when the service refuses it.
    """
    request = yield from valid_request(lane, operation, session)
    response = yield from send(request)
    if not response.ok:
        raise CannotProve(f"the control request {operation.label} was answered with {describe(response)}")
    return request, response


def takes_json(operation: Operation) -> bool:
    """Its request body may be JSON, and the document says more of it than that."""
    return operation.body is not None and isinstance(operation.body.json_schema, Mapping)


def touches_only_its_own(contract: Contract, operation: Operation) -> bool:
    """Calling it changes nothing that was there before: it is safe, names no member, or names one that can be made first."""
    creates = {r.member: r.create for r in contract.resources if r.create and r.create.label not in contract.dangerous}
    return operation.safe or all(
        operation.path.split("{" + parameter.name + "}")[0] + "{" + parameter.name + "}" in creates
        for parameter in operation.path_parameters
    )


_MYSELF = frozenset({"me", "self", "profile", "account", "current", "user"})


def sampled(contract: Contract, keep: Callable[[Operation], bool], most: int, otherwise: str) -> Subjects:
    """At most ``most`` operations that ``keep`` keeps, those that need the fewest preparations first."""
    found = operations(contract, lambda op: keep(op) and touches_only_its_own(contract, op), otherwise)
    if isinstance(found, NotApplicable | Unproven):
        return found
    creates = {family.create.label for family in contract.resources if family.create is not None}

    def order(subject: Subject) -> tuple[int, bool]:
        label = subject.label
        return label.count("{"), label not in creates

    return sorted(found, key=order)[:most]


def accepted(lane: Lane, operation: Operation) -> Move:
    """``request, response, session = yield from accepted(lane, op)``: a control by somebody who may send it.

    The session's own operations (login, refresh) are called with what they need: a password, a refresh token of its own.
    """
    auth = lane.contract.auth
    session: Session | None
    for step in (auth.register, auth.login, auth.refresh, auth.logout):
        if step is not None and step.operation == operation:
            session = (yield from sign_in(fresh=step is not auth.login)) if step is not auth.register else None
            request = step_request(lane, step, session).as_(session if operation.secured else None)
            response: Response = yield from send(request)
            if not response.ok:
                raise CannotProve(f"the control request {operation.label} was answered with {describe(response)}")
            return request, response, request.session
    changes_its_caller = not operation.safe and operation.path.rstrip("/").rsplit("/", 1)[-1] in _MYSELF
    session = yield from caller(lane, operation, fresh=changes_its_caller)
    request, response = yield from control(lane, operation, session)
    return request, response, session


def another(lane: Lane, operation: Operation, request: Request) -> Request:
    """The accepted request once more, with a body of its own, so that nothing unique is used twice."""
    register = lane.contract.auth.register
    if register is not None and register.operation == operation:
        return request.with_(body=step_request(lane, register, None).body)
    if any(step and step.operation == operation for step in (lane.contract.auth.login, lane.contract.auth.refresh)):
        return request
    return with_valid_body(lane, request, operation)


def make(lane: Lane, resource: Resource, session: Session | None) -> Move:
    """``id, response = yield from make(lane, resource, session)``: a new member. Raises `CannotProve` when it can't be made."""
    if resource.create is None:
        raise CannotProve(f"{resource.collection} has no operation that creates a member")
    request = yield from valid_request(lane, resource.create, session)
    response: Response = yield from send(request)
    if not response.ok:
        raise CannotProve(f"{resource.create.label} was answered with {describe(response)}")
    identifier = id_of(resource, response)
    if identifier is None:
        raise CannotProve(f"{resource.create.label} does not tell the id of what it made")
    return identifier, response


def id_of(resource: Resource, response: Response) -> str | None:
    """The id of the member that a create or read answer shows, from its body, else from Location."""
    try:
        value = pointed(response.json(), resource.id_pointer)
    except (NotJson, LookupError):
        value = None
    if value is None and "location" in response.headers:
        value = response.headers["location"].split("?")[0].rstrip("/").rsplit("/", 1)[-1] or None
    return None if value is None or isinstance(value, dict | list) else _plain(value)


def discard(lane: Lane, resource: Resource, identifier: str, session: Session | None) -> Move:
    """Delete what the dialogue made, where the contract offers it to this session. How it goes is not judged."""
    delete = resource.delete
    if delete is None or delete.label in lane.contract.dangerous or (delete.secured and session is None):
        return
    allowed = lane.contract.roles(delete)
    path = member_path(resource, identifier, delete.path)
    if "{" in path or (allowed and (session is None or session.role not in allowed)):
        return
    try:
        yield from send(Request("DELETE", path, session=session, operation=delete.label))
    except CannotProve:
        return


def unmade_path(lane: Lane, path: str) -> str:
    """A concrete path of this template whose ids fit the contract and name nothing: for what is decided before any lookup."""
    from upheld.contract.example import parameters_example

    operation = next(op for op in lane.contract.operations if op.path == path)
    values = parameters_example(lane.contract, operation, lane.unique).get("path", {})
    for name, value in values.items():
        path = path.replace("{" + name + "}", quote(_plain(value), safe=""))
    return path


def octets(request: Request, *fields: tuple[str, str]) -> bytes:
    """The request as it stands on the wire, its session's credentials included, for `raw`; ``fields`` come after its own.

    ``Host: {host}``, Content-Length and ``Connection: close`` are added where the request does not say otherwise.
    """
    pairs = [*request.headers.pairs, *fields]
    given = {name.lower() for name, _ in pairs}
    if request.session is not None:
        pairs += [(name, value) for name, value in request.session.headers if name.lower() not in given]
    if "host" not in given:
        pairs.insert(0, ("Host", "{host}"))
    if request.body is not None and not given & {"content-length", "transfer-encoding"}:
        pairs.append(("Content-Length", str(len(request.body))))
    if "connection" not in given:
        pairs.append(("Connection", "close"))
    lines = [f"{request.method} {request.target} HTTP/1.1", *(f"{name}: {value}" for name, value in pairs)]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\n\r\n" + (request.body or b"")


def member_path(resource: Resource, identifier: str, of: str | None = None) -> str:
    """The path of a member; ``of`` is another template with the same id parameter."""
    return (of or resource.member).replace("{" + resource.id_parameter + "}", quote(identifier, safe=""))


def pointed(document: Any, pointer: str) -> Any:
    """The value that a JSON Pointer (RFC 6901) names. Raises LookupError."""
    value = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list):
            value = value[int(key)] if key.isdigit() else _missing(pointer)
        elif isinstance(value, Mapping) and key in value:
            value = value[key]
        else:
            _missing(pointer)
    return value


def _missing(pointer: str) -> Any:
    raise LookupError(pointer)


def describe(response: Response) -> str:
    """``422 application/problem+json {"type": …``: an answer in few words, for reasons and evidence."""
    text = " ".join(response.text.split())
    kind = response.media_type
    shown = f" {text[:160]}{'…' if len(text) > 160 else ''}" if text else ""
    return f"{response.status}{f' {kind}' if kind else ''}{shown}"


def tidy(lane: Lane, operation: Operation, response: Response, session: Session | None) -> Move:
    """Discard what ``operation`` made, when it creates members and ``response`` shows one."""
    family = next((family for family in lane.contract.resources if family.create == operation), None)
    identifier = id_of(family, response) if family is not None and response.ok else None
    if family is not None and identifier is not None:
        yield from discard(lane, family, identifier, session)


def step_request(lane: Lane, step: Step, session: Session | None) -> Request:
    """The request of a step of the session's life (login, refresh, …) with what ``session`` knows in its places."""
    nobody = lane.unique("n") + ("@example.com" if lane.contract.auth.user_kind == "email" else "")
    person = session or Session("nobody", "", nobody, f"{lane.unique('Pw')}-Aa1!", refresh="none")
    names = {
        "$user": person.user,
        "$password": person.password,
        "$refresh": person.refresh or "",
        "$unique": lane.unique(),
    }
    return fill_step(step, names)


def fill_step(step: Step, names: Mapping[str, str]) -> Request:
    """The request of a step with ``names`` (``$user`` → …) put into its body."""
    request = Request(step.operation.method, step.operation.path, operation=step.operation.label)
    return request if step.body is None else with_body(request, _filled(step.body, names), step.media_type)


def with_body(request: Request, value: Any, media_type: str) -> Request:
    """The request with ``value`` as its body, as a form or as JSON."""
    if media_type == "application/x-www-form-urlencoded":
        form = urlencode({k: _plain(v) for k, v in value.items()} if isinstance(value, Mapping) else {})
        return request.with_(body=form.encode()).with_headers(content_type=media_type)
    return request.with_json(value).with_headers(content_type=media_type)


def _filled(template: Any, names: Mapping[str, str]) -> Any:
    if isinstance(template, str):
        for name, value in names.items():
            template = template.replace(name, value)
        return template
    if isinstance(template, Mapping):
        return {key: _filled(value, names) for key, value in template.items()}
    return [_filled(value, names) for value in template] if isinstance(template, list | tuple) else template


# -- errors --------------------------------------------------------------------------------------------------------------

PROBLEM = "application/problem+json"
NO_FORMAT = NotApplicable("the contract promises no error format (errors: {format: rfc9457})")
_URI_REFERENCE = re.compile(r"[!#-;=?-\[\]_a-z~\u0080-\U0010ffff]*")


def problems_promised(contract: Contract) -> bool:
    """Whether every error is to be a problem document (RFC 9457)."""
    return contract.policy.errors.format == "rfc9457"


def exempt_from_problems(contract: Contract, request: Request) -> bool:
    """``errors.exempt`` lists what the request calls: it has an error format of its own."""
    from upheld.contract.patterns import matches

    operation = contract.operation(request.operation)
    path = operation.path if operation else request.path
    return any(matches(pattern, request.method, path, contract.prefix) for pattern in contract.policy.errors.exempt)


def problem_fault(response: Response) -> str:
    """Why the answer carries no problem document, in few words; empty when it does."""
    kind = response.media_type
    if kind == "application/problem+xml":
        return ""
    if kind != PROBLEM:
        return kind or "content without a Content-Type"
    try:
        document = response.json()
    except NotJson:
        return f"{PROBLEM} that cannot be parsed"
    return "" if isinstance(document, dict) else f"{PROBLEM} that is no JSON object"


def member_faults(response: Response, require: Iterable[str]) -> list[str]:
    """What is wrong with the members of a problem document (RFC 9457 §3.1); empty also when it is none."""
    if response.media_type != PROBLEM:
        return []
    try:
        document = response.json()
    except NotJson:
        return []
    if not isinstance(document, dict):
        return []
    faults = [f"no {name!r}" for name in require if name not in document]
    for name in ("type", "title", "detail", "instance"):
        value = document.get(name, "")
        if not isinstance(value, str):
            faults.append(f"{name!r} is {_kind(value)}, not a string")
        elif name in ("type", "instance") and not _URI_REFERENCE.fullmatch(value):
            faults.append(f"{name!r} is no URI reference: {value[:60]!r}")
    status = document.get("status", response.status)
    if isinstance(status, bool) or not isinstance(status, int | float):
        faults.append(f"'status' is {_kind(status)}, not a number")
    elif status != response.status:
        faults.append(f"'status' is {status:.10g} in an answer with {response.status}")
    return faults


def _kind(value: Any) -> str:
    kinds = {bool: "a boolean", str: "a string", list: "an array", dict: "an object", type(None): "null"}
    return kinds.get(type(value), "a number")


_SERVER_MADE = frozenset({400, 408, 411, 413, 414, 417, 431, 501, 505})
_GATEWAY_MADE = frozenset({502, 503, 504})


def made_below(response: Response) -> bool:
    """The HTTP server or a gateway seems to have made this error: the application, and so its contract, never saw the request.

    What gives it away: no JSON, and one of the statuses that servers answer on their own, ending the connection.
    """
    if response.is_json:
        return False
    closes = "close" in response.headers.get("connection", "").lower()
    return response.status in _GATEWAY_MADE or (response.status in _SERVER_MADE and closes)


def maker(request: Request, response: Response) -> str:
    """Which part of a service seems to have made this error, in words: errors of one maker have one cause."""
    status = response.status
    if status == 429:
        return "the rate limiter"
    if status >= 500:
        return "the handler of unexpected errors"
    if status in (401, 403):
        return "authentication and authorization"
    if status == 405 or (status == 404 and request.operation is None):
        return "the router"
    if status in (400, 422):
        return "the validation of requests"
    if status in (406, 411, 413, 414, 415, 417, 431):
        return "the bounds on requests"
    return "the operations' own code"


def _path(lane: Lane, operation: Operation, session: Session | None, values: Mapping[str, Any]) -> Move:
    path = operation.path
    for parameter in operation.path_parameters:
        mark = "{" + parameter.name + "}"
        prefix = path.split(mark)[0] + mark
        family = _family(lane.contract, operation.path.split(mark)[0] + mark)
        if family is None or family.create is operation:
            value = _plain(values.get(parameter.name, lane.unique()))
        else:
            value = yield from _member(
                lane, family, session, path.split(mark)[0].rstrip("/"), values.get(parameter.name)
            )
        path = prefix.replace(mark, quote(value, safe="")) + path[len(prefix) :]
    return path


# A body that names another thing (``product_id``) is only right when that thing is there.


def _links(lane: Lane, operation: Operation, session: Session | None) -> Move:
    """Members that the body has to name are made first; where that fails, the document's example is all there is."""
    from upheld.contract.links import body_links

    for name, family in body_links(lane.contract, operation).items():
        if name in lane.known:
            continue
        lane.known[name] = None  # whoever makes it may need one of its own kind
        try:
            identifier = yield from _member(lane, family, session, family.collection, None)
        except CannotProve:
            identifier = None
        if identifier is None:
            del lane.known[name]
        else:
            lane.known[name] = int(identifier) if identifier.isdecimal() and identifier.isascii() else identifier


def _family(contract: Contract, template: str) -> Resource | None:
    return next((family for family in contract.resources if family.member == template), None)


def _member(lane: Lane, family: Resource, session: Session | None, collection: str, fallback: Any) -> Move:
    """An id under the collection (its own path parameters filled already): made, else listed."""
    create = family.create
    if create is not None and create.label not in lane.contract.dangerous:
        maker = session
        allowed = lane.contract.roles(create)
        if create.secured and (maker is None or (allowed and maker.role not in allowed)):
            maker = yield from caller(lane, create)
        request = (yield from valid_request(lane, create, maker)) if "{" not in create.path else None
        if request is None:
            request = with_valid_body(
                lane, Request(create.method, collection, session=maker, operation=create.label), create
            )
        response: Response = yield from send(request)
        made = id_of(family, response) if response.ok else None
        if made is not None:
            return made
        refused = f"{create.label} was answered with {describe(response)}"
    else:
        refused = f"{family.collection} has no operation that creates a member"
        own = yield from _own_id(lane, family, session, collection)
        if own is not None:
            return own
    if family.list is not None:
        listed = yield from listed_id(lane, family, session, collection)
        if listed is not None:
            return listed
    raise CannotProve(f"no member of {family.collection} could be had: {refused}")


def _own_id(lane: Lane, family: Resource, session: Session | None, collection: str) -> Move:
    """The caller's own member of a family that nobody creates by hand: ``GET /users/me`` tells the id of one user."""
    for name in ("me", "self"):
        operation = lane.contract.operation(f"GET {family.collection}/{name}")
        if operation is not None and (session is not None or not operation.secured):
            response: Response = yield from send(
                Request("GET", f"{collection}/{name}", session=session, operation=operation.label)
            )
            return id_of(family, response) if response.ok else None
    return None


def listed_id(lane: Lane, family: Resource, session: Session | None, collection: str) -> Move:
    """The id of the first member that the collection lists, or None."""
    assert family.list is not None
    reader = session
    if family.list.secured and reader is None:
        reader = yield from caller(lane, family.list)
    response: Response = yield from send(Request("GET", collection, session=reader, operation=family.list.label))
    try:
        members = pointed(response.json(), family.items_pointer or "") if response.ok else []
        first = pointed(members[0], family.id_pointer) if isinstance(members, list) and members else None
    except (NotJson, LookupError):
        return None
    return None if first is None else _plain(first)


def _plain(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else json.dumps(value)


def _many(value: Any) -> Iterable[Any]:
    return value if isinstance(value, list) else [value]
