"""`--config FILE`: flags in a file, a run's config.json as such a file, and every way to get one wrong."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from trpo_gail.cli import main
from trpo_gail.commands.train import parse_flags
from trpo_gail.config import yaml_text
from trpo_gail.config.files import to_dict
from trpo_gail.config.leaves import flatten
from trpo_gail.config.presets import preset
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError

Write = Callable[..., str]


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write flags as JSON, or a text as it is; returns the file's name."""

    def written(content: Any, name: str = "flags.json") -> str:
        file = tmp_path / name
        file.write_text(content if isinstance(content, str) else json.dumps(content))
        return str(file)

    return written


def config(file: str, *words: str, command: str = "train") -> Config:
    return parse_flags(["--config", file, *words], command).config


def flat(file: str, *words: str) -> dict[str, Any]:
    return flatten(config(file, *words))


# ---- what a file may hold --------------------------------------------------------------------------------------------


def test_nested_dotted_and_short_names_are_the_same_flags(write: Write) -> None:
    ways: list[dict[str, Any]] = [
        {"trpo": {"max_kl": 0.02}, "critic": {"natural_gradient": {"max_kl": 0.3}, "fit": "natural-gradient"}},
        {"trpo.max_kl": 0.02, "critic.natural_gradient.max_kl": 0.3, "critic.fit": "natural-gradient"},
        {"max_kl": 0.02, "critic": {"natural_gradient.max_kl": 0.3}, "critic.fit": "natural-gradient"},
        {"max-kl": 0.02, "critic.natural-gradient": {"max_kl": 0.3}, "critic": {"fit": "natural-gradient"}},
    ]
    typed = ["--max_kl", "0.02", "--critic.natural_gradient.max_kl", "0.3", "--critic.fit", "natural-gradient"]
    wanted = parse_flags(["Hopper-v4", *typed]).config
    for way in ways:
        assert config(write({"env": "Hopper-v4"} | way)) == wanted


def test_values_are_of_the_flags_types(write: Write) -> None:
    held = {
        "env": "x", "steps": 2e6, "iterations": "None", "policy": {"hidden_sizes": [8, 9], "normalise_observations": False},
        "discriminator": {"hidden_sizes": None, "ignore": [3, "10:13"], "gradient_penalty": 3}, "save_every": 20,
        "env_kwargs": {"a": [1]}, "gamma": 1,
    }  # fmt: skip
    found = flat(write(held))
    assert found["steps"] == 2_000_000 and isinstance(found["steps"], int)
    assert found["iterations"] is None and found["discriminator.hidden_sizes"] is None
    assert found["policy.hidden_sizes"] == (8, 9) and found["policy.normalise_observations"] is False
    assert found["discriminator.ignore"] == ("3", "10:13") and found["save_every"] == "20"
    assert json.loads(found["env_kwargs"]) == {"a": [1]} and found["discriminator.gradient_penalty"] == 3


def test_typed_flags_win_over_the_file_and_the_file_over_the_preset(write: Write) -> None:
    file = write({"preset": "paper", "env": "Hopper-v4", "gamma": 0.9, "max_kl": 0.5, "out": "runs/a"})
    given = parse_flags(["--config", file, "Walker2d-v4", "--trpo.max_kl", "0.25", "--out", "runs/b"])
    assert given.out == "runs/b" and parse_flags(["--config", file]).out == "runs/a"
    found = flatten(given.config)
    assert (found["env"], found["gamma"], found["trpo.max_kl"]) == ("Walker2d-v4", 0.9, 0.25)
    assert found["num_envs"] == preset("paper", "x").num_envs
    assert config(file, "--preset", "default").num_envs == Config("x").num_envs


def test_of_two_files_the_last_is_read_and_a_warning_says_so(write: Write, capsys: pytest.CaptureFixture[str]) -> None:
    one, two = write({"env": "x", "seed": 3}, "one.json"), write({"env": "y", "adversary": "constant"}, "two.json")
    found = config(one, "--config", two)
    assert (found.env, found.seed) == ("y", 0)
    told = f"warning: --config {one}: nothing of it is read, since --config {two} comes after it\n"
    assert " ".join(capsys.readouterr().err.split()) == told.strip()


def test_expert_takes_a_file_over_its_own_defaults(write: Write) -> None:
    assert config(write({"env": "x"}), command="expert").adversary == "env_reward"
    assert config(write({"env": "x", "adversary": "constant"}), command="expert").adversary == "constant"


@pytest.mark.parametrize(
    ("text", "name"),
    [('{"env": "x",\n\t"seed": 3}', "F.JSON"), ("env: x\nseed: 3", "f.yaml"), ("env: x\nseed: 3", "f")],
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_files_of_windows_are_read(write: Write, text: str, name: str, mark: str) -> None:
    assert config(write(mark + text, name), "--adversary", "constant").seed == 3


# ---- what is wrong with a file ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("held", "said"),
    [
        ({"cg_max_steps": 3}, "field 'cg_max_steps': no flag has this name; here it is cg_iters"),
        ({"d_stp": 3}, "field 'd_stp': no flag has this name; did you mean d_step?"),
        ({"discriminator": {"gradient_penality": 3}}, "did you mean discriminator.gradient_penalty"),
        ({"gradient_penalty": 3}, "did you mean discriminator.gradient_penalty?"),
        ({"no_action_scaling": True}, "did you mean action_scaling?"),
        ({"config": "other.json"}, "field 'config': no flag has this name"),
        ({"discriminator": 3}, "field 'discriminator': an object expected, found 3"),
        ({"steps": "many"}, "field 'steps': a whole number expected, found 'many'"),
        ({"steps": 2.5}, "field 'steps': a whole number expected, found 2.5"),
        ({"steps": True}, "field 'steps': a whole number expected, found True"),
        ({"steps": {"a": 1}}, "field 'steps': a whole number expected, found {'a': 1}"),
        ({"gamma": None}, "field 'gamma': a finite number expected, found None"),
        ({"expert": False}, "field 'expert': a text or null expected, found False"),
        ({"preset": "papers"}, "field 'preset': one of default, stable-baselines, paper expected, found 'papers'"),
        ({"policy": {"hidden_sizes": 8}}, "field 'policy.hidden_sizes': a list of whole numbers expected, found 8"),
        ({"policy": {"hidden_sizes": [8, "x"]}}, "field 'policy.hidden_sizes': a list of whole numbers expected, found 'x'"),
        ({"max_kl": 0.1, "trpo": {"max_kl": 0.2}}, "field 'trpo.max_kl': 0.2 given, but 'max_kl' gives a value already"),
        ({"steps": 0}, "--steps: 0 given, at least 1 expected"),
        ({"generator": "ppo", "trpo.max_kl": 0.02}, "--trpo.max_kl: 0.02 given, but --generator is ppo"),
        ({"generator": "ppo", "max_kl": 0.01}, "field 'max_kl': given, but --generator is ppo"),
        ([1], "[1] found, a mapping of flags to values expected"),
        ("{", "line 1: Expecting property name enclosed in double quotes, JSON expected"),
        ('{"seed": 1, "seed": 2}', "'seed' given twice"),
        ('{"policy": {"images": [], "images": []}}', "'images' given twice"),
        ("[" * 100_000, "maximum recursion depth exceeded"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_file_is_one_line_with_file_field_and_value(write: Write, held: Any, said: str) -> None:
    file = write({"env": "x"} | held if isinstance(held, dict) else held)
    with pytest.raises(UserError) as raised:
        config(file)
    assert str(raised.value).startswith(f"--config {file}: ") and said in str(raised.value)


def test_a_typed_mistake_is_not_blamed_on_the_file(write: Write) -> None:
    with pytest.raises(UserError, match=r"^--steps: 0 given"):
        config(write({"env": "x", "steps": 5}), "--steps", "0")


def test_files_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bytes_ = tmp_path / "bytes.json"
    bytes_.write_bytes(b"\xff")
    for file, said in ((tmp_path / "gone.yaml", "No such file"), (tmp_path, "directory"), (bytes_, "UTF-8 expected")):
        assert main(["train", "--config", str(file)]) == 2
        printed = capsys.readouterr().err
        assert f"trpo-gail: --config {file}: " in printed and said in printed and printed.count("\n") == 1


def test_toml_is_refused_by_its_name(write: Write) -> None:
    with pytest.raises(UserError, match=r"flags\.toml: TOML is not read, YAML or JSON expected$"):
        config(write('env = "x"', "flags.toml"))


def test_a_contestant_of_a_comparison_has_no_file(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--env", "x", "--expert", "y", "--out", "z", "--generators", "trpo,ppo", "--flags", "--config f.json"]
    assert main(["compare", *words]) == 2
    assert "--config is the same for all" in capsys.readouterr().err


# ---- YAML ------------------------------------------------------------------------------------------------------------

YAML = """
env: Hopper-v4          # a comment
steps: 2e6
discriminator:
  d_stepsize: 1e-3
  reward: -log(1-D)
  ignore: [3, 10:13]
  gradient_penalty: ~
action_scaling: false
expert: no
policy.hidden_sizes:
  - 8
  - 010
"""


def test_yaml_is_read_as_it_looks(write: Write) -> None:
    pytest.importorskip("yaml", reason="pyyaml is not installed")
    found = flat(write(YAML, "flags.yaml"))
    assert found["steps"] == 2_000_000 and found["discriminator.d_stepsize"] == 1e-3
    assert found["discriminator.reward"] == "-log(1-D)" and found["discriminator.ignore"] == ("3", "10:13")
    assert found["discriminator.gradient_penalty"] is None and found["action_scaling"] is False
    assert found["expert"] == "no" and found["policy.hidden_sizes"] == (8, 10)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: [1", "line 1: expected ',' or ']', but got '<stream end>', YAML expected"),
        ("seed: 1\nsteps: 2\nseed: 3", "line 3: 'seed' given twice, YAML expected"),
        (
            "seed: 1\nenv_kwargs: {a: !!timestamp 2024-01-01}",
            "line 2: could not determine a constructor for the tag 'tag",
        ),
        ("env_kwargs: {a: !!set {b}}", "line 1: could not determine a constructor for the tag"),
        ("env_kwargs: &x {a: *x}", "Circular reference detected, YAML expected"),
        ("critic: {time_input: !!bool yes}", "line 1: 'yes' is no bool, YAML expected"),
        ("seed: 1\nsteps: !!int abc", "line 2: 'abc' is no int, YAML expected"),
        ("policy:\n  images: []\n  images: []", "line 3: 'images' given twice, YAML expected"),
        ("", "None found, a mapping of flags to values expected"),
        ("just words", "'just words' found, a mapping"),
        ("env: !!python/object/apply:os.system [ls]", "could not determine a constructor"),
        ("steps: .inf", "field 'steps': a whole number expected, found inf"),
        ("gamma: 2026-01-01", "field 'gamma': a finite number expected, found '2026-01-01'"),
        ("? [1, 2]\n: 3", "unhashable key"),
        ("discriminator: &a\n  discriminator: *a", "Circular reference detected, YAML expected"),
        ("steps: " + "9" * 5000, "digits"),
        ("[" * 5000, "recursion"),
        ("!!map [1]", "line 1: a mapping, YAML expected"),
    ],
)
def test_a_mistake_in_yaml_is_one_line(write: Write, text: str, said: str) -> None:
    pytest.importorskip("yaml", reason="pyyaml is not installed")
    file = write(text, "flags.yml")
    with pytest.raises(UserError) as raised:
        config(file, "Hopper-v4")
    assert str(raised.value).startswith(f"--config {file}: ") and said in str(raised.value)


def test_without_pyyaml_one_line_says_what_to_do(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "yaml", None)
    with pytest.raises(
        UserError, match=r"^--config x: pyyaml is not installed: pip install pyyaml, or write FILE\.json$"
    ):
        yaml_text.parse("a: 1", "--config x")


# ---- the config.json of a run ----------------------------------------------------------------------------------------


def run_file(made: Config, **more: Any) -> dict[str, Any]:
    return {
        "format": 1,
        "kind": "training",
        "config": to_dict(made),
        "setting": {"expert": None},
        "sessions": [],
    } | more


@pytest.mark.parametrize(
    "made", [Config("Hopper-v4", generator="ppo"), preset("paper", "Hopper-v4", critic=Config("").critic)]
)
def test_a_runs_config_gives_its_settings_idle_ones_too(write: Write, made: Config) -> None:
    file = write(run_file(made), "config.json")
    assert config(file) == made
    assert (
        config(file, "--seed", "7", "Walker2d-v4") == parse_flags(["--config", file, "--seed=7", "Walker2d-v4"]).config
    )
    assert config(file, "--seed", "7").seed == 7


def test_another_choice_leaves_a_runs_settings_behind(write: Write) -> None:
    made = parse_flags(["Hopper-v4", "--max_kl", "0.5", "--gamma", "0.9"]).config
    found = config(write(run_file(made)), "--generator", "ppo")
    assert found.generator == "ppo" and found.gamma == 0.9 and found.trpo == Config("x").trpo
    with pytest.raises(UserError, match=r"^--trpo\.max_kl: 0\.5 given, but --generator is ppo$"):
        config(write(run_file(made)), "--generator", "ppo", "--max_kl", "0.5")


def test_a_runs_own_demonstrations_are_those_that_it_kept(write: Write) -> None:
    held = run_file(Config("Hopper-v4"), setting={"expert": "runs/x/checkpoints/expert.h5"})
    assert config(write(held)).expert == "runs/x/checkpoints/expert.h5"
    assert config(write(held), "--expert", "mine.h5").expert == "mine.h5"


def test_demonstrations_are_found_from_another_folder_and_in_a_moved_run(write: Write, tmp_path: Path) -> None:
    here = tmp_path / "here.h5"
    here.touch()
    held = run_file(Config("Hopper-v4", expert="data/here.h5"), setting={"expert": str(here)})
    assert config(write(held)).expert == str(here)
    assert config(write(held | {"setting": {"expert": "gone.h5"}})).expert == "data/here.h5"
    assert config(write(held | {"setting": {"expert": 3}})).expert == "data/here.h5"
    cannot_be_asked_for = f"/{'x' * 300}/here.h5"  # as in a folder without permission
    assert config(write(held | {"setting": {"expert": cannot_be_asked_for}})).expert == "data/here.h5"
    copy = tmp_path / "checkpoints" / "expert.h5"
    copy.parent.mkdir()
    copy.touch()
    moved = run_file(Config("Hopper-v4"), setting={"expert": "/gone/run/checkpoints/expert.h5"})
    assert config(write(moved)).expert == str(copy)


def test_the_runs_own_demonstrations_come_before_others_of_the_same_name(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    for name, content in (("here.h5", b"other"), ("elsewhere/here.h5", b"own")):
        Path(name).write_bytes(content)
    setting = {"expert": str(tmp_path / "elsewhere" / "here.h5"), "expert_sha256": hashlib.sha256(b"own").hexdigest()}
    held = run_file(Config("Hopper-v4", expert="here.h5"), setting=setting)
    assert config(write(held)).expert == setting["expert"] and capsys.readouterr().err == ""
    Path("elsewhere/here.h5").unlink()
    assert config(write(held)).expert == "here.h5"
    assert "here.h5 is not the file that the run had: its SHA-256 differs" in capsys.readouterr().err


def test_other_files_of_a_run_are_found_from_another_folder_too(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "elsewhere" / "own.pt"
    own.parent.mkdir()
    own.touch()
    for made in (Config("x", adversary="exported", reward_file="own.pt"), Config("x", init_policy="own.pt")):
        name = "reward_file" if made.reward_file else "init_policy"
        held = run_file(made, setting={name: str(own)})
        assert getattr(config(write(held)), name) == str(own)
        assert getattr(config(write(held | {"setting": {name: "gone.pt"}})), name) == "own.pt"
        assert getattr(config(write(run_file(Config("Hopper-v4"), setting={name: str(own)}))), name) is None


def test_an_environment_that_python_gave_is_not_taken_for_the_id(write: Write) -> None:
    file = write(run_file(Config("CartPole-v1"), setting={"env_lacks": "CartPole-v1 is wrapped in Twice"}))
    with pytest.raises(UserError, match=r"no name makes the run's environment, .*\(CartPole-v1 is wrapped in Twice\)"):
        config(file)
    assert config(file, "Hopper-v4").env == "Hopper-v4"


@pytest.mark.parametrize(
    ("more", "words", "said"),
    [
        ({"kind": "cloning"}, [], "a run of cloning, but a run of training expected"),
        ({"kind": "other"}, [], "field 'kind': one of training, cloning expected, found 'other'"),
        ({"format": 99}, [], "format 99, made by a later version of trpo_gail"),
        ({"config": {"env": 3}}, [], "the config has keys that this version does not know or lacks"),
        ({"config": to_dict(Config("x")) | {"gamma": "a"}}, [], "field 'gamma': a finite number expected, found 'a'"),
        ({}, ["--preset", "paper"], "--preset: given, but --config"),
    ],
)
def test_a_runs_config_that_does_not_fit_is_refused(write: Write, more: Any, words: list[str], said: str) -> None:
    file = write(run_file(Config("x"), **more))
    with pytest.raises(UserError) as raised:
        config(file, *words)
    assert file in str(raised.value) and said in str(raised.value)


SMALL = [
    "--steps=256", "--timesteps_per_batch=128", "--num_envs=2", "--backend=gymnasium", "--final_episodes=1",
    "--eval_every=0", "--quiet",
]  # fmt: skip


def numbers(run: Path) -> list[list[str]]:
    """A run's metrics without its seconds."""
    head, *rows = [line.split(",") for line in (run / "metrics.csv").read_text().splitlines()]
    kept = [k for k, name in enumerate(head) if not name.endswith(("_s", "_per_s", "_seconds"))]
    return [[row[k] for k in kept] for row in rows]


@pytest.mark.slow
def test_a_run_is_repeated_from_its_config(tmp_path: Path, write: Write) -> None:
    first, again, cut = tmp_path / "first", tmp_path / "again", tmp_path / "cut"
    expert = str(Path(__file__).parents[2] / "expert_data" / "CartPole-v0.h5")
    file = write({"env": "CartPole-v0", "expert": expert, "g_step": 1, "discriminator": {"d_stepsize": 1e-3}})
    assert main(["train", "--config", file, *SMALL, "--out", str(first)]) == 0
    of_run = ["train", "--config", str(first / "config.json"), "--quiet", "--out"]
    assert main([*of_run, str(again)]) == 0
    assert numbers(again) == numbers(first) != []
    held = [json.loads((run / "config.json").read_text())["config"] for run in (first, again)]
    assert held[0] == held[1]
    assert main([*of_run, str(cut), "--iterations", "1"]) == 0
    assert main([*of_run, str(cut), "--iterations", "9", "--resume"]) == 0
    assert numbers(cut) == numbers(first)


@pytest.mark.slow
def test_cloning_takes_a_file_and_repeats_a_run(
    tmp_path: Path, write: Write, capsys: pytest.CaptureFixture[str]
) -> None:
    expert = str(Path(__file__).parents[2] / "expert_data" / "CartPole-v0.h5")
    held = {"env": "CartPole-v0", "expert": expert, "iterations": 20, "eval_every": 10, "final_episodes": 1}
    first, again = tmp_path / "first", tmp_path / "again"
    assert main(["clone", "--config", write(held), "--quiet", "--out", str(first)]) == 0
    file = os.fspath(first / "config.json")
    assert main(["clone", "--config", file, "--quiet", "--out", str(again)]) == 0
    assert numbers(again) == numbers(first) != []
    assert main(["train", "--config", file]) == 2
    assert f"--config {file}: a run of cloning, but a run of training expected" in capsys.readouterr().err
    assert main(["clone", "--config", write({"env": "x", "expert": "y", "stepsize": -1})]) == 2
    assert "flags.json: --stepsize: -1" in capsys.readouterr().err
