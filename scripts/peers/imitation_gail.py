"""HumanCompatibleAI's `imitation`: GAIL with PPO or with sb3-contrib's TRPO. imitation_gail.py JOB, with kind ppo or trpo."""

from __future__ import annotations

import tempfile
from typing import Any

import numpy as np
from common import Done, Job, Watch, settle
from imitation.algorithms.adversarial.gail import GAIL
from imitation.data.types import Transitions
from imitation.rewards.reward_nets import BasicRewardNet
from imitation.util import logger
from imitation.util.networks import RunningNorm
from sb3 import act_of, environments, model
from torch import nn


def expert(job: Job) -> Transitions:
    """The pairs; what follows them is not seen by this discriminator."""
    observations, actions = job.arrays()
    none: Any = np.array([{}] * len(actions))
    return Transitions(observations, actions, none, observations, np.zeros(len(actions), bool))


def main() -> None:
    """Train until the time is over or the bar is reached."""
    job = Job.given()
    settle(job.cores, job.threads)
    envs = environments(job)
    learner = model(job, envs, job.kind)
    reward = BasicRewardNet(
        envs.observation_space, envs.action_space, hid_sizes=(job.d_units,) * 2, activation=nn.Tanh,
        normalize_input_layer=RunningNorm,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as folder:
        trainer = GAIL(
            demonstrations=expert(job), demo_batch_size=job.d_batch, venv=envs, gen_algo=learner, reward_net=reward,
            n_disc_updates_per_round=job.d_step, gen_train_timesteps=job.batch, log_dir=folder,
            custom_logger=logger.configure(folder, []), allow_variable_horizon=True,
        )  # fmt: skip
        watch = Watch(job, act_of(learner))
        try:
            trainer.train(10**9, callback=lambda done: watch.batch((done + 1) * job.batch))
        except Done:
            watch.report()
        envs.close()


if __name__ == "__main__":
    main()
