"""D4RL's flat layout: where its episodes end, by hand, as real files say it; what of them is not known."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trpo_gail.errors import MOST, UserError
from trpo_gail.experts import describe
from trpo_gail.experts.checks import cautions
from trpo_gail.experts.facts import Ends
from trpo_gail.experts.load import load, read
from trpo_gail.experts.save import save

ROWS = 7
REWARDS = np.arange(1.0, ROWS + 1)  # 1 to 7


def written(path: Path, **arrays: Any) -> Path:
    """Seven rows; further arrays, or others in the place of these. None leaves one out."""
    step = np.arange(float(ROWS))
    held = {
        "observations": np.stack([step, -step], axis=1).astype(np.float32),
        "actions": step[:, None] / 10,
        "rewards": REWARDS,
        "terminals": step == 2,
    } | arrays
    with h5py.File(path, "w") as file:
        for name, values in held.items():
            if values is not None:
                file[name] = values
        file["infos/action_log_probs"] = np.zeros(ROWS)
        file["metadata/algorithm"] = np.bytes_(b"SAC")
    return path


def flags(*rows: int) -> np.ndarray:
    return np.isin(np.arange(ROWS), rows)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "demos.hdf5"


@pytest.mark.parametrize(
    ("terminals", "timeouts", "lengths", "returns", "ends"),
    [
        (flags(2, 6), None, [3, 4], [6, 22], Ends(2, 0, 0)),
        (flags(2), flags(6), [3, 4], [6, 22], Ends(1, 1, 0)),
        (flags(), flags(2, 6), [3, 4], [6, 22], Ends(0, 2, 0)),
        (flags(2, 6), flags(2), [3, 4], [6, 22], Ends(2, 0, 0)),
        (flags(0, 6), None, [1, 6], [1, 27], Ends(2, 0, 0)),
        (flags(*range(ROWS)), None, [1] * ROWS, REWARDS.tolist(), Ends(ROWS, 0, 0)),
        (flags(2), None, [3, 4], [6], Ends(1, 0, 1)),
        (flags(), flags(0, 3), [1, 3, 3], [1, 9], Ends(0, 2, 1)),
        (flags(5), None, [6, 1], [21], Ends(1, 0, 1)),
        (flags(), None, [7], None, Ends(0, 0, 1)),
    ],
)
def test_episodes_end_if_terminals_or_timeouts_say_so(
    path: Path, terminals: Any, timeouts: Any, lengths: list[int], returns: list[float] | None, ends: Ends
) -> None:
    held = read(written(path, terminals=terminals, timeouts=timeouts))
    assert held.episode_lengths.tolist() == lengths and held.ends == ends
    assert held.steps.tolist() == [step for length in lengths for step in range(length)]
    assert held.unfinished == bool(ends.unsaid)
    if returns is None:
        assert held.finished_returns is None and held.return_mean is None and held.return_std is None
    else:
        assert held.finished_returns is not None and held.finished_returns.tolist() == returns
        assert held.return_mean == np.mean(returns) and held.return_std == pytest.approx(np.std(returns))
    assert len(held.observations) == ROWS, "no row is left out"


@pytest.mark.parametrize(
    "change",
    [
        lambda x: x[:, None],
        lambda x: x.astype(np.uint8),
        lambda x: x.astype(np.float32),
        lambda x: x.astype(np.float64)[:, None],
        lambda x: x.astype(">i4"),
    ],
    ids=["column", "uint8", "float32", "column of floats", "big-endian"],
)
def test_flags_of_any_kind(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    held = read(written(path, terminals=change(flags(2)), timeouts=change(flags(6))))
    assert held.terminals.dtype == held.timeouts.dtype == bool
    assert held.terminals.tolist() == flags(2).tolist() and held.timeouts.tolist() == flags(6).tolist()
    assert held.episode_lengths.tolist() == [3, 4]


def test_rewards_may_be_a_column_or_absent(path: Path) -> None:
    held = read(written(path, rewards=REWARDS[:, None]))
    assert held.rewards is not None and held.rewards.tolist() == REWARDS.tolist() and held.return_mean == 6
    unknown = read(written(path, rewards=None))
    assert unknown.rewards is None and unknown.return_mean is None
    assert dict(describe.info(unknown))["returns"] == "unknown (no rewards)"


def test_discrete_actions_may_be_a_column(path: Path) -> None:
    for actions in (np.arange(ROWS), np.arange(ROWS)[:, None]):
        held = read(written(path, actions=actions.astype(np.uint8)))
        assert held.actions.dtype == np.int64 and held.actions.tolist() == list(range(ROWS))


def test_attributes_of_ours_are_read_if_they_are_there(path: Path) -> None:
    with h5py.File(written(path), "a") as file:
        file.attrs["env_id"], file.attrs["action_view"] = "Hopper-v2", "executed"
    assert (read(path).env_id, read(path).action_view) == ("Hopper-v2", "executed")


def test_left_out_rows_are_not_guessed(path: Path) -> None:
    with h5py.File(written(path), "a") as file:
        file.attrs["subsample"] = 20
    with pytest.raises(UserError, match=r"attribute 'subsample': expected 1 without the dataset 'steps', found 20"):
        read(path)


# --- The unfinished episode ---------------------------------------------------------------------------------------


def test_an_unfinished_episode_is_kept_and_reported(path: Path) -> None:
    held = read(written(path))
    lines = dict(describe.info(held))
    assert lines["format"] == "D4RL" and lines["episodes"] == "2"
    assert lines["returns"] == "6.0 +- 0.0, 6 to 6" and lines["lengths"] == "3.0 +- 0.0, 3 to 3"
    assert lines["ends"].startswith("1 terminal, 0 by time limit, 1 unfinished of 4 steps")
    data = load(path)
    assert describe.selection(data) == "7 pairs of all 2 trajectories (the last is unfinished), whose return is 6.0"
    for told in (cautions.of_file(held), cautions.of_run(data, "Toy-v0", None)):
        assert (
            f"{path}: the last episode, of 4 steps, is unfinished" in told[0] and len(told[0]) - len(str(path)) < MOST
        )


def test_trajectories_that_leave_it_out_are_all_finished(path: Path) -> None:
    data = load(written(path), trajectories=1)
    assert not data.unfinished and cautions.of_run(data, "Toy-v0", None) == []
    assert describe.selection(data) == "3 pairs of the first of 2 trajectories, whose return is 6.0 (all 2: 6.0)"


def test_a_file_without_any_end_is_one_unfinished_episode(path: Path) -> None:
    held = read(written(path, terminals=flags()))
    lines = dict(describe.info(held))
    assert lines["returns"] == "unknown (no finished episode)" and lines["lengths"] == "7.0 +- 0.0, 7 to 7"
    assert describe.selection(held.select()) == "7 pairs of all 1 trajectories (the last is unfinished)"
    assert cautions.of_file(held) == [
        f"{path}: no row ends an episode: all are taken for one that is unfinished, and the expert's return is unknown"
    ]


def test_it_is_still_unfinished_in_a_native_file(path: Path) -> None:
    held = read(written(path))
    save(path.with_suffix(".h5"), held)
    again = read(path.with_suffix(".h5"))
    assert again.format.startswith("native") and again.unfinished
    assert (again.return_mean, again.ends) == (held.return_mean, held.ends) == (6, Ends(1, 0, 1))
    with h5py.File(path.with_suffix(".h5")) as file:
        assert file.attrs["return_mean"] == 6


# --- Malformed files ----------------------------------------------------------------------------------------------

MALFORMED = {
    "no actions": ({"actions": None}, r"'actions' is missing, expected \[rows, action size\]"),
    "no terminals": ({"terminals": None}, r"'terminals' is missing, expected 0 or 1 \[rows\]; the file holds"),
    "half a flag": ({"terminals": flags(2) / 2}, r"'terminals': expected 0 or 1, found 0\.5 in row 2"),
    "many": ({"timeouts": np.arange(ROWS)}, r"'timeouts': expected 0 or 1, found 2 in row 2"),
    "few flags": ({"timeouts": flags(2)[:-1]}, r"'timeouts': expected 7 rows as in 'observations', found 6"),
    "wide flags": ({"terminals": np.zeros((ROWS, 2))}, r"'terminals': expected numbers 0 or 1 \[rows\], found shape"),
    "wide rewards": ({"rewards": np.zeros((ROWS, 2))}, r"'rewards': expected numbers \[rows\], found shape \[7, 2\]"),
    "few rewards": ({"rewards": REWARDS[:-1]}, r"'rewards': expected 7 rows as in 'observations', found 6"),
    "NaN": ({"rewards": REWARDS * np.nan}, r"'rewards': expected finite values, found nan at \[0\]"),
    "flat": ({"observations": REWARDS}, r"'observations': expected numbers .*, found shape \[7\]"),
    "next": (
        {"next_observations": np.zeros((ROWS, 3))},
        r"'next_observations': expected rows of .*\[2\] as 'observations', found .*\[3\]",
    ),
    "nothing": (
        {"observations": np.zeros((0, 2)), "actions": np.zeros((0, 1)), "rewards": None, "terminals": flags()[:0]},
        r"'observations': expected at least 1 row of 1 episode, found 0",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("arrays", "message"), MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_file_is_one_clear_line(path: Path, arrays: dict[str, Any], message: str) -> None:
    written(path, **arrays)
    for use in (load, read):
        with pytest.raises(UserError, match=rf"demos\.hdf5: dataset {message}") as caught:
            use(path)
        assert "\n" not in str(caught.value)
