"""What every model has: a policy that acts, is evaluated, saved and loaded."""

from __future__ import annotations

import dataclasses
import os
import tempfile
import warnings
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
import torch

from trpo_gail.api import elsewhere
from trpo_gail.api.logger import Logger
from trpo_gail.api.settings import is_setting
from trpo_gail.api.words import in_python, in_words
from trpo_gail.build import make_policy
from trpo_gail.config.tree import Config
from trpo_gail.envs import sources, vector
from trpo_gail.envs.sources import Source
from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations as Held
from trpo_gail.experts.own import Demonstrations
from trpo_gail.experts.save import save as save_demonstrations
from trpo_gail.networks.threads import that_pay
from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.runs import checkpoint
from trpo_gail.runs.evaluate import FINAL, PERIODIC, Acting, Evaluator
from trpo_gail.runs.setting import Setting
from trpo_gail.seeding import EVAL_NOISE, stream
from trpo_gail.spaces import alike
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.system import typed, whole_file

M = TypeVar("M", bound="Model")
_MODEL = {"class", "given", "setting", "demonstrations"}  # what a model's file holds beside a checkpoint


class Evaluation(NamedTuple):
    """Returns of whole episodes; the first two are what Stable-Baselines' `evaluate_policy` returns."""

    mean: float
    std: float
    returns: np.ndarray  # [E]
    lengths: np.ndarray  # [E] steps
    success_rate: float | None = None  # share of the successes, if it is known


class Model(ABC):
    """Config, environment, demonstrations and a policy. Under mpirun every rank has one, and they work together."""

    config: Config
    spec: EnvSpec
    logger: Logger
    workers: Workers

    def _prepare(self, env: Any, workers: Workers, verbose: int, tensorboard_log: str | Path | None) -> str:
        """Take in what all constructors have; the environment's name."""
        self._source = workers.together(lambda: _source(env))
        self._start(workers, verbose, tensorboard_log)
        return env if self._source is None else self._source.reference.name

    def _task(self) -> str:
        """Whose returns the environment has, if a file of demonstrations names another."""
        return self.config.env if self._source is None else self._source.reference.task

    def _start(self, workers: Workers, verbose: int, tensorboard_log: str | Path | None) -> None:
        self.workers, self.verbose, self.tensorboard_log = workers, verbose, tensorboard_log
        self.logger = Logger(workers)
        self._content: dict[str, Any] | None = None  # of the file that it was loaded from, until it is used
        self._packed: torch.Tensor | None = None
        self._acting: Acting | None = None
        self._watched: list[torch.Tensor] = []  # the policy's parts, which whoever holds it may write to
        self._acted_by: list[int] = []  # how often each had been written to when `_acting` was made
        self._rng: np.random.Generator | None = None  # of actions that are not deterministic
        self._dataset: Held | None = None
        self._learns = False  # just now

    if not TYPE_CHECKING:  # a type checker would believe that every attribute is there

        def __getattr__(self, name: str) -> Any:
            return elsewhere.of_model(self, name)

        def __setattr__(self, name: str, value: Any) -> None:
            """An attribute of the user's own may have any name, but by some a user expects to change a setting."""
            if name == "logger" and not isinstance(value, Logger):
                raise AttributeError(
                    f"{type(self).__name__}: its logger cannot be replaced: use logger.add_sink(function)"
                )
            super().__setattr__(name, value)
            workers = vars(self).get("workers")
            if not name.startswith("_") and is_setting(name) and (workers is None or workers.main):
                warnings.warn(
                    f"{name}: set on a {type(self).__name__}, which changes nothing of its training: its settings are those "
                    "that it was made with",
                    stacklevel=2,
                )

    # ---- the policy --------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def policy(self) -> Policy:
        """The policy as a torch module: normalised observations -> distribution over actions."""

    @property
    def num_timesteps(self) -> int:
        """Environment steps from which it has learned."""
        return 0

    @property
    def num_episodes(self) -> int:
        """Episodes that ended while it learned, over all ranks and environments."""
        return 0

    @property
    def observation_space(self) -> Any:
        return self.spec.observation_space

    @property
    def action_space(self) -> Any:
        """The environment's own action space, in its own units."""
        return self.spec.executed_space

    @property
    def seed(self) -> int:
        """Every random stream of the model derives from it."""
        return self.config.seed

    @in_words
    def predict(
        self,
        observation: Any,
        state: Any = None,
        episode_start: Any = None,
        deterministic: bool = False,
        **others: Any,
    ) -> tuple[np.ndarray, None]:
        """The action for an observation, or actions for a batch [n, ...], in the environment's own structure; and None.

        `state` and `episode_start` are there because Stable-Baselines' functions pass them: the policy keeps no state.
        Raises UserError for an observation of another shape.
        """
        elsewhere.refuse("predict", self.predict, others)
        if state is not None:
            raise UserError(f"state: {state!r:.60} given, None expected: the policy keeps no state")
        if self._rng is None:
            self._rng = stream(self.seed, EVAL_NOISE)
        if self._acting is None or self._acted_by != [values._version for values in self._watched]:
            policy = self.policy
            self._watched = [*policy.parameters(), *policy.buffers()]
            self._acted_by = [values._version for values in self._watched]
            self._acting = Acting(policy.actor(), self.spec, self._rng)
        return self._acting.predict(observation, deterministic), None

    def _moved(self) -> None:
        """The policy has changed."""
        self._acting = None

    # ---- evaluation --------------------------------------------------------------------------------------------------

    @in_words
    def evaluate(
        self,
        n_episodes: int = 50,
        deterministic: bool = True,
        env: Any = None,
        periodic: bool = False,
        **others: Any,
    ) -> Evaluation:
        """Returns over whole episodes, in environments made for it, with the environment's own reward. A collective.

        The seed decides the initial states, so they are the same at each call; those of `periodic` evaluations are
        others. `env` is another environment with the same spaces: an id, an object or a function. Raises UserError.
        """
        elsewhere.refuse("evaluate", self.evaluate, others)
        n_episodes = typed.whole("n_episodes", n_episodes)
        actor = self.policy.actor()
        pulse = self.workers.pulse
        with self.workers.guarded(), threads(self.workers, self.policy), pulse.during("evaluation"):
            done = self._evaluator(env).run(
                actor, n_episodes, PERIODIC if periodic else FINAL, stochastic=not deterministic
            )
        mean, std = float(done.returns.mean()), float(done.returns.std())
        return Evaluation(mean, std, done.returns, done.lengths, done.success_rate)

    def _evaluator(self, env: Any) -> Evaluator:
        if env is None:
            self._require_env()
            return Evaluator(self.config, self.spec, self.workers, self._source)
        config, source = self.config, self.workers.together(lambda: _source(env))
        if isinstance(env, str):
            config = dataclasses.replace(config, env=env, env_kwargs="{}", backend="auto")
        spec = self.workers.together(lambda: self._fitting(config, source))
        return Evaluator(config, spec, self.workers, source)

    def _fitting(self, config: Config, source: Source | None) -> EnvSpec:
        """The spec of another environment. Raises UserError if the policy does not fit it."""
        found = vector.spec_of(config.env, config.backend, source=source, **config.env_settings)
        alike.check_fits(found, self.spec, "env")
        return found.viewed(self.spec.action_view)

    def _require_env(self) -> None:
        if self._source is None and self._content is not None and self._content["model"]["given"]:
            raise UserError(
                f"env: this model's environment {self.spec.id!r} was given as an object, which no file holds: "
                f"{type(self).__name__}.load(path, env=...) expected"
            )

    def __reduce_ex__(self, protocol: Any) -> Any:
        raise UserError(
            f"{type(self).__name__}: a model has environments and threads, which cannot be copied or pickled: "
            "save(path), and load(path) where it is needed, expected"
        )

    # ---- files -------------------------------------------------------------------------------------------------------

    @in_words
    def save(self, path: str | Path) -> None:
        """Write the whole model to one file, `.zip` if the name has no ending: `load` gives a model that goes on
        learning exactly as this one would. (Only the draws of `predict`, on which no learning depends, begin anew.) A
        collective; rank 0 writes. Raises UserError if the file cannot be written."""
        with self.workers.guarded(), self.workers.pulse.during("saving"):
            out = self.workers.together(lambda: _file(path))
            content = self._state()
            held = content.get("model") or {
                "class": type(self).__name__,
                "given": self._by_no_name(),
                "setting": dataclasses.asdict(self._setting),
                "demonstrations": self.workers.together(lambda: self._demonstrations(out)),
                **self._extra(),
            }
            self.workers.together(lambda: _write(out, content | {"model": held}) if self.workers.main else None)

    def _by_no_name(self) -> bool:
        """Whether the environment was given as an object that no name makes again, or as several, which may differ."""
        if self._source is None:
            return self._content is not None and self._content["model"]["given"]
        return self._source.reference.lacks is not None or self._source.suits is not None

    @abstractmethod
    def _state(self) -> dict[str, Any]:
        """The content of a checkpoint. A collective."""

    def _extra(self) -> dict[str, Any]:
        """What a kind of model keeps besides."""
        return {}

    _setting: Setting  # what `auto` became

    def _demonstrations(self, out: Path) -> torch.Tensor | None:
        """Rank 0: the demonstrations as the bytes of a native file [n] uint8, for `out`. Raises UserError."""
        if self._dataset is None or not self.workers.main:
            return None
        if self._packed is None:
            with _passing(out) as file:
                save_demonstrations(file, self._dataset)
                content = file.read_bytes()
            self._packed = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        return self._packed

    @classmethod
    @in_words
    def load(
        cls: type[M],
        path: str | Path,
        env: Any = None,
        *,
        verbose: int = 0,
        tensorboard_log: str | Path | None = None,
        **others: Any,
    ) -> M:
        """The model in a file that `save` wrote; reading the file executes no code in it. A collective.

        `env` is needed if the model's environment was an object, and then only to go on learning or to evaluate. Raises
        UserError if the file is missing, damaged, or of another class.
        """
        elsewhere.refuse("load", cls.load, others)
        workers = Workers.world()
        made = cls.__new__(cls)
        made._start(workers, verbose, tensorboard_log)
        with workers.guarded():
            workers.together(lambda: made._read(_saved(path)))
            made._source = workers.together(lambda: None if env is None else _source(env))
        if isinstance(env, str) and env != made.spec.id:
            raise UserError(f"env: {env!r} given, but {path} learned on {made.spec.id!r}")
        if isinstance(env, str) and made._content is not None:
            made._content["model"]["given"] = False  # from here on its id makes it
        return made

    def _read(self, file: Path) -> None:
        content = checkpoint.read(file)
        held = content.get("model")
        if not isinstance(held, dict) or not held.keys() >= _MODEL:
            raise UserError(
                f"{file}: a checkpoint of a run, not a model that save wrote; load_policy(RUN) is for those"
            )
        if held["class"] != type(self).__name__:
            raise UserError(f"{file}: holds a model of {held['class']}: {held['class']}.load expected")
        self._content, self.config, self.spec = (
            content,
            checkpoint.config_of(content, file),
            checkpoint.spec_of(content),
        )
        self._setting = Setting(**held["setting"])
        if held["demonstrations"] is not None:
            self._dataset = _unpacked(held["demonstrations"], file)

    def _loaded_policy(self) -> Policy:
        """Of the file, on the CPU."""
        assert self._content is not None
        made = make_policy(self.config, self.spec)
        made.load_state_dict(self._content["learner"]["policy"])
        return made


def _unpacked(content: torch.Tensor, file: Path) -> Held:
    with _passing(file) as unpacked:
        unpacked.write_bytes(content.numpy().tobytes())
        held = Demonstrations.load(unpacked)
    return dataclasses.replace(held, path=f"demonstrations of {file.name}")


@contextmanager
def _passing(file: Path) -> Iterator[Path]:
    """A file for a model's demonstrations on their way to or from `file`. Raises UserError, with its name, for a disk that
    refuses."""
    where = tempfile.gettempdir()
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder) / "demonstrations.h5"
    except (OSError, UserError) as error:
        cause = error if isinstance(error, OSError) else error.__cause__
        if not isinstance(cause, OSError):
            raise
        reason = os.strerror(cause.errno) if cause.errno else str(cause)
        raise UserError(f"{file}: its demonstrations go through the temporary folder {where}: {reason}") from error


def _file(path: str | Path) -> Path:
    """The path with an ending, and whatever the working directory becomes. Raises UserError."""
    named = whole_file.named("path", path)
    if not named.name or named.name == ".." or str(path).endswith("/"):
        raise UserError(f"path: {str(path)!r:.60} given, the name of a file expected")
    found = named.absolute()
    return found if found.suffix else found.with_suffix(".zip")


def _write(out: Path, content: dict[str, Any]) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    checkpoint.write_sealed(out, content, "model")


def _saved(path: str | Path) -> Path:
    """The file that `save` wrote. Raises UserError for a run folder."""
    found = _file(path)
    if Path(path).is_dir() and not found.is_file():
        raise UserError(f"{path}: a folder, a file that save wrote expected; load_policy(RUN) is for run folders")
    return found


@contextmanager
def threads(workers: Workers, policy: Policy | None = None) -> Iterator[None]:
    """As many threads as pay for this policy, or one; afterwards as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(that_pay(policy, workers.threads()) if policy else 1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _source(env: Any) -> Source | None:
    """What makes an environment that is no name. It is called on all ranks, since one of them may be given a name and
    another an object. Raises UserError."""
    return None if isinstance(env, str) else sources.of(env)


def caution(workers: Workers, texts: list[str] | str) -> None:
    """Python's warnings, on the first rank."""
    for text in [texts] if isinstance(texts, str) else texts:
        if workers.main:
            warnings.warn(in_python(text), stacklevel=5)
