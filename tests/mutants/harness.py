"""Runs the reference with one defect switched on, and tells which requirements went red."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

from tests.mutants.inside import Inside, journals
from upheld.check import Check, NotApplicable, Profile, Subjects, Unproven
from upheld.checks import catalogue, select
from upheld.contract import Contract
from upheld.contract.load import load
from upheld.run.examine import Options, examine
from upheld.run.prepare import bundled, enter, fetch
from upheld.targets import Target
from upheld.targets.embedded import Embedded
from upheld.verdict import Run, Verdict

RED = (Verdict.BREACHED, Verdict.ADVISORY)

CHEAP = {"UPHELD_REFERENCE_BCRYPT_COST": "4"}
"""The suite starts the reference over a hundred times; what a password costs is not what it proves."""

DEAR = {id: {"UPHELD_REFERENCE_BCRYPT_COST": "10"} for id in ("auth/login-time", "latency/hashing-blocks-nobody")}
"""Requirements that are about what a password costs: enough of it to be seen, a quarter of what the reference takes as shipped."""

QUOTAS = {
    "UPHELD_REFERENCE_LOGIN_QUOTA": ("POST /auth/login, quota: 10/min", 10),
    "UPHELD_REFERENCE_REGISTER_QUOTA": ("POST /auth/register, quota: 5/min", 5),
    "UPHELD_REFERENCE_REFRESH_QUOTA": ("POST /auth/refresh, quota: 30/min", 12),
    "UPHELD_REFERENCE_OAUTH_TOKEN_QUOTA": ("POST /oauth/token, quota: 30/min", 12),
    "UPHELD_REFERENCE_DEFAULT_QUOTA": ('"**", quota: 100/min', 24),
}
"""Setting of the reference → how upheld.yaml says the same, and what both say instead where limits are to be studied cheaply."""
FEW = 4
"""Subjects of each check that a mutant is not about: chosen anew for each mutant, so that the suite has seen all of them stay silent."""
SHORT = 24
"""Seconds of a window where windows are waited for: the silent runs and tests/live wait for whole minutes."""


@contextmanager
def small(window: int) -> Iterator[tuple[Path, dict[str, str]]]:
    """The folder of a contract with small quotas in windows of so many seconds, and the environment of a reference that keeps it."""
    with TemporaryDirectory(prefix="upheld-small-") as folder:
        place = Path(shutil.copytree(bundled(), Path(folder) / "reference"))
        policy = (place / "upheld.yaml").read_text()
        for line, quota in QUOTAS.values():
            assert policy.count(line) == 1, f"upheld.yaml does not say {line!r}"
            policy = policy.replace(line, f"{line.rpartition(' ')[0]} {quota}/{window}s")
        (place / "upheld.yaml").write_text(policy)
        yield place, {name: f"{quota}/{window}second" for name, (_, quota) in QUOTAS.items()}


def run(
    mutant: str | None = None,
    *,
    only: Iterable[str] = (),
    skip: Iterable[str] = (),
    environment: Mapping[str, str] | None = None,
    patient: bool = False,
    dear: bool = False,
    fuzz: bool = False,
    served: bool = False,
    cheap: bool = False,
    inside: bool = False,
    about: str = "",
    thin: bool = False,
    seed: int = 1,
) -> Run:
    """One examination of the reference as shipped and with raised limits, both with the defect.

    ``patient`` plays what waits for real time too, ``dear`` what ``--quick`` leaves out for its cost.

    ``served`` takes the contract's document from the service itself, as a contract without a file does. ``cheap`` has small
    quotas in the contract and in the services, and short windows where they are waited for; ``inside`` has the services
    on threads of this process instead of processes of their own. Where a run is ``about`` one requirement, all others are held
    to `FEW` of their subjects, unless it judges what they send; ``thin`` does so then too.
    """
    with ExitStack() as stack:
        place, extra = bundled(), {**CHEAP, **(environment or {})}
        if inside:
            stack.enter_context(journals())
        if cheap:
            place, quotas = stack.enter_context(small(SHORT if patient else 60))
            extra |= quotas
        if mutant is not None:
            extra["UPHELD_REFERENCE_MUTANT"] = mutant
        contract = load(place)
        checks = list(select(only, [*skip, *(() if patient else waiting())]).values())
        if thin or (about and catalogue()[about].converse):
            checks = [check if check.id == about else _held_to_few(check, f"{mutant}/{check.id}") for check in checks]
        profiles: tuple[Profile, ...] = ("raised", "shipped") if _studies_limits(checks) else ("raised",)
        if any(check.requirement.profile == "short_lived" for check in checks):
            profiles = (*profiles, "short_lived")
        stated = contract.policy.target.profiles
        targets: dict[str, Target] = {}
        for profile in profiles:
            own = {name: value.replace("{profile}", profile) for name, value in extra.items()}
            if profile == "short_lived" and stated is not None and stated.short_lived is not None:
                own |= stated.short_lived.env
            embedded = Embedded(profile, env=own)
            targets[profile] = Inside(embedded) if inside else embedded
        running = enter(stack, targets)
        options = Options(quick=not (patient or dear or fuzz), fuzz=fuzz, seed=seed)
        if served:
            contract = load(place, openapi_bytes=fetch(running["raised"].url, "/openapi.json"))
        return examine(contract, checks, running, options)


def _held_to_few(check: Check, chance: str) -> Check:
    whole = check.subjects
    if whole is None:
        return check

    def few(contract: Contract) -> Subjects:
        found = whole(contract)
        if isinstance(found, NotApplicable | Unproven):
            return found
        listed = list(found)
        return Random(chance).sample(listed, FEW) if len(listed) > FEW else listed

    return replace(check, subjects=few)


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


def is_dear(requirement: str) -> bool:
    """Whether a quick run leaves it out for its cost."""
    return catalogue()[requirement].requirement.dear


def waiting() -> list[str]:
    """Every requirement that is only seen when real time passes."""
    return [id for id in catalogue() if waits(id)]
