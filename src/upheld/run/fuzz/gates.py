"""Gates against emptiness: a run that tested little must say so. Pure functions over what was counted."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from upheld.run.fuzz.values import PhaseRun

FEWEST_SCENARIOS = 0.5
"""Share of the scenarios without which a stateful phase ended early: the engine calls that a success."""
FEWEST_LINKS, LINKS_EACH = 0.3, 0.2
"""Share of the known links that a stateful phase is expected to follow, unless it had few scenarios: a fifth of a link in each."""
MOST_THROTTLED = 0.1
"""Share of the answers that may be 429 or 503 in a run that calls itself complete."""
MOST_TOLD = 5
"""Operations with an error of the engine, or without an answer, that are told one by one."""

_SKIPPED = {
    "disabled": "it was not asked for",
    "not_supported": "the engine does not have it for this document",
    "not_applicable": "the document has no links between operations, and none could be inferred",
    "failure_limit_reached": "the limit of failures was reached",
    "server_unavailable": "the service did not answer any more",
    "nothing_to_test": "there was nothing to test in it",
    "no_checks_ran": "no check applied to any of its cases",
}


def why_skipped(reason: str) -> str:
    return _SKIPPED.get(reason, reason.replace("_", " "))


def lost_operations(
    expected: Collection[str],
    dangerous: Mapping[str, str],
    reached: Mapping[str, Mapping[int, int]],
    errors: Mapping[str, Sequence[str]],
    silences: Mapping[str, int],
    cut_short: Collection[str],
) -> list[tuple[str, str]]:
    """(label, why) of every operation of which nothing or too little was learnt."""
    lost = []
    for label in expected:
        if label in dangerous:
            lost.append((label, f"never sent by fuzzing: {dangerous[label]}"))
            continue
        counts = reached.get(label, {})
        reasons = []
        if errors.get(label):
            reasons.append("; ".join(dict.fromkeys(errors[label])))
        if silences.get(label):
            reasons.append(f"no answer to {_count(silences[label], 'request')}")
        if not counts:
            why = "the time was over before it" if label in cut_short else "no request reached it"
            reasons.extend([] if reasons else [why])
        elif not any(200 <= status < 300 for status in counts):
            seen = ", ".join(
                f"{status} ×{count}" for status, count in sorted(counts.items(), key=lambda item: -item[1])[:4]
            )
            reasons.append(f"never answered 2xx: {seen}")
        elif label in cut_short:
            reasons.append("cut short: its share of the time was over before all its cases were sent")
        if reasons:
            lost.append((label, "; ".join(reasons)))
    return lost


def lost_notes(
    errors: Mapping[str, Sequence[str]], silences: Mapping[str, int], cut_short: Collection[str]
) -> list[str]:
    """Sentences about operations that were tried in part, or not at all, through no answer of theirs."""
    notes = [
        f"fuzzing: {label}: {'; '.join(dict.fromkeys(why.partition(' Last request')[0] for why in errors[label]))}"
        for label in sorted(errors)
    ]
    notes += [f"fuzzing: {label} gave no answer to {_count(silences[label], 'request')}" for label in sorted(silences)]
    if len(notes) > MOST_TOLD:
        notes = [*notes[:MOST_TOLD], f"fuzzing: {len(notes) - MOST_TOLD} more operations were not tried whole"]
    if cut_short:
        whose = f"of {_count(len(cut_short), 'operation')}"
        notes.append(f"fuzzing: not every case {whose} was sent, for want of time (fuzz: {{seconds: …}})")
    return notes


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def phase_notes(wanted: Collection[str], phases: Sequence[PhaseRun], scenarios: int = 100) -> list[str]:
    """Sentences about phases that did not run, or ran on too little. ``scenarios`` is how many the stateful phase was to play."""
    notes = []
    ran = {phase.name: phase for phase in phases}
    for name in wanted:
        phase = ran.get(name)
        if phase is None:
            notes.append(f"fuzzing: the {name} phase was not reached")
        elif phase.skipped:
            # Documents without examples are common, and the coverage phase sends what they would have.
            if not (name == "examples" and phase.skipped == "nothing_to_test"):
                notes.append(f"fuzzing: the {name} phase did not run: {why_skipped(phase.skipped)}")
        elif phase.status in ("unfinished", "interrupted"):
            notes.append(f"fuzzing: the {name} phase was cut short after {phase.cases} cases")
        elif name == "stateful":
            notes.extend(_stateful(phase, scenarios))
    return notes


def _stateful(phase: PhaseRun, scenarios: int) -> list[str]:
    followed, known = phase.links
    notes = []
    if known and phase.scenarios < scenarios * FEWEST_SCENARIOS:
        notes.append(
            f"fuzzing: the stateful phase ended after {phase.scenarios} of about {scenarios} scenarios; an answer that changes when "
            "a scenario is repeated ends it (a field that must be unique? name it under unique:)"
        )
    if followed < known * FEWEST_LINKS and followed < phase.scenarios * LINKS_EACH:
        notes.append(
            f"fuzzing: {followed} of {known} links between operations were followed in {phase.scenarios} scenarios"
        )
    return notes


def is_foreign(reached: Mapping[str, Mapping[int, int]], all_404: float = 0.98) -> bool:
    """Nearly every answer of every operation was 404: the base URL or the prefix is wrong, not the service."""
    total = sum(sum(counts.values()) for counts in reached.values())
    missing = sum(counts.get(404, 0) for counts in reached.values())
    return total >= 20 and missing >= total * all_404
