"""The curl line, run by a real shell with a curl that tells what it was given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from upheld.exchange import Headers, Request, Session
from upheld.report.curl import LONGEST, curl
from upheld.report.mask import Masker

BASE = "http://127.0.0.1:8500"
FAKE = f"""#!{sys.executable}
import json, os, sys
argv = [os.fsencode(word).decode("utf-8", "surrogateescape") for word in sys.argv[1:]]
body = sys.stdin.buffer.read().hex() if "@-" in argv else None
with open(os.environ["SAID"], "w") as file:
    json.dump([argv, body], file)
"""

Ran = tuple[list[str], bytes | None]
Shell = Callable[..., Ran]


@pytest.fixture(scope="module", params=["bash", "sh"])
def shell(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Shell:
    """Runs a line and gives curl's arguments and standard input."""
    folder = tmp_path_factory.mktemp("bin")
    (folder / "curl").write_text(FAKE)
    (folder / "curl").chmod(0o755)

    def run(line: str, **environment: str) -> Ran:
        assert "\n" not in line
        assert line.isprintable()
        said = folder / "said"
        said.unlink(missing_ok=True)
        env = {
            "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}",
            "SAID": str(said),
            "LC_ALL": "C.UTF-8",
            **environment,
        }
        done = subprocess.run([request.param, "-c", line], env=env, capture_output=True, timeout=20, check=False)
        assert (done.returncode, done.stderr) == (0, b"")
        argv, body = json.loads(said.read_text())
        return argv, None if body is None else bytes.fromhex(body)

    return run


def of(request: Request, *secrets: str) -> str:
    return curl(request, BASE, Masker(secrets))


def test_a_plain_get_is_short() -> None:
    assert of(Request("GET", "/api/v1/items", (("page", "2"),))) == (
        "curl -i --path-as-is 'http://127.0.0.1:8500/api/v1/items?page=2'"
    )


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("HEAD", "/"), ["--head"]),
        (Request("DELETE", "/"), ["-X", "DELETE"]),
        (Request("POST", "/"), ["-X", "POST"]),
        (Request("POST", "/", body=b"{}"), ["--data-raw", "{}"]),
        (Request("GET", "/", body=b"{}"), ["-X", "GET"]),
        (Request("G'; touch x #", "/"), ["-X", "G'; touch x #"]),
        (Request("GET", "/a/../b"), ["--path-as-is"]),
        (Request("GET", "/a/{x}[1]"), ["-g", BASE + "/a/{x}[1]"]),
        (Request("OPTIONS", "*"), ["--request-target", "*", BASE + "/"]),
        (Request("GET", "/a b#c"), ["--request-target", "/a b#c", BASE + "/"]),
        (Request("GET", "/", headers=Headers({"X-A": "it's $HOME `id` !!"})), ["-H", "X-A: it's $HOME `id` !!"]),
        (Request("GET", "/", headers=Headers({"X-A": ""})), ["-H", "X-A;"]),
        (Request("GET", "/", headers=Headers({"X-A": "a\r\nX-B: b"})), ["-H", "X-A: a\r\nX-B: b"]),
        (Request("POST", "/", body=b"{}"), ["-H", "Content-Type:"]),
    ],
)
def test_what_curl_is_given(shell: Shell, request_: Request, words: list[str]) -> None:
    argv, _ = shell(of(request_))
    assert any(argv[at : at + len(words)] == words for at in range(len(argv))), argv


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=40) | st.text(max_size=40).map(lambda text: text.encode("utf-8", "replace")))
def test_any_body_arrives_as_it_is(shell: Shell, body: bytes) -> None:
    argv, piped = shell(of(Request("POST", "/", body=body)))
    got = piped if piped is not None else argv[argv.index("--data-raw") + 1].encode("utf-8", "surrogateescape")
    assert got == body


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=30))
def test_any_header_value_arrives_as_it_is(shell: Shell, value: str) -> None:
    argv, _ = shell(of(Request("GET", "/", headers=Headers({"X-A": f"<{value}>"}))))
    assert argv[argv.index("-H") + 1] == f"X-A: <{value}>"


def test_a_session_becomes_a_variable(shell: Shell) -> None:
    session = Session("alice", "user", access="abc", headers=(("Authorization", "Bearer abc"),))
    line = of(Request("GET", "/me", session=session), "abc")
    assert line == f'curl -i --path-as-is {BASE}/me -H "Authorization: Bearer $TOKEN"'
    argv, _ = shell(line, TOKEN="t 1")
    assert "Authorization: Bearer t 1" in argv


def test_a_session_by_api_key_or_cookie_becomes_a_variable(shell: Shell) -> None:
    session = Session("robot", "user", headers=(("X-API-Key", "k"), ("Cookie", "sid=1; t=2")))
    argv, _ = shell(of(Request("GET", "/", session=session)), API_KEY="key", COOKIE="c")
    assert "X-API-Key: key" in argv
    assert "Cookie: sid=c; t=c" in argv


def test_secrets_in_a_json_body_become_variables(shell: Shell) -> None:
    body = Request("POST", "/").with_json(
        {"email": "a@b", "password": 'it\'s "$x"', "refresh_token": "r", "n": "hunter22"}
    )
    argv, _ = shell(of(body, "hunter22"), PASSWORD="pw", REFRESH_TOKEN="rt", SECRET="s")
    assert argv[argv.index("--data-raw") + 1] == '{"email": "a@b", "password": "pw", "refresh_token": "rt", "n": "s"}'


def test_secrets_in_a_piped_body_become_variables(shell: Shell) -> None:
    body = b'{\n "password": "secret-100%",\n "x": "\\n%d"\n}'
    _, piped = shell(of(Request("POST", "/", body=body)), PASSWORD="p%s\\n")
    assert piped == b'{\n "password": "p%s\\n",\n "x": "\\n%d"\n}'


def test_secrets_in_path_and_query_become_variables(shell: Shell) -> None:
    line = of(Request("GET", "/verify/abcdef123456", (("token", "zzz"),)), "abcdef123456")
    argv, _ = shell(line, SECRET="s", TOKEN="t")
    assert argv[-1] == f"{BASE}/verify/s?token=t"


def test_a_header_of_our_own_is_sent_once() -> None:
    session = Session("alice", "user", headers=(("Authorization", "Bearer abc"),))
    line = of(Request("GET", "/", headers=Headers({"authorization": "Basic forged"}), session=session))
    assert line.lower().count("authorization") == 1


def test_a_large_body_travels_compressed(shell: Shell) -> None:
    body = b'{"x": "' + b"a" * 3_000_000 + b'"}'
    line = of(Request("POST", "/", body=body))
    assert len(line) < LONGEST
    assert shell(line)[1] == body


def test_what_is_too_long_to_paste_is_not_told() -> None:
    assert of(Request("POST", "/", body=os.urandom(100_000))) == ""


@given(
    st.text("0123456789abcdef", min_size=12, max_size=20),
    st.text(max_size=10),
    st.sampled_from(["path", "query", "header", "credential", "body", "form", "binary", "large", "session"]),
)
def test_no_known_secret_survives(secret: str, around: str, where: str) -> None:
    text = f"{around}{secret}{around}"
    wire = text.encode("utf-8", "replace")
    request = {
        "path": Request("GET", f"/{text}"),
        "query": Request("GET", "/", ((text.encode("utf-8", "replace").decode(), secret),)),
        "header": Request("GET", "/", headers=Headers({"X-A": text})),
        "credential": Request("GET", "/", headers=Headers({"Authorization": text})),
        "body": Request("POST", "/").with_json({"a": wire.decode()}),
        "form": Request("POST", "/", body=b"a=" + wire),
        "binary": Request("POST", "/", body=b"\0\xff" + wire),
        "large": Request("POST", "/", body=b"a" * 9000 + wire),
        "session": Request("GET", "/", session=Session("a", "user", headers=(("X-Key", text),))),
    }[where]
    assert secret not in of(request, secret)


def test_the_base_url_may_hold_a_password() -> None:
    assert "hunter2" not in curl(Request("GET", "/"), "http://user:hunter2@host", Masker())


def test_the_fake_curl_is_the_one_that_ran(shell: Shell, tmp_path: Path) -> None:
    assert shell("curl a 'b  c'") == (["a", "b  c"], None)
