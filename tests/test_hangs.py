"""Which rank hangs, by what is heard of it; the thread itself is tested under mpirun (`mpi/test_faults.py`)."""

from __future__ import annotations

import contextlib
import time

import pytest

from trpo_gail import hangs
from trpo_gail.hangs import ALL_STILL_S, HASTE_S, Beat, Pulse, Seen, stuck

LIMIT = 100.0


def seen(heard: float = 0.0, moved: float = 0.0, **more: object) -> Seen:
    """A rank that was heard, and moved, so many seconds ago (now is 0)."""
    beat = {"moves": 1, "waits": False, "phase": "sample", "place": "env.py, line 7", "asked": 0, **more}
    return Seen(-heard, -moved, Beat(**beat))  # type: ignore[arg-type]


WAITS = seen(0.5, LIMIT + 1, waits=True)


def test_a_rank_that_takes_no_step_while_another_waits() -> None:
    found = stuck({0: WAITS, 1: seen(0.5, LIMIT + 2)}, LIMIT, 0.0)
    assert found == {1: "in phase 'sample': no step for 102 s, at env.py, line 7"}


def test_a_rank_that_is_silent_while_another_waits() -> None:
    for waits in (True, False):  # the last that was heard of it
        found = stuck({0: WAITS, 1: seen(LIMIT + 3, LIMIT + 3, waits=waits)}, LIMIT, 0.0)
        assert list(found) == [1] and "silent for 103 s" in found[1]


@pytest.mark.parametrize(
    "other",
    [
        seen(0.5, LIMIT - 1),  # slow, but it moves
        seen(LIMIT - 1, LIMIT - 1),
        seen(0.5, LIMIT + 2, waits=True),  # waits, too
        seen(LIMIT + 9, LIMIT + 9, gone=True),
    ],
)
def test_others_do_not_hang(other: Seen) -> None:
    assert stuck({0: WAITS, 1: other}, LIMIT, 0.0) == {}


def test_nobody_hangs_if_nobody_waits() -> None:
    assert stuck({0: seen(0.5, 1.0), 1: seen(0.5, LIMIT + 2)}, LIMIT, 0.0) == {}
    assert stuck({0: seen(0.5, LIMIT + 2), 1: seen(0.5, LIMIT + 2)}, LIMIT, 0.0) == {}


@pytest.mark.parametrize("limit", [10 * LIMIT, float("inf")])
def test_ranks_that_all_hang_end_after_a_signal(limit: float) -> None:
    """As at a server that is gone, for which all wait at once."""
    hangs_, asked = seen(0.5, ALL_STILL_S + 1), seen(0.5, ALL_STILL_S + 1, asked=15)
    asked.asked = -0.5  # ranks that had long been busy with the same work have as much time from now on
    assert stuck({0: hangs_, 1: asked}, limit, 0.0) == {}
    asked.asked = -ALL_STILL_S - 1
    assert stuck({0: hangs_, 1: hangs_}, float("inf"), 0.0) == {}
    assert list(stuck({0: hangs_, 1: asked}, limit, 0.0)) == [0, 1]
    for other in (seen(0.5, ALL_STILL_S - 1), seen(0.5, 0.5), seen(0.5, ALL_STILL_S + 1, phase="saving")):
        assert stuck({0: other, 1: asked}, limit, 0.0) == {}  # a disk may be slow


@pytest.mark.parametrize("limit", [LIMIT, float("inf")])
def test_a_signal_on_any_rank_shortens_the_patience(limit: float) -> None:
    waits, hangs_ = seen(0.5, HASTE_S + 1, waits=True), seen(0.5, HASTE_S + 1)
    assert stuck({0: waits, 1: hangs_, 2: seen()}, limit, 0.0) == {}
    assert list(stuck({0: waits, 1: hangs_, 2: seen(asked=15)}, limit, 0.0)) == [1]
    writes = seen(0.5, HASTE_S + 1, phase="saving")  # a disk may be slow
    assert stuck({0: writes, 1: seen(0.5, HASTE_S + 1, waits=True, asked=15)}, limit, 0.0) == {}


def test_a_rank_moves_if_its_count_changes_or_if_it_begins_to_wait() -> None:
    rank = seen(9.0, 9.0)
    rank.hear(rank.beat, 1.0)
    assert (rank.heard, rank.moved) == (1.0, -9.0)
    rank.hear(Beat(2, False, "sample", "", 0), 2.0)
    assert (rank.heard, rank.moved) == (2.0, 2.0)


class Alone:
    """A communicator of one rank."""

    def Get_rank(self) -> int:
        return 0

    def Get_size(self) -> int:
        return 1

    def improbe(self, tag: int) -> None:
        return None


def test_work_with_a_limit_of_its_own_counts_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hangs, "BEAT_S", 0.01)
    pulse, counts = Pulse(), list[int]()
    with hangs.Watch(Alone(), 1, pulse, ["here"], LIMIT, lambda code: None):
        for bounded in (False, True):
            with pulse.within_limits() if bounded else contextlib.nullcontext():
                time.sleep(0.5)
            counts.append(pulse.moves)
        time.sleep(0.1)  # a beat may have been on its way
        after = pulse.moves
        time.sleep(0.5)
    assert counts[0] == 0 < counts[1] <= after <= counts[1] + 1 and pulse.moves == after


def test_seconds_of_a_phase_leave_out_those_of_waiting() -> None:
    pulse = Pulse()
    with pulse.during("sample"):
        assert pulse.phase == "sample"
        time.sleep(0.02)
        with pulse.waits:
            assert pulse.waits.now
            time.sleep(0.5)
    assert not pulse.waits.now and pulse.moves == 2 and pulse.phase == "start"
    taken = pulse.take_seconds()
    assert list(taken) == ["sample"] and 0.02 <= taken["sample"] < 0.4
    assert pulse.take_seconds() == {}


def test_the_phase_is_the_one_before_after_an_error() -> None:
    pulse = Pulse()
    with pytest.raises(ZeroDivisionError), pulse.during("sample"), pulse.waits:
        raise ZeroDivisionError
    assert pulse.phase == "start" and not pulse.waits.now


def test_the_place_of_a_thread_is_its_innermost_line() -> None:
    import threading

    assert hangs._place(threading.get_ident()).startswith("hangs.py, line ")
    assert hangs._place(0) == "an unknown place"
