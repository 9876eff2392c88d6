"""A valid request of any operation, a member made for the occasion, a control that succeeds."""

from __future__ import annotations

import re
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from upheld.check import Action, CannotProve, Lane, send, sign_in
from upheld.exchange import Headers, NotJson, Request, Response, Session
from upheld.steps.subjects import MYSELF, canary
from upheld.steps.values import describe, many, plain, pointed, with_body

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource, Step
    from upheld.contract.model import Parameter


Move = Generator[Action, Any, Any]


def caller(lane: Lane, operation: Operation, *, fresh: bool = False) -> Move:
    """``session = yield from caller(lane, op)``: somebody who may call it; None where no credentials are asked for."""
    if not operation.secured:
        return None
    allowed = lane.contract.roles(operation)
    at_hand = [lane.at_hand[role] for role in allowed or lane.at_hand if role in lane.at_hand]
    if at_hand and not fresh:
        return at_hand[0]
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
    headers = Headers({name: plain(value) for name, value in values.get("header", {}).items()})
    cookies = "; ".join(f"{name}={plain(value)}" for name, value in values.get("cookie", {}).items())
    if cookies:
        headers = headers.with_("Cookie", cookies)
    query = tuple((name, plain(item)) for name, value in values.get("query", {}).items() for item in many(value))
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
        form = urlencode({k: plain(v) for k, v in value.items()} if isinstance(value, Mapping) else {})
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
        raise refused("the control request ", request, response, lane)
    return request, response


def refused(what: str, request: Request, response: Response, lane: Lane) -> CannotProve:
    """Why a request that should have succeeded did not, with the line that may help."""
    reason = f"{what}{request.operation} was answered with {describe(response)}"
    return CannotProve(reason, _remedy(lane, request, response))


def _remedy(lane: Lane, request: Request, response: Response) -> str:
    contract, session = lane.contract, request.session
    operation = contract.operation(request.operation)
    if operation is None:
        return ""
    if session is None:
        return _fitting(operation, request, response)
    if response.status == 403 and contract.roles(operation) is None:
        others = [identity.role for identity in contract.policy.identities.values() if identity.role != session.role]
        return f'roles: [{{op: "{operation.label}", allow: [{next(iter(others), "admin")}]}}]'
    if response.status == 401 and (header := _not_carried(contract, operation, session)):
        return f"identities: {{NAME: {{role: {session.role}, …, api_key_env: …}}}}: it asks for {header}"
    return _fitting(operation, request, response)


def _fitting(operation: Operation, request: Request, response: Response) -> str:
    """What makes the request one that the service takes, where it was refused for what it says."""
    if response.status not in (400, 404, 409, 422):
        return ""
    try:
        body = request.json()
    except NotJson:
        body = None
    taken = re.search(r"unique|already|exists\b|duplicate|taken", response.text, re.IGNORECASE)
    if taken and response.status != 404 and isinstance(body, dict):
        for name, value in body.items():
            if isinstance(value, str) and re.search(rf"\b{re.escape(name)}\b", response.text):
                return f"unique: [{name}]"
    return in_the_document(operation)


def in_the_document(operation: Operation) -> str:
    """What to add where the service does not take what was made from the document alone."""
    if operation.body is not None:
        return f"in the document: an example of a body that {operation.label} takes"
    wanted = [f"{{{parameter.name}}}" for parameter in operation.path_parameters]
    return f"in the document: an example of {' and '.join(wanted)} that exists" if wanted else ""


def _not_carried(contract: Contract, operation: Operation, session: Session) -> str:
    """The header of the API key that the operation asks for, when this session has none and no other credential would do."""
    carried = {name.lower() for name, _ in session.headers}
    header = ""
    for scheme in (contract.security_schemes.get(name, {}) for names in operation.security for name in names):
        name = str(scheme.get("name", ""))
        if scheme.get("type") != "apiKey" or name.lower() in carried:
            return ""
        header = name if scheme.get("in") == "header" else header
    return header


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
    changes_its_caller = not operation.safe and operation.path.rstrip("/").rsplit("/", 1)[-1] in MYSELF
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
        raise refused("", request, response, lane)
    identifier = id_of(resource, response)
    if identifier is None:
        raise CannotProve(f"{resource.create.label} does not tell the id of what it made")
    return identifier, response


def id_of(resource: Resource, response: Response) -> str | None:
    """The id of the member that a create or read answer shows, from its body, else from Location.

    Where reads show it in an envelope (``/result/id``), it may stand at the top of what creates answer.
    """
    value = None
    for pointer in (resource.id_pointer, "/" + resource.id_pointer.rsplit("/", 1)[-1]):
        try:
            value = pointed(response.json(), pointer) if value is None else value
        except (NotJson, LookupError):
            continue
    if value is None and "location" in response.headers:
        value = response.headers["location"].split("?")[0].rstrip("/").rsplit("/", 1)[-1] or None
    return None if value is None or isinstance(value, dict | list) else plain(value)


def remover(contract: Contract, resource: Resource) -> Resource | None:
    """The family whose DELETE removes its members: itself, or the same collection under another name of the id (``{id}``, ``{pk}``)."""
    same = (family for family in contract.resources if family.create is not None and family.create == resource.create)
    return next((family for family in (resource, *same) if family.delete is not None), None)


def discard(lane: Lane, resource: Resource, identifier: str, session: Session | None) -> Move:
    """Delete what the dialogue made, where the contract offers it to this session. How it goes is not judged."""
    family = remover(lane.contract, resource)
    delete = family.delete if family is not None else None
    if (
        family is None
        or delete is None
        or delete.label in lane.contract.dangerous
        or (delete.secured and session is None)
    ):
        return
    allowed = lane.contract.roles(delete)
    path = member_path(family, identifier, delete.path)
    if "{" in path or (allowed and (session is None or session.role not in allowed)):
        return
    try:
        yield from send(Request("DELETE", path, session=session, operation=delete.label))
    except CannotProve:
        return


def unmade_path(lane: Lane, path: str) -> str:
    """A concrete path of this template whose ids fit the contract and name nothing: for what is decided before any lookup."""
    operation = next(op for op in lane.contract.operations if op.path == path)
    for parameter in operation.path_parameters:
        path = path.replace("{" + parameter.name + "}", quote(_nothing(lane, parameter), safe=""))
    return path


def _nothing(lane: Lane, parameter: Parameter) -> str:
    """A value that fits the parameter and that hardly anything is called by: never 1, which is often the administrator."""
    from upheld.contract.example import Maker

    maker = Maker(lane.contract.schemas, unique=lane.unique, fields=frozenset((parameter.name,)))
    return plain(maker.make(parameter.schema, parameter.name))


def member_path(resource: Resource, identifier: str, of: str | None = None) -> str:
    """The path of a member; ``of`` is another template with the same id parameter."""
    return (of or resource.member).replace("{" + resource.id_parameter + "}", quote(identifier, safe=""))


def tidy(lane: Lane, operation: Operation, response: Response, session: Session | None) -> Move:
    """Discard what ``operation`` made, when it creates members and ``response`` shows one."""
    family = next((family for family in lane.contract.resources if family.create == operation), None)
    identifier = id_of(family, response) if family is not None and response.ok else None
    if family is not None and identifier is not None:
        yield from discard(lane, family, identifier, session)


def step_request(lane: Lane, step: Step, session: Session | None, *, new_password: str = "") -> Request:
    """The request of a step of the session's life (login, refresh, …) with what ``session`` knows in its places.

    It carries the session where the operation is secured and the session is signed in.
    """
    nobody = lane.unique("n") + ("@example.com" if lane.contract.auth.user_kind == "email" else "")
    person = session or Session("nobody", "", nobody, f"{lane.unique('Pw')}-Aa1!", refresh="none")
    names = {
        "$user": person.user,
        "$password": person.password,
        "$refresh": person.refresh or "",
        "$new_password": new_password,
        "$unique": lane.unique(),
    }
    return fill_step(step, names)


def fill_step(step: Step, names: Mapping[str, str]) -> Request:
    """The request of a step with ``names`` (``$user`` → …) put into its body and fields. A body that is a text goes as it stands."""
    headers = Headers(_filled(step.headers, names))
    request = Request(step.operation.method, step.operation.path, headers=headers, operation=step.operation.label)
    body = _filled(step.body, names)
    if isinstance(body, str):
        return request.with_(body=body.encode()).with_headers(content_type=step.media_type)
    return request if body is None else with_body(request, body, step.media_type)


def _filled(template: Any, names: Mapping[str, str]) -> Any:
    if isinstance(template, str):
        # At once, so that a password in which "$user" stands is sent as it is; the longest first.
        marks = "|".join(re.escape(name) for name in sorted(names, key=len, reverse=True))
        return re.sub(marks, lambda found: names[found[0]], template) if names else template
    if isinstance(template, Mapping):
        return {key: _filled(value, names) for key, value in template.items()}
    return [_filled(value, names) for value in template] if isinstance(template, list | tuple) else template


def _path(lane: Lane, operation: Operation, session: Session | None, values: Mapping[str, Any]) -> Move:
    path = operation.path
    parameters = operation.path_parameters
    families = [_family(lane.contract, path.split(mark := f"{{{p.name}}}")[0] + mark) for p in parameters]
    for index, (parameter, family) in enumerate(zip(parameters, families, strict=True)):
        mark = "{" + parameter.name + "}"
        prefix = path.split(mark)[0] + mark
        # What was there before us is only read: it may be the administrator's role, or somebody's order.
        changes = not operation.safe or any(later and later.create for later in families[index + 1 :])
        if family is None or family.create is operation:
            value = _nothing(lane, parameter) if changes else plain(values.get(parameter.name, lane.unique()))
        else:
            collection = path.split(mark)[0].rstrip("/")
            value = yield from _member(lane, family, session, collection, of_others=not changes)
        path = prefix.replace(mark, quote(value, safe="")) + path[len(prefix) :]
    return path


def _links(lane: Lane, operation: Operation, session: Session | None) -> Move:
    """Members that the body has to name are made first; where that fails, the document's example is all there is."""
    from upheld.contract.links import body_links

    for name, family in body_links(lane.contract, operation).items():
        if name in lane.known:
            continue
        lane.known[name] = None  # whoever makes it may need one of its own kind
        try:
            identifier = yield from _member(lane, family, session, family.collection, of_others=True)
        except CannotProve:
            identifier = None
        if identifier is None:
            del lane.known[name]
        else:
            lane.known[name] = int(identifier) if identifier.isdecimal() and identifier.isascii() else identifier


def family_at(contract: Contract, operation: Operation, parameter: str) -> Resource | None:
    """The family whose members this parameter of the operation's path names; None where nothing in the document makes or lists them."""
    mark = "{" + parameter + "}"
    return _family(contract, operation.path.split(mark)[0] + mark)


def _family(contract: Contract, template: str) -> Resource | None:
    # /roles/{role_id}/permissions is about a member of /roles/{id}, whatever the document calls the parameter there.
    shape = _NAMED.sub("{}", template)
    same = [family for family in contract.resources if _NAMED.sub("{}", family.member.rstrip("/")) == shape]
    return next((family for family in same if family.member.rstrip("/") == template), same[0] if same else None)


_NAMED = re.compile(r"\{[^{}/]*\}")


def _member(lane: Lane, family: Resource, session: Session | None, collection: str, *, of_others: bool) -> Move:
    """An id under the collection (its own path parameters filled already): made, else listed where one ``of_others`` will do."""
    create, add = family.create, ""
    if create is not None and create.label not in lane.contract.dangerous:
        maker = session
        allowed = lane.contract.roles(create)
        if create.secured and (maker is None or (allowed and maker.role not in allowed)):
            maker = yield from caller(lane, create)
        request = (yield from valid_request(lane, create, maker)) if "{" not in create.path else None
        if request is None:
            request = with_valid_body(
                lane, Request(create.method, _as_in(create, collection), session=maker, operation=create.label), create
            )
        response: Response = yield from send(request)
        made = id_of(family, response) if response.ok else None
        if made is not None:
            return made
        why = f"{create.label} was answered with {describe(response)}"
        add = _remedy(lane, request, response)
    else:
        why = f"{family.collection} has no operation that creates a member"
        if create is not None:
            why = f"{create.label} is never sent ({lane.contract.dangerous[create.label]})"
        own = (
            (yield from _own_id(lane, family, session, collection))
            if of_others
            else (yield from _newcomer(lane, family))
        )
        if own is not None:
            return own
    if not of_others:
        why += ", and what others made is not changed"
    elif family.list is not None:
        listed = yield from listed_id(lane, family, session, collection)
        if listed is not None:
            return listed
    raise CannotProve(f"no member of {family.collection} could be had: {why}", add)


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


def _newcomer(lane: Lane, family: Resource) -> Move:
    """The id of somebody who registers for this dialogue alone, where the family's members are the users."""
    me = canary(lane.contract)
    about_me = me is not None and me.path.rstrip("/").rsplit("/", 1)[-1] in MYSELF
    if me is None or not about_me or family.collection.rstrip("/").rsplit("/", 1)[-1] not in _USERS:
        return None
    register = lane.contract.auth.register
    if register is None:
        return None
    if not register.access:
        # Nobody has to sign in to be somebody: that would be a second hash of the password.
        made: Response = yield from send(step_request(lane, register, None))
        identifier = id_of(family, made) if made.ok else None
        if identifier is not None and identifier not in MYSELF:
            return identifier
    person = yield from sign_in(fresh=True)
    response: Response = yield from send(Request("GET", me.path, session=person, operation=me.label))
    return id_of(family, response) if response.ok else None


_USERS = frozenset({"users", "user", "accounts", "members", "people", "customers"})


def _as_in(operation: Operation, collection: str) -> str:
    """The path of the collection with the slash at its end that the operation has."""
    return collection.rstrip("/") + "/" * operation.path.endswith("/")


def listed_id(lane: Lane, family: Resource, session: Session | None, collection: str) -> Move:
    """The id of the first member that the collection lists, or None."""
    assert family.list is not None
    reader = session
    if family.list.secured and reader is None:
        reader = yield from caller(lane, family.list)
    request = Request("GET", _as_in(family.list, collection), session=reader, operation=family.list.label)
    response: Response = yield from send(request)
    try:
        members = pointed(response.json(), family.items_pointer or "") if response.ok else []
        first = pointed(members[0], family.id_pointer) if isinstance(members, list) and members else None
    except (NotJson, LookupError):
        return None
    return None if first is None else plain(first)
