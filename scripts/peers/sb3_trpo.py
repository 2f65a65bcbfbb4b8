"""sb3-contrib's TRPO alone, on the environment's own reward: sb3_trpo.py JOB; with `rows`, only the time of one update."""

from __future__ import annotations

import json

from common import Done, Job, Watch, settle
from sb3 import act_of, environments, model, timed_update
from stable_baselines3.common.callbacks import BaseCallback


class Batches(BaseCallback):
    """Tells the watch of each batch that has been learned from."""

    def __init__(self, watch: Watch, batch: int) -> None:
        super().__init__()
        self.watch, self._size, self._begun = watch, batch, False

    def _on_rollout_start(self) -> None:
        if self._begun:
            self.watch.batch(self.num_timesteps)
        self._begun = True

    def _on_step(self) -> bool:
        return True


def main() -> None:
    """Train until the time is over."""
    job = Job.given()
    settle(job.cores, job.threads)
    if job.rows:
        print(json.dumps(timed_update(job)))
        return
    envs = environments(job)
    learner = model(job, envs, "trpo")
    watch = Watch(job, act_of(learner))
    try:
        learner.learn(10**9, callback=Batches(watch, job.batch))
    except Done:
        watch.report()
    envs.close()


if __name__ == "__main__":
    main()
