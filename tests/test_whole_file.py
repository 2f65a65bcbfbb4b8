"""A file is what it was, or what it was to become: whatever fails, and whoever writes at the same time."""

from __future__ import annotations

import errno
import os
import re
import stat
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from disk import full_disk

import trpo_gail
from trpo_gail.errors import UserError
from trpo_gail.system import whole_file


@pytest.fixture
def path(tmp_path: Path) -> Path:
    file = tmp_path / "file"
    file.write_text("before")
    return file


def alone(path: Path) -> bool:
    """Whether nothing is left beside it."""
    return list(path.parent.iterdir()) == [path]


def test_a_file_is_made_and_replaced(tmp_path: Path) -> None:
    path = tmp_path / "file"
    for content in (b"one", b"", b"other"):
        whole_file.write(path, content)
        assert path.read_bytes() == content and alone(path)
    ordinary = tmp_path / "ordinary"
    ordinary.touch()
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE(ordinary.stat().st_mode)


def test_a_full_disk_leaves_what_was_there(path: Path) -> None:
    with full_disk(), pytest.raises(OSError, match=re.escape(f"No space left on device: '{path}'")):
        whole_file.write(path, b"after")
    assert path.read_text() == "before" and alone(path)


def test_a_folder_that_is_not_there_is_an_error_of_the_path(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "file"
    with pytest.raises(FileNotFoundError) as error:
        whole_file.write(path, b"")
    assert error.value.filename == str(path)


@pytest.mark.parametrize("name", [".", "..", "/", "folder"])
def test_a_folder_is_an_error_of_the_path_whatever_it_is_called(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here" / "folder").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(IsADirectoryError) as error:
        whole_file.write(Path(name), b"")
    assert error.value.filename == name and sorted(tmp_path.rglob("*")) == [tmp_path / "here", Path.cwd() / "folder"]


def test_the_current_folder_is_filled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with whole_file.replacing_folder(Path(".")) as part:
        (part / "file").write_text("inside")
    assert alone(tmp_path / "file") and (tmp_path / "file").read_text() == "inside"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_a_block_that_fails_leaves_what_was_there(path: Path, error: type[BaseException]) -> None:
    def fail() -> None:
        with whole_file.replacing(path) as part:
            part.write_text("half")
            raise error

    with pytest.raises(error):
        fail()
    assert path.read_text() == "before" and alone(path)


def test_a_block_that_writes_nothing_is_an_error(path: Path) -> None:
    with pytest.raises(FileNotFoundError), whole_file.replacing(path):
        pass
    assert path.read_text() == "before" and alone(path)


def test_the_content_is_on_the_disk_before_it_takes_the_files_place(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fsync, replace = os.fsync, os.replace
    calls: list[object] = []
    of_folder = lambda handle: stat.S_ISDIR(os.fstat(handle).st_mode)  # noqa: E731
    monkeypatch.setattr(os, "fsync", lambda handle: (calls.append(("fsync", of_folder(handle))), fsync(handle)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    whole_file.write(path, b"after")
    assert calls == [("fsync", False), "replace", ("fsync", True)]


def test_a_folder_that_cannot_be_flushed_is_no_failure(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync = os.fsync

    def files_alone(handle: int) -> None:
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, "Invalid argument")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", files_alone)
    whole_file.write(path, b"after")
    assert path.read_bytes() == b"after" and alone(path)


def test_writers_of_one_file_do_not_meet(tmp_path: Path) -> None:
    """Whoever reads meanwhile finds one of the contents, whole."""
    path = tmp_path / "file"
    contents = [bytes([65 + k]) * 100_000 for k in range(4)]
    whole_file.write(path, contents[0])
    with ThreadPoolExecutor(4) as pool:
        writing = [pool.submit(whole_file.write, path, content) for content in contents * 10]
        while not all(future.done() for future in writing):
            assert path.read_bytes() in contents
    for future in writing:
        future.result()
    assert alone(path)


def test_nobody_else_replaces_a_file() -> None:
    """A checkpoint that is set aside under another name is renamed, not written."""
    package = Path(trpo_gail.__file__).parent
    by_hand = re.compile(r"os\.replace\(|\.write_text\(|\.write_bytes\(|open\([^)\n]*\"wb?\"|tempfile\.mkstemp")
    found = {
        f"{file.relative_to(package)}: {line.strip()}"
        for file in package.rglob("*.py")
        for line in file.read_text().splitlines()
        if by_hand.search(line) and file.name != "whole_file.py"
    }
    known = (
        'runner.py: lock = open(path, "w")',
        'open(path / ".lock"',
        "os.replace(other, other.with_name",
        "buffering=0",
        "archive.open(member",  # within a block of `replacing`
        'bench/start.py: with open(log, "wb")',  # in a temporary folder
        'with whole_file.replacing(file) as part, open(part, "wb")',
        # A folder is written under another name, and replaces the one before as a whole.
        "exports/push.py: os.replace(folder, old)",
        "exports/push.py: os.replace(part, folder)",
        "exports/push.py: os.replace(old, folder)",
        "exports/push.py: (folder / name).write_bytes(data)",
        "exports/pull.py: (part / name).write_bytes(data)",  # likewise
        "api/model.py: unpacked.write_bytes(",  # of a temporary folder, read at once
    )
    assert not [line for line in found if not any(words in line for words in known)]


# ---- what is no plain file -------------------------------------------------------------------------------------------


def test_a_link_stays_and_what_it_names_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to("real")
    whole_file.write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "real"]


def test_a_pipe_gets_the_content_and_stays(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append((tmp_path / "pipe").read_bytes()))
    reader.start()
    whole_file.write(tmp_path / "pipe", b"content")
    reader.join(10)
    assert got == [b"content"] and not (tmp_path / "pipe").is_file()


def test_a_device_that_is_full_is_an_error_of_the_path() -> None:
    with pytest.raises(OSError, match="No space left on device") as found:
        whole_file.write(Path("/dev/full"), b"content")
    assert found.value.filename == "/dev/full"


@pytest.mark.parametrize(
    ("name", "says"), [(".", "a folder, expected the name of a file"), ("no/x", "the folder no does not exist")]
)
def test_a_place_that_takes_no_file_is_told_before_the_work(name: str, says: str) -> None:
    with pytest.raises(UserError, match=f"^--json {name}: {says}"):
        whole_file.check("--json", Path(name))


@pytest.mark.parametrize("first", ["~", "$HOME", "${HOME}"])
def test_what_only_a_shell_replaces_is_refused_unless_it_is_there(
    first: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=rf"^--out: {re.escape(first)}/runs given, but only a shell replaces "):
        whole_file.named("--out", f"{first}/runs", "folder")
    Path(first).mkdir()
    assert whole_file.named("--out", f"{first}/runs") == Path(first) / "runs"
    for other in ("~mine", "a/~", "$5", "costs$", "$", "."):
        assert whole_file.named("--out", other) == Path(other)


def test_the_names_of_new_folders_are_flushed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flushed: list[Path] = []
    monkeypatch.setattr(whole_file, "flush", flushed.append)
    for _ in range(2):
        whole_file.make_folder(tmp_path / "a" / "b" / "c")
    assert (tmp_path / "a" / "b" / "c").is_dir() and flushed == [tmp_path, tmp_path / "a", tmp_path / "a" / "b"]
