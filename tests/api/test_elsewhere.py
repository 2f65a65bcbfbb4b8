"""What Stable-Baselines' users write that is not there is answered in one line that says what to write."""

from __future__ import annotations

import operator
import re
import warnings
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from small import CARTPOLE

from trpo_gail import BC, PPO, BaseCallback, ExpertDataset, UserError, generate_expert_traj
from trpo_gail.api import callbacks, elsewhere


def model() -> PPO:
    return PPO(
        "MlpPolicy", "CartPole-v1", **{name: CARTPOLE[name] for name in ("num_envs", "timesteps_per_batch", "backend")}
    )


@pytest.mark.parametrize(
    ("call", "line"),
    [
        (
            lambda: model().learn(256, eval_env=None, eval_freq=10),
            r"^eval_env: no parameter of learn: use callback=Eval",
        ),
        (lambda: model().learn(256, nonsense=3), r"^nonsense: no parameter of learn"),
        (
            lambda: model().predict(np.zeros(4), mask=None),
            r"^mask: no parameter of predict: use episode_start, or leave",
        ),
        (
            lambda: PPO.load("x", device="cpu"),
            r"^device: no parameter of load: leave it out: a model stays on the device",
        ),
        (lambda: model().evaluate(n_eval_episodes=3), r"^n_eval_episodes: no parameter of evaluate: use n_episodes$"),
        (lambda: model().pretrain(adam_epsilon=1e-8), r"^adam_epsilon: no parameter of pretrain: leave it out$"),
        (
            lambda: generate_expert_traj(lambda obs: 0, image_folder="x"),
            r"^image_folder: no parameter of generate_expert_traj: leave it out: a save_path that ends in .h5 holds images",
        ),
        (
            lambda: BC.learn(Mock(BC), callback=None),
            r"^callback: no parameter of BC.learn: leave it out: `logger.records`",
        ),
        (lambda: PPO.load("x", custom_objects={}), r"^custom_objects: no parameter of load: leave it out"),
        (lambda: PPO.load("x", verbos=1), r"^verbos: no parameter of load: is 'verbose' meant\?$"),
        (
            lambda: PPO.load("x", colour=1),
            r"^colour: no parameter of load: expected of path, env, verbose, tensorboard_log$",
        ),
        (
            lambda: ExpertDataset("x", sequential_preprocessing=False),
            r"^sequential_preprocessing: no parameter of Expert",
        ),
        (
            lambda: callbacks.EvalCallback(log_path="x"),
            r"^log_path: no parameter of EvalCallback: leave it out: the rec",
        ),
        (
            lambda: callbacks.CheckpointCallback(9, "x", verbose=1),
            r"^verbose: no parameter of CheckpointCallback: leave",
        ),
        (lambda: callbacks.StopTrainingOnRewardThreshold(9, verbose=1), r"^verbose: no parameter of StopTrainingOnRew"),
        (lambda: callbacks.StopTrainingOnMaxEpisodes(9, verbose=1), r"^verbose: no parameter of StopTrainingOnMaxEpis"),
        (lambda: callbacks.StopTrainingOnNoModelImprovement(9, min_eval=1), r"^min_eval: .*: is 'min_evals' meant\?$"),
        (
            lambda: callbacks.of(lambda _locals, _globals: True),
            r"a function of \(_locals, _globals\) given, \(model, rec",
        ),
    ],
)
def test_a_keyword_is_answered(call: Any, line: str) -> None:
    with pytest.raises(UserError, match=line):
        call()


@pytest.mark.parametrize("name", ["set_env", "get_env", "env", "n_envs", "get_parameters", "set_parameters"])
def test_an_attribute_of_a_model_is_answered(name: str) -> None:
    made: Any = model()
    assert not hasattr(made, name)
    with pytest.raises(AttributeError, match=rf"^PPO has no {name}: \w"):
        getattr(made, name)
    with pytest.raises(AttributeError, match="'PPO' object has no attribute 'nonsense'"):
        _ = made.nonsense


def test_what_an_answer_names_is_there() -> None:
    made: Any = model()
    for name, path in (("gamma", "gamma"), ("device", "device"), ("learning_rate", "ppo.learning_rate")):
        with pytest.raises(AttributeError, match=rf"^PPO has no {name}: use config.{path}$"):
            getattr(made, name)
    with pytest.raises(
        AttributeError, match=r"^PPO has no action_probability: use policy\(policy.normaliser\(rows\)\)"
    ):
        made.action_probability(0)
    shown = made.policy(made.policy.normaliser(torch.zeros(3, 4)))
    assert shown.log_prob(torch.tensor([0, 1, 1])).shape == shown.entropy().shape == (3,)
    with pytest.raises(AttributeError, match=r"^PPO: its logger cannot be replaced: use logger.add_sink\(function\)$"):
        made.logger = print


def test_an_attribute_of_a_dataset_is_answered() -> None:
    made: Any = ExpertDataset(traj_data=(np.zeros((3, 4)), np.array([0, 1, 1])), verbose=0)
    for name, instead in elsewhere._OF_DATASETS.items():
        with pytest.raises(AttributeError, match=rf"^ExpertDataset has no {name}: {re.escape(instead)}$"):
            getattr(made, name)
        if found := re.search(r"(demonstrations\.\w+)", instead):
            assert operator.attrgetter(found[1])(made) is not made


def test_an_error_within_a_property_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    made = model()
    monkeypatch.setattr(PPO, "_moved", lambda self: self.inner.nothing)
    with pytest.raises(AttributeError, match="'inner'"):
        _ = made.policy


@pytest.mark.parametrize("name", ["n_calls", "num_timesteps", "logger", "model", "training_env", "locals", "globals"])
def test_an_attribute_of_a_callback_is_answered(name: str) -> None:
    class Mine(BaseCallback):
        def after(self, model: Any, record: Any) -> None:
            getattr(self, name)

    with pytest.raises(AttributeError, match=rf"^Mine has no {name}: .*(model|record)"):
        model().learn(256, Mine())


class Own(BaseCallback):
    """Has attributes of these names."""

    def __init__(self) -> None:
        super().__init__()
        self.n_calls = 0

    def after(self, model: Any, record: Any) -> None:
        self.n_calls += 1


def test_a_callback_may_have_attributes_of_these_names() -> None:
    own, made = Own(), model()
    made.learn(512, own)
    assert own.n_calls == len(made.logger.records) > 1


@pytest.mark.parametrize(
    "name",
    ["gamma", "max_kl", "learning_rate", "ent_coef", "batch_size", "env", "d_stepsize", "expert_dataset", "run_folder"],
)
def test_a_setting_that_is_set_on_a_model_is_warned_of(name: str) -> None:
    made: Any = model()
    with pytest.warns(UserWarning, match=f"^{name}: set on a PPO, which changes nothing of its training"):
        setattr(made, name, 3)


def test_a_model_may_have_other_attributes() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        made: Any = model()
        made.verbose, made.tensorboard_log, made.mine = 0, None, 3
    made.learn(256)
    assert made.mine == 3
