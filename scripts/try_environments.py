"""Checks environments of other libraries and trains in each for a few iterations; a table of what works.

    python scripts/try_environments.py --out results/spaces/environments.json --suites MuJoCo Box2D
    python scripts/try_environments.py --out results/spaces/environments.json --table

An environment's row is `trpo-gail check`, a recording of random actions, and GAIL on that recording. Rows of other suites
stay in the file: suites that need different versions of a library are tried in environments of their own.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path
from typing import Any

# (suite, environment as `trpo-gail` takes it, its arguments)
ENVIRONMENTS: list[tuple[str, str, dict[str, Any]]] = [
    ("classic control", "CartPole-v1", {}),
    ("classic control", "Pendulum-v1", {}),
    ("classic control", "MountainCarContinuous-v0", {}),
    ("toy text", "FrozenLake-v1", {}),
    ("toy text", "Blackjack-v1", {}),
    ("toy text", "Taxi-v4", {}),
    ("MuJoCo", "Hopper-v5", {}),
    ("MuJoCo", "Ant-v5", {}),
    ("MuJoCo", "Humanoid-v5", {}),
    ("Box2D", "LunarLander-v3", {}),
    ("Box2D", "BipedalWalker-v3", {}),
    ("Box2D", "CarRacing-v3", {}),
    ("gymnasium-robotics", "gymnasium_robotics:FetchReach-v4", {}),
    ("gymnasium-robotics", "gymnasium_robotics:PointMaze_UMaze-v3", {}),
    ("gymnasium-robotics", "gymnasium_robotics:AntMaze_UMaze-v5", {}),
    ("gymnasium-robotics", "gymnasium_robotics:HandReach-v3", {}),
    ("MiniGrid", "minigrid:MiniGrid-Empty-8x8-v0", {}),
    ("MiniGrid", "minigrid:MiniGrid-DoorKey-5x5-v0", {}),
    ("highway-env", "highway_env:highway-fast-v0", {}),
    ("highway-env", "highway_env:parking-v0", {}),
    ("dm_control", "shimmy:dm_control/cartpole-balance-v0", {}),
    ("dm_control", "shimmy:dm_control/cheetah-run-v0", {}),
    ("dm_control", "shimmy:dm_control/humanoid-walk-v0", {}),
    ("MetaWorld", "metaworld:Meta-World/MT1", {"env_name": "reach-v3"}),
    ("MetaWorld", "metaworld:Meta-World/MT1", {"env_name": "drawer-close-v3"}),
    ("Atari (gymnasium)", "ale_py:ALE/Pong-v5", {}),
    ("Atari (EnvPool)", "Pong-v5", {}),
    ("dm_control (EnvPool)", "CheetahRun-v1", {}),
    ("PointNav2D", "PointNav2D-v0", {"pixels": 32}),
]
PATIENCE = 600  # seconds for one command
PACKAGES = (
    "gymnasium", "envpool", "mujoco", "gymnasium-robotics", "minigrid", "highway-env", "shimmy", "dm-control", "metaworld",
    "ale-py", "torch", "numpy",
)  # fmt: skip


def main() -> None:
    """Try all, or those of some suites; each row is written when it is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="JSON file to write")
    parser.add_argument("--suites", nargs="*", help="suites that are tried alone")
    parser.add_argument("--table", action="store_true", help="print the file as Markdown, and try nothing")
    given = parser.parse_args()
    held: dict[str, Any] = json.loads(given.out.read_text()) if given.out.exists() else {"suites": {}}
    if given.table:
        print(table(held))
        return
    given.out.parent.mkdir(parents=True, exist_ok=True)
    for suite in dict.fromkeys(suite for suite, _, _ in ENVIRONMENTS if suite in (given.suites or [suite])):
        versions = {name: version for name in PACKAGES if (version := _version(name))}
        held["suites"][suite] = {"versions": versions, "environments": []}
        for env, kwargs in ((env, kwargs) for of, env, kwargs in ENVIRONMENTS if of == suite):
            row = tried(env, kwargs)
            held["suites"][suite]["environments"].append(row)
            given.out.write_text(json.dumps(held, indent=1) + "\n")
            print(json.dumps(row), flush=True)


def table(held: dict[str, Any]) -> str:
    """Markdown: a line for each environment."""
    lines = ["| suite | environment | observation | action | check | record | train | steps/s |", "|" + "---|" * 8]
    for suite, tried_there in held["suites"].items():
        for row in tried_there["environments"]:
            name = row["env"] + (f" `{json.dumps(row['kwargs'])}`" if row["kwargs"] else "")
            speed = row["speed"][0].split(" steps")[0] if row["speed"] else "-"
            said = [{0: "ok", None: "-"}.get(row.get(step), "failed") for step in ("check", "record", "train")]
            lines.append(
                f"| {' | '.join([suite, name, _parts(row['observation']), _acts(row['action']), *said, speed])} |"
            )
    return "\n".join(lines)


def _parts(texts: list[str]) -> str:
    """`camera: image (96, 96, 3)` of each part, from the lines of `check`."""
    parts = [re.match(r"((?:\S+: )?)(\w+) of shape (\(.*?\))", text) for text in texts]
    return "; ".join("".join((m[1], m[2], " ", m[3])) for m in parts if m)


def _acts(texts: list[str]) -> str:
    return texts[0].split(",")[0] if texts and texts[0][0].isdigit() else texts[0].split(", from")[0] if texts else ""


def tried(env: str, kwargs: dict[str, Any]) -> dict[str, Any]:
    """A row: what `check` says, steps a second, and whether GAIL runs for five iterations."""
    arguments = ["--env_kwargs", json.dumps(kwargs)]
    code, out = _run("check", env, *arguments, "--json")
    findings = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    said = {level: [f["text"] for f in findings if f["level"] == level] for level in ("error", "warning")}
    row: dict[str, Any] = {
        "env": env,
        "kwargs": kwargs,
        "check": code,
        "observation": [f["text"] for f in findings if f["subject"] == "observation" and f["level"] == "ok"],
        "action": [f["text"] for f in findings if f["subject"] == "action"],
        "speed": [f["text"] for f in findings if f["subject"] == "speed"],
        **{name: texts for name, texts in said.items() if texts},
    }
    if code:
        return row | ({} if findings else {"error": [out.strip()[-200:]]})
    with tempfile.TemporaryDirectory() as folder:
        policy = "trpo_gail_random:act"
        Path(folder, "trpo_gail_random.py").write_text(_random(env, kwargs))
        file, began = f"{folder}/x.h5", time.monotonic()
        recorded, out = _run(
            "record", env, "--policy", policy, "--episodes", "2", "--num_envs", "2", "--max_episode_steps", "60",
            "--out", file, *arguments, cwd=folder,
        )  # fmt: skip
        row |= {"record": recorded} | ({"record_said": out.strip()[-200:]} if recorded else {})
        if not recorded:
            trained, out = _run(
                "train", env, "--expert", file, "--num_envs", "2", "--timesteps_per_batch", "200", "--iterations", "5",
                "--d_step", "4", "--eval_every", "0", "--final_episodes", "1", "--max_episode_steps", "60",
                "--out", f"{folder}/run", *arguments,
            )  # fmt: skip
            row |= {"train": trained, "seconds": round(time.monotonic() - began, 1)}
            row |= {"train_said": out.strip()[-200:]} if trained else {}
    return row


def _random(env: str, kwargs: dict[str, Any]) -> str:
    """A module whose function draws actions of the environment."""
    return (
        "from trpo_gail.envs import vector\n\n"
        f"_made = vector.make({env!r}, 1, kwargs={kwargs!r})\nSPACE = _made.spec.executed_space\n_made.close()\n"
        "SPACE.seed(0)\n\n\ndef act(seen):\n    return SPACE.sample()\n"
    )


def _run(*arguments: str, cwd: str | None = None) -> tuple[int, str]:
    """The exit code of `trpo-gail`, and what it printed; 124 if it took longer than PATIENCE."""
    command = [sys.executable, "-m", "trpo_gail", *arguments]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, cwd=cwd)
    except subprocess.TimeoutExpired:
        return 124, f"ended after {PATIENCE} seconds"
    return done.returncode, done.stdout if not done.returncode or "{" in done.stdout[:1] else done.stderr or done.stdout


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


if __name__ == "__main__":
    main()
