"""Runs to report on: one with everything in it, an empty one, a long one, and octets that a hostile service would send."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from upheld.verdict import Evidence, LatencyRow, LoadRun, LoadWorker, Percentile, Result, Run, Verdict

NASTY = (
    "\x1b[31mred\x1b[0m \x1b]0;title\x07 </script><script>alert(1)</script> <img src=x onerror=alert(1)> [bold]b[/bold] "
    "[/] [link=http://evil.test]x[/link] \x00 \ud800 \u202etxt.exe\u202c \x9b2J \ufffe \u2028 ]]> &amp; {{ 7*7 }} {% x %} \r\nok 1"
)


@pytest.fixture
def nasty() -> str:
    return NASTY


MakeResult = Callable[..., Result]


def _result(verdict: Verdict = Verdict.UPHELD, **changes: Any) -> Result:
    fields: dict[str, Any] = {
        "requirement": "http/allow",
        "subject": "GET /api/v1/items",
        "title": "a 405 names the methods that are allowed",
        "level": "MUST",
        "clause": "RFC 9110 §15.5.6",
        "clause_url": "https://www.rfc-editor.org/rfc/rfc9110#section-15.5.6",
        "catalogue": ("HTTP-04",),
        "judged": 3,
        "verdict": verdict,
    }
    return Result(**(fields | changes))


@pytest.fixture
def make_result() -> MakeResult:
    return _result


def _run(*results: Result, **changes: Any) -> Run:
    fields: dict[str, Any] = {
        "contract": "contracts/reference",
        "target": "http://127.0.0.1:8500",
        "version": "0.1.0",
        "started": "2026-03-04T10:20:30+01:00",
        "seconds": 74.25,
        "requests": 12345,
        "seed": 42,
        "results": results,
    }
    return Run(**(fields | changes))


MakeRun = Callable[..., Run]


@pytest.fixture
def make_run() -> MakeRun:
    return _run


RETRY_AFTER = Evidence(
    sent="11 logins in 0.8 s from one address",
    required="429 carries Retry-After, a whole number of seconds (RFC 9110 §10.2.3; contract: retry_after: required)",
    expected="Retry-After: 1 … 60",
    actual="no Retry-After",
    again="upheld check contracts/reference --only ratelimit/retry-after",
    curl="curl -i --path-as-is --data-raw 'a  b' http://127.0.0.1:8500/api/v1/auth/login",
)


def _results() -> list[Result]:
    allow = Evidence(
        "PATCH /api/v1/items", "a 405 names the methods", "Allow", "no Allow", "upheld check . --only http/allow"
    )
    nasty = Evidence(
        NASTY, NASTY, NASTY, NASTY, "upheld check . --only errors/problem-json", "curl -i http://127.0.0.1/"
    )
    return [
        _result(
            Verdict.BREACHED,
            requirement="ratelimit/retry-after",
            subject="POST /api/v1/auth/login",
            title="a 429 says when to come back",
            clause="RFC 9110 §10.2.3",
            clause_url="https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3",
            catalogue=("RATE-03",),
            evidence=RETRY_AFTER,
            seconds=1.5,
        ),
        *(
            _result(Verdict.BREACHED, subject=f"GET /api/v1/things{at}", evidence=allow, cause="no Allow on 405")
            for at in range(12)
        ),
        _result(
            Verdict.BREACHED,
            requirement="errors/problem-json",
            subject="GET /api/v1/nasty",
            title=NASTY,
            clause=NASTY,
            clause_url="javascript:alert(1)",
            evidence=nasty,
            cause=NASTY,
        ),
        _result(Verdict.ADVISORY, requirement="http/head", level="SHOULD", evidence=allow),
        _result(Verdict.UPHELD, requirement="http/flicker", flaky=True, evidence=allow),
        *(
            _result(
                Verdict.UNPROVEN,
                requirement=f"auth/role-{at}",
                reason="no admin is given",
                add="identities: {admin: {role: admin, password_env: CONTRACT_ADMIN_PASSWORD}}",
            )
            for at in range(3)
        ),
        _result(Verdict.UNPROVEN, requirement="cache/store-down", subject="service", reason=f"nothing to stop {NASTY}"),
        _result(
            Verdict.WAIVED, requirement="http/trace", reason="TRACE is disabled on purpose", waived_until="2027-06-30"
        ),
        _result(Verdict.NOT_APPLICABLE, requirement="cors/origin", subject="service", reason="no CORS is promised"),
        *(_result(subject=f"GET /api/v1/fine{at}", detail="Allow: GET, HEAD") for at in range(20)),
        _result(subject=NASTY, detail=NASTY),
    ]


def percentiles(p50: float, p95: float | None, p99: float | None) -> tuple[Percentile, ...]:
    """With bounds a fifth away; none above what falls among failures."""
    return tuple(
        Percentile(quantile=quantile, ms=ms, low_ms=ms and ms * 0.8, high_ms=ms and ms * 1.2)
        for quantile, ms in ((0.5, p50), (0.95, p95), (0.99, p99))
    )


def _row(**changes: Any) -> LatencyRow:
    fields: dict[str, Any] = {
        "name": "GET /api/v1/items", "latency_class": "crud", "limit_ms": 200.0, "quantile": 0.95,
        "sent": 1500, "ok": 1490, "over": 12, "errors": 1, "throttled": 9, "unfinished": 0,
        "p50_ms": 21.0, "p95_ms": 140.5, "p99_ms": 230.0, "verdict": "met",
        "series": tuple((second, 25, int(second % 7 == 0)) for second in range(60)),
        "share_over_low": 0.004, "share_over_high": 0.014, "design_effect": 1.8, "failures": (("500", 1),),
        "percentiles": percentiles(21.0, 140.5, 230.0), "curve": ((0.0, 8.0), (0.5, 21.0), (0.95, 140.5), (0.999, 310.0)),
    }  # fmt: skip
    return LatencyRow(**(fields | changes))


def _load() -> LoadRun:
    return LoadRun(
        seconds=60.0,
        rate=50.0,
        model="open",
        users=20,
        valid=True,
        notes=("the generator used 38 % of one core",),
        delay_ms=3.2,
        noise_ms=1.1,
        workers=tuple(
            LoadWorker(name=str(at), sent=3000 + at, cpu_seconds=6.5, wall_seconds=65.0, delay_ms=3.2) for at in range(2)
        ),
        rows=(
            _row(),
            _row(
                name="GET /api/v1/reports/sales", latency_class="complex", limit_ms=500.0, verdict="missed", over=300,
                p50_ms=340.0, p95_ms=910.0, p99_ms=1800.0, share_over_low=0.17, share_over_high=0.24,
                percentiles=percentiles(340.0, 910.0, 1800.0),
                curve=((0.0, 90.0), (0.5, 340.0), (0.95, 910.0), (0.99, 1800.0), (0.999, None)),
                series=tuple((second, 25, min(25, second // 6)) for second in range(60)),
                reason="20 % of the answers took longer than 500 ms",
            ),
            _row(name="class auth", latency_class="auth", limit_ms=1000.0, verdict="not decided", p95_ms=980.0,
                 percentiles=(Percentile(quantile=0.95, ms=980.0, low_ms=700.0),), curve=(),
                 reason="0.80% of 1491 over 1000 ms, too near; about 41 s more would decide"),
            _row(name=NASTY, latency_class="crud", verdict="invalid", p50_ms=None, p95_ms=None, p99_ms=None, sent=0, ok=0,
                 over=0, series=(), share_over_low=None, share_over_high=None, percentiles=(), curve=(), failures=(),
                 design_effect=None, throttled=0, errors=0, reason="no answer"),
        ),
    )  # fmt: skip


@pytest.fixture
def rich_run() -> Run:
    """Every verdict, load, notes, hostile octets wherever a service can put them."""
    return _run(
        *_results(),
        notes=("credential lost after DELETE /api/v1/users/{id}; what ran since is unproven", NASTY),
        coverage={
            "GET /api/v1/items": {"200": 40, "404": 2},
            "POST /api/v1/items": {"201": 12, "422": 30},
            "DELETE /api/v1/items/{id}": {"401": 3},
            NASTY: {},
        },
        documented={
            "GET /api/v1/items": ("200", "401"),
            "POST /api/v1/items": ("201", "4XX"),
            "DELETE /api/v1/items/{id}": ("204", "401"),
            NASTY: (NASTY, "200"),
        },
        phases=(("check", 60.0, 3000), ("fuzz", 14.25, 9345)),
        load=_load(),
        exit_status=1,
        target_output=f"INFO started\n{NASTY}",
    )


@pytest.fixture
def empty_run() -> Run:
    return _run(requests=0, seconds=0.0)


@pytest.fixture
def huge_run() -> Run:
    """3,000 promises of 100 requirements on 30 operations, one in a hundred broken, with what each says of itself."""

    def one(at: int) -> Result:
        named: dict[str, Any] = {
            "requirement": f"group{at % 100 % 9}/requirement-{at % 100}",
            "subject": f"GET /api/v1/things{at // 100}",
        }
        if at % 100 == 7:
            return _result(Verdict.BREACHED, evidence=RETRY_AFTER, cause="none", **named)
        return _result(detail="3 answers, all with the field", **named)

    return _run(*map(one, range(3000)), coverage={f"GET /api/v1/things{at}": {"200": 9} for at in range(30)})


@pytest.fixture
def large_run() -> Run:
    """300 promises, all kept."""
    return _run(*(_result(requirement=f"g{at % 7}/r{at % 30}", subject=f"GET /api/v1/op{at}") for at in range(300)))
