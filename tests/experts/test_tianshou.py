"""Tianshou's replay buffers as HDF5 and as pickles, of one environment and of several, full and not."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.load import read


class Batch:
    """As Tianshou pickles one: by its items alone."""

    def __init__(self, **items: Any) -> None:
        self.__dict__.update(items)


class ReplayBuffer(Batch):
    """Likewise, by its attributes."""


def times(*numbers: int, size: int = 8) -> Batch:
    """A batch with rows of these times, whose episodes have four steps, and empty rows behind."""
    t = np.array(numbers)
    filled = {
        "obs": np.stack([t, -t], axis=1) * 1.0,
        "act": t % 3,
        "rew": np.ones(len(t)),
        "terminated": t % 4 == 3,
        "truncated": np.zeros(len(t), bool),
        "done": t % 4 == 3,
        "obs_next": np.stack([t + 1, -t - 1], axis=1) * 1.0,
    }
    empty = size - len(t)
    return Batch(**{name: np.concatenate([v, np.zeros((empty, *v.shape[1:]), v.dtype)]) for name, v in filled.items()})


def buffers(version: int) -> dict[str, tuple[ReplayBuffer, list[int], list[int]]]:
    """Buffers, with the times of their rows in order and the lengths of their episodes."""
    index = "_insertion_idx" if version else "_index"

    def state(at: int, size: int, most: int = 8, **more: Any) -> ReplayBuffer:
        return ReplayBuffer(**{index: at, "_size": size, "maxsize": most, **more})

    both = Batch(**{name: np.concatenate([v, v + 0]) for name, v in vars(times(0, 1, 2, 3, 4, 5)).items()})
    parts = [state(6, 6), state(6, 6)]
    return {
        "part full": (state(6, 6, _meta=times(0, 1, 2, 3, 4, 5)), [0, 1, 2, 3, 4, 5], [4, 2]),
        "full": (state(0, 8, _meta=times(*range(8))), [*range(8)], [4, 4]),
        "written over": (state(2, 8, _meta=times(8, 9, 2, 3, 4, 5, 6, 7)), [*range(2, 10)], [2, 4, 2]),
        "of two": (state(0, 0, 16, _meta=both, buffers=parts), [0, 1, 2, 3, 4, 5] * 2, [4, 2, 4, 2]),
    }


def as_hdf5(path: Path, buffer: ReplayBuffer) -> None:
    with h5py.File(path, "w") as file:
        for name, value in vars(buffer).items():
            if isinstance(value, Batch):
                for field, values in vars(value).items():
                    file[f"{name}/{field}"] = values
                file[name].attrs["__data_type__"] = "Batch"
            elif isinstance(value, int):
                file.attrs[name] = value
            else:
                file[name] = np.frombuffer(pickle.dumps(value), np.byte)


CASES = {f"{name}, version {v}": case for v in (0, 1) for name, case in buffers(v).items()}


@pytest.mark.parametrize("hdf5", [True, False])
@pytest.mark.parametrize(("buffer", "order", "lengths"), CASES.values(), ids=CASES)
def test_rows_come_from_the_oldest_to_the_newest(
    tmp_path: Path, buffer: ReplayBuffer, order: list[int], lengths: list[int], hdf5: bool
) -> None:
    path = tmp_path / "buffer"
    as_hdf5(path, buffer) if hdf5 else path.write_bytes(pickle.dumps(buffer))
    held = read(path)
    assert held.format == ("Tianshou" if hdf5 else "pickle")
    assert held.observations[:, 0].tolist() == order and held.episode_lengths.tolist() == lengths
    assert held.actions.tolist() == [t % 3 for t in order]
    assert held.transitions().next_observations[:, 0].tolist() == [t + 1 for t in order]
    assert held.unfinished == (lengths[-1] == 2)
    assert bool(held.notes) == (len(lengths) == 4)


def test_next_observations_may_be_missing(tmp_path: Path) -> None:
    batch = times(*range(8))
    batch.__dict__["obs_next"] = Batch()
    (tmp_path / "buffer.pkl").write_bytes(pickle.dumps(ReplayBuffer(_index=0, _size=8, maxsize=8, _meta=batch)))
    held = read(tmp_path / "buffer.pkl")
    assert held.episode_lengths.tolist() == [4, 4] and held.next_observations is None


def test_observations_of_several_parts(tmp_path: Path) -> None:
    batch = times(*range(8))
    for name in ("obs", "obs_next"):
        batch.__dict__[name] = Batch(a=np.zeros((8, 2)), b=np.arange(8))
    buffer = ReplayBuffer(_index=0, _size=8, maxsize=8, _meta=batch)
    (tmp_path / "buffer.pkl").write_bytes(pickle.dumps(buffer))
    assert read(tmp_path / "buffer.pkl").observations.dtype.names == ("a", "b")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"_size": 9}, r"'_size': expected at most 8 rows, found 9"),
        ({"_size": -1}, r"'_size': expected a whole number of at least 0, found -1"),
        ({"_index": 10**9}, r"'_size': expected at most 8 rows, found 8"),
        ({"maxsize": "x"}, r"'maxsize': expected"),
        ({"_size": 0}, r"expected at least 1 row"),
        ({"_meta": Batch(rew=np.zeros(8))}, r"a buffer of Tianshou: expected rows of obs and act, found none"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    whole = {"_index": 0, "_size": 8, "maxsize": 8, "_meta": times(*range(8))}
    (tmp_path / "buffer.pkl").write_bytes(pickle.dumps(ReplayBuffer(**{**whole, **changes})))
    with pytest.raises(UserError, match=said):
        read(tmp_path / "buffer.pkl")


def test_the_pickle_in_hdf5_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "trapped",)

    buffer, *_ = buffers(0)["of two"]
    buffer.__dict__["buffers"] = [Trap()]
    as_hdf5(tmp_path / "buffer.h5", buffer)
    read(tmp_path / "buffer.h5")
    assert not (tmp_path / "trapped").exists()
