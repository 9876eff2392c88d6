"""`upheld report` and `upheld verify`: what was verified is claimed and stands; what a stranger claims is tried."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.live.apps.notes import Notes
from tests.live.calls import AUTH, Ended, contract, run

from upheld.contract.implementation import read_implementation

pytestmark = pytest.mark.live
GUIDE = Path(__file__).parents[2] / "docs" / "guides" / "implementation-report.md"
SOME = ("--no-fuzz", "--quick", "--only", "drift,auth/credentials-required,body/response-schema,http/allow,cors")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def notes() -> Iterator[Notes]:
    with Notes() as running:
        yield running


def claimed(**members: Any) -> Path:
    file = Path("claims.json")
    file.write_text(json.dumps({"feature": "Notes", "endpoints_created": [], **members}))
    return file


def verdicts(ended: Ended) -> dict[str, dict[str, Any]]:
    """Pointer → claim, of ``--json -``."""
    assert ended.out.startswith("{"), ended.all
    return {claim["pointer"]: claim for claim in json.loads(ended.out)["claims"]}


def told(ended: Ended) -> dict[str, str]:
    return {pointer: claim["verdict"] for pointer, claim in verdicts(ended).items()}


def test_what_was_verified_stands_when_it_is_verified(notes: Notes) -> None:
    shop = contract(Path("shop"), target=notes.url)
    checked = run("check", shop, *SOME)
    assert checked.status == 0, checked.all
    made = run("report", "--implementation", "-o", "out/implementation.json", "--postman", "out/shop.json")
    assert made.status == 0, made.all
    report = json.loads(Path("out/implementation.json").read_text())
    lines = [f"{e['method']} {e['path']} {e.get('auth')}" for e in report["endpoints_created"]]
    assert {"GET /notes none", "POST /notes bearer", "GET /notes/{id} none"} <= set(lines)
    assert report["documentation"]["postman_collection"] == "shop.json"
    assert report["test_commands"]
    assert all(report["verified"][f"/test_commands/{at}"] for at, _ in enumerate(report["test_commands"]))
    assert "DELETE /me" in [line["claim"] for line in report["unproven"]]

    again = run("verify", "out/implementation.json", shop, "--json", "-")
    found = told(again)
    assert again.status == 0, again.all
    assert set(found.values()) <= {"upheld", "unproven"}
    assert [
        pointer for pointer, verdict in found.items() if pointer.startswith("/endpoints") and verdict != "upheld"
    ] == []
    assert found["/documentation/postman_collection"] == "upheld"


def test_a_strangers_claims(notes: Notes) -> None:
    shop = contract(Path("shop"), target=notes.url)
    file = claimed(
        endpoints_created=[
            {"method": "GET", "path": "/notes", "auth": True, "rate_limit": "5/min"},
            {"method": "POST", "path": "/notes", "auth": "bearer"},
            {"method": "GET", "path": "/strange"},
            {"method": "POST", "path": "/strange"},
            {"method": "GET", "path": "/strange/{id}"},
            {"method": "POST", "path": "/auth/login", "auth": "none"},
            {"method": "GET", "path": "/me", "auth": "none"},
        ],
        models_created=["Note"],
        middleware_added=["SecurityHeadersMiddleware", "CORS"],
        security_measures=["bcrypt", "TLS 1.3"],
        documentation={"openapi_updated": True, "postman_collection": "nowhere.json"},
    )
    ended = run("verify", file, shop, "--json", "-")
    assert ended.status == 1, ended.all
    assert told(ended) == {
        "/endpoints_created/0": "upheld",
        "/endpoints_created/0/auth": "breached",
        "/endpoints_created/0/rate_limit": "breached",
        "/endpoints_created/1": "upheld",
        "/endpoints_created/1/auth": "upheld",
        "/endpoints_created/2": "breached",
        "/endpoints_created/3": "unproven",
        "/endpoints_created/4": "unproven",
        "/endpoints_created/5": "upheld",
        "/endpoints_created/5/auth": "upheld",
        "/endpoints_created/6": "upheld",
        "/endpoints_created/6/auth": "breached",
        "/models_created/0": "unproven",
        "/middleware_added/0": "unproven",
        "/middleware_added/1": "unproven",
        "/security_measures/0": "unproven",
        "/security_measures/1": "unproven",
        "/documentation/openapi_updated": "breached",
        "/documentation/postman_collection": "unproven",
    }
    found = verdicts(ended)
    assert found["/endpoints_created/3"]["add"] == "--allow-writes"
    assert "nobody here knows" in found["/security_measures/1"]["reason"]
    assert found["/endpoints_created/1/auth"]["by"] == ["auth/credentials-required[POST /notes]"]
    assert "curl" in found["/endpoints_created/0/auth"]["findings"][0]["curl"]
    assert notes.asked["POST /strange"] == 0


def test_commands_are_read_and_sent_to_the_target_alone(notes: Notes) -> None:
    shop = contract(Path("shop"), target=notes.url)
    write = f"curl {notes.url}/notes -H 'Authorization: Bearer $TOKEN' --json '{{\"text\": \"a\"}}'"
    file = claimed(
        test_commands=[
            f"curl -s {notes.url}/notes | jq .",
            f'curl {notes.url}/me -H "Authorization: Bearer $TOKEN"',
            f"curl {notes.url}/nothing",
            "curl http://127.0.0.1:9/notes",
            f"curl {notes.url}/notes; touch owned",
            f"curl {notes.url}/notes -o owned",
            write,
            f"curl -X DELETE {notes.url}/me -H 'Authorization: Bearer $TOKEN'",
            f"curl -X DELETE {notes.url}//m%65/ -H 'Authorization: Bearer $TOKEN'",
        ]
    )
    ended = run("verify", file, shop, "--json", "-")
    assert ended.status == 1, ended.all
    expected = ["upheld", "upheld", "breached", "unproven", "unproven", "upheld", "unproven", "unproven", "unproven"]
    assert list(told(ended).values()) == expected
    assert "127.0.0.1:9, which is not the target" in verdicts(ended)["/test_commands/3"]["reason"]
    assert not Path("owned").exists()
    assert (notes.asked["POST /notes"], notes.asked["DELETE /me"]) == (0, 0)
    allowed = run("verify", file, shop, "--allow-writes", "--json", "-")
    assert list(told(allowed).values()) == [*expected[:6], "upheld", "unproven", "unproven"]
    assert notes.asked["DELETE /me"] == 0, "ends an account"
    assert re.search(r"notes-token-\w+", ended.all + allowed.all) is None


def test_a_login_gets_somebody_made_for_it(notes: Notes) -> None:
    shop = contract(Path("shop"), target=notes.url)
    body = '{"email": "$EMAIL", "password": "$PASSWORD"}'
    file = claimed(
        test_commands=[f"curl {notes.url}/auth/login --json '{body}'", f"curl {notes.url}/notes --json '{body}'"]
    )
    without = run("verify", file, shop, "--json", "-")
    assert [claim["verdict"] for claim in verdicts(without).values()] == ["unproven", "unproven"]
    ended = run("verify", file, shop, "--allow-writes", "--json", "-")
    assert list(told(ended).values()) == ["upheld", "unproven"], ended.all
    assert not any(password in ended.all for password in notes.users.values())


def test_what_is_shown(notes: Notes) -> None:
    shop = contract(Path("shop"), target=notes.url)
    file = claimed(endpoints_created=[{"method": "GET", "path": "/strange"}], security_measures=["TLS"])
    ended = run("verify", file, shop)
    assert ended.status == 1
    lines = ended.out.splitlines()
    assert "BREACHED  GET /strange exists" in lines
    assert "UNPROVEN  TLS" in lines
    assert any(line.startswith("  curl       curl -i") for line in lines)
    assert lines[-1] == "2 claims: 0 upheld, 1 breached, 1 unproven"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("report",), "--implementation"),
        (("report", "nowhere.json", "--implementation"), "cannot be read"),
        (("verify", "nowhere.json"), "cannot be read"),
        (("verify", "bad.json"), "bad.json: /endpoints_created/0/path: "),
    ],
)
def test_bad_calls_are_told(words: tuple[str, ...], said: str) -> None:
    Path("bad.json").write_text('{"feature": "x", "endpoints_created": [{"method": "GET", "path": "x"}]}')
    ended = run(*words)
    assert (ended.status, said in ended.err) == (2, True), ended.all


def test_a_collection_needs_no_run(notes: Notes) -> None:
    shop = contract(Path("shop"), AUTH, target=notes.url)
    ended = run("report", "--contract", shop, "--postman", "shop.json")
    assert ended.status == 0, ended.all
    made = json.loads(Path("shop.json").read_text())
    assert {"key": "base_url", "value": notes.url, "type": "string"} in made["variable"]
    assert notes.asked.total() == 0


def test_the_schema_is_printed() -> None:
    assert json.loads(run("schema", "--implementation").out)["$id"] == "urn:upheld:implementation:1"
    assert "identities" in json.loads(run("schema").out)["properties"]


def test_the_commands_of_the_guide_run(notes: Notes) -> None:
    contract(Path("contracts/shop"), target=notes.url)
    text = GUIDE.read_text()
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.MULTILINE | re.DOTALL):
        for line in block.replace("http://127.0.0.1:8000", notes.url).splitlines():
            _, _, *words = shlex.split(line)
            more = SOME if words[0] == "check" else ()
            ended = run(*words, *more)
            assert ended.status == 0, f"{line}\n{ended.all}"


def test_the_report_of_the_guide_can_be_read() -> None:
    (block,) = re.findall(r"^```json\n(.*?)^```$", GUIDE.read_text(), re.MULTILINE | re.DOTALL)
    Path("guide.json").write_text(block)
    assert read_implementation(Path("guide.json")).endpoints[1].needs_credentials is True
    Path("wrong.json").write_text(block.replace('"/notes", "auth": "none"', '"notes", "auth": "none"'))
    said = next(line for line in GUIDE.read_text().splitlines() if line.startswith("error: "))
    assert run("verify", "wrong.json").err.splitlines()[0] == said.replace("implementation.json", "wrong.json")
