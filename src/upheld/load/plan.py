"""What a load run sends, as one frozen value that travels as JSON. It holds no secret: those go another way, by identity."""

from __future__ import annotations

import hashlib
import json
import secrets
import string
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from itertools import cycle
from typing import Any, Literal

from upheld.verdict import LeftOut

SCHEMA = "upheld.load-plan/2"

Text = tuple[str, ...]
"""Literals and splices by turns: ``("/items/", "member", "")``. Splices: `UNIQUE`, `MEMBER`, or a field of the secrets."""
UNIQUE = "unique"
"""Twelve lower-case letters and digits that no other request of any generator has."""
UNIQUE_UPPER = "UNIQUE"
"""The same in capitals, for patterns that want them."""
MEMBER = "member"
"""The id of a member that the run itself made, used once."""
MAKER = "*maker*"
"""As an identity: whoever made the member."""
ACCESS = "access"
"""The access token that a renewal brought."""
NAMESPACE = 6
"""Letters before a unique value's number, which keep apart what is made by different processes."""
Arrivals = Literal["poisson", "even"]
Model = Literal["open", "closed"]
ODD_EVERY = 20
"""Every so many requests of an operation one is unusual, where it has unusual ones."""


def fresh_namespace() -> str:
    """Letters that nobody else's unique values begin with, as good as surely."""
    return "".join(secrets.choice(string.ascii_lowercase) for _ in range(NAMESPACE))


def render(text: Text, values: Mapping[str, str]) -> str:
    """The text with its splices filled in. Raises KeyError for a splice that nobody gave."""
    return "".join(
        piece if literal else values[piece] for piece, literal in zip(text, cycle((True, False)), strict=False)
    )


@dataclass(frozen=True, slots=True)
class Template:
    """One ready-made request."""

    path: Text
    """Path and query as they stand in the request line."""
    identity: str = ""
    """Whose credentials it carries; empty for none, `MAKER` for those of whoever made the member."""
    person: str = ""
    """Whose user name and password its body holds; empty for nobody's."""
    headers: tuple[tuple[str, Text], ...] = ()
    body: Text | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pressed:
    """One operation under load."""

    name: str
    """Label of the contract's operation."""
    method: str
    latency_class: str
    limit_ms: float
    quantile: float = 0.95
    rate: float
    """Arrivals a second."""
    templates: tuple[Template, ...]
    """Used by turns."""
    makes: str = ""
    """Name of the pool into which the id of each answer goes."""
    id_pointer: str = ""
    """JSON Pointer of that id."""
    takes: str = ""
    """Name of the pool from which each request takes the id that it uses up."""
    odd: tuple[Template, ...] = ()
    """Valid but unusual requests; every `ODD_EVERY`-th is one of these."""
    reads: str = ""
    """Name of the pool in which ``recent`` looks for an id that the load made moments ago; it stays there."""
    recent: tuple[Template, ...] = ()
    """Every second request is one of these while the pool holds something."""
    own_target: bool = False
    """Its limit is a line of ``latency.ops``, so that its class is judged without it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Renewal:
    """How an identity gets its next access token, off the measured path. Of many generators one does it and tells the others:
    a refresh token that rotates can be used once."""

    identity: str
    operation: str
    """Label of the operation that gives it: the refresh, or the login."""
    method: str
    template: Template
    access: str
    """JSON Pointer of the token in the answer, or ``header:NAME``."""
    refresh: str = ""
    """JSON Pointer of the next refresh token; empty where none is told."""
    field: str
    """The header field that carries the token…"""
    value: Text
    """…and its value, with the splice `ACCESS`."""
    first: float
    """Seconds after the plan was made, which may be some time before its generators have come together."""
    every: float
    """Seconds from one to the next."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything that a generator needs but the secrets."""

    contract: str
    base_url: str
    seed: int
    seconds: float
    """Length of the measured part, as it is announced."""
    warmup: float
    """Seconds before it, whose requests are counted apart."""
    drain: float
    """Seconds after it in which late answers are waited for; longer than any limit."""
    arrivals: Arrivals
    max_error_rate: float
    operations: tuple[Pressed, ...]
    pools: Mapping[str, tuple[tuple[str, str], ...]]
    """Pool → (id, identity that made it), what it holds at the start."""
    balanced: tuple[str, ...] = ()
    """Pools of which as much is used up as is made: neither may pile up or run out."""
    left_out: tuple[LeftOut, ...] = ()
    notes: tuple[str, ...] = ()
    model: Model = "open"
    """``closed``: ``users`` ask one after the other, paced to the rate."""
    users: int = 0
    """Of the closed model."""
    least: float = 0.0
    longest: float = 0.0
    """The measured part ends between these seconds, as soon as everything is decided; both are ``seconds`` when 0."""
    keep: int = 0
    """Every so many answered requests of an operation one is kept with its answer, for judging; 0 none."""
    renewals: tuple[Renewal, ...] = ()
    made: float = 0.0
    """Seconds since the epoch when it was made."""

    def __post_init__(self) -> None:
        for name in ("least", "longest"):
            object.__setattr__(self, name, getattr(self, name) or self.seconds)

    @property
    def rate(self) -> float:
        """Arrivals a second, all operations together."""
        return sum(operation.rate for operation in self.operations)

    @property
    def classes(self) -> tuple[tuple[Pressed, ...], ...]:
        """The operations that are judged together: of one class, with its limit."""
        found: dict[tuple[str, float, float], list[Pressed]] = {}
        for operation in self.operations:
            if not operation.own_target:
                key = (operation.latency_class, operation.limit_ms, operation.quantile)
                found.setdefault(key, []).append(operation)
        return tuple(map(tuple, found.values()))

    @property
    def identities(self) -> tuple[str, ...]:
        """Names of the identities whose secrets it needs, each once."""
        templates = (t for item in self.operations for t in (*item.templates, *item.odd, *item.recent))
        used = (name for template in templates for name in (template.identity, template.person))
        made = (identity for pool in self.pools.values() for _, identity in pool)
        return tuple(dict.fromkeys(name for name in (*used, *made) if name and name != MAKER))

    @property
    def told(self) -> str:
        """What will be sent, in a sentence."""
        who = f"{self.users} users who wait for answers" if self.model == "closed" else "by the clock"
        length = f"{self.longest:g} s" if self.least == self.longest else f"{self.least:g} to {self.longest:g} s"
        return f"{len(self.operations)} operations at {self.rate:.3g}/s, {who}, for {length} after {self.warmup:.3g} s of warm-up"

    @property
    def digest(self) -> str:
        """Tells two plans apart, and that a result belongs to this one."""
        return hashlib.sha256(self.dumps().encode()).hexdigest()[:16]

    def dumps(self) -> str:
        return json.dumps({"schema": SCHEMA, **asdict(self)}, ensure_ascii=False, sort_keys=True)


def loads(text: str) -> Plan:
    """The inverse of `Plan.dumps`. Raises ValueError when the text is no plan of this version."""
    data = json.loads(text)
    if not isinstance(data, dict) or data.pop("schema", None) != SCHEMA:
        raise ValueError(
            f"this is no load plan: its schema is not {SCHEMA!r}; make it again with this version of Upheld"
        )
    try:
        operations = tuple(
            Pressed(**{**item, **{name: tuple(map(_template, item[name])) for name in ("templates", "odd", "recent")}})
            for item in data["operations"]
        )
        renewals = tuple(
            Renewal(**{**item, "template": _template(item["template"]), "value": tuple(item["value"])})
            for item in data["renewals"]
        )
        pools = {name: tuple((str(i), str(who)) for i, who in pool) for name, pool in data["pools"].items()}
        left_out = tuple(LeftOut(**item) for item in data["left_out"])
        notes, balanced = tuple(data["notes"]), tuple(data["balanced"])
        made = {"operations": operations, "pools": pools, "left_out": left_out, "notes": notes, "renewals": renewals}
        made["balanced"] = balanced
        return Plan(**{**data, **made})
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"this load plan is damaged: {error}") from error


def _template(data: Mapping[str, Any]) -> Template:
    return Template(
        path=tuple(data["path"]),
        identity=str(data["identity"]),
        person=str(data["person"]),
        headers=tuple((name, tuple(text)) for name, text in data["headers"]),
        body=None if data["body"] is None else tuple(data["body"]),
    )


Secrets = Mapping[str, Mapping[str, Any]]
"""Identity → ``headers`` (list of name and value) and texts to splice into bodies, already escaped for JSON."""


def missing_secrets(plan: Plan, secrets: Secrets) -> Iterable[str]:
    """Identities of the plan that have no secrets."""
    return (name for name in plan.identities if name not in secrets)
