"""Which rows the paper keeps, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from trpo_gail.experts.subsampling import paper_rows

OFFSETS = {  # of the first trajectories, as the paper's code drew them
    20: [12, 15, 0, 3, 3, 7, 9, 19, 18, 4, 6, 12, 1, 6, 7, 14, 17, 5, 13, 8, 9, 19, 16, 19, 5],
    10: [5, 0, 3, 3, 7, 9, 3, 5, 2, 4],
    5: [4, 0, 3, 3, 3, 1, 3, 2, 4, 0],
}


@pytest.mark.parametrize("subsample", OFFSETS)
def test_the_offsets_are_the_papers(subsample: int) -> None:
    for n in (1, 4, len(OFFSETS[subsample])):
        episode, step = paper_rows(np.full(n, 1000), subsample)
        first = step[np.searchsorted(episode, np.arange(n))]
        assert first.tolist() == OFFSETS[subsample][:n]


def test_rows_of_episodes_of_3_2_and_4_steps() -> None:
    episode, step = paper_rows(np.array([3, 2, 4]), 1)
    assert episode.tolist() == [0, 0, 0, 1, 1, 2, 2, 2, 2]
    assert step.tolist() == [0, 1, 2, 0, 1, 0, 1, 2, 3]


def test_an_episode_shorter_than_its_offset_gives_no_row() -> None:
    # Offsets 4, 0, 3 (k = 5): steps 4 and 9; 0; and none of 3 steps.
    episode, step = paper_rows(np.array([10, 1, 3]), 5)
    assert episode.tolist() == [0, 0, 1] and step.tolist() == [4, 9, 0]


def test_pairs_of_whole_mujoco_episodes_are_50_each() -> None:
    assert [len(paper_rows(np.full(n, 1000), 20)[0]) for n in (4, 11, 18, 25)] == [200, 550, 900, 1250]
