"""`upheld load` and the commands below it: what is wrong with a call is told before anything is started; short runs of each."""

from __future__ import annotations

import json
import signal
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.live.apps.notes import Notes
from tests.live.calls import contract, run, start
from tests.live.loading import free_port

pytestmark = pytest.mark.live


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def notes() -> Iterator[Notes]:
    with Notes() as running:
        yield running


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("--seconds soon", "'soon' is neither a number of seconds nor auto"),
        ("--seconds 0.2", "0.2 is no length"),
        ("--seconds nan", "nan is no length"),
        ("--master 127.0.0.1:x --expect-workers 2", "is no address; it looks like 10.0.0.5:5557"),
        ("--master 127.0.0.1", "say how many, --expect-workers 4"),
        ("--master 127.0.0.1 --expect-workers 2 --workers 2", "one of the two"),
        ("--master 127.0.0.1 --expect-workers 2 one two", "there are 2 contracts"),
        ("--expect-workers 2", "go with --master"),
        ("--share-secrets", "go with --master"),
        ("--users 3 --model open", "--users are those of --model closed"),
        ("--worker 127.0.0.1 --rate 5", "only --secrets goes with it"),
        ("--worker 127.0.0.1 one", "only --secrets goes with it"),
        ("--secrets one/upheld.yaml", "--secrets are for --worker"),
        ("--save-plan plan.json --workers 2", "--save-plan presses on nothing"),
        ("one --ui --workers 2", "--ui shows one load of one contract"),
        ("one two --ui", "--ui shows one load of one contract"),
        ("one two --junit x.xml", "hold one report, and there are 2 contracts"),
        ("--profile one/upheld.yaml", "a profile has one key, load"),
        ("--profile odd.yaml", "odd.yaml:2: unknown key 'duratoin' in load; did you mean 'duration'?"),
        ("nowhere", "no upheld.yaml here"),
        ("./compare", "compare: no upheld.yaml here"),
        ("compare one", "Missing argument 'CANDIDATE'"),
        ("compare one ftp://x", "no upheld.yaml here"),
        ("compare one http://x/?a=b --contract one", "one is a contract of its own"),
        ("compare http://127.0.0.1:1 http://example.com --contract one", "--allow-host example.com"),
        ("compare one two --rounds 1", "1 is not in the range"),
        ("compare one two --tolerance 0", "0.0 is not in the range"),
        ("capacity one two", "there are 2 contracts: name one of them"),
        ("capacity one --max-rate 0", "is not in the range"),
        ("soak one --seconds 5", "is not in the range"),
        ("soak one --seconds 20 --stretches 100", "100 stretches of 20 s are 0.2 s each"),
    ],
)
def test_what_is_wrong_with_a_call_is_said_at_once(words: str, says: str) -> None:
    for name in ("one", "two"):
        contract(Path(name), target="http://127.0.0.1:1")
    Path("odd.yaml").write_text("load:\n  duratoin: 5s\n")
    ended = run("load", *words.split())
    assert ended.status == 2, ended.all
    assert says in " ".join(ended.all.split())
    assert "Traceback" not in ended.all


def test_help_tells_the_commands_below() -> None:
    said = run("load", "--help").out
    assert all(name in said for name in ("Commands:", "compare", "capacity", "soak", "--workers"))
    for name in ("compare", "capacity", "soak"):
        assert f"Usage: main load {name}" in run("load", name, "--help").out


def test_a_profile_a_closed_model_and_markdown(notes: Notes) -> None:
    shop = contract(Path("shop"), "load: {rate: 500/s, duration: 5m, weights: {'GET /notes': 3}}\n", target=notes.url)
    Path("smoke.yaml").write_text("load: {rate: 40/s, duration: 2s}\n")
    ended = run("load", shop, "--profile", "smoke.yaml", "--users", "3", "--markdown", "summary.md", "--report", "out")
    assert ended.status in (0, 1), ended.all
    # What will be sent is said before the start.
    said = ended.out.index("3 users who wait for answers, for 2 s")
    assert said < ended.out.index("load: done")
    load = ended.report["load"]
    assert (load["model"], load["users"]) == ("closed", 3)
    assert load["seconds"] == pytest.approx(2.0, abs=0.5)
    assert "closed" in Path("summary.md").read_text()


def test_the_web_interface_shows_the_load_and_its_verdict(notes: Notes, tmp_path: Path) -> None:
    contract(tmp_path / "shop", target=notes.url)
    port = free_port()
    words = ("shop", "--ui", "--ui-port", port, "--seconds", "1", "--rate", "30")
    process = start("load", *words, cwd=tmp_path)
    try:
        assert process.stderr is not None
        lines = iter(process.stderr.readline, "")
        assert any(f"http://127.0.0.1:{port} shows it" in line for line in lines)
        # Locust logs the verdicts of the plan when it is done; its interface stays.
        assert any("class crud" in line for line in lines)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/stats/requests", timeout=10) as answer:
            assert any("/notes" in row["name"] for row in json.load(answer)["stats"])
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    finally:
        if process.poll() is None:
            process.kill()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=2)


def test_capacity_compare_and_their_json(notes: Notes) -> None:
    shop = contract(Path("shop"), target=notes.url)
    ended = run(
        "load", "capacity", shop, "--from", "20", "--max-rate", "20", "--seconds", "2", "--seed", "7", "--json", "-"
    )
    assert ended.status == 0, ended.all
    found = json.loads(ended.out)
    assert (found["schema"], found["seed"]) == ("upheld.load-capacity/1", 7)
    assert {step["rate"] for step in found["steps"]} == {20.0}
    assert found["told"] in " ".join(ended.err.split())

    sides = (notes.url, notes.url, "--contract", shop)
    ended = run("load", "compare", *sides, "--rounds", "2", "--seconds", "1", "--rate", "40", "--json", "c.json")
    assert ended.status == 0, ended.all
    compared = json.loads(Path("c.json").read_text())
    assert compared["schema"] == "upheld.load-compare/1"
    assert not compared["notes"]
    # Two pairs bound nothing.
    assert compared["answer"] == "not decided"
    assert "more rounds: about" in ended.out
    assert [(played["pair"], played["side"]) for played in compared["rounds"] if not played["problem"]] == [
        (0, "base"), (0, "candidate"), (1, "candidate"), (1, "base")
    ]  # fmt: skip
