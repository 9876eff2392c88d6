"""Options that several commands have: which contracts, which target, which checks."""

from __future__ import annotations

import random
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from upheld.cli import complete
from upheld.errors import UsageError

if TYPE_CHECKING:
    from upheld.check import Check
    from upheld.contract.policy import Policy

F = TypeVar("F", bound=Callable[..., Any])


def selection(command: F) -> F:
    """``--only`` and ``--skip``."""
    command = click.option(
        "--only", multiple=True, metavar="NAME", help="Check only these: ids, groups, catalogue numbers, globs.",
        shell_complete=complete.selections,
    )(command)  # fmt: skip
    return click.option(
        "--skip", multiple=True, metavar="NAME", help="Leave these out.", shell_complete=complete.selections
    )(command)


def hosts(command: F) -> F:
    """``--allow-host``."""
    return click.option(
        "--allow-host", multiple=True, metavar="HOST", help="A host other than this machine that may be contacted."
    )(command)


def target(command: F) -> F:
    """``CONTRACT...``, ``--target`` and ``--allow-host``."""
    command = click.option("--target", metavar="URL", help="The running service; wins over the contract's.")(command)
    return click.argument(
        "contracts",
        nargs=-1,
        metavar="[CONTRACT]...",
        type=click.Path(path_type=Path),
        shell_complete=complete.contracts,
    )(hosts(command))


def baseline(command: F) -> F:
    """``--baseline``."""
    return click.option(
        "--baseline",
        type=click.Path(path_type=Path, dir_okay=False),
        help="Breaches that are known (upheld baseline writes them): only others fail.",
    )(command)


def since(command: F) -> F:
    """``--since``."""
    return click.option("--since", metavar="REV", help="Only what differs from the contract at this git revision.")(
        command
    )


def seed(command: F) -> F:
    """``--seed``; drawn where it is not given."""
    return click.option("--seed", type=int, callback=_drawn, help="Seed of the schedules; printed with every run.")(
        command
    )


def _drawn(context: click.Context, parameter: click.Parameter, value: int | None) -> int:
    return random.SystemRandom().randrange(1 << 31) if value is None else value


def chosen(policy: Policy, only: tuple[str, ...], skip: tuple[str, ...]) -> list[Check]:
    """The checks that the command line, else the contract, asks for. Raises `UsageError`."""
    from upheld.checks import select

    checks = policy.checks
    return list(select(only or checks.only, (*skip, *checks.skip)).values())


def found(paths: tuple[Path, ...]) -> list[Path]:
    """The contracts that were named, else those of this folder, else the bundled one. Raises `ContractError`."""
    from upheld.contract.load import find
    from upheld.run.prepare import bundled

    if paths:
        return list(find(paths))
    here = [Path("upheld.yaml"), *sorted(Path("contracts").glob("*/upheld.yaml"))]
    return [path for path in here if path.is_file()] or [bundled()]


def found_one(paths: tuple[Path, ...]) -> Path:
    """The only one of `found`. Raises `ContractError`, and `UsageError` where there are several."""
    contracts = found(paths)
    if len(contracts) > 1:
        raise UsageError(f"there are {len(contracts)} contracts: name one of them")
    return contracts[0]


def again(command: str, path: Path, *words: str, named: bool) -> str:
    """The command line that does the same with this contract; without it where nobody ``named`` one."""
    folder = path.parent if path.name == "upheld.yaml" and len(path.parts) > 1 else path
    return " ".join(filter(None, (command, shlex.quote(str(folder)) if named else "", *words)))
