"""Where the marks of the latency charts go."""

from __future__ import annotations

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from upheld.report import charts
from upheld.verdict import LatencyRow, Percentile


def row(**changes: Any) -> LatencyRow:
    fields: dict[str, Any] = {
        "name": "GET /a", "latency_class": "crud", "limit_ms": 200.0, "quantile": 0.95, "sent": 100, "ok": 100, "over": 1,
        "errors": 0, "throttled": 0, "unfinished": 0, "p50_ms": 20.0, "p95_ms": 100.0, "p99_ms": 240.0, "verdict": "met",
    }  # fmt: skip
    return LatencyRow(**(fields | changes))


def percentile(quantile: float, ms: float | None, low: float | None = None, high: float | None = None) -> Percentile:
    return Percentile(quantile=quantile, ms=ms, low_ms=low, high_ms=high)


def test_rows_of_every_target_share_one_scale() -> None:
    fast = charts.gauge(row(percentiles=(percentile(0.95, 100.0, 50.0, 200.0),)))
    slow = charts.gauge(
        row(limit_ms=500.0, p50_ms=50.0, p99_ms=600.0, percentiles=(percentile(0.95, 250.0, 125.0, 500.0),))
    )
    assert fast == slow
    assert fast is not None
    assert fast.high == pytest.approx(charts.TARGET)
    assert fast.low < (fast.at or 0.0) < fast.high < fast.others[1]
    assert fast.closed == (True, True)
    assert [tick.at for tick in charts.SCALE if tick.label == "1"] == [pytest.approx(charts.TARGET)]


def test_bounds_that_nobody_knows_reach_to_the_edges() -> None:
    drawn = charts.gauge(row(percentiles=(percentile(0.95, 100.0),)))
    assert drawn is not None
    assert (drawn.low, drawn.high, drawn.closed) == (0.0, 1.0, (False, False))
    beyond = charts.gauge(row(percentiles=(percentile(0.95, 9_000.0, 8_000.0, 9_500.0),)))
    assert beyond is not None
    assert (beyond.low, beyond.at, beyond.high, beyond.closed) == (1.0, 1.0, 1.0, (True, False))


def test_no_latency_no_dot_and_no_sample_no_gauge() -> None:
    lost = charts.gauge(row(p95_ms=None, p99_ms=None))
    assert lost is not None
    assert lost.at is None
    assert len(lost.others) == 1
    assert charts.gauge(row(sent=4, ok=0, over=0, throttled=4)) is None
    assert charts.shares(row()) is None
    assert charts.curve(row()) is None


CURVE = ((0.0, 10.0), (0.9, 100.0), (0.95, 200.0), (0.99, 1000.0), (0.999, None))


def test_the_slowest_have_room() -> None:
    drawn = charts.curve(
        row(curve=CURVE, percentiles=(percentile(0.95, 200.0, 100.0, 1000.0), percentile(0.99, 1000.0, 500.0)))
    )
    assert drawn is not None
    assert drawn.path == "M0.0,100.0L333.3,56.5L433.7,43.5L666.7,13.1"
    assert drawn.lost == pytest.approx(666.7, abs=0.1)
    assert drawn.limit == pytest.approx(43.5, abs=0.1)
    assert drawn.quantile == pytest.approx(433.7, abs=0.1)
    assert [round(place, 1) for bound in drawn.bounds for place in bound] == [433.7, 13.1, 56.5]
    assert [tick.label for tick in drawn.shares] == ["50", "90", "95", "99", "99.9"]
    assert [tick.label for tick in drawn.values] == ["10 ms", "100 ms", "2 s"]


def test_a_class_has_its_operations_faintly_in_the_same_frame() -> None:
    drawn = charts.curve(
        row(curve=CURVE[:3]), (row(curve=((0.0, 5.0), (0.95, 20.0))), row(), row(curve=((0.0, None),)))
    )
    assert drawn is not None
    assert len(drawn.faint) == 1
    assert drawn.lost is None
    assert drawn.values[0].label == "5 ms"


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


MILLISECONDS = st.floats(0, 1e9)
POINTS = st.lists(st.tuples(st.floats(0, 1), MILLISECONDS | st.none()), max_size=8)


@given(
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 50), st.integers(0, 50)), max_size=30),
    st.floats(0, 1e6), st.sampled_from([0.5, 0.95, 0.99, 1.0]), MILLISECONDS | st.none(), POINTS, POINTS,
)  # fmt: skip
def test_marks_stay_in_their_frame(
    series: list[tuple[int, int, int]],
    limit: float,
    quantile: float,
    value: float | None,
    points: list[tuple[float, float | None]],
    others: list[tuple[float, float | None]],
) -> None:
    one = row(
        series=tuple((second, n, min(n, over)) for second, n, over in series), limit_ms=limit, quantile=quantile, p50_ms=value,
        p95_ms=value, p99_ms=value, curve=tuple(points), percentiles=(percentile(quantile, value, value, value),),
    )  # fmt: skip
    if gauge := charts.gauge(one):
        assert all(0 <= place <= 1 for place in (gauge.low, gauge.high, gauge.at or 0.0, *gauge.others))
    if shares := charts.shares(one):
        assert 0 <= shares.allowed <= 100
        assert 0 <= shares.peak <= 1
    if curve := charts.curve(one, [row(curve=tuple(others))]):
        numbers = [float(number) for path in (curve.path, *curve.faint) for number in re.findall(r"[-\d.]+", path)]
        assert all(0 <= number <= 1000 for number in numbers[::2])
        assert all(0 <= number <= 100 for number in [*numbers[1::2], curve.limit])
        assert all(0 <= tick.at <= 1 for tick in (*curve.shares, *curve.values))
