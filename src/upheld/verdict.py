"""What a run concludes: a verdict for each promise, with its evidence. Frozen values, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Protocol

SCHEMA = "upheld.report/1"
"""Version of the JSON report. It grows by new members; a member is never renamed or given another meaning within /1."""


class Verdict(StrEnum):
    """The six verdicts."""

    UPHELD = "upheld"
    BREACHED = "breached"
    ADVISORY = "advisory"
    UNPROVEN = "unproven"
    WAIVED = "waived"
    NOT_APPLICABLE = "not applicable"


class Exit(IntEnum):
    """Whose fault it is decides the exit status."""

    KEPT = 0
    BREACHED = 1
    USAGE = 2
    TARGET = 3
    HARNESS = 4
    INTERRUPTED = 130


@dataclass(frozen=True, slots=True)
class Evidence:
    """The lines of a breach. Already masked: nothing secret is in here."""

    sent: str
    required: str
    expected: str
    actual: str
    again: str
    """The upheld command that shows it again."""
    curl: str = ""
    """The request as one curl line; empty when one request alone does not show it."""


@dataclass(frozen=True, slots=True)
class CellResult:
    """The verdict on one role, where a promise is decided role by role. Already masked."""

    role: str
    expected: str
    """``allowed``, ``denied`` or ``unknown``."""
    seen: str
    """The answer in few words; empty when nothing was sent."""
    verdict: Verdict
    reason: str = ""
    """Why it is unproven."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimelineResult:
    """How a rate rule treated one key, request by request, and what the rule promises."""

    rule: str
    """Label of the rule, ``POST /auth/login 10/60s``."""
    operation: str
    """Label of the operation that was sent."""
    quota: int
    window: float
    """Seconds."""
    algorithm: str
    points: tuple[tuple[float, bool], ...]
    """(seconds since the key's first request, admitted), in the order in which the answers came."""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a contract's file; 0 when it is unknown."""

    file: str
    number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """One request of a conversation and what was answered. Already masked; octets that are no UTF-8 are lone surrogates."""

    method: str
    target: str
    headers: tuple[tuple[str, str], ...] = ()
    """Without those that authenticate: ``role`` stands for them."""
    body: str | None = None
    operation: str = ""
    """Label of the operation that it meant to reach."""
    role: str = ""
    """Of the identity that sent it; empty for nobody."""
    status: int
    answer_headers: tuple[tuple[str, str], ...] = ()
    answer: str = ""
    phase: str = "check"
    intent: str = ""
    """Whether the request was made ``valid`` or ``invalid``; empty when nobody says."""
    broken: str = ""
    masked: bool = False
    """Something of the request was secret, so that it can't be sent again as it was."""


@dataclass(frozen=True, slots=True)
class Recording:
    """The conversation that showed a breach."""

    exchanges: tuple[Said, ...]
    dialogue: str = ""
    """Id of the promise whose dialogue an observer saw it in; empty where it was the promise's own, or a single request."""
    engine: bool = False
    """The fuzzing engine found it, and no check of ours can say whether one answer shows it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The verdict on one promise: a requirement applied to a subject."""

    requirement: str
    """Id of the check, ``http/challenge``."""
    subject: str
    """Label of the operation, rule, resource or role; ``service`` for the whole."""
    title: str
    level: str
    clause: str
    clause_url: str
    catalogue: tuple[str, ...]
    verdict: Verdict
    reason: str = ""
    """Why it is unproven, waived, not applicable; empty otherwise."""
    add: str = ""
    """For unproven: the line to add to upheld.yaml."""
    detail: str = ""
    """What was observed where it held."""
    evidence: Evidence | None = None
    cause: str = ""
    """Findings with the same requirement and cause are one finding, told once."""
    judged: int = 0
    """How many exchanges or conversations it was judged on."""
    flaky: bool = False
    """It was seen to fail and did not fail again."""
    waived_until: str = ""
    seconds: float = 0.0
    cells: tuple[CellResult, ...] = ()
    """What was found for each role, where the promise is decided role by role."""
    timeline: TimelineResult | None = None
    """What one key met, where a rate rule was studied."""
    promised_at: tuple[Line, ...] = ()
    """The lines of the contract that make the promise, the one that says most of it first."""
    recording: Recording | None = None
    """What showed the breach, where it was a conversation."""

    @property
    def id(self) -> str:
        """``http/challenge[GET /api/v1/items]``: how pytest and JUnit name it."""
        return f"{self.requirement}[{self.subject}]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Percentile:
    """A latency that so large a share of the requests did not exceed, and between which bounds it lies."""

    quantile: float
    ms: float | None
    """None where so many requests had no good answer that no latency can be named."""
    low_ms: float | None = None
    high_ms: float | None = None
    """Each bound is 95 % sure and allows for correlated samples; None where the samples give none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadWorker:
    """One generator process of a load run."""

    name: str
    sent: int
    cpu_seconds: float
    wall_seconds: float
    delay_ms: float
    """99th percentile of how late it was itself."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyRow:
    """Latency of one operation or class under load, in milliseconds, with the counts that decide the verdict."""

    name: str
    """Operation label, or ``class crud``."""
    latency_class: str
    limit_ms: float
    quantile: float
    sent: int
    ok: int
    over: int
    """Answers slower than the limit, failed and unfinished ones included."""
    errors: int
    throttled: int
    """429 answers, counted apart."""
    unfinished: int
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    verdict: str
    """``met``, ``missed``, ``not decided`` or ``invalid``."""
    reason: str = ""
    series: tuple[tuple[int, int, int], ...] = ()
    """(second, n, over) from the start of the measured part."""
    share_over_low: float | None = None
    share_over_high: float | None = None
    """Bounds of the share over the limit, each 95 % sure."""
    percentiles: tuple[Percentile, ...] = ()
    """With their bounds; failed and unfinished requests count as slower than any."""
    curve: tuple[tuple[float, float | None], ...] = ()
    """(share of the requests, latency that they did not exceed), evenly over the logarithm of the share that is left."""
    more_seconds: int | None = None
    """For not decided: after about so many more of the same it would be; None where nobody can tell."""
    design_effect: float | None = None
    """How many of these samples are worth one independent one; None without samples."""
    failures: tuple[tuple[str, int], ...] = ()
    """(status or name of the exception, how many), the most frequent first: what ``errors`` counts."""

    @property
    def is_class(self) -> bool:
        """Whether it sums up a whole class of operations."""
        return self.name.startswith("class ")


@dataclass(frozen=True, slots=True)
class LeftOut:
    """An operation that is not pressed: why, and the line of upheld.yaml that would change that."""

    name: str
    latency_class: str
    limit_ms: float
    reason: str
    add: str = ""


@dataclass(frozen=True, slots=True)
class FailedShare:
    """How many of the requests the service itself failed: answered 5xx, with a broken connection, or never."""

    requests: int
    """429 answers are not among them."""
    failed: int
    low: float
    high: float
    """Bounds of the share, each 95 % sure (Clopper-Pearson)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadRun:
    """One load run."""

    seconds: float
    rate: float
    model: str
    """``open`` (arrivals by the clock) or ``closed``."""
    users: int
    rows: tuple[LatencyRow, ...]
    valid: bool
    reason: str = ""
    notes: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    failed: FailedShare | None = None
    """None where the run left no counts."""
    delay_ms: float | None = None
    """99th percentile of how late the generator itself was."""
    noise_ms: float | None = None
    """95th percentile of a request that does nothing, asked beside the load: the noise floor; None where it was not measured."""
    crowded: str = ""
    """Why the service may have been kept from working by others on its machine; empty where it was not."""
    workers: tuple[LoadWorker, ...] = ()
    """The generator processes, where there was more than one."""

    @property
    def classes(self) -> tuple[LatencyRow, ...]:
        """The rows of whole classes."""
        return tuple(row for row in self.rows if row.is_class)

    @property
    def operations(self) -> tuple[LatencyRow, ...]:
        """The rows of single operations."""
        return tuple(row for row in self.rows if not row.is_class)

    @property
    def sent(self) -> int:
        """Requests of the measured part."""
        return sum(row.sent for row in self.operations)

    @property
    def interrupted(self) -> bool:
        """Somebody ended it before its time."""
        return self.reason.startswith("interrupted")


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """Everything that one ``upheld check`` or ``upheld load`` found."""

    contract: str
    target: str
    version: str
    started: str
    """ISO 8601 with offset."""
    seconds: float
    requests: int
    seed: int
    results: tuple[Result, ...]
    notes: tuple[str, ...] = ()
    """What a reader has to know first: lost credentials, phases that ended early, operations that were left out."""
    coverage: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    """Operation label → status → count, over all phases; every operation of the contract has an entry."""
    documented: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Operation label → the statuses that the contract documents: ``404``, ``4XX``, ``default``."""
    phases: tuple[tuple[str, float, int], ...] = ()
    """(name, seconds, requests)."""
    load: LoadRun | None = None
    stopped: str = ""
    """Why the run ended before its plan was done: Ctrl-C, budget, the target died. Empty otherwise."""
    exit_status: int = 0
    idle_waivers: tuple[str, ...] = ()
    """Ids of waivers that waive nothing any more."""
    target_output: str = ""
    """The last lines that a started target wrote."""

    def count(self, verdict: Verdict) -> int:
        return sum(result.verdict is verdict for result in self.results)


# -- progress ------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Progress:
    """One step of a run, for whoever shows it. ``kind`` is ``phase``, ``step``, ``verdict`` or ``note``."""

    kind: str
    text: str
    done: int = 0
    total: int = 0
    requests: int = 0
    seconds_left: float | None = None
    data: Any = None
    """The `Result` of a ``verdict``."""


class Listener(Protocol):
    """Whoever shows progress. Called from the run's own thread; must return at once."""

    def __call__(self, progress: Progress, /) -> None: ...


def silent(progress: Progress, /) -> None:
    """The listener that shows nothing."""
