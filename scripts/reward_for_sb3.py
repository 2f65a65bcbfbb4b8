"""Train a policy of Stable-Baselines3 on an exported reward, and evaluate it by the environment's own.

    python scripts/reward_for_sb3.py HalfCheetah-v4 reward.pt --steps 1000000 --seed 20 --out results.json

It needs `pip install stable-baselines3`. PPO's settings are near those that RL Baselines3 Zoo has for HalfCheetah, with
normalised observations and rewards. `RewardFunction.load` reads the reward, and `RewardWrapper` pays it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

import trpo_gail


def paid(env_id: str, reward: Any) -> Callable[[], gymnasium.Env[Any, Any]]:
    """A function that makes the environment with the exported reward."""
    return lambda: trpo_gail.RewardWrapper(gymnasium.make(env_id), reward)


def returns_of(model: Any, normaliser: Any, env_id: str, episodes: int, seed: int) -> list[float]:
    """Returns by the environment's own reward, of the deterministic policy."""
    env, found = gymnasium.make(env_id), []
    for episode in range(episodes):
        observation, _ = env.reset(seed=seed + episode)
        total, over = 0.0, False
        while not over:
            action, _ = model.predict(normaliser.normalize_obs(observation), deterministic=True)
            observation, earned, terminated, truncated, _ = env.step(action)
            total, over = total + float(earned), terminated or truncated
        found.append(total)
    env.close()
    return found


def main(given: argparse.Namespace) -> None:
    """Train, evaluate, write."""
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.vec_env import DummyVecEnv, VecNormalize

    torch.set_num_threads(1)
    reward = trpo_gail.RewardFunction.load(given.reward)
    envs = VecNormalize(DummyVecEnv([paid(given.env, reward)] * given.num_envs), gamma=0.98)
    envs.seed(given.seed)
    model = PPO(
        "MlpPolicy", envs, n_steps=512 // given.num_envs, batch_size=64, n_epochs=20, gamma=0.98, gae_lambda=0.92,
        learning_rate=2e-5, clip_range=0.1, ent_coef=4e-4, vf_coef=0.58, max_grad_norm=0.8, seed=given.seed,
        device="cpu", policy_kwargs={"net_arch": [256, 256], "log_std_init": -2.0, "ortho_init": False},
    )  # fmt: skip
    model.learn(given.steps)
    envs.training = False
    returns = returns_of(model, envs, given.env, given.episodes, given.seed + 1_000_000)
    found = {
        "env": given.env, "reward": Path(given.reward).name, "seed": given.seed, "steps": given.steps,
        "return_mean": float(np.mean(returns)), "return_std": float(np.std(returns)), "returns": returns,
    }  # fmt: skip
    Path(given.out).write_text(json.dumps(found, indent=2) + "\n")
    print(f"seed {given.seed}: {found['return_mean']:.1f} ± {found['return_std']:.1f} by the environment's reward")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("env")
    parser.add_argument("reward", help="a file of trpo-gail export --reward")
    parser.add_argument("--steps", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--num_envs", type=int, default=1)
    parser.add_argument("--episodes", type=int, default=20)
    parser.add_argument("--out", required=True, help="the file to write")
    main(parser.parse_args())
