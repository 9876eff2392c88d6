"""How a run is made: where the service is, which checks, how much fuzzing, what is waived."""

from __future__ import annotations

import re
from datetime import date
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, ValidationInfo, WithJsonSchema, field_validator, model_validator

from upheld.contract.sections.base import Duration, EnvName, OpPattern, Section
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

    stop: str | None = Field(None, min_length=1, description="Command that stops it.")
    start: str | None = Field(
        None,
        min_length=1,
        description="Command that starts it again and then ends; the store goes on in the background.",
    )
    part: str | None = Field(
        None,
        min_length=1,
        description="In place of commands, for a target in containers: the one of target.parts, or the service of the Compose file.",
    )

    @model_validator(mode="after")
    def _one_way(self) -> Store:
        commands = (self.stop is not None) + (self.start is not None)
        if (commands, self.part is not None) not in ((2, False), (0, True)):
            raise ValueError("says {stop: COMMAND, start: COMMAND}, both, or {part: NAME} alone")
        return self


class Part(Section):
    """A container that the service needs."""

    image: str = Field(min_length=1, description="Its image.", examples=["redis:7-alpine"])
    env: Environment = Field({}, description="Environment of the container.")
    command: str | None = Field(None, min_length=1, description="Command in place of the image's own.")
    ready: str | None = Field(
        None,
        min_length=1,
        description="Command that ends with 0 as soon as it is ready, run in it by /bin/sh. Left out: what the image's HEALTHCHECK "
        "says; without one it is ready as it runs.",
    )


class Target(Section):
    """The running service. ``url``, ``start``, ``compose``, ``image`` or ``embedded``; the command line can name another."""

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
    compose: str | None = Field(
        None,
        min_length=1,
        description="Compose file that starts the service with what it needs, relative to upheld.yaml. Each profile has containers, "
        "networks and volumes of its own.",
    )
    image: str | None = Field(None, min_length=1, description="Image that the service is started from.")
    service: str | None = Field(
        None,
        min_length=1,
        description="Service of the Compose file that answers. Left out: the only one that publishes or exposes a port.",
    )
    port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port on which it listens inside its container. Left out: the only one that the Compose file or the image names.",
    )
    parts: dict[str, Part] = Field(
        {}, description="What an image needs, started before it in this order and reached by these names."
    )
    inherit: tuple[EnvName, ...] = Field(
        (), description="Environment variables of this process that the service's container is given too."
    )
    store: Store | None = Field(
        None, description="How the store of the rate limits' counters, such as Redis, is stopped and started."
    )
    embedded: bool = Field(False, description="Use the reference backend that comes with Upheld.")
    allow_host: tuple[str, ...] = Field((), description="Hosts other than this machine that a run may send to.")
    base_ref: str | None = Field(None, description="Git revision of the contract to compare with, such as origin/main.")

    @field_validator("image")
    @classmethod
    def _not_both(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("compose") is not None:
            raise ValueError("and target.compose are two ways to start the service: keep one")
        return value

    @field_validator("service")
    @classmethod
    def _of_a_compose_file(cls, value: str | None, info: ValidationInfo) -> str | None:
        if value is not None and info.data.get("compose", "") is None:
            raise ValueError("is one of a Compose file: say target.compose")
        return value

    @field_validator("port", "inherit")
    @classmethod
    def _of_a_container(cls, value: Any, info: ValidationInfo) -> Any:
        if value and _neither(info.data):
            raise ValueError("is about a container: say target.compose or target.image")
        return value

    @field_validator("parts")
    @classmethod
    def _beside_an_image(cls, value: dict[str, Part], info: ValidationInfo) -> dict[str, Part]:
        if value and info.data.get("image", "") is None:
            raise ValueError("stand beside target.image; a Compose file has services of its own")
        for name in value:
            if not re.fullmatch(r"[a-z0-9]([a-z0-9_-]*[a-z0-9])?", name):
                raise ValueError(f"are reached by their names, which look like db or redis-1, found {name!r}")
        return value

    @field_validator("store")
    @classmethod
    def _there(cls, value: Store | None, info: ValidationInfo) -> Store | None:
        if value is None or value.part is None:
            return value
        if _neither(info.data):
            raise ValueError("names a part, and there is one only beside target.image or in target.compose")
        if info.data.get("image") and value.part not in (known := info.data.get("parts", value.part)):
            raise ValueError(f"names the part {value.part!r}, and target.parts has {', '.join(known) or 'none'}")
        return value


def _neither(data: dict[str, Any]) -> bool:
    """No container is started. A key that is itself wrong is not among the data, and is told of as such."""
    return data.get("compose", "") is None and data.get("image", "") is None


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
