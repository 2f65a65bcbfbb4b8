"""Some episodes, or several files together; every number says which episode and step it is of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts import editing
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import PART
from trpo_gail.experts.formats import native
from trpo_gail.experts.load import load, read
from trpo_gail.experts.save import save, writer


def test_some_episodes(demonstrations: Demonstrations) -> None:
    kept = load(editing.pick(demonstrations, [2, 0]))
    assert kept.observations[:, 0].tolist() == [0, 1, 2, 20, 21, 22, 23]
    assert kept.episode_lengths.tolist() == [3, 4] and kept.trajectories_held == 2 and kept.return_mean == 3.5


@pytest.mark.parametrize(("wanted", "said"), [([], "none of its 3"), ([3], "0 to 2, found 3"), ([-1], "found -1")])
def test_numbers_that_are_not_there(demonstrations: Demonstrations, wanted: list[int], said: str) -> None:
    with pytest.raises(UserError, match=said):
        editing.pick(demonstrations, wanted)


def test_by_return_and_by_length(demonstrations: Demonstrations) -> None:
    assert editing.matching(demonstrations).tolist() == [0, 1, 2]
    assert editing.matching(demonstrations, returns=(3.0, None)).tolist() == [0, 2]
    assert editing.matching(demonstrations, returns=(None, 3.0)).tolist() == [0, 1]
    assert editing.matching(demonstrations, lengths=(3, 3)).tolist() == [0]
    assert editing.matching(replace(demonstrations, unfinished=True), returns=(0.0, None)).tolist() == [0, 1]
    with pytest.raises(UserError, match="returns are not known"):
        editing.matching(replace(demonstrations, episode_returns=None), returns=(0.0, None))


def test_several_files(demonstrations: Demonstrations, tmp_path: Path) -> None:
    second = editing.pick(replace(demonstrations, rewards=None), [1])
    second = replace(second, provenance=replace(second.provenance, seed=7))
    whole = editing.merge([demonstrations, second])
    save(tmp_path / "whole.h5", whole)
    held = read(tmp_path / "whole.h5")
    assert held.episode_lengths.tolist() == [3, 2, 4, 2] and held.observations[-2:, 0].tolist() == [10, 11]
    assert held.rewards is None and held.episode_returns is not None
    assert held.env_id == "Toy-v0" and held.provenance.seed is None


@pytest.mark.parametrize("first", [0, 1])
def test_where_one_file_does_not_say_its_ends_no_time_limit_becomes_a_part(
    first: int, demonstrations: Demonstrations
) -> None:
    part = np.arange(9) == 4
    silent = replace(demonstrations, terminals=np.zeros(9, bool), timeouts=part, says_ends=False)
    whole = editing.merge([demonstrations, silent] if first else [silent, demonstrations])
    assert whole.ends is None and np.flatnonzero(whole.endings == PART).tolist() == [4 if first else 1]


@pytest.mark.parametrize("first", [0, 1])
def test_what_only_one_file_has_is_left_out(first: int, demonstrations: Demonstrations) -> None:
    """Also of the fields that hold an element an episode, whichever file lacks them: version 1 has no last observations."""
    last = replace(demonstrations, final_observations=demonstrations.observations[[2, 4, 8]])
    older = replace(demonstrations, final_observations=None)
    whole = editing.merge([last, older] if first else [older, last])
    assert whole.final_observations is None and whole.trajectories == 6
    assert whole.notes == ("not in all sources, and so left out: final_observations",)


def test_what_sources_disagree_in_is_noted(demonstrations: Demonstrations) -> None:
    def of(env: str | None, says_ends: bool = True) -> Demonstrations:
        provenance = replace(demonstrations.provenance, env_id=env)
        return replace(demonstrations, provenance=provenance, says_ends=says_ends, path=f"{env}.h5")

    assert editing.merge([of("A-v0"), of("A-v0"), of(None)]).notes == ()
    assert editing.merge([of("A-v0"), of(None), of("B-v0")]).notes == ("of several environments: A-v0, B-v0",)
    silent = "how episodes end is left out, since B-v0.h5 does not say it"
    assert editing.merge([of("B-v0"), of("B-v0", says_ends=False)]).notes == (silent,)


def test_files_that_do_not_go_together(demonstrations: Demonstrations) -> None:
    with pytest.raises(UserError, match="'actions': expected rows of float32"):
        editing.merge([demonstrations, replace(demonstrations, actions=np.zeros(9, np.int64))])
    with pytest.raises(UserError, match="name this file last"):
        editing.merge([replace(demonstrations, unfinished=True), demonstrations])
    assert editing.merge([demonstrations, replace(demonstrations, unfinished=True)]).unfinished
    with pytest.raises(UserError, match="subsample: expected 1, found 2"):
        editing.merge([replace(demonstrations, subsample=2)])


def test_the_table_says_what_is_written() -> None:
    assert writer("native") is native.writing
    with pytest.raises(UserError, match="--to nothing: expected a format that is written: native"):
        writer("nothing")


def test_raw_and_executed_actions_are_not_put_together(demonstrations: Demonstrations) -> None:
    views: tuple[Any, ...] = ("raw", "executed")
    both = [replace(demonstrations, provenance=replace(demonstrations.provenance, action_view=view)) for view in views]
    with pytest.raises(UserError, match=r"'action_view': expected 'raw' as .* has, found 'executed'"):
        editing.merge(both)
