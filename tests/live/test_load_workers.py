"""Many generator processes: every request is accounted for, and one that is lost makes the run invalid, never green."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.live.loading import Law, by_path, free_port, plan, pressed, pressing, until
from tests.unit.load.test_metrics import parsed

from upheld.load.process import Elsewhere, work
from upheld.load.run import save_plan
from upheld.verdict import Exit, Progress

pytestmark = pytest.mark.live
REPO = Path(__file__).parents[2]


def served(law: Law) -> int:
    told = law.counts()
    assert told["twice"] == []
    return sum(told["paths"].values())


def sent(result: dict[str, Any]) -> int:
    return sum(counts["sent"] for counts in (result["warmup"], *result["operations"].values()))


def test_two_workers_account_for_every_request_though_the_last_answers_come_late(law: Law) -> None:
    unique = {"headers": (("Content-Type", ("application/json",)),), "body": ('{"name": "', "unique", '"}')}
    made = plan(
        law.url,
        pressed("/law", 500.0, 40, "POST", identity="alice", **unique),
        pressed("/late", 3000.0, 20, "POST", **unique),
        seconds=3.0, warmup=0.5, drain=6.0, keep=10,
    )  # fmt: skip
    port, scraped, steps = free_port(), list[str](), list[Progress]()

    def look(step: Progress) -> None:
        steps.append(step)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
            assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
            scraped.append(answer.read().decode())

    secrets = {"alice": {"headers": [["Authorization", "Bearer secret-of-alice"]]}}
    run, result, _ = pressing(made, secrets, workers=2, metrics_port=port, listener=look)
    assert run.valid, run.reason
    rows = by_path(run)
    late = rows["POST /late"]
    # Stock Locust's master loses those that are answered after its last report.
    assert late.ok == late.sent > 40
    assert sent(result) == served(law)
    assert law.counts()["credentials"]["Bearer secret-of-alice"] == law.counts()["paths"]["POST /law"]
    assert rows["POST /law"].verdict == "met"
    # Each sent its half.
    told = result["workers"]
    assert set(told) == {"1", "2"}
    assert sum(worker["sent"] for worker in told.values()) == sent(result)
    assert min(worker["sent"] for worker in told.values()) > 0.25 * sent(result)
    assert result["noise_ms"] > 0
    # What it kept, and what it told while it ran.
    assert {item["operation"] for item in result["kept"]} == set(rows)
    assert all(json.loads(item["answer_body"])["path"] in ("/law", "/late") for item in result["kept"])
    assert "secret-of-alice" not in json.dumps(result)
    samples, _ = parsed(scraped[-1])
    requests = samples["upheld_load_requests_total"]
    assert 0 < sum(requests.values()) <= sent(result)
    assert samples["upheld_load_generators"] == {(): 2}
    assert steps[-1].requests > 0


def test_a_worker_that_is_killed_makes_the_run_invalid(law: Law) -> None:
    made = plan(law.url, pressed("/law", 500.0, 60), seconds=60.0, warmup=0.3)
    killed: list[int] = []

    def kill(step: Progress) -> None:
        if step.requests > 60 and not killed:
            crew = [child for child in psutil.Process().children(recursive=True) if "--worker" in child.cmdline()]
            killed.append(crew[1].pid)
            crew[1].kill()

    run, result, _ = pressing(made, workers=2, listener=kill)
    assert killed
    assert not run.valid
    assert run.reason.startswith("worker 2 of 2 is gone: status -9")
    assert {row.verdict for row in run.rows} == {"invalid"}
    # It ended then, and nobody goes on pressing; what the other one counted is still shown.
    assert run.seconds < 40
    assert len(result.get("workers", {})) == 1
    before = served(law)
    assert not [child for child in psutil.Process().children(recursive=True) if "locust" in " ".join(child.cmdline())]
    assert served(law) == before


def test_stopping_two_workers_keeps_what_both_measured(law: Law) -> None:
    made, stop = plan(law.url, pressed("/law", 500.0, 100), seconds=60.0, warmup=0.3), threading.Event()

    def enough(step: Progress) -> None:
        if step.requests > 150:
            stop.set()

    run, result, _ = pressing(made, workers=2, listener=enough, stop=stop)
    assert run.valid, run.reason
    assert run.reason == "interrupted"
    assert by_path(run)["GET /law"].verdict == "met"
    assert set(result["workers"]) == {"1", "2"}
    # What was cut short before its limit tells nothing, and is not counted: at most what was on its way.
    assert 0 <= served(law) - sent(result) <= result["most_in_flight"]


def test_a_worker_without_credentials_is_told(law: Law) -> None:
    made = plan(law.url, pressed("/law", 500.0, 10, identity="nobody"), seconds=2.0)
    run, _, _ = pressing(made, workers=2)
    assert not run.valid
    assert "has no credentials of nobody" in run.reason
    assert served(law) == 0


def test_workers_of_other_machines_get_plan_and_secrets_from_the_master(law: Law) -> None:
    made = plan(law.url, pressed("/law", 500.0, 60, identity="alice"), seconds=2.0, warmup=0.3)
    port, stop = free_port(), threading.Event()
    statuses: list[int] = []
    crew = [
        threading.Thread(target=lambda: statuses.append(work("127.0.0.1", port, None, stop)), daemon=True)
        for _ in range(2)
    ]
    for worker in crew:
        worker.start()
    try:
        secrets = {"alice": {"headers": [["Authorization", "Bearer secret-of-alice"]]}}
        elsewhere = Elsewhere("127.0.0.1", port, share_secrets=True)
        run, result, _ = pressing(made, secrets, workers=2, elsewhere=elsewhere)
    finally:
        for worker in crew:
            worker.join(20)
        stop.set()
    assert run.valid, run.reason
    assert by_path(run)["GET /law"].verdict == "met"
    assert sent(result) == served(law) == law.counts()["credentials"]["Bearer secret-of-alice"]
    # The run's end was theirs.
    assert statuses == [0, 0]


def test_plain_locust_with_processes_judges_all_of_them(law: Law, tmp_path: Path) -> None:
    made = plan(law.url, pressed("/law", 500.0, 60), pressed("/late", 3000.0, 20), seconds=2.0, warmup=0.3, drain=5.0)
    save_plan(made, {}, tmp_path / "plan.json")
    options = ["--headless", "--only-summary", "--processes", "2"]
    told = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(REPO / "load/locustfile.py"), *options],
        env={**os.environ, "UPHELD_LOAD_PLAN": str(tmp_path / "plan.json")},
        cwd=tmp_path, capture_output=True, text=True, timeout=90, check=False,
    )  # fmt: skip
    said = [line.split("upheld.load: ")[1].split() for line in told.stderr.splitlines() if "upheld.load: " in line]
    assert ["met", "GET", "/law"] in said, told.stderr
    # Only the master judges, and it has every request.
    assert sum(words[1:3] == ["GET", "/law"] for words in said) == 1
    assert told.returncode == Exit.KEPT, told.stderr
    warm = re.search(r"and (\d+) requests before the measured part", told.stderr)
    assert warm
    assert served(law) > int(warm[1]) + 100


def test_the_web_interface_shows_the_run_and_can_end_it(law: Law, tmp_path: Path) -> None:
    made = plan(law.url, pressed("/law", 500.0, 80), seconds=60.0, warmup=0.3)
    save_plan(made, {}, tmp_path / "plan.json")
    port = free_port()
    with (tmp_path / "said").open("w+") as said, subprocess.Popen(
        [sys.executable, "-m", "locust", "-f", str(REPO / "load/locustfile.py"), "--web-host", "127.0.0.1", "--web-port", str(port)],
        env={**os.environ, "UPHELD_LOAD_PLAN": str(tmp_path / "plan.json")}, cwd=tmp_path, stderr=said, stdout=said,
    ) as process:  # fmt: skip
        url = f"http://127.0.0.1:{port}"
        try:
            until(lambda: _answers(f"{url}/"))
            with urllib.request.urlopen(f"{url}/swarm", data=b"user_count=1&spawn_rate=1", timeout=10) as answer:
                assert json.load(answer)["success"]
            until(lambda: served(law) > 100)
            until(lambda: _shown(url, "/law") > 150)
            with urllib.request.urlopen(f"{url}/stop", data=b"", timeout=30) as answer:
                assert json.load(answer)["success"]
            until(lambda: "upheld.load: met" in (tmp_path / "said").read_text())
        finally:
            process.terminate()
            process.wait(20)


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5):
            return True
    except OSError:
        return False


def _shown(url: str, path: str) -> int:
    with urllib.request.urlopen(f"{url}/stats/requests", timeout=5) as answer:
        rows = json.load(answer)["stats"]
    return next((int(row["num_requests"]) for row in rows if row["name"].endswith(path)), 0)
