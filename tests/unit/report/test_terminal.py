"""What a person reads at the end of a run, and while it goes on."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from upheld.report import terminal
from upheld.verdict import Evidence, Progress, Result, Run, Verdict

MakeRun = Callable[..., Run]
MakeResult = Callable[..., Result]

BLOCK = """\
BREACHED  ratelimit/retry-after   POST /api/v1/auth/login
  sent       11 logins in 0.8 s from one address
  required   429 carries Retry-After, a whole number of seconds (RFC 9110 §10.2.3; contract: retry_after: required)
  expected   Retry-After: 1 … 60
  actual     no Retry-After
  again      upheld check contracts/reference --only ratelimit/retry-after   |   curl -i --path-as-is --data-raw 'a  b' \
http://127.0.0.1:8500/api/v1/auth/login
"""


def console(width: int = 120, *, tty: bool = False, environment: Mapping[str, str] | None = None) -> Console:
    return Console(file=io.StringIO(), width=width, force_terminal=tty, _environ=dict(environment or {}))


def printed(run: Run, width: int = 120, *, verbose: bool = False, report: str = "", **kind: object) -> str:
    screen = console(width, **kind)  # type: ignore[arg-type]
    terminal.render(run, screen, verbose=verbose, report=report)
    return screen.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_breach_is_told_in_exactly_these_lines(rich_run: Run) -> None:
    assert BLOCK in printed(rich_run)


def test_long_values_fold_under_their_column_and_commands_do_not(rich_run: Run) -> None:
    text = re.sub(r"\x1b\[[0-9;]*m", "", printed(rich_run, 80, tty=True))
    assert "  required   429 carries Retry-After, a whole number of seconds (RFC 9110\n             §10.2.3;" in text
    assert BLOCK.splitlines()[-1] in text
    folded = [line for line in text.splitlines() if not line.startswith(("  again", "BREACHED", "UNPROVEN"))]
    assert max(map(len, folded[: folded.index(next(line for line in folded if line.startswith("load:")))])) <= 80


def test_one_cause_is_one_block(rich_run: Run) -> None:
    text = printed(rich_run)
    assert text.count("BREACHED  http/allow") == 1
    assert "and 11 more operations: GET /api/v1/things1, " in text
    assert "GET /api/v1/things11" not in text
    assert "GET /api/v1/things11" in printed(rich_run, verbose=True)


def test_notes_come_first(rich_run: Run) -> None:
    assert printed(rich_run).startswith("NOTE  credential lost after DELETE")


def test_order_of_the_parts(rich_run: Run) -> None:
    text = printed(rich_run, report="out/report.html")
    parts = ["NOTE", "BREACHED", "ADVISORY", "FLAKY", "UNPROVEN", "WAIVED", "load:", "all  ", "2 of 4 operations"]
    places = [text.index(part) for part in parts]
    assert places == sorted(places)
    assert text.splitlines()[-1] == (
        "3 breaches: 14 of 36 promises that could be judged are broken; 1 advisory, 4 unproven, 1 waived, 1 flaky. "
        "74 s, 12,345 requests, seed 42; report: out/report.html"
    )


def test_unproven_are_grouped_with_the_line_to_add(rich_run: Run) -> None:
    text = printed(rich_run)
    assert (
        "UNPROVEN  3 promises\n"
        "  because    no admin is given\n"
        "  add        identities: {admin: {role: admin, password_env: CONTRACT_ADMIN_PASSWORD}}\n"
        "  of         auth/role-0, auth/role-1, auth/role-2\n"
    ) in text


def test_many_reasons_are_cut_short_unless_asked_for(make_run: MakeRun, make_result: MakeResult) -> None:
    run = make_run(*(make_result(Verdict.UNPROVEN, subject=f"s{at}", reason=f"because {at}") for at in range(20)))
    assert "UNPROVEN  8 more promises for 8 more reasons; --verbose" in printed(run)
    assert "because 19" in printed(run, verbose=True)


def test_waived_say_why_and_until_when(rich_run: Run) -> None:
    assert "WAIVED  http/trace   GET /api/v1/items\n  because    TRACE is disabled on purpose (until 2027-06-30)\n" in (
        printed(rich_run)
    )


def test_the_table_of_groups(rich_run: Run) -> None:
    rows = {
        line.split()[0]: line.split()[1:] for line in printed(rich_run).splitlines() if re.match(r"(http|all) ", line)
    }
    assert rows["http"] == ["22", "12", "1", "·", "1", "·"]
    assert rows["all"] == ["22", "14", "1", "4", "1", "1"]


def test_coverage_names_what_was_not_reached(rich_run: Run) -> None:
    assert "2 of 4 operations reached a 2xx; not reached: DELETE /api/v1/items/{id}, " in printed(rich_run)


def load_table(run: Run, width: int = 120, *, tty: bool = False) -> list[str]:
    lines = printed(run, width, tty=tty).splitlines()
    return lines[next(at for at, line in enumerate(lines) if "load:" in line) :]


def test_the_load_table_has_no_percentile_without_number_and_bounds(rich_run: Run) -> None:
    head, row = (
        next(line for line in load_table(rich_run) if line.startswith(start)) for start in ("ms ", "GET /api/v1/rep")
    )
    assert head.split() == ["ms", "n", "p50", "p95", "p99", "target", "over", "429", "errors"]
    assert " ".join(row.split()) == (
        "GET /api/v1/reports/sales missed 1,491 340 910 (728–1,092) 1,800 500 20 % (17–24) 9 1"
    )


def test_on_a_narrow_screen_figures_stand_below_their_row(rich_run: Run) -> None:
    lines = [re.sub(r"\x1b\[[0-9;]*m", "", line) for line in load_table(rich_run, 80, tty=True)]
    at = lines.index("GET /api/v1/reports/sales  missed")
    assert " ".join(lines[at + 1].split()) == "1,491 340 910 (728–1,092) 1,800 500 20 % (17–24) 9 1"
    assert max(len(line) for line in lines[at : at + 2]) <= 80


def test_a_percentile_among_failures_is_no_number(rich_run: Run) -> None:
    assert rich_run.load is not None
    row = replace(rich_run.load.rows[0], percentiles=(), p99_ms=None)
    lines = load_table(replace(rich_run, load=replace(rich_run.load, rows=(row,))))
    line = next(line for line in lines if line.startswith(row.name))
    assert " ".join(line.split()).endswith("21 140 ∞ 200 0.80 % (0.40–1.4) 9 1")
    assert "  ∞: so many had no good answer that no latency can be named" in lines


def test_the_generator_is_told_beside_its_figures(rich_run: Run) -> None:
    text = "\n".join(load_table(rich_run))
    assert "the generator was at most 3.2 ms late itself for 99 of 100 requests" in text
    assert "noise floor: 95 of 100 requests that do nothing took at most 1.1 ms" in text
    assert "2 generator processes sent 6,001 requests: 0 sent 3,000 (3.2 ms late, 10% of a processor)" in text


def test_why_a_row_was_not_met_is_told_once(rich_run: Run, make_result: MakeResult) -> None:
    assert rich_run.load is not None
    rows = tuple(
        replace(rich_run.load.rows[2], name=f"GET /{at}", reason=f"{at}.5% of 40 over; {at} s more would decide")
        for at in range(3)
    )
    unknown = replace(rich_run, results=(), load=replace(rich_run.load, rows=rows))
    assert "  GET /0 and 2 more: not decided: 0.5% of 40 over; 0 s more would decide" in load_table(unknown)
    results = (
        make_result(Verdict.UNPROVEN, requirement="latency/p95", subject=row.name, reason=row.reason) for row in rows
    )
    text = printed(replace(unknown, results=tuple(results)))
    assert text.count("more would decide") == 1
    assert (
        "UNPROVEN  3 promises\n"
        "  because    GET /0: 0.5% of 40 over; 0 s more would decide\n"
        "  of         latency/p95: GET /0, GET /1, GET /2\n"
    ) in text


def test_everything_with_verbose(rich_run: Run) -> None:
    text = printed(rich_run, verbose=True)
    assert "upheld        http/allow   GET /api/v1/fine19   Allow: GET, HEAD" in text
    assert "not applicable" in text


def test_nothing_proven_is_not_praised(empty_run: Run) -> None:
    assert printed(empty_run).splitlines()[-1] == "Nothing was proven. 0.0 s, 0 requests, seed 42"


def test_all_kept(large_run: Run) -> None:
    assert printed(large_run).splitlines()[-1].startswith("All 300 promises that could be judged are kept. 74 s,")


def test_why_a_run_stopped_is_said_first_and_last(rich_run: Run) -> None:
    lines = printed(replace(rich_run, stopped="Ctrl-C", exit_status=130)).splitlines()
    assert lines[0] == "NOTE  stopped: Ctrl-C"
    assert lines[-1].startswith("Stopped before the end: 3 breaches")


def test_a_dead_target_shows_its_last_words(rich_run: Run) -> None:
    text = printed(replace(rich_run, exit_status=3, target_output="line\n" * 30 + "MemoryError"))
    assert text.count("  | line") == 19
    assert "  | MemoryError" in text


def test_no_escapes_off_a_terminal(rich_run: Run) -> None:
    text = printed(rich_run)
    assert all(char.isprintable() or char == "\n" for char in text)


def test_on_a_terminal_the_only_escapes_are_our_colours(rich_run: Run) -> None:
    text = printed(rich_run, tty=True)
    assert "\x1b[" in text
    assert all(char.isprintable() or char == "\n" for char in re.sub(r"\x1b\[[0-9;]*m", "", text))


def test_no_color_is_honoured(rich_run: Run) -> None:
    coloured = re.compile(r"\x1b\[[0-9;]*3[0-7]")
    assert coloured.search(printed(rich_run, tty=True))
    assert not coloured.search(printed(rich_run, tty=True, environment={"NO_COLOR": "1", "TERM": "xterm-256color"}))


def test_markup_is_text(rich_run: Run) -> None:
    assert "[bold]b[/bold] [/] [link=http://evil.test]x[/link]" in printed(rich_run, 400)


@pytest.mark.parametrize(
    "attack", ["a\n::error::x", "a\n   ::add-mask::x", "##vso[task.x]y", "##[error]z", "##teamcity[x]"]
)
def test_build_servers_are_given_no_commands(attack: str, make_run: MakeRun, make_result: MakeResult) -> None:
    evidence = Evidence(attack, attack, attack, attack, "upheld check")
    run = make_run(
        make_result(Verdict.BREACHED, evidence=evidence, subject=attack), notes=(attack,), target_output=attack
    )
    for line in printed(replace(run, exit_status=3), 60).splitlines():
        assert not line.lstrip().startswith("::")
        assert not re.search(r"##\w*\[", line)


@given(st.text(max_size=60), st.integers(20, 200))
def test_any_text_at_any_width(text: str, width: int) -> None:
    evidence = Evidence(text, text, text, text, text, text)
    result = Result(
        requirement="a/b", subject=text, title=text, level="MUST", clause=text, clause_url=text, catalogue=(),
        verdict=Verdict.BREACHED, evidence=evidence,
    )  # fmt: skip
    run = Run(
        contract=text, target=text, version="1", started=text, seconds=1, requests=1, seed=1, results=(result,),
        notes=(text,), coverage={text: {}},
    )  # fmt: skip
    assert all(char.isprintable() or char == "\n" or char.isspace() for char in printed(run, width))


# -- while it goes on ----------------------------------------------------------------------------------------------------


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_off_a_terminal_a_line_when_a_phase_begins_and_ends_and_now_and_then(make_result: MakeResult) -> None:
    screen, clock = console(), Clock()
    with terminal.live(screen, clock=clock) as listener:
        listener(Progress("phase", "fuzzing", total=100))
        for at in range(100):
            clock.now += 1
            listener(Progress("step", "GET /a", done=at, total=100, requests=at * 10, seconds_left=100.0 - at))
        listener(Progress("verdict", "", data=make_result(Verdict.BREACHED, cause="x")))
        listener(Progress("verdict", "", data=make_result(Verdict.BREACHED, cause="x", subject="other")))
        listener(Progress("verdict", "", data=make_result(Verdict.UPHELD)))
        listener(Progress("note", "credential \x1b[2Jlost"))
        listener(Progress("phase", "limits", requests=1000))
    assert screen.file.getvalue().splitlines() == [  # type: ignore[attr-defined]
        "fuzzing: begins",
        "fuzzing: 29 of 100, 290 requests, about 71 s left: GET /a",
        "fuzzing: 59 of 100, 590 requests, about 41 s left: GET /a",
        "fuzzing: 89 of 100, 890 requests, about 11 s left: GET /a",
        "breached: http/allow   GET /api/v1/items",
        "note: credential \\x1b[2Jlost",
        "fuzzing: done, 100 s, 990 requests",
        "limits: begins",
        "limits: done, 0.0 s, 0 requests",
    ]


def test_on_a_terminal_a_bar_that_is_gone_afterwards() -> None:
    screen = console(100, tty=True)
    with terminal.live(screen) as listener:
        listener(Progress("phase", "fuzzing", total=100))
        listener(Progress("step", "GET /[bold]a\x1b", done=40, total=100, requests=412, seconds_left=9.0))
        screen.print("between")
    text = screen.file.getvalue()  # type: ignore[attr-defined]
    assert "40/100" in text
    assert "412 requests" in text
    assert "about 9.0 s left" in text
    assert "GET /[bold]a\\x1b" in text
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h") == 1


def test_the_terminal_is_given_back_after_an_error() -> None:
    screen = console(tty=True)

    def breaks() -> None:
        with terminal.live(screen) as listener:
            listener(Progress("phase", "fuzzing"))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        breaks()
    assert "\x1b[?25h" in screen.file.getvalue()  # type: ignore[attr-defined]


def test_importing_the_reports_imports_no_rich() -> None:
    import subprocess
    import sys

    code = "import sys, upheld.report.terminal, upheld.report.junit, upheld.report.docs, upheld.report.files; "
    code += "print(sorted({'rich', 'jinja2'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"
