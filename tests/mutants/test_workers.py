"""Two real workers: with a Redis for both the limits hold, and without one it is seen that each counts for itself."""

from __future__ import annotations

import pytest

from tests.mutants.harness import red, run

pytestmark = [pytest.mark.mutants, pytest.mark.live]

# Limits pass where Redis is slow, as the contract says, and what a busy machine does with it is another test's matter.
WORKERS = {"UPHELD_REFERENCE_WORKERS": "2", "UPHELD_REFERENCE_REDIS_TIMEOUT": "5"}
CHECKS = ("ratelimit/processes", "ratelimit/parallel")


def test_two_workers_without_a_store_have_two_quotas() -> None:
    outcome = run(only=CHECKS, dear=True, environment=WORKERS)
    assert not outcome.stopped
    (told,) = red(outcome)["ratelimit/processes"]
    assert "likely: 2 processes with counters of their own" in told
    assert set(red(outcome)) == {"ratelimit/processes"}


@pytest.mark.services
def test_two_workers_share_one_quota_in_redis(redis_url: str) -> None:
    outcome = run(only=CHECKS, dear=True, environment={**WORKERS, "UPHELD_REFERENCE_REDIS_URL": redis_url})
    assert not outcome.stopped
    assert red(outcome) == {}, outcome.target_output[-2000:]
    assert {str(r.verdict) for r in outcome.results if r.requirement in CHECKS} == {"upheld"}, (
        outcome.results,
        outcome.target_output[-2000:],
    )
