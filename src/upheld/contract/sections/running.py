"""How a run is made: where the service is, which checks, how much fuzzing, what is waived."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from upheld.contract.sections.base import Duration, OpPattern, Section
from upheld.contract.units import found


def _texts(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    for name, item in value.items():
        if isinstance(item, (dict, list)) or item is None:
            raise ValueError(f"{name} must be text, found {found(item)}")
    # YAML gives numbers and booleans; an environment holds text.
    return {name: str(item).lower() if isinstance(item, bool) else str(item) for name, item in value.items()}


Environment = Annotated[
    dict[str, str],
    BeforeValidator(_texts),
    WithJsonSchema({"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}}),
]


class OpenApi(Section):
    """Where the OpenAPI document is."""

    file: str | None = Field(None, description="A file, relative to upheld.yaml.")
    served: str | None = Field(None, description="A path on the target, such as /openapi.json, or a whole URL.")
    remote_refs: bool = Field(
        False, description="Let $ref point to other hosts. What they point to is then not checked."
    )


class Profile(Section):
    """One way to start the service."""

    env: Environment = Field({}, description="Environment that is added to target.env.")


class Profiles(Section):
    """The ways in which a run starts the service."""

    raised: Profile = Field(Profile(), description="With limits too high to be met: for everything but the limits.")
    shipped: Profile = Field(Profile(), description="As it is deployed: for the rate limits themselves.")
    short_lived: Profile | None = Field(
        None,
        description="As raised, but with access tokens that live for 3 to 10 seconds, so that a run sees them end. It is started "
        "only when that is checked.",
    )


class Store(Section):
    """How to take the store of the counters away and bring it back, so that the service is seen without it."""

    stop: str = Field(min_length=1, description="Command that stops it.")
    start: str = Field(
        min_length=1, description="Command that starts it again and then ends; the store goes on in the background."
    )


class Target(Section):
    """The running service. ``url``, ``start``, ``compose`` or ``embedded``; the command line can name another."""

    url: str | None = Field(
        None, pattern=r"^https?://\S+$", description="Address of the running service, with its base path if it has one."
    )
    served_spec: str | None = Field(
        None, description="Path where the service serves its OpenAPI document, to compare it."
    )
    start: str | None = Field(None, description="Command that starts the service; {port} stands for a free port.")
    cwd: str | None = Field(None, description="Folder to start it in, relative to upheld.yaml.")
    env: Environment = Field({}, description="Environment to start it with.")
    health: str | None = Field(
        None, pattern=r"^/", description="Path that answers 2xx as soon as the service is ready."
    )
    ready_within: Duration = Field(30.0, description="How long it may take to be ready.")
    profiles: Profiles | None = Field(
        None, description="Environment for starting it with raised limits, as shipped, and with tokens that end soon."
    )
    store: Store | None = Field(
        None, description="Commands that stop and start the store of the rate limits' counters, such as Redis."
    )
    compose: str | None = Field(None, description="Compose file that starts the service with what it needs.")
    embedded: bool = Field(False, description="Use the reference backend that comes with Upheld.")
    allow_host: tuple[str, ...] = Field((), description="Hosts other than this machine that a run may send to.")
    base_ref: str | None = Field(None, description="Git revision of the contract to compare with, such as origin/main.")


class Checks(Section):
    """Which requirements are checked, and what decides the exit status."""

    only: tuple[str, ...] = Field(
        (), description="Requirements to check, by id or group (ratelimit, auth/*); all when empty."
    )
    skip: tuple[str, ...] = Field(
        (), description="Requirements to leave out. Prefer waive, which says why and until when."
    )
    fail_on: Literal["MUST", "SHOULD", "MAY"] = Field(
        "MUST", description="The lowest level whose breach fails the run."
    )
    requests: int | None = Field(None, ge=1, description="Most requests that a run may send.")
    seconds: float | None = Field(None, gt=0, description="Most seconds that a run may take.")


class Fuzz(Section):
    """How much is generated."""

    phases: tuple[Literal["examples", "coverage", "fuzzing", "stateful"], ...] = Field(
        ("examples", "coverage", "stateful"), description="Phases of the engine, in order."
    )
    max_examples: int = Field(50, ge=1, description="Most generated cases for one operation in one phase.")
    seconds: float | None = Field(None, gt=0, description="Most seconds for fuzzing.")
    seed: int | None = Field(None, ge=0, description="Seed of the generator; without it each run has another.")


class Waiver(Section):
    """A breach that is known and accepted until a date. Reports show it."""

    id: str = Field(
        min_length=1,
        description="The requirement, such as http/head, or one promise as reports name it: http/head[GET /items].",
    )
    op: OpPattern = Field("**", description="The operations.")
    reason: str = Field(min_length=1, description="Why it is accepted.")
    until: date = Field(description="The last day on which it is accepted.")
