"""What a check is. Three kinds; no I/O, no registry.

* An **observer** defines ``observe(exchange, contract)``: a pure predicate over one exchange of any phase.
* A **dialogue** defines ``converse(lane)``: a generator that yields what to send and is sent the answer. The driver owns
  sockets, time and concurrency.
* A **measurement** defines ``measure(load, contract)``: a pure judgement of what a load run counted.

A file of the catalogue holds a docstring (its page), ``REQUIREMENT``, one of the three functions, for a dialogue
``subjects(contract)``, and ``CONFORMING`` and ``BREACHING`` examples.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal, Protocol

from upheld.exchange import Exchange, Request, Response, Session

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation, RateRule, Resource
    from upheld.sample import Shop
    from upheld.verdict import LoadRun


class Level(StrEnum):
    """RFC 2119 words. MUST gates; SHOULD and MAY that are not met are advisories."""

    MUST = "MUST"
    SHOULD = "SHOULD"
    MAY = "MAY"


MUST, SHOULD, MAY = Level.MUST, Level.SHOULD, Level.MAY


@dataclass(frozen=True, slots=True)
class Clause:
    """What a requirement rests on: the name of the clause, where to read it, and its words where they are short."""

    text: str
    url: str
    quote: str = ""


Profile = Literal["raised", "shipped", "short_lived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One entry of the catalogue. Its id is the path of its file."""

    title: str
    """A claim about the service that reads well after "upheld:"."""
    level: Level
    clause: Clause
    catalogue: tuple[str, ...]
    """The catalogue's numbers that it covers, ``("HTTP-03",)``."""
    reads: tuple[str, ...] = ()
    """Keys of upheld.yaml that it reads, for the documentation."""
    scope: Literal["operation", "service"] = "operation"
    """Observers only: one promise for each operation, or one for the whole service."""
    profile: Profile = "raised"
    """``shipped`` when it studies the limits themselves: 429 is then an answer; elsewhere it is a reason to wait. ``short_lived``
    when it waits for tokens to end: it is started where upheld.yaml states it, else the check meets the raised one."""
    alone: bool = False
    """It does something to the target that nobody else would stand, or measures what anybody else would disturb: played after
    everything else, one subject at a time."""
    waits: bool = False
    """It waits for a window of real time to pass; ``--quick`` leaves it out."""
    dear: bool = False
    """It hashes many passwords or uses up quotas that another check proves already; ``--quick`` leaves it out."""
    windows: float = 1.0
    """How many windows of its rule it waits for, where it waits; for the plan."""
    cost: int = 0
    """About how many requests one subject takes, for the plan; 0 for observers."""
    quotas: float = 0.0
    """How many quotas of its rate rule one subject uses up, beside ``cost``; for the plan."""
    engine: tuple[str, ...] = ()
    """Schemathesis checks whose failures are findings of this requirement."""
    owasp: str = ""
    cwe: tuple[str, ...] = ()


# -- outcomes ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Cell:
    """One role of a subject that is decided role by role: what the contract says of it, and what was seen."""

    role: str
    expected: Literal["allowed", "denied", "unknown"]
    seen: str = ""
    """The answer in few words, ``403`` or ``204``; empty when nothing was sent."""
    verdict: Literal["kept", "breached", "unproven"] = "unproven"
    reason: str = ""
    """Why it is unproven."""
    add: str = ""
    """For unproven: the line to add to upheld.yaml."""


@dataclass(frozen=True, slots=True)
class Timeline:
    """What one key of a rate rule met, from when nobody had used it: (seconds since its first request, admitted), in order."""

    points: tuple[tuple[float, bool], ...]


@dataclass(frozen=True, slots=True)
class Kept:
    """The requirement was exercised and held. ``detail`` is said in reports."""

    detail: str = ""
    cells: tuple[Cell, ...] = ()
    timeline: Timeline | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The requirement was exercised and did not hold."""

    expected: str
    """What would have kept it, every allowed alternative."""
    actual: str
    """What was seen. Secrets are masked by the reports, not here."""
    sent: str = ""
    """What we sent, in words; made from ``request`` when empty."""
    required: str = ""
    """The sentence that was broken; the requirement's title and clause when empty."""
    origin: str = ""
    """Findings of one requirement with one origin are told as one (one framework default, not 262 operations)."""
    request: Request | None = None
    """The request to paste as curl."""
    minimal: bool = False
    seen: int = 1
    """How often the dialogue itself has seen it: what harms a service for good can't be played again from where it began."""
    cells: tuple[Cell, ...] = ()
    timeline: Timeline | None = None


@dataclass(frozen=True, slots=True)
class Unproven:
    """It could not be exercised: why, and the line to add to upheld.yaml so that it can."""

    reason: str
    add: str = ""
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The contract promises nothing of the kind."""

    reason: str


Outcome = Kept | Finding | Unproven | NotApplicable


@dataclass(frozen=True, slots=True)
class Measured:
    """What a load run tells of one subject: an operation, a class of operations, or the service."""

    subject: Subject
    outcome: Outcome
    samples: int = 0
    """How many requests it was judged on."""


class CannotProve(Exception):
    """Raised inside a dialogue, by it or by the driver, when going on makes no sense."""

    def __init__(self, reason: str, add: str = "") -> None:
        super().__init__(reason)
        self.outcome = Unproven(reason, add)


class NoAnswer(CannotProve):
    """No HTTP response came: the peer closed, sent what is no HTTP, or let the time pass. ``how`` says which."""

    def __init__(self, how: Literal["closed", "garbage", "silent"], reason: str) -> None:
        super().__init__(reason)
        self.how = how


# -- dialogues -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Subject:
    """To what a requirement is applied: an operation, a rate rule, a resource, or the service."""

    label: str
    operation: Operation | None = None
    rule: RateRule | None = None
    resource: Resource | None = None
    cells: tuple[Cell, ...] = ()
    """What is expected for each role, where it is decided role by role; the outcome holds them again, with what was seen."""


SERVICE = Subject("service")

Subjects = Iterable[Subject] | Unproven | NotApplicable


@dataclass(frozen=True, slots=True)
class Send:
    """One request on the lane's connection. Answered with a `Response`."""

    request: Request
    new_connection: bool = False


@dataclass(frozen=True, slots=True)
class Burst:
    """Requests sent together, each on a connection of its own. Answered with their responses in order."""

    requests: tuple[Request, ...]


@dataclass(frozen=True, slots=True)
class Raw:
    """Octets that a client library would refuse to send. Answered with a `RawAnswer`."""

    data: bytes
    timeout: float = 5.0
    """Seconds to wait for an answer and for the close."""
    request: Request | None = None
    """What these octets are as a request, for the observers and for the curl line."""
    responses: int = 1
    """How many responses to wait for (pipelined requests); 0 waits until the peer closes or the time is up."""


@dataclass(frozen=True, slots=True)
class RawAnswer:
    """What came back on the raw connection: the responses read in order, and whether the peer closed it."""

    responses: tuple[Response, ...]
    closed: bool
    rest: bytes = b""


@dataclass(frozen=True, slots=True)
class Wait:
    """Let ``seconds`` pass. Waits of different dialogues overlap."""

    seconds: float


@dataclass(frozen=True, slots=True)
class SignIn:
    """An identity with this role. Answered with a `Session`; each of one dialogue is another person.

    ``fresh`` asks for a session of its own (registered or signed in for this dialogue alone), which it may destroy.
    """

    role: str | None = None
    fresh: bool = False


@dataclass(frozen=True, slots=True)
class Move:
    """From here on, this dialogue sends from another source address (a fresh partition of every limit keyed by address)."""


@dataclass(frozen=True, slots=True)
class Secret:
    """The value of an environment variable that upheld.yaml names. Answered with it, or with None where it is not set.

    Whatever is made with it is a secret as well; reports mask the value itself.
    """

    variable: str


Deed = Literal["restart", "store-down", "store-up"]


@dataclass(frozen=True, slots=True)
class Control:
    """Something that is done to the target: started again, or the store of its counters stopped and started.

    Only for requirements that are ``alone``. Raises `CannotProve` in the dialogue where the target does not offer it.
    """

    deed: Deed


@dataclass(frozen=True, slots=True)
class Spread:
    """Requests sent by the clock, each when its time has come and on a connection of its own. Answered with a `SpreadAnswer`."""

    requests: tuple[tuple[float, Request], ...]
    """Each with the seconds from now at which it is sent."""


@dataclass(frozen=True, slots=True)
class SpreadAnswer:
    """The responses in the order of the requests."""

    responses: tuple[Response, ...]
    late: float = 0.0
    """Seconds by which the driver itself was late all the while, at its 95th percentile: latencies contain that."""


Action = Send | Burst | Spread | Raw | Wait | SignIn | Move | Secret | Control
Conversation = Generator[Action, Any, Outcome]


class Lane:
    """What a dialogue knows: the contract, its subject, and names that nobody else uses. No I/O."""

    __slots__ = ("_count", "at_hand", "contract", "known", "subject", "token")

    def __init__(self, contract: Contract, subject: Subject, token: str) -> None:
        self.contract = contract
        self.subject = subject
        self.token = token
        """Lower-case letters and digits, different in every lane of every run."""
        self.known: dict[str, Any] = {}
        """Ids of members that this dialogue made, by the name of the field that bodies use for them."""
        self.at_hand: dict[str, Session] = {}
        """Who has signed in for this dialogue and may be asked to make things, by role; `steps.caller` asks nobody else then."""
        self._count = 0

    @property
    def operation(self) -> Operation:
        """The subject's operation. Raises LookupError when the subject has none."""
        if self.subject.operation is None:
            raise LookupError(f"subject {self.subject.label!r} has no operation")
        return self.subject.operation

    def unique(self, prefix: str = "u") -> str:
        """A name that no other lane and no earlier call has used: ``u7f3a1x4``."""
        self._count += 1
        return f"{prefix}{self.token}x{self._count}"


def send(request: Request, *, new_connection: bool = False) -> Generator[Action, Any, Response]:
    """``response = yield from send(request)``"""
    response: Response = yield Send(request, new_connection)
    return response


def burst(requests: Iterable[Request]) -> Generator[Action, Any, list[Response]]:
    """``responses = yield from burst(requests)``: all at once, each on its own connection, answers in order."""
    responses: list[Response] = yield Burst(tuple(requests))
    return responses


def spread(requests: Iterable[tuple[float, Request]]) -> Generator[Action, Any, SpreadAnswer]:
    """``answer = yield from spread([(0.0, login), (0.05, get)])``: by the clock, whether or not earlier ones were answered."""
    answer: SpreadAnswer = yield Spread(tuple(requests))
    return answer


def raw(
    data: bytes, *, timeout: float = 5.0, request: Request | None = None, responses: int = 1
) -> Generator[Action, Any, RawAnswer]:
    """``answer = yield from raw(b"GET / HTTP/1.1\\r\\nHost: {host}\\r\\n...")``; ``{host}`` becomes the target's host."""
    answer: RawAnswer = yield Raw(data, timeout, request, responses)
    return answer


def wait(seconds: float) -> Generator[Action, Any, None]:
    """``yield from wait(6.0)``"""
    yield Wait(seconds)


def sign_in(role: str | None = None, *, fresh: bool = False) -> Generator[Action, Any, Session]:
    """``alice = yield from sign_in()``; a second call of the same dialogue gives another person of that role."""
    session: Session = yield SignIn(role, fresh)
    return session


def move() -> Generator[Action, Any, None]:
    """``yield from move()``: go on from another source address."""
    yield Move()


def control(deed: Deed) -> Generator[Action, Any, None]:
    """``yield from control("restart")``: it answers again at the same URL when this goes on."""
    yield Control(deed)


def secret(variable: str) -> Generator[Action, Any, str | None]:
    """``key = yield from secret("SHOP_JWT_KEY")``"""
    value: str | None = yield Secret(variable)
    return value


# -- examples ------------------------------------------------------------------------------------------------------------

Alter = Callable[[Request, Response], Response]
Service = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Example:
    """A canned conversation. Observers give ``exchange``, measurements ``load``; dialogues talk to the sample shop (`upheld.sample`), whose
    answers ``alter`` changes, or to ``service``, which replaces it."""

    says: str
    exchange: Exchange | None = None
    load: LoadRun | None = None
    alter: Alter | type[Any] | None = None
    """Changes the sample shop's answers; a class is made anew for each playing, for defects that remember."""
    shop: Callable[[Shop], object] | None = None
    """Changes the sample shop in place, for defects that have a state."""
    service: Callable[[], Service] | None = None
    """Makes a fresh service, so that examples share no state."""
    policy: Mapping[str, Any] = field(default_factory=dict)
    """Keys of upheld.yaml laid over the sample's."""
    document: Callable[[dict[str, Any]], None] | None = None
    """Changes the sample's OpenAPI document in place."""
    subject: str | None = None
    """Label of the subject to play; the first one when None."""


def seen(
    method: str,
    path: str,
    response: Response,
    *,
    operation: str | None = None,
    session: Session | None = None,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    intent: Literal["valid", "invalid"] | None = None,
) -> Exchange:
    """A short way to write an exchange in an example. ``operation`` defaults to ``"METHOD path"``."""
    from upheld.exchange import Headers

    request = Request(
        method,
        path,
        headers=Headers(headers or {}),
        body=body,
        session=session,
        operation=f"{method} {path}" if operation is None else operation or None,
    )
    return Exchange(request, response, intent=intent)


# -- the loaded check ----------------------------------------------------------------------------------------------------


class Observe(Protocol):
    def __call__(self, exchange: Exchange, contract: Contract, /) -> Outcome | None: ...


class Converse(Protocol):
    def __call__(self, lane: Lane, /) -> Conversation: ...


class Measure(Protocol):
    def __call__(self, load: LoadRun, contract: Contract, /) -> Iterable[Measured]: ...


@dataclass(frozen=True, slots=True)
class Check:
    """One file of the catalogue, loaded. ``id`` is its path: ``http/challenge``."""

    id: str
    requirement: Requirement
    page: str
    conforming: Sequence[Example]
    breaching: Sequence[Example]
    subjects: Callable[[Contract], Subjects] | None = None
    observe: Observe | None = None
    converse: Converse | None = None
    measure: Measure | None = None

    @property
    def kind(self) -> Literal["observer", "dialogue", "measurement"]:
        if self.measure is not None:
            return "measurement"
        return "observer" if self.observe is not None else "dialogue"

    @property
    def group(self) -> str:
        return self.id.split("/", 1)[0]

    @property
    def title(self) -> str:
        return self.requirement.title

    @property
    def level(self) -> Level:
        return self.requirement.level
