"""Redis and PostgreSQL for other tests, from containers."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from docker import DockerClient
from tests import services
from tests.test_architecture import REPO

pytestmark = pytest.mark.live


def test_the_reference_s_tests_with_services_pass_with_these(
    engine: DockerClient, redis_image: str, postgres_image: str
) -> None:
    before = engine.containers.list(all=True)
    environment = {
        "UPHELD_TEST_SERVICES": "containers",
        "UPHELD_REDIS_IMAGE": redis_image,
        "UPHELD_POSTGRES_IMAGE": postgres_image,
    }
    # The one that is left out stops and starts a Redis of its own.
    words = ("-p", "no:cacheprovider", "-k", "not redis_away", "tests/reference/test_services.py")
    command = [sys.executable, "-m", "pytest", *words]
    done = subprocess.run(command, cwd=REPO, env=os.environ | environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout
    assert f"services (containers): Redis in {redis_image}, PostgreSQL in {postgres_image}" in done.stdout
    assert re.search(r"=+ \d+ passed, 1 deselected in", done.stdout), done.stdout
    assert engine.containers.list(all=True) == before


def test_an_image_that_is_not_to_be_had_is_told(engine: DockerClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPHELD_TEST_SERVICES", "containers")
    monkeypatch.setenv("UPHELD_REDIS_IMAGE", "local/nobody-has-made-this:1")
    with pytest.raises(services.Unavailable, match="does not start local/nobody-has-made-this:1"), services.redis():
        pass
