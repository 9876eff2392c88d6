"""A comparison, a search for the capacity and a soak, as a page and as Markdown, made from what those really write."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.report.test_html import Page
from tests.unit.report.test_markdown import kinds, parse

from upheld.load.capacity import Capacity, Found, Step
from upheld.load.compare import Answer, ClassRatio, Comparison, Round, Side
from upheld.load.soak import Series, Soak, Stretch, Trend
from upheld.report import study
from upheld.verdict import LatencyRow, LoadRun


def pressed(p95: float = 80.0, latency_class: str = "crud") -> LoadRun:
    row = LatencyRow(
        name=f"class {latency_class}", latency_class=latency_class, limit_ms=200.0, quantile=0.95, sent=500, ok=500, over=3,
        errors=0, throttled=0, unfinished=0, p50_ms=p95 / 4, p95_ms=p95, p99_ms=p95 * 2, verdict="met",
    )  # fmt: skip
    return LoadRun(seconds=10.0, rate=50.0, model="open", users=1, rows=(row,), valid=True)


def comparison(said: str = "the machine was busy") -> dict[str, Any]:
    rounds = tuple(
        Round(pair, side, pressed(80.0 + 20 * (side is Side.CANDIDATE)), said if (pair, side) == (3, Side.BASE) else "")
        for pair in range(4)
        for side in Side
    )
    ratios = (
        ClassRatio("crud", "p95", 80.0, 96.0, 1.2, 1.08, 1.31, 7, Answer.SLOWER),
        ClassRatio("crud", "p50", 20.0, 20.2, 1.01, 0.98, 1.04, 7, Answer.SAME),
        ClassRatio("complex", "p95", 300.0, 330.0, 1.1, 0.0, math.inf, 2, Answer.NOT_DECIDED, 12),
    )
    found = Comparison(ratios=ratios, rounds=rounds, answer=Answer.SLOWER, notes=(said,))
    return {
        "base": said,
        "candidate": "http://127.0.0.1:2",
        "seed": 3,
        "seconds": 10.0,
        "left_out": [said],
        **found.to_json(),
    }


def capacity(said: str = "class crud: 14% over") -> dict[str, Any]:
    steps = (
        Step(50.0, Found.KEPT, "", (("crud", 30.0), ("complex", None)), ("complex",), 50.0),
        Step(200.0, Found.BROKEN, said, (("crud", 410.0), ("complex", 1_900.0))),
        Step(100.0, Found.EDGE, "class crud is too near", (("crud", 98.0),)),
    )
    found = Capacity(low=50.0, high=200.0, steps=steps, broke=said)
    return {"target": said, "seed": 1, "seconds": 15.0, **found.to_json()}


def soak(said: str = "memory") -> dict[str, Any]:
    points = tuple((number, 40.0 + number) for number in range(2, 20))
    shares = tuple((number, 0.01) for number in range(2, 20))
    series = (
        Series("median crud", "ms", 50.0, 17.0, 15.0, 19.0, 5.0, points, Trend.DRIFTING),
        Series("over crud", "%", 0.01, 0.002, -0.001, 0.005, 0.01, shares, Trend.STEADY),
        Series(said, "MiB", 120 * 2.0**20, 2.0**19, -math.inf, math.inf, 2.0**23, points, Trend.NOT_DECIDED),
    )
    stretches = tuple(Stretch(number, pressed(), 2**27, said if number == 5 else "") for number in range(20))
    found = Soak(series=series, stretches=stretches, trend=Trend.DRIFTING)
    return {"target": said, "seed": 1, "seconds": 30.0, **found.to_json()}


KINDS = {"comparison": comparison, "capacity": capacity, "soak": soak}


def test_a_comparison_has_its_ratios_with_bounds() -> None:
    text = study.as_markdown(comparison())
    assert text.startswith("## ❌ Comparison: the candidate is slower: p95 of crud +20 %")
    assert "| p95 crud | **slower** | 7 | 80 | 96 | +20 % | +8 % to +31 % |\n" in text
    assert "| p95 complex | **not decided** | 2 | 300 | 330 | +10 % | no bounds yet |\n" in text
    assert "> base, pair 4: the machine was busy  \n" in text


def test_bars_of_a_comparison_share_a_frame_around_no_difference() -> None:
    slower, same, undecided = study.study(comparison()).tables[0].bars
    assert slower.may[1] < slower.low < slower.at < slower.high <= 1
    assert same.may[0] < same.low < same.even < same.high < same.may[1]
    assert (undecided.low, undecided.high, undecided.closed) == (0.0, 1.0, (False, False))


def test_rounds_that_do_not_count_are_not_drawn() -> None:
    plots = study.study(comparison()).plots
    assert [len(plot.points) for plot in plots] == [7, 0]
    assert "candidate, pair 4: 100 ms" in plots[0].summary
    assert "base, pair 4" not in plots[0].summary


def test_a_capacity_has_its_steps_by_rate_and_the_band_of_the_answer() -> None:
    text = study.as_markdown(capacity())
    assert "| rate |  | p95 crud, ms | p95 complex, ms | because |\n" in text
    assert [line.split("|")[1].strip() for line in text.splitlines() if "/s |" in line] == ["50/s", "100/s", "200/s"]
    assert "| 50/s | **kept** | 30 | – |  |\n" in text
    assert "> not judged, too few requests: complex  \n" in text
    crud = study.study(capacity()).plots[0]
    assert crud.band == (crud.points[0][0], crud.points[-1][0])


def test_a_soak_has_each_quantity_in_its_unit() -> None:
    text = study.as_markdown(soak())
    assert "| median crud | **drifting** | 50 ms | +17 | +15 to +19 | 5 |\n" in text
    assert "| over crud | **steady** | 1 % | +0.2 | -0.1 to +0.5 | 1 |\n" in text
    assert "| memory | **not decided** | 120 MiB | +0.5 | no bounds yet | 8 |\n" in text
    assert "> stretch 6: memory  \n" in text


@pytest.mark.parametrize("kind", KINDS)
def test_pages_hold_what_the_summary_holds(kind: str) -> None:
    page = Page(study.as_html(KINDS[kind]()))
    read = study.study(KINDS[kind]())
    assert read.told in page.text or read.told[0].upper() + read.told[1:] in page.text
    for table in read.tables:
        for row in table.rows:
            assert all(" ".join(cell.split()) in page.text for cell in row)
    labels = [svg["aria-label"] for svg in page.all("svg")]
    assert labels[-len(read.plots) :] == [plot.summary for plot in read.plots]
    assert not page.all("script") + page.all("link") + page.all("img")


@settings(max_examples=20, deadline=None)
@given(
    st.sampled_from(sorted(KINDS)),
    st.text(st.characters(), min_size=1, max_size=30) | st.sampled_from(["</style><b>", '"><x y=', "| x", "<i>"]),
)
def test_any_text_stays_in_its_place(kind: str, said: str) -> None:
    hostile, harmless = KINDS[kind](f"x{said}x"), KINDS[kind]("harmless")
    assert [tag for tag, _ in Page(study.as_html(hostile)).elements] == [
        tag for tag, _ in Page(study.as_html(harmless)).elements
    ]
    assert kinds(study.as_markdown(hostile)) == kinds(study.as_markdown(harmless))


def test_marks_stay_in_their_frame() -> None:
    for make in KINDS.values():
        for plot in study.study(make()).plots:
            assert all(0 <= x <= 1000 and 0 <= y <= 100 for x, y, *_ in plot.points)


def test_a_search_that_found_nothing_is_told_too() -> None:
    nothing = {"target": "t", "seed": 1, "seconds": 15.0, **Capacity(low=None, high=None, steps=()).to_json()}
    assert study.as_markdown(nothing).startswith("## ⚠️ Capacity: ")
    assert not [one for one in parse(study.as_markdown(nothing)) if one.type == "table_open"]
    Page(study.as_html(nothing))


def test_other_documents_are_refused() -> None:
    with pytest.raises(ValueError, match=r"upheld\.report/1"):
        study.study({"schema": "upheld.report/1"})
