"""The verdict, case by case: what it is, and that its reason says why."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.load.making import counted, mixed

from upheld.load.counts import WINDOW, Counts
from upheld.load.verdict import INVALID, MET, MISSED, NOT_DECIDED, Circumstances, Target, judge, row

TARGET = Target("GET /a", "crud", 200.0)
QUIET = Circumstances(seconds=60.0, max_error_rate=0.001)


@pytest.mark.parametrize(
    ("counts", "verdict", "says"),
    [
        (counted(mixed(69, 0.0)), MET, r"^$"),
        (counted(mixed(68, 0.0)), NOT_DECIDED, r"0\.00% of 68 over 200 ms.*about \d+ s more would decide"),
        (counted(mixed(3, 0.0)), NOT_DECIDED, r"about 1\d{3} s more"),
        (counted(mixed(400, 0.01)), MET, r"^$"),
        (counted(mixed(5_000, 0.04)), MET, r"^$"),
        (counted(mixed(400, 0.04)), NOT_DECIDED, r"4\.00% of 400.*more would decide"),
        (counted(mixed(400, 0.05)), NOT_DECIDED, r"not decided in 64 times as long either"),
        (counted(mixed(400, 0.06)), NOT_DECIDED, r"6\.00% of 400"),
        (counted(mixed(5_000, 0.06)), MISSED, r"6\.00% of 5000 over 200 ms, 5\.\d\d% to 6\.\d\d% .*; 5% may be"),
        (counted(mixed(400, 0.10)), MISSED, r"10\.00% of 400"),
        (counted(mixed(10, 1.0)), MISSED, r"100\.00% of 10"),
        (Counts(), INVALID, r"^no sample$"),
        (counted([], throttled=50), INVALID, r"50 of 50 answers were 429"),
        (counted(mixed(1_000, 0.0), throttled=1), INVALID, r"1 of 1001 answers were 429: the rate limiter was measured"),
        (counted(mixed(998, 0.0), errors={"500": 2}), MISSED, r"0\.20% of 1000 were errors \(2 x 500\), 0\.1% may be"),
        (counted(mixed(1_999, 0.0), errors={"503": 1}), MET, r"^$"),
        (counted([], errors={"ConnectionRefusedError": 80}), MISSED, r"100\.00% of 80 .*80 x ConnectionRefusedError"),
        (counted(mixed(900, 0.0), errors={"404": 100}), INVALID, r"100 x 404.*our requests were refused"),
        (counted(mixed(900, 0.0), errors={"302": 100}), INVALID, r"100 x 302"),
        (counted(mixed(900, 0.0), errors={"401": 1}), INVALID, r"1 of 901 answers were 401: the credentials did not last"),
        (counted(mixed(100, 0.0), unfinished=20), MISSED, r"16\.67% of 120 over"),
    ],
)  # fmt: skip
def test_verdicts(counts: Counts, verdict: str, says: str) -> None:
    judgement = judge(counts, TARGET, QUIET)
    assert judgement.verdict == verdict
    assert re.search(says, judgement.reason), judgement.reason


def test_a_run_that_counts_for_nothing_says_why() -> None:
    circumstances = Circumstances(60.0, 0.001, invalid="the counts belong to another plan")
    assert judge(counted(mixed(1_000, 0.0)), TARGET, circumstances).reason == "the counts belong to another plan"


def test_the_time_that_is_asked_for_is_enough() -> None:
    """What the reason promises holds when it is tried: 400 samples in 60 s at 4 % need about s more."""
    reason = judge(counted(mixed(400, 0.04)), TARGET, QUIET).reason
    found = re.search(r"about (\d+) s more", reason)
    assert found
    longer = 1 + int(found[1]) / 60
    assert judge(counted(mixed(round(400 * longer * 1.05), 0.04)), TARGET, QUIET).verdict == MET
    assert judge(counted(mixed(round(400 * longer * 0.8), 0.04)), TARGET, QUIET).verdict == NOT_DECIDED


def test_a_generator_that_is_late_accuses_nobody() -> None:
    """10 % at 230 ms with a limit of 200: 20 ms of our own delay, out and back, could be the whole reason."""
    counts = counted(mixed(2_000, 0.1, slow=230.0))
    assert judge(counts, TARGET, QUIET).verdict == MISSED
    late = judge(counts, TARGET, Circumstances(60.0, 0.001, delay_ms=20.0))
    assert late.verdict == INVALID
    assert "the generator was itself 20 ms late" in late.reason


def test_a_gross_miss_stays_one_although_the_generator_was_late() -> None:
    counts = counted(mixed(2_000, 0.1, slow=900.0))
    assert judge(counts, TARGET, Circumstances(60.0, 0.001, delay_ms=50.0)).verdict == MISSED


@pytest.mark.parametrize(("delay", "verdict"), [(5.0, MISSED), (20.0, MISSED), (21.0, INVALID), (113.0, INVALID)])
def test_a_busy_machine_that_the_service_shares_excuses_it(delay: float, verdict: str) -> None:
    counts = counted(mixed(2_000, 0.5, slow=3_000.0))
    beside = judge(counts, TARGET, Circumstances(60.0, 0.001, delay_ms=delay, shared=True))
    assert beside.verdict == verdict
    assert ("too busy for the service and the generator together" in beside.reason) == (verdict == INVALID)


@pytest.mark.parametrize(("shared", "slow"), [(False, 230.0), (True, 900.0)], ids=["near the limit", "on one machine"])
def test_a_noisy_machine_accuses_nobody(shared: bool, slow: float) -> None:
    """Asked from here, a service that does nothing takes 40 ms: a fifth of the limit."""
    counts = counted(mixed(2_000, 0.1, slow=slow))
    assert judge(counts, TARGET, Circumstances(60.0, 0.001, noise_ms=4.0, shared=shared)).verdict == MISSED
    noisy = judge(counts, TARGET, Circumstances(60.0, 0.001, delay_ms=2.0, noise_ms=40.0, shared=shared))
    assert noisy.verdict == INVALID
    assert "40 ms for one in twenty requests to a service that does nothing" in noisy.reason
    # Far beyond what the noise could explain, elsewhere.
    elsewhere = judge(counted(mixed(2_000, 0.1, slow=900.0)), TARGET, Circumstances(60.0, 0.001, noise_ms=40.0))
    assert elsewhere.verdict == MISSED


def test_lateness_and_noise_take_nothing_from_a_pass() -> None:
    """They only lengthen latencies: what is met in spite of them is met."""
    assert judge(counted(mixed(2_000, 0.0)), TARGET, Circumstances(60.0, 0.001, delay_ms=50.0)).verdict == MET
    assert (
        judge(counted(mixed(2_000, 0.0)), TARGET, Circumstances(60.0, 0.001, noise_ms=50.0, shared=True)).verdict == MET
    )


def test_near_saturation_nothing_passes() -> None:
    """Requests over the limit come all in one stretch of twenty: the samples are a handful, whatever their number."""
    counts = Counts(sent=100_000, ok=100_000)
    for number in range(round(QUIET.seconds / WINDOW)):
        over = 334 if 84 <= number < 96 else 0
        counts.windows[number] = [417, over, over]
    counts.over, counts.histogram[200] = 4_000, 96_000
    counts.histogram[9_000] = 4_000
    assert judge(counts, TARGET, QUIET).verdict == NOT_DECIDED


def test_rows_show_what_decided_them() -> None:
    shown = row(counted(mixed(400, 0.10), errors={"500": 8}), TARGET, QUIET)
    assert (shown.sent, shown.ok, shown.over, shown.errors) == (408, 400, 48, 8)
    assert (shown.p50_ms, shown.p95_ms, shown.p99_ms) == (20.0, 400.0, None)
    assert shown.share_over_low is not None
    assert shown.share_over_high is not None
    assert shown.share_over_low < 48 / 408 < shown.share_over_high
    assert sum(n for _, n, _ in shown.series) == 408
    assert sum(over for _, _, over in shown.series) == 48
    assert shown.failures == (("500", 8),)
    p95 = {one.quantile: one for one in shown.percentiles}[0.95]
    assert (p95.low_ms, p95.ms, p95.high_ms) == (400.0, 400.0, 400.0)
    assert shown.curve[0] == (0.0, 20.0)
    assert shown.curve[-1][1] is None


@given(
    st.lists(st.sampled_from([20.0, 199.0, 200.0, 201.0, 900.0]), max_size=300),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 3),
)
def test_no_verdict_without_its_ground(latencies: list[float], failed: int, throttled: int, unfinished: int) -> None:
    counts = counted(latencies, errors={"500": failed}, throttled=throttled, unfinished=unfinished)
    shown = row(counts, TARGET, QUIET)
    if shown.verdict == MET:
        assert counts.samples >= 69
        assert counts.over <= 0.05 * counts.samples
        assert not throttled
        assert shown.p95_ms is not None
        assert shown.p95_ms <= 200
    if shown.verdict == MISSED:
        assert counts.over > 0.05 * counts.samples or failed > 0.001 * counts.samples
    assert (shown.verdict == MET) == (shown.reason == "")
