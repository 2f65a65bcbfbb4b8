"""Python's users read keywords, not flags, and what the command line's users read at the start of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
import toys

import trpo_gail
from trpo_gail import GAIL, TRPO, UserError
from trpo_gail.api.words import in_python
from trpo_gail.cli import main
from trpo_gail.runs.experts import load_actor

SMALL: dict[str, Any] = {"num_envs": 2, "timesteps_per_batch": 64, "backend": "gymnasium", "hidden_size": 4}
EPISODES = [
    {"obs": np.full((5, 4), 0.01 * n), "acts": np.array([0, 1, 0, 1]), "rews": np.ones(4), "terminal": True}
    for n in range(3)
]


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("--trpo.max_kl: -1 given", "max_kl: -1 given"),
        ("--critic.natural_gradient.max_kl: given", "critic__natural_gradient__max_kl: given"),
        ("but --policy.hidden_sizes", "but policy__hidden_sizes"),
        ("(--no_normalise_from_expert)", "(normalise_from_expert=False)"),
        ("--critic.no_after_adversary", "after_adversary=False"),
        ("--expert: a file", "expert_dataset: a file"),
        ("more than --num_envs 4 expected", "more than num_envs 4 expected"),
        ("`trpo-gail evaluate --env X` it is", "`trpo-gail evaluate --env X` it is"),
        ("log(D) - log(1-D) --- a-b", "log(D) - log(1-D) --- a-b"),
    ],
)
def test_flags_become_keywords(text: str, line: str) -> None:
    assert in_python(text) == line


def test_a_model_says_at_the_start_what_a_run_says(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = GAIL("MlpPolicy", "CartPole-v0", EPISODES, verbose=1, **SMALL).learn(64)
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("CartPole-v0 by gymnasium, 2 environments, 1 rank(s)") and said[3].startswith(
        "iteration 1"
    )
    assert said[1] == "expert: 12 pairs of all 3 trajectories, whose return is 4.0"
    assert said[2].startswith("reward logit with absorbing states (auto: 3 of 3 demonstrations end by termination), ")
    model.learn(64)
    assert capsys.readouterr().out.startswith("iteration ")
    GAIL("MlpPolicy", "CartPole-v0", EPISODES, **SMALL).learn(64)
    assert capsys.readouterr().out == ""
    config = trpo_gail.Config("CartPole-v0", steps=64, num_envs=2, timesteps_per_batch=64, backend="gymnasium")
    config = trpo_gail.Config(**{**vars(config), "eval_every": 0, "final_episodes": 0})
    trpo_gail.train(config, tmp_path / "run", expert=EPISODES)
    assert said[:3] == capsys.readouterr().out.splitlines()[1:4]
    with pytest.raises(
        UserError, match=r"^out .*run: exists already; resume goes on with it, another out starts anew$"
    ):
        trpo_gail.train(config, tmp_path / "run", expert=EPISODES)
    with pytest.raises(UserError, match=r"^expert: 3 given, expected an ExpertDataset, Demonstrations, the path"):
        trpo_gail.train(config, tmp_path / "other", expert=3)


def test_a_run_folder_is_one_models(tmp_path: Path) -> None:
    TRPO("MlpPolicy", "CartPole-v1", run_folder=tmp_path / "run", **SMALL).learn(64)
    other = TRPO("MlpPolicy", "CartPole-v1", run_folder=tmp_path / "run", **SMALL)
    with pytest.raises(
        UserError, match=r"^run_folder: .*run exists already: another one begins a run; `trpo-gail train "
    ):
        other.learn(64)


def test_the_command_line_makes_what_python_gave(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("trpo_gail.reports.run_report.show_learning_curve", lambda *_: None)
    run = tmp_path / "run"
    TRPO("MlpPolicy", toys.Walk, run_folder=run, max_episode_steps=3, **SMALL).learn(64)
    assert main(["evaluate", str(run), "--episodes", "2"]) == 0
    assert "toys:Walk" in capsys.readouterr().out
    assert main(["train", "--out", str(run), "--resume", "--steps", "200", "--final_episodes", "0"]) == 2  # it was 50
    assert main(["train", "--out", str(run), "--resume", "--steps", "200", "--quiet"]) == 0
    assert main(["report", str(tmp_path)]) == 2
    assert "run folders in it: run\n" in capsys.readouterr().err


def test_where_no_name_makes_it_one_line_says_what_to_do(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(tmp_path / "run")
    told = r"^run_folder: the command line cannot .*<lambda> is not at the top .*cannot resume .*`trpo-gail evaluate "
    with pytest.warns(UserWarning, match=told):
        model = TRPO("MlpPolicy", lambda: toys.Walk(), run_folder=run, max_episode_steps=3, **SMALL)
    model.learn(64)
    assert main(["evaluate", run]) == 2
    assert "<lambda> is not at the top of a module): evaluate --env MODULE:NAME expected" in capsys.readouterr().err
    assert main(["train", "--out", run, "--resume", "--steps", "200"]) == 2
    assert "no name makes the environment of" in capsys.readouterr().err
    assert main(["evaluate", run, "--env", "toys:Walk", "--episodes", "2"]) == 0
    assert main(["evaluate", run, "--env", "CartPole-v1", "--episodes", "2"]) == 2
    assert "--env CartPole-v1: observation_space" in capsys.readouterr().err


def test_what_is_confused_is_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = TRPO("MlpPolicy", "CartPole-v1", run_folder="run", **SMALL).learn(64)
    model.save("model")
    with pytest.raises(UserError, match=r"^run: a folder, a file that save wrote expected; load_policy\(RUN\) is for"):
        TRPO.load("run")
    with pytest.raises(UserError, match=r"^model.zip: is a file: expected a run folder; .* is for TRPO\.load\(FILE\)$"):
        trpo_gail.load_policy("model.zip")
    file = next(Path("run/checkpoints").glob("*.pt"))
    line = r"^model.zip: a model that TRPO.save wrote: generate_expert_traj\(TRPO.load\('model.zip'\), 'OUT.h5'\) records it"
    with pytest.raises(UserError, match=line):
        load_actor("model.zip", "CartPole-v1")
    with pytest.raises(UserError, match=r"^run/checkpoints/.*: is a file: expected its run folder, run$"):
        trpo_gail.load_policy(file)
    with pytest.raises(UserError, match=r"^observation: nan in 1 of 4 numbers$"):
        model.predict([0.0, np.nan, 0.0, 0.0])


def test_a_mapping_may_have_the_ends_of_from_arrays() -> None:
    given = {"observations": np.zeros((6, 4)), "actions": np.zeros(6, int), "episode_ends": [2, 6]}
    model = GAIL("MlpPolicy", "CartPole-v0", given, **SMALL)
    assert model._dataset is not None and model._dataset.episode_lengths.tolist() == [2, 4]


def test_a_wrapped_environment_is_compared_by_its_task() -> None:
    def wrapped() -> gymnasium.Env:
        return gymnasium.wrappers.RecordEpisodeStatistics(gymnasium.make("CartPole-v1"))

    assert TRPO("MlpPolicy", wrapped, **SMALL)._task() == "CartPole-v1"
