"""Under mpirun: FEM and GTAL meet two rollouts, of which each rank holds its environments; then a policy and an adversary
from outside the package are trained. Rank 0 writes what they find.

usage: python worker_adversaries.py OUT.npz
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path

import numpy as np
import toys

sys.path.append(str(Path(__file__).parents[1] / "extensions"))

import toy_conv

from trpo_gail.adversaries.apprenticeship import Apprenticeship
from trpo_gail.adversaries.rewards import FORMS
from trpo_gail.algorithm import iteration
from trpo_gail.build import make_learner
from trpo_gail.config.tree import Config, DiscriminatorConfig
from trpo_gail.envs import vector
from trpo_gail.parallel import Workers
from trpo_gail.sampling.rollout import Rollout
from trpo_gail.sampling.transitions import to_rollout

ENDS = ["..T_....", "........", "....L_..", ".T_.T_T_", "________"]


def share(rollout: Rollout, workers: Workers) -> Rollout:
    """This rank's environments."""
    mine = workers.block(len(ENDS))
    return Rollout(*(getattr(rollout, f.name)[:, mine.start : mine.stop] for f in dataclasses.fields(rollout)))


def meet(workers: Workers) -> dict[str, np.ndarray]:
    """Each method's weights, bound and rewards after a fit; the rewards of all ranks."""
    rng = np.random.default_rng(0)
    expert = toys.pairs(rng.standard_normal((40, 3)), rng.standard_normal((40, 2)) + 1.0)
    rollouts = [share(toys.rollout(ENDS, observations=3, actions=2, seed=k), workers) for k in (1, 2)]
    found = {}
    for method in ("fem", "gtal"):
        for kind in ("-log(1-D)", "log(D)"):
            sign = FORMS[kind].sign
            adversary = Apprenticeship(method, sign, toys.spec(3, 2), expert, np.random.default_rng(0), workers)
            seen = [toys.seen(rollout, workers=workers) for rollout in rollouts]
            first = adversary.reward(seen[0])
            stats = adversary.fit(toys.seen(*rollouts, workers=workers), rng)
            paid = [
                to_rollout(rollout, rewards)
                for rollout, rewards in zip(
                    [rollouts[0], *rollouts], [first, *(adversary.reward(s) for s in seen)], strict=True
                )
            ]
            found[f"{method}{kind}"] = np.concatenate(
                [adversary.weights, list(stats.values()), np.hstack(workers.gather(np.vstack(paid))).ravel()]
            )
    return found


def train(workers: Workers) -> dict[str, np.ndarray]:
    """What two iterations make of a convolution and of an adversary from outside the package."""
    config = Config(
        "toy_conv:Pixels-v0", adversary="toy_adversary:build", num_envs=4, timesteps_per_batch=120, d_step=2,
        dtype="float64", discriminator=DiscriminatorConfig(d_stepsize=1e-2),
    )  # fmt: skip
    rng = np.random.default_rng(0)
    rows, after = rng.standard_normal((50, 16)), rng.standard_normal((50, 16))
    expert = dataclasses.replace(toys.pairs(rows, rng.standard_normal((50, 2))), successors=lambda: after)
    env = vector.make(config.env, len(workers.block(4)), "gymnasium")
    learner = make_learner(config, env, expert, workers, toy_conv.policy(env.spec))
    for _ in range(2):
        row = iteration(learner, config, workers)
    assert row["step_accepted"] == 1.0
    found = {f"policy.{name}": value.numpy() for name, value in learner.policy.state_dict().items()}
    found |= {f"adversary.{name}": value.numpy() for name, value in learner.adversary.state_dict()["network"].items()}
    return found | {"row": np.array([value for name, value in row.items() if not name.endswith("_s") and value])}


if __name__ == "__main__":
    world = Workers.world()
    results = meet(world) | train(world)
    if world.main:
        np.savez(sys.argv[1], allow_pickle=False, ranks=world.size, **results)
