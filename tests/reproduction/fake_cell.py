"""Stands in for `trpo-gail`: makes a run folder at once, or fails, or waits for a signal, as a file in its folder says."""

import json
import signal
import sys
import time
from pathlib import Path

FINAL = {
    "env": "Paper/CartPole-v0", "iterations": 301, "steps": 1505000, "wall_s": 60.0, "eval_s": 1.0,
    "env_steps_per_s": 25083.3, "ranks": 1, "expert_return_mean": 200.0, "random_return_mean": 20.0,
}  # fmt: skip


def main(arguments: list[str]) -> int:
    def flag(name: str) -> str:
        return arguments[arguments.index(name) + 1]

    run = Path(flag("--out"))
    with open(run.parent / "calls.txt", "a") as calls:
        calls.write(f"{run.name} {'resume' if '--resume' in arguments else 'new'}\n")
    orders = run.parent / f"{run.name}.order"
    order = orders.read_text() if orders.exists() else ""
    if order == "fail":
        print("some line\ntrpo-gail: the last line", file=sys.stderr)
        return 2
    assert "--resume" in arguments or not run.exists() or not any(run.iterdir())
    run.mkdir(exist_ok=True)
    session = {"command": ["trpo-gail", *arguments], "commit": "abc", "python": "3.11.0", "versions": {"numpy": "2"}}
    (run / "config.json").write_text(json.dumps({"sessions": [session]}))
    rows = "".join(f"{k},{5000 * k},{k / 2}\n" for k in range(1, 152))
    (run / "metrics.csv").write_text("iteration,steps,return_mean\n" + rows)
    if order == "hang":
        stopped: list[int] = []
        signal.signal(signal.SIGUSR1, lambda number, frame: stopped.append(number))
        (run / "ready").touch()
        while not stopped:
            time.sleep(0.01)
        (run / "summary.json").write_text(json.dumps(FINAL | {"return_mean": None, "stopped": "SIGUSR1"}))
        return 0
    returns = [200.0, 190.0 + float(flag("--seed"))]
    mean, std = sum(returns) / 2, (returns[0] - returns[1]) / 2
    ends = {"return_mean": mean, "return_std": std, "returns": returns, "lengths": [200, 190], "stopped": "iterations"}
    (run / "summary.json").write_text(json.dumps(FINAL | ends))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
