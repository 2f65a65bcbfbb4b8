"""After a restart episodes are cut once each, in turn, so that they do not stay in step."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from trpo_gail.config.tree import Config
from trpo_gail.envs import vector
from trpo_gail.parallel import Workers
from trpo_gail.runs.evaluate import RandomActor
from trpo_gail.sampling.sampler import Sampler

# HalfCheetah never falls: every episode lasts 1000 steps, four batches of 250.
CONFIG = Config("HalfCheetah-v4", num_envs=4, timesteps_per_batch=1000, restart_every=1000)


def sampler(backend: vector.Backend) -> Sampler:
    config = dataclasses.replace(CONFIG, backend=backend)
    return Sampler(config, vector.make(config.env, config.num_envs, backend), Workers())


@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_a_quarter_of_the_episodes_begins_with_each_batch(backend: vector.Backend) -> None:
    one = sampler(backend)
    actor = RandomActor(one.env.spec.actions)
    one.begin_iteration(0)
    rollouts = [one.collect(actor)[0] for _ in range(4)]
    # Environment i is reset by the first row of batch i, which is no transition; nothing else resets in 1000 steps.
    idle = [np.argwhere(~rollout.valid).tolist() for rollout in rollouts]
    assert idle == [[], [[0, 1]], [[0, 2]], [[0, 3]]]
    assert one.cut_episodes == 3
    assert not np.any([rollout.done for rollout in rollouts[:3]])
    # One row of reset each: environment 0 is at its end, 1 to 3 are 250, 500 and 750 steps behind it, and a row.
    assert rollouts[3].steps[-1].tolist() == [999, 748, 498, 248]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["envpool", "gymnasium"])
def test_a_resume_cuts_alike(backend: vector.Backend) -> None:
    whole, first, second = (sampler(backend) for _ in range(3))
    actor = RandomActor(whole.env.spec.actions)
    for one in (whole, first):
        one.begin_iteration(0)
        for _ in range(2):
            one.collect(actor)
    second.load_state_dict(first.state_dict())
    expected, rollout = (one.collect(actor)[0] for one in (whole, second))
    np.testing.assert_array_equal(rollout.observations, expected.observations)
    np.testing.assert_array_equal(rollout.steps, expected.steps)
    assert second.cut_episodes == whole.cut_episodes == 2
