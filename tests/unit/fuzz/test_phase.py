"""What of a run's budget fuzzing may use."""

from __future__ import annotations

from typing import Any

import pytest

from upheld.contract.policy import Fuzz
from upheld.run.budget import Budget
from upheld.run.fuzz.phase import PACED_QUICK_SECONDS, PACED_SECONDS, QUICK_SECONDS, SECONDS, SHARE, share


def budget(requests: int = 20_000, seconds: float = 900.0, sent: int = 0) -> Budget:
    made = Budget(requests, seconds)
    made.sent = sent
    return made


def test_a_full_run_does_what_the_contract_says() -> None:
    granted = share(Fuzz(), budget(), quick=False)
    assert granted is not None
    assert (granted.seconds, granted.phases) == (SECONDS, ("examples", "coverage", "stateful"))
    asked = Fuzz(phases=("fuzzing",), max_examples=7, seconds=100.0)
    granted = share(asked, budget(), quick=False)
    assert granted is not None
    assert (granted.seconds, granted.max_examples, granted.phases) == (100.0, 7, ("fuzzing",))


def test_a_quick_one_tries_the_constraints_for_a_few_seconds() -> None:
    granted = share(Fuzz(max_examples=500), budget(), quick=True)
    assert granted is not None
    assert granted.seconds == QUICK_SECONDS < SECONDS
    assert granted.phases == ("coverage",)
    asked = share(Fuzz(seconds=20.0), budget(), quick=True)
    assert asked is not None
    assert asked.seconds == 20.0


def test_where_quotas_are_kept_it_takes_longer() -> None:
    for quick, seconds in ((False, PACED_SECONDS), (True, PACED_QUICK_SECONDS)):
        granted = share(Fuzz(), budget(), quick=quick, paced=True)
        assert granted is not None
        assert granted.seconds == seconds
    asked = share(Fuzz(seconds=20.0), budget(), quick=False, paced=True)
    assert asked is not None
    assert asked.seconds == 20.0


def test_something_is_left_for_repeating_what_is_found() -> None:
    granted = share(Fuzz(), budget(requests=1000, seconds=20.0, sent=100), quick=False)
    assert granted is not None
    assert granted.seconds < 20.0 * SHARE
    assert granted.requests == 800


@pytest.mark.parametrize("spent", [{"seconds": 5.0}, {"requests": 100, "sent": 90}, {"requests": 100, "sent": 200}])
def test_without_room_there_is_none(spent: dict[str, Any]) -> None:
    assert share(Fuzz(), budget(**spent), quick=False) is None
