"""What is warned of, by hand; what the committed files say and do not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
from gymnasium.spaces import Box

from trpo_gail.adversaries.rewards import FORMS
from trpo_gail.errors import MOST, UserError
from trpo_gail.experts import describe
from trpo_gail.experts.checks import cautions, fit, validate
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Ends, Provenance, Whole
from trpo_gail.experts.load import load, read
from trpo_gail.experts.save import save
from trpo_gail.experts.subsampling import paper_rows
from trpo_gail.spaces.spec import EnvSpec

FOLDER = Path(__file__).parents[2] / "expert_data"
ALIVE, SUCCESS = "-log(1-D)", "log(D)"
ONES_THAT_SUCCEED = {
    "Acrobot-v1", "BipedalWalker-v3", "LunarLander-v3", "MountainCar-v0", "PointNav2D-v0", "PointNav2DContinuous-v0",
    "paper/Acrobot-v0", "paper/MountainCar-v0",
}  # fmt: skip


def ended(held: Demonstrations, terminal: list[int], limit: list[int]) -> Demonstrations:
    """The same episodes, whose last rows are 2, 4 and 8, with other ends."""
    flags = [np.isin(np.arange(9), np.array([2, 4, 8])[which]) for which in (terminal, limit)]
    return replace(held, terminals=flags[0], timeouts=flags[1])


def saved(folder: Path, held: Demonstrations) -> Path:
    save(folder / "demos.h5", held)
    return folder / "demos.h5"


# --- How episodes end ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("terminal", "limit", "warned"),
    [
        ([0, 1, 2], [], "3 of 3"),
        ([0, 1], [2], "2 of 3"),
        ([0, 1], [], "2 of 3"),
        ([0], [1, 2], None),
        ([0], [1], None),
        ([], [0, 1, 2], None),
    ],
)
def test_most_episodes_end_by_success(
    tmp_path: Path, demonstrations: Demonstrations, terminal: list[int], limit: list[int], warned: str | None
) -> None:
    held = ended(demonstrations, terminal, limit)
    data = load(path := saved(tmp_path, held))
    assert data.ends == Ends(len(terminal), len(limit), 3 - len(terminal) - len(limit))
    expected = [f"{path}: {warned} episodes end by termination"] if warned else []
    told = cautions.of_run(data, "Toy-v0", ALIVE)
    assert [text.partition(";")[0] for text in told] == expected
    assert all("--discriminator.reward 'log(D)'" in text for text in told)
    # Nobody has chosen a reward yet: what the default goes by is a fact.
    assert cautions.of_file(read(path)) == []
    facts = [dict(describe.info(read(path))).get("reward")]
    facts += [f.text for f in validate.findings(read(path)) if f.check == "reward"] or [None]
    begun = f"{warned} episodes end by termination: --discriminator.reward auto goes by that"
    assert all(fact.startswith(begun) and "absorbing states" in fact if fact else not warned for fact in facts)
    assert cautions.of_run(data, "Toy-v0", None) == []
    told = cautions.of_run(data, "Toy-v0", SUCCESS)
    assert len(told) == (len(limit) > len(terminal)) and all("last until the time limit" in text for text in told)


def test_a_few_of_the_files_episodes_are_judged_by_all(tmp_path: Path, demonstrations: Demonstrations) -> None:
    data = load(saved(tmp_path, ended(demonstrations, [0], [1, 2])), trajectories=1)
    assert data.ends == Ends(1, 2, 0) and cautions.of_run(data, "Toy-v0", ALIVE) == []
    (told,) = cautions.of_run(data, "Toy-v0", SUCCESS)
    assert "2 of 3 episodes last until the time limit" in told and "--discriminator.reward '-log(1-D)'" in told


def test_of_subsampled_rows_those_count_that_are_last(tmp_path: Path, demonstrations: Demonstrations) -> None:
    """Every second row, from offsets 0, 1 and 1: rows 0, 2; 1; 1, 3 of 3, 2 and 4: all three last rows are held."""
    held = ended(demonstrations, [0, 2], [1])
    episode, step = paper_rows(held.episode_lengths, 2)
    rows = np.array([0, 3, 5])[episode] + step
    kept = {name: getattr(held, name)[rows] for name in ("observations", "actions", "terminals", "timeouts", "rewards")}
    assert replace(held, **kept, steps=step, subsample=2).ends == Ends(2, 1, 0)


@pytest.mark.parametrize("name", sorted(str(p.relative_to(FOLDER).with_suffix("")) for p in FOLDER.rglob("*.h5")))
def test_the_committed_files(name: str) -> None:
    path = FOLDER / f"{name}.h5"
    held = read(path)
    assert cautions.of_file(held) == []
    assert ("reward" in dict(describe.info(held))) == (name in ONES_THAT_SUCCEED)


def test_the_rewards_that_are_warned_of_exist() -> None:
    assert {cautions.ALIVE, cautions.SUCCESS} < set(FORMS)


def test_no_row_ends_an_episode(tmp_path: Path, demonstrations: Demonstrations) -> None:
    held = ended(demonstrations, [], [])
    data = load(path := saved(tmp_path, held))
    for told in (cautions.of_file(read(path)), *(cautions.of_run(data, "Toy-v0", r) for r in (ALIVE, None))):
        assert len(told) == 1
        assert told[0].startswith(f"{path}: 'terminals' and 'timeouts' are False in the last row of every episode")


def test_the_papers_layout_does_not_say_and_is_not_blamed(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "trajs.h5", "w") as file:
        file["obs_B_T_Do"], file["a_B_T_Da"] = np.zeros((2, 5, 3)), np.zeros((2, 5, 1))
        file["r_B_T"], file["len_B"] = np.zeros((2, 5)), np.array([5, 4])
    data = load(tmp_path / "trajs.h5")
    assert data.ends is None and cautions.of_run(data, "Toy-v0", ALIVE) == []
    assert cautions.of_file(read(tmp_path / "trajs.h5")) == []


def test_an_unfinished_last_episode_is_no_news(tmp_path: Path, demonstrations: Demonstrations) -> None:
    data = load(saved(tmp_path, ended(demonstrations, [], [0, 1])))
    assert data.ends == Ends(0, 2, 1) and cautions.of_run(data, "Toy-v0", ALIVE) == []


# --- How much is left ---------------------------------------------------------------------------------------------


def test_one_pair_is_left(native: Path) -> None:
    # Offsets of 3: 0 (rows 0); of 3 steps.
    told = cautions.of_run(load(native, 1, 3), "Toy-v0", ALIVE)
    assert told == [
        f"{native}: of 3 steps 1 pair of observation and action is left to learn from; a --subsample below 3 leaves more"
    ]


def test_a_file_of_one_pair(tmp_path: Path, demonstrations: Demonstrations) -> None:
    names = ("observations", "actions", "terminals", "timeouts", "steps", "rewards")
    rows = {name: getattr(demonstrations, name)[:1] for name in names}
    one = replace(demonstrations, **rows, episode_lengths=np.array([1]), episode_returns=np.ones(1))
    told = cautions.of_run(load(path := saved(tmp_path, one)), "Toy-v0", SUCCESS)
    assert f"{path}: of 1 steps 1 pair of observation and action is left to learn from" in told
    assert len(told) == 2, "and no row ends an episode"


def test_trajectories_that_leave_no_pair(native: Path) -> None:
    """Offsets of 5 are 4, 0 and 3, the episodes' steps 3, 2 and 4."""
    data = load(native, subsample=5)
    assert data.episode_of.tolist() == [1, 2]
    told = cautions.of_run(data, "Toy-v0", ALIVE)
    assert told == [f"{native}: 1 of 3 trajectories are too short to leave a pair; a --subsample below 5 leaves more"]
    assert cautions.of_run(load(native), "Toy-v0", ALIVE) == []


# --- How large numbers are ----------------------------------------------------------------------------------------

SPEC = EnvSpec("Toy-v0", "gymnasium", {}, Box(-np.inf, np.inf, (2,)), Box(-np.inf, np.inf, (1,)))


@pytest.mark.parametrize("name", ["observations", "actions"])
def test_numbers_that_float32_cannot_hold(tmp_path: Path, demonstrations: Demonstrations, name: str) -> None:
    values = getattr(demonstrations, name).astype(np.float64)
    values[4, 0] = -1e40
    held = replace(demonstrations, **{name: values})
    data = load(path := saved(tmp_path, held))
    with pytest.raises(UserError, match=rf"'{name}': -1e\+40 does not fit float32; --dtype float64 holds it"):
        fit.check(data, SPEC, "float32")
    fit.check(data, SPEC, "float64")
    assert cautions.of_file(read(path)) == [
        f"{path}: dataset '{name}': -1e+40 does not fit float32; training needs --dtype float64"
    ]
    values[4, 0] = np.finfo(np.float32).max / 5  # differences, too, are to fit
    fit.check(load(saved(tmp_path, replace(demonstrations, **{name: values}))), SPEC, "float32")


def test_every_warning_is_short(tmp_path: Path, demonstrations: Demonstrations) -> None:
    data = replace(load(saved(tmp_path, demonstrations)), path="demos.h5", provenance=Provenance(env_id="x" * 10_000))
    for ends in (Ends(10**6, 0, 10**6), Ends(0, 0, 10**6)):
        for told in cautions.of_run(replace(data, whole=Whole(3, 3.0, 0.0, ends)), "Toy-v0", ALIVE):
            assert len(f"warning: {told}") <= MOST
