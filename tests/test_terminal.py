"""Streams under guard: any sign in any encoding, and no way to be written that ends a program."""

from __future__ import annotations

import contextlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from trpo_gail.runs.console import Lines
from trpo_gail.system.terminal import ERRORS, guarded, kept_for_json, streams, warn


@pytest.mark.parametrize(
    ("encoding", "text", "shown"),
    [
        ("ascii", "3.50 ± 0.1", "3.50 +- 0.1"),
        ("latin-1", "3.50 ± 0.1 …", "3.50 ± 0.1 ..."),
        ("cp1252", "a – b — “c” ± λ", "a – b — “c” ± lambda"),
        ("cp437", "│ ± × │", "│ ± x │"),
        ("ascii", "╭─ box ─╮ │ ━╸", "+- box -+ | -+"),
        ("ascii", "Ångström ² ﬁ", "Angstrom 2 fi"),
        ("ascii", "一 🎉 \x00", "? ? \x00"),
        ("utf-8", "± 一 🎉", "± 一 🎉"),
    ],
)
def test_a_sign_that_an_encoding_lacks_has_a_plain_twin(encoding: str, text: str, shown: str) -> None:
    assert text.encode(encoding, ERRORS).decode(encoding) == shown


def test_every_sign_there_is_can_be_printed() -> None:
    signs = [*range(0x3100), *range(0xD7F0, 0xE010), *range(0x1F300, 0x1F700), 0x10FFFF]
    for encoding in ("ascii", "latin-1", "cp1252", "koi8-r", "cp037"):
        assert len("".join(map(chr, signs)).encode(encoding, ERRORS)) >= len(signs)


@pytest.mark.parametrize("encoding", ["ascii", "utf-8"])
def test_a_files_name_that_is_no_text_keeps_its_bytes(encoding: str) -> None:
    name = os.fsdecode(b"runs/\xff\xfe")
    assert name.encode(encoding, ERRORS) == (b"runs/\xff\xfe" if sys.getfilesystemencoding() == "utf-8" else None)


# ---- in this process -------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def as_files(folder: Path) -> Iterator[tuple[Path, Path]]:
    """stdout and stderr are files, in ASCII."""
    paths, before = (folder / "out", folder / "err"), (sys.stdout, sys.stderr)
    with open(paths[0], "w", encoding="ascii") as sys.stdout, open(paths[1], "w", encoding="ascii") as sys.stderr:
        try:
            yield paths
        finally:
            sys.stdout, sys.stderr = before


def test_streams_are_put_back_and_what_was_printed_is_in_order(tmp_path: Path) -> None:
    with as_files(tmp_path) as (out, err):
        before = sys.stdout, sys.stderr
        print("1")
        with streams() as outer:
            print("± 2")
            print("± on stderr", file=sys.stderr)
            with streams() as inner:
                assert inner is outer
                kept = sys.stdout
            print("3")
        print("4", flush=True)
        assert (sys.stdout, sys.stderr) == before
        print("5", file=kept, flush=True)  # as a logging handler might
        assert out.read_text() == "1\n+- 2\n3\n4\n5\n"
        assert err.read_text() == "+- on stderr\n"


@pytest.mark.parametrize("how", ["none", "closed", "descriptor"])
def test_what_an_environment_does_to_the_streams_ends_no_command(how: str, tmp_path: Path) -> None:
    """What is printed later comes where it belongs, and not into a file that has got the descriptor."""
    taken = tmp_path / "metrics.csv"

    @guarded
    def command() -> int:
        numbers = [stream.fileno() for stream in (sys.stdout, sys.stderr)]
        if how == "none":
            sys.stdout = sys.stderr = None
        elif how == "closed":
            sys.stdout.close()
            sys.stderr.close()
        for number in numbers if how == "descriptor" else ():
            os.close(number)
        with open(taken, "w") as file:
            assert how != "descriptor" or file.fileno() in numbers
            Lines().print("a line")
            warn("an error")
            with kept_for_json(True):
                sys.stdout = sys.stderr = None
            print("a result")
        for _ in numbers if how == "descriptor" else ():
            os.open(os.devnull, os.O_WRONLY)  # for the fixture, which closes it
        return 0

    with as_files(tmp_path) as (out, err):
        assert command() == 0
        assert sys.stdout is not None
        assert (out.read_text(), err.read_text()) == ("a line\na result\n", "warning: an error\n")
    assert taken.read_text() == ""


def test_a_line_is_one_write_though_python_is_unbuffered(tmp_path: Path) -> None:
    """So that those of several ranks do not run together."""
    code = (
        "import os, sys; from trpo_gail.system import terminal\n"
        "write, wrote = os.write, []\n"
        "os.write = lambda number, data: (wrote.append(bytes(data)), write(number, data))[1]\n"
        "with terminal.streams():\n"
        "    print('1'); print('2', file=sys.stderr); terminal.warn('3')\n"
        "assert wrote == [b'1\\n', b'2\\n', b'warning: 3\\n'], wrote\n"
    )
    done = shell(f'"{sys.executable}" -u -c "$CODE"', CODE=code)
    assert done.returncode == 0, done.stderr


def test_what_is_no_file_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (io.StringIO(), io.TextIOWrapper(io.BytesIO(), "ascii")):
        monkeypatch.setattr(sys, "stdout", stream)
        with streams():
            assert sys.stdout is stream


@pytest.mark.parametrize("begun", [True, False])
def test_a_stream_that_is_lost_is_told_once(begun: bool, tmp_path: Path) -> None:
    with as_files(tmp_path) as (_, err), open("/dev/full", "w") as sys.stdout:
        with streams() as under_guard:
            if begun:
                under_guard.begin_run()
            for _ in range(3):
                print("text", flush=True)
            assert under_guard.exit_code(0) == (0 if begun else 2)
            assert under_guard.exit_code(1) == 1
        said = "standard output cannot be written: No space left on device"
        told = f"warning: {said}; nothing more is printed there\n" if begun else f"trpo-gail: {said}\n"
        assert err.read_text() == told


def test_a_lost_stderr_is_told_on_stdout_unless_that_is_a_result(tmp_path: Path) -> None:
    for begun, told in ((False, ""), (True, "warning: standard error is closed; nothing more is printed there\n")):
        with as_files(tmp_path) as (out, _):
            sys.stderr = None
            with streams() as under_guard:
                if begun:
                    under_guard.begin_run()
                print("text", file=sys.stderr)
                assert under_guard.exit_code(0) == 0
        assert out.read_text() == told


def test_a_pipe_of_somebody_who_does_not_wait_gets_everything(tmp_path: Path) -> None:
    there, here = os.pipe()
    os.set_blocking(here, False)
    got = bytearray()

    def read() -> None:
        while more := os.read(there, 65536):
            got.extend(more)

    reader = threading.Timer(0.2, read)
    reader.start()
    with as_files(tmp_path), open(here, "w") as sys.stdout, streams():
        print("x" * 300_000)
    reader.join()
    os.close(there)
    assert got == b"x" * 300_000 + b"\n"


def test_exit_codes() -> None:
    def code(of: int | BaseException) -> int | BaseException:
        @guarded
        def command() -> int:
            if isinstance(of, BaseException):
                raise of
            return of

        try:
            return command()
        except BaseException as error:
            return error

    assert [code(n) for n in (0, 1, 2)] == [0, 1, 2]
    for error in (SystemExit(0), SystemExit(3), KeyboardInterrupt(), ValueError()):
        assert code(error) is error


# ---- the program itself ----------------------------------------------------------------------------------------------


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`trpo-gail` is the program; a pipe's exit codes are all printed to stderr."""
    words = f"trpo-gail() {{ '{sys.executable}' -m trpo_gail \"$@\"; }}; {line}"
    return subprocess.run(
        ["bash", "-c", words], capture_output=True, text=True, timeout=100, env=os.environ | environment
    )


def test_help_to_a_reader_that_has_gone_says_nothing() -> None:
    done = shell("{ trpo-gail --help; echo $? >&2; } | true")
    assert done.stderr == "1\n"


@pytest.mark.parametrize(
    ("to", "told"),
    [
        ("> /dev/full", "standard output cannot be written: No space left on device"),
        (">&-", "standard output is closed"),
    ],
)
def test_what_is_printed_for_its_own_sake_must_be(to: str, told: str) -> None:
    done = shell(f"trpo-gail help train {to}; echo $? >&2")
    assert done.stderr == f"trpo-gail: {told}\n2\n"


def test_a_closed_stdout_is_no_file_of_ours(tmp_path: Path) -> None:
    """Its number would go to the next file opened, and whatever a library prints into that file."""
    code = (
        "import os; from trpo_gail.system.terminal import streams\n"
        f"with streams(): file = open({str(tmp_path / 'checkpoint')!r}, 'wb'); os.write(1, b'a library'); os.read(0, 1)\n"
    )
    done = shell(f'"{sys.executable}" -c "$CODE" <&- >&-', CODE=code)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "checkpoint").read_bytes() == b""


def test_help_in_ascii() -> None:
    done = shell("trpo-gail train --help", PYTHONIOENCODING="ascii")
    assert done.returncode == 0 and "--timesteps_per_batch" in done.stdout and done.stdout.isascii()
