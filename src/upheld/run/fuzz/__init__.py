"""Fuzzing: the engine generates, sends and judges in a process of its own; this package starts it and reads what it tells.

Importing it loads neither the engine nor an HTTP library. The only module that imports the engine is ``hooks``, and only the
engine's own process loads that one.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from upheld.run.fuzz.values import SPENT, EngineFinding, FuzzRun, PhaseRun
from upheld.verdict import Listener, silent

if TYPE_CHECKING:
    from upheld.contract import Contract
    from upheld.exchange import Exchange, Request, Response, Session
    from upheld.run.pace import Pace

__all__ = ["SPENT", "EngineFinding", "FuzzRun", "PhaseRun", "fuzz"]


async def fuzz(
    contract: Contract,
    document: Mapping[str, Any],
    base_url: str,
    *,
    user: Session | None,
    admin: Session | None,
    resend: Callable[[Request], Awaitable[Response]],
    on_exchange: Callable[[Exchange], None],
    seconds: float,
    max_examples: int | None,
    phases: tuple[str, ...] | None,
    seed: int,
    token: str,
    listener: Listener = silent,
    known: Mapping[str, Sequence[str]] | None = None,
    protected: Collection[str] = (),
    addresses: Sequence[str] | None = None,
    requests: int | None = None,
    pace: Pace | None = None,
    only: Collection[str] | None = None,
) -> FuzzRun:
    """Fuzz the service at ``base_url`` for at most ``seconds``, with at most ``requests`` that the engine sends.

    ``user`` and ``admin`` must be throw-away identities: what they own may not survive. ``on_exchange`` receives every exchange
    as it comes; none is kept. ``resend`` sends one request on an idle connection, to repeat a failure before it is told.
    ``max_examples`` bounds the generated cases of an operation in a phase; None goes on until the time is over. ``known`` maps
    the member path of a resource to ids that exist; ``protected`` are values (ids, names) that no unsafe request may name.
    ``addresses`` are loopback source addresses that nobody else uses; left out, it takes some of its own. With ``pace`` it keeps
    within the quotas of the contract. Where ``only`` is given, no other operation is fuzzed.

    Cancelled once, it stops the engine and returns what was found, with `FuzzRun.stopped` set; cancelled twice, it raises.
    Raises `HarnessError` when the engine cannot be started at all.
    """
    from upheld.run.fuzz.session import Fuzzing

    return await Fuzzing(
        contract,
        document,
        base_url,
        user=user,
        admin=admin,
        resend=resend,
        on_exchange=on_exchange,
        seconds=seconds,
        max_examples=max_examples,
        phases=phases,
        seed=seed,
        token=token,
        listener=listener,
        known=known or {},
        protected=protected,
        addresses=addresses,
        requests=requests,
        pace=pace,
        only=only,
    ).run()
