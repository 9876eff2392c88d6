"""Runs the reference with one defect switched on, and tells which requirements went red."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import ExitStack

from upheld.check import Check, Profile
from upheld.checks import catalogue, select
from upheld.contract.load import load
from upheld.run.examine import Options, examine
from upheld.run.prepare import bundled, enter, fetch
from upheld.targets import Target
from upheld.targets.embedded import Embedded
from upheld.verdict import Run, Verdict

RED = (Verdict.BREACHED, Verdict.ADVISORY)

CHEAP = {"UPHELD_REFERENCE_BCRYPT_COST": "4"}
"""The suite starts the reference over a hundred times; what a password costs is not what it proves."""

DEAR = {"auth/login-time": {"UPHELD_REFERENCE_BCRYPT_COST": "10"}}
"""Requirements that are about what a password costs: enough of it to be seen, a quarter of what the reference takes as shipped."""


def run(
    mutant: str | None = None,
    *,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
    quick: bool = True,
    fuzz: bool = False,
    served: bool = False,
    seed: int = 1,
) -> Run:
    """One examination of the reference as shipped and with raised limits, both with the defect.

    ``served`` takes the contract's document from the service itself, as a contract without a file does.
    """
    extra = {**CHEAP, **(environment or {})}
    if mutant is not None:
        extra["UPHELD_REFERENCE_MUTANT"] = mutant
    checks = list(select(only, skip).values())
    profiles: tuple[Profile, ...] = ("raised", "shipped") if _studies_limits(checks) else ("raised",)
    if not quick and any(check.requirement.profile == "short_lived" for check in checks):
        profiles = (*profiles, "short_lived")
    stated = load(bundled()).policy.target.profiles
    with ExitStack() as stack:
        targets: dict[str, Target] = {}
        for profile in profiles:
            own = {name: value.replace("{profile}", profile) for name, value in extra.items()}
            if profile == "short_lived" and stated is not None and stated.short_lived is not None:
                own |= stated.short_lived.env
            targets[profile] = Embedded(profile, env=own)
        running = enter(stack, targets)
        options = Options(quick=quick, fuzz=fuzz, seed=seed)
        document = fetch(running["raised"].url, "/openapi.json") if served else None
        return examine(load(bundled(), openapi_bytes=document), checks, running, options)


def _studies_limits(checks: Iterable[Check]) -> bool:
    return any(check.requirement.profile == "shipped" or check.group == "ratelimit" for check in checks)


def red(outcome: Run) -> dict[str, list[str]]:
    """Requirement → what was seen, of every breach and advisory."""
    found: dict[str, list[str]] = {}
    for result in outcome.results:
        if result.verdict in RED:
            seen = result.evidence.actual if result.evidence else ""
            found.setdefault(result.requirement, []).append(f"{result.subject}: {seen}")
    return found


def waits(requirement: str) -> bool:
    """Whether it is only seen when real time passes."""
    return catalogue()[requirement].requirement.waits
