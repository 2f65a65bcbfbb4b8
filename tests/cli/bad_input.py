"""What users get wrong: command lines, and what the one line about each must name. Used alone and under mpirun."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

EXPERT = str(Path(__file__).parents[2] / "expert_data" / "CartPole-v0.h5")
NEVER = "never"  # the run folder that none of these command lines may leave behind

Arrays = Mapping[str, np.ndarray | None]


@dataclass(frozen=True)
class Bad:
    """A command line that must end with exit code 2 and one line that holds all of `says`."""

    arguments: tuple[str, ...]
    says: tuple[str, ...]


def tiny_run(out: Path, *more: str) -> list[str]:
    """A correct run of two short iterations: every mistake here is made in an otherwise good command."""
    return [
        "train", "CartPole-v0", "--expert", EXPERT, "--trajectories", "1", "--num_envs", "2",
        "--timesteps_per_batch", "64", "--steps", "100", "--eval_every", "0", "--final_episodes", "1",
        "--out", str(out), *more,
    ]  # fmt: skip


# ---- files -----------------------------------------------------------------------------------------------------------

_GOOD: Arrays = {  # two episodes of three steps in CartPole
    "observations": np.zeros((6, 4), np.float32),
    "actions": np.zeros(6, np.int64),
    "terminals": np.array([0, 0, 1, 0, 0, 1], bool),
    "timeouts": np.zeros(6, bool),
    "steps": np.array([0, 1, 2, 0, 1, 2]),
    "episode_lengths": np.array([3, 3]),
}
_NAN = np.zeros((6, 4), np.float32)
_NAN[4, 2] = np.nan
_LARGE, _HUGE = np.zeros((2, 6, 4))
_LARGE[1, 3], _HUGE[1, 3] = 1e40, 1e300
_SPARSE: Arrays = {  # every second row of the same, from the offsets 0 and 1
    name: values if name == "episode_lengths" else values[[0, 2, 4]] for name, values in _GOOD.items()
}

# Name, the arrays that differ (None leaves one out), what must be said.
_BROKEN: dict[str, tuple[Arrays, str]] = {
    "missing dataset": ({"observations": None}, "dataset 'observations' is missing & expected"),
    "no actions": ({"actions": None}, "holds no actions & expected & --discriminator.inputs state next_state"),
    "mismatched lengths": ({"actions": np.zeros(5, np.int64)}, "dataset 'actions' & expected 6 rows & found 5"),
    "mismatched episodes": ({"episode_lengths": np.array([3, 4])}, "'episode_lengths' & expected & 6 rows & found 7"),
    "NaN": ({"observations": _NAN}, "dataset 'observations' & expected finite & nan at [4, 2]"),
    "absurd numbers": ({"observations": _HUGE}, "dataset 'observations' & at most 1e+140 & found 1e+300 at [1, 3]"),
    "numbers for float64": ({"observations": _LARGE}, "'observations': 1e+40 does not fit float32; --dtype float64"),
    "complex numbers": ({"observations": _LARGE * 1j}, "dataset 'observations' & expected numbers & complex"),
    "words for actions": (
        {"actions": np.array([b"left"] * 6)},
        "dataset 'actions' & expected numbers & found dtype |S4",
    ),
    "D4RL's layout, no ends": (
        {"steps": None, "episode_lengths": None, "terminals": None},
        "dataset 'terminals' is missing & expected 0 or 1",
    ),
    "observation size": ({"observations": np.zeros((6, 3))}, "dataset 'observations' & expected & [4] & found [3]"),
    "floats for discrete actions": (
        {"actions": np.full((6, 1), 0.5)},
        "dataset 'actions' & expected integers from 0 to 1",
    ),
    "action out of range": ({"actions": np.arange(6) % 3}, "dataset 'actions' & integers from 0 to 1 & found 0 to 2"),
}
_PENDULUM: Arrays = {"observations": np.zeros((6, 3)), "actions": np.zeros((6, 2))}


def _write(path: Path, arrays: Arrays, subsample: int = 1) -> None:
    with h5py.File(path, "w") as file:
        for name, values in (dict(_GOOD) | dict(arrays)).items():
            if values is not None:
                file[name] = values
        file.attrs["subsample"] = subsample


def write_files(folder: Path) -> None:
    """The files that `files` names."""
    (folder / "text.h5").write_text("once upon a time\n")
    (folder / "empty.h5").touch()
    (folder / "folder").mkdir()
    (folder / "folder" / "notes.md").touch()
    (folder / "pointer.h5").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n")
    with h5py.File(folder / "minari.h5", "w") as file:
        for i in range(1000):
            file.create_group(f"episode_{i}")["actions"] = [0.0]
    whole = Path(EXPERT).read_bytes()
    (folder / "truncated.h5").write_bytes(whole[: len(whole) // 2])
    _write(folder / "good.h5", {})
    _write(folder / "sparse.h5", _SPARSE, subsample=2)
    _write(folder / "pendulum.h5", _PENDULUM)
    for name, (arrays, _) in _BROKEN.items():
        _write(folder / f"{name}.h5", arrays)


def files(folder: Path) -> dict[str, Bad]:
    """Demonstrations that cannot be used."""

    def train(file: str, says: str, *more: str, env: str = "CartPole-v0") -> Bad:
        path = str(folder / file)
        return Bad(("train", env, "--expert", path, "--out", str(folder / NEVER), *more), (path, *says.split(" & ")))

    return {
        "no such file": train("absent.h5", "no such file"),
        "a name that cannot be": train("x" * 300, "File name too long"),  # likewise a folder without permission
        "a folder": train("folder", "a folder of no format that is read, expected one that docs/expert_data.md names"),
        "not HDF5": train("text.h5", "of no format that is read"),
        "empty file": train("empty.h5", "an empty file"),
        "Git LFS pointer": train("pointer.h5", "a Git LFS pointer & git lfs pull"),
        "Minari's file": train("minari.h5", "'episode_0' has no observations, expected one of"),
        "truncated file": train("truncated.h5", "damaged or truncated"),
        "action size": train("pendulum.h5", "dataset 'actions' & expected rows of 1 & [2]", env="Pendulum-v1"),
        "too many trajectories": train("good.h5", "trajectories & expected 1 to 2 & found 3", "--trajectories", "3"),
        "subsampled twice": train("sparse.h5", "subsample & already holds one row in 2", "--subsample", "2"),
        **{name: train(f"{name}.h5", says) for name, (_, says) in _BROKEN.items()},
    }


# ---- flags -----------------------------------------------------------------------------------------------------------


def flags(folder: Path) -> dict[str, Bad]:
    """Command lines that cannot be meant."""
    out = str(folder / NEVER)

    def train(says: str, *more: str) -> Bad:
        return Bad(tuple(tiny_run(Path(out), *more)), tuple(says.split(" & ")))

    def env(name: str, says: str, *more: str) -> Bad:
        return Bad(("train", name, "--expert", EXPERT, "--out", out, *more), tuple(says.split(" & ")))

    return {
        "unknown command": Bad(("trian", "CartPole-v0"), ("'trian'", "train, expert, clone, evaluate")),
        "no environment": Bad(("train", "--expert", EXPERT, "--out", out), ("train: no ENV given: Environment id",)),
        "unknown version": env("CartPole-v99", "'CartPole-v99'"),
        "unknown environment": env("NoSuchThing-v0", "'NoSuchThing-v0' & doesn't exist"),
        "unknown module": env("no_such_module:Thing-v0", "'no_such_module:Thing-v0' & no module 'no_such_module'"),
        "not in EnvPool": env("CartPole-v7", "--backend envpool & 'CartPole-v7'", "--backend", "envpool"),
        "nothing": Bad(("record",), ("record: no ENV, --policy, --episodes, --out given (",)),
        "unknown flag": train("--learning_rate", "--learning_rate", "3"),
        "unknown nested flag": train("--trpo.min_kl", "--trpo.min_kl", "3"),
        "misspelt flag": train("--step, 3; did you mean --steps or --", "--step", "3"),
        "a section's flag without the section": train(
            "--gradient_penalty, -1; did you mean --discriminator.gradient_penalty? (", "--gradient_penalty", "-1"
        ),
        "a section's flag, misspelt": train(
            "did you mean --discriminator.gradient_penalty or", "--gradient_penalti", "5"
        ),
        "a flag of several sections": train(
            "did you mean --policy.hidden_sizes or --critic.hidden_sizes or", "--hidden_size", "32"
        ),
        "misspelt flag with aliases": train("--max_lk, 3; did you mean --max_kl?", "--max_lk", "3"),
        "PPO's flag with TRPO, though the default": train(
            "--ppo.clip_range & --generator is trpo", "--ppo.clip_range", "0.2"
        ),
        "TRPO's flag with PPO, though the default": train(
            "--trpo.max_kl & --generator is ppo", "--trpo.max_kl=0.01", "--generator", "ppo"
        ),
        "TRPO's short flag with PPO": train(
            "--trpo.max_kl: 0.02 & --generator is ppo", "--max_kl", "0.02", "--generator", "ppo"
        ),
        "FEM with the discriminator's flag": train(
            "--discriminator.d_stepsize: 0.5 & --adversary is fem",
            "--adversary",
            "fem",
            "--discriminator.d_stepsize",
            "0.5",
        ),
        "a constant reward with the discriminator's flag, though the default": train(
            "--adversary_entcoeff: given, but --adversary is constant",
            "--adversary",
            "constant",
            "--adversary_entcoeff",
            "0.05",
        ),
        "Adam with the natural gradient's flag": train(
            "--critic.natural_gradient.max_kl: 0.5 & --critic.fit is adam", "--critic.natural_gradient.max_kl", "0.5"
        ),
        "the natural gradient with Adam's flag": train(
            "--vf_iters: given & --critic.fit is natural-gradient",
            "--vf_iters",
            "10",
            "--critic.fit",
            "natural-gradient",
        ),
        "whole episodes with restarts": train(
            "--restart_every: 5 & is episodes", "--restart_every", "5", "--sampling", "episodes"
        ),
        "no evaluations with their episodes": train("--eval_episodes: 5 & --eval_every is 0", "--eval_episodes", "5"),
        "no module of an adversary": train(
            "--adversary: no_such_module:build: No module named", "--adversary", "no_such_module:build"
        ),
        "no function of an adversary": train(
            "--adversary: json:build: & no attribute 'build'", "--adversary", "json:build"
        ),
        "unknown adversary": train(
            "--adversary: 'gial' & 'gail', 'airl', 'fem' & module:function expected", "--adversary", "gial"
        ),
        "unknown generator": train("--generator & 'npg' & 'ppo'", "--generator", "npg"),
        "wrong type": train("--steps: 'many' given, a whole number expected", "--steps", "many"),
        "a broken number": train("--iterations: '2.5' given, a whole number expected", "--iterations", "2.5"),
        "an infinite number": train("--steps: 'inf' given, a whole number expected", "--steps", "inf"),
        "wrong choice": train("--backend & 'cuda' & 'envpool'", "--backend", "cuda"),
        "unknown preset": train("--preset & 'papr' & 'stable-baselines'", "--preset", "papr"),
        "no value": train("--seed & Expected 1 value", "--seed"),
        "out of range": train("--gamma: 1.5 & at most 1 expected", "--gamma", "1.5"),
        "out is empty": train("--out: '' given, the name of a folder expected", "--out", ""),
        "out is no name": train(r"--out: '\x00' given, the name of a folder expected", "--out", "\0"),
        "out cannot be written": train(r"--out: '\ud800' given, the name of a folder expected", "--out", "\ud800"),
        "not finite": train("--trpo.max_kl: nan", "--trpo.max_kl", "nan"),
        "nan that no rank waits for": train("--rank_timeout: nan is not a finite number", "--rank_timeout", "nan"),
        "no environments": train("--num_envs: 0 & at least 1 expected", "--num_envs", "0"),
        "batch too small": train("--timesteps_per_batch: 1", "--timesteps_per_batch", "1"),
        "save_every": train("--save_every: '5s' & 20 & 5m & expected", "--save_every", "5s"),
        "env_kwargs not JSON": train("--env_kwargs: '{size: 1}' & JSON", "--env_kwargs", "{size: 1}"),
        "env_kwargs no object": train("--env_kwargs: '[1]' & object expected", "--env_kwargs", "[1]"),
        "env_kwargs unknown": train(
            "'CartPole-v0' & {'size': 1} & unexpected", "--env_kwargs", '{"size": 1}', "--backend", "gymnasium"
        ),
        "env_kwargs seen in a step only": env(
            "Hopper-v4",
            "'Hopper-v4' & healthy_z_range",
            "--env_kwargs",
            '{"healthy_z_range": 3}',
            "--backend",
            "gymnasium",
        ),
        "no --expert": Bad(("train", "CartPole-v0", "--out", out), ("--expert", "file of demonstrations", "needed")),
        "no run to begin with": train("--init_policy: absent: no such folder or file", "--init_policy", "absent"),
        "a network that is not the run's": train(
            "--policy.init_log_std: given, but --init_policy is absent",
            "--init_policy",
            "absent",
            "--policy.init_log_std",
            "0",
        ),
        "a warm-up to the end": train("--warmup_iterations: 2 & --steps 100", "--warmup_iterations", "2"),
        "nothing to clone": Bad(
            ("train", "CartPole-v0", "--adversary", "env_reward", "--init_policy", "bc", "--out", out),
            ("--init_policy bc: there are no demonstrations to clone (--expert)",),
        ),
        "evaluate no run": Bad(("evaluate", str(folder)), (str(folder), "checkpoint")),
        "inspect nothing": Bad(("data", "info"), ("no FILE given", "data info --help")),
        "inspect in no way": Bad(("data",), ("no subcommand given; there are info, validate", "data --help")),
        "inspect two files": Bad(("data", "info", EXPERT, EXPERT), (EXPERT, "data info --help")),
        "record by a Git LFS pointer": Bad(
            ("record", "CartPole-v0", "--policy", str(folder / "pointer.h5"), "--episodes", "1", "--out", out),
            (str(folder / "pointer.h5"), "a Git LFS pointer", "git lfs pull"),
        ),
        "record by nothing": Bad(
            ("record", "CartPole-v0", "--policy", str(folder / "absent"), "--episodes", "1", "--out", out),
            (str(folder / "absent"), "expected a run folder, a policy file, module:function or"),
        ),
    }


def runs(folder: Path, run: Path) -> dict[str, Bad]:
    """What does not fit the run that is there: `run`, made by `tiny_run`; `folder` is no run."""

    def resume(says: str, *more: str) -> Bad:
        return Bad(("train", *more, "--resume", "--out", str(run)), (str(run), *says.split(" & ")))

    return {
        "folder exists": Bad(tuple(tiny_run(run)), (str(run), "exists", "--resume")),
        "other seed": resume("--seed 5 & made with 0", "--seed", "5"),
        "other preset": resume("--preset stable-baselines & made with default", "--preset", "stable-baselines"),
        "other generator": resume("--generator ppo & made with trpo", "--generator", "ppo"),
        "other nested flag": resume("--trpo.max_kl 0.5 & made with 0.01", "--max_kl", "0.5"),
        "other environment": resume("--resume: ENV CartPole-v1 & made with CartPole-v0", "CartPole-v1"),
        "fewer steps": resume("--steps 99 & 100 & only grow", "--steps", "99"),
        "resume what is no run": Bad(("train", "--resume", "--out", str(folder)), (str(folder), "not a run folder")),
        "resume nothing": Bad(("train", "--resume"), ("--resume", "--out")),
    }
