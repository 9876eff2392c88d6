"""Loaded by ``schemathesis run`` through its configuration key ``hooks``; the only module that imports schemathesis.

It steers cases (`upheld.run.fuzz.steering`), lends them our identities, and writes what happens as lines of JSON to the pipe that
its parent holds. Documented extension points only: hooks, an auth provider, a CLI event handler.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import signal
import sys
import time
from pathlib import Path
from typing import Any

import schemathesis
from schemathesis import cli
from schemathesis.core.failures import Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events

from upheld.run.fuzz import record, transport
from upheld.run.fuzz.steering import Steering

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    """The kernel ends us when the parent ends, however it ends (prctl(2)); where there is no prctl the pipe tells it later."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _job(path: Path) -> dict[str, Any]:
    """The job, which the parent writes while the engine is being loaded. Killed by the parent when it never does."""
    while not path.exists():
        time.sleep(0.02)
    read: dict[str, Any] = json.loads(path.read_bytes())
    return read


def _hide_our_constants() -> None:
    """Hypothesis tries constants of the code under test, for which it takes all modules outside of site-packages: ours, too, in a
    checkout. What a seed generates must neither depend on where we are installed nor on what we write here.
    """
    for name, module in list(sys.modules.items()):
        if name.partition(".")[0] == "upheld":
            module.__file__ = None


_hide_our_constants()
_die_with_parent(int(os.environ["UPHELD_FUZZ_PARENT"]))
_JOB = _job(Path(os.environ["UPHELD_FUZZ_JOB"]))
_SECRETS: dict[str, Any] = json.loads(os.environ.pop("UPHELD_FUZZ_SECRETS"))
_CREDENTIALS: dict[str, list[list[str]]] = _SECRETS["fields"]
_LIMIT: int = _JOB["body_limit"]
_steering = Steering(_JOB)
_steering.credentials = _SECRETS["login"]
_quotas = transport.Quotas(_JOB["pace"], _CREDENTIALS) if _JOB["pace"] else None
_patience = transport.Patience(_JOB["addresses"], _JOB["wait_budget"], _JOB["requests"], _quotas)
_patience.end = _JOB["end"]
transport.install(_patience)
# Asked to stop, the case that is sent ends the engine's work, and what was judged until then is told. An interrupt from outside
# would lose the cases of the operation that is being tried.
signal.signal(signal.SIGUSR1, lambda *_: _patience.stop())
_pipe = os.fdopen(int(os.environ["UPHELD_FUZZ_FD"]), "wb", buffering=1 << 16)
_known: dict[str, bool] = {}
"""Case id → whether all that it refers to was seen to exist. The engine's worker writes it, the handler takes out."""
_defects: set[str] = set()


def _tell(kind: str, **line: Any) -> None:
    _pipe.write(json.dumps({"t": kind, **line}, separators=(",", ":"), default=str).encode() + b"\n")


def _defect(where: str, error: Exception) -> None:
    """A mistake of ours must not stop the run, nor be silent."""
    sentence = f"{where}: {type(error).__name__}: {error}"[:300]
    if sentence not in _defects:
        _defects.add(sentence)
        _tell("defect", text=sentence)


# -- identities ----------------------------------------------------------------------------------------------------------


@schemathesis.auth(refresh_interval=None)
class Identities:
    """Our credentials, by operation. Static: renewing them on a 401 would hide tokens that die too early."""

    def get(self, case: schemathesis.Case[Any], context: schemathesis.AuthContext) -> list[list[str]] | None:
        return _CREDENTIALS.get(_JOB["callers"].get(case.operation.label, "")) or None

    def set(self, case: schemathesis.Case[Any], data: list[list[str]], context: schemathesis.AuthContext) -> None:
        for name, value in data:
            if name.lower() == "cookie":
                for pair in value.split(";"):
                    key, _, text = pair.strip().partition("=")
                    case.cookies[key] = text
            else:
                case.headers[name] = value


# -- cases ---------------------------------------------------------------------------------------------------------------


@schemathesis.hook
def before_call(context: schemathesis.HookContext, case: schemathesis.Case[Any], kwargs: dict[str, Any]) -> None:
    """Steer the case. Runs in every phase, the engine's coverage phase included (``map_*`` hooks do not)."""
    try:
        _steer(case)
    except Exception as error:
        _defect(f"before {case.operation.label}", error)


def _steer(case: schemathesis.Case[Any]) -> None:
    label, method, meta = case.operation.label, case.method, case.meta
    is_own_method = method.lower() == case.operation.method.lower()
    phase = str(meta.phase.name.value) if meta is not None else ""
    positive = meta is None or meta.generation.mode.is_positive
    if isinstance(case.body, dict):
        body = case.body
        if is_own_method:
            body = _steering.body(label, body, positive=positive, is_boundary=phase == "coverage")
        body = _steering.unprotected(method, body)
        if positive and is_own_method:
            body = _steering.session(label, body)
        if body is not case.body:
            case.body = body
    if is_own_method and (fields := _steering.headers(label, case.headers or {})):
        case.headers = type(case.headers)({**case.headers, **fields})
    values = case.path_parameters
    if values:
        changes = _steering.path(label, method, values, may_choose=_leaves_path_free(case, phase))
        if changes:
            case.path_parameters = {**values, **changes}
        if _JOB["danger"] and _steering.is_dangerous(label, method, case.formatted_path):
            case.path_parameters = {**values, **_steering.elsewhere(values)}
    _known[case.id] = _steering.is_known(label, case.path_parameters) and _steering.names_only_known(label, case.body)


def _leaves_path_free(case: schemathesis.Case[Any], phase: str) -> bool:
    meta = case.meta
    if meta is None or phase == "stateful" or meta.is_negative_at(ParameterLocation.PATH):
        return False
    # A coverage case about the path itself keeps its value; so does an id that the engine took from an answer.
    if phase == "coverage" and meta.phase.data.parameter_location is ParameterLocation.PATH:
        return False
    return not any("path" in str(draw.location).lower() for draw in meta.pool_draws)


@schemathesis.hook
def after_call(
    context: schemathesis.HookContext, case: schemathesis.Case[Any], response: schemathesis.Response
) -> None:
    """Learn which ids exist."""

    def answer() -> Any:
        try:
            return response.json()
        except ValueError:
            return None

    try:
        location = (response.headers.get("location") or [""])[0]
        label = case.operation.label
        _steering.learn(label, case.method, response.status_code, case.path_parameters, answer, location)
    except Exception as error:
        _defect(f"after {case.operation.label}", error)


# What a refusal by a limit or a busy service says nothing about: whether input was judged, or credentials were.
_NOT_OF_THROTTLED = frozenset({"ST101", "ST201", "ST202", "ST203", "ST204", "ST301", "ST302", "ST401", "ST402"})


@schemathesis.hook
def filter_failure(
    context: schemathesis.HookContext, failure: Failure, case: schemathesis.Case[Any], response: schemathesis.Response
) -> bool:
    """Drop accusations that only a 429 or 503 makes: those are reasons to wait, not answers."""
    return not (response.status_code in (429, 503) and failure.code in _NOT_OF_THROTTLED)


# -- events --------------------------------------------------------------------------------------------------------------


@cli.handler()
class Teller(cli.EventHandler[Any]):
    """Writes our own lines; the engine's reports have no promise of stability, or no requests in them."""

    def __init__(self, *args: Any, **params: Any) -> None:
        self._begun: set[str] = set()
        self._failures = record.Failures()
        self._shares = record.Shares(_JOB)
        _tell("hello", version=_JOB["version"], engine=schemathesis.__version__)
        _pipe.flush()

    def handle_event(self, ctx: Any, event: Any) -> None:
        match event:
            case events.ScenarioFinished():
                self._scenario(event)
            case events.EngineStarted():
                self._shares.begin(event.timestamp)
            case events.ScenarioStarted():
                self._shares.take(event.id.hex, event.timestamp)
                return
            case events.PhaseStarted():
                self._phase_started(event)
            case events.PhaseFinished():
                skipped = event.phase.skip_reason
                _tell(
                    "phase-end",
                    phase=event.phase.name.value,
                    status=event.status.value,
                    skipped=skipped.value if skipped is not None else "",
                )
            case events.NonFatalError():
                _tell(
                    "error",
                    op=event.label if event.related_to_operation else "",
                    phase=event.phase.value if event.phase is not None else "",
                    title=event.info.title,
                    text=str(event.info.message)[:600],
                )
            case events.FatalError():
                _tell("fatal", text=f"{type(event.exception).__name__}: {event.exception}"[:1000])
            case events.SchemaAnalysisWarnings():
                for warning in event.warnings[:20]:
                    _tell("warning", text=str(getattr(warning, "message", warning))[:300])
            case events.EngineFinished():
                _tell("end", reason=event.stop_reason.value)
            case _:
                return
        _pipe.flush()

    def shutdown(self, ctx: Any) -> None:
        with contextlib.suppress(OSError):
            _tell(
                "bye",
                throttled=sum(_patience.seen.values()),
                given_up=sum(_patience.given_up.values()),
                waited=_patience.waited,
                spent=_patience.spent,
                over=_patience.over,
            )
            _pipe.flush()

    def _phase_started(self, event: events.PhaseStarted) -> None:
        name = event.phase.name.value
        # Given a time limit, the engine goes on with new rounds until it is over. One round was asked for.
        if _JOB["one_pass"] and name in ("fuzzing", "stateful") and name in self._begun and event.phase.is_enabled:
            _tell("end", reason="one pass")
            raise KeyboardInterrupt
        self._begun.add(name)
        self._shares.phase(name, event.timestamp, len(event.operations) if event.operations is not None else None)
        payload = event.payload
        _tell("phase", phase=name, enabled=event.phase.is_enabled, links=payload.transitions_selected if payload else 0)

    def _scenario(self, event: events.ScenarioFinished) -> None:
        recorder = event.recorder
        scenario = event.id.hex[:12]
        links = set()
        for case_id, node in recorder.cases.items():
            case, interaction = node.value, recorder.interactions.get(case_id)
            if node.transition is not None and node.is_transition_applied:
                links.add(node.transition.id)
            if interaction is None:
                continue
            if interaction.response is None:
                _tell("silence", op=case.operation.label, phase=event.phase.value)
                continue
            failures = [
                self._failures.line(check.name, check.failure_info.failure)
                for check in recorder.checks.get(case_id, ())
                if check.failure_info is not None
            ]
            line = record.exchange(node, interaction, _CREDENTIALS, _LIMIT)
            known = _known.pop(case_id, False)
            _tell("x", s=scenario, id=case_id, phase=event.phase.value, **line, known=known, failures=failures)
        _tell(
            "scenario",
            s=scenario,
            op=event.label or "",
            phase=event.phase.value,
            status=event.status.value,
            skipped=event.skip_reason or "",
            cut=self._shares.is_spent(event.id.hex, event.elapsed_time),
            links=sorted(links),
            dropped=sum(recorder.filtered_failures.values()),
        )
