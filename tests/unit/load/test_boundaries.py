"""What the load may import and where, and how its process is started."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from upheld.contract.sections.traffic import Load
from upheld.errors import TargetUnreachable
from upheld.exchange import Response
from upheld.load import protocol
from upheld.load.plain import Plain, json_at

REPO = Path(__file__).parents[3]
OF_THE_CHILD = {"driver", "client", "nodes", "locustfile", "child"}
MODULES = sorted(file.stem for file in (REPO / "src/upheld/load").glob("*.py") if file.stem not in OF_THE_CHILD)


def test_our_own_process_never_imports_locust() -> None:
    """Importing it patches socket and ssl for good."""
    names = ", ".join(f"upheld.load.{name}" for name in MODULES if name != "__init__")
    script = f"import sys, {names}; print([n for n in ('locust', 'gevent', 'geventhttpclient') if n in sys.modules])"
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert told.stdout.strip() == "[]"


def test_the_result_is_whole_or_not_there(tmp_path: Path) -> None:
    file = tmp_path / "result.json"
    assert protocol.read(file) is None
    protocol.write(file, {"measured": 1.5})
    assert protocol.read(file) == {"schema": protocol.SCHEMA, "measured": 1.5}
    assert [path.name for path in tmp_path.iterdir()] == ["result.json"]
    file.write_text('{"measured": 1.5')
    assert protocol.read(file) is None
    file.write_text('{"schema": "other/9"}')
    assert protocol.read(file) is None


def test_progress_is_told_from_whatever_else_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    protocol.tell({"sent": 3})
    line = capsys.readouterr().out
    assert protocol.heard(line) == {"sent": 3}
    for other in ("", "Starting Locust\n", '{"sent": 3}\n', protocol.MARK + "{", protocol.MARK + "[]"):
        assert protocol.heard(other) is None


@pytest.mark.parametrize("file", sorted((REPO / "load/profiles").glob("*.yaml")), ids=lambda file: file.stem)
def test_the_profiles_are_load_sections(file: Path) -> None:
    sections = yaml.safe_load(file.read_text())
    assert set(sections) == {"load"}
    assert Load.model_validate(sections["load"]).rate


def test_nobody_there_is_said_so() -> None:
    with Plain("http://127.0.0.1:1") as http, pytest.raises(TargetUnreachable, match=r"127\.0\.0\.1:1"):
        http.ask("GET", "/", {})


def test_json_at() -> None:
    response = Response.of(200, {"a/b": [{"id": 7}]})
    assert json_at(response, "/a~1b/0/id") == 7
    assert json_at(response, "") == {"a/b": [{"id": 7}]}
    for nothing in ("/a", "/a~1b/1", "/a~1b/x", "/a~1b/0/id/deeper"):
        assert json_at(response, nothing) is None
    assert json_at(Response(200, body=b"\xff"), "/id") is None


def test_the_locustfile_without_a_plan_says_how_to_make_one(tmp_path: Path) -> None:
    told = subprocess.run(
        [sys.executable, "-m", "locust", "-f", str(REPO / "load/locustfile.py"), "--headless"],
        capture_output=True, text=True, timeout=60, cwd=tmp_path, check=False,
    )  # fmt: skip
    assert told.returncode == 1
    assert "UPHELD_LOAD_PLAN" in told.stderr
    assert "Traceback" not in told.stderr
    assert json.dumps("upheld load")[1:-1] in told.stderr
