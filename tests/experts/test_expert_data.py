"""The demonstrations in `expert_data/`: counts that add up, returns as measured before, the README's sums."""

from __future__ import annotations

import math
import re
from pathlib import Path

import numpy as np
import pytest

from trpo_gail.envs import vector
from trpo_gail.experts.checks import fit
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.files import hdf5
from trpo_gail.experts.load import load, read
from trpo_gail.experts.policies import paper_policy

FOLDER = Path(__file__).parents[2] / "expert_data"
MEASURED = {  # return of the same experts in today's environments, mean and std over as many episodes, measured before
    "CartPole-v0": (200.0, 0.0),
    "Hopper-v4": (3457.0, 393.0),
    "HalfCheetah-v4": (4451.4, 103.5),
    "CartPole-v1": (459.7, 62.5),
    "Walker2d-v4": (5054.0, 2233.0),
    "MountainCar-v0": (-101.3, 6.4),
    "Acrobot-v1": (-80.9, 19.1),
    "Ant-v4": (4188.0, 124.0),
}
EPISODES = {"Ant-v4": 20}  # the others' 50
LIMIT = {"CartPole-v0": 200, "CartPole-v1": 500, "MountainCar-v0": 200, "Acrobot-v1": 500}  # steps; the others' 1000
OURS = ["PointNav2D-v0", "PointNav2DContinuous-v0"]  # tests/envs/test_point_nav.py records these again
OTHERS = ["LunarLander-v3", "Pendulum-v1", "BipedalWalker-v3"]  # tests/experts/test_control_experts.py


@pytest.fixture(scope="module", params=MEASURED)
def held(request: pytest.FixtureRequest) -> Demonstrations:
    return read(FOLDER / f"{request.param}.h5")


def test_every_recorded_file_is_tested() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.h5")) == sorted([*MEASURED, *OURS, *OTHERS])


def test_the_episodes_add_up(held: Demonstrations) -> None:
    limit = LIMIT.get(str(held.provenance.env_id), 1000)
    assert len(held.episode_lengths) == EPISODES.get(str(held.provenance.env_id), 50)
    assert held.episode_lengths.max() <= limit
    last = np.cumsum(held.episode_lengths) - 1
    ended = held.terminals | held.timeouts
    assert np.flatnonzero(ended).tolist() == last.tolist() and not (held.terminals & held.timeouts).any()
    np.testing.assert_array_equal(held.timeouts[last], held.episode_lengths == limit)
    assert held.rewards is not None and held.episode_returns is not None
    sums = np.add.reduceat(held.rewards, last + 1 - held.episode_lengths, dtype=np.float64)
    np.testing.assert_allclose(held.episode_returns, sums, rtol=1e-6)


def test_returns_are_the_experts_within_sampling_error(held: Demonstrations) -> None:
    mean, std = MEASURED[str(held.provenance.env_id)]
    assert held.episode_returns is not None
    error = math.hypot(std, held.episode_returns.std()) / math.sqrt(held.trajectories)  # of two means' difference
    assert abs(held.episode_returns.mean() - mean) <= 3 * error


def test_they_say_where_they_come_from(held: Demonstrations) -> None:
    facts = held.provenance
    assert (facts.action_view, facts.deterministic, facts.seed, facts.licence) == ("raw", False, 0, "MIT")
    assert "Ho & Ermon" in str(facts.attribution) and "openai/imitation" in str(facts.attribution)
    assert not re.search(r"(^|[\s\"'])/", str(facts)), "an absolute path of the machine that recorded it"


def test_they_fit_their_environments(held: Demonstrations) -> None:
    facts = held.provenance
    pytest.importorskip("mujoco", reason="MuJoCo is not installed")
    env = vector.make(str(facts.env_id), 1, "gymnasium")
    data = load(FOLDER / f"{facts.env_id}.h5", trajectories=4)
    fit.check(data, env.spec)
    assert fit.action_view(data, env.spec.action_space)[0] == "raw"
    env.close()


def test_without_the_attribute_mujoco_actions_are_seen_to_be_raw(held: Demonstrations) -> None:
    if held.provenance.env_id in LIMIT:
        pytest.skip("discrete actions have no bounds")
    if held.provenance.env_id == "Ant-v4":
        pytest.skip("its expert keeps within the bounds")
    low, high = ((held.provenance.action_space or {})[side] for side in ("low", "high"))
    outside = fit.outside(held.actions, np.array(low), np.array(high)).mean()
    assert 0.25 < outside < 0.5  # 0.3 to 0.46 where the paper's experts were measured


def test_checksums_and_numbers_are_those_of_the_readme() -> None:
    rows = [line.split("|")[1:-1] for line in (FOLDER / "README.md").read_text().splitlines() if ".h5` | " in line]
    assert len(rows) == len(MEASURED) + len(OURS) + len(OTHERS)
    for name, steps, returns, _, checksum in rows:
        path = FOLDER / name.strip(" `")
        assert checksum.strip(" `") == hdf5.sha256(path)
        held = read(path)
        assert int(steps.replace(",", "")) == len(held.observations) and held.episode_returns is not None
        stated = [float(x) for x in re.findall(r"-?[\d.]+", returns)]
        values = held.episode_returns
        np.testing.assert_allclose(stated, [values.mean(), values.std(), values.min(), values.max()], atol=0.06)


@pytest.mark.parametrize(
    ("env_id", "file"),
    [
        ("CartPole-v0", "classic/CartPole-v0.h5"),
        ("Hopper-v4", "modern/log_Hopper-v0_3.h5"),
        ("HalfCheetah-v4", "modern/log_HalfCheetah-v0_2.h5"),
        ("CartPole-v1", "classic/CartPole-v0.h5"),
        ("Walker2d-v4", "modern/walker_eb5b2e_1.h5"),
        ("MountainCar-v0", "classic/MountainCar-v0.h5"),
    ],
)
def test_the_policy_is_the_papers(env_id: str, file: str, paper_experts: Path) -> None:
    policy = paper_policy.load_policy(paper_experts / file)
    held = read(FOLDER / f"{env_id}.h5")
    assert held.provenance.policy_sha256 == policy.checksum and held.provenance.policy == policy.description
    mode = policy.act(held.observations, np.zeros((len(held.observations), policy.noise_size)))
    if policy.stdevs is None:
        assert (mode == held.actions).mean() > 0.6
    else:  # what is left is the policy's noise
        noise = (held.actions - mode) / policy.stdevs
        np.testing.assert_allclose(noise.std(axis=0), 1, atol=0.02)
        np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.02)
