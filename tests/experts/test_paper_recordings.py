"""The demonstrations in `expert_data/paper/`: the paper's numbers of trajectories, pairs and experts; the README's sums."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from trpo_gail.envs import vector
from trpo_gail.envs.tasks import paper
from trpo_gail.experts.checks import fit
from trpo_gail.experts.files import hdf5
from trpo_gail.experts.load import load, read
from trpo_gail.experts.policies import paper_policy
from trpo_gail.runs.record import record

FOLDER = Path(__file__).parents[2] / "expert_data" / "paper"
TASKS = [task.name for task in paper.TASKS.values()]

# Trajectories in the file; the paper's numbers of them, and its subsampling; mean and std of its experts' returns, and of
# how many episodes: the paper's files for all but Acrobot (16), Reacher (21) and Ant (53), whose few were lucky ones,
# so that the last 20 batches of the experts' own training say more (results/paper/experts.md).
PAPER = {
    "CartPole-v0": (10, [1, 4, 7, 10], 10, 200.0, 0.0, 16),
    "Acrobot-v0": (10, [1, 4, 7, 10], 5, -82.45, 18.0, 1200),
    "MountainCar-v0": (10, [1, 4, 7, 10], 5, -98.75, 8.71, 16),
    "Reacher-v1": (18, [4, 11, 18], 1, -4.02, 1.70, 20000),
    "HalfCheetah-v1": (50, [4, 11, 18, 25], 20, 4463.46, 105.83, 53),
    "Hopper-v1": (50, [4, 11, 18, 25], 20, 3571.38, 184.20, 53),
    "Walker2d-v1": (50, [4, 11, 18, 25], 20, 6717.08, 845.62, 53),
    "Ant-v1": (50, [4, 11, 18, 25], 20, 4044.44, 730.0, 1500),
    "Humanoid-v1": (240, [80, 160, 240], 20, 9575.40, 1750.80, 243),
}
POLICIES = {
    "CartPole-v0": "classic/CartPole-v0.h5",
    "Acrobot-v0": "classic/Acrobot-v0.h5",
    "MountainCar-v0": "classic/MountainCar-v0.h5",
    "Reacher-v1": "modern/log_Reacher-v1_4.h5",
    "HalfCheetah-v1": "modern/log_HalfCheetah-v0_2.h5",
    "Hopper-v1": "modern/log_Hopper-v0_3.h5",
    "Walker2d-v1": "modern/walker_eb5b2e_1.h5",
    "Ant-v1": "modern/log_Ant-v1_0.h5",
    "Humanoid-v1": "modern/humanoid.h5",
}


def path(name: str) -> Path:
    return FOLDER / f"{name}.h5"


@pytest.mark.parametrize("name", TASKS)
def test_the_papers_pairs_can_be_loaded(name: str) -> None:
    """About 20 pairs a trajectory of CartPole and Mountain Car, 15 of Acrobot, 50 of the others."""
    trajectories, sizes, subsample, *_ = PAPER[name]
    held = read(path(name))
    assert len(held.episode_lengths) == trajectories and held.observations.dtype == np.float32
    start = np.random.RandomState(0).randint(0, subsample, trajectories)
    for size in sizes:
        data = load(path(name), size, 1 if held.subsample > 1 else subsample)
        lengths = held.episode_lengths[:size]
        assert len(data.steps) == sum(len(range(s, n, subsample)) for s, n in zip(start, lengths, strict=False))
        assert data.trajectories == size and data.subsample == subsample
        assert data.action_view == "raw" and data.env_id == f"Paper/{name}"
        first = np.flatnonzero(np.diff(data.episode_of, prepend=-1))
        assert data.steps[first].tolist() == start[:size].tolist()


def test_the_humanoids_file_holds_every_twentieth_row_only() -> None:
    held = read(path("Humanoid-v1"))
    assert held.subsample == 20 and len(held.observations) < held.episode_lengths.sum() / 19
    few, all_ = (load(path("Humanoid-v1"), n) for n in (80, 240))
    np.testing.assert_array_equal(few.observations, all_.observations[: len(few.observations)])
    # A sample of the rewards: 20 times their sum is about that of all.
    assert held.rewards is not None and held.episode_returns is not None
    assert abs(20 * held.rewards.sum() / held.episode_returns.sum() - 1) < 0.01


def test_the_folder_holds_the_nine_and_is_small() -> None:
    files = sorted(FOLDER.glob("*.h5"))
    assert sorted(file.stem for file in files) == sorted(TASKS)
    assert sum(file.stat().st_size for file in files) < 60e6


@pytest.mark.parametrize("name", TASKS)
def test_returns_are_the_papers_experts_within_sampling_error(name: str) -> None:
    *_, mean, std, episodes = PAPER[name]
    returns = read(path(name)).episode_returns
    assert returns is not None
    error = math.hypot(std / math.sqrt(episodes), returns.std() / math.sqrt(len(returns)))
    assert abs(returns.mean() - mean) <= 3 * error


def test_reachers_targets_are_all_around() -> None:
    """The widest sector without a target is 106 degrees or less in 95 % of draws of 18; seed 0 had one of 160."""
    targets = read(path("Reacher-v1")).observations[::50, 4:6]
    angles = np.sort(np.arctan2(targets[:, 1], targets[:, 0]))
    assert np.diff(angles, append=angles[0] + 2 * np.pi).max() < np.radians(106)


@pytest.mark.parametrize("name", TASKS)
def test_they_say_where_they_come_from_and_fit(name: str) -> None:
    facts = read(path(name)).provenance
    assert (facts.action_view, facts.deterministic, facts.licence) == ("raw", False, "MIT")
    assert facts.seed == (1 if name == "Reacher-v1" else 0)
    assert "Ho & Ermon" in str(facts.attribution) and "openai/imitation" in str(facts.attribution)
    assert ("berkeleydeeprlcourse" in str(facts.attribution)) == (name == "Humanoid-v1")
    assert not re.search(r"(^|[\s\"'])/", str(facts)), "an absolute path of the machine that recorded it"
    pytest.importorskip("mujoco", reason="MuJoCo is not installed")
    env = vector.make(str(facts.env_id), 1, "gymnasium")
    fit.check(load(path(name), 1), env.spec)
    env.close()


def test_checksums_and_numbers_are_those_of_the_readme() -> None:
    text = (FOLDER / "README.md").read_text()
    rows = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in text.splitlines() if ".h5` | " in line]
    assert sorted(row[0] for row in rows) == sorted(f"{name}.h5" for name in TASKS)
    for file, trajectories, steps, returns, size, checksum in rows:
        held = read(FOLDER / file)
        assert held.episode_returns is not None and checksum == hdf5.sha256(FOLDER / file)
        assert int(trajectories) == len(held.episode_lengths)
        assert int(steps.replace(",", "")) == held.episode_lengths.sum()
        stated = [float(x.replace("−", "-")) for x in re.findall(r"[-−]?[\d.]+", returns)]
        values = held.episode_returns
        np.testing.assert_allclose(stated, [values.mean(), values.std(), values.min(), values.max()], atol=0.06)
        assert float(size.removesuffix(" MB")) == pytest.approx((FOLDER / file).stat().st_size / 1e6, abs=0.006)


@pytest.mark.parametrize("name", TASKS)
def test_the_policy_is_the_papers(name: str, paper_experts: Path) -> None:
    policy = paper_policy.load_policy(paper_experts / POLICIES[name])
    held = read(path(name))
    assert held.provenance.policy_sha256 == policy.checksum
    if policy.stdevs is not None:  # what is left of the actions is the policy's noise
        mode = policy.act(held.observations, np.zeros((len(held.observations), policy.noise_size)))
        noise = (held.actions - mode) / policy.stdevs
        np.testing.assert_allclose(noise.std(axis=0), 1, atol=0.06)


@pytest.mark.parametrize("name", [name for name in TASKS if name not in ("Humanoid-v1", "Ant-v1")])
def test_a_new_recording_returns_what_the_committed_one_does(name: str, paper_experts: Path, tmp_path: Path) -> None:
    """Two episodes, roughly: their bits depend on versions and on the kind of processor."""
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    pytest.importorskip("mujoco", reason="MuJoCo is not installed")
    again = record(f"Paper/{name}", paper_experts / POLICIES[name], 2, tmp_path / "x.h5")
    returns = read(path(name)).episode_returns
    assert again.episode_returns is not None and returns is not None
    spread = max(4 * returns.std(), 1e-9)
    assert (np.abs(again.episode_returns - returns.mean()) <= spread).all()


def test_the_humanoids_expert_walks_on_both_backends(paper_experts: Path, tmp_path: Path) -> None:
    """200 steps at 9.5 to 10.3 each: with today's masses the same policy falls at once."""
    pytest.importorskip("mujoco", reason="MuJoCo is not installed")
    for backend in ("envpool", "gymnasium"):
        if backend == "envpool":
            pytest.importorskip("envpool", reason="EnvPool is not installed")
        held = record(
            "Paper/Humanoid-v1", paper_experts / POLICIES["Humanoid-v1"], 3, tmp_path / f"{backend}.h5",
            backend=backend, env_kwargs={"max_episode_steps": 200}, subsample=20,
        )  # fmt: skip
        assert held.episode_returns is not None and np.median(held.episode_returns) > 1500
        assert held.subsample == 20 and len(held.observations) == 30
