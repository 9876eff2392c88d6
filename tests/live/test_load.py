"""The load engine against a server whose law is known, and against the reference: real processes, loopback only.

Timing tests on a shared machine: limits are far from the latencies, and where lateness of the generator could excuse a miss,
the test lets it.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live.loading import Law, by_path, plan, pressed, pressing, until
from tests.live.shopping import ADMIN, serving, signed_in

from upheld.contract.load import load
from upheld.load.plain import Plain
from upheld.load.plan import Plan, Secrets
from upheld.load.run import run_load, save_plan
from upheld.verdict import Exit, LatencyRow, Progress

pytestmark = pytest.mark.live
REPO = Path(__file__).parents[2]


def missed(row: LatencyRow) -> bool:
    return row.verdict == "missed" or (row.verdict == "invalid" and "itself" in row.reason)


def test_the_verdicts_of_a_known_law_and_every_request_accounted_for(law: Law) -> None:
    unique = {"headers": (("Content-Type", ("application/json",)),), "body": ('{"name": "', "unique", '"}')}
    made = plan(
        law.url,
        pressed("/law", 500.0, 60),
        pressed("/law", 3.0, 60, "POST", identity="alice", **unique),
        pressed("/stall", 100.0, 40),
        pressed("/wall", 200.0, 10),
        pressed("/fail", 200.0, 10),
        pressed("/cut", 200.0, 10),
        pressed("/redirect", 200.0, 10),
        pressed("/never", 200.0, 4),
        pressed("/slow", 500.0, 0.001),
        seconds=4.0,
    )
    secrets: Secrets = {"alice": {"headers": [["Authorization", "Bearer secret-of-alice"]]}}
    run, result, steps = pressing(made, secrets)
    assert run.valid, run.reason
    rows = by_path(run)

    # 90 % in 5 ms and 10 % in 60 ms: 500 ms are kept, 3 ms are not.
    assert rows["GET /law"].verdict == "met"
    assert 60 <= (rows["GET /law"].p95_ms or 0) <= 200
    assert (rows["GET /law"].p50_ms or 0) < 60
    assert missed(rows["POST /law"]), rows["POST /law"]
    # Standing still 40 % of the time: who came meanwhile waited, so that the p95 is near the length of the stall.
    assert missed(rows["GET /stall"]), rows["GET /stall"]
    assert (rows["GET /stall"].p95_ms or 0) > 500
    # A limiter's wall is no latency, and what is refused or redirected is no pass.
    assert rows["GET /wall"].verdict == "invalid"
    assert rows["GET /wall"].throttled == rows["GET /wall"].sent > 0
    for path in ("GET /fail", "GET /cut"):
        assert rows[path].verdict == "missed"
        assert rows[path].errors == rows[path].sent > 0
    assert rows["GET /redirect"].verdict == "invalid"
    assert (rows["GET /slow"].verdict, rows["GET /slow"].reason) == ("invalid", "no sample")
    assert rows["GET /never"].unfinished == rows["GET /never"].over == rows["GET /never"].sent > 0

    # What we say we sent is what the server served: no arrival lost, none sent twice, no redirect followed before this.
    served = law.counts()
    warm = result["warmup"]["sent"]
    assert sum(served["paths"].values()) == sum(row.sent for row in rows.values()) + warm
    assert served["twice"] == []
    assert served["credentials"]["Bearer secret-of-alice"] == served["paths"]["POST /law"]
    for name, row in rows.items():
        path = name.removeprefix("GET ")
        assert row.sent <= served["paths"].get(path, 0) <= row.sent + warm
        assert row.sent == row.ok + row.errors + row.throttled + row.unfinished
        assert sum(n for _, n, _ in row.series) == row.sent - row.throttled

    # At the asked rate, by the clock.
    assert rows["GET /law"].sent == pytest.approx(240, abs=90)
    assert steps
    assert steps[-1].requests > 0
    assert {step.total for step in steps} == {5}
    # Nothing secret came near the plan or the result.
    assert "secret-of-alice" not in made.dumps() + json.dumps(result)


def test_a_service_that_is_not_there_has_no_latency() -> None:
    run, _, _ = pressing(plan("http://127.0.0.1:1", pressed("/", 200.0, 60), seconds=2.0, warmup=0.2, drain=1.0))
    (row,) = by_path(run).values()
    assert row.verdict == "missed"
    assert row.errors == row.sent > 59
    assert "Refused" in row.reason
    assert row.p95_ms is None


def test_stopping_keeps_what_was_measured(law: Law) -> None:
    stop = threading.Event()
    made = plan(law.url, pressed("/law", 500.0, 150), seconds=60.0, warmup=0.3)
    began = time.monotonic()

    def watch() -> None:
        while time.monotonic() < began + 30 and law.counts()["paths"].get("/law", 0) < 200:
            time.sleep(0.1)
        stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    run, _, _ = pressing(made, stop=stop)
    watcher.join()
    assert time.monotonic() - began < 30
    assert run.valid
    assert run.reason == "interrupted"
    assert 0 < run.seconds < 30
    assert by_path(run)["GET /law"].verdict == "met"
    assert any(note.startswith("stopped after") for note in run.notes)


def test_a_generator_that_dies_decides_nothing(law: Law) -> None:
    made = plan(law.url, pressed("/law", 500.0, 10), contract="x")
    broken = Plan(**{**_fields(made), "operations": (pressed("/law", 500.0, 10, identity="nobody"),)})
    run, _, _ = pressing(broken)
    assert not run.valid
    assert "no credentials of nobody" in run.reason


def test_the_generator_goes_with_us(law: Law, tmp_path: Path) -> None:
    """Killed without a chance to clean up, we leave nobody behind who presses on the service."""
    made = plan(law.url, pressed("/law", 500.0, 50), seconds=60.0)
    (tmp_path / "plan.json").write_text(made.dumps())
    script = (
        "import sys, threading; from upheld.load.plan import loads; from upheld.load.process import generate\n"
        "generate(loads(open(sys.argv[1]).read()), {}, lambda step: None, threading.Event())"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(tmp_path / "plan.json")], env=_in(tmp_path)) as parent:
        until(lambda: law.counts()["paths"].get("/law", 0) > 10)
        os.kill(parent.pid, signal.SIGKILL)
    time.sleep(0.3)
    before = law.counts()["paths"]["/law"]
    time.sleep(0.7)
    assert law.counts()["paths"]["/law"] == before


def test_plain_locust_runs_the_same_plan(law: Law, tmp_path: Path) -> None:
    made = plan(law.url, pressed("/law", 500.0, 60), pressed("/slow", 20.0, 40), seconds=2.0, warmup=0.3)
    save_plan(made, {}, tmp_path / "plan.json")
    told = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(REPO / "load/locustfile.py"), "--headless", "--only-summary"],
        env={**os.environ, "UPHELD_LOAD_PLAN": str(tmp_path / "plan.json")},
        cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    said = [line.split("upheld.load: ")[1] for line in told.stderr.splitlines() if "upheld.load: " in line]
    assert any(line.split() == ["met", "GET", "/law"] for line in said), told.stderr
    late = any("GET /slow" in line and "itself" in line for line in said)
    assert any(line.startswith("missed") and "GET /slow" in line for line in said) or late, told.stderr
    assert told.returncode == (Exit.KEPT if late else Exit.BREACHED)
    assert sum(law.counts()["paths"].values()) > 130


# -- from a contract -----------------------------------------------------------------------------------------------------


@pytest.fixture
def reference() -> Iterator[str]:
    """The reference backend with raised limits and a cheap hash."""
    with serving() as url:
        yield url


def test_the_reference_by_its_contract(reference: str) -> None:
    contract = load(REPO / "contracts/reference", target_url=reference)
    sessions = [
        signed_in(reference, "kim", "user", "kim@example.test", "a-password-of-kim", register=True),
        signed_in(reference, "root", "admin", *ADMIN, register=False),
    ]
    steps: list[Progress] = []
    run = run_load(contract, reference, sessions, seconds=6, rate=30, profile="raised", listener=steps.append, seed=4)
    assert run.valid, run.reason
    rows = by_path(run)
    # Every operation that may be pressed is, with requests that are answered 2xx: nothing measures refusals.
    assert {row.name: (row.errors, row.throttled) for row in rows.values() if row.errors or row.throttled} == {}
    assert {f"{method} /api/v1/orders/{{order_id}}" for method in ("GET", "PATCH", "DELETE")} <= set(rows)
    assert {"POST /api/v1/orders", "POST /api/v1/orders/{order_id}/cancel", "GET /api/v1/reports/sales"} <= set(rows)
    told = {item.name: item.reason for item in run.left_out}
    assert {"POST /api/v1/auth/register", "POST /api/v1/auth/logout", "POST /api/v1/admin/maintenance"} <= set(told)
    assert set(told) | set(rows) == {operation.label for operation in contract.operations}
    assert {"class crud", "class complex", "class auth"} <= {row.name for row in run.rows}
    assert not any(row.verdict == "met" and row.sent < 59 for row in run.rows)
    assert any("load: deleting" in step.text for step in steps)
    # Some reads are of orders that the load made; each reads its own.
    assert rows["GET /api/v1/orders/{order_id}"].ok > 0
    # The identities outlive it.
    with Plain(reference) as http:
        answer = http.ask("GET", "/api/v1/users/me", dict(sessions[0].headers))
    assert answer.status == 200


def _fields(made: Plan) -> dict[str, Any]:
    return {name: getattr(made, name) for name in Plan.__dataclass_fields__}


def _in(folder: Path) -> dict[str, str]:
    return {**os.environ, "TMPDIR": str(folder)}
