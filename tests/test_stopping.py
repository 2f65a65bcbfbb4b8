"""What a signal does: in words at once, and then as the program stands. A program that ends is a process of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from trpo_gail.parallel import Workers
from trpo_gail.system import stopping
from trpo_gail.system.stopping import SIGNALS, Interrupted, StopRequest, Watch

SOON = 1.0  # s, in which a signal must be answered in words


def wait() -> None:
    """For the thread, on a busy machine."""
    time.sleep(0.2)


def send(*numbers: int) -> None:
    """Signals to this process, and time to act on them."""
    for number in numbers:
        signal.raise_signal(number)
        wait()
    time.sleep(5.0)


def interrupt(watch: Watch, *numbers: int) -> None:
    """Signals to a process that has something open."""
    watch.unwind()
    send(*numbers)


def request(*numbers: int) -> None:
    """Signals to one that can stop in good order."""
    with StopRequest():
        send(*numbers)


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "ONE_PRESS_S", 0.1)


# ---- a request -------------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    """What a test sets ends with it."""
    before = {number: signal.getsignal(number) for number in SIGNALS}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_a_request_and_is_told_once(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    signal.signal(number, signal.default_int_handler)  # nohup, for one, starts a program deaf to it
    before = [signal.getsignal(other) for other in signal.Signals]
    with StopRequest("saves and ends") as stop:
        assert not stop.asked() and stop.agreed(Workers()) is None
        for _ in range(2 if number != signal.SIGINT else 1):
            signal.raise_signal(number)
            assert stop.asked(), "known at once"
            wait()
        assert stop.agreed(Workers()) == number.name
    assert [signal.getsignal(other) for other in signal.Signals] == before
    said = capfd.readouterr().err
    assert said.startswith(f"trpo-gail: {number.name}: saves and ends") and said.count("\n") == 1


def test_the_first_signal_is_what_stopped_a_run() -> None:
    with StopRequest() as stop:
        for number in (signal.SIGUSR1, signal.SIGTERM):
            signal.raise_signal(number)
        assert stop.agreed(Workers()) == "SIGUSR1"


def test_a_request_is_overdue_after_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stopping, "PATIENCE_S", 0.1)
    with StopRequest() as stop:
        time.sleep(0.2)
        assert not stop.overdue()
        signal.raise_signal(signal.SIGTERM)
        assert not stop.overdue()
        time.sleep(0.2)
        assert stop.overdue()


def test_what_only_another_rank_heard_this_one_tells(capfd: pytest.CaptureFixture[str]) -> None:
    class Others(Workers):
        def max(self, value: float) -> float:
            return max(value, float(signal.SIGTERM))

    with StopRequest("saves and ends") as stop:
        assert [stop.agreed(Others()), stop.agreed(Others())] == ["SIGTERM", "SIGTERM"]
    assert capfd.readouterr().err == "trpo-gail: SIGTERM: saves and ends\n"


def test_other_ranks_than_the_first_are_silent(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("PMI_SIZE", "2")
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGTERM)
        wait()
        assert stop.asked()
    assert capfd.readouterr().err == ""


def test_two_signals_of_one_press_are_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a launcher that passes on what the terminal has sent already."""
    monkeypatch.setattr(stopping, "ONE_PRESS_S", 5.0)
    with StopRequest() as stop:
        for _ in range(2):
            signal.raise_signal(signal.SIGINT)
            wait()
        assert stop.agreed(Workers()) == "SIGINT"


@pytest.mark.parametrize("first", [signal.SIGINT, signal.SIGUSR1])
def test_a_second_ctrl_c_interrupts(first: signal.Signals) -> None:
    with pytest.raises(Interrupted, match=r"interrupted \(SIGINT\)"):
        request(*dict.fromkeys([first, signal.SIGINT]), signal.SIGINT)


# ---- an interruption -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGUSR1])
def test_what_is_open_is_put_away(number: signal.Signals, capfd: pytest.CaptureFixture[str]) -> None:
    with Watch() as watch:
        with pytest.raises(Interrupted) as caught:
            interrupt(watch, number)
        assert (caught.value.number, watch.over()) == (number, number)
        assert not watch.told(), "left to whoever catches it"
        time.sleep(2 * stopping.ANSWER_S)
        assert watch.told()
    assert capfd.readouterr().err == ""


def test_words_come_though_the_main_thread_is_slow(capfd: pytest.CaptureFixture[str]) -> None:
    with Watch() as watch:
        with pytest.raises(Interrupted):
            interrupt(watch, signal.SIGTERM)
        time.sleep(SOON)  # putting things away
        assert capfd.readouterr().err == "trpo-gail: interrupted (SIGTERM)\n"
        assert watch.told()


class Sink:
    def __del__(self) -> None:
        send(signal.SIGTERM)


def interrupt_a_destructor(watch: Watch) -> None:
    watch.unwind()
    Sink()
    time.sleep(5.0)


def test_an_interruption_that_a_destructor_swallows_comes_again(capfd: pytest.CaptureFixture[str]) -> None:
    with Watch() as watch, pytest.raises(Interrupted):
        interrupt_a_destructor(watch)
    assert "Traceback" not in capfd.readouterr().err


def test_what_is_ignored_as_we_start_stays_so() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            signal.raise_signal(signal.SIGINT)
            wait()
            assert not stop.asked() and signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


# ---- in a process of its own -----------------------------------------------------------------------------------------

_FORK = """
import os, signal, sys, time
from trpo_gail.system.stopping import StopRequest
with StopRequest() as stop:
    child = os.fork()
    if child == 0:
        time.sleep(30)  # a signal ends it, as an environment's own process
        os._exit(1)
    os.kill(child, signal.SIGTERM)
    _, status = os.waitpid(child, 0)
    time.sleep(0.2)
    sys.exit(0 if os.waitstatus_to_exitcode(status) == -signal.SIGTERM and not stop.asked() else 1)
"""


def test_a_forks_signals_are_its_own() -> None:
    done = subprocess.run([sys.executable, "-c", _FORK], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


# A command, whose module does the given thing as it is imported or as it works.
_COMMAND = """
import pathlib, sys, time, types
from trpo_gail import cli
from trpo_gail.system import stopping

def ready(): pathlib.Path({ready!r}).touch()

class Late:
    def find_spec(self, name, *others):
        if name == "trpo_gail.commands.late":
            ready()
            while True: time.sleep(0.01)

def run(arguments, workers):
    import ctypes
    stopping.unwind()
    ready()
    {body}

sys.modules["trpo_gail.commands.works"] = types.SimpleNamespace(run=run)
sys.meta_path.insert(0, Late())
cli.COMMANDS.update(late=("late", "run", ""), works=("works", "run", ""))
sys.exit(cli.main())
"""
BODIES = {
    "imports": "",
    "works": "time.sleep(30)",
    "calls the system": "ctypes.CDLL(None).system(b'sleep 2')",  # begins its wait again after a signal
    "swallows": """
    while True:
        try: time.sleep(30)
        except BaseException: pass""",
}


@pytest.mark.parametrize("what", BODIES)
def test_words_and_the_exit_code_whatever_it_does(what: str, tmp_path: Path) -> None:
    number = signal.SIGTERM if what == "calls the system" else signal.SIGINT  # system() holds SIGINT back
    ready, command = tmp_path / "ready", "late" if what == "imports" else "works"
    code = _COMMAND.format(ready=str(ready), body=BODIES[what])
    if what == "swallows":
        code = code.replace("sys.exit(cli", "stopping.PATIENCE_S = 1.0; sys.exit(cli")
    process = subprocess.Popen([sys.executable, "-c", code, command], stderr=subprocess.PIPE)
    while not ready.exists():
        time.sleep(0.01)
    time.sleep(0.1)
    process.send_signal(number)
    began, stderr = time.monotonic(), process.stderr
    assert stderr is not None
    assert stderr.readline() == f"trpo-gail: interrupted ({number.name})\n".encode()
    assert time.monotonic() - began < SOON
    assert process.wait(10) == 128 + number
    assert stderr.read() == b""
    stderr.close()


def test_the_exit_code_of_a_command_that_had_nothing_open_is_the_signals(tmp_path: Path) -> None:
    """The real program, while it imports what it needs."""
    process = subprocess.Popen(
        [sys.executable, "-m", "trpo_gail", "evaluate", str(tmp_path)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    try:
        while b"/torch/" not in _maps(process.pid):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        assert process.communicate(timeout=30)[1] == b"trpo-gail: interrupted (SIGTERM)\n"
        assert process.returncode == 143
    finally:
        process.kill()


def _maps(pid: int) -> bytes:
    """The libraries that a process has loaded."""
    file = Path(f"/proc/{pid}/maps")
    if not file.exists():
        pytest.skip("needs Linux")
    return file.read_bytes()
