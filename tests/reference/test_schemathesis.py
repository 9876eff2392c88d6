"""Schemathesis, as anybody would run it, finds nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from tests.reference.conftest import ADMIN, PASSWORD

pytestmark = pytest.mark.live
CONTRACT = Path(__file__).parents[2] / "contracts/reference/openapi.yaml"


@pytest.mark.parametrize(("seed", "role"), [(1, "user"), (2, "admin")])
def test_schemathesis_finds_nothing(serve, tmp_path, seed, role) -> None:
    url = serve(fault_route=False)
    login = ADMIN if role == "admin" else {"email": "fuzz@example.test", "password": PASSWORD}
    httpx.post(f"{url}/api/v1/auth/register", json=login)
    token = httpx.post(f"{url}/api/v1/auth/login", json=login).json()["access_token"]
    command = [
        str(Path(sys.executable).with_name("schemathesis")), "run", str(CONTRACT), "--url", url, "--workers", "1",
        "--continue-on-failure", "--max-examples", "20", "--seed", str(seed), "-H", f"Authorization: Bearer {token}",
        "--exclude-path", "/api/v1/admin/maintenance",
    ]  # fmt: skip
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
    assert run.returncode == 0, run.stdout[-6000:]
