"""The presets: a tree for an environment, with defaults that somebody else chose."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from trpo_gail.config import idle
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import (
    Config,
    CriticConfig,
    DiscriminatorConfig,
    PolicyConfig,
    PresetName,
    TRPOConfig,
    TrustRegionConfig,
)


def preset(name: PresetName, env: str, generator: str = "trpo", **given: Any) -> Config:
    """A preset's defaults for an environment, and other values, by path, or whole sections. What the preset sets and these
    values leave without effect, as the TRPO step with PPO, is at its default. Raises UserError."""
    return _settled(values(name, env), {"generator": generator, **given})


def changed(config: Config, given: Mapping[str, Any]) -> Config:
    """A config with other values, by path, or whole sections. Old values that these leave without effect become defaults; a
    new one that has no effect raises UserError."""
    return _settled(flatten(config), given)


def values(name: PresetName, env: str) -> dict[str, Any]:
    """A preset's values by path, whatever the generator will be."""
    if name == "default":
        return flatten(Config(env))
    # Of PPO, as Schulman et al. (2017) and Stable-Baselines have it. All else of its step is as by default.
    return flatten({"stable-baselines": _stable_baselines, "paper": _paper}[name](env)) | {"ppo.clip_range": 0.2}


def _settled(base: Mapping[str, Any], given: Mapping[str, Any]) -> Config:
    flat: dict[str, Any] = {}
    for path, value in given.items():
        flat |= flatten(value, f"{path}.") if dataclasses.is_dataclass(value) else {path: value}
    made: Config = idle.settled(Config, {**base, **flat}, flat)
    return made


def _paper(env: str) -> Config:
    """Ho & Ermon's code with its defaults, as on MuJoCo; what differs by task is in the reproduction's grid.

    docs/fidelity.md lists what is the same and what is not.
    """
    step = TrustRegionConfig(
        max_kl=0.01, cg_iters=10, cg_damping=0.1, fvp_subsample=10, fvp_draw=True, line_search_steps=10,
        line_search_shrink=0.5, line_search_kl=2.0, line_search_accept=0.1, line_search_failure="shrink",
        least_gradient=1e-6,
    )  # fmt: skip
    return Config(
        env,
        preset="paper",
        action_scaling=False,
        steps=1_000_000_000,
        iterations=501,
        # Differs: theirs computes in float64. `--dtype float64` does; float32 sums over rows in float64 and is faster.
        dtype="float32",
        # Differs: seeds. Theirs set none, and workers took theirs from the system.
        # Differs: each environment has whole episodes until it alone has its share of the steps; theirs stopped together
        # once the sum was reached, and kept what was under way. With 24, episodes of 1,000 steps make 72,000, as theirs.
        num_envs=24,
        sampling="episodes",
        timesteps_per_batch=50_000,
        d_step=1,
        gamma=0.995,
        lam=0.97,
        time_limits="terminal",
        normalise_from_expert=True,
        policy=PolicyConfig(hidden_sizes=(100, 100), output_scale=0.0, observation_clip=None),
        critic=CriticConfig(
            hidden_sizes=(100, 100), fit="natural-gradient", natural_gradient=step, target_lam=1.0, after_adversary=True,
            preserve_values=False, time_input=True, observation_clip=None,
        ),
        trpo=TRPOConfig(**dataclasses.asdict(step)),
        discriminator=DiscriminatorConfig(
            hidden_size_adversary=100, adversary_entcoeff=1e-3, d_stepsize=0.01, d_batch_size=None, input_clip=None,
            normalise_decay=1.0, reward="-log(1-D)", gradient_penalty=0.0,
        ),
        eval_every=0,
    )  # fmt: skip


def _stable_baselines(env: str) -> Config:
    # Stable-Baselines 2.10's GAIL with its MlpPolicy. Its batch of 1024 is per rank; this emulates one rank.
    # Differs: true steps are counted (it counts one batch in g_step); D learns from all g_step batches (it: the last);
    # time limits bootstrap; the critic's targets are standardised; Discrete actions choose an output of D (it: one-hot).
    return Config(
        env,
        preset="stable-baselines",
        action_scaling=False,
        num_envs=1,
        timesteps_per_batch=1024,
        g_step=3,
        d_step=1,
        gamma=0.99,
        lam=0.98,
        policy=PolicyConfig(normalise_observations=False, observation_clip=None),
        critic=CriticConfig(
            vf_iters=3, vf_stepsize=3e-4, vf_batch_size=128, normalise_observations=False, observation_clip=None
        ),
        trpo=TRPOConfig(max_kl=0.01, cg_iters=10, cg_damping=0.01, fvp_subsample=5),
        discriminator=DiscriminatorConfig(
            # Its 1e-3 weighs the mean over both sides; ours, as in the paper's code, the sum of each side's mean.
            adversary_entcoeff=5e-4,
            gradient_penalty=0.0,
            d_stepsize=3e-4,
            d_batch_size=None,
            normalise="observations",
            normalise_decay=1.0,
            input_clip=None,
            reward="-log(1-D)",
        ),
    )
