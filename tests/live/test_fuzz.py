"""Fuzzing against real services: what it finds, what it survives, and that it leaves nothing behind."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

import httpx
import pytest

from upheld.check import NoAnswer
from upheld.contract.load import from_parts
from upheld.exchange import Exchange, Headers, Request, Response, Session
from upheld.run.fuzz import EngineFinding, FuzzRun, fuzz
from upheld.targets.ports import free_port

# One process: each would fuzz the seeded shop for itself.
pytestmark = [pytest.mark.live, pytest.mark.xdist_group("fuzz")]

APPS = Path(__file__).parent / "apps"
ANN = Session("ann", "user", headers=(("Authorization", "Bearer token-of-ann"),))
U1 = Session("u1", "user", headers=(("Authorization", "Bearer u1"),))
# What plain `schemathesis run` is asked for, and we too.
SEED, MAX_EXAMPLES = 7, 20

Start = Callable[[str, str], AbstractContextManager[str]]


@contextmanager
def served(app: str, variant: str) -> Iterator[str]:
    """One of the apps on a free port, fresh."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    command = [sys.executable, str(APPS / f"{app}.py"), str(port), variant]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                urlopen(f"{url}/openapi.json", timeout=5).close()
                break
            except (URLError, ConnectionError):
                time.sleep(0.1)
        else:
            raise AssertionError(f"{app} {variant} did not start")
        yield url
    finally:
        process.kill()
        process.wait()


def fetched(url: str) -> Any:
    with urlopen(url, timeout=30) as answer:
        return json.loads(answer.read())


class Recorder:
    """What a caller of `fuzz` sees. ``enough`` is set when that many exchanges have come."""

    def __init__(self, wanted: int = 0) -> None:
        self.exchanges: list[Exchange] = []
        self.wanted = wanted
        self.enough = asyncio.Event()

    def __call__(self, exchange: Exchange) -> None:
        self.exchanges.append(exchange)
        if len(self.exchanges) >= self.wanted:
            self.enough.set()


async def fuzzed(
    url: str,
    policy: dict[str, Any] | None = None,
    user: Session | None = ANN,
    seen: Recorder | None = None,
    **options: Any,
) -> FuzzRun:
    document = fetched(f"{url}/openapi.json")
    contract = from_parts(policy or {}, document)
    given: dict[str, Any] = {
        "seconds": 120.0,
        "max_examples": MAX_EXAMPLES,
        "phases": None,
        "seed": SEED,
        "token": "t1",
    }
    async with httpx.AsyncClient(limits=httpx.Limits(max_keepalive_connections=0), timeout=10) as client:

        async def resend(request: Request) -> Response:
            headers = [*(request.session.headers if request.session else ()), *request.headers.pairs]
            try:
                answer = await client.request(
                    request.method, url + request.target, headers=headers, content=request.body
                )
            except httpx.TransportError as error:
                raise NoAnswer("closed", str(error)) from error
            return Response(answer.status_code, Headers(answer.headers.multi_items()), answer.content)

        return await fuzz(
            contract,
            contract.document,
            url,
            user=user,
            admin=None,
            resend=resend,
            on_exchange=seen or Recorder(),
            **{**given, **options},
        )


def plain(url: str, folder: Path) -> set[tuple[str, str]]:
    """(code, operation) pairs that ``schemathesis run --continue-on-failure`` finds."""
    (folder / "plain.toml").write_text("[cache]\nenabled = false\n[auth]\nauto-signup = false\n")
    report = folder / "report.json"
    command = [
        sys.executable,
        "-m",
        "schemathesis.cli",
        "--config-file",
        str(folder / "plain.toml"),
        "run",
        f"{url}/openapi.json",
    ]
    command += ["--continue-on-failure", "--seed", str(SEED), "--max-examples", str(MAX_EXAMPLES)]
    command += [
        "--generation-database",
        "none",
        "-H",
        "Authorization: Bearer token-of-ann",
        "--report-json-path",
        str(report),
    ]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    subprocess.run(command, cwd=folder, capture_output=True, env=environment, check=False, timeout=300)
    found = set()
    for failure in json.loads(report.read_text())["failures"]:
        found |= {(failure["code"], operation) for operation in failure["operations"]}
    return found


# -- what it finds -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def seeded() -> tuple[FuzzRun, Recorder]:
    """The shop with all its faults, fuzzed once."""
    seen = Recorder()
    with served("seeded", "all") as url:
        run = asyncio.run(fuzzed(url, {"unique": ["sku"], "implicit_statuses": []}, seen=seen))
    return run, seen


def standing(run: FuzzRun) -> list[EngineFinding]:
    return [finding for finding in run.findings if not finding.flaky]


def test_it_finds_at_least_what_the_plain_engine_finds(seeded: tuple[FuzzRun, Recorder], tmp_path: Path) -> None:
    with served("seeded", "all") as url:
        theirs = plain(url, tmp_path)
    assert len(theirs) > 15
    ours = {(finding.code, finding.operation) for finding in standing(seeded[0])}
    assert {pair for pair in theirs if not is_among(pair, ours, set(seeded[0].reached))} == set()


def is_among(theirs: tuple[str, str], ours: set[tuple[str, str]], documented: set[str]) -> bool:
    """Whether a failure of the plain engine is one of our findings, which name the operation that answered wrongly."""
    code, label = theirs
    if label in documented:
        return theirs in ours
    if label == "Stateful tests":
        return code in {other for other, _ in ours}
    # A method that the path does not document: told of the path's operations.
    return (code, label.split(" ")[1]) in {(other, name.split(" ")[1]) for other, name in ours}


@pytest.mark.parametrize(
    ("fault", "code", "operation"),
    [
        ("crash", "ST101", "POST /items"),
        ("status", "ST103", "DELETE /items/{item_id}"),
        ("type", "ST105", "GET /health"),
        ("schema", "ST108", "GET /items/{item_id}"),
        ("field", "ST107", "POST /items"),
        ("lax", "ST201", "POST /items"),
        ("strict", "ST202", "PUT /items/{item_id}"),
        ("ghost", "ST301", "GET /items/{item_id}"),
        ("late", "ST302", "GET /orders/{order_id}"),
        ("open", "ST401", "GET /me"),
        ("gullible", "ST401", "GET /orders"),
        ("allow", "ST204", "POST /items"),
        ("problem", "ST105", "POST /items"),
    ],
)
def test_every_seeded_fault_is_found(seeded: tuple[FuzzRun, Recorder], fault: str, code: str, operation: str) -> None:
    assert (code, operation) in {(finding.code, finding.operation) for finding in standing(seeded[0])}, fault


def test_findings_say_what_to_know(seeded: tuple[FuzzRun, Recorder]) -> None:
    run, _ = seeded
    by_kind = {(finding.code, finding.operation): finding for finding in standing(run)}
    crash = by_kind["ST101", "POST /items"].finding
    assert crash.minimal
    assert crash.request is not None
    body = crash.request.json()
    assert (body["name"], body["quantity"]) == ("0", 901)
    lax = by_kind["ST201", "POST /items"].finding
    assert lax.request is not None
    assert lax.request.json()["name"] == "0" * 21
    assert "longer than maxLength" in lax.sent or "breaks maxLength" in lax.sent
    assert len({f.finding.origin for f in standing(run) if f.code == "ST204"}) == 1
    text = repr([(f.finding.expected, f.finding.actual, f.finding.sent, f.finding.request) for f in run.findings])
    assert "token-of-ann" not in text


def test_exchanges_come_as_they_are(seeded: tuple[FuzzRun, Recorder]) -> None:
    run, seen = seeded
    assert len(seen.exchanges) >= run.cases > 300
    assert {exchange.phase for exchange in seen.exchanges} == {"fuzz"}
    assert {exchange.intent for exchange in seen.exchanges} == {"valid", "invalid", None}
    assert all(exchange.source for exchange in seen.exchanges)
    assert all(exchange.broken for exchange in seen.exchanges if exchange.intent == "invalid")
    reached = {exchange.operation for exchange in seen.exchanges if exchange.operation}
    assert reached == set(run.reached)
    assert all("token-of-ann" not in repr(exchange.request) for exchange in seen.exchanges)


def test_the_clean_twin_has_no_findings() -> None:
    with served("seeded", "none") as url:
        run = asyncio.run(fuzzed(url, {"unique": ["sku"]}))
    assert run.findings == ()
    assert run.lost == ()
    assert run.notes == ()
    assert run.complete, run
    stateful = next(phase for phase in run.phases if phase.name == "stateful")
    assert stateful.scenarios >= 15
    assert stateful.links[0] >= stateful.links[1] * 0.5


# -- what it survives ----------------------------------------------------------------------------------------------------


def test_an_operation_that_hangs_is_told_and_ends_nothing() -> None:
    with served("moody", "hangs") as url:
        run = asyncio.run(fuzzed(url, user=U1, seconds=40.0, max_examples=5, protected=("u1",)))
    lost = dict(run.lost)
    assert "no answer to" in lost["GET /slow"]
    assert "GET /notes" not in lost
    assert "POST /notes" not in lost
    assert not run.defects


def test_a_service_that_dies_is_told() -> None:
    with served("moody", "dies") as url:
        run = asyncio.run(fuzzed(url, user=U1, seconds=40.0, max_examples=5))
    assert not run.complete
    assert run.stopped == "the service did not answer any more"
    assert dict(run.lost)["GET /users/{id}"] == "no request reached it"


def test_a_limit_by_address_is_moved_away_from() -> None:
    with served("moody", "limits") as url:
        run = asyncio.run(fuzzed(url, user=U1, max_examples=5, protected=("u1",)))
    assert run.throttled > 0
    assert all(429 not in statuses for statuses in run.reached.values())
    assert run.complete, run


def test_a_limit_for_all_makes_the_run_incomplete_and_no_finding() -> None:
    with served("moody", "stingy") as url:
        run = asyncio.run(fuzzed(url, user=U1, max_examples=5, seconds=40.0))
    assert not run.complete
    assert any("429" in note for note in run.notes)
    assert dict(run.lost)["GET /users"].startswith("never answered 2xx: 429")
    assert {finding.code for finding in run.findings} <= {"ST205"}


def test_a_key_that_makes_a_request_the_same_again_differs_from_case_to_case() -> None:
    seen = Recorder()
    with served("moody", "remembers") as url:
        run = asyncio.run(fuzzed(url, user=U1, max_examples=5, seen=seen))
    assert {finding.code for finding in standing(run)} <= {"ST205"}
    made = [e.request.headers["idempotency-key"] for e in seen.exchanges if e.response.status == 201]
    assert len(made) > 5
    assert len(set(made)) == len(made)


def test_it_does_not_delete_its_own_account() -> None:
    with served("moody", "suicidal") as url:
        run = asyncio.run(fuzzed(url, user=U1))
        request = httpx.get(f"{url}/me", headers=dict(U1.headers))
    assert request.status_code == 200
    assert run.reached["DELETE /users/{id}"].get(204, 0) > 0
    assert dict(run.lost) == {"DELETE /me": "never sent by fuzzing: deletes the caller's own account"}


def test_another_service_is_a_setup_error_not_a_report() -> None:
    with served("moody", "absent") as url:
        run = asyncio.run(fuzzed(url, user=U1, max_examples=5))
    assert run.findings == ()
    assert not run.complete
    assert "nearly every answer was 404" in run.stopped


def test_a_budget_of_requests_is_kept() -> None:
    seen = Recorder()
    with served("seeded", "none") as url:
        run = asyncio.run(fuzzed(url, seen=seen, requests=40))
    assert len(seen.exchanges) <= 40
    assert run.stopped
    assert not run.complete


# -- how it ends ---------------------------------------------------------------------------------------------------------


def engines(parent: int | None = None) -> set[int]:
    """Engine processes of ours, or of ``parent``, that run now; another worker's are its own."""
    listed = subprocess.run(
        ["pgrep", "-P", str(parent or os.getpid()), "-f", "schemathesis.cli --config-file"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return {int(pid) for pid in listed.split()}


def runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # Ended, and nobody has asked how yet.
    return ") Z " not in Path(f"/proc/{pid}/stat").read_text()


def until(condition: Callable[[], Any], seconds: float = 30.0) -> Any:
    end = time.monotonic() + seconds
    while not (value := condition()) and time.monotonic() < end:
        time.sleep(0.1)
    return value


def test_cancelled_it_keeps_what_was_found_and_leaves_nothing() -> None:
    before = engines()

    async def main(url: str) -> FuzzRun:
        seen = Recorder(50)
        task = asyncio.create_task(fuzzed(url, seen=seen, max_examples=500))
        await seen.enough.wait()
        task.cancel()
        return await task

    with served("seeded", "all") as url:
        run = asyncio.run(main(url))
    assert run.stopped == "interrupted"
    assert not run.complete
    assert run.cases >= 50
    assert any(finding.code == "ST204" for finding in run.findings)
    assert engines() <= before


def test_its_time_is_kept() -> None:
    with served("seeded", "none") as url:
        began = time.monotonic()
        run = asyncio.run(fuzzed(url, seconds=6.0, max_examples=100_000))
        took = time.monotonic() - began
    assert took < 6.0 + 8.0 + 4.0
    assert not run.complete
    assert run.stopped in ("its time was over", "")  # empty where the engine met its own limit first


def test_without_a_bound_it_goes_on_until_its_time_is_over() -> None:
    with served("seeded", "none") as url:
        run = asyncio.run(fuzzed(url, seconds=25.0, max_examples=None, phases=("stateful",)))
    assert run.seconds > 20
    assert run.findings == ()


def test_an_engine_that_is_killed_is_told() -> None:
    before = engines()

    async def main(url: str) -> FuzzRun:
        seen = Recorder(20)
        task = asyncio.create_task(fuzzed(url, seen=seen, max_examples=500))
        await seen.enough.wait()
        for pid in engines() - before:
            os.kill(pid, signal.SIGKILL)
        return await task

    with served("seeded", "none") as url:
        run = asyncio.run(main(url))
    assert not run.complete
    assert "ended early" in run.stopped
    assert run.defects
    assert run.cases >= 10


def test_the_engine_does_not_outlive_us(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(
        "import asyncio, sys\n"
        f"sys.path.insert(0, {str(Path(__file__).parents[2])!r})\n"
        "from tests.live.test_fuzz import fuzzed\n"
        "asyncio.run(fuzzed(sys.argv[1], max_examples=500))\n"
    )
    with served("seeded", "none") as url:
        parent = subprocess.Popen([sys.executable, str(script), url], stderr=subprocess.DEVNULL)
        try:
            (engine,) = until(lambda: engines(parent.pid))
            time.sleep(2)
        finally:
            parent.kill()
            parent.wait()
        assert until(lambda: not runs(engine))


def test_importing_the_package_loads_no_engine() -> None:
    code = "import sys, upheld.run.fuzz; print([m for m in ('schemathesis', 'hypothesis', 'requests', 'httpx') if m in sys.modules])"
    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert output.strip() == "[]"
