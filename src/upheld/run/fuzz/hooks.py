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
from binascii import b2a_base64
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import schemathesis
from schemathesis import cli
from schemathesis.core.failures import Failure
from schemathesis.core.parameters import ParameterLocation
from schemathesis.engine import events

from upheld.run.fuzz import transport
from upheld.run.fuzz.steering import Steering

_PR_SET_PDEATHSIG = 1


def _die_with_parent(parent: int) -> None:
    """The kernel ends us when the parent ends, however it ends (prctl(2)); where there is no prctl the pipe tells it later."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


_JOB: dict[str, Any] = json.loads(Path(os.environ["UPHELD_FUZZ_JOB"]).read_bytes())
_die_with_parent(_JOB["parent"])
_CREDENTIALS: dict[str, list[list[str]]] = json.loads(os.environ.pop("UPHELD_FUZZ_CREDENTIALS", "{}"))
_LIMIT: int = _JOB["body_limit"]
_steering = Steering(_JOB)
_patience = transport.Patience(_JOB["addresses"], _JOB["wait_budget"], _JOB["requests"])
transport.install(_patience)
_pipe = os.fdopen(int(os.environ["UPHELD_FUZZ_FD"]), "wb", buffering=1 << 16)
_known: dict[str, bool] = {}
"""Case id → whether all that it refers to was seen to exist; emptied with each scenario."""
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
        if body is not case.body:
            case.body = body
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
        self._rendered: set[tuple[str, str]] = set()
        self._shares = _Shares()
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
            checks = recorder.checks.get(case_id, ())
            failures = [
                self._failure(check.name, check.failure_info.failure)
                for check in checks
                if check.failure_info is not None
            ]
            _tell(
                "x", s=scenario, id=case_id, phase=event.phase.value, **_exchange(node, interaction), failures=failures
            )
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
        _known.clear()

    def _failure(self, check: str, failure: Failure) -> dict[str, Any]:
        data: dict[str, Any] = {}
        for kind in type(failure).__mro__:
            for name in getattr(kind, "__slots__", ()):
                if not name.startswith("_") and name not in ("title", "message", "severity", "case_id", "document"):
                    data[name] = _small(getattr(failure, name, None))
        if failure.code == "ST108":
            # Rendering the sentence walks the schema; one for each place in it is enough.
            key = (str(failure.operation), str(data.get("schema_path")))
            if key not in self._rendered:
                self._rendered.add(key)
                data["validation_message"] = str(getattr(failure, "validation_message", ""))[:300]
        return {"check": check, "code": failure.code, "data": data}


class _Shares:
    """The engine gives each operation an even share of the time that is left, and ends its cases silently when that is spent.

    Reckoned here from the outside, so that an operation which was cut short is told.
    """

    def __init__(self) -> None:
        self._end = self._phase_end = 0.0
        self._left = 1
        self._share: dict[str, float] = {}
        self._is_unit = False

    def begin(self, now: float) -> None:
        self._end = now + _JOB["engine_seconds"]

    def phase(self, name: str, now: float, operations: int | None) -> None:
        elastic = [phase for phase in ("fuzzing", "stateful") if phase in _JOB["phases"]]
        behind = len(elastic) - elastic.index(name) - 1 if name in elastic else len(elastic)
        # The engine holds back an equal part for each repeatable phase that is still to come.
        self._phase_end = self._end - (self._end - now) * behind / (behind + 1)
        self._left = operations or len(_JOB["operations"])
        self._is_unit = name in ("examples", "coverage", "fuzzing")

    def take(self, id_: str, now: float) -> None:
        if self._is_unit:
            self._share[id_] = max(0.0, self._phase_end - now) / max(1, self._left)
            self._left -= 1

    def is_spent(self, id_: str, seconds: float) -> bool:
        share = self._share.pop(id_, None)
        return share is not None and seconds >= share * 0.98


def _small(value: Any) -> Any:
    if isinstance(value, (int, float, bool)) or value is None:
        return value
    if isinstance(value, (list, tuple)) and len(value) <= 60:
        return [_small(item) for item in value]
    text = value if isinstance(value, str) else json.dumps(value, default=str, ensure_ascii=False)
    return text[:200]


def _exchange(node: Any, interaction: Any) -> dict[str, Any]:
    case, request, response = node.value, interaction.request, interaction.response
    parts = urlsplit(request.uri)
    who, headers = _caller(request.headers)
    return {
        "op": case.operation.label,
        "own": request.method == case.operation.method.upper(),
        "probe": node.parent_id is not None and node.transition is None,
        "parent": node.parent_id,
        "m": request.method,
        "u": parts.path or "/",
        "q": parts.query,
        "h": headers,
        "b": _octets(request.body),
        "long": (len(request.body or b"") > _LIMIT, response.body_size is not None and response.body_size > _LIMIT),
        "who": who,
        "st": response.status_code,
        "rh": [[name, value] for name, values in response.headers.items() for value in values],
        "rb": _octets(response.content),
        "el": response.elapsed,
        "at": interaction.timestamp,
        "known": _known.get(case.id, False),
        "meta": _meta(case),
    }


def _caller(headers: dict[str, list[str]]) -> tuple[str, list[list[str]]]:
    """Whose credentials the request carries, and its fields without them: secrets stay in this process."""
    pairs = [[name, value] for name, values in headers.items() for value in values]
    for who, credentials in _CREDENTIALS.items():
        mine = {(name.lower(), value) for name, value in credentials}
        if mine and mine <= {(name.lower(), value) for name, value in pairs}:
            return who, [[name, value] for name, value in pairs if (name.lower(), value) not in mine]
    return "", pairs


def _octets(data: bytes | None) -> str | None:
    return b2a_base64(data[:_LIMIT], newline=False).decode() if data is not None else None


def _meta(case: schemathesis.Case[Any]) -> dict[str, Any] | None:
    meta = case.meta
    if meta is None:
        return None
    data = meta.phase.data
    scenario = getattr(data, "scenario", None)
    return {
        "mode": meta.generation.mode.value,
        "phase": meta.phase.name.value,
        "scenario": scenario.value if scenario is not None else "",
        "description": data.description or "",
        "place": data.parameter_location.name if data.parameter_location is not None else "",
        "parameter": data.parameter or "",
        "negative": [place.name for place, part in meta.components.items() if part.mode.is_negative],
        "mutations": [
            {
                "place": mutation.parameter_location.name if mutation.parameter_location is not None else "",
                "parameter": mutation.parameter or "",
                "pointer": mutation.schema_pointer,
                "operator": mutation.operator.value,
                "keywords": list(mutation.keywords),
            }
            for mutation in data.mutations[:5]
        ],
    }
