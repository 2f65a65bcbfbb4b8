"""Our TRPO on the rows and from the policy that sb3-contrib's had: ours_trpo.py JOB. Runs in our own environment."""

from __future__ import annotations

import json
import time
from statistics import median
from typing import Any

import numpy as np
import torch
from common import UPDATES, Job, settle

from trpo_gail.bench import counted
from trpo_gail.bench.toys import spec
from trpo_gail.build import make_generator, make_policy
from trpo_gail.config.presets import changed, preset
from trpo_gail.generators.trpo import TRPO
from trpo_gail.parallel import Workers
from trpo_gail.sampling.batch import Batch, Rows


def loaded(path: str, units: int) -> tuple[TRPO, Batch]:
    """The policy with the actor's weights, whose normaliser leaves observations alone, and the rows."""
    with np.load(path) as file:
        held = {name: torch.from_numpy(file[name]) for name in ("observations", "actions", "advantages", "actor")}
    same = {
        "trpo.fvp_subsample": 1, "policy.hidden_sizes": (units, units), "policy.normalise_observations": False,
        "policy.observation_clip": None,
    }  # fmt: skip
    config = changed(preset("default", "Toy"), same)
    policy = make_policy(config, spec(held["observations"].shape[1], held["actions"].shape[1]))
    trpo = make_generator(config, policy, Workers())
    assert isinstance(trpo, TRPO)
    trpo.flat.vector.copy_(held["actor"])  # raises an error if the networks are of other sizes
    count = len(held["observations"])
    zeros = torch.zeros(count)
    rows = [held[name] for name in ("observations", "actions")]
    return trpo, Batch(Rows(0, count, count), *rows, zeros, held["advantages"], zeros, np.zeros((2, 1)))


def step(trpo: TRPO, batch: Batch) -> dict[str, Any]:
    """A step, and what it took: Fisher-vector products, and lengths that the line search refused."""
    stats, taken = counted.step(trpo, batch)
    return {"products": taken, **{name: stats[name] for name in ("backtracks", "step_accepted", "kl")}}


def measured(path: str, units: int) -> dict[str, Any]:
    """Median milliseconds of a step from the same policy; the first is not counted."""
    trpo, batch = loaded(path, units)
    start, times = trpo.flat.vector.clone(), list[float]()
    found = step(trpo, batch)
    for _ in range(UPDATES):
        trpo.flat.vector.copy_(start)
        begin = time.perf_counter()
        trpo.step(batch, np.random.default_rng(0))
        times.append(time.perf_counter() - begin)
    return {"update_ms": 1e3 * median(times), "rows": batch.rows.total, **found}


def main() -> None:
    """Print what was found."""
    job = Job.given()
    settle(job.cores, job.threads)
    print(json.dumps(measured(job.rows_file, job.units)))


if __name__ == "__main__":
    main()
