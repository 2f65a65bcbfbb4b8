"""Under mpirun: every adversary, and every part that a discriminator can have, meets the same rollouts, of which
each rank holds its environments; then it is saved, and a new one goes on beside it. Rank 0 writes what they find.

usage: python worker_variants.py OUT.npz
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from run_files import differing, flat

sys.path.append(str(Path(__file__).parents[1] / "adversaries"))

import test_airl
import test_variants

from trpo_gail.config.tree import Config
from trpo_gail.parallel import Workers
from trpo_gail.runs.checkpoint import as_tensors
from trpo_gail.sampling.rollout import Rollout

OTHERS = ("fem", "gtal", "constant", "env_reward")
OF_LABELS = ("plain", "penalty on both", "mixup and dropout", "replay", "absorbing, next states", "normalised pay")
ROLLOUTS = 2  # before it is saved


def cases() -> dict[str, tuple[Callable[[], Config], bool]]:
    """By name what makes a config, and whether actions are labels."""
    made: dict[str, tuple[Callable[[], Config], bool]] = {}
    for discrete in (False, True):
        kind = "labels" if discrete else "numbers"
        for name in OF_LABELS if discrete else test_variants.VARIANTS:
            made[f"gail, {name}, {kind}"] = partial(test_variants.config_of, test_variants.VARIANTS[name]), discrete
        for name in OTHERS:
            made[f"{name}, {kind}"] = partial(Config, "Hand-v0", dtype="float64", adversary=name), discrete
    for n, (variant, given, discrete) in enumerate(test_airl.KINDS):
        made[f"airl, {n}"] = partial(test_airl.config_of, variant, **given), discrete
    return made


def learned(made: Any, discrete: bool, workers: Workers) -> np.ndarray:
    """What an adversary has learned and paid after the rollouts, over all ranks."""
    if hasattr(made, "adam"):
        test_variants.awake(made)
    paid = test_variants.learned(made, shares(discrete, workers)[:ROLLOUTS], workers)
    state = [values.astype(float).ravel() for name, values in state_of(made).items() if ".counts." not in name]
    return np.concatenate([*state, *(np.concatenate(workers.gather(each)) for each in paid)])


def shares(discrete: bool, workers: Workers) -> list[Rollout]:
    return [test_variants.share(whole, workers) for whole in test_variants.batches(discrete, ROLLOUTS + 1)]


def state_of(made: Any) -> dict[str, np.ndarray]:
    return flat(as_tensors(made.state_dict()))


def changed_by_resume(first: Any, again: Any, discrete: bool, workers: Workers) -> list[str]:
    """Names of what differs, on any rank, after one more rollout for one that has learned and for a new one that is
    given its state."""
    again.load_state_dict(workers.share(as_tensors(first.state_dict())))  # as from rank 0's file
    found = []
    for made in (first, again):
        paid = test_variants.learned(made, shares(discrete, workers)[ROLLOUTS:], workers, first=ROLLOUTS)
        found.append(state_of(made) | flat({"paid": paid}))
    return [name for names in workers.gather(differing(*found)) for name in names]


def results(workers: Workers, resume: bool) -> dict[str, np.ndarray]:
    """Each case's numbers, and as `resume`, if that is asked for, all that one changed."""
    found, changes = {}, []
    for name, (config, discrete) in cases().items():
        first, again = (test_variants.made(config(), discrete, workers) for _ in range(2))
        found[name] = learned(first, discrete, workers)
        if resume:
            changes += [f"{name}: {each}" for each in changed_by_resume(first, again, discrete, workers)]
    return found | {"resume": np.array(changes, str)}


if __name__ == "__main__":
    world = Workers.world()
    everything = results(world, resume=True)
    if world.main:
        np.savez(sys.argv[1], allow_pickle=False, ranks=world.size, **everything)
