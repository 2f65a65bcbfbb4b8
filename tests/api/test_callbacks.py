"""Callbacks: every record comes to each of them, in order, and one that says no ends the training."""

from __future__ import annotations

import functools
import os
import re
import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from small import gail

from trpo_gail import (
    GAIL,
    BaseCallback,
    CallbackList,
    CheckpointCallback,
    EvalCallback,
    EveryNTimesteps,
    StopTrainingOnMaxEpisodes,
    StopTrainingOnNoModelImprovement,
    StopTrainingOnRewardThreshold,
    UserError,
)
from trpo_gail.api import callbacks
from trpo_gail.api.logger import Logger
from trpo_gail.api.model import Evaluation
from trpo_gail.parallel import Workers
from trpo_gail.records import Record


class Model:
    """A model, as far as callbacks know it: its evaluations give these returns."""

    def __init__(self, *returns: float) -> None:
        self.returns, self.num_timesteps, self.saved = list(returns), 0, list[Path]()
        self.num_episodes = 0

    def evaluate(self, episodes: int, **more: Any) -> Any:
        mean = self.returns.pop(0)
        return Evaluation(mean, 0.0, np.full(episodes, mean), np.full(episodes, 7))

    def save(self, path: Path) -> None:
        self.saved.append(path)


def run(model: Any, callback: Any, iterations: int = 10, steps: int = 100, **record: float) -> int:
    """Iterations of so many steps, until the callback says no; how many there were."""
    hook = callbacks.of(callback)
    hook.on_start(model)
    for number in range(1, iterations + 1):
        model.num_timesteps += steps
        if hook.after(model, {"iteration": number, **record}) is False:
            return number
    return iterations


def test_evaluations_come_when_a_multiple_is_passed() -> None:
    model = Model(1, 2, 3, 4)
    found = EvalCallback(eval_freq=250, n_eval_episodes=2)
    assert run(model, found) == 10
    assert found.evaluations == [(300, 1, 0), (500, 2, 0), (800, 3, 0), (1000, 4, 0)]


def test_the_best_is_saved_and_told_of(tmp_path: Path) -> None:
    model, told = Model(1, 3, 2, 4), list[float]()
    every = list[float]()
    found = EvalCallback(
        eval_freq=100,
        best_model_save_path=tmp_path,
        callback_on_new_best=lambda model, record: told.append(record["eval_return_mean"]),
        callback_after_eval=lambda model, record: every.append(record["eval_length_mean"]),
    )
    run(model, found, 4)
    assert told == [1, 3, 4] and every == [7] * 4 and model.saved == [tmp_path / "best_model.zip"] * 3
    assert found.best_mean_reward == 4


def test_training_stops_on_a_return() -> None:
    stop = StopTrainingOnRewardThreshold(3.0)
    assert run(Model(1, 2, 3, 4), EvalCallback(eval_freq=200, callback_on_new_best=stop)) == 6
    assert run(Model(1, 2, 3, 4), [EvalCallback(eval_freq=200), stop], return_mean=9.0) == 6  # evaluations count alone
    assert run(Model(), stop, return_mean=2.0) == 10 and run(Model(), stop, return_mean=3.0) == 1


def test_training_stops_without_improvement() -> None:
    """After one evaluation more than may be without it, as in Stable-Baselines3."""

    def stop(most: int = 1, **more: int) -> StopTrainingOnNoModelImprovement:
        return StopTrainingOnNoModelImprovement(most, **more)

    returns = (1, 2, 2, 1, 5)
    assert run(Model(*returns), EvalCallback(eval_freq=100, callback_after_eval=stop()), 5) == 4
    assert run(Model(*returns), EvalCallback(eval_freq=100, callback_after_eval=stop(min_evals=3)), 5) == 5
    assert run(Model(*returns), EvalCallback(eval_freq=100, callback_after_eval=stop(0)), 5) == 3
    assert run(Model(*returns), EvalCallback(eval_freq=100, callback_after_eval=stop(2)), 5) == 5
    assert run(Model(), stop(), return_mean=1.0) == 3


def test_other_callbacks() -> None:
    model, seen = Model(), list[int]()
    run(model, EveryNTimesteps(300, lambda model, record: seen.append(model.num_timesteps)))
    assert seen == [300, 600, 900]
    run(model := Model(), CheckpointCallback(400, "folder", "name"))
    assert [str(path) for path in model.saved] == ["folder/name_400_steps.zip", "folder/name_800_steps.zip"]
    assert run(Model(), StopTrainingOnMaxEpisodes(5), episodes=5) == 1
    assert run(Model(), None) == 10


def test_all_are_called_whatever_one_says() -> None:
    seen: list[int] = []
    assert run(Model(), [lambda m, r: seen.append(1), lambda m, r: False, lambda m, r: seen.append(2)]) == 1
    assert seen == [1, 2]
    assert run(Model(), CallbackList([BaseCallback()])) == 10


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: EvalCallback(eval_freq=0), "eval_freq: 0 given, a whole number of at least 1 expected"),
        (lambda: EvalCallback(n_eval_episodes=0), "n_eval_episodes: 0 given, a whole number of at least 1 expected"),
        (lambda: CheckpointCallback(0, "x"), "save_freq: 0 given, a whole number of at least 1 expected"),
        (lambda: EveryNTimesteps(0, None), "n_steps: 0 given, a whole number of at least 1 expected"),
        (
            lambda: StopTrainingOnNoModelImprovement(-1),
            "max_no_improvement_evals: -1 given, a whole number of at least 0 expected",
        ),
        (
            lambda: callbacks.of(lambda round_num: None),
            "callback: <lambda>(round_num) given, which cannot be called with (model, record): too many positional arguments",
        ),
        (
            lambda: callbacks.of(type("Mine", (BaseCallback,), {"after": lambda self, record: None})()),
            "callback: Mine.after(record) given, which cannot be called with (model, record): "
            "too many positional arguments",
        ),
        (lambda: CallbackList([3]), "callback: 3 given, a function of (model, record) or a BaseCallback expected"),
    ],
)
def test_wrong_callbacks_are_refused(make: Any, line: str) -> None:
    with pytest.raises(UserError) as caught:
        make()
    assert str(caught.value) == line


def test_callbacks_that_are_made_of_other_functions_are_called() -> None:
    def of_a_record(record: Record) -> bool:
        return record["iteration"] < 3

    @functools.wraps(of_a_record)
    def wrapped(model: Any, record: Record) -> bool:
        return of_a_record(record)

    assert run(Model(), wrapped) == 3
    own = BaseCallback()
    own.after = functools.partial(lambda least, model, record: record["iteration"] < least, 4)  # type: ignore[method-assign]
    assert run(Model(), own) == 4


def test_a_column_that_no_record_has_is_refused() -> None:
    """Names differ between iterations: what one of them lacks is None."""
    logger = Logger(Workers())
    assert logger.column("kl") == [], "nothing is known yet"
    for record in ({"kl": 0.1, "steps": 8.0}, {"steps": 16.0}):
        logger.add(record)  # type: ignore[arg-type]
    assert logger.column("kl") == [0.1, None]
    with pytest.raises(UserError) as caught:
        logger.column("klx")
    assert str(caught.value) == "logger.column: 'klx' given, expected one of kl, steps; did you mean kl?"


# ---- with a model ----------------------------------------------------------------------------------------------------


class Ported(BaseCallback):
    """As it stands in a script for Stable-Baselines3."""

    def __init__(self, verbose: int = 0) -> None:
        super().__init__(verbose)

    def _on_step(self) -> bool:
        return False


class Foreign:
    """Not of our class, as one of Stable-Baselines3 itself."""

    def _on_step(self) -> bool:
        return False


class Evaluating(EvalCallback):
    def _on_step(self) -> bool:
        return False


class Adapted(Ported):
    def after(self, model: Any, record: Record) -> object:
        return self._on_step()


@pytest.mark.parametrize(
    "wrap", [lambda one: one, lambda one: [one], lambda one: EvalCallback(callback_on_new_best=one)]
)
@pytest.mark.parametrize("made", [Ported, Foreign, Evaluating])
def test_a_method_that_is_never_called_is_refused(made: Any, wrap: Any) -> None:
    said = f"callback: {made.__name__} has _on_step, which is never called here: define after(self, model, record), "
    with pytest.raises(UserError, match=re.escape(said)):
        callbacks.of(wrap(made()))


@pytest.mark.parametrize(
    ("hook", "instead"),
    [
        ("_init_callback", "define on_start(self, model)"),
        ("_on_training_start", "define on_start(self, model)"),
        ("_on_rollout_start", "define after("),
        ("_on_rollout_end", "define after("),
        ("_on_training_end", "write it behind learn"),
        ("on_step", "define after("),
    ],
)
def test_so_are_all_others_of_stable_baselines(hook: str, instead: str) -> None:
    made = type("Mine", (BaseCallback,), {hook: lambda self: None})
    with pytest.raises(UserError, match=re.escape(f"callback: Mine has {hook}, which is never called here: {instead}")):
        callbacks.of(made())


def test_a_method_that_calls_the_other_makes_it_welcome() -> None:
    assert Adapted(verbose=1).verbose == 1 and run(Model(), Adapted()) == 1


def test_a_function_gets_each_record_and_can_stop(tmp_path: Path) -> None:
    seen: list[Record] = []

    def look(model: GAIL, record: Record) -> bool:
        seen.append(record)
        record["mine"] = 3
        assert model.predict([0.0] * 4)[0] in (0, 1)
        return len(seen) < 2

    model = gail(run_folder=tmp_path / "run").learn(10_000, callback=look)
    assert len(seen) == 2 == model.learner.progress.iteration
    assert seen == model.logger.records and model.logger.column("mine") == [3, 3]
    assert "mine" not in (tmp_path / "run" / "metrics.csv").read_text()
    model.learn(10)  # what was left of the call that was stopped is not made up for
    assert model.learner.progress.iteration == 3


def test_an_evaluation_is_in_the_record(tmp_path: Path) -> None:
    model = gail(run_folder=tmp_path / "run")
    callback = EvalCallback(eval_freq=500, n_eval_episodes=2, best_model_save_path=tmp_path)
    model.learn(1000, callback=callback)
    found = [value for value in model.logger.column("eval_return_mean") if value is not None]
    assert len(found) == 2 == len(callback.evaluations) and GAIL.load(tmp_path / "best_model.zip").num_timesteps >= 500
    assert model.learner.progress.eval_steps > 0


def test_ctrl_c_finishes_the_iteration_and_is_raised_then() -> None:
    model = gail()
    with pytest.raises(KeyboardInterrupt):
        model.learn(10_000, callback=lambda model, record: os.kill(os.getpid(), signal.SIGINT))
    assert model.learner.progress.iteration == len(model.logger.records) == 1
    model.learn(10)
    assert model.learner.progress.iteration == 2
