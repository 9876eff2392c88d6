"""What goes wrong that is no finding: a clear message, the status of whose fault it is, and the report of what was done."""

from __future__ import annotations

import asyncio
import json
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.apps.notes import Asked, Notes, Said, document, problem
from tests.live.calls import ANN, AUTH, contract, run

pytestmark = pytest.mark.live
FEW = ("--no-fuzz", "--only", "http/challenge", "--only", "http/allow", "--only", "http/server-error")
"""Checks of which there is something to judge on every service, in a fraction of a second."""


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def notes() -> Iterator[Notes]:
    with Notes() as running:
        yield running


# -- the contract --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("auth: {login\n", ["upheld.yaml:"]),
        ("cors:\n  originz: [https://a.example]\n", ["upheld.yaml:3", "originz", "origins"]),
        ("roles:\n  - {op: GET /nowhere, allow: [admin]}\n", ["upheld.yaml:3", "/nowhere"]),
        ("never: [POST /nowhere]\n", ["upheld.yaml:2", "/nowhere"]),
        ("openapi: gone.yaml\n", ["upheld.yaml:2", "gone.yaml"]),
        ("rate_limits: [{op: '**', quota: many, key: ip}]\n", ["upheld.yaml:2", "many"]),
        ("checks: {only: [http/alow]}\n", ["upheld.yaml:2", "http/alow", "http/allow"]),
        ("waive:\n  - {id: http/alow, reason: none, until: 2031-01-01}\n", ["upheld.yaml:3", "http/alow"]),
    ],
)
def test_a_wrong_policy_is_told_with_its_line(policy: str, says: list[str]) -> None:
    ended = run("check", contract(Path("shop"), policy))
    assert ended.status == 2, ended.all
    assert ended.err.startswith("error: ")
    for words in says:
        assert words in ended.err
    assert "Traceback" not in ended.all


def _with(**changes: object) -> str:
    return json.dumps({**document(), **changes}, indent=1)


@pytest.mark.parametrize(
    ("spec", "says"),
    [
        ("{", "openapi.json:1"),
        ("[]", "openapi.json"),
        ("<html></html>", "openapi.json"),
        (_with(paths={}), "operation"),
        (_with(paths={"/a": {"$ref": "https://example.com/paths.yaml"}}), "https://example.com/paths.yaml"),
        (
            _with(paths={"/a": {"$ref": "#/paths/~1b"}, "/b": {"$ref": "#/paths/~1a"}}),
            "json:17: $ref '#/paths/~1b' goes round",
        ),
        (_with(paths={"/a": {"$ref": "#/paths/~1nowhere"}}), "nowhere"),
    ],
)
def test_a_wrong_document_is_told(spec: str, says: str) -> None:
    ended = run("check", contract(Path("shop"), "", spec=spec), "--target", "http://127.0.0.1:9")
    assert ended.status == 2, ended.all
    assert says in ended.err, ended.err
    assert "Traceback" not in ended.all


def test_schemas_that_refer_to_themselves_are_nothing_wrong(notes: Notes) -> None:
    spec = document()
    spec["components"]["schemas"] = {
        "Tree": {"type": "object", "properties": {"t": {"$ref": "#/components/schemas/Tree"}}}
    }
    spec["paths"]["/health"]["get"]["responses"]["200"]["content"]["application/json"]["schema"] = {
        "$ref": "#/components/schemas/Tree"
    }
    ended = run("check", contract(Path("shop"), spec=spec), "--target", notes.url, *FEW)
    assert ended.status == 0, ended.all


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (("check", "nowhere"), "nowhere"),
        (("check", "shop", "--only", "http/alow"), "did you mean 'http/allow'"),
        (("check", "shop", "--only", "http", "--skip", "http"), "nothing is left"),
        (("check", "shop", "--target", "127.0.0.1:80"), "is not a URL"),
        (("check", "shop", "--target", "http://example.com"), "--allow-host example.com"),
        (("check", "shop", "--target", "http://u:p@127.0.0.1:1"), "password"),
        (("check", "shop", "--requests", "0"), "--requests"),
        (("check", "shop", "--report", "shop/upheld.yaml"), "shop/upheld.yaml"),
        (("check", "shop"), "--target URL"),
        (("plan", "shop", "--only", "nothing-like-it"), "nothing-like-it"),
        (("explain", "http/alow"), "http/allow"),
        (("list", "--only", "http", "--skip", "http"), "nothing is left"),
        (("chek",), "chek"),
    ],
)
def test_a_wrong_call_is_told(args: tuple[str, ...], says: str) -> None:
    contract(Path("shop"))
    ended = run(*args)
    assert ended.status == 2, ended.all
    assert says in ended.err, ended.err
    assert "Traceback" not in ended.all


def test_a_contract_that_is_wrong_is_told_before_another_one_is_run(notes: Notes) -> None:
    contract(Path("contracts/a"), target=notes.url)
    contract(Path("contracts/b"), "never: [POST /nowhere]\n", target=notes.url)
    before = notes.asked.total()
    ended = run("check", *FEW)
    assert ended.status == 2, ended.all
    assert "contracts/b/upheld.yaml:3" in ended.err
    assert notes.asked.total() == before


def test_a_place_where_no_report_can_be_is_told_before_anything_is_sent(notes: Notes) -> None:
    Path("out").mkdir()
    Path("out/report.html").write_text("mine")
    before = notes.asked.total()
    ended = run("check", contract(Path("shop")), "--target", notes.url, "--report", "out")
    assert ended.status == 2
    assert "out/report.html" in ended.err
    assert notes.asked.total() == before
    assert Path("out/report.html").read_text() == "mine"


# -- credentials ---------------------------------------------------------------------------------------------------------


def test_an_environment_variable_that_is_not_set_is_said_first(notes: Notes) -> None:
    login = AUTH.replace("  register: {op: POST /auth/register, body: {email: $user, password: $password}}\n", "")
    ended = run(
        "check", contract(Path("shop"), login + ANN), "--target", notes.url, *FEW, env={"NOTES_ANN_PASSWORD": None}
    )
    assert ended.status == 2, ended.all
    told = (
        "ann: the environment variable NOTES_ANN_PASSWORD is not set (shop/upheld.yaml:4, identities.ann.password_env)"
    )
    assert told in ended.report["notes"][0]
    assert told in ended.out[: ended.out.index("UNPROVEN")]
    assert "breached" not in ended.verdicts.values()


@pytest.mark.parametrize("kind", ["password", "token"])
def test_wrong_credentials_make_unproven_and_are_said_first(notes: Notes, kind: str) -> None:
    who = ANN if kind == "password" else ANN.replace("password_env", "token_env")
    ended = run(
        "check",
        contract(Path("shop"), AUTH + who),
        "--target",
        notes.url,
        "--no-fuzz",
        "--quick",
        "--only",
        "http",
        "--only",
        "auth",
        "--only",
        "body",
        env={"NOTES_ANN_PASSWORD": "wrong-password-17"},
    )
    assert ended.status == 3, ended.all
    assert "ann" in ended.report["notes"][0]
    assert "401" in ended.report["notes"][0]
    assert ended.report["summary"]["breached"] == 0, ended.out
    blocks = [line for line in ended.out.splitlines() if line.startswith("UNPROVEN")]
    assert 1 <= len(blocks) <= 12
    assert "wrong-password-17" not in ended.all


def test_a_service_that_echoes_the_password_does_not_bring_it_into_the_notes() -> None:
    class Echo(Notes):
        async def answer(self, asked: Asked) -> Said:
            if asked.path == "/auth/login":
                return Said(401, {"detail": asked.body.decode()}, {"WWW-Authenticate": "Bearer"})
            return self.kept(asked)

    with Echo() as target:
        ended = run(
            "check",
            contract(Path("shop"), AUTH + ANN),
            "--target",
            target.url,
            *FEW,
            env={"NOTES_ANN_PASSWORD": "Very-Secret-4711"},
        )
    assert ended.status == 3, ended.all
    assert "Very-Secret-4711" not in ended.all
    assert [name for name, text in ended.files.items() if "Very-Secret-4711" in text] == []


# -- targets -------------------------------------------------------------------------------------------------------------


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_a_target_that_refuses() -> None:
    ended = run("check", contract(Path("shop")), "--target", f"http://127.0.0.1:{_free()}")
    assert ended.status == 3
    assert "refused" in ended.err


def test_a_target_that_never_answers() -> None:
    class Mute(Notes):
        async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(60)

    began = time.monotonic()
    with Mute() as target:
        ended = run("check", contract(Path("shop")), "--target", target.url)
    assert ended.status == 3
    assert "does not answer within" in ended.err
    assert time.monotonic() - began < 12


@pytest.mark.parametrize("octets", [b"SSH-2.0-OpenSSH_9.6\r\n", b"\x00\xff" * 64, b""])
def test_a_target_that_speaks_no_http(octets: bytes) -> None:
    class Other(Notes):
        async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.read(1)
            writer.write(octets)

    with Other() as target:
        ended = run("check", contract(Path("shop")), "--target", target.url)
    assert ended.status == 3, ended.all
    assert target.url in ended.err


def test_another_service_is_a_set_up_error() -> None:
    class Other(Notes):
        async def answer(self, asked: Asked) -> Said:
            return Said(200, {}) if asked.path == "/" else problem(404)

    with Other() as target:
        ended = run("check", contract(Path("shop")), "--target", target.url)
    assert ended.status == 3, ended.all
    assert "every operation that was tried is 404" in ended.report["stopped"]
    assert ended.report["summary"]["breached"] == 0
    assert ended.report["requests"] <= 6
    assert set(ended.verdicts.values()) <= {"unproven", "not applicable"}


def test_members_that_are_not_there_make_no_set_up_error(notes: Notes) -> None:
    spec = document()
    spec["paths"] = {path: item for path, item in spec["paths"].items() if path in ("/notes/{id}", "/auth/login")}
    ended = run("check", contract(Path("shop"), "", spec=spec), "--target", notes.url, *FEW)
    assert ended.status in (0, 1), ended.all


def test_a_contract_without_anything_to_get(notes: Notes) -> None:
    spec = document()
    spec["paths"] = {"/auth/login": spec["paths"]["/auth/login"]}
    ended = run("check", contract(Path("shop"), "", spec=spec), "--target", notes.url, *FEW)
    assert ended.status == 0, ended.all


def test_a_target_that_dies_half_way_keeps_the_report() -> None:
    class Mortal(Notes):
        async def answer(self, asked: Asked) -> Said | None:
            if asked.number > 40:
                self.die()
                return None
            return self.kept(asked)

    with Mortal() as target:
        ended = run("check", contract(Path("shop")), "--target", target.url, "--no-fuzz", "--quick")
    assert ended.status == 3, ended.all
    report = ended.report
    assert "does not answer any more" in report["stopped"]
    assert report["exit_status"] == 3
    assert report["requests"] >= 20
    assert any("the run ended before" in reason for reason in ended.reasons)
    assert (ended.folder / "junit.xml").stat().st_size
    assert (ended.folder / "report.html").stat().st_size


def test_a_hung_operation_does_not_end_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    class Hung(Notes):
        async def answer(self, asked: Asked) -> Said:
            if asked.path == "/me":
                await asyncio.sleep(60)
            return self.kept(asked)

    _impatient(monkeypatch, 0.4)
    with Hung() as target:
        ended = run("check", contract(Path("shop")), "--target", target.url, *FEW)
    assert ended.status in (0, 1), ended.all
    silent = {promise["id"] for promise in ended.report["promises"] if "answer" in promise.get("reason", "")}
    assert silent
    assert all("/me" in id for id in silent), silent
    assert "upheld" in {verdict for id, verdict in ended.verdicts.items() if "/notes" in id}
    assert target.asked["GET /me"] <= 8


def _impatient(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    """Let the driver wait for an answer so long and no longer."""
    from upheld.run import transport

    monkeypatch.setattr(
        transport.HttpTransport, "timeout", property(lambda self: seconds, lambda self, value: None), False
    )


WHOLE = ("--no-fuzz", "--quick")


@pytest.mark.parametrize(
    "said",
    [
        Said(200, b"\x00\xff\xfe", {"Content-Type": "application/json; charset=\xff"}),
        Said(200, b"[" * 5000, {"Content-Type": "application/json"}),
        Said(200, b"null", {"Content-Type": "application/json"}),
        Said(200, b'{"items": 7, "id": [], "access_token": {}, "email": 1e999}', {"Content-Type": "application/json"}),
        Said(200, b"", {"Content-Type": "", "ETag": "W/", "Location": "http://[::1", "Date": "yesterday", "Age": "-1"}),
        Said(401, b"", {"WWW-Authenticate": 'Bearer realm="', "Set-Cookie": "=;;=", "Retry-After": "\xb2"}),
        Said(405, b"<", {"Allow": ",,;", "Content-Type": "text/html", "Cache-Control": "max-age=\xb2, =,"}),
        Said(500, b'{"status": "\\ud800"}', {"Content-Type": "application/problem+json", "RateLimit": "x;;"}),
        Said(299, b"\x1f\x8b\x08broken", {"Content-Encoding": "gzip", "Content-Type": "application/json"}),
        Said(999, b"odd"),
    ],
    ids=str,
)
def test_whatever_is_answered_is_no_defect_of_ours(said: Said) -> None:
    class Garbage(Notes):
        async def answer(self, asked: Asked) -> Said:
            return said

    with Garbage() as target:
        ended = run("check", contract(Path("shop")), "--target", target.url, *WHOLE, "--seconds", "10")
    assert ended.status in (0, 1, 3), ended.all
    assert "a defect of Upheld" not in ended.all


@pytest.mark.parametrize(
    "octets",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nshort",
        b"HTTP/1.1 200 OK\r\nContent-Length: \xb2\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-5\r\nab\r\n0\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 50,
        b"<html>",
    ],
    ids=str,
)
def test_octets_that_are_no_response_are_no_defect_of_ours(octets: bytes) -> None:
    class Garbage(Notes):
        async def answer(self, asked: Asked) -> Said | bytes:
            return self.kept(asked) if asked.path in ("/", "/health") else octets

    with Garbage() as target:
        ended = run("check", contract(Path("shop")), "--target", target.url, *WHOLE, "--seconds", "10")
    assert ended.status in (0, 1, 3), ended.all
    assert "a defect of Upheld" not in ended.all


def test_a_body_without_end_is_read_up_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    class Endless(Notes):
        async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            if b"GET /notes " not in head and b"GET /health " not in head:
                writer.write(problem(404, Connection="close").octets("GET"))
                return
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
            while True:
                writer.write(b" " * 262_144)
                await writer.drain()

    with Endless() as target:
        ended = run("check", contract(Path("shop")), "--target", target.url, *FEW, "--seconds", "10")
    assert ended.status in (0, 1), ended.all
    assert ended.report["seconds"] < 10


# -- where the document is served ----------------------------------------------------------------------------------------


def test_a_served_document_that_is_none() -> None:
    class Page(Notes):
        async def answer(self, asked: Asked) -> Said:
            if asked.path == "/openapi.json":
                return Said(200, b"<html>hello</html>", {"Content-Type": "text/html"})
            return self.kept(asked)

    folder = contract(Path("shop"), "openapi: /openapi.json\n" + AUTH)
    with Page() as target:
        ended = run("check", folder, "--target", target.url, *FEW)
    assert ended.status == 2, ended.all
    assert "/openapi.json" in ended.err


def test_a_document_that_is_served_nowhere(notes: Notes) -> None:
    folder = contract(Path("shop"), "openapi: /nowhere.json\n" + AUTH)
    ended = run("check", folder, "--target", notes.url, *FEW)
    assert ended.status == 3, ended.all
    assert "/nowhere.json answered 404" in ended.err


def test_a_document_on_another_host_is_not_fetched(notes: Notes) -> None:
    folder = contract(Path("shop"), "openapi: http://127.0.0.2:9/openapi.json\n" + AUTH)
    ended = run("check", folder, "--target", notes.url, *FEW)
    assert ended.status in (2, 3), ended.all
    assert "another host" in ended.err


# -- ports ---------------------------------------------------------------------------------------------------------------


def test_a_port_in_use_is_told(notes: Notes) -> None:
    ended = run("serve", "--port", str(notes.port))
    assert ended.status == 2
    assert f"port {notes.port} is taken" in ended.err


def test_a_command_whose_port_is_taken(notes: Notes) -> None:
    policy = f'target: {{start: "sleep 30", url: "http://127.0.0.1:{notes.port}", ready_within: 5s}}\n' + AUTH
    ended = run("check", contract(Path("shop"), policy), *FEW)
    assert ended.status == 3, ended.all
    assert f"port {notes.port} is taken" in ended.err


def test_a_command_that_ends_at_once_is_quoted() -> None:
    policy = 'target: {start: "echo no database; exit 7", ready_within: 5s}\n' + AUTH
    ended = run("check", contract(Path("shop"), policy), *FEW)
    assert ended.status == 3, ended.all
    assert "no database" in ended.err


# -- us ------------------------------------------------------------------------------------------------------------------


def test_our_own_crash_accuses_nobody(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    from upheld.run import examine

    async def crash(*_: object) -> None:
        raise KeyError("a slip of ours")

    monkeypatch.setattr(examine, "reach", crash)
    ended = run("check", contract(Path("shop")), "--target", notes.url, *FEW)
    assert ended.status == 4, ended.all
    assert "a slip of ours" in ended.report["stopped"]


def test_our_own_crash_outside_a_run_accuses_nobody(notes: Notes, monkeypatch: pytest.MonkeyPatch) -> None:
    from upheld.run import examine

    def crash(*_: object, **__: object) -> None:
        raise KeyError("a slip of ours")

    monkeypatch.setattr(examine, "examine", crash)
    ended = run("check", contract(Path("shop")), "--target", notes.url, *FEW)
    assert ended.status == 4, ended.all
    assert "please report it" in ended.err
