"""``pytest contracts/``: each promise is an item, one run serves all of them, and without a contract nothing happens."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.apps.notes import Asked, Notes, Said
from tests.live.calls import ANN, AUTH, contract

from upheld.checks import catalogue

pytestmark = pytest.mark.live
ONLY = "checks: {only: [http/challenge, http/allow]}\n"


class Bare(Notes):
    """It breaks http/challenge and nothing else."""

    async def answer(self, asked: Asked) -> Said:
        said = self.kept(asked)
        said.headers.pop("WWW-Authenticate", None)
        return said


@pytest.fixture(scope="module")
def bare() -> Iterator[Bare]:
    with Bare() as running:
        yield running


@pytest.fixture
def shop(tmp_path: Path, bare: Bare) -> Path:
    bare.log.clear()
    contract(tmp_path / "contracts" / "shop", ONLY + AUTH, target=bare.url)
    return tmp_path


def _pytest(folder: Path, *args: str, plugins: tuple[str, ...] = (), **env: str) -> subprocess.CompletedProcess[str]:
    """pytest as somebody else's repository runs it, with our plugin and no other but ``plugins``."""
    given = [word for name in ("upheld.run.pytest_plugin", *plugins) for word in ("-p", name)]
    command = [sys.executable, "-m", "pytest", *given, "-ra", *args]
    own = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    environment = {**own, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "TMPDIR": str(_temporary(folder)), **env}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, env=environment)


def _temporary(folder: Path) -> Path:
    place = folder / "tmp"
    place.mkdir(exist_ok=True)
    return place


def _counts(said: str) -> dict[str, int]:
    return {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|skipped|error)", said)}


def _runs(service: Notes) -> set[str]:
    """The runs that the service has seen, by their marks without what tells the profile."""
    return {mark for asked in service.log if (mark := asked.headers.get("x-upheld-run"))}


def test_each_promise_is_an_item(shop: Path) -> None:
    ended = _pytest(shop, "contracts", "--collect-only", "-q")
    assert ended.returncode == 0, ended.stdout
    lines = ended.stdout.splitlines()
    assert "contracts/shop/upheld.yaml::http/challenge[GET /me]" in lines
    assert "contracts/shop/upheld.yaml::http/allow[/me]" in lines


def test_a_breach_fails_its_item_with_the_lines_of_a_breach(shop: Path, bare: Bare) -> None:
    ended = _pytest(shop, "contracts", "--upheld-no-fuzz", "--junitxml=x.xml")
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert "FAILED contracts/shop/upheld.yaml::http/challenge[" in ended.stdout
    assert "BREACHED  http/challenge" in ended.stdout
    assert "expected   WWW-Authenticate" in ended.stdout
    assert f"again      upheld check {shop}/contracts/shop --only http/challenge" in ended.stdout
    assert "Traceback" not in ended.stdout
    assert _counts(ended.stdout)["passed"] >= 4
    cases = ET.parse(shop / "x.xml").getroot().iter("testcase")
    assert {case.get("name") for case in cases} >= {"http/challenge[GET /me]", "http/allow[/me]"}
    assert len(_runs(bare)) == 1


def test_selection_by_keyword_first_failure_and_last_failed(shop: Path, bare: Bare) -> None:
    quiet = ("contracts", "--upheld-no-fuzz", "-p", "cacheprovider")
    some = _pytest(shop, *quiet, "-k", "allow")
    assert some.returncode == 0, some.stdout
    assert not [asked for asked in bare.log if "http/challenge" in asked.headers.get("x-upheld-run", "")]
    first = _pytest(shop, *quiet, "-x")
    assert _counts(first.stdout)["failed"] == 1
    last = _pytest(shop, *quiet, "--lf")
    assert _counts(last.stdout).get("passed", 0) == 0, last.stdout
    assert _counts(last.stdout)["failed"] >= 1
    one = _pytest(shop, "contracts/shop/upheld.yaml::http/allow[/me]", "--upheld-no-fuzz")
    assert _counts(one.stdout) == {"passed": 1}, one.stdout


def test_workers_share_one_run_and_leave_nothing(shop: Path, bare: Bare) -> None:
    alone = _pytest(shop, "contracts", "--upheld-no-fuzz")
    bare.log.clear()
    ended = _pytest(shop, "contracts", "--upheld-no-fuzz", "-n", "2", plugins=("xdist.plugin",))
    assert ended.returncode == 1, ended.stdout + ended.stderr
    assert _counts(ended.stdout) == _counts(alone.stdout)
    assert len(_runs(bare)) == 1
    left = [path.name for path in _temporary(shop).iterdir() if "upheld" in path.name]
    assert left == []


def test_what_was_shared_is_not_met_again(shop: Path, bare: Bare) -> None:
    args = ("contracts", "--upheld-no-fuzz", "-n", "2", "--testrunuid", "always-the-same")
    first = _pytest(shop, *args, plugins=("xdist.plugin",))
    assert first.returncode == 1, first.stdout
    before = _runs(bare)
    _pytest(shop, *args, plugins=("xdist.plugin",))
    assert len(_runs(bare) - before) == 1


def test_what_is_known_is_skipped_with_its_reason(shop: Path) -> None:
    (shop / "known.yaml").write_text(
        'waive:\n- {id: "http/challenge[GET /me]", reason: mended in May, until: 2999-12-31}\n'
    )
    ended = _pytest(shop, "contracts", "--upheld-no-fuzz", "--upheld-baseline", "known.yaml")
    assert ended.returncode == 0, ended.stdout
    assert "mended in May" in ended.stdout
    assert _counts(ended.stdout)["passed"] >= 1


def test_only_what_a_change_touches_is_collected(shop: Path) -> None:
    def git(*words: str) -> None:
        who = ("-c", "user.name=somebody", "-c", "user.email=somebody@example.test")
        subprocess.run(["git", *who, *words], cwd=shop, check=True, capture_output=True)

    git("init")
    git("add", "contracts")
    git("commit", "-m", "as it is")
    same = _pytest(shop, "contracts", "--upheld-since", "HEAD")
    assert same.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, same.stdout
    document = shop / "contracts" / "shop" / "openapi.json"
    changed = json.loads(document.read_text())
    changed["paths"]["/me"]["get"]["responses"]["418"] = {"description": "teapot"}
    document.write_text(json.dumps(changed))
    ended = _pytest(shop, "contracts", "--upheld-since", "HEAD", "--collect-only", "-q")
    collected = [line for line in ended.stdout.splitlines() if "::" in line]
    assert {line.rpartition("[")[2] for line in collected} == {"GET /me]", "/me]"}


def test_a_wrong_contract_is_an_error_of_collection(shop: Path) -> None:
    (shop / "contracts/shop/upheld.yaml").write_text("upheld: 1\nnever: [POST /nowhere]\n")
    ended = _pytest(shop, "contracts")
    assert ended.returncode == 2
    assert "upheld.yaml:2: never" in ended.stdout
    assert "Traceback" not in ended.stdout


@pytest.mark.parametrize("workers", [(), ("-n", "2")])
def test_a_target_that_is_not_there_fails_once(shop: Path, workers: tuple[str, ...]) -> None:
    contract(shop / "contracts" / "shop", ONLY + AUTH, target="http://127.0.0.1:9")
    ended = _pytest(shop, "contracts", "--upheld-no-fuzz", *workers, plugins=("xdist.plugin",))
    assert ended.returncode == 1, ended.stdout
    assert _counts(ended.stdout)["failed"] == max(1, len(workers)), ended.stdout
    assert "nothing listens there" in ended.stdout


def test_wrong_credentials_fail_once_and_say_so(shop: Path, bare: Bare) -> None:
    contract(shop / "contracts" / "shop", "checks: {only: [http/allow]}\n" + AUTH + ANN, target=bare.url)
    ended = _pytest(shop, "contracts", "--upheld-no-fuzz", NOTES_ANN_PASSWORD="not-the-password")
    assert ended.returncode == 1, ended.stdout
    assert _counts(ended.stdout)["failed"] == 1, ended.stdout
    assert "ann can't sign in" in ended.stdout
    assert "not-the-password" not in ended.stdout


def test_without_a_contract_nothing_is_imported(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import sys\n"
        "def test_own():\n"
        "    ours = {name for name in sys.modules if name.split('.')[0] == 'upheld'}\n"
        "    assert ours <= {'upheld', 'upheld.run', 'upheld.run.pytest_plugin'}, ours\n"
        "    assert not {'httpx', 'pydantic', 'yaml', 'schemathesis', 'hypothesis'} & set(sys.modules)\n"
    )
    ended = _pytest(tmp_path)
    assert ended.returncode == 0, ended.stdout
    assert _counts(ended.stdout) == {"passed": 1}


def test_ctrl_c_ends_the_session(shop: Path) -> None:
    import signal
    import time

    class Slow(Notes):
        async def answer(self, asked: Asked) -> Said:
            import asyncio

            await asyncio.sleep(0.3)
            return self.kept(asked)

    with Slow() as target:
        contract(shop / "contracts" / "shop", AUTH, target=target.url)
        command = [sys.executable, "-m", "pytest", "-p", "upheld.run.pytest_plugin", "contracts", "--upheld-no-fuzz"]
        environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        process = subprocess.Popen(command, cwd=shop, stdout=subprocess.PIPE, text=True, env=environment)
        end = time.monotonic() + 60
        while target.asked.total() < 10 and time.monotonic() < end:
            time.sleep(0.02)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)
    assert process.returncode == 2, out
    assert "KeyboardInterrupt" in out


def test_allure_is_told_what_a_promise_is(shop: Path) -> None:
    ended = _pytest(
        shop,
        "contracts",
        "--upheld-no-fuzz",
        "--strict-markers",
        "--alluredir=allure",
        plugins=("allure_pytest.plugin",),
    )
    assert ended.returncode == 1, ended.stdout + ended.stderr
    results = [json.loads(file.read_text()) for file in (shop / "allure").glob("*-result.json")]
    told = {result["name"]: result for result in results}
    broken = told[f"{catalogue()['http/challenge'].title}: GET /me"]
    labels = {label["name"]: label["value"] for label in broken["labels"]}
    assert (broken["status"], labels["severity"]) == ("failed", "critical")
    assert (labels["parentSuite"], labels["suite"], labels["subSuite"]) == ("shop", "http", "http/challenge")
    assert "BREACHED  http/challenge   GET /me" in broken["statusDetails"]["message"]
    clause = catalogue()["http/challenge"].requirement.clause
    assert [(link["name"], link["url"]) for link in broken["links"]] == [(clause.text, clause.url)]
    # Each promise has a history of its own, and those of one requirement are cases of one test.
    assert len({result["historyId"] for result in results}) == len(results)
    assert len({result["testCaseId"] for result in results}) == 2
    assert {result["status"] for result in results} == {"passed", "failed", "skipped"}


def test_without_its_option_allure_is_told_nothing(shop: Path) -> None:
    ended = _pytest(shop, "contracts", "--upheld-no-fuzz", "-k", "allow", plugins=("allure_pytest.plugin",))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert _counts(ended.stdout)["passed"] >= 1
