"""A run that is pushed and pulled: the same policy, without pickle, and nothing of the machine or the person."""

from __future__ import annotations

import json
import os
import re
import resource
import shlex
import shutil
import socket
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from runs import SPACES, make_run

import trpo_gail
from trpo_gail import Config
from trpo_gail.cli import main
from trpo_gail.commands.train import parse_flags
from trpo_gail.config import words
from trpo_gail.config.presets import changed, preset
from trpo_gail.config.tree import CloningConfig
from trpo_gail.errors import UserError
from trpo_gail.exports import safetensors, shared
from trpo_gail.exports.pull import pull
from trpo_gail.exports.push import push
from trpo_gail.reports.run_data import load
from trpo_gail.runs import checkpoint
from trpo_gail.runs.evaluate import read_policy

TINY = [
    "--num_envs", "2", "--timesteps_per_batch", "64", "--iterations", "2", "--eval_every", "64", "--eval_episodes", "2",
    "--final_episodes", "3", "--seed", "3", "--quiet",
]  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a file in a folder that tells much of its owner."""
    folder = tmp_path_factory.mktemp("home") / "alice" / "secret project"
    folder.mkdir(parents=True)
    source = Path(__file__).parents[2] / "expert_data" / "CartPole-v0.h5"
    shutil.copy(source, folder / "demos.h5")
    line = ["CartPole-v0", "--expert", str(folder / "demos.h5"), "--trajectories", "1", "--subsample", "10", *TINY]
    assert main(["train", *line, "--out", str(folder / "run")]) == 0
    (folder / "run" / "film.GIF").write_bytes(b"GIF89a")
    return folder / "run"


# ---- the policy ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", SPACES)
def test_what_is_pulled_is_the_same_policy(kind: str, tmp_path: Path) -> None:
    made = make_run(tmp_path / "run", kind)
    push(made, str(tmp_path / "shared"))
    pull(str(tmp_path / "shared"), tmp_path / "pulled")
    (ours, _, spec, _), (theirs, _, other, _) = read_policy(made), read_policy(tmp_path / "pulled")
    assert repr(other) == repr(spec)
    for name, value in ours.state_dict().items():
        assert torch.equal(value, theirs.state_dict()[name]), name
    at = [checkpoint.last_path(folder) for folder in (made, tmp_path / "pulled")]
    contents = [checkpoint.read(path) for path in at if path]
    assert contents[0]["iteration"] == contents[1]["iteration"]


def test_the_file_is_of_the_format(tmp_path: Path) -> None:
    tensors = {
        "a": torch.arange(6, dtype=torch.float64).reshape(2, 3),
        "b": torch.tensor(True),
        "empty": torch.zeros(0, 3),
        "c": torch.tensor([1, -2], dtype=torch.int16),
    }
    data = safetensors.write(tensors, {"format": "pt"})
    length = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + length])
    assert length % 8 == 0 and header["__metadata__"] == {"format": "pt"}
    assert header["a"] == {"dtype": "F64", "shape": [2, 3], "data_offsets": [0, 48]}
    found = safetensors.read(data, "x")
    assert found.keys() == tensors.keys()
    for name, value in tensors.items():
        assert torch.equal(found[name], value) and found[name].dtype == value.dtype and found[name].shape == value.shape
    assert safetensors.write(found, {"format": "pt"}) == data
    for wrong in (b"", data[:20], data[:-1], data + b"x", b"\xff" * 8 + data[8:], data.replace(b"[0,48]", b"[8,48]")):
        with pytest.raises(UserError, match=r"x: (no|a damaged) safetensors file"):
            safetensors.read(wrong, "x")
    with pytest.raises(UserError, match=r"torch\.complex64 is not written"):
        safetensors.write({"z": torch.zeros(1, dtype=torch.complex64)}, {})


@pytest.mark.long
def test_every_tool_takes_what_was_pulled(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["push", str(run), "./shared"]) == 0
    assert main(["pull", "./shared", "pulled"]) == 0
    assert capsys.readouterr().out == "./shared\nrun folder pulled\n"
    summary = json.loads((run / "summary.json").read_text())
    assert main(["evaluate", "pulled", "--episodes", "3", "--seed", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["return_mean"] == summary["return_mean"]
    assert main(["export", "pulled", "--policy", "policy.pt"]) == 0
    assert main(["record", "CartPole-v0", "--policy", "pulled", "--episodes", "1", "--out", "new.h5"]) == 0
    assert main(["report", "pulled", "--episodes", "1"]) == 0
    more = ["train", "CartPole-v0", "--expert", "new.h5", "--init_policy", "pulled", *TINY]
    assert main([*more, "--out", "next"]) == 0
    assert main(["push", "pulled", "./again"]) == 0
    for name in (shared.POLICY, shared.CONFIG, "summary.json", "metrics.csv"):
        assert Path("again", name).read_bytes() == Path("shared", name).read_bytes()
    capsys.readouterr()
    assert main(["export", "pulled", "--reward", "reward.pt"]) == 2
    assert "holds a policy alone, of behavioural cloning or pulled, and no learned reward" in capsys.readouterr().err
    assert main(["train", "--out", "pulled", "--resume"]) == 2
    assert "pulled was pulled, and holds a policy alone: --init_policy pulled starts" in capsys.readouterr().err
    assert main(["evaluate", "pulled", "--best"]) == 2
    assert "pulled: it was pulled, and holds one policy, so no best.pt" in capsys.readouterr().err


def test_the_best_policy_and_clones(run: Path, tmp_path: Path) -> None:
    push(run, str(tmp_path / "best"), "best")
    text = (tmp_path / "best" / shared.CARD).read_text()
    assert "of an evaluation during training, by which it was chosen)" in text and "scaled score" not in text
    assert main(["clone", "CartPole-v0", "--expert", "CartPole-v0", "--iterations", "20", "--final_episodes", "1",
                 "--out", str(tmp_path / "clone"), "--quiet"]) == 0  # fmt: skip
    push(tmp_path / "clone", str(tmp_path / "shared"))
    text = (tmp_path / "shared" / shared.CARD).read_text()
    assert "# Behavioural cloning on CartPole-v0" in text and "trpo-gail clone CartPole-v0 --expert CartPole-v0" in text
    assert pull(str(tmp_path / "shared"), tmp_path / "pulled") == []
    assert main(["evaluate", str(tmp_path / "pulled"), "--episodes", "1"]) == 0


def test_the_best_policy_is_the_best_wherever_it_goes_on_to(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its return is that by which it was chosen, not the last policy's, which is not there."""
    monkeypatch.chdir(tmp_path)
    best = json.loads((run / "summary.json").read_text())["best_return"]
    for which in ("best", "last"):
        push(run, f"./{which}", which)
        pull(f"./{which}", f"{which}_pulled")
        push(f"{which}_pulled", f"./{which}_again")
        for name in (shared.CARD, shared.CONFIG, shared.POLICY, "summary.json"):
            assert Path(f"{which}_again", name).read_bytes() == Path(which, name).read_bytes(), name
    summary = json.loads(Path("best", "summary.json").read_text())
    assert summary["return_mean"] == best and not {"returns", "lengths", "episodes"} & summary.keys()
    assert load(["best_pulled"])[0].summary["return_mean"] == best
    push("best_pulled", "./asked", "best")
    with pytest.raises(UserError, match="no best checkpoint of a run here"):
        push("last_pulled", "./none", "best")


def test_the_working_folder_is_not_taken_away(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here" / "below").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here" / "below")
    for target in (".", "..", str(tmp_path / "here")):
        with pytest.raises(UserError, match="the working folder, or one that holds it, is not replaced"):
            push(run, target)
    assert list((tmp_path / "here").iterdir()) == [tmp_path / "here" / "below"]


# ---- the card, and what is private -----------------------------------------------------------------------------------


def test_the_card_says_what_the_run_does(run: Path, tmp_path: Path) -> None:
    push(run, str(tmp_path / "shared"))
    text = (tmp_path / "shared" / shared.CARD).read_text()
    summary = json.loads((run / "summary.json").read_text())
    spread = f"{summary['return_mean']:.2f} +/- {summary['return_std']:.2f}"
    assert text.startswith("---\nlibrary_name: trpo_gail\n") and f'value: "{spread}"' in text
    assert f"| return | {spread} (deterministic, 3 episodes) |" in text
    assert "trpo-gail evaluate RUN --episodes 3 --seed 3" in text and "![One episode](replay.gif)" in text
    assert (tmp_path / "shared" / "replay.gif").read_bytes() == b"GIF89a"
    (line,) = re.findall(r"^trpo-gail train (.*)$", text, re.MULTILINE)
    config = parse_flags(shlex.split(line)).config
    held = json.loads((tmp_path / "shared" / shared.CONFIG).read_text())
    assert json.loads(json.dumps(trpo_gail.config.files.to_dict(config))) == held["config"]


def test_the_name_of_the_demonstrations_may_be_no_text(run: Path, tmp_path: Path) -> None:
    shutil.copytree(run, tmp_path / "run")
    held = json.loads((tmp_path / "run" / "config.json").read_text())
    held["config"]["expert"] = held["setting"]["expert"] = os.fsdecode(b"/caf\xe9.h5")
    (tmp_path / "run" / "config.json").write_text(json.dumps(held))
    push(tmp_path / "run", str(tmp_path / "shared"))
    assert r"caf\udce9.h5" in (tmp_path / "shared" / shared.CARD).read_text()


def test_nothing_private_is_shared(run: Path, tmp_path: Path) -> None:
    push(run, str(tmp_path / "shared"))
    assert {path.name for path in (tmp_path / "shared").iterdir()} == {
        *shared.FILES[:3], *shared.COPIED, "replay.gif"
    }  # fmt: skip
    for path in (tmp_path / "shared").iterdir():
        for private in ("alice", "secret project", "/home", str(run.parents[2]), "--out"):
            assert private.encode() not in path.read_bytes(), (path.name, private)
    held = json.loads((tmp_path / "shared" / shared.CONFIG).read_text())
    assert held["config"]["expert"] == held["setting"]["expert"] == "demos.h5"
    assert not {"hosts", "command", "time"} & set(held["sessions"][0]) and held["sessions"][0]["versions"]
    assert socket.gethostname() not in held["sessions"][0].values()


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("/home/alice/x.h5", "x.h5"),
        ("as /home/alice/x.h5 states", "as x.h5 states"),
        ('{"model": "/data/alice/robot.xml", "n": 1}', '{"model": "robot.xml", "n": 1}'),
        ('{"model": "/data/alice/my robots/robot.xml"}', '{"model": "robot.xml"}'),
        ("/data/alice's things/x.h5", "x.h5"),
        ("~/x/y.h5", "y.h5"),
        ("~alice/x/y.h5", "y.h5"),
        ("as ../alice/my demos.h5 states", "as my demos.h5 states"),
        ("Paper/Hopper-v1", "Paper/Hopper-v1"),
        ("mine.envs:Robot-v0", "mine.envs:Robot-v0"),
        ("https://arxiv.org/abs/1606.03476", "https://arxiv.org/abs/1606.03476"),
        (3.5, 3.5),
    ],
)
def test_paths_become_names(text: Any, left: Any) -> None:
    assert shared.cleaned({"a": [text]}, ["../alice/my demos.h5"]) == {"a": [left]}


@pytest.mark.parametrize(
    "config",
    [
        Config("CartPole-v0", expert="x.h5"),
        preset("paper", "Hopper-v4", expert="my file.h5", seed=4, dtype="float64"),
        preset("paper", "Hopper-v4", "ppo", expert="x.h5"),
        preset("stable-baselines", "Hopper-v4", adversary="env_reward", normalise_from_expert=False),
        changed(
            Config("CartPole-v0", expert="x.h5"),
            {
                "policy.hidden_sizes": (8, 9), "action_scaling": False, "discriminator.inputs": ("state", "next_state"),
                "policy.init_log_std": -1.5, "discriminator.reward": "-log(1-D)", "env_kwargs": '{"a": 1}',
            },
        ),
    ],
)  # fmt: skip
def test_a_config_is_given_by_its_words(config: Config) -> None:
    assert parse_flags(words.of_training(config)).config == config


def test_a_clones_words() -> None:
    config = CloningConfig("CartPole-v0", "x.h5", seed=3, hidden_sizes=(5,))
    assert words.of_cloning(config) == ["CartPole-v0", "--expert", "x.h5", "--hidden_sizes", "5", "--seed", "3"] or (
        set(words.of_cloning(config)) == {"CartPole-v0", "--expert", "x.h5", "--hidden_sizes", "5", "--seed", "3"}
    )


# ---- places ----------------------------------------------------------------------------------------------------------


def test_a_target_is_replaced_only_if_it_is_ours(run: Path, tmp_path: Path) -> None:
    target = tmp_path / "shared"
    target.mkdir()  # an empty folder holds nothing to lose
    push(run, str(target))
    before = (target / shared.POLICY).read_bytes()
    with pytest.raises(UserError, match="holds a run already; --force replaces it"):
        push(run, str(target))
    push(run, str(target), "best", force=True)
    assert json.loads((target / shared.CONFIG).read_text())["policy"]["which"] == "best"
    (target / "thesis.tex").touch()
    with pytest.raises(UserError, match=r"holds other files \(thesis.tex\), which are not replaced"):
        push(run, str(target), force=True)
    assert (target / "thesis.tex").exists() and before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shared"], "no part is left"
    with pytest.raises(UserError, match="exists already, a new folder expected"):
        pull(str(target), target)


def test_what_cannot_be_written_leaves_nothing(run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    push(run, str(tmp_path / "shared"))

    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(UserError, match=rf"^{tmp_path}/shared/[\w.]+: No space left on device$"):
        push(run, str(tmp_path / "shared"), force=True)
    with pytest.raises(UserError, match=rf"^{tmp_path}/pulled/[\w.]+: No space left on device$"):
        pull(str(tmp_path / "shared"), tmp_path / "pulled")
    assert [path.name for path in tmp_path.iterdir()] == ["shared"] and (tmp_path / "shared" / shared.CARD).exists()


@pytest.mark.parametrize("most", [0, 1000, 3000, 9000])
def test_an_error_of_a_full_disk_names_what_cannot_be_written(run: Path, tmp_path: Path, most: int) -> None:
    push(run, str(tmp_path / "shared"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        with pytest.raises(UserError) as raised:
            pull(str(tmp_path / "shared"), tmp_path / "pulled")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert re.match(rf"{tmp_path}/pulled/[\w/.]+: .*File too large", str(raised.value)), raised.value
    assert ".part" not in str(raised.value)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["push", "RUN", "shared"], "shared: expected a folder as ./shared, or hf:USER/NAME for a repository of"),
        (["push", "RUN", "hf:name"], "hf:name: hf:USER/NAME expected"),
        (["push", "RUN", "hf:a/b/c"], "hf:a/b/c: hf:USER/NAME expected"),
        (["push", "RUN", "./x", "--private"], "--private: expected with hf:USER/NAME, found with the folder ./x"),
        (["push", "RUN", "./x", "--video", "no.gif"], "--video no.gif: no such file"),
        (["push", "RUN", "./x", "--video", "file"], "--video file: FILE.mp4 or FILE.gif expected"),
        (["push", "RUN", "./file"], "file: exists, a folder expected"),
        (["push", "nothing", "./x"], "nothing/config.json: not a readable JSON file of a run"),
        (["pull", "./nothing", "x"], "./nothing: holds no policy.safetensors, expected what trpo-gail push writes"),
        (["pull", "RUN", "x"], "holds no policy.safetensors, expected what trpo-gail push writes"),
    ],
)
def test_mistakes(
    words: list[str], said: str, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    assert main([str(run) if word == "RUN" else word for word in words]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1 and not Path("x").exists()


def _config(**policy: Any) -> Any:
    return lambda held: held["policy"].update(policy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda held: held.pop("policy"), "config.json: field 'policy' is missing"),
        (_config(iteration="x"), "field 'policy.iteration': a whole number expected"),
        (_config(state={"a": {"tensor": "b"}}), "field 'policy' is damaged, or does not fit policy.safetensors ('b')"),
        (_config(state={}), "not a policy that fits its own config: "),
        (_config(spec={}), "not a policy that fits its own config: "),
        (lambda held: held.update(format=99), "format 99, made by a later version of trpo_gail"),
        (lambda held: held["config"].update(seed="x"), "field 'seed': a whole number expected"),
        (lambda held: held["config"]["policy"].update(hidden_sizes=[3]), "not a policy that fits its own config: "),
        (lambda held: held["setting"].pop("backend"), "fields missing or unknown: backend"),
    ],
)
def test_damaged_sources(change: Any, said: str, run: Path, tmp_path: Path) -> None:
    push(run, str(tmp_path / "shared"))
    file = tmp_path / "shared" / shared.CONFIG
    held = json.loads(file.read_text())
    change(held)
    file.write_text(json.dumps(held))
    with pytest.raises(UserError) as caught:
        pull(str(tmp_path / "shared"), tmp_path / "pulled")
    assert said in str(caught.value) and [path.name for path in tmp_path.iterdir()] == ["shared"]


def test_code_of_others_is_named_and_not_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    push(run, "./shared")
    held = json.loads(Path("shared", shared.CONFIG).read_text())
    held["config"] |= {"env": "wicked:Env-v0"}
    held["config"]["policy"] |= {"network": "wicked:make"}
    Path("shared", shared.CONFIG).write_text(json.dumps(held))
    assert main(["pull", "./shared", "pulled"]) == 0
    err = capsys.readouterr().err
    assert "names wicked:Env-v0, code outside this package" in err and "names wicked:make" in err


def test_an_adversary_of_others_is_named_and_not_run(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    push(run, "./shared")
    Path("wicked.py").write_text("from pathlib import Path\nPath('ran').touch()\n")
    held = json.loads(Path("shared", shared.CONFIG).read_text())
    held["config"] |= {"adversary": "wicked:make", "expert": None, "trajectories": 2}
    Path("shared", shared.CONFIG).write_text(json.dumps(held))
    assert main(["pull", "./shared", "pulled"]) == 0
    assert "names wicked:make, code outside this package" in capsys.readouterr().err
    assert not Path("ran").exists()


# ---- the hub, by a stand-in ------------------------------------------------------------------------------------------


class Hub:
    """Repositories in a folder, with the calls of huggingface_hub that are used."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.private, self.commits = folder, None, 0

    def HfApi(self) -> Hub:
        return self

    def repo_exists(self, name: str) -> bool:
        return (self.folder / name).is_dir()

    def list_repo_files(self, name: str) -> list[str]:
        return [path.name for path in (self.folder / name).iterdir()]

    def create_repo(self, name: str, private: Any, exist_ok: bool) -> None:
        self.private = private
        (self.folder / name).mkdir(parents=True, exist_ok=exist_ok)
        (self.folder / name / ".gitattributes").touch()

    def upload_folder(self, repo_id: str, folder_path: str, commit_message: str, delete_patterns: list[str]) -> None:
        for name in delete_patterns:
            (self.folder / repo_id / name).unlink(missing_ok=True)
        shutil.copytree(folder_path, self.folder / repo_id, dirs_exist_ok=True)
        self.commits += 1

    def snapshot_download(self, name: str, local_dir: str, allow_patterns: list[str]) -> None:
        if not self.repo_exists(name):
            raise RuntimeError(f"404 Client Error.\n\nRepository Not Found: {name}")
        for file in allow_patterns:
            if (self.folder / name / file).is_file():
                shutil.copy(self.folder / name / file, local_dir)


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hub:
    made = Hub(tmp_path / "hub")
    calls = SimpleNamespace(HfApi=made.HfApi, snapshot_download=made.snapshot_download)
    monkeypatch.setitem(sys.modules, "huggingface_hub", calls)
    return made


def test_a_repository(hub: Hub, run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["push", str(run), "hf:alice/pole", "--private"]) == 0
    assert capsys.readouterr().out == "https://huggingface.co/alice/pole\n"
    there = hub.folder / "alice" / "pole"
    assert hub.private is True and hub.commits == 1
    assert "trpo-gail pull hf:alice/pole RUN" in (there / shared.CARD).read_text()
    assert main(["pull", "hf:alice/pole", str(tmp_path / "pulled")]) == 0
    assert trpo_gail.load_policy(tmp_path / "pulled").env_id == "CartPole-v0"
    capsys.readouterr()
    assert main(["push", str(run), "hf:alice/pole"]) == 2
    assert "hf:alice/pole: holds a run already; --force replaces it" in capsys.readouterr().err
    (run / "film.GIF").rename(run / "film.no")
    try:
        assert main(["push", str(run), "hf:alice/pole", "--force"]) == 0
    finally:
        (run / "film.no").rename(run / "film.GIF")
    assert not (there / "replay.gif").exists() and (there / ".gitattributes").exists()
    (there / "mine.txt").touch()
    assert main(["push", str(run), "hf:alice/pole", "--force"]) == 2
    assert "holds other files (mine.txt)" in capsys.readouterr().err
    assert main(["pull", "hf:alice/none", str(tmp_path / "none")]) == 2
    assert capsys.readouterr().err == "trpo-gail: hf:alice/none: 404 Client Error\n"
    assert not (tmp_path / "none").exists()


def test_without_the_library(run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert main(["push", str(run), "hf:alice/pole"]) == 2
    assert capsys.readouterr().err == ("trpo-gail: hf:alice/pole: needs huggingface_hub: pip install huggingface_hub\n")
