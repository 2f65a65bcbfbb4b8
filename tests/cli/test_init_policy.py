"""`--init_policy`: a run begins with another run's policy or a clone, to the bit, and then needs its own folder alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import shutil
import signal
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from bad_input import EXPERT
from run_files import checkpoints, differing, metrics, state

from trpo_gail import cloning, load_policy
from trpo_gail.build import make_policy
from trpo_gail.cli import main
from trpo_gail.config.files import to_dict
from trpo_gail.config.tree import CloningConfig, CloningStartConfig, Config, PolicyConfig
from trpo_gail.errors import UserError
from trpo_gail.experts.load import load
from trpo_gail.learner import Progress
from trpo_gail.parallel import Workers
from trpo_gail.runs import checkpoint, start
from trpo_gail.runs.resuming import saved_config
from trpo_gail.runs.training import run

HOPPER = str(Path(EXPERT).with_name("Hopper-v4.h5"))
SMALL = ("--num_envs", "2", "--timesteps_per_batch", "64", "--iterations", "4", "--eval_every", "100",
         "--eval_episodes", "3", "--final_episodes", "3", "--save_every", "2", "--quiet")  # fmt: skip
IMITATES = ("--expert", EXPERT, "--trajectories", "2", "--subsample", "10")
TASK = ("--adversary", "env_reward")
CLONE = ("--cloning.iterations", "60", "--cloning.eval_every", "20", "--cloning.batch_size", "16")


def train(out: Path, *more: str, env: str = "CartPole-v0", code: int = 0) -> Path:
    assert main(["train", env, *SMALL, "--out", str(out), *more]) == code
    return out


@pytest.fixture(scope="module")
def imitated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of imitation with a network of its own."""
    return train(tmp_path_factory.mktemp("runs") / "imitated", *IMITATES, "--policy.hidden_sizes", "9", "7")


@pytest.fixture(scope="module")
def expert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run on the environment's reward, without standardised observations."""
    more = ("--policy.no_normalise_observations", "--policy.observation_clip", "5")
    return train(tmp_path_factory.mktemp("runs") / "expert", *TASK, *more)


def parts(path: Path, prefix: str = "policy.") -> dict[str, np.ndarray]:
    """The policy of a checkpoint."""
    return {name: values for name, values in state(path).items() if name.startswith(prefix)}


def first(folder: Path) -> Path:
    return folder / "checkpoints" / "iteration_0000000.pt"


def read(path: Path) -> Any:
    return json.loads(path.read_text())


# ---- another run's policy --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("before", "more"), [("imitated", TASK), ("expert", IMITATES)])
def test_it_begins_with_the_policy_of_the_run_to_the_bit(
    before: str,
    more: tuple[str, ...],
    request: pytest.FixtureRequest,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Fine-tuning on the environment's reward, and imitation after it."""
    source: Path = request.getfixturevalue(before)
    out = train(tmp_path / "run", "--init_policy", str(source), "--warmup_iterations", "2", *more, "--save_every", "9")
    assert differing(parts(checkpoints(source)[-1]), parts(first(out))) == []
    content = read(out / "config.json")
    network = {name: read(source / "config.json")["config"]["policy"][name] for name in ("hidden_sizes", "encoder")}
    assert content["config"]["policy"].items() >= network.items()
    assert content["config"]["policy"]["normalise_observations"] == (before == "imitated")
    assert content["config"]["policy"]["observation_clip"] == (10.0 if before == "imitated" else 5.0)
    assert content["setting"]["init_policy"] == str(checkpoints(source)[-1])
    assert content["setting"]["init_policy_sha256"] == hashlib.sha256(checkpoints(source)[-1].read_bytes()).hexdigest()


def test_its_first_evaluation_and_its_first_actions_are_those_of_the_run(imitated: Path, tmp_path: Path) -> None:
    out = train(tmp_path / "run", "--init_policy", str(imitated), "--iterations", "1", *TASK, "--final_episodes", "3")
    (best,) = (out / "checkpoints").glob("best.pt")  # of the evaluation before the first iteration
    assert differing(parts(best), parts(checkpoints(imitated)[-1])) == []
    assert state(checkpoints(out)[-1])["progress.best_return"] == read_first_return(imitated)
    config = saved_config(out)
    loaded, noise = load_policy(imitated), np.zeros((50, 2))
    observations = np.random.default_rng(0).standard_normal((50, 4))
    mine = start.read(config, loaded.spec).policy.actor().act(observations, noise)
    assert np.array_equal(mine, loaded.act(observations, noise))


def read_first_return(run_folder: Path) -> float:
    """The mean return of a run's last policy over the episodes of periodic evaluations."""
    from trpo_gail.runs.evaluate import PERIODIC, Evaluator

    loaded = load_policy(run_folder)
    return float(Evaluator(loaded.config, loaded.own_spec, Workers()).run(loaded, 3, PERIODIC).returns.mean())


def test_a_checkpoint_and_a_folder_of_cloning_are_as_good(imitated: Path, tmp_path: Path) -> None:
    best = imitated / "checkpoints" / "best.pt"
    out = train(tmp_path / "a", "--init_policy", str(best), *TASK)
    assert differing(parts(best), parts_of_start(out, best)) == []
    line = ["clone", "CartPole-v0", *IMITATES, "--iterations", "30", "--eval_every", "10", "--hidden_sizes", "8"]
    assert main([*line, "--final_episodes", "1", "--quiet", "--out", str(tmp_path / "clone")]) == 0
    out = train(tmp_path / "b", "--init_policy", str(tmp_path / "clone"), *IMITATES, "--save_every", "9")
    assert differing(parts(checkpoints(tmp_path / "clone")[-1]), parts(first(out))) == []
    assert saved_config(out).policy.hidden_sizes == (8,) and saved_config(out).policy.observation_clip is None


def parts_of_start(out: Path, source: Path) -> dict[str, np.ndarray]:
    """What a run that names `source` starts with, whether or not it has kept its first checkpoint."""
    assert read(out / "config.json")["setting"]["init_policy"] == str(source)
    return parts(first(out)) if first(out).exists() else parts(source)


def test_another_precision_is_rounded(imitated: Path, tmp_path: Path) -> None:
    out = train(tmp_path / "run", "--init_policy", str(imitated), "--dtype", "float64", *TASK, "--save_every", "9")
    mine, theirs = parts(first(out)), parts(checkpoints(imitated)[-1])
    assert mine["policy.net.layers.0.weight"].dtype == np.float64
    assert all(np.array_equal(mine[name], theirs[name]) for name in theirs)


def test_the_statistics_are_the_runs_whatever_the_demonstrations_are(imitated: Path, tmp_path: Path) -> None:
    more = ("--normalise_from_expert", "--save_every", "9")
    out = train(tmp_path / "run", "--init_policy", str(imitated), *IMITATES, *more)
    assert differing(parts(checkpoints(imitated)[-1]), parts(first(out))) == []
    assert state(first(out))["critic.network.normaliser.count"] == 40


def test_a_resume_is_exact_though_the_other_run_is_gone(imitated: Path, tmp_path: Path) -> None:
    source = shutil.copytree(imitated, tmp_path / "source")
    whole = train(tmp_path / "whole", "--init_policy", str(source), "--warmup_iterations", "1", *IMITATES)
    part = train(tmp_path / "part", "--init_policy", str(source), "--warmup_iterations", "1", *IMITATES,
                 "--iterations", "2")  # fmt: skip
    shutil.rmtree(source)
    assert main(["train", "--resume", "--out", str(part), "--iterations", "4", "--quiet"]) == 0
    assert differing(state(checkpoints(whole)[-1]), state(checkpoints(part)[-1])) == []
    assert metrics(whole) == metrics(part)


def test_a_run_that_was_killed_at_once_reads_the_same_file_again_or_none(
    imitated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = shutil.copytree(imitated, tmp_path / "source")
    out = train(tmp_path / "run", "--init_policy", str(source), *IMITATES)
    died = tmp_path / "died"
    died.mkdir()
    shutil.copy(out / "config.json", died)
    again = shutil.copytree(died, tmp_path / "again")
    assert main(["train", "--resume", "--out", str(again), "--quiet"]) == 0
    assert differing(state(checkpoints(out)[-1]), state(checkpoints(again)[-1])) == []
    capsys.readouterr()
    shutil.copy(checkpoints(source)[0], checkpoints(source)[-1])
    assert main(["train", "--resume", "--out", str(died), "--quiet"]) == 2
    assert "is no longer the file that the run was made with (its SHA-256 differs)" in capsys.readouterr().err


# ---- what does not fit -----------------------------------------------------------------------------------------------


def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str], *more: str, env: str = "CartPole-v0") -> str:
    """The one line that is printed; there is no run folder then."""
    capsys.readouterr()
    train(tmp_path / "never", *more, env=env, code=2)
    said = capsys.readouterr().err
    assert said.startswith("trpo-gail: ") and said.count("\n") == 1
    assert not (tmp_path / "never").exists()
    return said


def test_what_is_no_run_is_refused(imitated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    expected = "expected a run folder, a checkpoint or bc"
    said = refused(tmp_path, capsys, *TASK, "--init_policy", str(tmp_path / "absent"))
    assert f"--init_policy: {tmp_path / 'absent'}: no such folder or file; {expected}" in said
    said = refused(tmp_path, capsys, *TASK, "--init_policy", str(tmp_path))
    assert f"--init_policy: {tmp_path}: no checkpoint of a run in this folder; {expected}" in said
    damaged = shutil.copytree(imitated, tmp_path / "damaged")
    file = checkpoints(damaged)[-1]
    file.write_bytes(file.read_bytes()[:-100])
    said = refused(tmp_path, capsys, *TASK, "--init_policy", str(damaged))
    assert f"{file}: not a checkpoint of trpo_gail, or damaged" in said


def test_parameters_that_are_not_those_of_the_config_are_refused(imitated: Path, tmp_path: Path) -> None:
    loaded = load_policy(imitated)
    other = dataclasses.replace(loaded.config, policy=dataclasses.replace(loaded.config.policy, hidden_sizes=(5,)))
    content = torch.load(checkpoints(imitated)[-1], weights_only=True) | {"config": to_dict(other)}
    torch.save(content, tmp_path / "x.pt")
    config = dataclasses.replace(other, init_policy=str(tmp_path / "x.pt"))
    with pytest.raises(UserError, match=r"x\.pt: the parameters are not those of its config: damaged\?$"):
        start.read(config, loaded.spec)


def test_a_policy_of_other_spaces_is_refused(
    imitated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said = refused(tmp_path, capsys, *TASK, "--init_policy", str(imitated), env="Acrobot-v1")
    assert ": a policy for observations Box(" in said and ", but Acrobot-v1 has Box(" in said
    swings = train(tmp_path / "swings", *TASK, env="MountainCar-v0")
    said = refused(tmp_path, capsys, *TASK, "--init_policy", str(swings), env="MountainCarContinuous-v0")
    assert ": a policy for actions Discrete(3), but MountainCarContinuous-v0 has Box(" in said


def test_a_policy_in_other_units_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scaled = train(tmp_path / "scaled", *TASK, env="Pendulum-v1")
    said = refused(tmp_path, capsys, *TASK, "--init_policy", str(scaled), "--no_action_scaling", env="Pendulum-v1")
    assert "its policy acts in units of [-1, 1]: --action_scaling expected" in said
    plain = train(tmp_path / "plain", *TASK, "--no_action_scaling", env="Pendulum-v1")
    said = refused(tmp_path, capsys, *TASK, "--init_policy", str(plain), env="Pendulum-v1")
    assert "its policy acts in units of the environment: --no_action_scaling expected" in said


@pytest.mark.parametrize(
    ("more", "says"),
    [
        (("--policy.hidden_sizes", "32"), "--policy.hidden_sizes: (32,) given, but the policy of --init_policy"),
        (
            ("--policy.observation_clip", "None"),
            "--policy.observation_clip: None given, but the policy of --init_policy",
        ),
        (("--policy.init_log_std", "0"), "--policy.init_log_std: given, but --init_policy is"),
        (("--cloning.iterations", "5"), "--cloning.iterations: 5 given, but --init_policy is"),
        (("--warmup_iterations", "4"), "--warmup_iterations: 4 given, but --iterations 4 ends the run before"),
    ],
)
def test_a_flag_that_does_not_fit_the_run_is_refused(
    more: tuple[str, ...], says: str, imitated: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert says in refused(tmp_path, capsys, *TASK, "--init_policy", str(imitated), *more)


def test_from_python_the_network_is_given(imitated: Path, tmp_path: Path) -> None:
    config = Config("CartPole-v0", adversary="env_reward", init_policy=str(imitated), num_envs=2)
    with pytest.raises(UserError, match=r"^--policy.hidden_sizes: \(64, 64\) given, but .* has \(9, 7\)$"):
        run(config, tmp_path / "never", quiet=True)
    assert not (tmp_path / "never").exists()


# ---- a clone of the demonstrations -----------------------------------------------------------------------------------


def test_it_begins_with_the_clone_that_cloning_makes(tmp_path: Path) -> None:
    out = train(tmp_path / "run", "--init_policy", "bc", *CLONE, *IMITATES, "--seed", "3", "--save_every", "9")
    config, held = saved_config(out), load(EXPERT, 2, 10)
    policy = make_policy(config, load_policy(out).spec)
    made = CloningConfig("CartPole-v0", EXPERT, seed=3, iterations=60, eval_every=20, batch_size=16)
    cloning.clone(policy, held.observations, held.actions, made, lambda row: None)
    mine = parts(first(out))
    assert differing(mine, {f"policy.{name}": value.numpy() for name, value in policy.state_dict().items()}) == []
    assert mine["policy.normaliser.count"] == 40
    again = train(tmp_path / "again", "--init_policy", "bc", *CLONE, *IMITATES, "--seed", "3")
    assert differing(state(checkpoints(out)[-1]), state(checkpoints(again)[-1])) == []


@pytest.mark.long
@pytest.mark.parametrize("least", [-1.0, 0.5, None])
def test_the_spread_of_a_clone_is_not_below_its_floor(least: float | None) -> None:
    """Demonstrations that vary little: the likelihood alone would take the standard deviation to 0."""
    config = Config(
        "Hopper-v4", init_policy="bc", policy=PolicyConfig(init_log_std=-0.25),
        cloning=CloningStartConfig(3000, stepsize=1e-2, min_log_std=least),
    )  # fmt: skip
    held = load(HOPPER, 1, 20)
    held = dataclasses.replace(held, actions=np.zeros_like(held.actions))
    policies = []
    for floor in (least, -50.0):
        cfg = dataclasses.replace(config, cloning=dataclasses.replace(config.cloning, min_log_std=floor))
        policies.append(make_policy(cfg, hopper_spec()))
        learner: Any = SimpleNamespace(policy=policies[-1], progress=Progress())
        start.clone(cfg, learner, held, lambda: False, Workers())
    kept, free = (policy.log_std.detach().numpy() for policy in policies)
    assert (free < -3.0).all() and (kept == np.float32(-0.25 if least is None else least)).all()
    assert torch.equal(policies[0].net.layers[0].weight, policies[1].net.layers[0].weight)


def test_seconds_of_cloning_are_training_but_no_sampling(tmp_path: Path) -> None:
    out = train(tmp_path / "out", "--init_policy", "bc", *CLONE, *IMITATES)
    progress = checkpoint.read(checkpoints(out)[-1])["learner"]["progress"]
    summary = json.loads((out / "summary.json").read_text())
    assert 0.0 < progress["cloning_s"] < progress["wall_s"] == summary["wall_s"]
    assert summary["env_steps_per_s"] == progress["steps"] / (progress["wall_s"] - progress["cloning_s"])


def hopper_spec() -> Any:
    from trpo_gail.envs import vector

    env = vector.make("Hopper-v4", 1)
    env.close()
    return env.spec


def test_it_says_what_it_has_cloned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    line = ["train", "CartPole-v0", *SMALL[:-1], "--init_policy", "bc", *CLONE, *IMITATES, "--out", str(tmp_path / "x")]
    assert main(line) == 0
    said = capsys.readouterr().out
    assert "cloning 40 pairs first, by 60 steps of Adam" in said and "after the first step" in said
    assert "           0 steps   return" in said


def test_the_environments_reward_follows_a_clone(tmp_path: Path) -> None:
    out = train(tmp_path / "run", "--init_policy", "bc", *CLONE, *IMITATES, *TASK)
    assert "d_loss" not in metrics(out)[0] and read(out / "config.json")["setting"]["init_policy"] is None


def test_no_clone_without_pairs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--init_policy bc: there are no demonstrations" in refused(tmp_path, capsys, *TASK, "--init_policy", "bc")
    one = ("--expert", EXPERT, "--trajectories", "1", "--subsample", "199")
    assert "1 pair, at least 2 expected" in refused(tmp_path, capsys, *one, "--init_policy", "bc")


def test_a_clone_that_is_interrupted_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flags = ("--init_policy", "bc", *CLONE, *IMITATES)
    whole, original = train(tmp_path / "whole", *flags), cloning.clone

    def interrupted(*given: Any) -> Any:
        signal.raise_signal(signal.SIGUSR1)
        threading.Event().wait(0.2)
        return original(*given)

    monkeypatch.setattr(cloning, "clone", interrupted)
    part = train(tmp_path / "part", *flags)
    assert not list((part).glob("checkpoints/*")) and read(part / "summary.json")["stopped"] == "SIGUSR1"
    monkeypatch.undo()
    assert main(["train", "--resume", "--out", str(part), "--quiet"]) == 0
    assert differing(state(checkpoints(whole)[-1]), state(checkpoints(part)[-1])) == []


# ---- the warm-up -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("generator", ["trpo", "ppo"])
def test_the_policy_rests_in_the_warm_up(generator: str, tmp_path: Path) -> None:
    more = ("--warmup_iterations", "2", "--g_step", "2", "--generator", generator, "--save_every", "1")
    out = train(tmp_path / "run", *IMITATES, *more, "--iterations", "3")
    one, two, three = (state(path) for path in checkpoints(out))
    assert [int(row["warmup"]) for row in metrics(out)] == [1, 1, 0]
    assert [float(row["kl"]) > 0 for row in metrics(out)] == [False, False, True]

    def of(tensors: dict[str, np.ndarray], prefix: str) -> dict[str, np.ndarray]:
        return {name: values for name, values in tensors.items() if name.startswith(prefix)}

    assert differing(of(one, "policy."), of(two, "policy.")) == []
    assert one["policy.normaliser.count"] == 0 and three["policy.normaliser.count"] > 0
    assert len(differing(of(two, "policy."), of(three, "policy."))) > 5
    for part in ("critic.network.", "adversary.network."):
        assert differing(of(one, part), of(two, part)) != []


def test_without_a_warm_up_there_is_no_column_of_it(imitated: Path) -> None:
    assert "warmup" not in metrics(imitated)[0]
