"""What the engine tells, taken in line by line and summed up. No I/O."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

from upheld.errors import HarnessError
from upheld.run.fuzz import events, gates
from upheld.run.fuzz.accusations import Accusations
from upheld.run.fuzz.job import VERSION
from upheld.run.fuzz.steering import SAFE
from upheld.run.fuzz.values import OVER, SPENT, FuzzRun, PhaseRun

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.exchange import Exchange, Session

REFUSALS = 3
"""Operations that must refuse a credential, and none take it, until it counts as lost: one alone may have rules of its own."""


class Tally:
    """Counts, notes and accusations of one run."""

    def __init__(
        self,
        contract: Contract,
        sessions: Mapping[str, Session | None],
        accusations: Accusations,
        on_exchange: Callable[[Exchange], None],
        *,
        only: Collection[str] | None = None,
    ) -> None:
        self.contract = contract
        self.sessions = sessions
        self.accusations = accusations
        self.on_exchange = on_exchange
        self.only = only
        self.reached: dict[str, Counter[int]] = defaultdict(Counter)
        self.errors: dict[str, list[str]] = defaultdict(list)
        self.silences: Counter[str] = Counter()
        self.cut_short: set[str] = set()
        self.notes: list[str] = []
        self.defects: list[str] = []
        self.cases = self.requests = self.throttled = self.given_up = self.dropped = 0
        self.reason = ""
        """Why the engine says that it ended; empty while it runs."""
        self.stopped = ""
        self.last = ""
        """Phase and operation of the last exchange, for whoever shows progress."""
        self.has_spoken = False
        self.began = time.time()
        self._phases: dict[str, _Phase] = {}
        self._footings: dict[str, _Footing] = {}

    def take(self, line: Mapping[str, Any]) -> None:
        """One line. Kinds that are not known are left out: newer hooks may tell more."""
        self.has_spoken = True
        handler = getattr(self, "_on_" + str(line["t"]).replace("-", "_"), None)
        if handler is not None:
            handler(line)

    def _on_hello(self, line: Mapping[str, Any]) -> None:
        if line["version"] != VERSION:
            raise HarnessError(f"the engine's hooks speak version {line['version']}, not {VERSION}")

    def _on_x(self, line: Mapping[str, Any]) -> None:
        sent = events.sent(line, self.sessions, self.began)
        self.requests += 1
        if not sent.is_probe:
            self.cases += 1
            self._phase(sent.phase).cases += 1
            if sent.is_own_method:
                self.reached[sent.label][sent.exchange.response.status] += 1
            self._watch_credential(sent)
        self.on_exchange(sent.exchange)
        self.accusations.take(sent)
        self.last = f"{sent.phase} {sent.label}"

    def _watch_credential(self, sent: events.Sent) -> None:
        """Notice when a credential of ours stops working: what follows is no finding about the service."""
        session, status = sent.exchange.request.session, sent.exchange.response.status
        if session is None or not sent.is_own_method or sent.exchange.request.operation is None:
            return
        footing = self._footings.setdefault(session.name, _Footing())
        if 200 <= status < 300:
            footing.refused.clear()
            footing.works = True
            if sent.exchange.request.method not in SAFE:
                footing.last = f"{sent.exchange.request.method} {sent.exchange.request.path}"
        elif status == 401:
            footing.refused.add(sent.label)

    def _on_silence(self, line: Mapping[str, Any]) -> None:
        self.requests += 1
        self.silences[line["op"]] += 1

    def _on_scenario(self, line: Mapping[str, Any]) -> None:
        phase = self._phase(line["phase"])
        self.dropped += line["dropped"]
        self.accusations.scenario_over()
        if line["phase"] == "stateful":
            phase.scenarios += 1
            phase.followed.update(line["links"])
        elif line["cut"] or line["status"] == "interrupted":
            self.cut_short.add(line["op"])

    def _on_phase(self, line: Mapping[str, Any]) -> None:
        phase = self._phase(line["phase"])
        phase.began = time.monotonic()
        phase.status = "unfinished"
        phase.links = max(phase.links, line["links"])

    def _on_phase_end(self, line: Mapping[str, Any]) -> None:
        phase = self._phase(line["phase"])
        # A later round that had nothing to do does not unmake the first.
        if phase.cases and line["status"] == "skip":
            line = {**line, "status": "success", "skipped": ""}
        phase.status, phase.skipped = line["status"], line["skipped"]
        phase.seconds += time.monotonic() - phase.began

    def _on_error(self, line: Mapping[str, Any]) -> None:
        is_network = line["title"] == "Network Error"
        sentence = _first_line(line["text"] if is_network else f"engine error: {line['title']}: {line['text']}")
        if line["op"]:
            self.errors[line["op"]].append(sentence)
        else:
            # What follows are the engine's own curl lines, credentials and all.
            self.notes.append(f"fuzzing, {line['phase'] or 'run'}: {sentence.partition(' Last request')[0]}")
        if line["title"] in ("Runtime Error", "Hook Error", "Configuration Error"):
            self.defects.append(f"{line['op'] or line['phase'] or 'run'}: {sentence}")

    def _on_fatal(self, line: Mapping[str, Any]) -> None:
        self.stopped = "the engine could not go on"
        self.defects.append(_first_line(line["text"]))

    def _on_defect(self, line: Mapping[str, Any]) -> None:
        self.defects.append(line["text"])

    def _on_warning(self, line: Mapping[str, Any]) -> None:
        self.notes.append(f"fuzzing: {_first_line(line['text'])}")

    def _on_end(self, line: Mapping[str, Any]) -> None:
        self.reason = line["reason"]

    def _on_bye(self, line: Mapping[str, Any]) -> None:
        self.throttled, self.given_up = line["throttled"], line["given_up"]
        if line.get("spent"):
            self.stopped = self.stopped or SPENT
        elif line.get("over"):
            self.stopped = self.stopped or OVER

    def _phase(self, name: str) -> _Phase:
        return self._phases.setdefault(name, _Phase())

    def summed(self, seconds: float, wanted: tuple[str, ...], max_examples: int | None, origin: str) -> FuzzRun:
        """The run as one value. Call it once."""
        findings = tuple(self.accusations.findings())
        labels = [op.label for op in self.contract.operations if self.only is None or op.label in self.only]
        phases = tuple(phase.frozen(name) for name in wanted if (phase := self._phases.get(name)) is not None)
        if self.reason == "server_unavailable":
            self.stopped = self.stopped or "the service did not answer any more"
        notes = [*self.notes, *gates.phase_notes(wanted, phases, max_examples or 1)]
        notes += gates.lost_notes(self.errors, self.silences, () if self.stopped else self.cut_short)
        if self.given_up:
            notes.append(
                f"fuzzing: {self.given_up} answers were 429 or 503 although they were waited for; those cases tell nothing"
            )
        if self.dropped:
            notes.append(f"fuzzing: {self.dropped} failures were dropped because the answer was a 429 or 503")
        # One operation may well be asked for nothing but what is not there; all of them may not.
        if self.only is None and gates.is_foreign(self.reached):
            # A set-up error, not a report: what the wrong service does is nobody's finding.
            findings = ()
            self.stopped = f"nearly every answer was 404; is {origin} the service that the contract describes?"
            notes = [f"fuzzing: {self.stopped}"]
        lost = [(name, footing) for name, footing in self._footings.items() if len(footing.refused) >= REFUSALS]
        for name, footing in lost:
            since = f"after {footing.last}" if footing.works else "from the beginning"
            notes.append(
                f"fuzzing: the credential of {name} was refused {since}; what was sent with it since tells little"
            )
        notes += self.accusations.notes
        self.defects += self.accusations.defects
        throttled = self.given_up > self.requests * gates.MOST_THROTTLED
        unfinished = any(phase.status == "unfinished" for phase in phases)
        return FuzzRun(
            cases=self.cases,
            seconds=round(seconds, 3),
            findings=findings,
            reached={label: dict(counts) for label, counts in self.reached.items()},
            lost=tuple(
                gates.lost_operations(
                    labels, self.contract.dangerous, self.reached, self.errors, self.silences, self.cut_short
                )
            ),
            notes=tuple(dict.fromkeys(notes)),
            complete=not (self.stopped or unfinished or self.defects or self.cut_short or throttled or lost),
            phases=phases,
            requests=self.requests + self.accusations.repeater.requests,
            throttled=self.throttled,
            stopped=self.stopped,
            defects=tuple(dict.fromkeys(self.defects)),
            counts=dict(self.accusations.counts),
        )


class _Footing:
    """Whether one identity's credential still works."""

    def __init__(self) -> None:
        self.works = False
        self.last = "anything that changes"
        self.refused: set[str] = set()
        """Operations that refused it since the last one that took it."""


class _Phase:
    def __init__(self) -> None:
        self.status = "unfinished"
        self.skipped = ""
        self.cases = self.scenarios = self.links = 0
        self.seconds = 0.0
        self.began = time.monotonic()
        self.followed: set[str] = set()

    def frozen(self, name: str) -> PhaseRun:
        links = (len(self.followed), self.links)
        return PhaseRun(name, self.status, self.cases, round(self.seconds, 3), self.skipped, self.scenarios, links)


def _first_line(text: str) -> str:
    return " ".join(text.split())[:300]
