"""Learned rewards as functions: what training pays, what is kept, and the logit that both come from."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small import EXPERT, gail

from trpo_gail import GAIL, TRPO, UserError
from trpo_gail.exports.write_reward import export_reward

RNG = np.random.default_rng(0)
OBS, NEXT = (RNG.normal(size=(6, 4)).astype(np.float32) for _ in range(2))
ACTS, DONE = RNG.integers(0, 2, 6), np.zeros(6, bool)


def test_the_reward_of_gail_is_a_function_of_its_logit() -> None:
    model = gail(reward="-log(1-D)").learn(300)
    logit = model.discriminator.logit_expert(OBS, ACTS)
    assert np.allclose(model.discriminator.prob_expert(OBS, ACTS), 1 / (1 + np.exp(-logit)))
    assert np.allclose(model.reward_train(OBS, ACTS, NEXT, DONE), np.log1p(np.exp(logit)))
    assert np.array_equal(model.reward_test(OBS, ACTS, NEXT, DONE), model.reward_train(OBS, ACTS, NEXT, DONE))
    network = model.discriminator.network
    outputs = network(network.normaliser(torch.as_tensor(OBS))).detach().numpy()
    assert np.allclose(outputs[np.arange(6), ACTS], logit, atol=1e-6)  # one for each label
    one = model.discriminator.logit_expert(OBS[0], ACTS[0])
    assert one.shape == () and np.isclose(one, logit[0])


def test_the_reward_of_airl_is_its_logit_and_the_one_to_keep_is_g() -> None:
    model = gail(adversary="airl", airl__entropy_weight=1.0).learn(300)
    assert np.array_equal(
        model.reward_train(OBS, ACTS, NEXT, DONE), model.discriminator.logit_expert(OBS, ACTS, NEXT, DONE)
    )
    assert not np.allclose(with_log_prob(model), model.reward_test(OBS, ACTS, NEXT, DONE))
    with pytest.raises(UserError, match="next_obs: None, and this reward looks at the next observation"):
        model.discriminator.logit_expert(OBS, ACTS)


def test_without_shaping_the_logit_of_airl_is_g_less_log_pi() -> None:
    model = gail(adversary="airl", airl__shaping=False, airl__entropy_weight=1.0).learn(300)
    assert np.allclose(with_log_prob(model), model.reward_test(OBS, ACTS, NEXT, DONE))


def with_log_prob(model: Any) -> np.ndarray:
    """f: what training pays, and log pi(a|s)."""
    return model.reward_train(OBS, ACTS, NEXT, DONE) + model.policy.log_prob(OBS, ACTS)


def test_the_training_reward_follows_training_and_the_kept_one_stays() -> None:
    model = gail().learn(300)
    live, kept = model.reward_train, model.reward_test
    before = live(OBS, ACTS), kept(OBS, ACTS, NEXT, DONE)
    model.learn(600)
    assert not np.array_equal(live(OBS, ACTS), before[0]) and np.array_equal(kept(OBS, ACTS, NEXT, DONE), before[1])


def test_looking_at_rewards_changes_nothing() -> None:
    plain, looked = gail(adversary="airl", reward_normalise="scale"), gail(adversary="airl", reward_normalise="scale")
    plain.learn(900)
    looked.learn(900, callback=lambda model, record: model.reward_train(OBS, ACTS, NEXT, DONE).shape == (6,))
    assert all(
        np.array_equal(a, b) for a, b in zip(*(m.policy.state_dict().values() for m in (plain, looked)), strict=True)
    )


def test_who_learns_no_reward_says_so() -> None:
    model = TRPO("MlpPolicy", "CartPole-v1", num_envs=2, timesteps_per_batch=64, backend="gymnasium")
    for name in ("reward_train", "reward_test"):
        with pytest.raises(UserError, match=f"^{name}: adversary env_reward learns no reward"):
            getattr(model, name)
    with pytest.raises(UserError, match=r"^discriminator: adversary 'fem' has none, 'gail' or 'airl' expected$"):
        _ = gail_of("fem").discriminator
    assert gail_of("fem").learn(100).reward_train(OBS, ACTS).shape == (6,)


def gail_of(adversary: str) -> Any:
    fields: dict[str, Any] = {"num_envs": 2, "timesteps_per_batch": 64, "backend": "gymnasium"}
    return GAIL("MlpPolicy", "CartPole-v0", EXPERT, adversary=adversary, **fields)


def test_an_exported_reward_is_learned_from_in_python(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The choice of the adversary needs another keyword."""
    gail(absorbing=False, run_folder=tmp_path / "run").learn(200)
    export_reward(tmp_path / "run", tmp_path / "reward.pt")
    fields: dict[str, Any] = {"num_envs": 2, "timesteps_per_batch": 64, "backend": "gymnasium"}
    monkeypatch.chdir(tmp_path)
    model = GAIL("MlpPolicy", "CartPole-v0", EXPERT, adversary="exported", reward_file="reward.pt", **fields)
    assert model.learn(100).num_timesteps >= 100
    model.save("model")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert GAIL.load("../model").learn(100).learner.progress.steps >= 200
    with pytest.raises(UserError, match=r"^adversary exported: reward_file expected"):
        GAIL("MlpPolicy", "CartPole-v0", EXPERT, adversary="exported", **fields)
