"""What reports say of a load run: grouped by target, in figures that hold as many digits as they are worth."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.report import latencies
from upheld.verdict import LatencyRow, LoadRun, Percentile, Run


@pytest.fixture
def load(rich_run: Run) -> LoadRun:
    assert rich_run.load is not None
    return rich_run.load


def test_operations_of_one_target_stand_below_their_class(load: LoadRun) -> None:
    crud, missed = load.rows[0], replace(load.rows[0], name="GET /missed", verdict="missed")
    own = replace(load.rows[0], name="GET /own", limit_ms=400.0)
    grouped = latencies.groups(replace(load, rows=(crud, missed, own, replace(crud, name="class crud"))))
    assert [(group.name, [row.name for row in group.all]) for group in grouped] == [
        ("crud", ["class crud", "GET /missed", "GET /api/v1/items"]),
        ("crud", ["GET /own"]),
    ]


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(120.4, 171.0, "120–171"), (None, 9.26, "to 9.3"), (4.0, None, "from 4.0"), (None, None, "")],
)
def test_bounds(low: float | None, high: float | None, said: str) -> None:
    assert latencies.bounds(Percentile(quantile=0.95, ms=9.0, low_ms=low, high_ms=high)) == said


@pytest.mark.parametrize(
    ("part", "said"),
    [(0.0, "0.0 %"), (0.0081, "0.81 %"), (0.00996, "1.0 %"), (0.053, "5.3 %"), (0.1234, "12 %"), (1.0, "100 %")],
)
def test_shares(part: float, said: str) -> None:
    assert latencies.percent(part) == said


def test_without_samples_there_are_no_percentiles(load: LoadRun) -> None:
    nothing = load.rows[3]
    assert latencies.percentile(nothing, 0.95) is None
    assert latencies.sentence(nothing) == "no sample"
    assert latencies.sentence(replace(nothing, sent=7, throttled=7)) == "7 x 429 and no sample"
    assert (latencies.share(nothing), latencies.share_bounds(nothing)) == ("–", "")


def test_everything_in_one_line(load: LoadRun) -> None:
    row = replace(load.rows[0], errors=9, unfinished=2, failures=(("500", 6), ("ConnectionRefused", 1)))
    assert latencies.sentence(row) == (
        "n 1,491, p50 21 ms (17–25), p95 140 ms (112–169), p99 230 ms (184–276), 0.80 % over 200 ms (0.40–1.4 %), "
        "9 x 429, 6 x 500, 1 x ConnectionRefused, 2 other errors, 2 without an answer"
    )


def test_what_no_latency_can_be_named_for(load: LoadRun) -> None:
    row: LatencyRow = replace(load.rows[0], percentiles=(), p99_ms=None)
    assert "p99 ∞," in latencies.sentence(row)


@given(st.floats(0, 1e7))
def test_figures_are_short(milliseconds: float) -> None:
    said = latencies.number(milliseconds)
    assert float(said.replace(",", "")) == pytest.approx(milliseconds, abs=0.5 if milliseconds >= 10 else 0.05)
    assert len(said) <= 10
