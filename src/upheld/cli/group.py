"""The command itself: errors become one message and the exit status of whose fault it is."""

from __future__ import annotations

import contextlib
import signal
import sys
from collections.abc import Iterator
from typing import Any

import click

from upheld import __version__
from upheld.errors import HarnessError, UpheldError

INTERRUPTED = 130
COMPLETION = "_UPHELD_COMPLETE"
"""The variable by which a shell asks for what Tab offers."""


class WithCommands(click.Command):
    """A command that has others below it: a first word that is none of their names is its own argument."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        self.commands: dict[str, click.Command] = {}

    def add(self, command: click.Command) -> None:
        """Put ``command`` below this one."""
        self.commands[command.name or ""] = command

    def make_context(
        self, info_name: str | None, args: list[str], parent: click.Context | None = None, **extra: Any
    ) -> click.Context:
        if args and (below := self.commands.get(args[0])):
            return below.make_context(f"{info_name} {args[0]}", args[1:], parent, **extra)
        return super().make_context(info_name, args, parent, **extra)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(ctx, formatter)
        with formatter.section("Commands"):
            rows = [(name, command.get_short_help_str(limit=200)) for name, command in self.commands.items()]
            formatter.write_dl(rows)


class Commands(click.Group):
    """Turns our errors into one message and the exit status of whose fault it is."""

    def main(self, *args: Any, **settings: Any) -> Any:
        # Also where it is called as `python -m upheld`.
        return super().main(*args, **{"complete_var": COMPLETION, **settings})

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
