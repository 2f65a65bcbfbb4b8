"""Under mpirun: FEM and GTAL meet two rollouts, of which each rank holds its environments; rank 0 writes what they find.

usage: python worker_apprenticeship.py OUT.npz
"""

from __future__ import annotations

import dataclasses
import sys

import numpy as np
import toys

from trpo_gail.adversaries.apprenticeship import Apprenticeship
from trpo_gail.parallel import Workers
from trpo_gail.sampling.rollout import Rollout

ENDS = ["..T_....", "........", "....L_..", ".T_.T_T_", "________"]


def share(rollout: Rollout, workers: Workers) -> Rollout:
    """This rank's environments."""
    mine = workers.block(len(ENDS))
    return Rollout(*(getattr(rollout, f.name)[:, mine.start : mine.stop] for f in dataclasses.fields(rollout)))


def meet(workers: Workers) -> dict[str, np.ndarray]:
    """Each method's weights, bound and rewards after a fit; the rewards of all ranks."""
    rng = np.random.default_rng(0)
    expert = rng.standard_normal((40, 3)), rng.standard_normal((40, 2)) + 1.0
    rollouts = [share(toys.rollout(ENDS, observations=3, actions=2, seed=k), workers) for k in (1, 2)]
    found = {}
    for method in ("fem", "gtal"):
        for kind in ("-log(1-D)", "log(D)"):
            adversary = Apprenticeship(method, kind, toys.spec(3, 2), *expert, None, np.random.default_rng(0), workers)
            first = adversary.reward(rollouts[0])
            stats = adversary.fit(rollouts, rng)
            paid = [first, *(adversary.reward(rollout) for rollout in rollouts)]
            found[f"{method}{kind}"] = np.concatenate(
                [adversary.weights, list(stats.values()), np.hstack(workers.gather(np.vstack(paid))).ravel()]
            )
    return found


if __name__ == "__main__":
    world = Workers.world()
    results = meet(world)
    if world.main:
        np.savez(sys.argv[1], ranks=world.size, **results)
