"""How much and how fast: rate limits, caches, latency, load, sizes."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from upheld.contract.sections.base import Duration, Length, OpPattern, Percent, Quota, Rate, Section, Size

Algorithm = Literal["token-bucket", "fixed-window", "sliding-window", "moving-window", "any"]
LimitHeaders = Literal["draft-10", "x-ratelimit", "none", "any"]
Key = Literal["ip", "user", "user-or-ip", "ip+route", "user+route", "api_key", "global"]


class RateLimitRule(Section):
    """One limit. The first line that matches an operation decides."""

    op: OpPattern = Field(description="The operations that share this limit.")
    quota: Quota = Field(description="Requests in a window of time, for each key.")
    key: Key = Field(
        "user-or-ip", description="Who has a quota of their own: each address, user, API key, or all together."
    )
    exempt: tuple[OpPattern, ...] = Field(
        (), description="Operations that the pattern matches but that are not limited."
    )
    algorithm: Algorithm | None = Field(None, description="Algorithm of this line, where it differs from rate_limit.")
    headers: LimitHeaders | None = Field(
        None, description="Header fields of this line, where they differ from rate_limit."
    )
    also_by: Literal["account"] | None = Field(
        None,
        description="Logins: each account has this quota too, whatever addresses ask for it.",
        examples=["account"],
    )


class RateLimit(Section):
    """What all rate limits have in common."""

    algorithm: Algorithm = Field("any", description="How requests are counted; any: whatever keeps the quota.")
    headers: LimitHeaders = Field(
        "any", description="Fields that tell the quota: RateLimit of the IETF draft 10, X-RateLimit, or none."
    )
    retry_after: Literal["required", "optional"] = Field(
        "optional", description="Whether every 429 carries Retry-After."
    )
    replicas: Literal["shared", "separate"] = Field(
        "shared", description="Whether all processes of the service share one quota."
    )
    on_restart: Literal["keep", "forget", "any"] = Field(
        "any", description="Whether a quota that is used up stays so over a restart."
    )
    on_store_down: Literal["open", "closed", "any"] = Field(
        "any", description="When the store of the counters is away: requests pass (open) or are refused (closed)."
    )
    burst: int | None = Field(
        None, ge=1, description="Most requests that any window may admit, where it differs from the quota."
    )


class Caching(Section):
    """What may be kept, where, for how long."""

    authenticated: Literal["private", "no-store", "any"] = Field(
        "any", description="What Cache-Control says on answers to signed-in requests; no-store counts as private too."
    )
    routes: dict[OpPattern, Duration] = Field(
        {}, description="Operations served from a cache, each with its time to live."
    )
    etag: tuple[OpPattern, ...] = Field((), description="Operations whose answers carry an ETag.")
    if_match: tuple[OpPattern, ...] = Field((), description="Operations that insist on If-Match (428 without it).")
    stale_after_write: Duration = Field(0.0, description="How long a read may still show what was before a write.")


class Latency(Section):
    """The 95th percentile of answering times, for each class of operations."""

    crud: Duration = Field(0.2, description="For operations on one kind of thing.")
    complex: Duration = Field(0.5, description="For operations listed under complex_ops.")
    auth: Duration = Field(1.0, description="For operations that hash a password: registration and login.")
    complex_ops: tuple[OpPattern, ...] = Field(
        (), description="Operations of the class complex: reports, searches, exports."
    )
    ops: dict[OpPattern, Duration] = Field(
        {},
        description="Operations with a target of their own; their class is judged without them.",
        examples=[{"POST /orders": "400ms"}],
    )

    def of(self, latency_class: Literal["crud", "complex", "auth"]) -> float:
        """Seconds of a class."""
        return {"crud": self.crud, "complex": self.complex, "auth": self.auth}[latency_class]


class Load(Section):
    """What the load run presses with."""

    model: Literal["open", "closed"] = Field(
        "open",
        description="open: requests come by the clock, as those of many users do; closed: each of users waits for its answer "
        "before it asks again.",
    )
    users: int = Field(20, ge=1, description="Simulated users.")
    rate: Rate | None = Field(
        None, description="Requests in a time, all users together; without it users only pause a little."
    )
    duration: Length = Field(
        60.0,
        description="How long the measured part lasts; auto: until every target is decided, longest at the most.",
        examples=["60s", "auto"],
    )
    longest: Duration = Field(300.0, description="The most that a measured part of the duration auto may last.")
    max_error_rate: Percent = Field(
        0.001, description="Largest share of answers that may be errors (429 counts apart)."
    )
    workers: int = Field(1, ge=1, description="Load-making processes on this machine.")
    check_every: int = Field(
        20, ge=0, description="Every so many answers of an operation one is held against its schema too; 0: none."
    )
    weights: dict[OpPattern, float] = Field(
        {}, description="How often an operation is called, compared with the others' 1."
    )


class Limits(Section):
    """The sizes that the service takes. What is left out is not promised."""

    body: Size | None = Field(None, description="Largest request body; anything larger is answered 413.")
    header: Size | None = Field(None, description="Largest header section; anything larger is answered 431.")
    page_max: int | None = Field(None, ge=1, description="Most items in one page of a collection.")
    json_depth: int | None = Field(None, ge=1, description="Deepest nesting of a JSON body.")
    read_timeout: Duration | None = Field(None, description="How long the service waits for a slow client.")
