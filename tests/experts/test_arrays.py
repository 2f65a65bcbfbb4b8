"""Demonstrations from arrays, and from demonstrations, in place of a file."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import trpo_gail
from trpo_gail.errors import UserError
from trpo_gail.experts import describe
from trpo_gail.experts.data import Demonstrations

PAIRS = {"observations": [[0.0], [1.0], [2.0]], "actions": [0, 1, 0]}


def test_pairs_alone_are_one_unfinished_episode() -> None:
    data = trpo_gail.load(PAIRS)
    assert (data.trajectories, data.unfinished, data.return_mean, data.path) == (1, True, None, "arrays")
    assert data.actions.dtype == np.int64 and data.steps.tolist() == [0, 1, 2]
    assert dict(describe.info(data))["format"] == "arrays"


def test_flags_end_episodes() -> None:
    data = trpo_gail.load(PAIRS | {"terminals": [1, 0, 0], "timeouts": [[0], [0], [1]], "rewards": [[5], [1], [1]]})
    assert data.episode_lengths.tolist() == [1, 2] and not data.unfinished
    assert data.episode_returns is not None and data.episode_returns.tolist() == [5, 2]


def test_the_fields_of_a_file_give_what_the_file_gives(demonstrations: Demonstrations) -> None:
    names = ("observations", "actions", "terminals", "timeouts", "steps", "episode_lengths", "rewards")
    fields: dict[str, Any] = {name: getattr(demonstrations, name) for name in names}
    data = trpo_gail.load(fields | {"env_id": "Toy-v0", "action_view": "raw"}, trajectories=2, subsample=2)
    wanted = trpo_gail.load(demonstrations, trajectories=2, subsample=2)
    for name in (*names, "episode_returns", "episode_of"):
        np.testing.assert_array_equal(getattr(data, name), getattr(wanted, name), err_msg=name)
    assert (data.env_id, data.action_view, data.subsample) == ("Toy-v0", "raw", 2)


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "another name": ({"obs": [1]}, r"obs: expected names among observations, "),
    "no actions": ({"actions": None}, r"dataset 'actions' is missing, expected \[rows, action size\]"),
    "ragged": ({"observations": [[0.0], [1.0, 2.0], [3.0]]}, r"'observations': expected an array, found list of several"),
    "one number": ({"observations": 3.0}, r"'observations': expected numbers .*, found shape \[\]"),
    "text": ({"observations": [["a"]] * 3}, r"'observations': expected numbers, found texts"),
    "NaN": ({"observations": [[np.nan]] * 3}, r"'observations': expected finite values, found nan at \[0, 0\]"),
    "one flag": ({"terminals": True}, r"'terminals': expected numbers 0 or 1 \[rows\], found shape \[\]"),
    "steps alone": ({"steps": [0, 1, 2]}, r"'episode_lengths' is missing, expected \[episodes\]"),
    "lengths alone": ({"episode_lengths": [3]}, r"'steps' is missing, expected \[rows\]"),
    "subsample": ({"steps": [0, 1, 2], "episode_lengths": [3], "subsample": 0}, r"'subsample': .* at least 1, found 0"),
    "view": ({"action_view": "blurred"}, r"'action_view': expected 'raw' or 'executed', found 'blurred'"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "message"), WRONG.values(), ids=WRONG)
def test_what_is_wrong_with_arrays_is_one_line(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"^arrays: .*{message}"):
        trpo_gail.load(PAIRS | change)


def test_demonstrations_made_by_hand_are_checked(demonstrations: Demonstrations) -> None:
    with pytest.raises(UserError, match=r"^demonstrations: dataset 'actions': expected 9 rows"):
        trpo_gail.load(replace(demonstrations, actions=demonstrations.actions[:-1]))
    with pytest.raises(UserError, match=r"^demonstrations: trajectories: expected 1 to 3, .* found 4"):
        trpo_gail.load(demonstrations, trajectories=4)
