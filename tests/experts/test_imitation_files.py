"""imitation's .npz: episodes cut at indices, with an observation more than actions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import toys

from trpo_gail.errors import UserError
from trpo_gail.experts import describe
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Ends
from trpo_gail.experts.load import load, read
from trpo_gail.experts.rows import as_rows
from trpo_gail.experts.save import save

REAL = Path(__file__).parents[2].parent / "shared" / "formats" / "imitation" / "pendulum_0.npz"
TWO: dict[str, Any] = {
    "obs": np.arange(14.0).reshape(7, 2),
    "acts": np.arange(5.0)[:, None],
    "indices": np.array([3]),
    "terminal": np.array([True, False]),
    "rews": np.array([1.0, 1, 1, 2, 2]),
    "infos": np.array([{}, None, {}, {}, {}], object),
}


def written(folder: Path, **changes: Any) -> Path:
    arrays = TWO | changes
    np.savez(folder / "expert.npz", **{name: values for name, values in arrays.items() if values is not None})
    return folder / "expert.npz"


def test_episodes(tmp_path: Path) -> None:
    held = read(written(tmp_path))
    assert held.format == "imitation (.npz)" and held.episode_lengths.tolist() == [3, 2]
    assert held.observations[:, 0].tolist() == [0, 2, 4, 8, 10]
    assert held.transitions().next_observations[:, 0].tolist() == [2, 4, 6, 10, 12]
    assert held.ends is None and not held.terminals.any() and held.timeouts.tolist() == [False] * 4 + [True]
    assert dict(describe.info(held))["ends"] == "not said"
    assert held.notes == (
        "parts that went on: 1 of 2 episodes; how the others end is not said, so that their lengths judge",
    )
    assert held.return_mean == 3.5 and not held.unfinished


def of_lengths(folder: Path, lengths: list[int], whole: list[bool]) -> Demonstrations:
    """Episodes of these lengths, whose `terminal` says which are whole."""
    steps = sum(lengths)
    return read(
        written(
            folder, obs=np.zeros((steps + len(lengths), 2)), acts=np.zeros((steps, 1)), rews=None, infos=None,
            indices=np.cumsum(lengths)[:-1], terminal=np.array(whole),
        )
    )  # fmt: skip


@pytest.mark.parametrize(
    ("lengths", "whole", "ends"),
    [
        ([20] * 10, [True] * 10, Ends(0, 10, 0, by_length=True)),
        ([20] * 10 + [5], [True] * 10 + [False], Ends(0, 10, 0, by_length=True)),
        ([5, 30, 7, 30], [False, True, True, True], Ends(1, 2, 0, by_length=True)),
        ([5] * 9 + [7], [False] * 9 + [True], Ends(1, 0, 0, by_length=True)),
        ([100] * 3 + [40], [False] * 3 + [True], Ends(1, 3, 0, by_length=True)),  # as long as the limit
        ([5, 5], [False, False], Ends(0, 2, 0)),  # of none it is in question
    ],
)
def test_a_part_of_an_episode_says_nothing_of_the_others(
    tmp_path: Path, lengths: list[int], whole: list[bool], ends: Ends
) -> None:
    held, spec = of_lengths(tmp_path, lengths, whole), toys.spec(2, 1, limit=100)
    save(tmp_path / "kept.h5", held)
    for found in (held, held.select(subsample=3), load(tmp_path / "kept.h5"), load(tmp_path / "kept.h5", subsample=3)):
        rows = as_rows(found, spec)
        assert rows.ends == ends and as_rows(rows, spec).ends == ends
        shown = rows.transitions()
        assert shown.lengths is not None and shown.endings is not None
        assert (len(shown.lengths), Ends.of(shown.endings).terminal) == (ends.total, ends.terminal)


def test_what_may_be_missing(tmp_path: Path) -> None:
    held = read(written(tmp_path, terminal=None, rews=None, infos=None))
    assert held.ends is None and held.return_mean is None
    held = read(written(tmp_path, indices=np.array([], int), terminal=np.array([True]), obs=TWO["obs"][:6]))
    assert held.episode_lengths.tolist() == [5]
    held = read(written(tmp_path, acts=np.array([0, 1, 0, 1, 1])))
    assert held.actions.tolist() == [0, 1, 0, 1, 1]


def test_a_real_file() -> None:
    if not REAL.exists():
        pytest.skip("the real files are not beside this checkout")
    held = read(REAL)
    assert held.trajectories == 56 and len(held.observations) == 11_200
    assert held.return_mean == pytest.approx(-189.40, abs=0.005) and held.final_observations is not None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"obs": TWO["obs"][:6]}, r"array 'obs': expected 7 rows, of 5 actions and 2 episodes, found 6"),
        ({"rews": np.ones(4)}, r"array 'rews': expected 5 rows"),
        ({"terminal": np.ones(3, bool)}, r"array 'terminal': expected 2 rows"),
        ({"indices": np.array([5])}, r"array 'indices': expected rows between 0 and 5 that go up"),
        ({"indices": np.array([-2])}, r"array 'indices': expected rows between 0 and 5"),
        ({"indices": np.array([3, 3])}, r"array 'indices': expected rows between 0 and 5"),
        ({"indices": np.array([3.0])}, r"array 'indices': expected integers"),
        ({"acts": np.zeros((0, 1))}, r"array 'indices': expected rows between 0 and 0"),
        ({"obs": np.array([{}] * 7, object)}, r"array 'obs': "),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said) as caught:
        read(written(tmp_path, **changes))
    assert "\n" not in str(caught.value)
