"""We have seen every check fail: each on a mutant of the reference that it alone catches; none on the reference as shipped."""

from __future__ import annotations

import pytest
from redis import Redis

from tests.mutants.harness import DEAR, is_dear, red, run, waits
from upheld.checks import catalogue
from upheld.reference.mutants import registry

pytestmark = [pytest.mark.mutants, pytest.mark.live]

NEEDS_A_STORE = {"ratelimit/restart", "ratelimit/store-outage"}
"""Requirements about counters outside the process: their mutants are seen in tests/live/test_outage.py."""
NEEDS_A_LOAD = {"latency/p95", "latency/error-rate"}
"""Requirements that a load run decides: their mutants are pressed on in tests/live/test_measurements.py."""
ALL = sorted(registry().values(), key=lambda mutant: mutant.name)
MUTANTS = [mutant for mutant in ALL if mutant.requirement not in NEEDS_A_STORE | NEEDS_A_LOAD]
NEEDS_FUZZING = {"body/invalid-input", "body/valid-input"}
"""Requirements about generated requests: without fuzzing there is nothing to judge."""
JUDGES_THE_DOCUMENT = {"authz/anonymous-write", "spec/errors-documented"}
"""Requirements about the document: the mutant serves a worse one, and the contract is what it serves."""


BY_THE_CLOCK = ("latency/hashing-blocks-nobody", "latency/recovers")
"""Requirements that are measured when nothing else is played, for seconds each: only on their own mutants."""

TRAFFIC = (
    "auth/credentials-required",
    "auth/user-enumeration",
    "authz/role-matrix",
    "cors",
    "errors",
    "http",
    "idempotency",
)
"""What gives observers something to see: every operation, as every role, rightly and wrongly."""


def test_every_requirement_has_a_mutant() -> None:
    proven = {mutant.requirement for mutant in ALL}
    assert sorted(set(catalogue()) - proven) == []
    assert sorted(proven - set(catalogue())) == []


def test_the_mutants_name_requirements_that_exist() -> None:
    named = {name for mutant in ALL for name in mutant.also}
    assert sorted(named - set(catalogue())) == []


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_only_its_own_check_sees_a_mutant(mutant) -> None:  # type: ignore[no-untyped-def]
    fuzz = mutant.requirement in NEEDS_FUZZING
    served = mutant.requirement in JUDGES_THE_DOCUMENT
    patient, dear = waits(mutant.requirement), is_dear(mutant.requirement)
    hashes = DEAR.get(mutant.requirement)
    # Where it is about time, the service is not asked by its own interpreter.
    how = {
        "patient": patient,
        "dear": dear,
        "fuzz": fuzz,
        "served": served,
        "inside": hashes is None,
        "about": mutant.requirement,
    }
    skip = [id for id in BY_THE_CLOCK if id != mutant.requirement]
    outcome = run(mutant.name, environment=hashes, skip=skip, cheap=True, **how)
    assert not outcome.stopped, f"{outcome.stopped}\n{outcome.target_output[-2000:]}"
    seen = red(outcome)
    assert mutant.requirement in seen, f"{mutant.says} Nobody noticed; {outcome.notes}"
    others = {name: what for name, what in seen.items() if name not in (mutant.requirement, *mutant.also)}
    assert not others


def test_silent_on_the_reference_as_shipped() -> None:
    outcome = run(patient=True, fuzz=True)
    assert red(outcome) == {}
    assert outcome.exit_status == 0
    assert not outcome.stopped


@pytest.mark.services
def test_silent_on_postgresql_and_redis(postgres_url: str, redis_url: str) -> None:
    outcome = run(patient=True, fuzz=True, environment=_services(postgres_url, redis_url))
    assert red(outcome) == {}
    assert outcome.exit_status == 0


@pytest.mark.services
@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_seen_on_postgresql_and_redis(mutant, postgres_url: str, redis_url: str) -> None:  # type: ignore[no-untyped-def]
    fuzz = mutant.requirement in NEEDS_FUZZING
    # Observers judge what others send; those of the limits wait for a 429.
    others = ("ratelimit/quota",) if mutant.requirement.startswith("ratelimit/") else TRAFFIC
    only = [mutant.requirement, *(() if catalogue()[mutant.requirement].converse else others)]
    services = {**_services(postgres_url, redis_url), **DEAR.get(mutant.requirement, {})}
    served = mutant.requirement in JUDGES_THE_DOCUMENT
    patient, dear = waits(mutant.requirement), is_dear(mutant.requirement)
    how = {
        "patient": patient,
        "dear": dear,
        "fuzz": fuzz,
        "served": served,
        "inside": mutant.requirement not in DEAR,
        "about": mutant.requirement,
        "thin": True,
    }
    outcome = run(mutant.name, only=only, environment=services, cheap=True, **how)
    told = [
        f"{r.subject}: {r.verdict} {r.reason or r.detail}"
        for r in outcome.results
        if r.requirement == mutant.requirement
    ]
    assert mutant.requirement in red(outcome), "\n".join(told)


def _services(postgres_url: str, redis_url: str) -> dict[str, str]:
    with Redis.from_url(redis_url) as store:
        store.flushall()  # no quota that the mutant before has used up
    return {
        "UPHELD_REFERENCE_DATABASE_URL": postgres_url.replace("postgresql://", "postgresql+asyncpg://"),
        "UPHELD_REFERENCE_REDIS_URL": redis_url,
    }
