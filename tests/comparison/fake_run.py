"""Stands in for `trpo-gail train`: makes a run folder at once, or fails, or stops half way when told to, as a file in the
folder of the runs says. Its numbers depend on its flags alone, its seconds on the clock."""

import dataclasses
import hashlib
import json
import signal
import sys
import time
from pathlib import Path

from trpo_gail.commands.train import parse_flags


def main(arguments: list[str]) -> int:
    def flag(name: str) -> str:
        return arguments[arguments.index(name) + 1]

    run, steps, every, seed = Path(flag("--out")), int(flag("--steps")), int(flag("--eval_every")), int(flag("--seed"))
    orders = run.parent / f"{run.name}.order"
    order = orders.read_text() if orders.exists() else ""
    if order == "fail":
        print("trpo-gail: no such luck", file=sys.stderr)
        return 2
    run.mkdir(exist_ok=True)
    config = {
        "config": dataclasses.asdict(parse_flags(arguments[1:]).config),
        "setting": {"expert_sha256": hashlib.sha256(Path(flag("--expert")).read_bytes()).hexdigest()},
        "sessions": [
            {"command": ["trpo-gail", *arguments], "commit": "abc", "python": "3.11.0", "versions": {"numpy": "2"}}
        ],
    }
    (run / "config.json").write_text(json.dumps(config))
    slope = 200.0 * (0.7 if "--max_kl" in arguments else 1.0) + 3 * seed
    late = 0 if seed else 64  # evaluations are not at the same steps in all runs
    points = [(k * every + late, min(slope * k * every / steps, 195.0 + seed)) for k in range(1, steps // every + 1)]
    rests = "--discriminator.rest_above" in arguments  # but for every fourth iteration
    more = [f",{int(k % 4 == 0)}" if rests else "" for k in range(len(points))]
    rows = [f"{k},{x},{y!r},{time.time() % 1000}{more[k - 1]}" for k, (x, y) in enumerate(points, 1)]
    half = len(rows) // 2 if order == "hang" else len(rows)
    head = "iteration,steps,eval_return_mean,wall_s" + ",d_updates" * rests
    (run / "metrics.csv").write_text("\n".join([head, *rows[:half]]) + "\n")
    final = {
        "iterations": len(rows), "steps": points[-1][0], "wall_s": time.time() % 1000, "eval_s": 0.5,
        "env_steps_per_s": time.time() % 1000, "ranks": 1, "expert_return_mean": 200.0, "random_return_mean": 20.0,
    }  # fmt: skip
    if order == "hang":
        stopped: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, frame: stopped.append(number))
        (run / "ready").touch()
        while not stopped:
            time.sleep(0.01)
        (run / "summary.json").write_text(json.dumps(final | {"return_mean": None, "stopped": "SIGUSR1"}))
        return 0
    last = points[-1][1]
    (run / "summary.json").write_text(json.dumps(final | {"return_mean": last, "returns": [last - 1, last + 1]}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
