"""Generative adversarial imitation learning as Ho & Ermon (2016) ran it, with an MPI-parallel TRPO or PPO generator.

A map, in the order of a first reading:

    algorithm.py     Algorithm 1;  build.py makes a learner from a config;  learner.py is all that a checkpoint holds
    adversaries/     the discriminator and its parts; FEM, GTAL, a constant and the environment's reward in its place
    generators/      TRPO and PPO
    critic.py        the value function V(s): advantages, and its fit
    policies/        distributions over actions, the policy, and its copy that samples
    networks/        the MLP, networks for images, running statistics
    optim/           a module's parameters as one vector, Adam, the natural gradient
    sampling/        from environments to rows
    spaces/          observations and actions as rows; the spec of an environment
    parallel.py      the ranks of mpirun, as a value passed down
    finite.py        errors that name the first non-finite number;  hangs.py those of a rank that hangs
    seeding.py       random streams;  scores.py scaled scores;  success.py which episodes succeed
    magnitudes.py    limits on numbers;  records.py types
    envs/            vector environments and their faults;  tasks/ our own task and the paper's
    experts/         demonstrations: formats, checks, the one container;  policies/ other people's policies
    cloning.py       behavioural cloning, the baseline without an environment
    exports/         a run's learned reward and its policy, each in one file for use elsewhere
    api/             models from Python: GAIL, TRPO, PPO, BC, their callbacks
    runs/            a run on disk: training, cloning, checkpoints, metrics, evaluation, recording
    studies/         many runs side by side: comparisons, the paper's experiments
    bench/           measurements of speed and memory
    reports/         pictures and pages of runs
    config/          the tree of settings, its checks, presets, choices and flags
    commands/        one file per command;  cli.py the command line
    system/          files, terminals, signals, launchers;  errors.py the errors that a user sees in one line

`GAIL`, `TRPO`, `PPO` and `BC` are models that learn, predict, save and load (docs/python.md). `Demonstrations` are
those of a file or of your own arrays, `train` (or `run`) trains into a run folder, `load_policy(run)` gives the trained
policy. `RewardFunction.load(file)` loads an exported reward; `RewardWrapper` and `VectorRewardWrapper` are environments
that pay it. Importing the package starts no MPI.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from trpo_gail.adversaries.adversary import Adversary as Adversary
    from trpo_gail.api.algorithms import GAIL as GAIL
    from trpo_gail.api.algorithms import PPO as PPO
    from trpo_gail.api.algorithms import TRPO as TRPO
    from trpo_gail.api.callbacks import BaseCallback as BaseCallback
    from trpo_gail.api.callbacks import CallbackList as CallbackList
    from trpo_gail.api.callbacks import CheckpointCallback as CheckpointCallback
    from trpo_gail.api.callbacks import EvalCallback as EvalCallback
    from trpo_gail.api.callbacks import EveryNTimesteps as EveryNTimesteps
    from trpo_gail.api.callbacks import StopTrainingOnMaxEpisodes as StopTrainingOnMaxEpisodes
    from trpo_gail.api.callbacks import StopTrainingOnNoModelImprovement as StopTrainingOnNoModelImprovement
    from trpo_gail.api.callbacks import StopTrainingOnRewardThreshold as StopTrainingOnRewardThreshold
    from trpo_gail.api.cloning import BC as BC
    from trpo_gail.api.datasets import ExpertDataset as ExpertDataset
    from trpo_gail.api.recording import generate_expert_traj as generate_expert_traj
    from trpo_gail.api.training import train as run
    from trpo_gail.api.training import train as train
    from trpo_gail.config.tree import CloningConfig as CloningConfig
    from trpo_gail.config.tree import Config as Config
    from trpo_gail.envs.vector import VectorEnv as VectorEnv
    from trpo_gail.errors import UserError as UserError
    from trpo_gail.experts.formats import Format as Format
    from trpo_gail.experts.own import Demonstrations as Demonstrations
    from trpo_gail.experts.own import load as load
    from trpo_gail.exports.reward_function import RewardFunction as RewardFunction
    from trpo_gail.exports.reward_wrappers import RewardWrapper as RewardWrapper
    from trpo_gail.exports.reward_wrappers import VectorRewardWrapper as VectorRewardWrapper
    from trpo_gail.generators.generator import Generator as Generator
    from trpo_gail.parallel import Workers as Workers
    from trpo_gail.runs.cloning import clone as clone
    from trpo_gail.runs.evaluate import load_policy as load_policy
    from trpo_gail.sampling.rollout import Actor as Actor

    __version__: str

__all__ = [
    "BC", "GAIL", "PPO", "TRPO", "Actor", "Adversary", "BaseCallback", "CallbackList", "CheckpointCallback",
    "CloningConfig", "Config", "Demonstrations", "EvalCallback", "EveryNTimesteps", "ExpertDataset", "Format", "Generator",
    "RewardFunction", "RewardWrapper", "StopTrainingOnMaxEpisodes", "StopTrainingOnNoModelImprovement",
    "StopTrainingOnRewardThreshold", "UserError", "VectorEnv", "VectorRewardWrapper", "Workers", "clone",
    "generate_expert_traj", "load", "load_policy", "run", "train",
]  # fmt: skip

_HOMES = {
    "Actor": "sampling.rollout",
    "Adversary": "adversaries.adversary",
    "BC": "api.cloning",
    "BaseCallback": "api.callbacks",
    "CallbackList": "api.callbacks",
    "CheckpointCallback": "api.callbacks",
    "CloningConfig": "config.tree",
    "Config": "config.tree",
    "Demonstrations": "experts.own",
    "EvalCallback": "api.callbacks",
    "EveryNTimesteps": "api.callbacks",
    "ExpertDataset": "api.datasets",
    "Format": "experts.formats",
    "GAIL": "api.algorithms",
    "Generator": "generators.generator",
    "PPO": "api.algorithms",
    "RewardFunction": "exports.reward_function",
    "RewardWrapper": "exports.reward_wrappers",
    "StopTrainingOnMaxEpisodes": "api.callbacks",
    "StopTrainingOnNoModelImprovement": "api.callbacks",
    "StopTrainingOnRewardThreshold": "api.callbacks",
    "TRPO": "api.algorithms",
    "UserError": "errors",
    "VectorEnv": "envs.vector",
    "VectorRewardWrapper": "exports.reward_wrappers",
    "Workers": "parallel",
    "clone": "runs.cloning",
    "generate_expert_traj": "api.recording",
    "load": "experts.own",
    "load_policy": "runs.evaluate",
    "run": "api.training:train",
    "train": "api.training",
}


if not TYPE_CHECKING:  # a checker would take any name for one that is there

    def __getattr__(name: str) -> Any:
        """Import public names only when they are used, so that `trpo-gail --help` needs no torch."""
        if name == "__version__":
            return _version()
        if name not in _HOMES:
            raise AttributeError(f"module 'trpo_gail' has no attribute {name!r}")
        from importlib import import_module

        home, _, called = _HOMES[name].partition(":")
        return getattr(import_module(f"trpo_gail.{home}"), called or name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, "__version__"})


def _version() -> str:
    """The installed version; unknown for a checkout that is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("trpo_gail")
    except PackageNotFoundError:
        return "0+unknown"
