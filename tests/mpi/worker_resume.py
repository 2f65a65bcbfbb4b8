"""Under mpirun: runs whose checkpoints are compared, first from the start to the end, later resumed by new processes.

usage: python worker_resume.py whole FOLDER CASE...    each to FOLDER/CASE, saved every third iteration
       python worker_resume.py resume RUN...           each on from its last checkpoint to its end
"""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pictures

from trpo_gail.config.tree import CloningStartConfig, Config, CriticConfig, PPOConfig
from trpo_gail.parallel import Workers
from trpo_gail.runs.resuming import saved_config
from trpo_gail.runs.training import run

EXPERTS = Path(__file__).parents[2] / "expert_data"


def config(case: str, folder: Path) -> Config:
    """ENVIRONMENT,backend,mode,g_step,dtype[,ppo|bc|run]. Streams restart in the fifth iteration, so not where it is
    resumed. The last two begin with a policy that has learnt: a clone, or that of the same case in this folder."""
    given: list[Any] = case.split(",")
    env, backend, mode, g_step, dtype, *more = given
    steps = 2600 if mode == "episodes" else 1700  # five iterations, or a little more
    made = Config(
        env, str(EXPERTS / f"{env}.h5"), trajectories=4, subsample=20, backend=backend, sampling=mode,
        g_step=int(g_step), dtype=dtype, num_envs=5, timesteps_per_batch=320, steps=steps * int(g_step),
        restart_every=4 if mode == "steps" else 100, eval_every=600, eval_episodes=3, final_episodes=2, save_every="3",
        d_step=4, critic=CriticConfig(vf_iters=3),
    )  # fmt: skip
    if more == ["bc"]:
        return dataclasses.replace(
            made, init_policy="bc", warmup_iterations=2, cloning=CloningStartConfig(iterations=60, eval_every=20)
        )
    if more == ["run"]:
        return dataclasses.replace(made, init_policy=str(folder / case.removesuffix(",run")), warmup_iterations=2)
    if not more:
        return made
    # All that is carried on.
    options = PPOConfig(n_epochs=3, batch_size=64, objective="kl-penalty", schedule="linear", recompute_advantages=True)
    critic = CriticConfig(vf_iters=3, clip_range_vf=0.5)
    return dataclasses.replace(made, generator="ppo", ppo=options, critic=critic)


def main() -> None:
    """All runs in one start."""
    pictures.blank_from_here()
    workers = Workers.world()
    if sys.argv[1] == "whole":
        for case in sys.argv[3:]:
            run(config(case, Path(sys.argv[2])), str(Path(sys.argv[2]) / case), False, True, workers)
    else:
        for path in sys.argv[2:]:
            run(saved_config(Path(path)), path, True, True, workers)


if __name__ == "__main__":
    main()
