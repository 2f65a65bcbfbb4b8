"""The container: what followed each row, by hand; selections of selections."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import LEFT_OUT, LIMIT, TERMINAL
from trpo_gail.experts.load import load
from trpo_gail.experts.save import save
from trpo_gail.experts.subsampling import paper_rows

NAN = np.nan
# Of the fixture's episodes of 3, 2 and 4 steps: what is observed first in every row, and then.
FIRST, THEN = [0, 1, 2, 10, 11, 20, 21, 22, 23], [1, 2, NAN, 11, NAN, 21, 22, 23, NAN]


def then(data: Demonstrations) -> list[float]:
    """The first number of the next observations, the second of which is its opposite."""
    found = data.transitions().next_observations
    np.testing.assert_array_equal(found[:, 1], -found[:, 0])
    assert found.shape == data.observations.shape
    return found[:, 0].tolist()


def with_next(held: Demonstrations) -> Demonstrations:
    """As a file has them that knows what followed an episode's last row, too."""
    ends = held.observations + np.array([0.5, -0.5], np.float32)
    return replace(held, next_observations=ends)


def test_the_next_row_of_the_same_episode(demonstrations: Demonstrations) -> None:
    data = demonstrations.select()
    assert data.observations[:, 0].tolist() == FIRST
    np.testing.assert_array_equal(then(data), THEN)
    assert data.transitions().next_observations.dtype == np.float32


def test_subsampled_rows_keep_what_followed_them(demonstrations: Demonstrations) -> None:
    # k = 2: offsets 0, 1, 1; rows 0 and 2; 1; 1 and 3.
    data = demonstrations.select(subsample=2)
    assert data.observations[:, 0].tolist() == [0, 2, 11, 21, 23]
    np.testing.assert_array_equal(then(data), [1, NAN, NAN, 22, NAN])
    np.testing.assert_array_equal(then(demonstrations.select(2, 2)), [1, NAN, NAN])


def test_what_the_source_says_goes_first(demonstrations: Demonstrations) -> None:
    held = with_next(demonstrations)
    assert then(held.select()) == [x + 0.5 for x in FIRST]
    assert then(held.select(2)) == [0.5, 1.5, 2.5, 10.5, 11.5]
    assert then(held.select(subsample=2)) == [0.5, 2.5, 11.5, 21.5, 23.5]
    assert held.select(subsample=2).followers is None, "they would be there twice"


def test_of_a_file_that_was_subsampled_before_nothing_is_known(tmp_path: Path, demonstrations: Demonstrations) -> None:
    save(tmp_path / "sub.h5", demonstrations.select(subsample=2))
    data = load(tmp_path / "sub.h5")
    assert data.subsample == 2 and np.isnan(then(data)).all()


def test_they_are_made_when_they_are_asked_for(demonstrations: Demonstrations) -> None:
    seen = []
    rows = demonstrations.select().transitions()

    def spy() -> np.ndarray:
        seen.append(1)
        return rows.successors()

    made = replace(rows, successors=spy)
    assert not seen
    assert made.next_observations is made.next_observations and seen == [1]


def test_integers_become_floats_that_can_be_unknown(demonstrations: Demonstrations) -> None:
    data = replace(demonstrations, observations=np.abs(demonstrations.observations).astype(np.uint8)).select()
    found = data.transitions().next_observations
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found[:, 0], THEN)


def test_transitions_are_the_rows(demonstrations: Demonstrations) -> None:
    rows = demonstrations.select(subsample=2).transitions()
    assert rows.steps.tolist() == [0, 2, 1, 1, 3] and len(rows) == 5
    assert rows.terminated.tolist() == [False, False, True, False, False]
    assert rows.truncated.tolist() == [False, True, False, False, True]
    assert rows.env_rewards is not None and rows.env_rewards.tolist() == [1] * 5
    assert rows.rows is None and rows.log_prob is None


def test_how_each_episode_ended_is_known_without_its_last_row(tmp_path: Path, demonstrations: Demonstrations) -> None:
    # k = 3: offsets 0, 1, 0; rows 0; 1; 0 and 3.
    data = demonstrations.select(subsample=3)
    assert replace(data, episode_endings=None).endings.tolist() == [LEFT_OUT, TERMINAL, LIMIT]
    endings = [LIMIT, TERMINAL, LIMIT]
    save(tmp_path / "sub.h5", data)
    for held in (data, load(tmp_path / "sub.h5")):
        assert held.endings.tolist() == endings and held.ends == demonstrations.ends
        found = held.transitions().endings
        assert found is not None and found.tolist() == endings
    for few in (data.select(2), demonstrations.select(2, 3)):
        assert few.endings.tolist() == endings[:2]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (np.array([1, 2]), "expected 3 as 'episode_lengths', found 2"),
        (np.array([1, 2, 4]), "expected -1 to 3, found 4"),
        (np.array([1.0, 2, 2]), "expected integers"),
    ],
)
def test_what_is_wrong_with_endings(demonstrations: Demonstrations, given: np.ndarray, said: str) -> None:
    with pytest.raises(UserError, match=f"dataset 'episode_endings': {said}"):
        load(replace(demonstrations, episode_endings=given))


# --- Selections ---------------------------------------------------------------------------------------------------


def test_a_selection_of_a_selection(demonstrations: Demonstrations) -> None:
    """In either order, as in one step; the mean stays that of all."""
    at_once = demonstrations.select(2, 2)
    for data in (demonstrations.select(2).select(subsample=2), demonstrations.select(subsample=2).select(2)):
        for name in ("observations", "actions", "steps", "episode_of", "episode_lengths", "episode_returns"):
            np.testing.assert_array_equal(getattr(data, name), getattr(at_once, name), err_msg=name)
        np.testing.assert_array_equal(then(data), then(at_once))
        assert (data.return_mean, data.trajectories, data.trajectories_held) == (3.0, 2, 3)
        assert data.subsample == 2 and data.ends == demonstrations.ends


def test_a_learner_is_judged_by_the_episodes_that_it_is_given(demonstrations: Demonstrations) -> None:
    """And an unfinished one counts in no mean. The returns are 3, 2 and 4."""
    assert demonstrations.given_return_mean == 3.0
    two = demonstrations.select(2)
    assert (two.given_return_mean, two.return_mean) == (2.5, 3.0)
    assert replace(demonstrations, unfinished=True).given_return_mean == 2.5
    assert replace(two, episode_returns=None).given_return_mean is None


def test_all_rows_are_not_copied(demonstrations: Demonstrations) -> None:
    assert demonstrations.select().observations is demonstrations.observations
    assert load(demonstrations).observations is demonstrations.observations


def test_other_actions_are_the_same_demonstrations(demonstrations: Demonstrations) -> None:
    data = demonstrations.select(2)
    other = replace(data, actions=2 * data.actions)
    assert (other.return_mean, other.ends, other.trajectories_held) == (data.return_mean, data.ends, 3)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
@pytest.mark.parametrize("kept", [1, 4, 9])
def test_rows_of_random_episodes(k: int, kept: int) -> None:
    """Against the plain definition: start[i]::k of episode i, and the observation behind each in its episode."""
    rng = np.random.default_rng(10 * k + kept)
    lengths = rng.integers(1, 30, 9)
    observations = rng.standard_normal((lengths.sum(), 3))
    episodes = np.split(observations, np.cumsum(lengths)[:-1])
    no = np.zeros(len(observations), bool)
    held = Demonstrations(observations, observations[:, :1], no, no, paper_rows(lengths, 1)[1], lengths)
    start = np.random.RandomState(0).randint(0, k, 9)
    wanted = [(e[t], e[t + 1] if t + 1 < len(e) else [NAN] * 3)
              for e, first in zip(episodes[:kept], start, strict=False) for t in range(first, len(e), k)]  # fmt: skip
    if not wanted:
        with pytest.raises(UserError, match="leaves no row"):
            held.select(kept, k)
        return
    rows = held.select(kept, k).transitions()
    np.testing.assert_array_equal(rows.observations, [now for now, _ in wanted])
    np.testing.assert_array_equal(rows.next_observations, [after for _, after in wanted])


def test_printed_they_are_one_short_line() -> None:
    data = load("expert_data/CartPole-v0.h5", trajectories=2)
    assert repr(data) == "Demonstrations(expert_data/CartPole-v0.h5: 2 episodes, 400 pairs, return 200)"
