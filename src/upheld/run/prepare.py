"""From what the command line names to contracts and running targets."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from upheld.errors import ContractError, Place, SetupError, TargetError, UsageError
from upheld.targets.choose import open_target
from upheld.targets.url import checked
from upheld.verdict import Listener, Progress, silent

if TYPE_CHECKING:
    from upheld.check import Check, Profile
    from upheld.contract import Contract
    from upheld.contract.baseline import Known
    from upheld.contract.load import PolicyFile
    from upheld.contract.policy import Policy, Waiver
    from upheld.run.plan import Plan, Promise
    from upheld.targets import Running, Target

WITHIN = 30.0
"""Seconds that a served OpenAPI document may take."""
EMBEDDED = "embedded"
"""Stands for the embedded reference where a URL is expected."""
DOCUMENT_BOUND = 32 * 1024 * 1024
"""Octets of a served OpenAPI document that are read."""


def bundled() -> Path:
    """The contract of the reference backend: in the wheel, or in the repository that this runs from."""
    import upheld

    package = Path(upheld.__file__).parent
    inside = package / "_contracts" / "reference"
    return inside if inside.exists() else package.parents[1] / "contracts" / "reference"


@dataclass(frozen=True)
class Ready:
    """A contract and the targets that it is held against, running."""

    contract: Contract
    running: dict[str, Running]
    name: str


@contextlib.contextmanager
def opened(
    path: Path,
    url: str | None,
    *,
    allow_hosts: Iterable[str] = (),
    profiles: tuple[Profile, ...] = ("raised", "shipped"),
    played: Callable[[Policy], Iterable[Check]] = lambda policy: (),
    baseline: Path | None = None,
    listener: Listener = silent,
) -> Iterator[Ready]:
    """Start or find the targets of one contract, and read it. Raises `ContractError`, `UsageError`, `TargetError`.

    ``url`` may be `EMBEDDED` too. What ``played`` gives will be played for its time: a profile that only those need is started
    too, where the file states it. ``baseline`` is a file of breaches that are known. ``listener`` is told what takes long.
    """
    from upheld.contract.load import load, policy_only

    part = policy_only(path)
    known = known_breaches(baseline) if baseline is not None else ()
    policy, served, folder = part.policy, part.document_served, part.folder
    named(part)
    target_policy = policy.target
    if url == EMBEDDED:
        url, target_policy = None, target_policy.model_copy(update={"start": None, "url": None, "embedded": True})
    if url is not None:
        checked(url, {*allow_hosts, *policy.target.allow_host})
    contract = None if served else load(path, target_url=url, known=known)

    def tell(text: str) -> None:
        listener(Progress("note", text))

    with contextlib.ExitStack() as stack:
        targets: dict[str, Target] = {}
        for profile in (*profiles, *_further(policy, played(policy))):
            target = open_target(target_policy, url, profile=profile, folder=folder, allow_hosts=allow_hosts, tell=tell)
            if not targets or "profile" in target.can:
                targets[profile] = target
        running = enter(stack, targets)
        first = next(iter(running.values()))
        if contract is None:
            assert served is not None
            fetched = fetch(first.url, served)
            contract = load(path, openapi_bytes=fetched, target_url=url or target_policy.url, known=known)
        yield Ready(contract, running, next(iter(targets.values())).name)


def _further(policy: Policy, played: Iterable[Check]) -> tuple[Profile, ...]:
    stated = policy.target.profiles is not None and policy.target.profiles.short_lived is not None
    return ("short_lived",) if stated and any(c.requirement.profile == "short_lived" for c in played) else ()


def read_contract(path: Path, url: str | None, *, allow_hosts: Iterable[str] = ()) -> Contract:
    """A contract without running anything, except that a target which serves the document is asked for it.

    Raises `ContractError`, `UsageError`, `TargetError`.
    """
    from upheld.contract.load import load, policy_only

    part = policy_only(path)
    named(part)
    if url is not None:
        checked(url, {*allow_hosts, *part.policy.target.allow_host})
    if not part.document_served:
        return load(path, target_url=url)
    with opened(path, url, allow_hosts=allow_hosts, profiles=("raised",)) as ready:
        return ready.contract


def planned(
    contract: Contract,
    checks: Iterable[Check],
    url: str | None,
    *,
    quick: bool,
    only: Callable[[Promise], bool] | None = None,
) -> Plan:
    """The plan, whether limits by address can be proven, and how long it will wait for quotas that can't be raised. Sends nothing."""
    from upheld.run.addresses import loopback
    from upheld.run.pace import needed
    from upheld.run.plan import plan

    made = plan(contract, checks, quick=quick, only=only)
    policy = contract.policy.target
    try:
        target = open_target(policy, url, folder=contract.folder, allow_hosts=_host(url))
    except UsageError:
        return made  # without a target there is nothing that could hold it up
    addresses = target.sees_addresses and loopback(url or policy.url or "http://127.0.0.1")
    made = replace(made, one_address=not addresses)
    if not contract.rate_rules or "profile" in target.can:
        return made
    return replace(made, held_up=needed(contract, made, addresses=addresses))


def _host(url: str | None) -> set[str]:
    # Nothing is sent to it here.
    return {urlsplit(url).hostname or ""} if url else set()


def named(part: PolicyFile) -> None:
    """Raises `ContractError` where ``checks`` or ``waive`` name requirements that there are not."""
    checks, place = part.policy.checks, part.written.place
    names = [(place(("checks", key)), "checks", name) for key in ("only", "skip") for name in getattr(checks, key)]
    names += [(place(("waive", at)), "waive", waived(waiver)) for at, waiver in enumerate(part.policy.waive)]
    _exist(names)


def known_breaches(baseline: Path) -> tuple[Known, ...]:
    """The waivers of a baseline. Raises `ContractError`."""
    from upheld.contract.baseline import read_baseline

    known = read_baseline(baseline)
    _exist((place, "waive", waived(waiver)) for waiver, place in known)
    return known


def waived(waiver: Waiver) -> str:
    """The requirement that a waiver names, also where it names one promise: ``http/head[GET /items]``."""
    return waiver.id.partition("[")[0]


def _exist(names: Iterable[tuple[Place, str, str]]) -> None:
    from upheld.checks import select

    problems = []
    for place, key, name in names:
        try:
            select((name,))
        except UsageError as error:
            problems.append((place, f"{key}: {error}"))
    if problems:
        raise ContractError(*problems)


def enter(stack: contextlib.ExitStack, targets: dict[str, Target]) -> dict[str, Running]:
    """Start them at the same time: each start is mostly waiting."""
    if len(targets) == 1:
        return {name: stack.enter_context(target) for name, target in targets.items()}
    for target in targets.values():
        stack.callback(target.close)
    starting: dict[str, Future[Running]] = {}
    with ThreadPoolExecutor(len(targets)) as pool:
        try:
            for name, target in targets.items():
                starting[name] = pool.submit(target.open)
            return {name: future.result() for name, future in starting.items()}
        except BaseException:
            # One that is not coming up is not waited for, neither when the other failed nor on Ctrl-C. One that was only about to
            # be started is closed as soon as it has been.
            pool.shutdown(wait=False, cancel_futures=True)
            while not all(future.done() for future in starting.values()):
                for target in targets.values():
                    target.close()
                wait(starting.values(), timeout=0.1)
            raise


def fetch(base: str, where: str) -> bytes:
    """The OpenAPI document that the target serves. Raises `SetupError` with what was answered instead."""
    import httpx

    url = where if where.startswith(("http://", "https://")) else base.rstrip("/") + where
    if httpx.URL(url).host != httpx.URL(base).host:
        raise SetupError(f"{url} is on another host than the target; copy the document beside upheld.yaml instead")
    try:
        with (
            httpx.Client(timeout=15, trust_env=False, follow_redirects=False) as client,
            client.stream(
                "GET", url, headers={"Accept": "application/json, application/yaml;q=0.9, */*;q=0.1"}
            ) as answer,
        ):
            if answer.status_code != 200:
                whither = f" to {answer.headers['location']}" if "location" in answer.headers else ""
                asks = ", it asks for credentials: copy it beside upheld.yaml" if answer.status_code == 401 else ""
                raise SetupError(
                    f"{url} answered {answer.status_code}{whither}, not an OpenAPI document{asks}; "
                    "say where it is: `openapi: /path/of/the/document` or a file"
                )
            document = bytearray()
            end = time.monotonic() + WITHIN
            for chunk in answer.iter_bytes():
                document += chunk
                if time.monotonic() > end:
                    raise SetupError(f"{url} was not complete within {WITHIN:g} s")
                if len(document) > DOCUMENT_BOUND:
                    raise SetupError(f"{url} is larger than {DOCUMENT_BOUND >> 20} MiB")
            return bytes(document)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise TargetError(f"{url}: {error or type(error).__name__}") from error
