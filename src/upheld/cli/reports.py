"""Where a command writes what it found."""

from __future__ import annotations

import contextlib
import functools
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from upheld.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from upheld.verdict import Run

STANDARD_OUTPUT = Path("-")
Command = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Reports:
    """The folder for all reports, and files that get one each."""

    folder: Path
    json: Path | None = None
    junit: Path | None = None
    html: Path | None = None
    markdown: Path | None = None
    sarif: Path | None = None

    @property
    def files(self) -> tuple[Path, ...]:
        """The files that were asked for."""
        return tuple(file for file in (self.json, self.junit, self.html, self.markdown, self.sarif) if file is not None)

    def console(self) -> Console:
        """The screen: standard error where standard output holds the JSON report."""
        return console(stderr=self.json == STANDARD_OUTPUT)

    def folders(self, contracts: Sequence[Path]) -> list[Path]:
        """Where the reports of each contract go. What is wrong with the call or a contract is told before anything is run.

        Raises `UsageError`.
        """
        from upheld.report.files import check_place

        folders = [self.folder] if len(contracts) == 1 else self._one_each(contracts)
        for place in folders:
            check_place(place)
        for file in self.files:
            if file != STANDARD_OUTPUT and file.is_dir():
                raise UsageError(f"{file} is a folder")
        return folders

    def _one_each(self, contracts: Sequence[Path]) -> list[Path]:
        from upheld.contract.load import load, policy_only

        if self.files:
            raise UsageError(
                f"--json, --junit, --html, --markdown and --sarif hold one report, and there are {len(contracts)} contracts: name one of them, "
                "or use --report FOLDER, which gets a folder for each"
            )
        for path in contracts:
            if policy_only(path).document_served is None:
                load(path)
        names = [(path.parent if path.is_file() else path).resolve().name for path in contracts]
        return [
            self.folder / (name if names.count(name) == 1 else f"{name}-{number}")
            for number, name in enumerate(names, 1)
        ]

    def write(self, run: Run, folder: Path) -> Path:
        """All reports into ``folder`` and those that were asked for where they were asked for. Returns the HTML report's place."""
        from upheld.checks import catalogue
        from upheld.report import files, html, json_report, junit, markdown, sarif

        checks = catalogue()
        written = files.write(run, folder, checks)
        if self.json == STANDARD_OUTPUT:
            with contextlib.suppress(BrokenPipeError):
                click.echo(json_report.dumps(run), nl=False)
        elif self.json is not None:
            files.replace_text(self.json, json_report.dumps(run))
        if self.junit is not None:
            files.replace_text(self.junit, junit.render(run))
        if self.html is not None:
            files.replace_text(self.html, html.render(run, checks))
        if self.markdown is not None:
            files.replace_text(self.markdown, markdown.render(run))
        if self.sarif is not None:
            files.replace_text(self.sarif, sarif.render(run, checks))
        return self.html or written["html"]


def reports(default: str) -> Callable[[Command], Command]:
    """``--json``, ``--junit``, ``--html``, ``--markdown``, ``--sarif`` and ``--report`` as one argument ``reports``."""

    def decorate(command: Command) -> Command:
        @functools.wraps(command)
        def called(
            *args: Any,
            json_file: Path | None,
            junit_file: Path | None,
            html_file: Path | None,
            markdown_file: Path | None,
            sarif_file: Path | None,
            folder: Path | None,
            **rest: Any,
        ) -> Any:
            where = Reports(folder or Path(default), json_file, junit_file, html_file, markdown_file, sarif_file)
            return command(*args, reports=where, **rest)

        file = click.Path(path_type=Path, dir_okay=False)
        place = click.Path(path_type=Path, file_okay=False)
        for option in (
            click.option("--report", "folder", type=place, help=f"Folder for all reports [{default}]."),
            click.option("--sarif", "sarif_file", type=file, help="Write SARIF 2.1.0 here, for code scanning."),
            click.option(
                "--markdown", "markdown_file", type=file, help="Write Markdown here, for the summary of a CI job."
            ),
            click.option("--html", "html_file", type=file, help="Write the HTML report here."),
            click.option("--junit", "junit_file", type=file, help="Write JUnit XML here."),
            click.option("--json", "json_file", type=file, help="Write the JSON report here (- for standard output)."),
        ):
            called = option(called)
        return called

    return decorate


@dataclass(frozen=True, slots=True)
class Study:
    """Files for what several load runs together showed."""

    json: Path | None = None
    html: Path | None = None
    markdown: Path | None = None

    def console(self) -> Console:
        """The screen: standard error where standard output holds the JSON document."""
        return console(stderr=self.json == STANDARD_OUTPUT)

    def write(self, document: Mapping[str, Any]) -> None:
        """The document, and what is made of it, where they were asked for."""
        from upheld.report import study
        from upheld.report.files import replace_text

        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        if self.json == STANDARD_OUTPUT:
            with contextlib.suppress(BrokenPipeError):
                click.echo(text, nl=False)
        elif self.json is not None:
            replace_text(self.json, text)
        if self.html is not None:
            replace_text(self.html, study.as_html(document))
        if self.markdown is not None:
            replace_text(self.markdown, study.as_markdown(document))


def study(command: Command) -> Command:
    """``--json``, ``--html`` and ``--markdown`` of a command that plays several load runs, as one argument ``files``."""

    @functools.wraps(command)
    def called(
        *args: Any, json_file: Path | None, html_file: Path | None, markdown_file: Path | None, **rest: Any
    ) -> Any:
        return command(*args, files=Study(json_file, html_file, markdown_file), **rest)

    file = click.Path(path_type=Path, dir_okay=False)
    for option in (
        click.option(
            "--markdown", "markdown_file", type=file, help="Write Markdown here, for the summary of a CI job."
        ),
        click.option("--html", "html_file", type=file, help="Write the result as a page here."),
        click.option("--json", "json_file", type=file, help="Write the result as JSON here (- for standard output)."),
    ):
        called = option(called)
    return called


def console(*, stderr: bool = False) -> Console:
    """A screen that may go away."""
    from rich.console import Console

    class Patient(Console):
        def on_broken_pipe(self) -> None:
            # Who read us has gone (`| head`); the reports and the exit status are still wanted.
            self.quiet = True
            os.dup2(os.open(os.devnull, os.O_WRONLY), self.file.fileno())

    return Patient(stderr=stderr, highlight=False)
