"""What one fuzzing run concludes. Frozen values, standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from upheld.check import Finding
from upheld.exchange import Exchange

SPENT = "its requests were spent"
"""`FuzzRun.stopped` of a run that used up its budget of requests."""
OVER = "its time was over"
"""`FuzzRun.stopped` of a run that had more to do than time."""


@dataclass(frozen=True, slots=True)
class EngineFinding:
    """One finding of the engine, repeated on an idle connection before it is told."""

    engine_check: str
    """The engine's check, ``response_schema_conformance``: `Requirement.engine` names it."""
    code: str
    """The engine's stable code for what went wrong, ``ST108``."""
    operation: str
    """Label of the contract's operation."""
    finding: Finding
    flaky: bool
    """It did not show again when it was repeated."""
    exchange: Exchange | None
    """The exchange that showed it first."""
    seen: int = 1
    """How many exchanges of the run showed it."""
    promised_by: str = "document"
    """``policy`` when only upheld.yaml promises it (an error format, a required field), not the document itself."""


@dataclass(frozen=True, slots=True)
class PhaseRun:
    """One phase of the engine."""

    name: str
    status: str
    """``success``, ``failure``, ``error``, ``skip``, ``interrupted``; ``unfinished`` when it was cut short."""
    cases: int
    seconds: float
    skipped: str = ""
    """Why it did not run; empty when it did."""
    scenarios: int = 0
    links: tuple[int, int] = (0, 0)
    """Links between operations: (followed, known). Only the stateful phase has them."""


@dataclass(frozen=True, slots=True)
class FuzzRun:
    """Everything that one fuzzing run learnt, except its exchanges, which were told as they came."""

    cases: int
    """Generated cases that were sent."""
    seconds: float
    findings: tuple[EngineFinding, ...]
    reached: Mapping[str, Mapping[int, int]]
    """Operation label → status → count."""
    lost: tuple[tuple[str, str], ...]
    """(operation label, why nothing or too little was learnt about it)."""
    notes: tuple[str, ...]
    complete: bool
    """Every phase ran to its end. False when time, the engine, the target or Ctrl-C cut it short."""
    phases: tuple[PhaseRun, ...] = ()
    requests: int = 0
    """Everything that was sent: cases, the engine's own probes, repetitions and reductions."""
    throttled: int = 0
    """429 and 503 answers that were backed off from."""
    stopped: str = ""
    """Why it ended early; empty when it did not."""
    defects: tuple[str, ...] = ()
    """What went wrong on our side or the engine's, as sentences: the harness is to blame, not the service."""
    counts: Mapping[str, int] = field(default_factory=dict)
    """Failures of each engine code, before grouping and repetition."""
