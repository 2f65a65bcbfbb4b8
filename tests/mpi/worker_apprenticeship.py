"""Under mpirun: FEM and GTAL meet two rollouts, of which each rank holds its environments; rank 0 writes what they find.

usage: python worker_apprenticeship.py OUT.npz
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import toys

from trpo_gail.adversaries.apprenticeship import Apprenticeship
from trpo_gail.adversaries.rewards import FORMS
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


if __name__ == "__main__":
    world = Workers.world()
    results = meet(world)
    if world.main:
        np.savez(sys.argv[1], ranks=world.size, **results)
