"""Files that can be read, and what is wrong with them: one made file for each warning."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import gymnasium
import numpy as np
import pytest
from gymnasium.spaces import Box, Dict, Discrete, Space, Tuple

sys.path.append(str(Path(__file__).parents[1] / "envs"))
import toy_envs

import trpo_gail
from trpo_gail.envs import vector
from trpo_gail.errors import UserError
from trpo_gail.experts.checks import cautions, fit, padding, starts, validate
from trpo_gail.experts.checks.replay import replay
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Provenance
from trpo_gail.experts.load import load, read
from trpo_gail.experts.rows import as_rows
from trpo_gail.experts.save import save
from trpo_gail.experts.subsampling import paper_rows
from trpo_gail.runs import validation
from trpo_gail.spaces.spec import EnvSpec


def made(episodes: int = 6, length: int = 20, columns: int = 3, **changes: object) -> Demonstrations:
    """Good demonstrations of random numbers, with changes."""
    rng = np.random.default_rng(0)
    lengths = np.full(episodes, length)
    steps = paper_rows(lengths, 1)[1]
    held = Demonstrations(
        observations=rng.standard_normal((episodes * length, columns)),
        actions=rng.uniform(-0.9, 0.9, (episodes * length, 2)),
        terminals=np.zeros(episodes * length, bool),
        timeouts=steps == length - 1,
        steps=steps,
        episode_lengths=lengths,
        rewards=rng.uniform(0.9, 1.0, episodes * length),
        provenance=Provenance(
            action_space={"type": "Box", "low": [-1, -1], "high": [1, 1], "shape": [2], "dtype": "float32"},
            action_view="executed",
        ),
    )
    return replace(held, **changes)  # type: ignore[arg-type]


def told(held: Demonstrations, level: str = "warning") -> list[str]:
    return [finding.text for finding in validate.findings(load(held)) if finding.level == level]


def one(held: Demonstrations, words: str, level: str = "warning") -> str:
    found = told(held, level)
    assert len(found) == 1 and words in found[0], found
    return found[0]


def test_a_good_file_has_facts_alone() -> None:
    assert told(made()) == told(made(), "error") == []
    assert len(told(made(), "fact")) >= 4 and validate.cheap(load(made())) == []


# ---- the warnings ----------------------------------------------------------------------------------------------------


def test_rewards_of_one_against_negative_returns() -> None:
    held = made(rewards=np.ones(120), episode_returns=np.full(6, -150.0))
    assert "all rewards are +1" in one(held, "episode 0 states -150, its rewards add up to 20")


def test_returns_that_contradict_the_rewards() -> None:
    returns = np.full(6, 19.0)
    held = made(rewards=np.full(120, 0.95), episode_returns=returns)
    assert told(held) == []
    returns[4] = 40.0
    text = one(replace(held, episode_returns=returns), "'episode_returns' contradict 'rewards' in 1 of 6 episodes")
    assert "episode 4 states 40, its rewards add up to 19" in text and "scaled score means nothing" in text


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("step", [1.0, -0.001])
def test_a_column_that_counts_time(dtype: str, step: float) -> None:
    held = made(columns=4)
    observations = held.observations.copy()
    observations[:, 3] = 1.0 + step * held.steps
    held = replace(held, observations=observations.astype(dtype))
    assert "column 3 only counts time" in one(held, f"by {step:g} a step")
    assert "column 3 only counts time" in validate.cheap(load(held))[0]


def test_a_column_that_grows_from_other_starts_is_no_clock() -> None:
    held = made(columns=4)
    observations = held.observations.copy()
    observations[:, 3] = held.steps + 3.0 * held.episode_of
    assert told(replace(held, observations=observations)) == []


def test_raw_actions_that_were_clipped() -> None:
    actions = np.clip(2.0 * made().actions, -1.0, 1.0)
    raw = replace(made().provenance, action_view="raw")
    clipped = made(actions=actions, provenance=raw)
    one(clipped, "all are inside the bounds and many lie on them")
    one(clipped, "with --actions executed, the learner's actions are clipped before the discriminator sees them")
    assert told(made(provenance=raw)) == []


def test_executed_actions_outside_the_bounds_are_an_error() -> None:
    one(made(actions=2.0 * made().actions), "executed, as the file says, but", "error")


def test_labels_as_floats_and_labels_out_of_range() -> None:
    labels = np.arange(120) % 3
    nothing = Provenance()
    one(made(actions=labels[:, None].astype(float), provenance=nothing), "whole numbers: for a Discrete space")
    assert told(made(actions=labels, provenance=nothing)) == []
    text = one(made(actions=labels - 1, provenance=nothing), "labels, expected from 0 on, found -1", "error")
    assert text.endswith("write a Box's as floats [rows, action size]")
    two = Provenance(action_space={"type": "Discrete", "n": 2})
    one(made(actions=labels, provenance=two), "expected labels below 2 as 'action_space' says, found 2", "error")


def test_one_failed_trajectory_among_good_ones() -> None:
    rewards = made().rewards
    assert rewards is not None
    rewards = rewards.copy()
    rewards[40:60] = 0.1
    one(made(rewards=rewards), "episodes 2 return much less than the others, 2 where the median is")


def test_an_episode_that_is_a_copy() -> None:
    held = made()
    observations, actions = held.observations.copy(), held.actions.copy()
    observations[60:80], actions[60:80] = observations[20:40], actions[20:40]
    text = one(replace(held, observations=observations, actions=actions), "1 of 6 episodes are copies of another")
    assert "episode 3 of 1" in text


def test_ends_in_the_middle_or_nowhere() -> None:
    held = made()
    terminals = held.terminals.copy()
    terminals[[5, 30]] = True
    one(
        replace(held, terminals=terminals),
        "'terminals' is True in 2 rows in the middle of an episode, such as rows 5, 30",
    )
    one(replace(held, timeouts=np.zeros(120, bool)), "no episode's last row has an end marked")
    some = held.timeouts.copy()
    some[19] = False
    one(replace(held, timeouts=some), "the last rows of 1 episodes have no end marked")
    one(replace(held, timeouts=held.timeouts & (held.episode_of < 5), unfinished=True), "is unfinished")


def test_next_observations_that_are_not_the_next_rows() -> None:
    held = made()
    after = np.roll(held.observations, -1, axis=0)
    assert told(replace(held, next_observations=after)) == []
    after[[7, 31]] += 1.0
    one(
        replace(held, next_observations=after),
        "of 2 of 114 rows are not the next row's observations, such as of rows 7, 31",
    )


def test_columns_that_are_zero_or_constant() -> None:
    observations = np.pad(made().observations, ((0, 0), (0, 25)))
    assert "contact forces" in one(made(observations=observations), "columns 3, 4, 5, 6, 7 and 20 more are all zero")
    observations[:, 4] = 2.0
    assert any("columns 4 are constant" in text for text in told(made(observations=observations)))


def test_numbers_beyond_float32() -> None:
    observations = made().observations.copy()
    observations[3, 0] = 1e39
    one(made(observations=observations), "1e+39 does not fit float32")


def test_without_rewards_the_return_is_unknown() -> None:
    assert any("no rewards" in text for text in told(made(rewards=None), "fact"))


def test_a_subsampled_file_is_looked_at_as_far_as_it_can() -> None:
    held = load(made(), subsample=3)
    assert [f for f in validate.findings(held) if f.level != "fact"] == []
    unknown = "how they end is not known"
    assert not any(unknown in f.text for f in validate.findings(held))
    bare = replace(held, episode_endings=None, whole=None)  # as in a file without the dataset
    assert sum(unknown in f.text for f in validate.findings(bare)) == 1


def test_as_json() -> None:
    held = load(made(actions=2.0 * made().actions))
    report = json.loads(json.dumps(validate.as_json(held, validate.findings(held))))
    assert report["valid"] is False and len(report["errors"]) == 1 and report["warnings"] == []
    assert set(report["errors"][0]) == {"check", "text"}


def test_a_training_is_warned_of_it_too() -> None:
    held = made()
    actions = held.actions.copy()
    actions[60:80] = actions[20:40]
    observations = held.observations.copy()
    observations[60:80] = observations[20:40]
    data = load(replace(held, observations=observations, actions=actions, path="x.h5"))
    assert any("copies of another" in text for text in cautions.of_run(data, "Toy-v0", None))


# ---- beside an environment -------------------------------------------------------------------------------------------


def spec_of(env_id: str, size: int) -> EnvSpec:
    return EnvSpec(env_id, "gymnasium", observation_space=Box(-1, 1, (size,)), action_space=Box(-1, 1, (2,)))


@pytest.mark.parametrize(
    ("env_id", "wanted", "found", "why"),
    [
        ("Acrobot-v1", 6, 4, "4 are those of Acrobot of 2016"),
        ("Ant-v5", 105, 111, "111 are those of Ant-v1 to -v3"),
        ("Ant-v5", 105, 27, "27 are those of Ant-v4"),
        ("Toy-v0", 3, 5, "found [5]"),
    ],
)
def test_a_size_is_explained_by_the_environment_that_has_it(env_id: str, wanted: int, found: int, why: str) -> None:
    with pytest.raises(UserError, match=r"expected rows of shape \[\d+\]") as refused:
        fit.check(load(made(columns=found)), spec_of(env_id, wanted))
    assert str(refused.value).endswith(why) or why in str(refused.value)


def test_a_size_is_explained_by_a_clock() -> None:
    held = made(columns=12)
    observations = held.observations.copy()
    observations[:, 11] = 1.0 - held.steps / 1000
    with pytest.raises(UserError, match=r"column 11 counts time, by -0\.001 a step"):
        fit.check(load(replace(held, observations=observations)), spec_of("Hopper-v4", 11))


def cartpole(folder: Path, episodes: int = 3) -> Path:
    """Episodes of a pole that random actions push."""
    env = gymnasium.make("CartPole-v1")
    rows: dict[str, list[object]] = {
        name: [] for name in ("observations", "actions", "rewards", "terminals", "timeouts")
    }
    env.action_space.seed(0)
    for seed in range(episodes):
        observation, ended = env.reset(seed=seed)[0], False
        while not ended:
            action = int(env.action_space.sample())
            after, reward, terminated, truncated, _ = env.step(action)
            for name, value in zip(rows, (observation, action, reward, terminated, truncated), strict=True):
                rows[name].append(value)
            observation, ended = after, terminated or truncated
    save(folder / "pole.h5", load({name: np.array(values) for name, values in rows.items()}))
    return folder / "pole.h5"


def test_steps_are_replayed(tmp_path: Path) -> None:
    held = read(cartpole(tmp_path))
    env = gymnasium.make("CartPole-v1")
    done = replay(held, env)
    assert not isinstance(done, str) and done.alike == done.tried > 20
    other = replay(replace(held, actions=1 - held.actions), env)
    assert not isinstance(other, str) and other.alike == 0


def test_why_no_step_is_replayed(tmp_path: Path) -> None:
    held, env = read(cartpole(tmp_path)), gymnasium.make("CartPole-v1")
    assert replay(held, gymnasium.make("FrozenLake-v1")) == "the state cannot be set from an observation here"
    assert replay(replace(held, subsample=20), env) == "the file holds no two steps that follow each other"
    assert replay(replace(held, actions=np.zeros((len(held.steps), 0))), env) == "the file has no actions"


def test_steps_are_replayed_in_a_class_that_is_not_registered(tmp_path: Path) -> None:
    found = validation.against(read(cartpole(tmp_path)), "gymnasium.envs.classic_control:CartPoleEnv", {})
    (said,) = (f.text for f in found if f.check == "replay")
    assert re.fullmatch(r"of (\d+) steps that were replayed \1 come out as the file says", said)


def test_beside_its_environment(tmp_path: Path) -> None:
    held = read(cartpole(tmp_path))
    found = validation.against(replace(held, episode_returns=np.zeros(3)), "CartPole-v1", {})
    assert [f.check for f in found if f.level == "warning"] == ["random"]
    wrong = validation.against(held, "Pendulum-v1", {})
    assert [f.level for f in wrong] == ["error"] and "expected rows of shape [3]" in wrong[0].text
    turned = validation.against(replace(held, actions=1 - held.actions), "CartPole-v1", {})
    assert "replay" in [f.check for f in turned if f.level == "warning"]


class Failing(toy_envs.Counter):
    """It takes two steps, and cannot be closed."""

    def step(self, action: np.ndarray) -> tuple[np.ndarray, float, bool, bool, dict]:
        assert self._step < 2, "the server is gone"
        return super().step(action)

    def close(self) -> None:
        raise RuntimeError("nothing to close")


def test_an_environment_that_fails_takes_no_finding_along(capsys: pytest.CaptureFixture[str]) -> None:
    seen, acts = np.arange(18.0).reshape(9, 2), np.full((9, 1), 0.5)
    held = trpo_gail.Demonstrations.from_arrays(seen, acts, rewards=np.ones(9), episode_lengths=[3, 3, 3])
    found = validation.against(held, "test_validate:Failing", {})
    assert {"environment", "starts", "replay"} <= {finding.check for finding in found}
    assert "step: AssertionError: the server is gone" in found[-1].text and found[-1].level == "error"
    assert "close: RuntimeError: nothing to close" in capsys.readouterr().err


def test_what_a_training_notes_of_them_beside_its_environment_is_told() -> None:
    """Parts that the environment lacks, and episodes longer than its time limit."""
    name = toy_envs.env_id(space := Dict({"pose": Box(-1.0, 1.0, (3,))}), Box(-1.0, 1.0, (1,)))
    rng = np.random.default_rng(0)
    seen = {part: rng.uniform(-1, 1, (220, 3)) for part in ("pose", "gps")}
    held = trpo_gail.Demonstrations.from_arrays(seen, rng.uniform(-1, 1, (220, 1)), episode_lengths=[101, 100, 19])
    found = validation.against(held, name, {})
    noted = as_rows(held, EnvSpec(name, "gymnasium", {}, space, Box(-1.0, 1.0, (1,)), max_episode_steps=100)).notes
    assert (
        "parts gps of observations are left out" in noted[0] and "1 of 3 episodes are longer than the 100" in noted[1]
    )
    assert [f.text for f in found if f.level == "warning" and f.check == "environment"] == list(noted)


@pytest.mark.parametrize(("dtype", "wrong"), [(np.int64, True), (np.bool_, True), (np.float32, False)])
def test_labels_are_no_actions_of_a_box(dtype: type, wrong: bool, tmp_path: Path) -> None:
    """A training takes them for floats and warns; but in a table of text a float needs no point."""
    name = toy_envs.env_id(Box(-1.0, 1.0, (3,)), Box(-1.0, 1.0, (2,)))
    rng = np.random.default_rng(0)
    acts = rng.integers(0, 2, (20, 2))
    held = trpo_gail.Demonstrations.from_arrays(
        rng.uniform(-1, 1, (20, 3)), acts.astype(dtype), episode_lengths=[10, 10]
    )
    said = "'actions': expected rows of 2 floats as the environment"
    spec = vector.spec_of(name)
    assert [said in note for note in as_rows(held, spec).notes] == [True] * wrong
    found = validation.against(held, name, {})
    told = [f.text for f in found if f.level == "warning" and "floats" in f.text]
    assert [text.startswith(said) and "found integers or booleans [2]" in text for text in told] == [True] * wrong
    assert not as_rows(replace(held, format="CSV"), spec).notes


def test_what_the_reader_decided_is_a_fact(demonstrations: Demonstrations) -> None:
    found = validate.findings(replace(demonstrations, notes=("2 episodes are a guess",)))
    assert ("fact", "2 episodes are a guess") in [(f.level, f.text) for f in found]


# ---- episodes that are cut elsewhere ---------------------------------------------------------------------------------


def walks(lengths: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Observations, actions and true ends of a point that moves as its action says, from starts far away."""
    rng, rows = np.random.default_rng(0), []
    for length in lengths:
        moves = rng.uniform(-0.1, 0.1, (length, 2))
        rows.append((rng.uniform(3, 4, 2) + np.cumsum(moves, axis=0) - moves, moves))
    observations, actions = (np.concatenate(part).astype(np.float32) for part in zip(*rows, strict=True))
    ends = np.zeros(len(actions), bool)
    ends[np.cumsum(lengths) - 1] = True
    return observations, actions, ends


@pytest.mark.parametrize(("moved", "said"), [(-1, "too early"), (0, None), (1, "too late"), (5, None)])
def test_ends_that_are_one_row_off(moved: int, said: str | None) -> None:
    observations, actions, ends = walks([20, 25, 22, 30, 21, 28])
    lengths = np.diff(np.flatnonzero(np.roll(ends, moved)) + 1, prepend=0)
    lengths = lengths if lengths.sum() == len(ends) else np.append(lengths, len(ends) - lengths.sum())
    cut = Demonstrations(
        observations, actions, np.zeros(len(ends), bool), np.zeros(len(ends), bool), paper_rows(lengths, 1)[1], lengths,
        rewards=ends * 10.0, says_ends=False,
    )  # fmt: skip
    found = validate.findings(load(cut))
    texts = [f.text for f in found if f.check == "cuts"]
    assert len(texts) == (said is not None) and all(f"cut one row {said}" in text for text in texts)
    assert not texts or all(f.check != "failures" for f in found), "whose cause is that"
    assert bool(texts) == any("cut one row" in text for text in validate.cheap(load(cut)))


def test_rows_that_pad_episodes() -> None:
    held = made()
    assert padding.zeros(load(held)).tolist() == [0] * 6
    blank = (held.steps >= 15 + held.episode_of) & (held.episode_of < 5)  # of 5, 4, 3, 2, 1 and 0 rows
    padded = replace(
        held,
        observations=np.where(blank[:, None], 0, held.observations),
        actions=np.where(blank[:, None], 0, held.actions),
    )
    assert padding.zeros(load(padded)).tolist() == [5, 4, 3, 2, 1, 0]
    text = one(padded, "15 rows at the ends of 5 of 6 episodes, which all have 20 steps, are zero throughout")
    assert "give each episode its own length" in text
    for told_to in (cautions.of_file(load(padded)), cautions.of_run(load(padded), "Toy-v0", None)):
        assert sum("15 rows at the ends of 5 of 6 episodes" in text for text in told_to) == 1
    few = replace(padded, observations=np.where(held.episode_of[:, None] > 2, held.observations, padded.observations))
    assert told(few) == [], "half of the episodes may end at zero"


def test_labels_that_are_0_are_no_padding() -> None:
    zeros = np.zeros(120, np.int64)
    held = made(observations=zeros, actions=zeros, provenance=Provenance())
    assert padding.zeros(load(held)).tolist() == [0] * 6


# ---- what an environment cannot show ---------------------------------------------------------------------------------


def test_starts_that_no_reset_comes_near() -> None:
    rng = np.random.default_rng(1)
    resets, firsts = rng.uniform([2.0, -0.1], [3.0, 0.1], (50, 2)), rng.uniform([2.0, -0.1], [3.0, 0.1], (6, 2))
    assert starts.elsewhere(firsts, resets) is None
    turned = firsts[:, ::-1]
    text = starts.elsewhere(turned, resets)
    assert text is not None and "of 6 of 6 episodes are none that 50 resets come near, in columns 0, 1" in text
    few = np.where(np.arange(6)[:, None] < 2, turned, firsts)
    assert starts.elsewhere(few, resets) is None, "two of six may be chance"
    assert starts.elsewhere(firsts + 0.15, resets) is None, "another version's noise"


def test_observations_out_of_the_space() -> None:
    seen = made().observations
    low, high, resets = np.array([-np.inf, -9.0, -9.0]), np.array([np.inf, 9.0, 9.0]), np.zeros((5, 3))
    assert starts.out_of_space(seen, low, high, resets) is None
    text = starts.out_of_space(10 * seen, low, high, resets)
    assert text is not None and "in columns 1, 2 (column 1 is" in text and "its bounds are -9 to 9)" in text
    assert starts.out_of_space(10 * seen, low, high, resets + 10.0) is None, "the environment leaves them, too"
    # What EnvPool states of LunarLander, for numbers of either sign without bounds.
    tiny, large = np.full(3, np.finfo(np.float32).tiny), np.full(3, np.finfo(np.float32).max)
    assert starts.out_of_space(10 * seen, tiny, large, resets) is None


def test_actions_far_out_of_bounds_that_nothing_explains() -> None:
    nothing = Provenance(action_space=made().provenance.action_space)
    text = one(made(actions=5 * made().actions, provenance=nothing), "outside the bounds that the file states")
    assert "1.7 times their width beyond" in text and "--actions raw" in text
    raw = replace(nothing, action_view="raw")
    assert told(made(actions=5 * made().actions, provenance=raw)) == [], "samples of a Gaussian are outside by nature"
    assert told(made(provenance=nothing)) == []


def pendulum() -> Demonstrations:
    """Three episodes of small actions."""
    env, rng = gymnasium.make("Pendulum-v1", max_episode_steps=30), np.random.default_rng(0)
    rows = []
    for seed in range(3):
        seen, _ = env.reset(seed=seed)
        for _ in range(30):
            action = rng.uniform(-2, 2, 1).astype(np.float32)
            rows.append((seen, action))
            seen = env.step(action)[0]
    observations, actions = (np.array(part) for part in zip(*rows, strict=True))
    held = trpo_gail.Demonstrations.from_arrays(observations, actions, episode_lengths=[30, 30, 30])
    return held


@pytest.mark.parametrize(
    ("change", "check", "words"),
    [
        (lambda held: held, None, ""),
        (
            lambda held: replace(held, observations=held.observations * [1, 1, 57.3]),
            "observations",
            "columns 2 (column 2",
        ),
        (
            lambda held: replace(held, observations=np.add(held.observations, [4, 0, 0])),
            "starts",
            "in columns 0 (column 0",
        ),
        (
            lambda held: replace(held, actions=5 * held.actions),
            "environment",
            "outside the environment's bounds, up to",
        ),
    ],
)
def test_what_an_environment_shows_of_them(
    change: Callable[[Demonstrations], Demonstrations], check: str | None, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "RESETS", 20)
    found = validation.against(change(pendulum()), "Pendulum-v1", {})
    warned = {f.check: f.text for f in found if f.level == "warning" and f.check != "replay"}
    assert check is None or words in warned.get(check, "nothing"), warned
    assert check is not None or not warned


@pytest.mark.parametrize("names", [("pose", "wind"), ("0", "1")], ids=["Dict", "Tuple"])
def test_each_part_of_observations_is_compared_with_its_own_bounds(names: tuple[str, str]) -> None:
    """Labels and pictures have bounds, too, but no columns whose order or units may be wrong."""
    pose, wind = names
    inner: list[Space] = [Box(-1.0, 1.0, (3,)), Discrete(3)]
    space = Tuple(inner) if pose == "0" else Dict(dict(zip(names, inner, strict=True)))
    rng = np.random.default_rng(0)
    seen = {pose: rng.uniform(-1, 1, (15, 3)), wind: rng.integers(0, 3, 15)}

    def warned(pose_in: np.ndarray) -> dict[str, str]:
        held = trpo_gail.Demonstrations.from_arrays(
            {**seen, pose: pose_in}, rng.uniform(-1, 1, (15, 1)), episode_lengths=[5, 5, 5]
        )
        found = validation.against(held, toy_envs.env_id(space, Box(-1.0, 1.0, (1,))), {})
        return {f.check: f.text for f in found if f.level == "warning"}

    assert warned(seen[pose]) == {}
    told = warned(seen[pose] * [1, 1, 57.3])
    assert f"observations '{pose}' leave the bounds of the environment's space in columns 2 (" in told["observations"]
    assert f"the first observations '{pose}' of" in warned(seen[pose] + [4, 0, 0])["starts"]
