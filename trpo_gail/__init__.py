"""Generative adversarial imitation learning as Ho & Ermon (2016) ran it, with an MPI-parallel TRPO or PPO generator.

A map, in the order of a first reading:

    train.py         Algorithm 1
    adversaries/     the discriminator; behind the same seam FEM, GTAL, a constant and the environment's own reward
    generators/      TRPO and its numerics; PPO
    critic.py        V(s): advantages and their fit
    policy.py        distributions over actions, and the copy of a policy that samples
    sampling/        from environments to rows
    parallel.py      the ranks of mpirun, as a value passed down
    envs/            environments, the units of their actions, and what they do wrong
    finite.py        what turns non-finite is named;  stuck.py warns of a run that learns nothing
    learner.py       everything that a checkpoint holds;  checkpoint.py writes it
    session.py       a run from flags to summary;  runs.py its folder;  cli.py the commands
    stopping.py      signals;  console.py and terminal.py what a person sees, and how it is printed
    cloning.py       behavioural cloning, the baseline without an environment;  cloning_run.py a run of it
    experts/         demonstrations: read, write, record
    experiments/     many runs side by side: the runner
    reproduction/    the paper's experiments: the grid, the tables
    comparison/      configurations on equal terms: the plan, the statistics
    reports/         pictures, and the page of a run or several

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
