"""scripts/control_experts.py: the laws by hand, and that what `expert_data/` holds is what they do."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from trpo_gail.envs import vector
from trpo_gail.envs.tasks.paper import acrobot_angles
from trpo_gail.errors import UserError
from trpo_gail.experts.checks import fit
from trpo_gail.experts.load import load, read
from trpo_gail.runs.experts import load_actor

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "expert_data"
sys.path.append(str(ROOT / "scripts"))

import control_experts  # noqa: E402


@pytest.mark.parametrize(
    ("seen", "action"),
    [
        ([0, 0, 0, 0, 0, 0, 1, 1], control_experts.NOTHING),  # landed
        ([0, 1, 0, -1.5, 0, 0, 0, 0], control_experts.MAIN),  # falls fast: lift 0.4 * -1 + 0.6 * 1.5 = 0.5
        ([0, 1, 0, -0.6, 0, 0, 0, 0], control_experts.NOTHING),  # lift -0.04, below the band
        ([0, 1, 0, 0, -0.3, 0, 0, 0], control_experts.TURN_LEFT),  # leans to the right
        ([0, 1, 0, 0, 0.3, 0, 0, 0], control_experts.TURN_RIGHT),
        ([-0.9, 1, -1, 0, -0.4, 0, 0, 0], control_experts.NOTHING),  # leans as far as it may, and glides
        ([0, 0, 0, -0.2, 0.3, 0, 1, 0], control_experts.MAIN),  # one leg down: its lean does not matter
    ],
)
def test_the_lander(seen: list[float], action: int) -> None:
    assert control_experts.lunar_lander(np.array(seen)) == action


def test_the_pendulum() -> None:
    def torque(angle: float, speed: float) -> float:
        return float(control_experts.pendulum(np.array([np.cos(angle), np.sin(angle), speed]))[0])

    assert torque(0, 0) == 0
    assert torque(0.1, 0) == pytest.approx(-1.1) and torque(0, -0.1) == pytest.approx(0.3)
    assert torque(np.pi, 0.1) == 2 and torque(np.pi, -0.1) == -2  # with the speed: energy is lacking
    enough = np.sqrt(6 * 5 * 2)  # at the bottom, of as much energy as upright at rest: 0.5 / 3 * speed^2 - 5 = 5
    assert torque(np.pi, enough) == pytest.approx(0, abs=1e-6) and torque(np.pi, 1.5 * enough) == -2


@pytest.mark.parametrize(
    ("env_id", "law", "view", "least"),
    [("LunarLander-v3", "lunar_lander", "raw", 200), ("Pendulum-v1", "pendulum", "executed", -155)],
)
def test_the_recorded_actions_are_those_of_the_law(env_id: str, law: str, view: str, least: float) -> None:
    held, act = read(FOLDER / f"{env_id}.h5"), getattr(control_experts, law)
    actions = np.array([act(row) for row in held.observations.astype(np.float64)])
    same = np.abs(actions - held.actions).reshape(len(actions), -1).max(axis=1) < 1e-3
    assert same.mean() > 0.999, "but for rows within rounding of a threshold"
    facts = held.provenance
    assert (facts.policy, facts.action_view, facts.deterministic) == (f"control_experts:{law}", view, True)
    assert facts.licence == "MIT" and "trpo_gail" in str(facts.attribution)
    assert held.trajectories == 50 and held.episode_returns is not None
    assert held.episode_returns.mean() > least


@pytest.mark.parametrize("env_id", ["BipedalWalker-v3", "LunarLander-v3", "Pendulum-v1"])
def test_they_fit_their_environments(env_id: str) -> None:
    pytest.importorskip("envpool", reason="EnvPool is not installed")
    env = vector.make(env_id, 1)
    fit.check(load(FOLDER / f"{env_id}.h5", trajectories=4), env.spec)
    env.close()


def test_the_walker_that_was_trained_walks_to_the_end() -> None:
    held = read(FOLDER / "BipedalWalker-v3.h5")
    assert held.trajectories == 20 and held.episode_returns is not None and held.episode_returns.min() > 290
    assert held.provenance.deterministic and held.provenance.action_view == "raw"
    assert held.provenance.licence == "MIT" and "trpo_gail" in str(held.provenance.attribution)


def test_observations_as_the_papers_policies_know_them() -> None:
    assert control_experts.without_contact_forces(np.ones((2, 27))).shape == (2, 111)
    assert control_experts.without_contact_forces(np.ones((2, 27)))[:, 27:].any() == np.False_
    angles = acrobot_angles(np.array([[np.cos(1), np.sin(1), np.cos(-2), np.sin(-2), 3, 4]]))
    assert angles == pytest.approx(np.array([[1, -2, 3, 4]]))


def test_a_policy_that_is_not_there_is_said_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"control_experts:ant: cannot be imported.*expert_policies/modern/log_Ant"):
        load_actor("control_experts:ant", "Ant-v4")
    with pytest.raises(UserError, match=r"control_experts:unicycle: cannot be imported.*unicycle"):
        load_actor("control_experts:unicycle", "Ant-v4")


@pytest.mark.parametrize(
    ("env_id", "name", "file"),
    [("Acrobot-v1", "acrobot", "classic/Acrobot-v0.h5"), ("Ant-v4", "ant", "modern/log_Ant-v1_0.h5")],
)
def test_the_policies_of_the_paper_did_it(env_id: str, name: str, file: str, paper_experts: Path) -> None:
    actor, held = control_experts.adapted(name, str(paper_experts / file)), read(FOLDER / f"{env_id}.h5")
    assert (held.provenance.policy, held.provenance.policy_sha256) == (actor.description, actor.checksum)
    mode = actor.act(held.observations, np.zeros((len(held.observations), actor.noise_size)))
    if actor.policy.stdevs is None:
        assert (mode == held.actions).mean() > 0.6
    else:  # what is left is the policy's noise
        noise = (held.actions - mode) / actor.policy.stdevs
        np.testing.assert_allclose(noise.std(axis=0), 1, atol=0.03)
        np.testing.assert_allclose(noise.mean(axis=0), 0, atol=0.03)
