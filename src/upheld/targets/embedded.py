"""The bundled reference backend on a free port: what `upheld check` tests when it is given no target."""

from __future__ import annotations

import os
import secrets
import sys
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec

from upheld.errors import UsageError
from upheld.targets.base import Profile
from upheld.targets.command import Command

NEEDS = (
    "fastapi",
    "uvicorn",
    "h11",
    "sqlalchemy",
    "aiosqlite",
    "redis",
    "slowapi",
    "limits",
    "bcrypt",
    "pydantic_settings",
)
PREFIX = "UPHELD_REFERENCE_"


class Embedded(Command):
    """``python -m upheld.reference`` as shipped or, in the other profiles, with raised limits; ``env`` adds to its environment."""

    def __init__(
        self, profile: Profile = "raised", *, env: Mapping[str, str] | None = None, timeout: float = 60.0
    ) -> None:
        missing = [name for name in NEEDS if find_spec(name) is None]
        if missing:
            raise UsageError(
                f"the reference backend needs packages that are not installed ({', '.join(missing)}): "
                "pip install 'upheld[reference]'. Or name a backend of your own with `--target URL`"
            )
        chosen = {name: os.environ.get(name, value) for name, value in _secrets().items()}
        super().__init__(
            [sys.executable, "-m", "upheld.reference", "--host", "127.0.0.1", "--port", "{port}"],
            # A file, so that what was written outlives a restart.
            env={
                f"{PREFIX}DATABASE_URL": os.environ.get(
                    f"{PREFIX}DATABASE_URL", "sqlite+aiosqlite:///{scratch}/shop.db"
                )
            }
            | chosen
            | {f"{PREFIX}PROFILE": "shipped" if profile == "shipped" else "raised"}
            | dict(env or {}),
            can=frozenset({"profile", "key"}),
            gives=chosen,
            timeout=timeout,
            name="the embedded reference" + ("" if profile == "shipped" else ", raised limits"),
        )


@cache
def _secrets() -> Mapping[str, str]:
    """Made once for this process, so that its two profiles can be spoken to with the same names and values."""
    return {
        f"{PREFIX}ADMIN_PASSWORD": secrets.token_urlsafe(24),
        f"{PREFIX}JWT_KEY": secrets.token_urlsafe(48),
        f"{PREFIX}OAUTH_CLIENT_SECRET": secrets.token_urlsafe(32),
    }
