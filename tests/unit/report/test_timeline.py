"""What each rate rule did over time: where the marks go, and the same in every report."""

from __future__ import annotations

import io
import json
from collections.abc import Callable

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from tests.unit.report.conftest import NASTY
from tests.unit.report.test_html import Page

from upheld.report import html, json_report, terminal, timeline
from upheld.report.timeline import HEIGHT, WIDTH, Drawing
from upheld.verdict import Evidence, Result, Run, TimelineResult, Verdict

MakeRun = Callable[..., Run]
MakeResult = Callable[..., Result]
Studied = Callable[..., Result]
Points = tuple[tuple[float, bool], ...]

EVIDENCE = Evidence("12 logins", "a quota", "10 admitted, then 429", "12 admitted", "upheld check .")
ALGORITHMS = ("token-bucket", "fixed-window", "moving-window", "sliding-window", "any")


def burst(count: int, begun: float = 0.0) -> Points:
    """So many admitted requests within 0.4 s."""
    return tuple((begun + 0.4 * (number + 1) / count, True) for number in range(count))


def line(
    points: Points, algorithm: str = "token-bucket", *, quota: int = 10, rule: str = "POST /login"
) -> TimelineResult:
    return TimelineResult(
        rule=f"{rule} {quota}/60s",
        operation="POST /login",
        quota=quota,
        window=60.0,
        algorithm=algorithm,
        points=points,
    )


@pytest.fixture
def studied(make_result: MakeResult) -> Studied:
    def made(
        seen: TimelineResult | None, verdict: Verdict = Verdict.UPHELD, requirement: str = "ratelimit/quota"
    ) -> Result:
        evidence = EVIDENCE if verdict is Verdict.BREACHED else None
        return make_result(
            verdict, requirement=requirement, subject="POST /login 10/60s", evidence=evidence, timeline=seen
        )

    return made


KEPT = line((*burst(10), (0.5, False)))
RETURNED = line((*burst(10), (0.5, False), (6.5, True)))
BROKEN = line(burst(12))


@pytest.fixture
def limits_run(make_run: MakeRun, studied: Studied) -> Run:
    return make_run(
        studied(KEPT),
        studied(RETURNED, requirement="ratelimit/retry-after"),
        studied(line(burst(12), rule="POST /register"), Verdict.BREACHED),
    )


def drawn(result: Result) -> Drawing:
    drawing = timeline.draw(result)
    assert drawing is not None
    return drawing


# -- promises ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("algorithm", "at", "most"),
    [
        ("token-bucket", 0.0, 10), ("token-bucket", 6.0, 11), ("token-bucket", 60.0, 20), ("any", 6.0, 11),
        ("sliding-window", 30.0, 15), ("fixed-window", 59.9, 10), ("fixed-window", 60.0, 20),
        ("moving-window", 59.9, 10), ("moving-window", 60.2, 15), ("moving-window", 61.0, 20),
    ],
)  # fmt: skip
def test_what_a_rule_allows_by_then(algorithm: str, at: float, most: int) -> None:
    assert timeline.promised(line(burst(10), algorithm), at) == most


# -- marks ---------------------------------------------------------------------------------------------------------------


def test_an_admission_over_the_promise_is_marked(studied: Studied) -> None:
    """The bucket has earned a part of a token by then, so that it may have admitted an eleventh."""
    drawing = drawn(studied(BROKEN, Verdict.BREACHED))
    assert [mark.kind for mark in drawing.marks] == ["admitted"] * 11 + ["over"]
    assert drawing.marks[-1].title == "0.4 s: 1 admitted beyond the promise; 12 in all, 11 allowed by then"
    assert drawing.marks[-1].y < drawing.marks[-2].y


def test_a_refusal_before_the_quota_was_used_is_marked(studied: Studied) -> None:
    drawing = drawn(studied(line((*burst(9), (0.5, False))), Verdict.BREACHED))
    assert [mark.kind for mark in drawing.marks[-2:]] == ["admitted", "early"]


def test_where_the_promise_holds_nothing_is_marked(studied: Studied) -> None:
    """A window by the clock may end amid a burst; the check has judged that, not the drawing."""
    drawing = drawn(studied(line(burst(12), "fixed-window")))
    assert {mark.kind for mark in drawing.marks} == {"admitted"}


def test_what_came_together_is_one_mark(studied: Studied) -> None:
    drawing = drawn(studied(line((*burst(10), (0.5, False), *burst(10, 60.5)))))
    assert [mark.kind for mark in drawing.marks] == ["admitted", "refused", "admitted"]
    assert drawing.marks[0].title == "0.04 s to 0.4 s: 10 admitted; 10 in all, 11 allowed by then"
    assert drawing.marks[2].title == "61 s: 10 admitted; 20 in all, 21 allowed by then"


def test_a_bucket_is_a_line_and_a_window_has_steps(studied: Studied) -> None:
    points: Points = ((0.0, True), (75.0, False))
    bucket, fixed = (drawn(studied(line(points, algorithm))) for algorithm in ("token-bucket", "fixed-window"))
    assert bucket.promise.count("L") == 1
    assert [corner.split(",")[0] for corner in fixed.promise[1:].split("L")] == ["0.0", "784.3", "784.3", "1000.0"]
    assert [tick.label for tick in bucket.times] == ["0", "20 s", "40 s", "60 s"]
    assert [tick.label for tick in bucket.counts] == ["10", "1"]


POINTS = st.lists(st.tuples(st.floats(0, 1e5), st.booleans()), min_size=1, max_size=40).map(
    lambda points: tuple(sorted(points))
)


@given(
    points=POINTS, algorithm=st.sampled_from(ALGORITHMS), quota=st.integers(1, 400), verdict=st.sampled_from(Verdict)
)
def test_every_mark_is_in_its_frame(points: Points, algorithm: str, quota: int, verdict: Verdict) -> None:
    result = Result(
        requirement="ratelimit/quota", subject="s", title="t", level="MUST", clause="c", clause_url="", catalogue=(),
        verdict=verdict, timeline=line(points, algorithm, quota=quota),
    )  # fmt: skip
    drawing = drawn(result)
    assert all(0 <= mark.x <= WIDTH and 0 <= mark.y <= HEIGHT for mark in drawing.marks)
    corners = [
        tuple(map(float, c.split(","))) for path in (drawing.promise, drawing.steps) for c in path[1:].split("L")
    ]
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in corners)
    assert all(0 <= tick.at <= 1 for tick in (*drawing.times, *drawing.counts))
    assert 1 <= len(drawing.times) <= 6
    assert timeline.summary(result) == drawing.summary


def test_no_points_no_drawing(studied: Studied, make_run: MakeRun) -> None:
    for seen in (None, line(())):
        result = studied(seen)
        assert timeline.draw(result) is None
        assert timeline.summary(result) == ""
        assert timeline.rules(make_run(result)) == []


# -- words ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("points", "verdict", "said"),
    [
        (KEPT.points, Verdict.UPHELD, "10 admitted in 0.4 s, then 429"),
        (RETURNED.points, Verdict.UPHELD, "10 admitted in 0.4 s, then 429; back after 6 s"),
        ((*burst(9), (0.5, False)), Verdict.BREACHED, "9 of 10 admitted in 0.4 s, then 429"),
        (burst(12), Verdict.BREACHED, "12 admitted in 0.4 s, none refused; 12 in all by 0.4 s, 11 allowed by then"),
        (((0.1, False),), Verdict.BREACHED, "the first request refused with 429, 10 allowed"),
        ((*burst(10), (0.5, False), (0.6, True)), Verdict.UPHELD, "10 admitted in 0.4 s, then 429"),
    ],
)
def test_a_timeline_in_one_sentence(points: Points, verdict: Verdict, said: str, studied: Studied) -> None:
    assert timeline.summary(studied(line(points), verdict)) == said


@pytest.mark.parametrize(("window", "unit"), [(1, "s"), (60, "min"), (3600, "h"), (86400, "d"), (90, "90s")])
def test_a_rule_is_named_as_people_say_it(window: int, unit: str) -> None:
    seen = TimelineResult(
        rule=f"POST /login 10/{window}s", operation="POST /login", quota=10, window=float(window), algorithm="any",
        points=((0.0, True),),
    )  # fmt: skip
    assert timeline.name(seen) == f"POST /login 10/{unit}"


def test_the_timeline_that_shows_most_is_the_first(limits_run: Run, make_run: MakeRun, studied: Studied) -> None:
    kept, broken = timeline.rules(limits_run)
    assert [result.requirement for result in kept.results] == ["ratelimit/retry-after", "ratelimit/quota"]
    assert broken.name == "POST /register 10/min"
    worst = studied(BROKEN, Verdict.BREACHED)
    assert timeline.rules(make_run(studied(RETURNED), worst))[0].first is worst


# -- reports -------------------------------------------------------------------------------------------------------------


def test_the_terminal_has_a_line_a_rule(limits_run: Run) -> None:
    console = Console(file=io.StringIO(), width=100)
    terminal.render(limits_run, console)
    assert isinstance(console.file, io.StringIO)
    told = console.file.getvalue()
    assert (
        "\nlimits\n  POST /login 10/min: 10 admitted in 0.4 s, then 429; back after 6 s\n  POST /register 10/min: 12"
        in told
    )


def test_json_has_every_request_of_the_key(limits_run: Run, rich_run: Run) -> None:
    document = json.loads(json_report.dumps(limits_run))
    jsonschema_rs.validator_for(json_report.schema()).validate(document)
    seen = [promise["timeline"] for promise in document["promises"]]
    assert seen[1]["points"][-2:] == [[0.5, False], [6.5, True]]
    assert seen[1]["summary"] == "10 admitted in 0.4 s, then 429; back after 6 s"
    assert {name for one in seen for name in one} == set(json_report.schema()["$defs"]["timeline"]["properties"])
    assert not [one for one in json_report.to_json(rich_run)["promises"] if "timeline" in one]


@pytest.mark.parametrize("point", [[-1.0, True], [0.1], [0.1, True, 1], ["0.1", True]])
def test_the_schema_holds_points_to_their_form(point: list[object], limits_run: Run) -> None:
    document = json_report.to_json(limits_run)
    document["promises"][0]["timeline"]["points"].append(point)
    assert not jsonschema_rs.validator_for(json_report.schema()).is_valid(document)


def test_the_page_draws_a_chart_a_key_and_leads_to_the_promise(limits_run: Run, rich_run: Run) -> None:
    page = html.render(limits_run)
    assert page.count('<figure class="timeline">') == 3
    assert page.count('class="over"') == 2, "one in the drawing, one in the key"
    assert 'aria-label="10 admitted in 0.4 s, then 429; back after 6 s.' in page
    assert "<title>0.4 s: 1 admitted beyond the promise; 12 in all, 11 allowed by then</title>" in page
    assert '<a href="#p2"><code>ratelimit/quota</code></a>' in page
    assert 'href="#limits"' in page
    assert 'id="limits"' not in html.render(rich_run)


def test_hostile_words_stay_in_their_place(make_run: MakeRun, studied: Studied) -> None:
    run = make_run(studied(line(burst(12), rule=NASTY), Verdict.BREACHED))
    page = Page(html.render(run))
    assert not page.all("img")
    assert len(page.all("script")) == 1
    jsonschema_rs.validator_for(json_report.schema()).validate(json.loads(json_report.dumps(run)))
