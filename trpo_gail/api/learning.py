"""Models that learn in an environment: the learner, the loop and the checkpoints of the command line."""

from __future__ import annotations

import contextlib
import copy
import dataclasses
import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from trpo_gail import cloning, seeding
from trpo_gail.api import callbacks, elsewhere, rewards
from trpo_gail.api.callbacks import BaseCallback
from trpo_gail.api.datasets import ExpertDataset, demonstrations_of
from trpo_gail.api.folder import Folder
from trpo_gail.api.model import Evaluation, Model, caution, threads
from trpo_gail.api.rewards import DiscriminatorView, Rewarding
from trpo_gail.api.session import Session
from trpo_gail.api.settings import config_of
from trpo_gail.api.words import in_words
from trpo_gail.build import make_learner
from trpo_gail.config import choices
from trpo_gail.config.presets import changed
from trpo_gail.config.tree import CloningStartConfig, Config
from trpo_gail.errors import UserError
from trpo_gail.experts.checks import fit
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.load import load
from trpo_gail.exports.reward_function import RewardFunction
from trpo_gail.hangs import LIMIT_S
from trpo_gail.learner import Learner
from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.runs import checkpoint, opening, start
from trpo_gail.runs.console import View
from trpo_gail.runs.preparing import in_rows, located, prepare_alike, reward_file, same_everywhere
from trpo_gail.sampling.rollout import never
from trpo_gail.spaces import alike
from trpo_gail.spaces.spec import EnvSpec
from trpo_gail.system import typed
from trpo_gail.system.stopping import StopRequest

L = TypeVar("L", bound="LearningModel")


class LearningModel(Model):
    """A policy, a critic, a generator that improves the policy, and an adversary that pays it."""

    _offset: int  # environment steps at which `num_timesteps` is 0
    _target: int  # environment steps that all calls of `learn` ask for
    _folder: Folder | None
    _pretrains_on: ExpertDataset | None = None  # whose share and batch size `pretrain` takes; a loaded model has none

    @in_words
    def _make(
        self,
        policy: Any,
        env: Any,
        expert_dataset: Any,
        *,
        preset: str,
        choices: Mapping[str, Any],
        seed: int | None,
        verbose: int,
        tensorboard_log: str | Path | None,
        run_folder: str | Path | None,
        policy_kwargs: Mapping[str, Any] | None,
        fields: Mapping[str, Any],
    ) -> None:
        """What the constructors do. A collective. Raises UserError."""
        workers = Workers.world()
        with workers.alike():
            name = self._prepare(env, workers, verbose, tensorboard_log)
            top = {**choices, "seed": workers.share(seeding.drawn() if seed is None else seed)}
            self.config = config_of(name, policy, policy_kwargs, preset, top, **self._environments(fields))
            if expert_dataset is not None:
                self._dataset = workers.together(lambda: demonstrations_of(expert_dataset))
                self._pretrains_on = expert_dataset if isinstance(expert_dataset, ExpertDataset) else None
            elif self.config.imitates:
                unless = ", unless its attribute imitates is False" if ":" in self.config.adversary else ""
                raise UserError(
                    f"expert_dataset: demonstrations are needed with adversary {self.config.adversary!r}{unless}"
                )
            self._follow()
            self._folder = None if run_folder is None else Folder(run_folder, workers)
            self._offset = self._target = 0
            self._build()
            if workers.main:
                for text in (*self._cautions(), *_no_image(policy, self.spec)):
                    caution(workers, text)

    def _environments(self, fields: Mapping[str, Any]) -> dict[str, Any]:
        """The fields, with as many environments as an object can give."""
        source, given = self._source, dict(fields)
        if source is None:
            return given
        if source.most is None:
            return given if source.suits is None else {"num_envs": source.suits, **given}
        total = source.most * self.workers.size
        if source.most == 1 or given.get("num_envs", total) != total:
            some = "1 environment is run" if source.most == 1 else f"{source.most} environments are run"
            caution(
                self.workers,
                f"{source.why}: {some} on each rank; a function that makes an environment gives any number of them",
            )
        return given | {"num_envs": total}

    def _follow(self) -> None:
        """With a policy of another run, its network's fields are that run's."""
        if self.config.starts_from_run:
            network = self.workers.together(lambda: start.network_of(str(self.config.init_policy)))
            self.config = changed(self.config, network)

    # ---- the learner -------------------------------------------------------------------------------------------------

    def _build(self) -> None:
        """Environments and a learner, as new or as the file left it. A collective. Raises UserError."""
        self._require_env()
        workers = self.workers
        with workers.guarded(), threads(workers):
            asked = self.config
            if self._content is not None:
                workers.together(lambda: self._check_env(self._source))
                # What `auto` became stays.
                held = self._setting
                file = reward_file(asked, held)
                asked = dataclasses.replace(asked, backend=held.backend, actions=held.actions, reward_file=file)
            setting, self._expert, self._env = prepare_alike(asked, workers, self._dataset, self._source)
            workers.together(lambda: same_everywhere(self._expert, workers))
            if self._content is not None:
                workers.together(self._check_limit)
            self._setting, self.spec = setting, self._env.spec
            if self._content is not None:
                # The policy is the one that was handed out, with what was changed in it since.
                state = self._state()
                self._learner = self._made(self._policy)
                checkpoint.put(state, self._learner)
                self._look_where_environments_are()
            else:
                self._learner = self._made(self._first_policy())
                if self.config.init_policy == start.CLONE:
                    assert self._expert is not None
                    start.clone(self.config, self._learner, self._expert, never, workers)
        self._content = None
        self._moved()

    def _check_env(self, source: Any) -> None:
        """Raise UserError if a loaded model is given another environment than it learned in, as far as a spec says."""
        found = self._fitting(dataclasses.replace(self.config, backend=self._setting.backend), source)
        alike.check_same(found, self.spec, "env")

    def _check_limit(self) -> None:
        """Likewise, of what all environments state together."""
        limits = self.spec.max_episode_steps, self._env.spec.max_episode_steps
        if limits[0] != limits[1]:
            self._env.close()
            raise UserError(f"env: it has a time limit of {limits[1]} steps, {limits[0]} expected as the model's had")

    def _look_where_environments_are(self) -> None:
        """Warn if a replay has not brought them back to where they were. A collective."""
        caution(self.workers, opening.strayed(self._learner.sampler))

    def _made(self, policy: Policy | None = None) -> Learner:
        expert = self._expert.transitions() if self._expert else None
        return make_learner(located(self.config, self._setting), self._env, expert, self.workers, policy)

    def _first_policy(self) -> Policy | None:
        if not self.config.starts_from_run:
            return None
        return self.workers.together(lambda: start.read(self.config, self.spec)).policy

    def _read(self, file: Path) -> None:
        super()._read(file)
        self._folder, self._policy = None, self._loaded_policy()
        assert self._content is not None
        self._offset, self._target = self._content["model"]["offset"], self._content["model"]["target"]
        # A callback may have saved it: what was left of that call is not made up for by the next.
        self._target = min(self._target, int(self._content["learner"]["progress"]["steps"]))

    @property
    @in_words
    def learner(self) -> Learner:
        """Everything that changes in training. A collective if the model was loaded and has not been used yet."""
        if self._content is not None:
            self._build()
        return self._learner

    @property
    def policy(self) -> Policy:
        self._moved()
        return self._policy if self._content is not None else self._learner.policy

    @property
    def num_timesteps(self) -> int:
        """True environment steps, over all ranks, since the last `learn` that reset them."""
        if self._content is not None:
            return int(self._content["learner"]["progress"]["steps"]) - self._offset
        return self._learner.progress.steps - self._offset

    @property
    def num_episodes(self) -> int:
        if self._content is not None:
            return int(self._content["learner"]["progress"]["episodes"])
        return self._learner.progress.episodes

    def _state(self) -> dict[str, Any]:
        if self._content is not None:
            learner = self._content["learner"]
            policy = {name: value.clone() for name, value in self._policy.state_dict().items()}
            return self._content | {"learner": learner | {"policy": policy}}
        return checkpoint.content_of(self._learner, self.config, self.spec, self.workers)

    def _extra(self) -> dict[str, Any]:
        return {"offset": self._offset, "target": self._target}

    def _cautions(self) -> Iterator[str]:
        """What to warn of before training."""
        yield from opening.cautions(self.config, self._env, self._expert, self._task(), self._source)
        if self._folder is not None and self._setting.env_lacks:
            yield (
                f"run_folder: the command line cannot make this environment again ({self._setting.env_lacks}): it cannot "
                "resume the run, and evaluates it by `trpo-gail evaluate RUN --env MODULE:NAME` alone; expected as env "
                '"MODULE:ID", or a function at the top of a module'
            )

    def _say(self) -> None:
        """What was decided, in the words of the command line, on the first rank."""
        if self.verbose and self.workers.main:
            lines = [opening.setting_line(self.config, self._setting, self.workers)]
            for line in (*lines, *opening.expert_lines(self.config, self.spec, self._expert)):
                print(line, flush=True)

    # ---- learning ----------------------------------------------------------------------------------------------------

    @in_words
    def learn(
        self: L,
        total_timesteps: int,
        callback: Any = None,
        log_interval: int = 1,
        tb_log_name: str | None = None,
        reset_num_timesteps: bool = True,
        progress_bar: bool = False,
        *,
        rank_timeout: float = LIMIT_S,
        **others: Any,
    ) -> L:
        """Learn for `total_timesteps` further environment steps, in whole iterations. A collective; returns the model.

        If an earlier call took more steps than asked, they count for this one, so that two calls equal one call with
        the sum of their numbers. Learning always goes on from where the model is; `reset_num_timesteps` only sets
        `num_timesteps` to 0 first. With `verbose`, a line is printed every `log_interval` iterations. On Ctrl-C, the
        iteration is finished and KeyboardInterrupt is raised: the model is whole, and can be saved. Under `mpirun`, if
        one rank takes no step while the others wait for it for `rank_timeout` seconds, all ranks end (0: they wait for
        ever). Raises UserError, and RunError for what fails. If a call ends early, its missing steps are not added to
        the next one.
        """
        elsewhere.refuse("learn", self.learn, others)
        typed.whole("total_timesteps", total_timesteps)
        typed.whole("log_interval", log_interval)
        if self._learns:
            raise UserError(
                "learn: the model is learning already, and this call comes from a callback or another thread"
            )
        hooks = callbacks.of(callback)
        self.logger.print_every(log_interval if self.verbose else 0)
        with self.workers.guarded(rank_timeout):
            if reset_num_timesteps:
                self._offset = self.learner.progress.steps
            self._target, whole = self._target + int(total_timesteps), False
            self._learns = True
            try:
                name = tb_log_name or type(self).__name__
                whole = self._learn(hooks, int(total_timesteps), name, reset_num_timesteps, progress_bar)
            finally:
                self._learns = False
                if not whole:  # what was left of this call is not made up for by the next
                    self._target = self.learner.progress.steps
        return self

    def _learn(self, hooks: BaseCallback, asked: int, name: str, anew: bool, progress_bar: bool) -> bool:
        """Learn up to the target; whether that was reached."""
        self._follow_target()
        learner = self._learner
        if learner.progress.steps >= self._target:
            caution(
                self.workers,
                f"total_timesteps: {asked} given, but earlier iterations have taken these steps already: an "
                f"iteration takes {self.config.steps_per_iteration}",
            )
        with contextlib.ExitStack() as stack:
            stack.enter_context(threads(self.workers, learner.policy))
            if not self.logger.records:
                self._say()
            stop = stack.enter_context(StopRequest("ends after this iteration"))
            session = Session(self, learner, self._folder, hooks, stop)
            session.view = stack.enter_context(View(self.workers.main, quiet=False)) if progress_bar else None
            stack.enter_context(session.outputs(name, anew))
            return session.run()

    def _follow_target(self) -> None:
        """Have schedules fall to the end of training."""
        learner, before = self.learner, self.config
        self.config = dataclasses.replace(before, steps=self._target)
        if self.config.steps != before.steps and _looks_at_end(self.config):
            state = copy.deepcopy(learner.state_dict())
            made = self._made(learner.policy)  # the same module, which may have been handed out
            made.load_state_dict(state)
            self._learner = made
            self._look_where_environments_are()

    @in_words
    def pretrain(
        self: L,
        dataset: Any = None,
        n_epochs: int = 10,
        learning_rate: float = 1e-4,
        val_interval: int | None = None,
        **others: Any,
    ) -> L:
        """Clone demonstrations (by default those that the model imitates) into the policy, before it learns. A collective.

        Cloning makes `n_epochs` passes over a share of the pairs. Every `val_interval` passes (by default a tenth of
        them), the policy is scored on the other pairs, and the policy with the best score is kept. A Gaussian's
        standard deviation stays at least as large as a new policy's. Raises UserError.
        """
        elsewhere.refuse("pretrain", self.pretrain, others)
        typed.whole("n_epochs", n_epochs)
        if val_interval is not None:
            typed.whole("val_interval", val_interval)
        if not isinstance(learning_rate, (int, float, np.number)) or not 0 < learning_rate < math.inf:
            raise UserError(f"learning_rate: {learning_rate!r:.60} given, a number above 0 expected")
        learner, workers = self.learner, self.workers
        if learner.progress.iteration:
            raise UserError(
                f"pretrain: the model has learned for {learner.progress.iteration} iterations: before, expected"
            )
        with workers.alike():
            expert = self._expert if dataset is None else workers.together(lambda: self._fitted(dataset))
            workers.together(lambda: start.check_demonstrations(expert))
        assert expert is not None
        asked = self._pretrains_on if dataset is None else dataset
        share = getattr(asked, "train_fraction", None) or CloningStartConfig.train_share
        batch = getattr(asked, "batch_size", None) or CloningStartConfig.batch_size
        each = cloning.steps_per_pass(len(expert.actions), share, batch)
        looks = max(1, n_epochs // 10) if val_interval is None else val_interval
        settings = CloningStartConfig(
            iterations=n_epochs * each,
            eval_every=looks * each,
            batch_size=batch,
            stepsize=learning_rate,
            train_share=share,
        )
        config = dataclasses.replace(self.config, init_policy=start.CLONE, cloning=settings)
        with workers.guarded():
            first, best = start.clone(config, learner, expert, never, workers)
        if self.verbose and workers.main:
            print(
                f"cloned {len(expert.actions):,} pairs: validation score {first['validation_score']:.4g} at first, "
                f"{best['validation_score']:.4g} at best",
                flush=True,
            )
        self._moved()
        return self

    def _fitted(self, dataset: Any) -> Demonstrations:
        """Demonstrations as the policy takes them. Raises UserError."""
        expert = in_rows(load(demonstrations_of(dataset)), self.config, self.spec)
        fit.check(expert, self.spec, self.config.dtype)
        if not expert.has_actions:
            raise UserError(f"{expert.path}: holds no actions to clone")
        return expert

    # ---- evaluation and rewards --------------------------------------------------------------------------------------

    @in_words
    def evaluate(
        self,
        n_episodes: int = 50,
        deterministic: bool = True,
        env: Any = None,
        periodic: bool = False,
        **others: Any,
    ) -> Evaluation:
        begun, learner = time.perf_counter(), self.learner
        with self.workers.guarded():
            found = super().evaluate(n_episodes, deterministic, env, periodic, **others)
            if env is None and self._source is not None and self._source.most is not None:
                # The evaluation took training's environments, since there are no others: put them back to where they were.
                learner.sampler.load_state_dict(learner.sampler.state_dict())
                self._look_where_environments_are()
        learner.progress.eval_s += time.perf_counter() - begun
        learner.progress.eval_steps += int(found.lengths.sum())
        return found

    @property
    @in_words
    def reward_train(self) -> Rewarding:
        """(obs, act, next_obs, done) -> the reward that training pays at the moment, without the environment's reward
        and the entropy bonus."""
        return rewards.of_training(lambda: self.learner.adversary, self.config, self.spec)

    @property
    @in_words
    def reward_test(self) -> RewardFunction:
        """(obs, act, next_obs, done) -> a copy of the learned reward to keep: g for AIRL, what training pays for
        others."""
        return rewards.to_keep(self.learner, self.config, self.spec, self._expert)

    @property
    @in_words
    def discriminator(self) -> DiscriminatorView:
        """What tells expert and learner apart: `logit_expert`, `prob_expert` and the network."""
        return DiscriminatorView(lambda: self.learner.adversary, self.config, self.spec)


def _no_image(policy: Any, spec: EnvSpec) -> Iterator[str]:
    """A warning if a network for images is asked for, and there is no image."""
    if policy == "CnnPolicy" and not spec.observations.columns("image").any():
        shaped = [part.name for part in spec.observations.parts if part.kind == "vector" and 2 <= len(part.shape) <= 4]
        how = f": images={shaped!r} has a convolutional net see what is not uint8" if shaped else ""
        yield f"policy: 'CnnPolicy' given, but no part of the observation is an image, so the network is MlpPolicy's{how}"


def _looks_at_end(config: Config) -> bool:
    """Whether parts of the learner know when training ends; those from outside may."""
    schedules = (config.ppo.schedule, config.discriminator.schedule)
    outside = config.generator not in choices.GENERATORS or config.adversary not in choices.ADVERSARIES
    return "linear" in schedules or outside
