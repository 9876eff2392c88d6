"""Where the marks of the latency charts go."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.report import charts
from upheld.verdict import LatencyRow


def row(**changes: Any) -> LatencyRow:
    fields: dict[str, Any] = {
        "name": "GET /a", "latency_class": "crud", "limit_ms": 200.0, "quantile": 0.95, "sent": 100, "ok": 100, "over": 1,
        "errors": 0, "throttled": 0, "unfinished": 0, "p50_ms": 20.0, "p95_ms": 100.0, "p99_ms": 240.0, "verdict": "met",
    }  # fmt: skip
    return LatencyRow(**(fields | changes))


def test_the_limit_sets_the_scale() -> None:
    drawn = charts.bars(row())
    assert drawn.limit == pytest.approx(0.8)
    assert [bar.width for bar in drawn.bars] == pytest.approx([0.08, 0.4, 0.96])
    assert [(bar.judged, bar.over, bar.cut) for bar in drawn.bars] == [
        (False, False, False), (True, False, False), (False, True, False),
    ]  # fmt: skip


def test_what_is_far_beyond_the_limit_is_cut() -> None:
    drawn = charts.bars(row(p99_ms=60_000.0))
    assert drawn.limit == pytest.approx(0.25)
    assert drawn.bars[2].cut
    assert drawn.bars[2].width == 1


def test_no_answers_no_bars() -> None:
    drawn = charts.bars(row(p50_ms=None, p95_ms=None, p99_ms=None))
    assert [bar.width for bar in drawn.bars] == [0, 0, 0]
    assert charts.shares(row()) is None


def test_shares_over_time() -> None:
    drawn = charts.shares(row(series=((0, 10, 0), (1, 10, 5), (3, 10, 10))))
    assert drawn is not None
    assert drawn.peak == 1
    assert drawn.top == 1
    assert drawn.total == pytest.approx(0.5)
    assert drawn.seconds == 4
    assert drawn.allowed == pytest.approx(95)
    assert drawn.path == (
        "M0,100L0.0,100.0L250.0,100.0L250.0,50.0L500.0,50.0L500.0,100.0L750.0,100.0L750.0,0.0L1000.0,0.0L1000,100Z"
    )


def test_a_long_run_is_summed_up() -> None:
    drawn = charts.shares(row(series=tuple((second, 10, 1) for second in range(3600))))
    assert drawn is not None
    assert drawn.path.count("L") == 2 * 120 + 1
    assert drawn.total == pytest.approx(0.1)


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 50), st.integers(0, 50)), max_size=30),
    st.floats(0.001, 1e6), st.sampled_from([0.5, 0.95, 1.0]), st.floats(0, 1e9) | st.none(),
)  # fmt: skip
def test_marks_stay_in_their_frame(
    series: list[tuple[int, int, int]], limit: float, quantile: float, value: float | None
) -> None:
    series = [(second, n, min(n, over)) for second, n, over in series]
    one = row(series=tuple(series), limit_ms=limit, quantile=quantile, p50_ms=value, p95_ms=value, p99_ms=value)
    drawn = charts.bars(one)
    assert all(0 <= bar.width <= 1 for bar in drawn.bars)
    assert 0 < drawn.limit <= 1
    if shares := charts.shares(one):
        assert 0 <= shares.allowed <= 100
        assert 0 <= shares.peak <= 1
