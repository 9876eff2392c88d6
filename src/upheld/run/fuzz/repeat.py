"""Repeats what failed before it is told, and makes the failing request smaller. The only part of this package that sends."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote

from upheld.check import CannotProve
from upheld.contract.words import key as plain_key
from upheld.exchange import Headers, Request, Response
from upheld.run.fuzz import judge
from upheld.run.fuzz.events import Failure, Sent
from upheld.run.fuzz.minimise import reduced
from upheld.run.fuzz.renew import Renewer, encoded, parsed
from upheld.run.fuzz.steering import at, pointed, steps

if TYPE_CHECKING:
    from upheld.contract import Contract

Resend = Callable[[Request], Awaitable[Response]]
Maker = Callable[[str], Sent | None]
"""Member path of a family → a successful creation of one of its members."""

MOST_REQUESTS = 50
"""Requests that making one failure smaller may take."""
# What decides how a request is read, or whose it is, stays.
_TELLING_FIELDS = frozenset(
    {"content-type", "authorization", "cookie", "host", "transfer-encoding", "content-encoding"}
)
_GONE = frozenset({404, 409, 410, 412})
_ID_NAMES = frozenset({"id", "uuid", "guid", "slug", "sku", "code", "number", "reference", "handle", "key"})


class Repeater:
    """Sends requests of a fuzzing run again, with fresh unique values and with ids that exist now."""

    def __init__(self, contract: Contract, resend: Resend, job: Mapping[str, Any]) -> None:
        self.contract = contract
        self._resend = resend
        self._renewer = Renewer(contract, f"{job['token']}r")
        self._job = job
        self.requests = 0

    async def send(self, request: Request) -> Response | None:
        """The answer, or None when there was none."""
        self.requests += 1
        try:
            return await self._resend(request)
        except CannotProve:
            return None

    # -- repetition ------------------------------------------------------------------------------------------------------

    async def again(self, failure: Failure, sent: Sent, chain: Sequence[Sent], maker: Maker) -> tuple[bool, Request]:
        """(whether it stands, the request that was sent for it).

        ``chain`` are the exchanges that led to it, itself last.
        What cannot be sent again, or not be judged here, stands as the engine judged it; what got no answer does not.
        """
        request = sent.exchange.request
        if not sent.whole:
            return True, request
        renamed: dict[str, str] = {}
        for step in chain[:-1]:
            request = _renamed(step.exchange.request, renamed)
            request, response = await self._play(step, request, maker)
            if response is not None:
                _compare(parsed(step.exchange.request.body), parsed(request.body), renamed)
                _compare(parsed(step.exchange.response.body), parsed(response.body), renamed)
                _compare_locations(step.exchange.response, response, renamed)
        request = self._renewer.renewed(sent.label, _renamed(sent.exchange.request, renamed))
        response = await self.send(request)
        if self._stands(failure, sent, response):
            return True, request
        if response is not None and _is_gone(sent, response) and len(chain) == 1:
            renewed = await self._with_new_members(sent.label, request, maker)
            if renewed is not None:
                return self._stands(failure, sent, await self.send(renewed)), renewed
        return False, request

    def _stands(self, failure: Failure, sent: Sent, response: Response | None) -> bool:
        if response is None:
            return False
        verdict = judge.again(failure, sent, response, self.contract)
        return response.status not in (429, 503) if verdict is None else verdict

    async def _play(
        self, step: Sent, request: Request, maker: Maker, depth: int = 2
    ) -> tuple[Request, Response | None]:
        """Send what was sent before; once more about new things, when what it was about is gone by now."""
        request = self._renewer.renewed(step.label, request)
        response = await self.send(request)
        if response is not None and _is_gone(step, response) and depth:
            renewed = await self._with_new_members(step.label, request, maker, depth - 1)
            if renewed is not None:
                return renewed, await self.send(renewed)
        return request, response

    async def _with_new_members(self, label: str, request: Request, maker: Maker, depth: int = 2) -> Request | None:
        """The request about members that are made for it, in place of those that its path and body name."""
        operation = self.contract.operation(label)
        paths, bodies = self._job["paths"].get(label, {}), self._job["bodies"].get(label, ())
        if operation is None:
            return None
        made: dict[str, str] = {}
        for member in {*(member for member, _ in paths.values()), *(member for _, member in bodies)}:
            identifier = await self._new_member(member, maker, depth)
            if identifier is not None:
                made[member] = identifier
        segments = request.path.split("/")
        for name, (member, _) in paths.items():
            for place, part in enumerate(operation.path.split("/")[: len(segments)]):
                if member in made and part == "{" + name + "}":
                    segments[place] = quote(made[member], safe="")
        body = parsed(request.body)
        new = body
        for pointer, member in bodies:
            if member in made:
                new = at(new, steps(pointer), partial(_typed, made[member]))
        if new != body:
            request = request.with_(body=encoded(new))
        return request.with_(path="/".join(segments)) if made else None

    async def _new_member(self, member: str, maker: Maker, depth: int) -> str | None:
        """The id of another member, made as one was made before."""
        made = maker(member)
        if made is None or not made.whole:
            return None
        _, response = await self._play(made, made.exchange.request, maker, depth)
        if response is None or not response.ok:
            return None
        pointer = next(pointer for family, pointer in self._job["makers"].values() if family == member)
        found = next(pointed(parsed(response.body), pointer), None)
        if found is None and "location" in response.headers:
            found = unquote(response.headers["location"].split("?")[0].rstrip("/").rsplit("/", 1)[-1])
        return None if found is None or isinstance(found, (bool, dict, list)) else str(found)

    # -- reduction -------------------------------------------------------------------------------------------------------

    async def smallest(self, failure: Failure, sent: Sent, deadline: float) -> Request | None:
        """A smaller request that fails in the same way; None when there is none, or none can be judged here."""
        request = sent.exchange.request
        if failure.code not in judge.STATUS_CODES or not sent.whole or not sent.is_own_method:
            return None
        case = _case(sent, self.contract)
        if not case:
            return None
        broken = self._broken(sent.label, request, case)
        reduction = reduced(case)
        best, spent = case, 0
        loop = asyncio.get_running_loop()
        try:
            candidate = next(reduction)
            while spent < MOST_REQUESTS and loop.time() < deadline:
                fails = False
                if self._is_alike(sent.label, request, candidate, broken):
                    spent += 1
                    response = await self.send(self._renewer.renewed(sent.label, _of_case(request, case, candidate)))
                    fails = response is not None and judge.again(failure, sent, response, self.contract) is True
                if fails:
                    best = candidate
                candidate = reduction.send(fails)
        except StopIteration:
            pass
        finally:
            reduction.close()
        return None if best is case else self._renewer.renewed(sent.label, _of_case(request, case, best))

    def _broken(self, label: str, request: Request, case: Mapping[str, Any]) -> frozenset[str]:
        return judge.body_breaks(label, request, case["body"], self.contract) if "body" in case else frozenset()

    def _is_alike(self, label: str, request: Request, candidate: Mapping[str, Any], broken: frozenset[str]) -> bool:
        """A valid body stays valid; an invalid one breaks nothing but what it broke before, else it is another failure."""
        if request.body is not None and parsed(request.body) is not None and "body" not in candidate:
            operation = self.contract.operation(label)
            return not broken and operation is not None and operation.body is not None and not operation.body.required
        now = self._broken(label, request, candidate)
        return now <= broken and bool(now) == bool(broken)


def _is_gone(step: Sent, response: Response) -> bool:
    """The answer says that what the request is about is not there, which it did not say before."""
    return response.status in _GONE and response.status != step.exchange.response.status


def _case(sent: Sent, contract: Contract) -> dict[str, Any]:
    """The parts of a request that can be made smaller, as one JSON value."""
    request, broken = sent.exchange.request, sent.exchange.broken
    case: dict[str, Any] = {}
    body = parsed(request.body)
    if body is not None:
        case["body"] = body
    operation = contract.operation(sent.label)
    needed = {p.name for p in operation.query_parameters if p.required} if operation is not None else set()
    names = [name for name, _ in request.query]
    if "query parameter" not in broken and len(set(names)) == len(names):
        # Members of this mapping stand for whole parameters: present or not.
        optional = {name: True for name in names if name not in needed}
        if optional:
            case["query"] = optional
    fields = {name.lower(): True for name, _ in request.headers.pairs if name.lower() not in _TELLING_FIELDS}
    if fields and "header field" not in broken and "cookie" not in broken:
        case["fields"] = fields
    return case


def _of_case(request: Request, whole: Mapping[str, Any], case: Mapping[str, Any]) -> Request:
    """The request with only those parts of the ``whole`` case that are left in ``case``."""
    if "body" in case:
        request = request.with_(body=encoded(case["body"]))
    elif "body" in whole:
        request = request.with_(body=None).with_headers(content_type=None)
    parameters, fields = (_dropped(whole, case, part) for part in ("query", "fields"))
    query = tuple((name, value) for name, value in request.query if name not in parameters)
    headers = Headers((name, value) for name, value in request.headers.pairs if name.lower() not in fields)
    return request.with_(query=query, headers=headers)


def _dropped(whole: Mapping[str, Any], case: Mapping[str, Any], part: str) -> set[str]:
    kept = case.get(part, {})
    return {name for name in whole.get(part, {}) if not kept.get(name)}


# -- ids that changed ----------------------------------------------------------------------------------------------------


def _compare(old: Any, new: Any, renamed: dict[str, str], name: str = "") -> None:
    """Note which ids stand in the new document where others stood in the old one."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key, value in old.items():
            if key in new:
                _compare(value, new[key], renamed, str(key))
    elif isinstance(old, list) and isinstance(new, list):
        for left, right in zip(old, new, strict=False):
            _compare(left, right, renamed, name)
    elif isinstance(old, (str, int)) and isinstance(new, (str, int)) and old != new and not isinstance(old, bool):
        plain = plain_key(name)
        if (plain in _ID_NAMES or plain.rpartition("_")[2] in _ID_NAMES or plain == "email") and str(old):
            renamed[str(old)] = str(new)


def _compare_locations(old: Response, new: Response, renamed: dict[str, str]) -> None:
    left, right = (r.headers.get("location", "").split("?")[0].rstrip("/").rsplit("/", 1)[-1] for r in (old, new))
    if left and right and left != right:
        renamed[unquote(left)] = unquote(right)


def _renamed(request: Request, renamed: Mapping[str, str]) -> Request:
    if not renamed:
        return request
    segments = [unquote(segment) for segment in request.path.split("/")]
    path = "/".join(
        quote(renamed[plain], safe="") if plain in renamed else segment
        for plain, segment in zip(segments, request.path.split("/"), strict=True)
    )
    query = tuple((name, renamed.get(value, value)) for name, value in request.query)
    body = parsed(request.body)
    if body is not None:
        new = _replaced(body, renamed)
        if new != body:
            request = request.with_(body=encoded(new))
    return request.with_(path=path, query=query)


def _typed(identifier: str, like: Any) -> Any:
    is_number = isinstance(like, int) and not isinstance(like, bool)
    return int(identifier) if is_number and identifier.lstrip("-").isdigit() else identifier


def _replaced(value: Any, renamed: Mapping[str, str], name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _replaced(item, renamed, str(key)) for key, item in value.items()}
    if isinstance(value, list):
        return [_replaced(item, renamed, name) for item in value]
    plain = plain_key(name)
    if plain not in _ID_NAMES and plain.rpartition("_")[2] not in _ID_NAMES and plain != "email":
        return value
    if isinstance(value, bool) or not isinstance(value, (int, str)) or str(value) not in renamed:
        return value
    return _typed(renamed[str(value)], value)
