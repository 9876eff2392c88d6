"""Reports as files: whole, in their place, and over nothing of anybody else's."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from upheld.errors import UsageError
from upheld.report import files
from upheld.verdict import Run


def test_three_reports_in_a_folder(rich_run: Run, tmp_path: Path) -> None:
    written = files.write(rich_run, tmp_path / "a" / "b")
    assert {kind: path.name for kind, path in written.items()} == {
        "html": "report.html", "json": "report.json", "junit": "junit.xml",
    }  # fmt: skip
    assert json.loads(written["json"].read_text("utf-8"))["schema"] == "upheld.report/1"
    assert sorted(path.name for path in (tmp_path / "a" / "b").iterdir()) == ["junit.xml", "report.html", "report.json"]


def test_our_own_reports_are_replaced(rich_run: Run, empty_run: Run, tmp_path: Path) -> None:
    files.write(rich_run, tmp_path)
    written = files.write(empty_run, tmp_path)
    assert json.loads(written["json"].read_text("utf-8"))["promises"] == []


@pytest.mark.parametrize("name", ["report.html", "report.json", "junit.xml"])
def test_what_is_not_ours_is_never_overwritten(name: str, rich_run: Run, tmp_path: Path) -> None:
    (tmp_path / name).write_text("<html>precious</html>")
    with pytest.raises(UsageError, match="is not a report of Upheld"):
        files.write(rich_run, tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_text() == "<html>precious</html>"


def test_neither_folders_nor_links_are_overwritten(rich_run: Run, tmp_path: Path) -> None:
    (tmp_path / "a" / "report.json").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "report.html").symlink_to(tmp_path / "nowhere")
    for folder in ("a", "b"):
        with pytest.raises(UsageError):
            files.write(rich_run, tmp_path / folder)


def test_a_file_is_no_folder(rich_run: Run, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UsageError):
            files.write(rich_run, place)


def test_without_a_folder_a_new_one_each_time_and_a_pointer_to_the_newest(
    rich_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    first, second = files.write(rich_run), files.write(rich_run)
    assert first["html"] == Path(".upheld/reports/20260304-102030/report.html")
    assert second["html"] == Path(".upheld/reports/20260304-102030-2/report.html")
    latest = tmp_path / ".upheld" / "reports" / "latest"
    assert second["latest"] == Path(".upheld/reports/latest")
    assert latest.resolve() == (tmp_path / second["html"]).parent


def test_a_folder_that_is_called_latest_stays(rich_run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".upheld/reports/latest").mkdir(parents=True)
    assert "latest" not in files.write(rich_run)


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    files.replace_text(tmp_path / "new" / "a.json", "ä")
    files.replace_text(tmp_path / "new" / "a.json", "ö")
    assert [path.read_text("utf-8") for path in (tmp_path / "new").iterdir()] == ["ö"]


def test_devices_are_written_to() -> None:
    files.replace_text(Path("/dev/null"), "x")
    assert not Path("/dev/null").is_file()


def test_what_cannot_be_written_is_said_in_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UsageError, match="cannot be written"):
        files.replace_text(tmp_path / "file" / "a.json", "x")
