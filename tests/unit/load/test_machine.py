"""Whose processor time it was, read from a /proc of our own making."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.load.making import counted, mixed, plan, result

from upheld.load.machine import Busy, Look, Machine, between, on_this_machine
from upheld.load.outcome import load_run

PORT = 8500


class Proc:
    """A /proc with 100 as us, 200 as the service, 300 as somebody else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "net").mkdir(parents=True)
        head = "  sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt   uid  timeout inode\n"
        lines = [
            f"   0: 0100007F:{PORT:04X} 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4711 1 0 100",
            f"   1: 0100007F:{PORT:04X} 0100007F:9C40 01 00000000:00000000 00:00000000 00000000  0  0 4712 1 0 100",
            "   2: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  0  0 4713 1 0 100",
        ]
        (folder / "net/tcp").write_text(head + "\n".join(lines) + "\n")
        self.total(0, 0)
        for pid, parent, name in (
            (1, 0, "init"), (100, 1, "upheld"), (101, 100, "locust"), (200, 1, "uvicorn"), (201, 200, "worker) S 9 ("),
            (300, 1, "make"),
        ):  # fmt: skip
            self.process(pid, parent, name)
        self.socket(200, 4711)
        self.socket(300, 4712)

    def total(self, busy: int, idle: int) -> None:
        (self.folder / "stat").write_text(f"cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 2 3 4\n")

    def process(self, pid: int, parent: int, name: str = "x", ticks: tuple[int, int, int, int] = (0, 0, 0, 0)) -> None:
        folder = self.folder / str(pid)
        (folder / "fd").mkdir(parents=True, exist_ok=True)
        (folder / "comm").write_text(name + "\n")
        (folder / "stat").write_text(
            f"{pid} ({name}) S {parent} 1 1 0 -1 4194560 5 0 0 0 {' '.join(map(str, ticks))} 20 0 1 0"
        )

    def socket(self, pid: int, inode: int) -> None:
        (self.folder / str(pid) / "fd" / "7").symlink_to(f"socket:[{inode}]")


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path / "proc")


def test_ours_is_what_we_the_service_and_the_children_of_both_used(proc: Proc) -> None:
    machine = Machine(PORT, proc.folder, us=100)
    first = machine.look()
    assert first == Look(total=0, idle=0, ours=0)
    proc.total(800, 200)
    proc.process(100, 1, ticks=(30, 10, 0, 0))
    proc.process(101, 100, ticks=(40, 0, 0, 0))
    proc.process(200, 1, ticks=(10, 0, 15, 5))
    proc.process(201, 200, "worker) S 9 (", ticks=(90, 0, 0, 0))
    proc.process(300, 1, ticks=(600, 0, 0, 0))
    assert between(first, machine.look()) == Busy(idle=0.2, others=0.6)


def test_a_service_that_nobody_sees_gives_no_answer(proc: Proc) -> None:
    assert Machine(9999, proc.folder, us=100).look() is None
    (proc.folder / "200/comm").write_text("docker-proxy\n")
    assert Machine(PORT, proc.folder, us=100).look() is None
    assert Machine(PORT, proc.folder / "nowhere", us=100).look() is None
    assert between(None, Look(1, 0, 0)) is None
    assert between(Look(5, 0, 0), Look(5, 0, 0)) is None


def test_what_others_leave_decides_whether_a_miss_is_told() -> None:
    assert Busy(idle=0.02, others=0.5).crowded
    # The service and we have used it up ourselves; or there was room.
    assert not Busy(idle=0.02, others=0.05).crowded
    assert not Busy(idle=0.3, others=0.5).crowded
    made = plan()
    slow, quick = counted(mixed(2_000, 0.5)), counted(mixed(2_000, 0.0))
    crowd = {"idle": 0.01, "others": 0.62}
    missed = load_run(made, result(made, {"GET /a": slow}, machine={"idle": 0.4, "others": 0.5})).rows[0]
    told = load_run(made, result(made, {"GET /a": slow}, machine=crowd)).rows[0]
    assert (missed.verdict, told.verdict) == ("missed", "invalid")
    assert "62% of its processors' time went to something else" in told.reason
    # It takes nothing from a pass.
    assert load_run(made, result(made, {"GET /a": quick}, machine=crowd)).rows[0].verdict == "met"


@pytest.mark.parametrize(
    ("url", "here"),
    [("http://127.0.0.1:8500", True), ("http://[::1]:8500", True), ("http://localhost", True), ("http://x.localhost", True),
     ("http://10.0.0.5:8500", False), ("https://example.test", False)],
)  # fmt: skip
def test_which_hosts_are_this_machine(url: str, here: bool) -> None:
    assert on_this_machine(url) is here
