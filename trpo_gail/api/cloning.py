"""Behavioural cloning as a model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import torch

from trpo_gail import cloning, seeding
from trpo_gail.api import elsewhere
from trpo_gail.api.datasets import demonstrations_of
from trpo_gail.api.model import Model, caution, threads
from trpo_gail.api.settings import POLICIES, both_layers, checked
from trpo_gail.api.words import in_words
from trpo_gail.build import make_policy
from trpo_gail.config.files import from_dict
from trpo_gail.config.leaves import build
from trpo_gail.config.tree import CloningConfig, Config
from trpo_gail.envs import vector
from trpo_gail.errors import UserError
from trpo_gail.experts.checks import cautions
from trpo_gail.experts.data import Demonstrations
from trpo_gail.hangs import LIMIT_S
from trpo_gail.networks.placing import share
from trpo_gail.parallel import Workers
from trpo_gail.policies.policy import Policy
from trpo_gail.records import Record, Stats
from trpo_gail.runs import checkpoint, start
from trpo_gail.runs.preparing import prepare_alike
from trpo_gail.system import typed


class BC(Model):
    """Supervised learning of the expert's actions: the environment is asked for its spaces, and for evaluations."""

    _expert: Demonstrations | None = None  # as the policy takes them, once they are needed
    _best = 0  # steps of Adam of the policy that was kept

    @in_words
    def __init__(
        self,
        policy: Any,
        env: Any,
        expert_dataset: Any = None,
        verbose: int = 0,
        *,
        hidden_size: int | tuple[int, ...] | None = None,
        seed: int | None = 0,
        **fields: Any,
    ) -> None:
        """A model that clones `expert_dataset`; `policy`, `env` and `expert_dataset` are as `GAIL` takes them.

        `fields` are those of `trpo-gail clone`: batch_size, stepsize, train_share, eval_every (steps between looks at the
        validation score), hidden_sizes and others. A collective. Raises UserError, in one line.
        """
        if not isinstance(policy, str) or policy not in POLICIES:
            raise UserError(f"policy: {policy!r:.60} given, one of {', '.join(POLICIES)} expected")
        if expert_dataset is None:
            raise UserError("expert_dataset: demonstrations are needed to clone them")
        workers = Workers.world()
        with workers.alike():
            name = self._prepare(env, workers, verbose, None)
            if hidden_size is not None:
                fields["hidden_sizes"] = both_layers(hidden_size)
            given = dict(checked(CloningConfig, field, value) for field, value in fields.items())
            given["seed"] = workers.share(seeding.drawn() if seed is None else typed.whole("seed", seed, 0))
            self._cloning = build(CloningConfig, given | {"env": name, "expert": ""})
            self._dataset = workers.together(lambda: demonstrations_of(expert_dataset))
            named = dataclasses.replace(self._cloning, expert="expert_dataset")  # a name, since they are no file
            made = dataclasses.replace(named.run_config(), num_envs=workers.size, expert=None, eval_every=0)
            self.config = made
            expert = self._pairs()
            self._policy = make_policy(self.config, self.spec)
            kwargs = made.env_arguments if self._source is None else None
            own = cautions.of_first_policy(expert, self.spec, made.policy.init_log_std)
            for text in (*vector.cautions(self.spec), *cautions.of_run(expert, self._task(), None, kwargs), *own):
                caution(workers, text)

    def _pairs(self) -> Demonstrations:
        """Demonstrations as the policy takes them; sets the environment's spec. A collective. Raises UserError."""
        if self._expert is None:
            workers = self.workers
            self._require_env()
            learning = dataclasses.replace(self._resolved(), init_policy=start.CLONE)  # what is done with the pairs
            with workers.guarded():
                setting, expert, env = prepare_alike(learning, workers, self._dataset, self._source, plays=False)
                env.close()
            self._setting, self._expert, self.spec = setting, expert, env.spec
        assert self._expert is not None
        return self._expert

    def _resolved(self) -> Config:
        """The config of this process; of a loaded model with what `auto` became."""
        made = dataclasses.replace(self.config, num_envs=self.workers.size)
        if self._content is None:
            return made
        return dataclasses.replace(made, backend=self._setting.backend, actions=self._setting.actions)

    @property
    def policy(self) -> Policy:
        self._moved()
        return self._policy

    @in_words
    def learn(
        self,
        total_timesteps: int | None = None,
        *,
        n_epochs: int | None = None,
        log_interval: int = 1,
        rank_timeout: float = LIMIT_S,
        **others: Any,
    ) -> BC:
        """Clone by `total_timesteps` steps of Adam, or by `n_epochs` passes over the pairs to learn from; by default by
        as many steps as `trpo-gail clone` takes. Each call begins with a new policy. A collective; returns the model.

        The policy of the best validation score is kept. With `verbose`, every `log_interval`-th look at that score is
        printed. Rank 0 alone learns, since there is little to share out; `rank_timeout` is as in `GAIL.learn`. Raises
        UserError.
        """
        elsewhere.refuse("BC.learn", self.learn, others)
        expert, workers = self._pairs(), self.workers
        config = self._of_length(total_timesteps, n_epochs, len(expert.actions))
        typed.whole("log_interval", log_interval)
        self.logger.print_every(log_interval if self.verbose else 0)
        policy = make_policy(self.config, self.spec)
        records: list[Record] = []

        def learn() -> Stats | None:
            if not workers.main:
                return None
            return cloning.clone(
                policy,
                expert.observations,
                expert.actions,
                config,
                lambda row: records.append({**row}),
                each=workers.pulse.move,
            )

        with workers.guarded(rank_timeout), threads(workers), torch.enable_grad(), workers.pulse.during("cloning"):
            best = workers.share(workers.together(learn))
        assert best is not None
        for record in workers.share(records):
            self.logger.add(record)
        share(workers, policy)
        self._policy, self._best = policy, int(best["iteration"])
        self._moved()
        return self

    def _of_length(self, steps: int | None, epochs: int | None, pairs: int) -> CloningConfig:
        """The config with another number of steps of Adam. Raises UserError."""
        if steps is not None and epochs is not None:
            raise UserError("learn: total_timesteps and n_epochs given, one of the two expected")
        config = self._cloning
        if epochs is not None:
            each = cloning.steps_per_pass(pairs, config.train_share, config.batch_size)
            steps = typed.whole("n_epochs", epochs) * each
        return (
            config if steps is None else dataclasses.replace(config, iterations=typed.whole("total_timesteps", steps))
        )

    # ---- files -------------------------------------------------------------------------------------------------------

    def _state(self) -> dict[str, Any]:
        return checkpoint.content_of_policy(self._policy, self._best, self.config, self.spec)

    def _extra(self) -> dict[str, Any]:
        return {"cloning": dataclasses.asdict(self._cloning)}

    def _read(self, file: Path) -> None:
        super()._read(file)
        assert self._content is not None
        self._cloning = from_dict(CloningConfig, self._content["model"]["cloning"], str(file))
        self._policy, self._best = self._loaded_policy(), self._content["iteration"]
