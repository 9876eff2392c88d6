"""A stranger's curl lines: what is asked for, and what is never done."""

from __future__ import annotations

import pytest

from upheld.exchange import Request, Session
from upheld.report.curl import curl
from upheld.report.mask import Masker
from upheld.run.handover.commands import NotACommand, read_command

HERE = "http://127.0.0.1:8000"


def read(line: str) -> Request:
    return read_command(line, HERE, ("https://shop.example.test",)).request


@pytest.mark.parametrize(
    ("line", "method", "target", "body"),
    [
        ("curl http://127.0.0.1:8000/notes", "GET", "/notes", None),
        ("$ curl -sS -i 'http://localhost:8000/notes?a=1&b=' | jq .", "GET", "/notes?a=1&b=", None),
        ("curl http://127.0.0.1:8000", "GET", "/", None),
        ("curl -X DELETE $BASE_URL/notes/1", "DELETE", "/notes/1", None),
        ("curl -XPUT ${BASE_URL}/notes/1 -d 'a;b'", "PUT", "/notes/1", b"a;b"),
        ('curl "{{base_url}}/notes" --json \'{"text": "a"}\'', "POST", "/notes", b'{"text": "a"}'),
        ("curl -G 127.0.0.1:8000/notes --data-urlencode 'q=a b'", "GET", "/notes?q=a+b", None),
        ("curl -I http://127.0.0.1:8000/notes", "HEAD", "/notes", None),
        ("curl https://shop.example.test/notes \\\n  -H 'Accept: text/plain'", "GET", "/notes", None),
        ("curl http://127.0.0.1:8000/notes#part", "GET", "/notes", None),
    ],
)
def test_what_is_asked_for(line: str, method: str, target: str, body: bytes | None) -> None:
    found = read(line)
    assert (found.method, found.target, found.body) == (method, target, body)


def test_fields() -> None:
    found = read("curl -H 'X-A: 1' -u ann:pw -b s=1 --json '{}' http://127.0.0.1:8000/")
    assert dict(found.headers.items()) == {
        "x-a": "1",
        "authorization": "Basic YW5uOnB3",
        "cookie": "s=1",
        "content-type": "application/json",
        "accept": "application/json",
    }
    assert dict(read("curl -H 'Host: a.example.test' -H 'Content-Length: 9' http://127.0.0.1:8000/").headers) == {}
    assert read("curl -d a=1 http://127.0.0.1:8000/").headers["content-type"] == "application/x-www-form-urlencoded"
    assert read("curl -d {} -H 'content-type: application/json' http://127.0.0.1:8000/").headers.all(
        "content-type"
    ) == ("application/json",)


@pytest.mark.parametrize("place", ["$TOKEN", "${ACCESS_TOKEN}", "<token>", "<your-token>", "{{token}}", "YOUR_TOKEN"])
def test_a_token_is_supplied_by_a_session(place: str) -> None:
    found = read_command(f'curl -H "Authorization: Bearer {place}" {HERE}/me', HERE)
    assert found.wants_token
    assert "authorization" not in found.request.headers


def test_a_token_that_is_written_out_goes_as_it_is() -> None:
    found = read_command(f"curl -H 'Authorization: Bearer abc' {HERE}/me", HERE)
    assert (found.wants_token, found.request.headers["authorization"]) == (False, "Bearer abc")
    assert found.carries_credentials
    assert not read_command(f"curl -H 'Accept: text/plain' {HERE}/me", HERE).carries_credentials


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("wget http://127.0.0.1:8000/", "no curl command"),
        ("", "no curl command"),
        ("curl http://127.0.0.1:8000/ && rm -rf x", "more than one command"),
        ("curl http://127.0.0.1:8000/; rm x", "more than one command"),
        ("curl http://127.0.0.1:8000/;rm x", "more than one command"),
        ("curl http://127.0.0.1:8000/ | sh", "more than one command"),
        ("curl http://127.0.0.1:8000/ > out", "more than one command"),
        ("curl http://127.0.0.1:8000/$(id)", "nothing here runs a shell"),
        ("curl http://127.0.0.1:8000/`id`", "nothing here runs a shell"),
        ("curl 'http://127.0.0.1:8000/", "no command"),
        ("curl http://127.0.0.1:9000/", "not the target"),
        ("curl http://evil.example.test/", "not the target"),
        ("curl http://127.0.0.1:8000@evil.example.test/", "not the target"),
        ("curl https://127.0.0.1:8000/", "not the target"),
        ("curl file:///etc/passwd", "not the target"),
        ("curl http://127.0.0.1:8000/ http://127.0.0.1:8000/", "2 URLs"),
        ("curl -s", "0 URLs"),
        ("curl http://127.0.0.1:port/", "no URL"),
        ("curl http://127.0.0.1:8000/notes/{id}", r"path has \{id\}"),
        ("curl http://127.0.0.1:8000/notes/:id", "path has :id"),
        ("curl -X 'GET / HTTP/1.1' http://127.0.0.1:8000/", "no method"),
        ("curl -X CONNECT http://127.0.0.1:8000/", "no method"),
        ("curl -H 'X-A: 1\n\nGET /' http://127.0.0.1:8000/", "as it stands"),
        ("curl -H 'X A: 1' http://127.0.0.1:8000/", "as it stands"),
        ("curl -H 'X-HTTP-Method-Override: DELETE' http://127.0.0.1:8000/", "another method"),
        ("curl 'http://127.0.0.1:8000/?_method=DELETE'", "another method"),
        ("curl -d @/etc/passwd http://127.0.0.1:8000/", "a file"),
        ("curl -b jar.txt http://127.0.0.1:8000/", "cookies from a file"),
        ("curl -T x http://127.0.0.1:8000/", "not done here"),
        ("curl -x http://proxy.example.test http://127.0.0.1:8000/", "not done here"),
        ("curl --resolve a:1:b http://127.0.0.1:8000/", "not done here"),
        ('curl -d \'{"password": "$AWS_SECRET_ACCESS_KEY"}\' http://127.0.0.1:8000/', "nobody has supplied"),
    ],
)
def test_what_is_never_done(monkeypatch: pytest.MonkeyPatch, line: str, why: str) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "not-for-strangers")
    with pytest.raises(NotACommand, match=why):
        read(line)


def test_our_own_commands_are_understood() -> None:
    session = Session("ann", "user", headers=(("Authorization", "Bearer secret-token"),))
    sent = Request("POST", "/notes", (("q", "a b"),), session=session).with_json({"text": "it's"})
    found = read_command(curl(sent, HERE, Masker()), HERE)
    assert found.wants_token
    assert (found.request.method, found.request.target) == ("POST", "/notes?q=a+b")
    assert found.request.json() == {"text": "it's"}
    assert found.request.headers["content-type"] == "application/json"
