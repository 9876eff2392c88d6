"""Before anything is judged: is this the service that the contract describes?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from upheld.check import CannotProve
from upheld.errors import SetupError, TargetDied
from upheld.exchange import Request
from upheld.run.budget import BudgetSpent
from upheld.steps import canary

if TYPE_CHECKING:
    from upheld.contract import Contract, Operation
    from upheld.run.drive import Driver

T = TypeVar("T")

PROBES = 12


async def together(works: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """What all of them give, in order. When one fails, or we are cancelled, none of them goes on."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


async def reach(contract: Contract, driver: Driver, url: str) -> None:
    """Ask a few operations that need nothing first, until one is there.

    Raises `TargetDied` when none answers, `SetupError` when none of them exists.
    """
    tried: dict[str, int] = {}
    silence = ""

    async def ask(operation: Operation) -> None:
        nonlocal silence
        try:
            # Any answer will do, so that one to come back later is not waited for.
            response = await driver.ask(Request(operation.method, operation.path, operation=operation.label))
        except BudgetSpent:
            pass
        except CannotProve as cannot:
            silence = str(cannot)
        else:
            tried[operation.label] = response.status

    probes = _probes(contract)
    if not probes:
        return
    first, *others = probes
    await ask(first)
    if tried.get(first.label, 404) == 404:
        await together(ask(operation) for operation in others)
    if not tried and silence:
        raise TargetDied(f"{url} accepts connections but answers no request: {silence}")
    # A member that was never made is rightly 404.
    whole = {label: status for label, status in tried.items() if "{" not in label}
    if whole and set(tried.values()) == {404}:
        raise _foreign(url, whole)


def reached(coverage: Mapping[str, Mapping[str, int]], url: str) -> None:
    """Raises `SetupError` when everything that was sent to every operation was answered with 404."""
    answered = {label: counts for label, counts in coverage.items() if counts}
    whole = any("{" not in label for label in answered)
    if whole and all(set(counts) == {"404"} for counts in answered.values()):
        raise _foreign(url, answered)


def _foreign(url: str, labels: Iterable[str]) -> SetupError:
    names = list(labels)
    shown = ", ".join(names[:6]) + (f" and {len(names) - 6} more" if len(names) > 6 else "")
    return SetupError(
        f"every operation that was tried is 404 on {url} ({shown}): "
        "is this the service that the contract describes? A base path can be given with --target URL/base"
    )


def _probes(contract: Contract) -> list[Operation]:
    """A few operations that change nothing, those that need nothing first before the others."""
    reads = [op for op in contract.operations if op.method == "GET" and op.label not in contract.dangerous]
    alone = [op for op in reads if not op.path_parameters]
    first = [op for op in (canary(contract),) if op is not None]
    unique = {op.label: op for op in (*first, *alone, *reads)}
    return list(unique.values())[:PROBES]
