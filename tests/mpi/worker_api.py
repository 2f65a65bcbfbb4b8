"""Under mpirun: the script of a user of Stable-Baselines, and its cousins; rank 0 writes what came out to a JSON file.

usage: python worker_api.py FILE.json
"""

from __future__ import annotations

import functools
import json
import sys
import warnings
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pictures

from trpo_gail import BC, GAIL, PPO, TRPO, Config, EvalCallback, ExpertDataset, UserError, generate_expert_traj, train

SMALL: dict[str, Any] = {"num_envs": 4, "timesteps_per_batch": 256, "backend": "gymnasium", "vf_iters": 2}
OBS = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)


def pendulum(observation: np.ndarray) -> np.ndarray:
    """A feedback that swings little."""
    return np.clip(np.array([-2.0 * observation[1] - observation[2]]), -2.0, 2.0)


def snippet() -> dict[str, Any]:
    """As its users wrote it."""
    generate_expert_traj(pendulum, "expert_pendulum", env="Pendulum-v1", n_episodes=4)
    dataset = ExpertDataset(expert_path="expert_pendulum.npz", traj_limitation=10, verbose=1)
    model = GAIL("MlpPolicy", "Pendulum-v1", dataset, verbose=1, dtype="float64", **SMALL)
    model.learn(total_timesteps=700)
    model.save("gail_pendulum")
    whole = model.learn(total_timesteps=500).predict(OBS, deterministic=True)[0]
    del model
    model = GAIL.load("gail_pendulum")
    model.learn(total_timesteps=500)
    again = model.predict(OBS, deterministic=True)[0]
    assert np.array_equal(whole, again), "save, load and continue is not exact"
    return {"actions": again.tolist(), "returns": model.evaluate(3).returns.tolist(), "steps": model.num_timesteps}


def cousins() -> dict[str, Any]:
    """TRPO, PPO and BC."""
    dataset = ExpertDataset(expert_path="expert_pendulum.npz", verbose=0)
    found: dict[str, Any] = {}
    for kind in (TRPO, PPO):
        model = kind("MlpPolicy", "Pendulum-v1", dtype="float64", **SMALL).learn(500)
        found[kind.__name__] = model.predict(OBS, deterministic=True)[0].tolist()
    each = [functools.partial(gymnasium.make, "Pendulum-v1", g=float(g)) for g in (2, 5, 10, 20)]
    model = TRPO("MlpPolicy", gymnasium.vector.SyncVectorEnv(each), dtype="float64", **SMALL).learn(500)
    found["differing"] = model.predict(OBS, deterministic=True)[0].tolist()
    found["returns"] = model.evaluate(4).returns.tolist()
    each = [functools.partial(gymnasium.make, "Pendulum-v1", max_episode_steps=n) for n in (260, 250, 240, 255)]
    limited = GAIL("MlpPolicy", gymnasium.vector.SyncVectorEnv(each), dataset, dtype="float64", **SMALL).learn(500)
    actions = limited.predict(OBS, deterministic=True)[0].ravel().tolist()
    found["limits"] = [float(limited.spec.max_episode_steps or 0), *actions]
    cloned = BC("MlpPolicy", "Pendulum-v1", dataset, hidden_size=16).learn(60)
    cloned.save("bc")
    found["BC"] = BC.load("bc").predict(OBS, deterministic=True)[0].tolist()
    fresh = GAIL("MlpPolicy", "Pendulum-v1", dataset, dtype="float64", **SMALL).pretrain(n_epochs=2)
    return found | {"pretrained": fresh.predict(OBS, deterministic=True)[0].tolist()}


def stops() -> dict[str, Any]:
    """Callbacks of which one rank alone says no, and errors that one rank alone meets."""
    model = TRPO("MlpPolicy", "Pendulum-v1", **SMALL)
    last = model.workers.size - 1
    model.learn(5000, callback=[EvalCallback(eval_freq=256, n_eval_episodes=3), lambda m, r: m.workers.rank != last])
    config = Config("Pendulum-v1", iterations=1, num_envs=4, timesteps_per_batch=64, eval_every=0, final_episodes=0)
    main, refused = model.workers.main, []
    for attempt in (
        lambda: TRPO("MlpPolicy", "Pendulum-v1" if main else (lambda: 3), **SMALL),
        lambda: train(config, "trained", quiet=True, expert="expert_pendulum.npz" if main else 3),
    ):
        try:
            attempt()
            refused.append("")
        except UserError as error:
            refused.append(str(error))
    assert model.workers.gather(refused) == [refused] * model.workers.size
    return {"iterations": model.learner.progress.iteration, "refused": refused}


def raises() -> list[int]:
    """A callback that raises on all ranks, and a script that goes on: the iterations in its files."""
    model = TRPO("MlpPolicy", "Pendulum-v1", run_folder="raises", **SMALL)

    def fails(model: Any, record: dict[str, Any]) -> None:
        if record["iteration"] == 2:
            raise ZeroDivisionError("of mine")

    try:
        model.learn(5000, callback=fails)
    except ZeroDivisionError:
        model.learn(300)
    rows = Path("raises", "metrics.csv").read_text().split()[1:] if model.workers.main else []
    return [int(row.partition(",")[0]) for row in rows]


def differ() -> list[str]:
    """What the ranks are told if one of them calls a method that the other does not."""
    model = TRPO("MlpPolicy", "Pendulum-v1", **SMALL)
    told = []
    try:
        model.save("model.zip") if model.workers.main else model.learn(256)
    except UserError as error:
        told.append(str(error))
    model.learn(256)
    return told


def main() -> None:
    """All of it in one start."""
    pictures.blank_from_here()
    warnings.simplefilter("error")
    found = {"snippet": snippet(), "cousins": cousins(), "stops": stops(), "raises": raises(), "differ": differ()}
    from trpo_gail import Workers

    if Workers.world().main:
        Path(sys.argv[1]).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
