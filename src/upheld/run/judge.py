"""From outcomes to verdicts. It replays before it accuses, tells findings of one origin once, and never passes on nothing."""

from __future__ import annotations

import datetime
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from upheld.check import Cell, Check, Finding, Kept, Level, NotApplicable, Outcome, Subject, Unproven
from upheld.contract.lines import promised_at
from upheld.exchange import Exchange, Request
from upheld.report.curl import curl
from upheld.report.mask import Masker
from upheld.run.plan import Plan, Promise
from upheld.run.record import dialogue_of, said
from upheld.run.waivers import Waivers
from upheld.run.watch import Sighting, Tally, Watch
from upheld.verdict import CellResult, Evidence, Line, Recording, Result, TimelineResult, Verdict

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.run.fuzz import EngineFinding
    from upheld.verdict import LoadRun

Confirmed = dict[tuple[str, str, str], bool]
Replay = Callable[[Promise], Awaitable[Outcome]]
Resend = Callable[[Check, Sighting], Awaitable[bool]]


@dataclass
class Case:
    """Everything that was learnt about one promise."""

    promise: Promise
    outcome: Outcome | None = None
    """Of the dialogue, or from the tally of an observer."""
    seconds: float = 0.0
    judged: int = 0
    flaky: bool = False
    seen: int = 1
    """How many times the finding was seen."""
    also: list[Finding] = field(default_factory=list)
    """Further findings of other origins on the same subject."""
    pressed: bool = False
    """It showed only under load, and needs one to be shown again."""
    exchanges: tuple[Exchange, ...] = ()
    """What showed the finding."""
    engine: bool = False
    """The fuzzing engine has found it."""


class Judge:
    """Turns what was learnt into results."""

    def __init__(
        self, contract: Contract, masker: Masker, base_url: str, again: str, *, fuzzed: bool, pressing: str = ""
    ) -> None:
        self.contract = contract
        self.masker = masker
        self.base_url = base_url
        self.again = again
        """The upheld command of this run, to which ``--only ID`` is added."""
        self.pressing = pressing
        """The upheld command that presses on the service as this run does."""
        self.fuzzed = fuzzed
        self.waivers = Waivers(contract, datetime.datetime.now(tz=datetime.UTC).date())

    # -- gathering -------------------------------------------------------------------------------------------------------

    def observed(self, plan: Plan, watch: Watch, confirmed: Confirmed | None) -> list[Case]:
        """Cases of the observers. ``confirmed`` tells for (check, subject, origin) whether a replay showed it again;
        None when the run ended before anything could be repeated."""
        cases = []
        for promise in plan.promises:
            if promise.check.observe is None:
                continue
            tally = watch.tallies.get(promise.key)
            cases.append(self._from_tally(promise, tally, confirmed))
        planned = {promise.key for promise in plan.promises}
        by_id = {check.id: check for check in watch.observers}
        for (id_, label), tally in watch.tallies.items():
            if (id_, label) not in planned and tally.sightings and id_ in by_id and not plan.narrowed:
                cases.append(self._from_tally(Promise(by_id[id_], Subject(label)), tally, confirmed))
        return cases

    def _from_tally(self, promise: Promise, tally: Tally | None, confirmed: Confirmed | None) -> Case:
        case = Case(promise)
        if promise.settled is not None:
            case.outcome = promise.settled
        if tally is None:
            return case
        case.judged = tally.judged
        standing = [
            (origin, sighting)
            for origin, sighting in tally.sightings.items()
            if (len(sighting.sources) > 1 if confirmed is None else confirmed.get((*promise.key, origin), True))
        ]
        if standing:
            _, first = standing[0]
            finding = first.finding
            if finding.request is None:
                finding = replace(finding, request=first.exchange.request)
            case.outcome = _told_where(finding, first)
            case.exchanges = (first.exchange,)
            case.seen = first.count
            case.also = [_told_where(s.finding, s) for _, s in standing[1:]]
        elif tally.sightings:
            sighting = next(iter(tally.sightings.values()))
            actual = sighting.finding.actual
            if confirmed is None:
                case.outcome = Unproven(f"seen once ({actual}); the run ended before it could be repeated")
            else:
                often = "once" if sighting.count == 1 else f"{sighting.count} of {tally.judged} times"
                case.outcome = Unproven(f"flaky: seen {often} ({actual}) and not again when it was repeated")
                case.flaky = True
        elif tally.kept:
            case.outcome = Kept(tally.detail or f"{tally.kept} answers")
        elif tally.unproven is not None:
            case.outcome = tally.unproven
        return case

    async def played(self, promise: Promise, outcome: Outcome, seconds: float, replay: Replay) -> Case:
        """A dialogue's case. A finding is played again: two of three make it one, else it is flaky."""
        case = Case(promise, outcome, seconds, judged=1)
        if not isinstance(outcome, Finding):
            return case
        seen = tries = outcome.seen
        while seen < 2 and tries < 3:
            tries += 1
            again = await replay(promise)
            if isinstance(again, Finding):
                seen += 1
                case.outcome = again if not again.origin or again.origin == outcome.origin else outcome
            elif not isinstance(again, Kept):
                case.outcome = unsettled(
                    outcome, f"seen once ({outcome.actual}); it could not be repeated: {again.reason}"
                )
                return case
        case.seen, case.judged = seen, tries
        if seen < 2:
            case.flaky = True
            case.outcome = unsettled(outcome, f"flaky: seen in 1 of {tries} playings ({outcome.actual})")
        return case

    def engine(
        self, cases: list[Case], checks: Iterable[Check], findings: Iterable[EngineFinding], watch: Watch
    ) -> None:
        """Bring the fuzzing engine's findings under their requirements, in place.

        Where our own observer of that requirement judged the very exchange and found it kept, the observer is believed.
        """
        owner = {name: check for check in checks for name in check.requirement.engine}
        by_key = {case.promise.key: case for case in cases}
        for found in findings:
            check = owner.get(found.engine_check)
            if check is None:
                continue
            judged = check.observe is not None and found.exchange is not None
            if judged and found.exchange and isinstance(watch.ask(check, found.exchange), Kept):
                continue
            key = (check.id, found.operation)
            case = by_key.get(key)
            if case is None:
                operation = self.contract.operation(found.operation)
                case = Case(Promise(check, Subject(found.operation, operation=operation)))
                by_key[key] = case
                cases.append(case)
            case.judged += 1
            if found.flaky:
                if not isinstance(case.outcome, Finding):
                    case.flaky = True
                    case.outcome = case.outcome or Unproven(f"flaky: seen once ({found.finding.actual}) and not again")
            elif isinstance(case.outcome, Finding):
                case.also.append(found.finding)
            else:
                case.outcome, case.engine = found.finding, True
                case.exchanges = (found.exchange,) if found.exchange is not None else ()

    def measured(self, check: Check, load: LoadRun) -> list[Case]:
        """What a load run tells of one requirement."""
        assert check.measure is not None
        told = check.measure(load, self.contract)
        return [Case(Promise(check, each.subject), each.outcome, load.seconds, each.samples) for each in told]

    # -- verdicts --------------------------------------------------------------------------------------------------------

    def result(self, case: Case) -> Result:
        """The verdict on one promise."""
        check, subject = case.promise.check, case.promise.subject
        requirement = check.requirement
        verdict, reason, add, detail = Verdict.UNPROVEN, "", "", ""
        evidence, cause, until = None, "", ""
        match case.outcome:
            case Kept(detail):
                verdict = Verdict.UPHELD
            case Finding() as finding:
                verdict = Verdict.BREACHED if requirement.level is Level.MUST else Verdict.ADVISORY
                evidence = self.evidence(check, subject, finding, case.also, pressed=case.pressed)
                cause = finding.origin or f"{subject.label}: {evidence.actual}"
                if (waiver := self.waivers.standing(check, subject)) is not None:
                    verdict, reason, until = Verdict.WAIVED, waiver.reason, str(waiver.until)
                elif (ended := self.waivers.ended(check, subject)) is not None:
                    passed = f"{evidence.actual}; it was waived until {ended.until} ({self.masker(ended.reason)})"
                    evidence = replace(evidence, actual=passed)
            case Unproven(reason, add):
                pass
            case NotApplicable(reason):
                verdict = Verdict.NOT_APPLICABLE
            case None:
                reason, add = self._unseen(subject)
        return Result(
            requirement=check.id,
            subject=subject.label,
            title=requirement.title,
            level=str(requirement.level),
            clause=requirement.clause.text,
            clause_url=requirement.clause.url,
            catalogue=requirement.catalogue,
            verdict=verdict,
            reason=self.masker(reason),
            add=add,
            detail=self.masker(detail),
            evidence=evidence,
            cause=self.masker(cause),
            judged=case.judged,
            flaky=case.flaky,
            waived_until=until,
            seconds=round(case.seconds, 3),
            cells=tuple(self._cell(cell, verdict) for cell in _cells(case)),
            timeline=self._timeline(case),
            promised_at=self._lines(check, subject),
            recording=self._recording(case) if evidence is not None and not case.pressed else None,
        )

    def _recording(self, case: Case) -> Recording | None:
        """The conversation that showed the finding, masked."""
        if not case.exchanges:
            return None
        dialogue = dialogue_of(case.exchanges[0].source) if case.promise.check.observe is not None else ""
        return Recording(tuple(said(exchange, self.masker) for exchange in case.exchanges), dialogue, case.engine)

    def _lines(self, check: Check, subject: Subject) -> tuple[Line, ...]:
        """The lines of the contract that make the promise."""
        places = promised_at(self.contract, check.requirement.reads, subject.operation, subject.rule)
        return tuple(Line(place.file, place.line) for place in places)

    def _timeline(self, case: Case) -> TimelineResult | None:
        """What a key met, with what its rule promises."""
        subject = case.promise.subject
        rule = subject.rule or (self.contract.rate_rule(subject.operation) if subject.operation else None)
        seen = case.outcome.timeline if isinstance(case.outcome, Kept | Finding) else None
        if rule is None or seen is None:
            return None
        return TimelineResult(
            rule=rule.label,
            operation=subject.operation.label if subject.operation else rule.pattern,
            quota=rule.quota,
            window=rule.window,
            algorithm=rule.algorithm,
            points=seen.points,
        )

    def _cell(self, cell: Cell, whole: Verdict) -> CellResult:
        verdict = {"kept": Verdict.UPHELD, "unproven": Verdict.UNPROVEN}.get(cell.verdict, whole)
        return CellResult(cell.role, cell.expected, self.masker(cell.seen), verdict, self.masker(cell.reason))

    def evidence(
        self, check: Check, subject: Subject, finding: Finding, also: list[Finding], *, pressed: bool = False
    ) -> Evidence:
        """The lines of a breach, masked. ``pressed`` says that it takes a load to show it again."""
        requirement = check.requirement
        required = finding.required or f"{requirement.title} ({requirement.clause.text})"
        actual = finding.actual
        if also:
            others = "; ".join(dict.fromkeys(other.actual for other in also[:3]))
            actual += f"; also: {others}" + (f" and {len(also) - 3} more" if len(also) > 3 else "")
        line = curl(finding.request, self.base_url, self.masker) if finding.request is not None else ""
        return Evidence(
            sent=self.masker(finding.sent or _sent(finding.request, subject)),
            required=self.masker(required),
            expected=self.masker(finding.expected),
            actual=self.masker(actual),
            again=self.pressing if pressed or check.measure is not None else f"{self.again} --only {check.id}",
            curl=line,
        )

    def _unseen(self, subject: Subject) -> tuple[str, str]:
        """Why an observer had nothing to judge, and what would give it something."""
        if (why := self.contract.dangerous.get(subject.label)) is not None:
            return f"never sent on its own: {why}", ""
        reason = "nothing that it judges was seen in this run"
        return (reason, "") if self.fuzzed else (f"{reason}, which generated no requests", "run with fuzzing")


def unsettled(finding: Finding, reason: str) -> Unproven:
    """What a finding comes to that was not seen again; what else it told of the roles stands."""
    told = [replace(c, verdict="unproven", reason=reason) if c.verdict == "breached" else c for c in finding.cells]
    return Unproven(reason, cells=tuple(told))


def _cells(case: Case) -> tuple[Cell, ...]:
    """What was found for each role; without an answer of the dialogue, what was expected."""
    found = case.outcome.cells if isinstance(case.outcome, Kept | Finding | Unproven) else ()
    return found or case.promise.subject.cells


def _told_where(finding: Finding, sighting: Sighting) -> Finding:
    if sighting.count <= 1:
        return finding
    operations = len(sighting.operations)
    where = f" on {operations} operations" if operations > 1 else ""
    return replace(finding, actual=f"{finding.actual} (seen {sighting.count} times{where})")


def _sent(request: Request | None, subject: Subject) -> str:
    if request is None:
        return subject.label
    who = f" as {request.session.name}" if request.session else " without credentials"
    size = f", {len(request.body)} octets of {request.headers.get('content-type', 'no type')}" if request.body else ""
    return f"{request.method} {request.target[:120]}{who}{size}"
