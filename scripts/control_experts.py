"""Experts of tasks of control, for `trpo-gail record --policy control_experts:NAME`; expert_data/README.md has the commands.

    PYTHONPATH=scripts trpo-gail record Pendulum-v1 --policy control_experts:pendulum --actions executed \
        --episodes 50 --out Pendulum-v1.h5

`lunar_lander` and `pendulum` act by rule. `acrobot` and `ant` are policies of Ho & Ermon, which saw other observations
than today's environments show; their files are looked for in `expert_policies`, a folder of openai/imitation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from trpo_gail.envs.tasks.paper import acrobot_angles
from trpo_gail.experts.policies.paper_policy import PaperPolicy, load_policy
from trpo_gail.sampling.rollout import Noise

# ---- by rule ---------------------------------------------------------------------------------------------------------

# LunarLander's actions. An engine at the side turns the lander.
NOTHING, TURN_LEFT, MAIN, TURN_RIGHT = 0, 1, 2, 3
STEEPEST = 0.4  # rad that the lander leans at most
GLIDE = 0.55  # height to be had for each unit of distance from the pad
LIFT, BRAKE = 0.4, 0.6  # per unit of height that is lacking, and of falling speed
DEAD_BAND = 0.05  # below this, no engine is fired


def lunar_lander(seen: np.ndarray) -> int:
    """Glide down a cone to the pad: an action for position, speed, angle, its speed and the contacts of two legs [8].

    The idea is that of gymnasium's `lunar_lander.heuristic`: two PD controllers, one for the angle that leads back to
    the middle, one for the height, and the engine whose controller asks for more. Theirs has 0.5 for LIFT and BRAKE
    alike, and crashes once in ten episodes; with more damping it is once in a hundred.
    """
    x, y, speed_x, speed_y, angle, turning, *contacts = seen
    turn = 0.5 * (np.clip(0.5 * x + speed_x, -STEEPEST, STEEPEST) - angle) - turning
    lift = LIFT * (GLIDE * abs(x) - y) - BRAKE * speed_y
    if any(contacts):  # all that is left to do is to slow down
        turn, lift = 0.0, -0.5 * speed_y
    if lift > max(abs(turn), DEAD_BAND):
        return MAIN
    if abs(turn) > DEAD_BAND:
        return TURN_LEFT if turn > 0 else TURN_RIGHT
    return NOTHING


# Pendulum: a rod of mass 1 and length 1, gravity 10.
MOST_TORQUE = 2.0
INERTIA = 1.0 / 3.0
WEIGHT = 5.0  # torque of gravity on the rod when it lies flat; the energy at rest, upright
PUMP = 5.0  # torque per unit of energy that is lacking
GAINS = np.array([11.0, 3.0])  # torque per rad and per rad/s, of a linear-quadratic regulator
UPRIGHT = 0.9  # cosine above which the regulator may act


def pendulum(seen: np.ndarray) -> np.ndarray:
    """Pump energy until the rod comes to the top, and hold it there: torque [1] for cosine, sine and speed [3]."""
    cosine, sine, speed = seen
    held = -float(GAINS @ np.array([np.arctan2(sine, cosine), speed]))
    if cosine > UPRIGHT and abs(held) < 3 * MOST_TORQUE:
        return np.clip([held], -MOST_TORQUE, MOST_TORQUE)
    lacking = WEIGHT - (0.5 * INERTIA * speed**2 + WEIGHT * cosine)
    push = PUMP * lacking * (1.0 if speed >= 0 else -1.0)
    return np.clip([push], -MOST_TORQUE, MOST_TORQUE)


# ---- Ho & Ermon's, with today's observations -------------------------------------------------------------------------

POLICIES = {"acrobot": "expert_policies/classic/Acrobot-v0.h5", "ant": "expert_policies/modern/log_Ant-v1_0.h5"}
CONTACT_FORCES = 84  # columns of the paper's Ant behind those of today's, for the forces on 14 bodies


@dataclass
class Adapted:
    """A policy of the paper behind a change of observations."""

    policy: PaperPolicy
    change: Callable[[np.ndarray], np.ndarray]  # [n, O] to those [n, O'] that the policy knows
    noise_kind: Noise
    noise_size: int
    env_id: str | None
    description: str
    checksum: str
    licence: str | None
    attribution: str | None

    def act(self, observations: np.ndarray, noise: np.ndarray) -> np.ndarray:
        """Raw actions [n, A], or [n] int64, for the environment's observations [n, O] and noise [n, A]."""
        return self.policy.act(self.change(np.asarray(observations, np.float64)), noise)


def without_contact_forces(observations: np.ndarray) -> np.ndarray:
    """[n, 27] to [n, 111]: the contact forces that Ant-v4 does not show by default are zero."""
    return np.pad(observations, [(0, 0), (0, CONTACT_FORCES)])


CHANGES = {
    "acrobot": (acrobot_angles, "angles from cosines and sines"),
    "ant": (without_contact_forces, f"{CONTACT_FORCES} zeros for contact forces"),
}


def adapted(name: str, path: str) -> Adapted:
    """The policy at `path`, for the environment of today that is like its own. Raises UserError, as `load_policy` does."""
    policy, (change, what) = load_policy(path), CHANGES[name]
    return Adapted(
        policy, change, policy.noise_kind, policy.noise_size, policy.env_id, f"{policy.description}, {what}",
        policy.checksum, policy.licence, policy.attribution,
    )  # fmt: skip


def __getattr__(name: str) -> Any:
    """`control_experts:ant` and `:acrobot`, read when they are asked for: only they need a file."""
    if name not in POLICIES:
        raise AttributeError(name)
    return adapted(name, POLICIES[name])
