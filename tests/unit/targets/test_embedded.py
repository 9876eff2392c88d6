"""The bundled reference as a target."""

from __future__ import annotations

import os
import tomllib
import urllib.request
from importlib.util import find_spec
from pathlib import Path

import pytest

from upheld.errors import UsageError
from upheld.targets import Embedded
from upheld.targets.embedded import NEEDS

REPO = Path(__file__).parents[3]


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "upheld.targets.embedded.find_spec", lambda name: None if name in ("fastapi", "slowapi") else name
    )
    with pytest.raises(UsageError, match=r"fastapi, slowapi\): pip install 'upheld\[reference\]'.*--target URL"):
        Embedded()


def test_what_it_looks_for_is_what_the_extra_installs() -> None:
    extra = tomllib.loads((REPO / "pyproject.toml").read_text())["project"]["optional-dependencies"]["reference"]
    names = {line.split(">")[0].split("[")[0].lower().replace("-", "_") for line in extra}
    assert set(NEEDS) <= names


def test_the_profiles_differ_in_one_word_and_share_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("UPHELD_REFERENCE_")]:
        monkeypatch.delenv(name)
    raised, shipped = Embedded("raised"), Embedded("shipped", env={"UPHELD_REFERENCE_MUTANT": "x/y"})
    assert raised.env | {"UPHELD_REFERENCE_PROFILE": "shipped", "UPHELD_REFERENCE_MUTANT": "x/y"} == shipped.env
    secrets = ("ADMIN_PASSWORD", "JWT_KEY", "OAUTH_CLIENT_SECRET")
    assert set(raised.gives) == {f"UPHELD_REFERENCE_{name}" for name in secrets}
    assert raised.gives == shipped.gives
    assert raised.gives.items() <= raised.env.items()


def test_an_admin_password_that_the_caller_chose_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UPHELD_REFERENCE_ADMIN_PASSWORD", "chosen by the caller")
    assert Embedded().gives["UPHELD_REFERENCE_ADMIN_PASSWORD"] == "chosen by the caller"


@pytest.mark.live
@pytest.mark.skipif(find_spec("upheld.reference.__main__") is None, reason="the reference has no command yet")
@pytest.mark.parametrize("profile", ["raised", "shipped"])
def test_it_serves_and_comes_back(profile: str) -> None:
    with Embedded(profile) as running:  # type: ignore[arg-type]
        with urllib.request.urlopen(f"{running.url}/health", timeout=10) as response:
            assert response.status == 200
        running.restart()
        with urllib.request.urlopen(f"{running.url}/health", timeout=10) as response:
            assert response.status == 200
