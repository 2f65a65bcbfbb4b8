"""Models from Python: two calls of learn equal one, a saved model goes on exactly, and all equals the command line."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from repeats import every
from small import CARTPOLE, EXPERT, differing, gail

from trpo_gail import (
    BC,
    GAIL,
    PPO,
    TRPO,
    CheckpointCallback,
    ExpertDataset,
    UserError,
    generate_expert_traj,
    load_policy,
    run,
)
from trpo_gail.api.learning import LearningModel
from trpo_gail.cli import main
from trpo_gail.config.presets import changed, preset
from trpo_gail.exports.write_reward import export_reward
from trpo_gail.runs import checkpoint
from trpo_gail.runs.interval import SaveInterval
from trpo_gail.runs.metrics_file import MetricsFile


def pendulum(observation: np.ndarray) -> np.ndarray:
    """A feedback that swings little."""
    return np.clip(np.array([-2.0 * observation[1] - observation[2]]), -2.0, 2.0)


def test_the_snippet_of_stable_baselines_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    obs = np.array([1.0, 0.0, 0.0], np.float32)
    generate_expert_traj(pendulum, "expert_pendulum", env="Pendulum-v1", n_episodes=10)
    dataset = ExpertDataset(expert_path="expert_pendulum.npz", traj_limitation=10, verbose=1)
    model = GAIL("MlpPolicy", "Pendulum-v1", dataset, verbose=1)
    model.learn(total_timesteps=1000)
    before = model.predict(obs, deterministic=True)[0]
    model.save("gail_pendulum")
    del model
    model = GAIL.load("gail_pendulum")
    action, state = model.predict(obs)
    assert action.shape == (1,) and state is None
    assert model.predict(obs, deterministic=True)[0] == before
    printed = capsys.readouterr().out
    assert "2000 pairs of all 10 trajectories" in printed and "iteration 1   steps 2,048" in printed
    assert (tmp_path / "gail_pendulum.zip").exists()


@pytest.mark.parametrize("kind", [TRPO, PPO])
def test_its_cousins_learn_from_the_environments_reward(kind: type[LearningModel], tmp_path: Path) -> None:
    made: Any = kind
    model = made("MlpPolicy", "CartPole-v1", num_envs=4, timesteps_per_batch=512, backend="gymnasium", vf_iters=2)
    first = model.evaluate(5).mean
    model.learn(total_timesteps=4000)
    model.save(tmp_path / "model")
    again = kind.load(tmp_path / "model")
    assert model.evaluate(5).mean > 3 * first
    assert again.evaluate(5).mean == model.evaluate(5).mean
    assert again.predict(np.zeros(4, np.float32), deterministic=True)[0] in (0, 1)
    assert all(record["reward_mean"] == 1.0 for record in model.logger.records)


def test_bc_clones_and_is_saved(tmp_path: Path) -> None:
    model = BC("MlpPolicy", "CartPole-v0", EXPERT, trajectories=2, hidden_size=16)
    model.learn(total_timesteps=400)
    model.save(tmp_path / "bc")
    again = BC.load(tmp_path / "bc")
    x = np.random.default_rng(0).normal(size=(9, 4)).astype(np.float32)
    assert np.array_equal(model.predict(x, deterministic=True)[0], again.predict(x, deterministic=True)[0])
    assert again.evaluate(5).mean == model.evaluate(5).mean > 100
    again.learn(400)  # from a new policy, so that it gives the same
    assert differing(model.policy.state_dict(), again.policy.state_dict()) == []
    pairs = int(0.7 * len(model._pairs().actions)) // 128
    model.learn(n_epochs=3)
    assert model.logger.records[-1]["iteration"] == 3 * pairs


# ---- exactness -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields",
    every(
        2,
        [
            {},
            {"adversary": "airl"},
            {"generator": "ppo", "n_epochs": 3, "g_step": 2},
            {"sampling": "episodes", "replay_iterations": 2},
            {"reward_normalise": "standardise", "dtype": "float64", "init_policy": "bc", "cloning__iterations": 20},
        ],
    ),
)
def test_learning_in_two_parts_with_a_file_between_is_learning_in_one(fields: dict[str, Any], tmp_path: Path) -> None:
    whole, parts = gail(**fields).learn(2000), gail(**fields).learn(800)
    parts.save(tmp_path / "half")
    parts = GAIL.load(tmp_path / "half").learn(1200)
    assert parts.learner.progress.iteration >= 5
    assert differing(whole.learner.state_dict(), parts.learner.state_dict()) == []


def test_a_schedule_falls_to_the_end_of_the_last_call() -> None:
    model = gail(generator="ppo", ppo__schedule="linear").learn(500)
    first = model.learner.progress.steps
    model.learn(700)
    steps = [0.0, *(float(value or 0) for value in model.logger.column("steps"))]
    ends = [500.0 if before < first else 1200.0 for before in steps[:-1]]  # a later call lifts the line
    expected = [1e-3 * (1 - before / end) for before, end in zip(steps, ends, strict=False)]
    assert np.allclose(np.array(model.logger.column("learning_rate"), float), expected) and 1200.0 in ends


def test_learn_equals_the_command_lines_run(tmp_path: Path) -> None:
    flags = {name: value for name, value in CARTPOLE.items() if name != "vf_iters"}
    config = preset("default", "CartPole-v0", expert=str(EXPERT), steps=1000, eval_every=0, final_episodes=4, **flags)
    summary = run(changed(config, {"critic.vf_iters": 2}), tmp_path / "run", quiet=True)
    model = gail().learn(1000)
    last = checkpoint.last_path(tmp_path / "run")
    assert last is not None
    theirs = checkpoint.read(last)["learner"]
    for part in ("policy", "critic", "generator", "adversary"):
        assert differing(checkpoint.as_tensors(model.learner.state_dict())[part], theirs[part], part) == []
    assert model.evaluate(4).returns.tolist() == summary["returns"]


def test_saving_and_evaluating_change_nothing(tmp_path: Path) -> None:
    plain, busy = gail().learn(1500), gail()
    busy.learn(1500, callback=[lambda model, record: model.evaluate(2).mean >= 0, CheckpointCallback(500, tmp_path)])
    assert differing(plain.policy.state_dict(), busy.policy.state_dict()) == []
    assert differing(plain.learner.sampler.state_dict(), busy.learner.sampler.state_dict()) == []
    assert sorted(p.name for p in tmp_path.iterdir())[0].startswith("rl_model_1")
    best = sorted(tmp_path.iterdir(), key=lambda p: p.stat().st_mtime)[-1]
    assert GAIL.load(best).learner.progress.steps >= 1500


def test_what_a_callback_saved_learns_for_as_long_as_it_is_asked_to(tmp_path: Path) -> None:
    """The end of the call during which it was saved is forgotten."""
    gail().learn(2000, callback=CheckpointCallback(500, tmp_path))
    first = min(tmp_path.iterdir(), key=lambda path: path.stat().st_mtime)
    model = GAIL.load(first)
    before = model.learner.progress.steps
    each = model.config.steps_per_iteration
    assert before < 1000 <= 2000 - each and model.learn(each).learner.progress.steps < before + 2 * each


def test_a_loaded_model_that_is_saved_again_is_the_same_file(tmp_path: Path) -> None:
    gail().learn(300).save(tmp_path / "one")
    GAIL.load(tmp_path / "one").save(tmp_path / "two")
    ours, theirs = (checkpoint.read(tmp_path / f"{name}.zip") for name in ("one", "two"))
    assert differing(ours, theirs) == []


# ---- predict, evaluate, counters ---------------------------------------------------------------------------------------


def test_predict_takes_one_observation_or_a_batch() -> None:
    model = gail()
    x = np.random.default_rng(0).normal(size=(7, 4)).astype(np.float32)
    batch, _ = model.predict(x, deterministic=True)
    assert batch.shape == (7,) and [int(model.predict(row, deterministic=True)[0]) for row in x] == batch.tolist()
    drawn = np.array([model.predict(x)[0] for _ in range(50)])
    assert drawn.min() == 0 and drawn.max() == 1  # sampled, by a stream that goes on


def test_the_noise_of_predict_goes_on_after_an_evaluation() -> None:
    x = np.zeros((200, 4), np.float32)
    model, other = gail(), gail()
    first = model.predict(x)[0]
    assert np.array_equal(first, other.predict(x)[0])
    model.evaluate(1)
    assert not np.array_equal(first, model.predict(x)[0])


def test_a_stochastic_evaluation_differs_from_a_deterministic_one() -> None:
    model = gail().learn(1500)
    still, drawn = model.evaluate(8), model.evaluate(8, deterministic=False)
    assert still.mean == still.returns.mean() and still.std == still.returns.std() and len(still.lengths) == 8
    assert still.returns.tolist() != drawn.returns.tolist()
    assert model.evaluate(8).returns.tolist() == still.returns.tolist()
    assert model.evaluate(3, env="CartPole-v1").lengths.max() <= 500


def test_num_timesteps_can_be_reset() -> None:
    model = gail().learn(500)
    first = model.num_timesteps
    assert 500 <= first == model.learner.progress.steps == model.logger.name_to_value["steps"]
    model.learn(500, reset_num_timesteps=False)
    assert 1000 <= model.num_timesteps == model.learner.progress.steps
    before = model.num_timesteps
    model.learn(500)
    assert model.num_timesteps == model.learner.progress.steps - before


def test_a_call_whose_steps_were_taken_already_says_so() -> None:
    model = gail().learn(10)
    with pytest.warns(UserWarning, match=r"total_timesteps: 10 given, but earlier .* an iteration takes 256"):
        model.learn(10)
    assert model.learner.progress.iteration == 1


@pytest.mark.parametrize("generator", every(2, ["trpo", "ppo"]))
@pytest.mark.parametrize("part", ["policy", "critic", "adversary"])
def test_a_script_may_put_other_weights_in_place_of_a_networks(part: str, generator: str) -> None:
    """As Stable-Baselines' `load_from_vector` does: what is put there is learned from, as if it were written in place."""
    models = [gail(generator=generator).learn(256) for _ in range(2)]
    for in_place, model in zip((True, False), models, strict=True):
        network = {"policy": model.policy, "critic": model.learner.critic.network}.get(part)
        network = network or model.learner.adversary.network  # type: ignore[attr-defined]
        if in_place:
            with torch.no_grad():
                for p in network.parameters():
                    p.mul_(0.9)
        else:
            scaled = {name: 0.9 * value for name, value in network.named_parameters()}
            network.load_state_dict(network.state_dict() | scaled, assign=True)
        model.learn(512)
    ours, theirs = (model.learner.state_dict() for model in models)
    assert differing(ours, theirs) == []


def test_a_network_of_another_dtype_is_refused_in_one_line() -> None:
    model = gail().learn(256)
    model.policy.double()
    with pytest.raises(
        UserError, match=r"^policy: parameter '.*weight' .*: torch.float32 expected, found torch.float64$"
    ):
        model.learn(256)


# ---- pretraining, folders, TensorBoard -------------------------------------------------------------------------------


def test_pretraining_goes_by_the_models_own_dataset() -> None:
    data = {size: ExpertDataset(EXPERT, traj_limitation=3, batch_size=size, verbose=0) for size in (16, 64)}
    first, other = (gail(expert=held).pretrain(n_epochs=2).policy.state_dict() for held in data.values())
    given = gail(expert=data[64]).pretrain(data[16], n_epochs=2).policy.state_dict()
    assert differing(first, other) != [] and differing(first, given) == []


def test_pretraining_clones_before_learning(tmp_path: Path) -> None:
    data = ExpertDataset(EXPERT, traj_limitation=3, train_fraction=0.8, batch_size=64, verbose=0)
    model = gail(expert=data, normalise_from_expert=True)
    before = model.evaluate(5).mean
    model.pretrain(data, n_epochs=20, learning_rate=1e-3)
    assert model.evaluate(5).mean > 2 * before
    model.learn(300)
    with pytest.raises(UserError, match=r"^pretrain: the model has learned for \d iterations"):
        model.pretrain(data)
    expert = TRPO("MlpPolicy", "CartPole-v0", **{k: v for k, v in CARTPOLE.items() if k != "d_step"})
    with pytest.raises(UserError, match="there are no demonstrations to clone"):
        expert.pretrain()
    assert expert.pretrain(data, n_epochs=1, val_interval=1).predict(np.zeros(4))[0] in (0, 1)


def test_a_run_folder_is_written_when_it_is_asked_for(tmp_path: Path) -> None:
    model = gail(run_folder=tmp_path / "run").learn(300)
    model.learn(300)
    policy = load_policy(tmp_path / "run")
    x = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    assert np.array_equal(policy.predict(x), model.predict(x, deterministic=True)[0])
    lines = (tmp_path / "run" / "metrics.csv").read_text().splitlines()
    assert len(lines) == 1 + model.learner.progress.iteration
    with pytest.raises(UserError, match="exists already: another one begins a run"):
        gail(run_folder=tmp_path / "run").learn(300)
    (tmp_path / "file").touch()
    for path, said in (
        (tmp_path / "file", "a file"),
        (tmp_path, "a folder that is no run's .*; run folders in it: run"),
    ):
        with pytest.raises(UserError, match=f"run_folder: .*exists already, {said}: a new folder expected"):
            gail(run_folder=path).learn(300)
    export_reward(tmp_path / "run", tmp_path / "reward.pt")


def test_a_run_folder_has_a_checkpoint_if_python_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It saves as it goes on; the command line then goes on to the same end."""
    monkeypatch.setattr(SaveInterval, "is_over", lambda self, iteration: iteration == 2)

    def killed(model: Any, record: Any) -> None:
        if record["iteration"] == 3:
            shutil.copytree(tmp_path / "run", tmp_path / "killed")

    gail(run_folder=tmp_path / "run").learn(1000, callback=killed)
    last = checkpoint.last_path(tmp_path / "killed")
    assert last is not None and last.name == "iteration_0000002.pt"
    assert main(["train", "--resume", "--out", str(tmp_path / "killed"), "--quiet", "--device", "cpu"]) == 0
    ends = [
        checkpoint.read(path)["learner"]
        for name in ("run", "killed")
        if (path := checkpoint.last_path(tmp_path / name))
    ]
    for end in ends:
        del end["progress"]["next_eval"]  # of evaluations, which Python has none of by itself
    assert not differing(*ends)


def test_tensorboard_gets_a_folder_for_each_call(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    model = gail(tensorboard_log=tmp_path)
    model.learn(10)
    model.learn(600, tb_log_name="more")
    assert [p.name for p in sorted(tmp_path.iterdir())] == ["GAIL_1", "more_1"]
    assert all(list(p.glob("events.out.tfevents.*")) for p in tmp_path.iterdir())
    for anew, names in ((False, ["more_1"]), (True, ["more_1", "more_2"]), (False, ["more_1", "more_2"])):
        model.learn(300, tb_log_name="more", reset_num_timesteps=anew)
        assert [p.name for p in sorted(tmp_path.glob("more*"))] == names
    model.learn(300, tb_log_name="first", reset_num_timesteps=False)
    assert [p.name for p in tmp_path.glob("first*")] == ["first_1"]


def test_sinks_and_printing_follow_the_records(capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []
    model = gail(verbose=1)
    with pytest.raises(UserError, match=r"^logger.add_sink: 'wandb' given, a function of a record expected$"):
        model.logger.add_sink("wandb")  # type: ignore[arg-type]
    model.logger.add_sink(lambda record: record.clear())  # each has a record of its own
    model.logger.add_sink(seen.append)
    model.learn(1200, log_interval=2)
    assert seen == model.logger.records and len(seen) >= 4
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("iteration ")]
    assert len(lines) == len(seen) // 2


def test_learning_leaves_the_threads_as_they_were() -> None:
    torch.set_num_threads(2)
    seen: list[int] = []
    gail().learn(10, callback=lambda model, record: seen.append(torch.get_num_threads()))
    assert set(seen) == {1}  # of a small policy: more would be slower
    assert torch.get_num_threads() == 2


# ---- files that are no models ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("given", ["", "a\0b", "\ud800", 3])
def test_what_is_the_name_of_nothing_is_refused(given: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = TRPO("MlpPolicy", "CartPole-v1", num_envs=2, timesteps_per_batch=64)
    for name, use in {
        "path": lambda: model.save(given),
        "run_folder": lambda: TRPO("MlpPolicy", "CartPole-v1", run_folder=given),
        "tensorboard_log": lambda: TRPO("MlpPolicy", "CartPole-v1", tensorboard_log=given).learn(64),
        "save_path": lambda: generate_expert_traj(model, given, n_episodes=1),
        "out": lambda: run(model.config, given),
    }.items():
        with pytest.raises(UserError, match=re.escape(f"{name}: {given!r} given, the name of a ")):
            use()
    assert not list(tmp_path.iterdir())


def test_other_files_are_refused(tmp_path: Path) -> None:
    model = gail(run_folder=tmp_path / "run").learn(10)
    model.save(tmp_path / "model")
    with pytest.raises(UserError, match=r"model.zip: holds a model of GAIL: GAIL.load expected$"):
        TRPO.load(tmp_path / "model")
    last = checkpoint.last_path(tmp_path / "run")
    assert last is not None
    with pytest.raises(UserError, match=r"a checkpoint of a run, not a model that save wrote"):
        GAIL.load(last)
    with pytest.raises(UserError, match=r"nothing.zip: no such file, a checkpoint of trpo_gail expected"):
        GAIL.load(tmp_path / "nothing")
    (tmp_path / "bad.zip").write_bytes((tmp_path / "model.zip").read_bytes()[:-200])
    with pytest.raises(UserError, match=r"bad.zip: not a checkpoint of trpo_gail, or damaged"):
        GAIL.load(tmp_path / "bad")
    with pytest.raises(UserError, match=r"env: 'CartPole-v1' given, but .* learned on 'CartPole-v0'"):
        GAIL.load(tmp_path / "model", env="CartPole-v1")


def test_a_run_folder_that_something_else_went_on_with_is_refused(tmp_path: Path) -> None:
    model = gail(run_folder=tmp_path / "run").learn(300)
    steps = str(model.num_timesteps + 300)
    assert main(["train", "--resume", "--out", str(tmp_path / "run"), "--steps", steps, "--quiet"]) == 0
    before = (tmp_path / "run" / "metrics.csv").read_text()
    with pytest.raises(UserError, match=r"run_folder: .*another process has gone on with this run"):
        model.learn(300)
    assert (tmp_path / "run" / "metrics.csv").read_text() == before
    assert json.loads((tmp_path / "run" / "config.json").read_text())["format"] == 1


def test_a_run_folder_that_is_gone_is_named_and_the_model_is_saved(tmp_path: Path) -> None:
    model = gail(run_folder=tmp_path / "run").learn(300)
    (tmp_path / "run").rename(tmp_path / "moved")
    with pytest.raises(
        UserError, match=rf"^run_folder: {tmp_path}/run: deleted or moved since the model's last session"
    ):
        model.learn(300)
    model.save(tmp_path / "model")
    assert GAIL.load(tmp_path / "model").learn(300).num_timesteps > model.num_timesteps
    assert not (tmp_path / "run").exists()


def test_a_callback_that_raises_costs_no_row(tmp_path: Path) -> None:
    model = gail(run_folder=tmp_path / "run")
    calls = 0

    def fails(model: Any, record: Any) -> None:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        model.learn(2000, callback=fails)
    model.learn(300)  # and not what was left of the call that failed
    rows = (tmp_path / "run" / "metrics.csv").read_text().split()[1:]
    assert [int(row.split(",")[0]) for row in rows] == [1, 2, 3, 4]


def test_a_learn_that_is_refused_leaves_no_steps_to_the_next(tmp_path: Path) -> None:
    model = TRPO("MlpPolicy", "CartPole-v1", num_envs=2, timesteps_per_batch=64, tensorboard_log=tmp_path / "file")
    (tmp_path / "file").touch()
    for refused in ({"rank_timeout": -1}, {"rank_timeout": np.nan}, {"rank_timeout": "long"}, {}):
        with pytest.raises(UserError, match="file" if refused == {} else "rank_timeout: .* given, a number of seconds"):
            model.learn(1000, **refused)
    (tmp_path / "file").unlink()
    model.learn(64, rank_timeout=np.int64(5))  # type: ignore[arg-type]
    assert model.learner.progress.iteration <= 2


def test_an_error_of_a_full_disk_names_the_models_file(tmp_path: Path) -> None:
    model = gail()
    model.save(tmp_path / "good")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        for kept in (True, False):
            model._packed = model._packed if kept else None
            with pytest.raises(UserError, match=rf"^{tmp_path}/model\.zip: .*File too large"):
                model.save(tmp_path / "model")
        with pytest.raises(UserError, match=rf"^{tmp_path}/good\.zip: its demonstrations go through .*File too large$"):
            GAIL.load(tmp_path / "good")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_an_error_of_a_callback_is_not_hidden_by_that_of_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = gail(run_folder=tmp_path / "run")

    def fails(model: Any, record: Any) -> None:
        monkeypatch.setattr(MetricsFile, "append", full)
        raise RuntimeError("mine")

    def full(*given: object) -> None:
        raise UserError("metrics.csv: no space")

    with pytest.raises(RuntimeError, match="mine") as caught:
        model.learn(2000, callback=fails)
    assert caught.value.__notes__ == ["its row is lost: metrics.csv: no space"]


def test_a_models_rows_are_on_the_disk_before_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fsync, flushed = os.fsync, []

    def keep(handle: int) -> None:
        fsync(handle)
        flushed.append(Path(os.readlink(f"/proc/self/fd/{handle}")).name)

    monkeypatch.setattr(os, "fsync", keep)
    gail(run_folder=tmp_path / "run").learn(100)
    (part,) = (k for k, name in enumerate(flushed) if name.startswith(".iteration"))
    assert {"metrics.csv", "episodes.csv"} <= set(flushed[:part])
