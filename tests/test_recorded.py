"""Which calls are recorded and which recordings are kept, without a device: what a recording does is in tests/gpu."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from trpo_gail.optim import recorded
from trpo_gail.optim.recorded import MOST, Recorded


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done with each call, in order."""
    found: list[str] = []
    monkeypatch.setattr(Recorded, "_first", lambda self, number, tensors: found.append(f"first {number}"))

    def record(self: Recorded, number: int, tensors: Any) -> Any:
        found.append(f"record {number}")
        return SimpleNamespace(replay=lambda tensors: found.append(f"replay {number}"))

    monkeypatch.setattr(Recorded, "_record", record)
    return found


def on_device(rows: int) -> Any:
    return SimpleNamespace(device=SimpleNamespace(type="cuda"), shape=(rows, 3))


def test_the_second_call_of_a_kind_is_recorded_and_those_after_it_are_replayed(said: list[str]) -> None:
    call = Recorded(lambda number, *tensors: None)
    for _ in range(3):
        call(5, on_device(5))
    call(5, on_device(4))  # other shapes are another kind
    assert said == ["first 5", "record 5", "replay 5", "replay 5", "first 5"]


def test_kinds_that_never_come_again_neither_pile_up_nor_displace_recordings(said: list[str]) -> None:
    call = Recorded(lambda number, *tensors: None)
    for _ in range(2):
        call(0, on_device(1))
    for number in range(1, 10 * MOST):
        call(number, on_device(1))
    assert len(call._met) == MOST and len(call._made) == 1
    call(0, on_device(1))
    assert said[-1] == "replay 0" and said.count("record 0") == 1


def test_the_last_recordings_are_kept(said: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorded, "MOST", 2)
    call = Recorded(lambda number, *tensors: None)
    for number in (1, 2, 3):
        for _ in range(2):
            call(number, on_device(1))
    assert [key[0] for key in call._made] == [2, 3]
    call.forget()
    assert not call._made and not call._met
