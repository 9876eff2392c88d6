"""What exists before a load: things made for it through the service itself, and things that its lists show."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from upheld.exchange import Exchange, Headers, Request, Response, Session
from upheld.load.heard import QUIET
from upheld.load.plain import Plain, json_at
from upheld.load.plan import MEMBER, UNIQUE, UNIQUE_UPPER, Secrets, Template, render
from upheld.load.templates import CannotMake, templates

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, Resource

ROUNDS = 3
_ID_NAMES = ("id", "uuid", "key", "slug", "name", "pk")
Hear = Callable[[Exchange], None]
"""Told of every exchange with the quiet service."""


@dataclass(frozen=True, slots=True)
class Member:
    """One thing that the service holds."""

    identity: str
    """Who made or saw it; empty for nobody in particular."""
    id: Any
    """As its representation has it: a text or a number."""
    ids: Mapping[str, str]
    """Path parameter → value, those of the things that it belongs to included."""
    made: bool
    """By us, so that it may be changed and deleted."""


class Members:
    """Makes, finds, remembers and in the end discards members, one plain request at a time."""

    def __init__(
        self,
        contract: Contract,
        sessions: Sequence[Session],
        http: Plain,
        secrets: Secrets,
        *,
        namespace: str,
        each: int,
        hear: Hear = lambda exchange: None,
    ) -> None:
        self.contract = contract
        self.sessions = sessions
        self.each = each
        """How many of each kind are made, all identities together."""
        self.refused: dict[str, str] = {}
        """Label of an operation → why it made nothing."""
        self.spent: Counter[tuple[str, str]] = Counter()
        """(label, identity) → requests sent."""
        self.quiet_ms: dict[str, list[float]] = defaultdict(list)
        """Label → how long its 2xx answers took on the quiet service."""
        self._http = http
        self._secrets = secrets
        self._hear = hear
        self._by_name = {session.name: session for session in sessions}
        self.namespace = namespace
        self._count = 0
        self._all: dict[str, list[Member]] = defaultdict(list)
        self._made: list[tuple[Resource, Member]] = []

    @property
    def requests(self) -> int:
        return self._http.sent

    # -- asking ----------------------------------------------------------------------------------------------------------

    def ask(self, operation: Operation, template: Template, identity: str = "", member: str = "") -> Response:
        """Send one request of a template, as a generator would. Raises `TargetUnreachable`."""
        self._count += 1
        who = identity or template.identity
        unique = f"{self.namespace}{self._count:06d}"
        splices = {UNIQUE: unique, UNIQUE_UPPER: unique.upper(), MEMBER: member}
        known = {k: v for k, v in self._secrets.get(template.person, {}).items() if isinstance(v, str)}
        values = {**known, **splices}
        headers = {name: render(value, values) for name, value in template.headers}
        headers.update(tuple(pair) for pair in self._secrets.get(who, {}).get("headers", ()))
        body = None if template.body is None else render(template.body, values).encode()
        target = render(template.path, values)
        before = self._http.sent
        try:
            response = self._http.ask(operation.method, target, headers, body)
        finally:
            self.spent[operation.label, who] += self._http.sent - before
        if response.ok and response.elapsed:
            self.quiet_ms[operation.label].append(response.elapsed * 1000)
        path, _, query = target.partition("?")
        pairs = tuple(parse_qsl(query, keep_blank_values=True))
        asked = Request(operation.method, path, pairs, Headers(headers), body, self._by_name.get(who), operation.label)
        self._hear(Exchange(asked, response, phase="load", source=f"{QUIET} {self._count}"))
        return response

    def callers(self, operation: Operation) -> tuple[str, ...]:
        """Names of the sessions that may call it; ``("",)`` where no credentials are needed, none where nobody may."""
        if self.contract.is_public(operation):
            return ("",)
        roles = self.contract.roles(operation)
        return tuple(s.name for s in self.sessions if s.headers and (roles is None or s.role in roles))

    # -- families --------------------------------------------------------------------------------------------------------

    def family(self, operation: Operation) -> Resource | None:
        """The kind of thing of whose member the path tells, the innermost; None when it tells of none."""
        path = operation.path + "/"
        found = [r for r in self.contract.resources if path.startswith(r.member + "/")]
        return max(found, key=lambda r: (len(r.member), r.create is not None), default=None)

    def of(self, resource: Resource) -> Sequence[Member]:
        return self._all[resource.collection]

    def known(self, turn: int) -> dict[str, Any]:
        """Values for fields that refer to members, ``product_id``; another member with every turn."""
        values: dict[str, Any] = {}
        for resource in self.contract.resources:
            members = self._all[resource.collection]
            if members:
                values.update(dict.fromkeys(_references(resource), members[turn % len(members)].id))
        return values

    # -- making ----------------------------------------------------------------------------------------------------------

    def make_all(self) -> None:
        """Some members of every kind that can be made; in rounds, since an order needs a product."""
        makers = [r for r in self.contract.resources if r.create and r.create.label not in self.contract.dangerous]
        for _ in range(ROUNDS):
            lacking = [resource for resource in makers if not self._all[resource.collection]]
            for resource in lacking:
                self._make_some(resource)
            if not lacking or not any(self._all[resource.collection] for resource in lacking):
                break
        for resource in self.contract.resources:
            if not self._all[resource.collection] and resource.list is not None:
                self._find_some(resource)

    def _make_some(self, resource: Resource) -> None:
        assert resource.create is not None
        callers = self.callers(resource.create)
        if not callers:
            return
        # What is owned has to be there for everybody; the rest one identity makes for all.
        makers = callers if resource.owned else callers[:1]
        for number in range(max(self.each, len(makers))):
            if self.make(resource, makers[number % len(makers)], turn=number) is None and number == 0:
                return

    def make(self, resource: Resource, identity: str, *, turn: int = 0) -> Member | None:
        """One more member, remembered; None when the service refuses (`refused` tells why)."""
        create = resource.create
        if create is None:
            return None
        try:
            outer = self._outer(create, identity, turn)
            template = templates(
                self.contract,
                create,
                identity=identity,
                ids=outer,
                known=self.known(turn),
                copies=turn + 1,
                namespace=f"{self.namespace}m{self._count}",
            )[-1]
        except CannotMake as cannot:
            self.refused[create.label] = str(cannot)
            return None
        response = self.ask(create, template)
        found = json_at(response, resource.id_pointer)
        if not response.ok or not isinstance(found, (str, int)):
            said = "told no id" if response.ok else f"answered {describe(response)}"
            self.refused[create.label] = f"{create.label} {said}"
            return None
        self.refused.pop(create.label, None)
        member = Member(identity, found, {**outer, resource.id_parameter: str(found)}, True)
        self._all[resource.collection].append(member)
        self._made.append((resource, member))
        return member

    def adopt(self, resource: Resource, identity: str, outer: Mapping[str, str], response: Response) -> None:
        """What a trial made, though it is not to be used, is discarded in the end."""
        found = json_at(response, resource.id_pointer)
        if isinstance(found, (str, int)):
            self._made.append((resource, Member(identity, found, {**outer, resource.id_parameter: str(found)}, True)))

    def left(self, by_pool: Mapping[str, Iterable[tuple[str, str]]]) -> None:
        """What a load made and did not use up, (id, identity that made it) by collection, is discarded in the end."""
        for resource in self.contract.resources:
            for found, identity in by_pool.get(resource.collection, ()):
                self._made.append((resource, Member(identity, found, {resource.id_parameter: found}, True)))

    def forget(self, resource: Resource, member: Member) -> None:
        """It is about to be spoiled: nobody else shall use it. It is still discarded in the end."""
        self._all[resource.collection].remove(member)

    def _outer(self, operation: Operation, identity: str, turn: int) -> Mapping[str, str]:
        """Path values of the thing inside which this one is made."""
        family = self.family(operation)
        if family is None:
            return {}
        fitting = self.usable(family, identity, change=False)
        if not fitting:
            raise CannotMake(f"it needs a member of {family.collection}, and there is none")
        return fitting[turn % len(fitting)].ids

    def usable(self, resource: Resource, identity: str, *, change: bool) -> list[Member]:
        """Members that this identity may look at, or change."""
        return [
            member
            for member in self._all[resource.collection]
            if (member.made or not change) and (not resource.owned or member.identity in ("", identity))
        ]

    def _find_some(self, resource: Resource) -> None:
        """Ids from the first page of the list, for reading only: whose they are nobody knows."""
        listing = resource.list
        if listing is None or resource.items_pointer is None:
            return
        for identity in self.callers(listing)[:1]:
            try:
                outer = self._outer(listing, identity, 0)
                template = templates(self.contract, listing, identity=identity, ids=outer)[0]
            except CannotMake:
                return
            page = json_at(self.ask(listing, template), resource.items_pointer)
            for item in page[: self.each] if isinstance(page, list) else ():
                found = _at(item, resource.id_pointer)
                if isinstance(found, (str, int)):
                    ids = {**outer, resource.id_parameter: str(found)}
                    self._all[resource.collection].append(Member(identity, found, ids, False))

    def discard_all(self) -> None:
        """Delete what was made, newest first, as far as the service lets us. How it goes is not judged."""
        for resource, member in reversed(self._made):
            delete = resource.delete
            if delete is None or delete.label in self.contract.dangerous:
                continue
            callers = self.callers(delete)
            identity = member.identity if member.identity in callers else next(iter(callers), None)
            if identity is None:
                continue
            try:
                template = templates(self.contract, delete, identity=identity, ids=member.ids)[0]
            except CannotMake:
                continue
            if self.ask(delete, template).status in (0, 429, 503):
                return
        self._made.clear()


def describe(response: Response) -> str:
    """The status, with what a problem document says of it."""
    if not response.status:
        return f"nothing ({response.text})"
    said = next((text for key in ("detail", "title") if isinstance(text := _at_key(response, key), str) and text), "")
    return f"{response.status}" + (f" ({said[:120]})" if said else "")


def _at_key(response: Response, key: str) -> object:
    return json_at(response, f"/{key}")


def _at(value: Any, pointer: str) -> Any:
    for step in pointer.split("/")[1:]:
        if not isinstance(value, Mapping) or step not in value:
            return None
        value = value[step]
    return value


def _references(resource: Resource) -> Iterable[str]:
    """Names by which other things refer to a member: ``product_id``. A plain ``id`` would be the other thing's own."""
    if resource.id_parameter.lower() not in _ID_NAMES:
        yield resource.id_parameter
    one = resource.name[:-3] + "y" if resource.name.endswith("ies") else resource.name.removesuffix("s")
    yield f"{one.replace('-', '_')}_id"
