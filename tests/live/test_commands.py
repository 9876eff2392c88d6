"""The commands end to end: what they print and write, what they keep to, and what they do about a service that has its moods."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import jsonschema_rs
import pytest
from tests.live.apps.notes import Asked, Notes, Said, document, problem
from tests.live.calls import ANN, AUTH, COMMAND, contract, run

from upheld.report import json_report

pytestmark = pytest.mark.live
WHOLE = ("--no-fuzz", "--quick")
FEW = ("--no-fuzz", "--only", "http/challenge", "--only", "http/allow")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def notes() -> Iterator[Notes]:
    with Notes() as running:
        yield running


# -- what they print -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("args", [["--version"], ["--help"], ["list"], ["check", "--help"]])
def test_what_needs_no_run_loads_nothing_heavy(args: list[str]) -> None:
    code = (
        "import sys\n"
        "from upheld.cli import main\n"
        "try: main()\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "heavy = {'pydantic', 'httpx', 'schemathesis', 'hypothesis', 'locust', 'rich', 'jinja2', 'fastapi', 'jwt'}\n"
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, *args], capture_output=True, text=True, check=True)
    assert ended.stderr.strip() == "[]"
    assert ended.stdout


def test_the_catalogue_as_json() -> None:
    listed = json.loads(run("list", "--json", "--only", "http", "--skip", "http/allow").out)
    assert {entry["id"] for entry in listed} >= {"http/challenge"}
    assert "http/allow" not in {entry["id"] for entry in listed}
    assert all({"id", "level", "title", "clause", "catalogue"} <= set(entry) for entry in listed)


@pytest.mark.parametrize("name", ["http/challenge", "http", "HTTP-03", "*/chall*"])
def test_checks_are_chosen_by_id_group_number_and_glob(name: str) -> None:
    ids = [entry["id"] for entry in json.loads(run("list", "--json", "--only", name).out)]
    assert ids
    assert all(id.startswith("http/") for id in ids) or name == "HTTP-03"


def test_the_page_of_a_requirement() -> None:
    said = run("explain", "http/allow").out
    for heading in ("What it requires", "Why", "What it sends", "Example of a breach", "When to waive it"):
        assert heading in said


def test_the_plan_is_json_and_sends_nothing(notes: Notes) -> None:
    before = notes.asked.total()
    contract(Path("shop"), AUTH, target=notes.url)
    planned = json.loads(run("plan", "shop", "--json", "--only", "http").out)
    assert notes.asked.total() == before
    ended = run("check", "shop", "--only", "http", *WHOLE)
    promised = json.dumps(planned)
    assert all(json.dumps(id)[1:-1] in promised for id in ("http/challenge", "GET /me"))
    assert ended.status == 0, ended.all
    assert run("plan", "shop").out


def test_a_whole_run_on_a_service_that_keeps_its_contract(notes: Notes) -> None:
    ended = run("check", contract(Path("shop")), "--target", notes.url, *WHOLE, "--json", "run.json", "--junit", "x.xml", "--html", "x.html")  # fmt: skip
    assert ended.status == 0, ended.all
    assert ended.report == json.loads(Path("run.json").read_text())
    assert jsonschema_rs.validator_for(json_report.schema()).is_valid(ended.report)
    assert ended.report["summary"]["breached"] == 0
    assert ended.report["summary"]["upheld"] > 80
    assert Path("x.xml").read_text().startswith("<?xml")
    assert "<html" in Path("x.html").read_text()
    assert re.search(r"All \d+ promises that could be judged are kept", ended.out)


def test_json_on_standard_output_is_all_that_is_there(notes: Notes) -> None:
    ended = run("check", contract(Path("shop")), "--target", notes.url, *FEW, "--json", "-")
    document = json.loads(ended.out)
    assert jsonschema_rs.validator_for(json_report.schema()).is_valid(document)
    assert "set-up: begins" in ended.err


def test_who_stops_reading_changes_no_status(notes: Notes) -> None:
    class Bare(Notes):
        async def answer(self, asked: Asked) -> Said:
            said = self.kept(asked)
            said.headers.pop("WWW-Authenticate", None)
            return said

    for service, status in ((notes, 0), (Bare(), 1)):
        with service if service is not notes else _open(notes):
            contract(Path("shop"), target=service.url)
            command = [*COMMAND, "check", "shop", *FEW]
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            assert process.stdout is not None
            process.stdout.close()
            _, errors = process.communicate(timeout=30)
            assert process.returncode == status, errors
            assert Path(".upheld/report/report.json").exists()


def _open(notes: Notes):  # type: ignore[no-untyped-def]
    from contextlib import nullcontext

    return nullcontext(notes)


def test_several_contracts_keep_their_reports_apart(notes: Notes) -> None:
    for name in ("a", "b"):
        contract(Path("contracts") / name, target=notes.url)
    ended = run("check", *FEW)
    assert ended.status == 0, ended.all
    reports = [json.loads(Path(f".upheld/report/{name}/report.json").read_text()) for name in ("a", "b")]
    assert [Path(report["contract"]).name for report in reports] == ["a", "b"]
    refused = run("check", *FEW, "--json", "-")
    assert refused.status == 2
    assert "--report FOLDER" in refused.err


# -- a breach ------------------------------------------------------------------------------------------------------------


def test_a_breach_is_told_once_with_what_shows_it_again() -> None:
    class Bare(Notes):
        async def answer(self, asked: Asked) -> Said:
            said = self.kept(asked)
            said.headers.pop("WWW-Authenticate", None)
            return said

    with Bare() as target:
        contract(Path("shop"))
        ended = run("check", "shop", "--target", target.url, *FEW)
        assert ended.status == 1, ended.all
        assert ended.out.count("BREACHED") <= 2
        findings = [finding for finding in ended.report["findings"] if finding["verdict"] == "breached"]
        assert {finding["requirement"] for finding in findings} == {"http/challenge"}
        again = findings[0]["again"]
        assert again == f"upheld check shop --target {target.url} --only http/challenge"
        assert run(*again.split()[1:], "--no-fuzz").status == 1
        assert "curl" in ended.out


def test_one_origin_is_one_finding() -> None:
    class Html(Notes):
        async def answer(self, asked: Asked) -> Said:
            said = self.kept(asked)
            if said.status >= 400:
                said.body, said.headers = b"<h1>no</h1>", {**said.headers, "Content-Type": "text/html"}
            return said

    with Html() as target:
        policy = "errors: {format: rfc9457}\n" + AUTH
        ended = run("check", contract(Path("shop"), policy), "--target", target.url, *WHOLE, "--only", "errors")
    assert ended.status == 1, ended.all
    told = [finding for finding in ended.report["findings"] if finding["requirement"] == "errors/problem-json"]
    assert len(told) == 1, told


# -- budgets -------------------------------------------------------------------------------------------------------------


def test_the_budget_of_requests_is_hard(notes: Notes) -> None:
    before = notes.asked.total()
    ended = run("check", contract(Path("shop")), "--target", notes.url, *WHOLE, "--requests", "50")
    sent = notes.asked.total() - before
    assert ended.report["requests"] <= 50
    assert sent <= 50 + 5  # the look whether anybody is there, and octets that hold two requests
    assert "the budget of 50 requests is spent" in ended.report["stopped"]
    assert any("the budget of 50 requests is spent" in reason for reason in ended.reasons)
    assert ended.status == 0, ended.all
    assert "NOTE  stopped: the budget of 50 requests" in ended.out


def test_the_budget_of_seconds_is_hard() -> None:
    class Slow(Notes):
        async def answer(self, asked: Asked) -> Said:
            import asyncio

            await asyncio.sleep(0 if asked.path == "/" else 1.2)
            return self.kept(asked)

    with Slow() as target:
        ended = run("check", contract(Path("shop")), "--target", target.url, *WHOLE, "--seconds", "3")
    assert ended.report["seconds"] < 4
    assert "the budget of 3 s is spent" in ended.report["stopped"]
    assert ended.status == 0, ended.all


def test_the_budget_of_requests_holds_for_fuzzing_too(notes: Notes) -> None:
    before = notes.asked.total()
    shop = contract(Path("shop"), "fuzz: {seconds: 25}\n" + AUTH)  # most of them for loading the engine
    ended = run("check", shop, "--target", notes.url, "--only", "body", "--requests", "60")
    assert notes.asked.total() - before <= 60 + 1  # the look whether anybody is there
    assert "budget of requests" in ended.report["stopped"]
    assert ended.report["requests"] > 40
    assert ended.status in (0, 1), ended.all
    assert not [note for note in ended.report["notes"] if "defect" in note]


# -- moods ---------------------------------------------------------------------------------------------------------------


def test_what_fails_now_and_then_is_flaky_and_no_breach() -> None:
    failed: set[tuple[str, str]] = set()

    class Moody(Notes):
        async def answer(self, asked: Asked) -> Said:
            # Not twice in one place, as a repetition would by chance.
            what = (asked.method, asked.path.rpartition("/")[0])
            fails = asked.number % 53 == 0 and what not in failed
            failed.update({what} if fails else ())
            return problem(500) if fails else self.kept(asked)

    with Moody() as target:
        ended = run("check", contract(Path("shop")), "--target", target.url, *WHOLE)
    assert ended.report["summary"]["flaky"], ended.all
    assert ended.report["summary"]["breached"] == 0, ended.all
    assert ended.status == 0
    assert "FLAKY" in ended.out


def test_a_service_full_of_429_is_waited_for_and_not_accused() -> None:
    class Busy(Notes):
        async def answer(self, asked: Asked) -> Said:
            busy = asked.path != "/" and hash((asked.number, "x")) % 3 == 0
            return problem(429, Retry_After="0") if busy else self.kept(asked)

    with Busy() as target:
        ended = run(
            "check", contract(Path("shop")), "--target", target.url, "--no-fuzz", "--only", "http", "--only", "auth"
        )
    breached = {id for id, verdict in ended.verdicts.items() if verdict == "breached"}
    # 429 is not in the document, and that is so.
    assert {id.split("[")[0] for id in breached} <= {"http/undocumented-status"}, ended.out
    assert ended.report["summary"]["upheld"] > 30


def test_a_service_that_is_always_busy_ends_soon() -> None:
    class Busy(Notes):
        async def answer(self, asked: Asked) -> Said:
            return problem(429, Retry_After="3600")

    with Busy() as target:
        ended = run("check", contract(Path("shop")), "--target", target.url, *WHOLE, "--only", "http", "--only", "auth")
    assert ended.report["seconds"] < 10
    assert ended.report["summary"]["breached"] == 0 or {
        promise["requirement"] for promise in ended.report["promises"] if promise["verdict"] == "breached"
    } == {"http/undocumented-status"}
    assert any("429" in reason for reason in ended.reasons), ended.reasons


def test_a_credential_that_is_lost_is_told_renewed_and_what_used_it_played_again() -> None:
    class Forgetful(Notes):
        """The third removal of a note ends every session that there is."""

        removed = 0

        async def answer(self, asked: Asked) -> Said:
            said = self.kept(asked)
            if asked.method == "DELETE" and said.status == 204:
                self.removed += 1
                if self.removed == 3:
                    self.tokens.clear()
            return said

    with Forgetful() as target:
        ended = run(
            "check",
            contract(Path("shop"), AUTH + ANN),
            "--target",
            target.url,
            *WHOLE,
            env={"NOTES_ANN_PASSWORD": "Ann-password-1"},
        )
    lost = [note for note in ended.report["notes"] if "credential of ann lost after" in note]
    assert lost, ended.all
    assert "DELETE /notes/{id}" in lost[0] or "POST /notes" in lost[0]
    assert ended.report["summary"]["breached"] == 0, ended.all
    logins = [asked for asked in target.log if asked.path == "/auth/login" and b"ann@example.test" in asked.body]
    assert len([asked for asked in logins if asked.json()["password"] == "Ann-password-1"]) >= 2
    assert ended.status == 0, ended.all


# -- safety --------------------------------------------------------------------------------------------------------------


def test_redirects_to_other_hosts_are_not_followed(notes: Notes) -> None:
    with Notes() as elsewhere:

        class Away(Notes):
            async def answer(self, asked: Asked) -> Said:
                if asked.path in ("/notes", "/me", "/openapi.json"):
                    return Said(307, b"", {"Location": elsewhere.url + asked.target})
                return self.kept(asked)

        with Away() as target:
            policy = f"target: {{url: '{target.url}', served_spec: /openapi.json}}\n" + AUTH
            ended = run("check", contract(Path("shop"), policy), *WHOLE)
    assert ended.status in (0, 1), ended.all
    assert elsewhere.asked.total() == 0


def test_only_the_target_is_contacted(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    contacted: Counter[str] = Counter()

    def hook(event: str, args: tuple[object, ...]) -> None:
        if event == "socket.connect" and watching and isinstance(args[1], tuple):
            contacted[f"{args[1][0]}:{args[1][1]}"] += 1

    watching = True
    sys.addaudithook(hook)
    spec = document("https://shop.example.com")
    try:
        ended = run("check", contract(Path("shop"), spec=spec), "--target", notes.url, *WHOLE)
    finally:
        watching = False
    assert ended.status in (0, 1), ended.all
    assert set(contacted) <= {urlsplit(notes.url).netloc}, contacted


def test_no_secret_is_printed_or_written() -> None:
    class Leaky(Notes):
        """It echoes what it is sent, in bodies and header fields, and breaks many promises while it does."""

        async def answer(self, asked: Asked) -> Said:
            said = self.kept(asked)
            said.headers.pop("WWW-Authenticate", None)
            said.headers["X-Echo"] = asked.headers.get("authorization", "none")
            if said.status >= 400:
                seen = {"echo": asked.body.decode("utf-8", "replace"), "as": asked.headers.get("authorization")}
                said.body, said.headers["Content-Type"] = seen, "application/json"
            return said

    with Leaky() as target:
        ended = run(
            "check",
            contract(Path("shop"), AUTH + ANN),
            "--target",
            target.url,
            *WHOLE,
            "--verbose",
            "--json",
            "run.json",
            env={"NOTES_ANN_PASSWORD": "Ann-password-1"},
        )
    assert ended.status == 1, ended.all
    written = {"terminal": ended.all, "run.json": Path("run.json").read_text()}
    written |= ended.files
    assert {"report.html", "report.json", "junit.xml"} <= set(written)
    assert any(name.startswith("replays/") for name in written)
    secrets = {*target.tokens, *target.users.values()}
    assert len(secrets) > 5
    for name, text in written.items():
        assert not [secret for secret in secrets if secret in text], name


# -- the shortest way in -------------------------------------------------------------------------------------------------


def test_the_shortest_contract_on_a_service_that_serves_its_document(notes: Notes) -> None:
    Path("shop").mkdir()
    Path("shop/upheld.yaml").write_text(f'upheld: 1\nopenapi: /openapi.json\ntarget: {{url: "{notes.url}"}}\n')
    ended = run("check", "shop", *WHOLE)
    assert ended.status == 0, ended.all
    assert ended.report["summary"]["upheld"] > 60
    assert run("plan", "shop").status == 0


def test_the_shortest_contract_on_the_reference() -> None:
    Path("shop").mkdir()
    Path("shop/upheld.yaml").write_text(
        "upheld: 1\nopenapi: /openapi.json\ntarget: {embedded: true}\nidentities: {alice: {role: user}}\n"
    )
    ended = run("check", "shop", *FEW)
    assert ended.status == 0, ended.all
    assert ended.report["summary"]["upheld"] >= 10
