"""`--adversary exported`: a new policy is paid what the file pays, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from gymnasium.spaces import Box
from runs import batch, make_run, resumed

from trpo_gail import RewardFunction, UserError, run
from trpo_gail.adversaries.adversary import Parts
from trpo_gail.cli import main
from trpo_gail.config.tree import Config
from trpo_gail.exports.adversary import ExportedReward, build
from trpo_gail.exports.write_reward import export_reward
from trpo_gail.parallel import Workers
from trpo_gail.runs import checkpoint
from trpo_gail.runs.resuming import saved_config
from trpo_gail.runs.run_folder import read_metrics

NAV = ["PointNav2D-v0", "--expert", "expert_data/PointNav2D-v0.h5"]
SHORT = ["--timesteps_per_batch", "256", "--iterations", "2", "--final_episodes", "2", "--quiet"]
ROOT = Path(__file__).parents[2]


@pytest.fixture
def reward(tmp_path: Path) -> Path:
    folder = make_run(tmp_path / "source", "box")
    export_reward(folder, tmp_path / "reward.pt")
    return tmp_path / "reward.pt"


def parts_of(folder: Path) -> tuple[Parts, object]:
    with resumed(folder) as learner:
        return Parts(learner.sampler.env.spec, None, learner.policy, Workers()), batch(learner)


def test_it_pays_what_the_file_pays_and_learns_nothing(reward: Path, tmp_path: Path) -> None:
    parts, seen = parts_of(tmp_path / "source")
    made = build(dataclasses.replace(Config("any"), adversary="exported", reward_file=str(reward)), parts)
    before = made.reward(seen)  # type: ignore[arg-type]
    np.testing.assert_array_equal(before, RewardFunction.load(reward).pays(seen))  # type: ignore[arg-type]
    assert np.ptp(before) > 0 and made.fit(seen, np.random.default_rng(0)) == {}  # type: ignore[arg-type]
    np.testing.assert_array_equal(made.reward(seen), before)  # type: ignore[arg-type]


def test_it_pays_the_executed_actions(reward: Path, tmp_path: Path) -> None:
    """The file was learned with raw actions; where the environment gets clipped ones, these are paid."""
    parts, seen = parts_of(tmp_path / "source")
    spec = dataclasses.replace(
        parts.spec.viewed("executed"), action_space=Box(-0.1, 0.1, parts.spec.action_space.shape)
    )
    made = ExportedReward(RewardFunction.load(reward), spec, reward)
    clipped = dataclasses.replace(seen, actions=np.clip(seen.actions, -0.1, 0.1))  # type: ignore[type-var,attr-defined]
    paid = made.reward(seen)  # type: ignore[arg-type]
    np.testing.assert_array_equal(paid, RewardFunction.load(reward).pays(clipped))  # type: ignore[arg-type]
    assert (paid != RewardFunction.load(reward).pays(seen)).any()  # type: ignore[arg-type]


def test_another_reward_on_resume_is_noticed(reward: Path, tmp_path: Path) -> None:
    parts, _ = parts_of(tmp_path / "source")
    made = build(dataclasses.replace(Config("any"), adversary="exported", reward_file=str(reward)), parts)
    made.load_state_dict(made.state_dict())
    other = make_run(tmp_path / "other", "box", seed=5)
    export_reward(other, tmp_path / "other.pt")
    others = build(
        dataclasses.replace(Config("any"), adversary="exported", reward_file=str(tmp_path / "other.pt")), parts
    )
    with pytest.raises(UserError, match="another reward than the run began with"):
        others.load_state_dict(made.state_dict())


def test_a_reward_of_another_environment_is_refused(reward: Path, tmp_path: Path) -> None:
    label = make_run(tmp_path / "label", "label")
    parts, _ = parts_of(label)
    with pytest.raises(UserError, match=r"reward\.pt: observations .* expected as in"):
        build(dataclasses.replace(Config("any"), adversary="exported", reward_file=str(reward)), parts)


def test_a_file_that_pays_another_file_is_refused(reward: Path) -> None:
    content = checkpoint.read_sealed(reward, "reward file")
    content["config"]["adversary"] = "exported"
    with pytest.raises(UserError, match="adversary 'exported', which learns no reward"):
        RewardFunction(content, reward)


def test_the_command_line_trains_on_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    run, file, out = tmp_path / "run", str(tmp_path / "r.pt"), tmp_path / "out"
    assert main(["train", *NAV, *SHORT, "--discriminator.no_absorbing", "--out", str(run)]) == 0
    assert main(["export", str(run), "--reward", file]) == 0
    fresh = ["train", *NAV, *SHORT, "--adversary", "exported", "--seed", "3"]
    assert main([*fresh, "--out", str(out)]) == 2
    assert "--adversary exported: --reward_file expected" in capsys.readouterr().err
    assert main([*fresh, "--reward_file", file, "--out", str(out)]) == 0
    rows = read_metrics(out)
    assert len(rows) == 2 and all(row["reward_mean"] != 0 and "d_loss" not in row for row in rows)
    assert main(["train", *NAV[:1], "--resume", "--out", str(out), "--iterations", "3", "--quiet"]) == 0
    moved = str(tmp_path / "moved.pt")
    Path(file).rename(moved)
    assert main(["train", "--resume", "--out", str(out), "--iterations", "4", "--quiet"]) == 2
    assert f"--reward_file {file}: no such file, a reward file of trpo_gail expected" in capsys.readouterr().err
    assert main(["train", *NAV[:1], "--resume", "--out", str(out), "--reward_file", moved, "--iterations", "4"]) == 0
    assert main(["train", *NAV, *SHORT, "--reward_file", file, "--out", str(tmp_path / "x")]) == 2
    assert "--reward_file" in capsys.readouterr().err


def test_a_run_finds_its_reward_from_another_folder(
    reward: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir(), there.mkdir()
    reward.rename(here / "reward.pt")
    monkeypatch.chdir(here)
    source = saved_config(tmp_path / "source")
    config = dataclasses.replace(
        source, adversary="exported", reward_file="reward.pt", discriminator=Config("any").discriminator
    )
    run(config, "run", quiet=True)
    monkeypatch.chdir(there)
    resume = ["train", "--resume", "--out", "../here/run", "--quiet", "--iterations"]
    assert main([*resume, "3"]) == 0 and len(read_metrics(here / "run")) == 3
    export_reward(make_run(tmp_path / "other", "box", seed=5), "reward.pt")
    assert main([*resume, "4"]) == 0, "the other reward of this name is not the run's"
    assert main(["train", "--config", "../here/run/config.json", "--out", "again", "--quiet"]) == 0
    assert json.loads(Path("again/config.json").read_text())["setting"]["reward_file"] == str(here / "reward.pt")
    capsys.readouterr()
    assert main([*resume, "5", "--reward_file", "reward.pt"]) == 2
    said = capsys.readouterr().err
    assert f"--reward_file {there}/reward.pt: another reward than the run began with" in said
    assert main([*resume, "5", "--reward_file", "typo.pt"]) == 2
    assert f"--reward_file {there}/typo.pt: no such file" in capsys.readouterr().err
