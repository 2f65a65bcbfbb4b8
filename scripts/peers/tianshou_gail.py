"""Tianshou's GAIL, whose generator is PPO: tianshou_gail.py JOB."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
import torch
from common import Done, Job, Watch, settle
from tianshou.algorithm.imitation.gail import GAIL
from tianshou.algorithm.modelfree.reinforce import ProbabilisticActorPolicy
from tianshou.algorithm.optim import AdamOptimizerFactory
from tianshou.data import Batch, Collector, ReplayBuffer, VectorReplayBuffer
from tianshou.env import DummyVectorEnv, SubprocVectorEnv
from tianshou.utils.net.common import MLP, Net
from tianshou.utils.net.continuous import ContinuousActorProbabilistic, ContinuousCritic
from tianshou.utils.torch_utils import policy_within_training_step
from torch import nn
from torch.distributions import Independent, Normal


def environments(job: Job) -> Any:
    """In this process with one core; with more, each in a process of its own."""
    kind = DummyVectorEnv if job.cores == 1 else SubprocVectorEnv
    envs = kind([lambda: gymnasium.make(job.env) for _ in range(job.num_envs)])
    envs.seed(job.seed)
    return envs


def expert(job: Job) -> ReplayBuffer:
    """The pairs as transitions; what follows them is not seen."""
    observations, actions = job.arrays()
    buffer = ReplayBuffer(len(actions))
    for observation, action in zip(observations, actions, strict=True):
        row = Batch(
            obs=observation, act=action, rew=0.0, terminated=False, truncated=False, obs_next=observation, info={}
        )
        buffer.add(row)  # type: ignore[arg-type]
    return buffer


def algorithm(job: Job) -> GAIL:
    """Policy, critic and discriminator with the job's sizes and numbers."""
    env = gymnasium.make(job.env)
    observations, actions, hidden = env.observation_space.shape, env.action_space.shape, [job.units] * 2
    assert observations and actions

    def body() -> Net:
        return Net(state_shape=observations, hidden_sizes=hidden, activation=nn.Tanh)

    actor = ContinuousActorProbabilistic(preprocess_net=body(), action_shape=actions, unbounded=True)
    policy = ProbabilisticActorPolicy(
        actor=actor, dist_fn=lambda both: Independent(Normal(*both), 1), action_space=env.action_space,
        deterministic_eval=True,
    )  # fmt: skip
    units = [job.d_units] * 2
    judge = MLP(
        input_dim=observations[0] + actions[0], output_dim=1, hidden_sizes=units, activation=nn.Tanh,
    )  # fmt: skip
    return GAIL(
        policy=policy, critic=ContinuousCritic(preprocess_net=body()), optim=AdamOptimizerFactory(lr=3e-4),
        expert_buffer=expert(job), disc_net=judge, disc_optim=AdamOptimizerFactory(lr=1e-3),
        disc_update_num=job.d_step, gamma=job.gamma, gae_lambda=job.lam, ent_coef=0.0,
    )  # fmt: skip


def main() -> None:
    """Train until the time is over or the bar is reached."""
    job = Job.given()
    settle(job.cores, job.threads)
    np.random.seed(job.seed)  # noqa: NPY002 - it draws minibatches from there
    torch.manual_seed(job.seed)
    made, envs = algorithm(job), environments(job)
    collector = Collector(made, envs, VectorReplayBuffer(job.batch, job.num_envs))
    collector.reset()

    def act(observation: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            chosen = made.policy(Batch(obs=observation[None], info={})).act
        return np.asarray(made.policy.map_action(chosen.numpy()))[0]

    watch, steps = Watch(job, act), 0
    try:
        while True:
            with policy_within_training_step(made.policy):
                steps += collector.collect(n_step=job.batch).n_collected_steps
                made.update(buffer=collector.buffer, batch_size=job.vf_batch, repeat=job.vf_iters)
                collector.reset_buffer(keep_statistics=True)
            watch.batch(steps)
    except Done:
        watch.report()
    envs.close()


if __name__ == "__main__":
    main()
