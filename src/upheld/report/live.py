"""What is going on, while it goes on: a bar on a terminal, a line now and then in a build log."""

from __future__ import annotations

from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING

from upheld.report.clean import one_line, visible
from upheld.report.digest import duration, plural
from upheld.verdict import Progress, Result, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from rich.console import Console, ConsoleOptions, RenderResult
    from rich.live import Live

EVERY = 30.0
"""Seconds between two lines of one phase off a terminal."""


def live(console: Console, *, clock: Callable[[], float] = monotonic) -> Screen:
    """A listener that shows the run on ``console``; use it in a ``with`` statement, which restores the terminal."""
    return Screen(console, clock) if console.is_terminal else Lines(console, clock)


class Screen:
    """A `Listener` that is also a context manager. This one keeps two moving lines at the foot of a terminal."""

    def __init__(self, console: Console, clock: Callable[[], float] = monotonic) -> None:
        self._console, self._clock = console, clock
        self._phase = ""
        self._began = self._said = clock()
        self._last = Progress("phase", "")
        self._before = 0
        self._told: set[tuple[str, str]] = set()
        self._live: Live | None = None

    def __enter__(self) -> Screen:
        self._start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __call__(self, progress: Progress, /) -> None:
        if progress.kind == "phase":
            self._end_phase()
            self._phase, self._began, self._said = progress.text, self._clock(), self._clock()
            self._before = max(progress.requests, self._last.requests)
            self._last = Progress("phase", progress.text, progress.done, progress.total, self._before)
            self._begin_phase()
        elif progress.kind == "note":
            self._print(f"note: {progress.text}", "bold yellow")
        elif progress.kind == "verdict":
            self._verdict(progress.data)
        else:
            self._last = progress
            self._step()

    def close(self) -> None:
        """End the last phase and give the terminal back. May be called twice."""
        self._end_phase()
        self._phase = ""
        if self._live is not None:
            self._live.stop()
            self._live = None

    # -- what the two kinds of output do differently ---------------------------------------------------------------------

    def _start(self) -> None:
        from rich.live import Live

        if self._live is None:
            self._live = Live(self, console=self._console, refresh_per_second=8, transient=True)
            self._live.start()

    def _begin_phase(self) -> None:
        self._start()

    def _step(self) -> None:
        pass  # the screen redraws itself

    # -- what they share -------------------------------------------------------------------------------------------------

    def _end_phase(self) -> None:
        if self._phase:
            self._print(f"{self._phase}: done, {self._spent()}", "dim")

    def _spent(self) -> str:
        requests = max(0, self._last.requests - self._before)
        return f"{duration(self._clock() - self._began)}, {requests:,} {plural(requests, 'request')}"

    def _verdict(self, result: object) -> None:
        if not isinstance(result, Result) or result.verdict is not Verdict.BREACHED:
            return
        finding = (result.requirement, result.cause or result.subject)
        if finding not in self._told:
            self._told.add(finding)
            self._print(f"breached: {result.requirement}   {result.subject}", "red")

    def _print(self, text: str, style: str) -> None:
        from rich.text import Text

        self._console.print(Text(visible(text, keep=""), style), soft_wrap=True, highlight=False)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        step = self._last
        row = Table.grid(padding=(0, 2))
        bar = ProgressBar(total=step.total or None, completed=step.done, width=24, pulse=not step.total)
        left = "" if step.seconds_left is None else f"about {duration(max(0.0, step.seconds_left))} left"
        row.add_row(
            Text(one_line(self._phase) or "starting", "bold"),
            bar,
            Text(f"{step.done}/{step.total}" if step.total else ""),
            Text(f"{step.requests:,} {plural(step.requests, 'request')}"),
            Text(left, "dim"),
        )
        yield row
        running = step.text if step.kind == "step" else ""
        yield Text(f"  {one_line(running)}", "dim", no_wrap=True, overflow="ellipsis")


class Lines(Screen):
    """The same for a build log: a line when a phase begins and ends, one in between every half minute, no escapes."""

    def _start(self) -> None:
        pass

    def _begin_phase(self) -> None:
        self._print(f"{self._phase}: begins", "")

    def _step(self) -> None:
        now, step = self._clock(), self._last
        if now - self._said < EVERY:
            return
        self._said = now
        done = f"{step.done} of {step.total}, " if step.total else ""
        left = "" if step.seconds_left is None else f", about {duration(max(0.0, step.seconds_left))} left"
        running = f": {step.text}" if step.text and step.text != self._phase else ""
        self._print(f"{self._phase}: {done}{step.requests:,} {plural(step.requests, 'request')}{left}{running}", "")
