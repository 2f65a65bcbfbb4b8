"""The rate of `GAIL(...).learn` beside that of `trpo-gail train` with the same settings, in runs that alternate.

usage: python scripts/api_rate.py [--env CartPole-v1] [--steps 60000] [--runs 5]

Each run is a process of its own. Its rate is steps over the seconds of the iterations, from the first record's start to
the last record, without imports and the making of environments; evaluations are off.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
FROM_PYTHON = """
import json, sys, time
from trpo_gail import GAIL
env, expert, steps = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = GAIL("MlpPolicy", env, expert, verbose=1)
ends = [time.perf_counter()]
model.learn(steps, callback=lambda model, record: ends.append(time.perf_counter()))
print(json.dumps([model.num_timesteps, ends[-1] - ends[0]]))
"""
BY_COMMAND = """
import json, sys, time
from trpo_gail.algorithm import train
from trpo_gail.cli import main
from trpo_gail.runs import session
env, expert, steps, out = sys.argv[1:]
ends = []
def timed(learner, config, workers, after):
    ends.append(time.perf_counter())
    def then(row):
        reason = after(row)
        ends.append(time.perf_counter())
        return reason
    reason = train(learner, config, workers, then)
    ends.append(learner.progress.steps)
    return reason
session.train = timed
main(["train", env, "--expert", expert, "--steps", steps, "--eval_every", "0", "--final_episodes", "0", "--out", out])
print(json.dumps([ends[-1], ends[-2] - ends[0]]))
"""


def rate(code: str, *arguments: str) -> float:
    """Steps a second of one run."""
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    steps, seconds = json.loads(done.stdout.splitlines()[-1])
    return steps / seconds


def main() -> None:
    """Print each pair of rates, the medians and their ratio."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--env", default="CartPole-v1")
    parser.add_argument("--steps", default="60000")
    parser.add_argument("--runs", type=int, default=5)
    given = parser.parse_args()
    expert = str(ROOT / "expert_data" / f"{given.env}.h5")
    rates: dict[str, list[float]] = {"python": [], "command": []}
    for number in range(given.runs):
        with tempfile.TemporaryDirectory() as folder:
            rates["python"].append(rate(FROM_PYTHON, given.env, expert, given.steps))
            rates["command"].append(rate(BY_COMMAND, given.env, expert, given.steps, str(Path(folder) / "run")))
        print(f"run {number + 1}: python {rates['python'][-1]:,.0f}, command line {rates['command'][-1]:,.0f} steps/s")
    python, command = (statistics.median(rates[name]) for name in ("python", "command"))
    print(f"medians: python {python:,.0f}, command line {command:,.0f} steps/s; ratio {python / command:.3f}")


if __name__ == "__main__":
    main()
