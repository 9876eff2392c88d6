"""The command line. It imports the rest lazily: ``--version``, ``--help`` and ``list`` answer at once."""

from __future__ import annotations

import contextlib
import json
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from upheld import __version__
from upheld.errors import HarnessError, UpheldError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from upheld.check import Check
    from upheld.contract.policy import Policy
    from upheld.run.examine import Options
    from upheld.verdict import Run

F = TypeVar("F", bound=Callable[..., Any])
INTERRUPTED = 130


class Commands(click.Group):
    """Turns our errors into one message and the exit status of whose fault it is."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            with _terminable():
                return super().invoke(ctx)
        except UpheldError as error:
            _complain(error)
            ctx.exit(error.exit_status)
        except KeyboardInterrupt:
            click.echo("interrupted", err=True)
            ctx.exit(INTERRUPTED)
        except BrokenPipeError:
            sys.stderr.close()
            ctx.exit(0)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            # Status 1 would accuse the service.
            import traceback

            traceback.print_exc()
            _complain(HarnessError(f"{type(error).__name__}: {error}"))
            ctx.exit(HarnessError.exit_status)


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """SIGTERM ends a command as Ctrl-C does: targets are stopped, and what was done is reported."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    try:
        before = signal.signal(signal.SIGTERM, interrupt)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _complain(error: UpheldError) -> None:
    label = {2: "error", 3: "target", 4: "a defect of Upheld"}.get(error.exit_status, "error")
    for line in str(error).splitlines() or [type(error).__name__]:
        click.echo(f"{click.style(label, fg='red', bold=True)}: {line}", err=True)
    if error.exit_status == 4:
        click.echo("please report it with the command that you ran", err=True)


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="upheld")
def main() -> None:
    """Check that a running API keeps the promises of its contract (OpenAPI and upheld.yaml).

    Exit status: 0 all kept; 1 the service broke a promise; 2 the contract or the call is wrong; 3 the target can't be
    reached or died; 4 a defect of Upheld; 130 interrupted.
    """


def _selection(command: F) -> F:
    command = click.option(
        "--only", multiple=True, metavar="NAME", help="Check only these: ids, groups, catalogue numbers, globs."
    )(command)
    return click.option("--skip", multiple=True, metavar="NAME", help="Leave these out.")(command)


def _target(command: F) -> F:
    command = click.option("--target", metavar="URL", help="The running service; wins over the contract's.")(command)
    command = click.option(
        "--allow-host", multiple=True, metavar="HOST", help="A host other than this machine that may be contacted."
    )(command)
    return click.argument("contracts", nargs=-1, metavar="[CONTRACT]...", type=click.Path(path_type=Path))(command)


@main.command()
@_target
@_selection
@click.option("--quick", is_flag=True, help="No waiting for rate windows, short fuzzing: for the desk.")
@click.option("--fuzz/--no-fuzz", default=True, help="Whether requests are generated with Schemathesis.")
@click.option(
    "--load", "load_seconds", type=float, default=0.0, metavar="SECONDS", help="End with a load run this long."
)
@click.option("--seed", type=int, help="Seed of everything generated; printed with every run.")
@click.option("--requests", type=click.IntRange(1), help="Most requests that the run may send.")
@click.option("--seconds", type=click.FloatRange(1), help="Most seconds that the run may take.")
@click.option(
    "--json",
    "json_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write the JSON report here (- for standard output).",
)
@click.option("--junit", "junit_file", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML here.")
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the HTML report here."
)
@click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for all reports [.upheld/report].",
)
@click.option("-v", "--verbose", is_flag=True, help="Show every promise, also those that were upheld.")
def check(
    contracts: tuple[Path, ...],
    target: str | None,
    allow_host: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    quick: bool,
    fuzz: bool,
    load_seconds: float,
    seed: int | None,
    requests: int | None,
    seconds: float | None,
    json_file: Path | None,
    junit_file: Path | None,
    html_file: Path | None,
    folder: Path | None,
    verbose: bool,
) -> None:
    """Hold contracts against the running service and give every promise a verdict.

    Without a CONTRACT: ./upheld.yaml, ./contracts/*/upheld.yaml, else the bundled reference backend.
    """
    from upheld.checks import select
    from upheld.run.examine import Options

    select(only, skip)  # a misspelt name is told before anything is started
    paths = _contracts(contracts)
    folders = _folders(paths, folder or Path(".upheld/report"), (json_file, junit_file, html_file))
    console = _console(stderr=json_file == Path("-"))
    status = 0
    for path, reports in zip(paths, folders, strict=True):
        place = shlex.quote(_shown(path)) if contracts or len(paths) > 1 else ""
        again = " ".join(filter(None, ("upheld check", place, f"--target {target}" if target else "")))
        options = Options(
            quick=quick,
            fuzz=fuzz,
            load_seconds=load_seconds,
            seed=seed,
            requests=requests,
            seconds=seconds,
            again=again,
        )
        run = _run(path, target, allow_host, only, skip, options, console)
        written = _write(run, reports, json_file, junit_file, html_file)
        from upheld.report.terminal import render

        render(run, console, verbose=verbose, report=written)
        status = max(status, run.exit_status)
        if run.exit_status == INTERRUPTED:
            break
    sys.exit(status)


def _folders(paths: Sequence[Path], folder: Path, files: tuple[Path | None, ...]) -> list[Path]:
    """Where the reports of each contract go. What is wrong with the call or a contract is told before anything is run."""
    from upheld.report.files import check_place

    if len(paths) == 1:
        folders = [folder]
    elif any(files):
        raise UsageError(
            f"--json, --junit and --html hold one report, and there are {len(paths)} contracts: name one of them, "
            "or use --report FOLDER, which gets a folder for each"
        )
    else:
        from upheld.contract.load import load, policy_only

        for path in paths:
            if policy_only(path).document_served is None:
                load(path)
        names = [(path.parent if path.is_file() else path).resolve().name for path in paths]
        folders = [
            folder / (name if names.count(name) == 1 else f"{name}-{number}") for number, name in enumerate(names, 1)
        ]
    for place in folders:
        check_place(place)
    for file in files:
        if file is not None and file != Path("-") and file.is_dir():
            raise UsageError(f"{file} is a folder")
    return folders


def _run(
    path: Path,
    target: str | None,
    allow_host: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    options: Options,
    console: Console,
) -> Run:
    from dataclasses import replace

    from upheld.report.live import live
    from upheld.run.examine import examine
    from upheld.run.prepare import opened

    def played(policy: Policy) -> list[Check]:
        return [] if options.quick else _chosen(policy, only, skip)

    with live(console) as screen, opened(path, target, allow_hosts=allow_host, played=played) as ready:
        named = replace(options, target_name=f"{ready.name} at {ready.running['raised'].url}")
        return examine(ready.contract, _chosen(ready.contract.policy, only, skip), ready.running, named, screen)


def _chosen(policy: Policy, only: tuple[str, ...], skip: tuple[str, ...]) -> list[Check]:
    from upheld.checks import select

    checks = policy.checks
    return list(select(only or checks.only, (*skip, *checks.skip)).values())


def _contracts(paths: tuple[Path, ...]) -> list[Path]:
    from upheld.contract.load import find
    from upheld.run.prepare import bundled

    if paths:
        return list(find(paths))
    here = [Path("upheld.yaml"), *sorted(Path("contracts").glob("*/upheld.yaml"))]
    return [path for path in here if path.is_file()] or [bundled()]


def _shown(path: Path) -> str:
    folder = path.parent if path.name == "upheld.yaml" and len(path.parts) > 1 else path
    return str(folder)


def _console(*, stderr: bool = False) -> Console:
    import os

    from rich.console import Console

    class Patient(Console):
        def on_broken_pipe(self) -> None:
            # Who read us has gone (`| head`); the reports and the exit status are still wanted.
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())

    return Patient(stderr=stderr, highlight=False)


def _write(run: Run, folder: Path, json_file: Path | None, junit_file: Path | None, html_file: Path | None) -> Path:
    from upheld.report import files, html, json_report, junit

    written = files.write(run, folder)
    if json_file == Path("-"):
        with contextlib.suppress(BrokenPipeError):
            click.echo(json_report.dumps(run), nl=False)
    elif json_file is not None:
        files.replace_text(json_file, json_report.dumps(run))
    if junit_file is not None:
        files.replace_text(junit_file, junit.render(run))
    if html_file is not None:
        files.replace_text(html_file, html.render(run))
    return html_file or written["html"]


@main.command()
@_target
@_selection
@click.option("--quick", is_flag=True, help="As for check --quick.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def plan(
    contracts: tuple[Path, ...],
    target: str | None,
    allow_host: tuple[str, ...],
    only: tuple[str, ...],
    skip: tuple[str, ...],
    quick: bool,
    as_json: bool,
) -> None:
    """Show what would be checked, what can't be proven and why, what was inferred and what it costs. Sends nothing.

    (Where the OpenAPI document is served by the target, that one document is fetched.)
    """
    from upheld.report.planned import render, to_json
    from upheld.run.prepare import planned, read_contract

    shown = []
    for path in _contracts(contracts):
        contract = read_contract(path, target, allow_hosts=allow_host)
        made = planned(contract, _chosen(contract.policy, only, skip), target, quick=quick)
        if as_json:
            shown.append(to_json(contract, made))
        else:
            render(contract, made, _console())
    if as_json:
        click.echo(json.dumps(shown[0] if len(shown) == 1 else shown, indent=2))


@main.command(name="list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@_selection
def list_(as_json: bool, only: tuple[str, ...], skip: tuple[str, ...]) -> None:
    """List the catalogue: every requirement with its level, clause and title."""
    from upheld.checks import select
    from upheld.report.docs import listing

    checks = list(select(only, skip).values())
    if as_json:
        click.echo(json.dumps(listing(checks), indent=2, ensure_ascii=False))
        return
    width = max(len(check.id) for check in checks)
    group = ""
    for check in checks:
        if check.group != group:
            group = check.group
            click.echo(click.style(group, bold=True))
        click.echo(f"  {check.id:<{width}}  {check.level:<6}  {check.title} ({check.requirement.clause.text})")


@main.command()
@click.argument("requirement")
def explain(requirement: str) -> None:
    """Show the page of a requirement: what it requires, why, what it sends, what a breach looks like."""
    from upheld.checks import select
    from upheld.report.docs import page

    for check in select((requirement,)).values():
        click.echo(page(check))


@main.command()
@_target
@click.option("--seconds", type=click.FloatRange(1), help="Length of the measured part [the contract's load.duration].")
@click.option("--rate", type=click.FloatRange(0.1), help="Requests per second [the contract's load.rate].")
@click.option("--seed", type=int, help="Seed of the schedule.")
@click.option(
    "--save-plan",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Write the plan for plain Locust here (load/README.md), and press on nothing.",
)
@click.option(
    "--json", "json_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the JSON report here."
)
@click.option("--junit", "junit_file", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML here.")
@click.option(
    "--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Write the HTML report here."
)
@click.option(
    "--report",
    "folder",
    type=click.Path(path_type=Path, file_okay=False),
    help="Folder for all reports [.upheld/load].",
)
def load(
    contracts: tuple[Path, ...],
    target: str | None,
    allow_host: tuple[str, ...],
    seconds: float | None,
    rate: float | None,
    seed: int | None,
    save_plan: Path | None,
    json_file: Path | None,
    junit_file: Path | None,
    html_file: Path | None,
    folder: Path | None,
) -> None:
    """Press on the service as the contract says and decide whether its p95 targets are met."""
    from upheld.report.live import live
    from upheld.report.terminal import render
    from upheld.run.examine import Options, press
    from upheld.run.prepare import opened

    paths = _contracts(contracts)
    folders = _folders(paths, folder or Path(".upheld/load"), (json_file, junit_file, html_file))
    console, status = _console(stderr=json_file == Path("-")), 0
    for path, reports in zip(paths, folders, strict=True):
        with live(console) as screen, opened(path, target, allow_hosts=allow_host, profiles=("raised",)) as ready:
            duration = seconds or ready.contract.policy.load.duration or 30.0
            place = shlex.quote(_shown(path)) if contracts or len(paths) > 1 else ""
            options = Options(
                fuzz=False,
                load_seconds=duration,
                load_rate=rate,
                save_plan=save_plan,
                seed=seed,
                seconds=duration + 120,
                again=" ".join(filter(None, ("upheld load", place))),
                target_name=f"{ready.name} at {ready.running['raised'].url}",
            )
            run = press(ready.contract, ready.running, options, screen)
        if save_plan is not None and not run.stopped:
            click.echo("\n".join(run.notes))
            continue
        written = _write(run, reports, json_file, junit_file, html_file)
        render(run, console, report=written)
        status = max(status, run.exit_status)
        if run.exit_status == INTERRUPTED:
            break
    sys.exit(status)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True)
@click.option("--port", default=8500, show_default=True)
@click.option("--workers", default=1, show_default=True)
@click.option("--mutant", metavar="NAME", help="Start it with this defect switched on (`--mutant list` shows them).")
def serve(host: str, port: int, workers: int, mutant: str | None) -> None:
    """Start the reference backend: the house standard made flesh."""
    import os
    import subprocess
    from importlib.util import find_spec

    from upheld.targets import ports

    if find_spec("fastapi") is None:
        raise UsageError("the reference backend needs its extra: pip install 'upheld[reference]'")
    if mutant != "list" and host in ("127.0.0.1", "0.0.0.0", "localhost") and not ports.is_free(port):
        raise UsageError(f"port {port} is taken by another process; --port names another one")
    command = [sys.executable, "-m", "upheld.reference", "--host", host, "--port", str(port), "--workers", str(workers)]
    if mutant == "list":
        command = [sys.executable, "-m", "upheld.reference.mutants"]
    elif mutant:
        os.environ["UPHELD_REFERENCE_MUTANT"] = mutant
    else:
        click.echo(f"the reference backend at http://{host}:{port} (Ctrl-C ends it)", err=True)
    sys.exit(subprocess.call(command))


@main.command()
@_target
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Where to [standard output].",
)
@click.option("--force", is_flag=True, help="Replace the file if it exists.")
@click.option("--with-secrets", is_flag=True, help="Write secrets, not the names of environment variables.")
def wfc(
    contracts: tuple[Path, ...],
    target: str | None,
    allow_host: tuple[str, ...],
    output: Path | None,
    force: bool,
    with_secrets: bool,
) -> None:
    """Write a contract's identities as a WFC authentication file, for EvoMaster, Schemathesis and other fuzzers."""
    from upheld.run.prepare import read_contract
    from upheld.run.wfc_file import wfc_text, write_new

    paths = _contracts(contracts)
    if len(paths) > 1:
        raise UsageError(f"there are {len(paths)} contracts: name one of them")
    contract = read_contract(paths[0], target, allow_hosts=allow_host)
    text, notes = wfc_text(contract, output, with_secrets=with_secrets)
    for note in notes:
        click.echo(note, err=True)
    if output is None or output == Path("-"):
        click.echo(text, nl=False)
    else:
        write_new(output, text, force=force, private=with_secrets)


@main.command()
def schema() -> None:
    """Print the JSON Schema of upheld.yaml, for editors."""
    from upheld.contract.schema import json_schema

    click.echo(json.dumps(json_schema(), indent=2))
