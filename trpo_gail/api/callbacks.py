"""What happens between a model's iterations; the names are those of Stable-Baselines.

A callback is a function of (model, record), or a `BaseCallback` with `on_start(model)` and `after(model, record)`. It
is called on every rank, with the same record, and training stops, on all ranks, if it returns False on one. So it may
call what all ranks must call together: `evaluate` and `save`. The callbacks after it see what it puts into the record.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trpo_gail.api import elsewhere
from trpo_gail.errors import UserError
from trpo_gail.records import EVAL_SUCCESS, Record
from trpo_gail.system import typed

if TYPE_CHECKING:
    from trpo_gail.api.model import Model

Function = Callable[[Any, Record], object]


# Methods of Stable-Baselines' callbacks, none of which is called here, and which of ours to define instead.
_HOOKS = {
    "_on_step": "after", "on_step": "after", "_on_event": "after",
    "_on_rollout_start": "after", "on_rollout_start": "after", "_on_rollout_end": "after", "on_rollout_end": "after",
    "_init_callback": "on_start", "_on_training_start": "on_start", "on_training_start": "on_start",
    "_on_training_end": None, "on_training_end": None,
}  # fmt: skip
_INSTEAD = {
    "on_start": "define on_start(self, model), called before the first iteration",
    "after": "define after(self, model, record), called after each iteration",
    None: "write it behind learn(...)",
}


class BaseCallback:
    """Does nothing; its methods are there to be replaced."""

    verbose = 0

    def __init__(self, verbose: int = 0) -> None:
        """`verbose` is for the callback itself, as in Stable-Baselines."""
        self.verbose = verbose

    if not TYPE_CHECKING:  # a type checker would believe that every attribute is there

        def __getattr__(self, name: str) -> Any:
            return elsewhere.of_callback(self, name)

    def on_start(self, model: Model) -> None:
        """Called before the first iteration of a `learn`."""

    def after(self, model: Model, record: Record) -> object:
        """Called after an iteration; False stops the training."""
        return True


class _Called(BaseCallback):
    """A function as a callback."""

    def __init__(self, function: Function) -> None:
        self._function = function

    def after(self, model: Model, record: Record) -> object:
        return self._function(model, record)


class CallbackList(BaseCallback):
    """Several callbacks, called in their order. All are called, whatever one of them returns."""

    def __init__(self, callbacks: Iterable[Any]) -> None:
        self.callbacks = [of(callback) for callback in callbacks]

    def on_start(self, model: Model) -> None:
        for callback in self.callbacks:
            callback.on_start(model)

    def after(self, model: Model, record: Record) -> bool:
        """False if one of them says so."""
        answers = [goes_on(callback.after(model, record)) for callback in self.callbacks]
        return all(answers)


def goes_on(answer: object) -> bool:
    """Whether training goes on after what a callback returned: not if it is False, Python's or NumPy's. Raises UserError for
    what is neither a truth value nor None."""
    if answer is None:
        return True
    if not isinstance(answer, (bool, np.bool_)):
        raise UserError(f"callback: it returned {answer!r:.60}, expected True, False or None")
    return bool(answer)


def of(given: Any) -> BaseCallback:
    """A callback from what `learn` takes. Raises UserError for anything else."""
    if given is None:
        return CallbackList([])
    if isinstance(given, BaseCallback) or not callable(given):
        _refuse_other_hooks(type(given))
    if isinstance(given, BaseCallback):
        for name, arguments in (("on_start", "model"), ("after", "model, record")):
            _check_takes(getattr(given, name), f"{type(given).__name__}.{name}", arguments)
        return given
    if isinstance(given, Sequence) and not isinstance(given, str):
        return CallbackList(given)
    if isinstance(given, type):
        raise UserError(f"callback: the class {given.__name__} given, a callback of it expected: {given.__name__}(...)")
    if callable(given):
        _refuse_variables(given)
        _check_takes(given, getattr(given, "__name__", type(given).__name__), "model, record")
        return _Called(given)
    raise UserError(f"callback: {given!r:.60} given, a function of (model, record) or a BaseCallback expected")


def _signature(function: Callable[..., Any]) -> inspect.Signature | None:
    """What a function itself takes, whatever the one takes that it wraps. None: not every callable has one."""
    try:
        return inspect.signature(function, follow_wrapped=False)
    except (TypeError, ValueError):
        return None


def _refuse_variables(function: Callable[..., Any]) -> None:
    """Raise UserError for a function of Stable-Baselines 2, which is given variables of `learn` by their names."""
    signature = _signature(function)
    if signature and [name.strip("_") for name in signature.parameters][:2] == ["locals", "globals"]:
        raise UserError(
            "callback: a function of (_locals, _globals) given, (model, record) expected: _locals['self'] is model"
        )


def _check_takes(function: Callable[..., Any], name: str, arguments: str) -> None:
    """Raise UserError for a function that cannot be called with these arguments, as those of other libraries cannot."""
    if (signature := _signature(function)) is None:
        return
    try:
        signature.bind(*arguments.split(", "))
    except TypeError as error:
        raise UserError(
            f"callback: {name}{signature} given, which cannot be called with ({arguments}): {error}"
        ) from error


def _refuse_other_hooks(cls: type) -> None:
    """Raise UserError for a class with a method of Stable-Baselines' callbacks, which would never be called. Beside it, or
    in a class made of it, there may be the method that is called here, and calls it."""
    made = cls.__mro__
    for hook, ours in _HOOKS.items():
        at = next((place for place, each in enumerate(made) if hook in vars(each)), None)
        if at is not None and not any(ours in vars(each) for each in made[: at + 1]):
            raise UserError(f"callback: {cls.__name__} has {hook}, which is never called here: {_INSTEAD[ours]}")


class _Every(BaseCallback):
    """Something that is done each time so many further steps have been taken."""

    def __init__(self, every: int, name: str) -> None:
        self.every = typed.whole(name, every)

    def on_start(self, model: Model) -> None:
        self._next = (model.num_timesteps // self.every + 1) * self.every

    def is_due(self, model: Model) -> bool:
        """Whether the steps have passed a multiple of `every`."""
        if model.num_timesteps < self._next:
            return False
        self._next = (model.num_timesteps // self.every + 1) * self.every
        return True


class EveryNTimesteps(_Every):
    """Calls another callback every `n_steps` environment steps."""

    def __init__(self, n_steps: int, callback: Any) -> None:
        super().__init__(n_steps, "n_steps")
        self._callback = of(callback)

    def on_start(self, model: Model) -> None:
        super().on_start(model)
        self._callback.on_start(model)

    def after(self, model: Model, record: Record) -> object:
        return self._callback.after(model, record) if self.is_due(model) else True


class CheckpointCallback(_Every):
    """Saves the model to SAVE_PATH/NAME_PREFIX_N_steps.zip every `save_freq` environment steps."""

    def __init__(self, save_freq: int, save_path: str | Path, name_prefix: str = "rl_model", **others: Any) -> None:
        elsewhere.refuse("CheckpointCallback", CheckpointCallback, others)
        super().__init__(save_freq, "save_freq")
        self._folder, self._prefix = Path(save_path), name_prefix

    def after(self, model: Model, record: Record) -> object:
        if self.is_due(model):
            model.save(self._folder / f"{self._prefix}_{model.num_timesteps}_steps.zip")
        return True


class EvalCallback(_Every):
    """Evaluates every `eval_freq` environment steps, in environments apart from those of training, always from the same
    initial states.

    The record gets `eval_return_mean`, `eval_return_std`, `eval_length_mean` and, if it is known, `eval_success_rate`.
    `callback_on_new_best` is called if the mean return is above all earlier ones, and `callback_after_eval` after each
    evaluation; either may stop the training. The best model so far is saved as `best_model.zip` in
    `best_model_save_path`.
    """

    def __init__(
        self,
        eval_env: Any = None,
        callback_on_new_best: Any = None,
        callback_after_eval: Any = None,
        n_eval_episodes: int = 5,
        eval_freq: int = 10_000,
        best_model_save_path: str | Path | None = None,
        deterministic: bool = True,
        **others: Any,
    ) -> None:
        """`eval_env`: what `evaluate` takes as `env`; None makes the model's environment."""
        elsewhere.refuse("EvalCallback", EvalCallback, others)
        super().__init__(eval_freq, "eval_freq")
        episodes = typed.whole("n_eval_episodes", n_eval_episodes)
        self._env, self._episodes, self._deterministic = eval_env, episodes, deterministic
        self._on_best, self._after_eval = of(callback_on_new_best), of(callback_after_eval)
        self._folder = None if best_model_save_path is None else Path(best_model_save_path)
        self.best_mean_reward: float | None = None
        self.evaluations: list[tuple[int, float, float]] = []  # steps, mean and standard deviation of the return

    def on_start(self, model: Model) -> None:
        super().on_start(model)
        for callback in (self._on_best, self._after_eval):
            callback.on_start(model)

    def after(self, model: Model, record: Record) -> object:
        for name in ("eval_return_mean", "eval_return_std", "eval_length_mean"):
            record.setdefault(name, None)  # that there are evaluations is seen by those behind this one
        if not self.is_due(model):
            return True
        found = model.evaluate(self._episodes, deterministic=self._deterministic, env=self._env, periodic=True)
        record["eval_return_mean"], record["eval_return_std"] = found.mean, found.std
        record["eval_length_mean"] = float(found.lengths.mean())
        if found.success_rate is not None:
            record[EVAL_SUCCESS] = found.success_rate
        self.evaluations.append((model.num_timesteps, found.mean, found.std))
        better = True
        if self.best_mean_reward is None or found.mean > self.best_mean_reward:
            self.best_mean_reward = found.mean
            if self._folder is not None:
                model.save(self._folder / "best_model.zip")
            better = goes_on(self._on_best.after(model, record))
        return goes_on(self._after_eval.after(model, record)) and better


class StopTrainingOnRewardThreshold(BaseCallback):
    """Stops once the return of an evaluation, or, without evaluations, of an iteration's episodes, reaches a threshold."""

    def __init__(self, reward_threshold: float, **others: Any) -> None:
        elsewhere.refuse("StopTrainingOnRewardThreshold", StopTrainingOnRewardThreshold, others)
        if not isinstance(reward_threshold, (int, float, np.number)) or math.isnan(reward_threshold):
            raise UserError(f"reward_threshold: {reward_threshold!r:.60} given, a number expected")
        self._threshold = reward_threshold

    def after(self, model: Model, record: Record) -> bool:
        found = record.get("eval_return_mean", record.get("return_mean"))
        return found is None or found < self._threshold


class StopTrainingOnNoModelImprovement(BaseCallback):
    """Stops once more than `max_no_improvement_evals` evaluations in a row (without evaluations: iterations) have brought no
    new best return. The first `min_evals` of them do not count."""

    def __init__(self, max_no_improvement_evals: int, min_evals: int = 0, **others: Any) -> None:
        elsewhere.refuse("StopTrainingOnNoModelImprovement", StopTrainingOnNoModelImprovement, others)
        self._most = typed.whole("max_no_improvement_evals", max_no_improvement_evals, 0)
        self._least = typed.whole("min_evals", min_evals, 0)
        self._best: float | None = None
        self._seen = self._without = 0

    def after(self, model: Model, record: Record) -> bool:
        found = record.get("eval_return_mean", record.get("return_mean"))
        if found is None:
            return True
        self._seen += 1
        if self._best is None or found > self._best:
            self._best, self._without = found, 0
        elif self._seen > self._least:
            self._without += 1
        return self._without <= self._most  # as in Stable-Baselines3


class StopTrainingOnMaxEpisodes(BaseCallback):
    """Stops once `max_episodes` episodes have ended since `learn` began, over all ranks and environments."""

    def __init__(self, max_episodes: int, **others: Any) -> None:
        elsewhere.refuse("StopTrainingOnMaxEpisodes", StopTrainingOnMaxEpisodes, others)
        self._most = typed.whole("max_episodes", max_episodes)
        self._before = 0

    def on_start(self, model: Model) -> None:
        self._before = model.num_episodes

    def after(self, model: Model, record: Record) -> bool:
        return (record.get("episodes") or 0) - self._before < self._most
