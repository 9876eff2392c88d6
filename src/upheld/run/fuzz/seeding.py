"""A few members of every family, made before the engine begins, so that its first cases already meet ids that exist."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode

from upheld.contract.example import body_example, parameters_example
from upheld.exchange import Headers, Request, Response, Session
from upheld.run.fuzz.uniques import base36
from upheld.steps.requests import id_of

if TYPE_CHECKING:
    from upheld.contract import Contract, Resource

Send = Callable[[Request], Awaitable[Response | None]]

EACH = 3
"""Members of a family: deletions spare the last two."""
MOST_FAMILIES = 20
# What runs out when others are made from it: as much as its schema takes.
_SUPPLIES = dict.fromkeys(("stock", "inventory", "available", "in_stock", "balance", "credits", "capacity"), 1000)


async def members(
    contract: Contract, job: Mapping[str, Any], sessions: Mapping[str, Session | None], send: Send
) -> dict[str, list[str]]:
    """Member path → ids that were made. What can't be made is left out; the engine may still find some."""
    made: dict[str, list[str]] = {member: list(ids) for member, ids in job["known"].items()}
    numbers = count(1)

    def unique() -> str:
        return f"{job['token']}s{base36(next(numbers), 2)}"

    todo = [family for family in contract.resources if _can_be_made(contract, family)][:MOST_FAMILIES]
    # What refers to others comes after them; two rounds settle what the order of the document leaves open.
    for _ in range(2):
        for family in [family for family in todo if not made.get(family.member)]:
            for _ in range(EACH):
                identifier = await _one(contract, job, family, sessions, made, unique, send)
                if identifier is None:
                    break
                made.setdefault(family.member, []).append(identifier)
    return made


def _can_be_made(contract: Contract, family: Resource) -> bool:
    return family.create is not None and family.create.label not in contract.dangerous


async def _one(
    contract: Contract,
    job: Mapping[str, Any],
    family: Resource,
    sessions: Mapping[str, Session | None],
    made: Mapping[str, list[str]],
    unique: Callable[[], str],
    send: Send,
) -> str | None:
    operation = family.create
    assert operation is not None
    known: dict[str, Any] = dict(_SUPPLIES)
    for pointer, member in job["bodies"].get(operation.label, ()):
        if not made.get(member):
            return None
        known[pointer.rsplit("/", 1)[-1]] = made[member][-1]
    path = operation.path
    for parameter in operation.path_parameters:
        mark = "{" + parameter.name + "}"
        ids = made.get(operation.path.split(mark)[0] + mark)
        if not ids:
            return None
        path = path.replace(mark, quote(ids[-1], safe=""))
    values = parameters_example(contract, operation, unique, known=known)
    headers = Headers({name: _plain(value) for name, value in values["header"].items()})
    query = tuple((name, _plain(value)) for name, value in values["query"].items())
    session = sessions.get(job["callers"].get(operation.label, ""))
    request = Request(operation.method, path, query, headers, session=session, operation=operation.label)
    body = body_example(contract, operation, unique=unique, known=known)
    if body is not None:
        media_type, value = body
        is_form = media_type == "application/x-www-form-urlencoded" and isinstance(value, dict)
        text = urlencode({name: _plain(item) for name, item in value.items()}) if is_form else json.dumps(value)
        request = request.with_(body=text.encode()).with_headers(content_type=media_type)
    response = await send(request)
    return id_of(family, response) if response is not None and response.ok else None


def _plain(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
