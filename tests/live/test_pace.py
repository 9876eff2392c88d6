"""A run against a service with its limits on, of which nothing is known but the URL."""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.live.calls import Ended, run

from upheld.run.prepare import bundled
from upheld.targets.http import ask
from upheld.targets.ports import free_port

pytestmark = pytest.mark.live

SECRETS = {
    "UPHELD_REFERENCE_ADMIN_PASSWORD": "An-admin's-password-1",
    "UPHELD_REFERENCE_JWT_KEY": "a key of the test, long enough for HS256",
    "UPHELD_REFERENCE_OAUTH_CLIENT_SECRET": "a secret of the test, long enough for a client",
}
WINDOW = 2
QUOTAS = {"login": 10, "register": 5, "refresh": 30, "oauth_token": 30, "default": 25}
"""Requests in a window. Everybody's is so small that one login has to wait for it many times."""


@contextmanager
def reference(folder: Path, host: str = "127.0.0.1", **settings: str) -> Iterator[tuple[str, Path]]:
    """(its URL, its log) of the reference as shipped, but for its quotas."""
    port, log = free_port(), folder / "served.log"
    environment = {
        **SECRETS,
        "UPHELD_REFERENCE_BCRYPT_COST": "4",
        "UPHELD_REFERENCE_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/shop.db",
        **{f"UPHELD_REFERENCE_{name.upper()}_QUOTA": f"{n}/{WINDOW} second" for name, n in QUOTAS.items()},
        **settings,
    }
    with log.open("wb") as written:
        process = subprocess.Popen(
            [sys.executable, "-m", "upheld.reference", "--host", host, "--port", str(port)],
            env=os.environ | environment,
            stdout=written,
            stderr=written,
        )
    url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    try:
        while ask(url, "/health", timeout=5).status is None:
            assert process.poll() is None, log.read_text()
        yield url, log
    finally:
        process.terminate()
        process.wait(20)


def promised(folder: Path, url: str, **changes: Any) -> Path:
    """The reference's contract with these quotas, for a service of which only the URL is known."""
    policy = yaml.safe_load((bundled() / "upheld.yaml").read_text())
    policy["target"] = {"url": url}
    for limit, quota in zip(policy["rate_limits"], QUOTAS.values(), strict=True):
        limit["quota"] = f"{quota}/{WINDOW}s"
    policy |= changes
    folder.mkdir()
    (folder / "upheld.yaml").write_text(yaml.safe_dump(policy))
    (folder / "openapi.yaml").write_text((bundled() / "openapi.yaml").read_text())
    return folder


def requests(log: Path) -> list[dict[str, Any]]:
    return [json.loads(found[1]) for found in re.finditer(r"requests (\{.*\})$", log.read_text(), re.MULTILINE)]


def checked(contract: Path, *words: object) -> Ended:
    return run("check", contract, *words, "--report", contract / "report", env=SECRETS)


def test_nothing_meets_a_limit_and_the_verdicts_are_those_of_raised_limits(tmp_path: Path) -> None:
    groups = ["--quick", *(word for group in ("http", "authz", "jwt") for word in ("--only", group))]
    raised = {"UPHELD_REFERENCE_PROFILE": "raised"}
    (tmp_path / "raised").mkdir()
    with reference(tmp_path / "raised", **raised) as (url, log):
        freely = checked(promised(tmp_path / "freely", url), "--no-fuzz", *groups)
        most = len(requests(log))
    with reference(tmp_path) as (url, log):
        paced = checked(promised(tmp_path / "paced", url), "--no-fuzz", *groups)
        seen = requests(log)
    assert paced.verdicts == freely.verdicts
    assert Counter(paced.verdicts.values())["upheld"] > 100
    assert paced.status == freely.status == 0
    assert [entry for entry in seen if entry["status"] == 429] == []
    assert len(seen) > most * 0.9
    # The administrator can't be registered once more: that one login waited.
    assert max(Counter(entry["subject"] for entry in seen if entry["subject"]).values()) > QUOTAS["default"]


def test_with_one_address_everybody_waits(tmp_path: Path) -> None:
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError as error:
        pytest.skip(f"no IPv6 here: {error}")
    # Source addresses are chosen on IPv4 loopback only.
    with reference(tmp_path, "::1") as (url, log):
        # Without --quick, which leaves out what logs in often, and without what takes addresses of its own.
        flags = ("--no-fuzz", "--only", "auth", "--skip", "auth/login-time")
        ended = checked(promised(tmp_path / "paced", url), *flags)
        seen = requests(log)
    assert ended.status == 0, ended.all
    assert [entry for entry in seen if entry["status"] == 429] == []
    assert {entry["client"] for entry in seen} == {"::1"}
    assert Counter(entry["path"] for entry in seen)["/api/v1/auth/login"] > 2 * QUOTAS["login"]


def test_fuzzing_keeps_within_the_quotas_too(tmp_path: Path) -> None:
    with reference(tmp_path) as (url, log):
        contract = promised(tmp_path / "paced", url, fuzz={"seconds": 12, "phases": ["coverage"], "max_examples": 3})
        ended = checked(contract, "--only", "http", "--seed", "3")
        seen = requests(log)
    assert ended.status == 0, ended.all
    assert [entry for entry in seen if entry["status"] == 429] == []
    fuzzed = next(phase for phase in ended.report["phases"] if phase["name"] == "fuzzing")
    assert fuzzed["requests"] > QUOTAS["default"]
