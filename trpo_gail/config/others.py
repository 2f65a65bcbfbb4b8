"""What other libraries call a setting, as docs/coming_from.md lists it: the flags to give in its place.

Names that are flags here, or nearly so, are left out, and so are those that name another thing here.
"""

from __future__ import annotations

import re
from collections.abc import Container

NAMES = {
    # imitation
    "gen_algo": "--generator trpo or ppo",
    "reward_net": "--discriminator.network",
    "debug_use_ground_truth": "--adversary env_reward",
    "use_state": "--discriminator.inputs",
    "use_action": "--discriminator.inputs",
    "use_next_state": "--discriminator.inputs",
    "use_done": "--discriminator.inputs",
    "log_policy_act_prob": "--adversary airl",
    "n_disc_updates_per_round": "--d_step",
    "gen_train_timesteps": "--timesteps_per_batch and --g_step",
    "gen_replay_buffer_capacity": "--discriminator.replay_iterations",
    "disc_opt_kwargs": "--d_stepsize and --discriminator.weight_decay",
    # DI-engine
    "update_per_collect": "--d_step",
    "target_new_data_count": "--timesteps_per_batch",
    "collect_count": "--trajectories and --subsample",
    "clear_buffer_per_iters": "--discriminator.replay_iterations",
    # Tianshou
    "optim": "--ppo.learning_rate, --vf_stepsize and --d_stepsize",
    "disc_optim": "--d_stepsize",
    "disc_net": "--discriminator.hidden_sizes, --discriminator.activation or --discriminator.network",
    "disc_update_num": "--d_step",
    "eps_clip": "--ppo.clip_range",
    "value_clip": "--critic.clip_range_vf",
    "advantage_normalization": "--ppo.normalise_advantages",
    "recompute_advantage": "--ppo.recompute_advantages",
    "discount_factor": "--gamma",
    "reward_normalization": "--discriminator.reward_normalise",
    "action_bound_method": "--actions",
    "lr_scheduler": "--ppo.schedule and --discriminator.schedule",
    # CleanRL
    "num_steps": "--timesteps_per_batch",
    "update_epochs": "--ppo.n_epochs",
    "clip_coef": "--ppo.clip_range",
    "norm_adv": "--ppo.normalise_advantages",
    "clip_vloss": "--critic.clip_range_vf",
    "anneal_lr": "--ppo.schedule",
    # Stable-Baselines3
    "n_envs": "--num_envs",
    "cg_max_steps": "--cg_iters",
    "n_critic_updates": "--vf_iters",
    "sub_sampling_factor": "--trpo.fvp_subsample",
    "line_search_max_iter": "--trpo.line_search_steps",
    "line_search_shrinking_factor": "--trpo.line_search_shrink",
    "batch_size": "--critic.vf_batch_size, --discriminator.d_batch_size or, with --generator ppo, --ppo.batch_size",
}


def meant(name: str, known: Container[str]) -> str:
    """The flags that do what a name does elsewhere; empty if none of them is `known`, or if the name is none of these."""
    said = NAMES.get(name, "")
    return said if any(flag in known for flag in re.findall(r"--[\w.]+", said)) else ""
