"""Generative adversarial imitation learning as Ho & Ermon (2016) ran it, with an MPI-parallel TRPO or PPO generator.

A map, in the order of a first reading:

    train.py         Algorithm 1;  build.py makes a learner from a config
    adversaries/     the discriminator and its parts; behind the same seam FEM, GTAL, a constant, the environment's reward
    generators/      TRPO; PPO
    critic.py        V(s): advantages and their fit;  learner.py everything that a checkpoint holds
    policies/        distributions over actions, the policy, and its copy that samples
    networks/        the MLP, nets for images, running statistics
    optim/           one flat vector, Adam, the natural gradient
    sampling/        from environments to rows
    spaces/          observations and actions as rows; what is known of an environment
    parallel.py      the ranks of mpirun, as a value passed down;  finite.py names what turns non-finite
    envs/            environments, and what they do wrong;  tasks/ our own task and the paper's
    experts/         demonstrations: formats, checks, the one container
    cloning.py       behavioural cloning, the baseline without an environment
    runs/            a run on disk: training, cloning, checkpoints, metrics, evaluation, recording
    studies/         many runs side by side: comparisons, the paper's experiments, the benchmark
    reports/         pictures, and the page of a run or several
    config/          the tree of settings, its checks, presets, choices and flags
    system/          files, terminals, signals, launchers

`load_policy(run)` gives a trained policy; `load(file)` a file of demonstrations. Importing the package starts no MPI.
"""

from __future__ import annotations

from typing import Any

__all__ = ["CloningConfig", "Config", "UserError", "Workers", "clone", "load", "load_policy", "run"]

_HOMES = {
    "CloningConfig": "config.tree",
    "Config": "config.tree",
    "UserError": "errors",
    "Workers": "parallel",
    "clone": "runs.cloning",
    "load": "experts.load",
    "load_policy": "runs.evaluate",
    "run": "runs.training",
}


def __getattr__(name: str) -> Any:
    """Public names are imported when they are asked for, so that `trpo-gail --help` needs no torch."""
    if name == "__version__":
        return _version()
    if name not in _HOMES:
        raise AttributeError(f"module 'trpo_gail' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"trpo_gail.{_HOMES[name]}"), name)


def _version() -> str:
    """The installed version; of a checkout that nobody has installed it is unknown."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("trpo_gail")
    except PackageNotFoundError:
        return "0+unknown"
