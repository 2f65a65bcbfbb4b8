"""Tune GAIL with Optuna on some seeds, and report on others.

    pip install optuna
    python examples/tune.py CartPole-v0 expert_data/CartPole-v0.h5 --trials 20 --steps 20000 --out tuned.json
    trpo-gail train CartPole-v0 --expert expert_data/CartPole-v0.h5 --config tuned.json --seed 200

The best of many trials is partly luck: on the seeds by which it was chosen, it looks better than it is. So what is
reported are other seeds, which no trial has seen, and beside them those of the defaults with as many steps.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from trpo_gail import GAIL
from trpo_gail.errors import RunError, UserError

DEFAULTS = {"d_step": 16, "d_stepsize": 3e-3, "discriminator.gradient_penalty": 1.0, "max_kl": 0.01}
TUNING, REPORT = 0, 100  # the first seed of each kind


def suggested(trial: Any) -> dict[str, Any]:
    """What a trial tries: flags by their paths."""
    return {
        "d_step": trial.suggest_int("d_step", 1, 64, log=True),
        "d_stepsize": trial.suggest_float("d_stepsize", 1e-5, 1e-2, log=True),
        "discriminator.gradient_penalty": trial.suggest_float("discriminator.gradient_penalty", 0.0, 10.0),
        "max_kl": trial.suggest_float("max_kl", 1e-3, 1e-1, log=True),
    }


def learnt(given: argparse.Namespace, flags: Mapping[str, Any], seed: int) -> float:
    """Train with one seed; the mean return of the policy afterwards."""
    fields = {path.replace(".", "__"): value for path, value in flags.items()}
    model = GAIL("MlpPolicy", given.env, given.expert, seed=seed, **fields)
    model.learn(given.steps)
    return float(model.evaluate(given.episodes).mean)


def tune(given: argparse.Namespace) -> tuple[dict[str, Any], float]:
    """The flags that are best on the tuning seeds, and their mean return there."""
    import optuna

    GAIL("MlpPolicy", given.env, given.expert)  # what is wrong with them is one line here, and a traceback in a study

    def objective(trial: Any) -> float:
        flags, returns = suggested(trial), []
        for number in range(given.tuning_seeds):
            returns.append(learnt(given, flags, TUNING + number))
            trial.report(statistics.fmean(returns), number)
            if trial.should_prune():  # worse than the median of the trials before it with as many seeds
                raise optuna.TrialPruned
        return statistics.fmean(returns)

    sampler, pruner = optuna.samplers.TPESampler(seed=0), optuna.pruners.MedianPruner()
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=pruner)
    study.enqueue_trial(DEFAULTS)  # the first trial: the search begins where we are
    study.optimize(objective, n_trials=given.trials, catch=(RunError,))  # flags by which a training breaks off
    if not study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)):
        raise RunError(f"all {given.trials} trials broke off, for the reasons above")
    return study.best_params, study.best_value


def arguments(words: Sequence[str] | None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description="Tune GAIL with Optuna on some seeds, and report on others.")
    parser.add_argument("env", help="environment id")
    parser.add_argument("expert", help="file of demonstrations")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50_000, help="environment steps of each training")
    parser.add_argument("--episodes", type=int, default=20, help="episodes of each evaluation")
    parser.add_argument("--tuning-seeds", type=int, default=3, help="trainings of a trial")
    parser.add_argument("--report-seeds", type=int, default=5, help="trainings of the report, of each kind")
    parser.add_argument("--out", help="file for the best flags, for trpo-gail train --config")
    given = parser.parse_args(words)
    for name in ("trials", "steps", "episodes", "tuning_seeds", "report_seeds"):
        if getattr(given, name) < 1:
            parser.error(f"--{name.replace('_', '-')}: {getattr(given, name)} given, at least 1 expected")
    if given.out and not Path(given.out).absolute().parent.is_dir():  # before hours of training
        parser.error(f"--out {given.out}: the folder does not exist")
    if given.out and Path(given.out).is_dir():
        parser.error(f"--out {given.out}: a folder, a file expected")
    return given


def main(words: Sequence[str] | None = None) -> dict[str, Any]:
    """Tune, report and write; returns what was found."""
    given = arguments(words)
    try:
        import optuna  # noqa: F401 - before hours of training
    except ModuleNotFoundError:
        sys.exit("tune.py: optuna is not installed: pip install optuna")
    try:
        return report(given, *tune(given))
    except (UserError, RunError) as error:
        sys.exit(f"tune.py: {error}")


def report(given: argparse.Namespace, best: dict[str, Any], chosen: float) -> dict[str, Any]:
    """Print and write the best flags, and what they come to on other seeds; returns it."""
    print(json.dumps(best))
    if given.out:
        with open(given.out, "w") as file:
            json.dump(best, file, indent=2)
    seeds = range(REPORT, REPORT + given.report_seeds)
    found: dict[str, Any] = {"best": best, "return_on_tuning_seeds": chosen, "report_seeds": list(seeds)}
    print(f"{'tuned, on the seeds of the search':<36}{chosen:10.1f}   (too good: it was chosen by these)")
    for name, flags in (("tuned", best), ("defaults", DEFAULTS)):
        returns = [learnt(given, flags, seed) for seed in seeds]
        found[name] = returns
        spread = statistics.stdev(returns) if len(returns) > 1 else 0.0
        print(f"{f'{name}, on {len(returns)} other seeds':<36}{statistics.fmean(returns):10.1f} ± {spread:.1f}")
    return found


if __name__ == "__main__":
    main()
