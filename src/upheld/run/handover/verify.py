"""A verdict for each claim of an implementation report, from one run against the service."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from upheld.check import NotApplicable, Subjects, Unproven
from upheld.checks import select
from upheld.contract.implementation import Implementation, pointer
from upheld.report.clean import one_line
from upheld.report.mask import Masker
from upheld.run.examine import Options, examine
from upheld.run.handover.addresses import stated
from upheld.run.handover.claims import EXISTS, OPEN, RUNS, Claim, Claims, Proof
from upheld.run.handover.dialogues import Asking
from upheld.verdict import Evidence, Exit, Result, Run, Verdict

if TYPE_CHECKING:
    from upheld.check import Check
    from upheld.contract import Contract
    from upheld.run.prepare import Ready
    from upheld.verdict import Listener

SCHEMA = "upheld.verify/1"
_OURS = frozenset({EXISTS, OPEN, RUNS})
_NAMED = 3
_FAILED = (Verdict.BREACHED, Verdict.ADVISORY, Verdict.WAIVED)
"""A waiver excuses a breach; it does not make what somebody claims true."""


@dataclass(frozen=True)
class Judged:
    """The verdict on one claim: upheld, breached or unproven. Masked."""

    pointer: str
    claim: str
    verdict: Verdict
    by: tuple[str, ...] = ()
    """Ids of the promises that it rests on."""
    reason: str = ""
    """Why it is unproven or contradicted, or what was seen where it holds."""
    add: str = ""
    findings: tuple[Evidence, ...] = ()


@dataclass(frozen=True)
class Verified:
    """All verdicts, and the run that they come from."""

    report: Implementation
    run: Run
    claims: tuple[Judged, ...]

    @property
    def exit_status(self) -> int:
        """As a run's, but for what no claim rests on: 1 where a claim is breached."""
        ended = self.run.exit_status
        if ended not in (Exit.KEPT, Exit.BREACHED):
            return ended
        return int(Exit.BREACHED if any(each.verdict is Verdict.BREACHED for each in self.claims) else Exit.KEPT)

    def count(self, verdict: Verdict) -> int:
        return sum(each.verdict is verdict for each in self.claims)

    def document(self) -> dict[str, Any]:
        """As JSON."""
        return {
            "schema": SCHEMA,
            "report": str(self.report.file),
            "feature": self.report.feature,
            "contract": self.run.contract,
            "target": self.run.target,
            "started": self.run.started,
            "exit_status": self.exit_status,
            "stopped": self.run.stopped,
            "notes": list(self.run.notes),
            "summary": {str(each): self.count(each) for each in (Verdict.UPHELD, Verdict.BREACHED, Verdict.UNPROVEN)},
            "claims": [_line(each) for each in self.claims],
        }


def checks_for(claims: Claims, asking: Asking) -> list[Check]:
    """What is played: requirements of the catalogue where there is one that proves a claim, else what the claim asks for."""
    proofs = [proof for claim in claims.claims for proof in claim.proofs]
    known = {proof.requirement for proof in proofs} - _OURS
    found = [_narrowed(check, proofs) for check in (select(known).values() if known else ())]
    own = frozenset((proof.requirement, proof.subject) for proof in proofs if proof.requirement in _OURS)
    return [*found, *asking.checks(own)]


def verify(
    report: Implementation,
    ready: Ready,
    claims: Claims,
    options: Options,
    listener: Listener,
    *,
    writes: bool = False,
) -> Verified:
    """Hold every claim of ``report`` against the running service. Never raises for what the target does."""
    url = ready.running["raised"].url
    commands = {pointer("test_commands", at): line for at, line in enumerate(report.commands)}
    asking = Asking(claims, commands, url, stated(ready.contract), writes)
    run = examine(claims.contract, checks_for(claims, asking), ready.running, options, listener)
    masker = Masker((), ready.contract.policy.secret_fields())
    return Verified(report, run, tuple(_masked(settled(claim, run, ready.contract), masker) for claim in claims.claims))


def settled(claim: Claim, run: Run, contract: Contract) -> Judged:
    """The verdict on one claim by the results of its proofs."""
    said = Judged(claim.pointer, claim.text, Verdict.UNPROVEN)
    if claim.wrong:
        return replace(said, verdict=Verdict.BREACHED, reason=claim.wrong)
    if claim.seen:
        return replace(said, verdict=Verdict.UPHELD, reason=claim.seen)
    results = [(proof, _results(run, proof)) for proof in claim.proofs]
    all_of_them = [result for _, found in results for result in found]
    failed = [result for result in all_of_them if result.verdict in _FAILED]
    if failed:
        seen = tuple(dict.fromkeys(result.evidence for result in failed if result.evidence is not None))
        ids = tuple(result.id for result in failed)
        actual = "; ".join(dict.fromkeys(each.actual for each in seen[:_NAMED]))
        return replace(said, verdict=Verdict.BREACHED, by=ids, reason=actual, findings=seen)
    held = [result for result in all_of_them if result.verdict is Verdict.UPHELD]
    ids = tuple(result.id for result in held)
    if claim.reason:
        holds = f"; what can be seen holds: {', '.join(dict.fromkeys(r.requirement for r in held))}" if held else ""
        return replace(said, by=ids, reason=claim.reason + holds, add=claim.add)
    for proof, found in () if claim.any_of and held else results:
        if not any(result.verdict is Verdict.UPHELD for result in found):
            reason, add = _why_not(proof, found, run, contract)
            return replace(said, by=ids, reason=reason, add=add)
    detail = "; ".join(dict.fromkeys(result.detail for result in held[:_NAMED] if result.detail))
    left = sum(result.verdict is Verdict.UNPROVEN for result in all_of_them)
    if left:
        detail = f"on {len(held)} of {len(held) + left} that it speaks of, the others are unproven; {detail}"
    return replace(said, verdict=Verdict.UPHELD, by=ids, reason=detail)


def _results(run: Run, proof: Proof) -> list[Result]:
    same = (result for result in run.results if result.requirement == proof.requirement)
    return [result for result in same if not proof.subject or result.subject == proof.subject]


def _why_not(proof: Proof, found: Sequence[Result], run: Run, contract: Contract) -> tuple[str, str]:
    """(why a proof is missing, what to add)."""
    told = next((result for result in found if result.reason), None)
    if told is not None:
        return f"{proof.requirement}: {told.reason}" if proof.requirement not in _OURS else told.reason, told.add
    if run.stopped:
        return f"the run ended before it: {run.stopped}", ""
    if (why := contract.dangerous.get(proof.subject)) is not None:
        return f"{proof.subject} is never sent on its own: {why}", ""
    if proof.requirement == "ratelimit/quota":
        return "no simple GET and no sign-in stands under this limit to use it up with, or it is too large for that", ""
    return f"{proof.requirement} found nothing to be tried on", ""


def _narrowed(check: Check, proofs: Iterable[Proof]) -> Check:
    """The check for those of its subjects that are claimed."""
    wanted = {proof.subject for proof in proofs if proof.requirement == check.id}
    subjects = check.subjects
    return check if subjects is None or "" in wanted else replace(check, subjects=_only(subjects, wanted))


def _only(subjects: Callable[[Contract], Subjects], wanted: set[str]) -> Callable[[Contract], Subjects]:
    def narrowed(contract: Contract) -> Subjects:
        found = subjects(contract)
        if isinstance(found, Unproven | NotApplicable):
            return found
        return [subject for subject in found if subject.label in wanted]

    return narrowed


def _masked(judged: Judged, masker: Masker) -> Judged:
    return replace(judged, claim=masker(judged.claim), reason=masker(judged.reason))


def _line(judged: Judged) -> dict[str, Any]:
    line: dict[str, Any] = {
        "pointer": judged.pointer,
        "claim": one_line(judged.claim),
        "verdict": str(judged.verdict),
        "by": list(judged.by),
        "reason": one_line(judged.reason),
    }
    if judged.add:
        line["add"] = judged.add
    if judged.findings:
        names = ("sent", "required", "expected", "actual", "curl")
        line["findings"] = [{name: getattr(each, name) for name in names} for each in judged.findings]
    return line
