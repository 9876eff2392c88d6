"""The load of a run: sent from another thread, so that Ctrl-C ends it with what was measured until then."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from upheld.check import CannotProve
from upheld.load.corpus import Corpus
from upheld.load.run import prepared, run_load, save_plan
from upheld.run.corpus import corpus
from upheld.verdict import Listener, LoadRun

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.exchange import Session
    from upheld.run.people import People
    from upheld.targets import Running


def profile_of(running: Running) -> Literal["raised", "shipped"]:
    """Whether it runs with raised limits, or its quotas bound the rate."""
    return "raised" if "profile" in running.can else "shipped"


async def signed_in(contract: Contract, people: People) -> list[Session]:
    """Somebody of every role that can be signed in; of each as many as upheld.yaml names, since each has quotas of its own."""
    policy = contract.policy
    sessions: list[Session] = []
    for role in dict.fromkeys((people.default_role, *policy.roles_named())):
        named = sum(identity.role == role for identity in policy.identities.values())
        with contextlib.suppress(CannotProve):
            for _ in range(max(1, named)):
                taken = [session.name for session in sessions]
                session = await people.sign_in(role, fresh=False, not_these=taken)
                if session.name in taken:
                    break
                sessions.append(session)
    return sessions


async def unusual(contract: Contract, seed: int, note: Callable[[str], None]) -> Corpus:
    """Unusual requests for it; ``note`` is told why there are none, where there are none."""
    stop = threading.Event()
    try:
        cases, notes = await asyncio.to_thread(corpus, contract, seed=seed, stop=stop)
    except asyncio.CancelledError:
        stop.set()
        raise
    for text in notes:
        note(text)
    return cases


async def press_on(
    contract: Contract,
    running: Running,
    sessions: Sequence[Session],
    listener: Listener,
    found: Callable[[LoadRun], None],
    **how: Any,
) -> None:
    """`run_load` with ``how``; ``found`` gets what it found, also when it was cancelled."""
    stop = threading.Event()
    at = (contract, running.url, sessions)
    work = asyncio.to_thread(run_load, *at, profile=profile_of(running), listener=listener, stop=stop, **how)
    generating = asyncio.ensure_future(work)
    try:
        found(await asyncio.shield(generating))
    except asyncio.CancelledError:
        stop.set()  # what was measured until now is judged
        found(await generating)
        raise


def write_plan(path: Path, contract: Contract, running: Running, sessions: Sequence[Session], **how: Any) -> str:
    """Write the plan for plain Locust instead of following it. Returns where it is, in a sentence."""
    with prepared(contract, running.url, sessions, profile=profile_of(running), keep=True, **how) as (plan, secrets, _):
        written = save_plan(plan, secrets, path)
    return f"the plan is in {written[0]}, its credentials in {written[1]}"
