"""The tables of adversaries and generators: their rows, a row that is added, and functions from outside the package."""

from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from trpo_gail.commands.train import parse_flags
from trpo_gail.config.choices import ADVERSARIES, GENERATORS, Choice, Table, find
from trpo_gail.config.files import from_dict, to_dict
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError


def build(config: Any, parts: Any) -> tuple[Any, Any]:
    return config, parts


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> types.ModuleType:
    """A module of a user's."""
    module = types.ModuleType("their_module")
    vars(module).update(build=build, generous=lambda config, parts: "reward", number=3)
    vars(module.generous).update(imitates=False)
    monkeypatch.setitem(sys.modules, "their_module", module)
    return module


@pytest.fixture
def row(monkeypatch: pytest.MonkeyPatch, outside: types.ModuleType) -> str:
    """A row that they add."""
    monkeypatch.setitem(ADVERSARIES, "theirs", Choice("their_module", ("d_step",)))
    return "theirs"


@pytest.mark.parametrize("table", [ADVERSARIES, GENERATORS], ids=["adversaries", "generators"])
def test_every_row_names_a_function_of_two_arguments(table: Table) -> None:
    for name in table:
        assert find(table, name) is table[name]
        assert table[name].load().__code__.co_varnames[:2] == ("config", "parts")


def test_who_imitates() -> None:
    found = {n: Config("x", adversary=n, reward_file="r" if n == "exported" else None).imitates for n in ADVERSARIES}
    assert [name for name, imitates in found.items() if imitates] == ["gail", "airl", "fem", "gtal"]


def test_a_function_from_outside_is_found_and_imitates_unless_it_says_otherwise(outside: types.ModuleType) -> None:
    choice = find(ADVERSARIES, "their_module:build")
    assert choice.load()("config", "parts") == ("config", "parts") and choice.imitates
    assert Config("x", adversary="their_module:build").imitates
    assert not Config("x", adversary="their_module:generous").imitates


def test_one_from_outside_may_read_every_flag_of_an_adversary(outside: types.ModuleType) -> None:
    line = [
        "x",
        "--adversary",
        "their_module:build",
        "--d_step",
        "3",
        "--d_stepsize",
        "0.1",
        "--generator",
        "their_module:build",
    ]
    config = parse_flags([*line, "--ppo.n_epochs", "2", "--max_kl", "0.1"]).config
    assert (config.d_step, config.ppo.n_epochs, config.trpo.max_kl) == (3, 2, 0.1)
    assert from_dict(Config, to_dict(config), "here") == config


def test_a_config_imports_nothing_before_it_must() -> None:
    """Who only evaluates a policy does not need the adversary that trained it."""
    config = Config("x", expert="f.h5", adversary="no_such_module:build", trajectories=2, normalise_from_expert=True)
    assert from_dict(Config, to_dict(config), "here") == config
    with pytest.raises(UserError, match=r"^--adversary: no_such_module:build: No module named 'no_such_module'$"):
        config.imitates  # noqa: B018


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("their_module:nothing", "--adversary: their_module:nothing: .*has no attribute 'nothing'"),
        (
            "their_module:number",
            "--adversary: their_module:number: a function of a config and its parts expected, found 3",
        ),
    ],
)
def test_what_is_no_function_is_refused(name: str, says: str, outside: types.ModuleType) -> None:
    with pytest.raises(UserError, match=says):
        find(ADVERSARIES, name)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        ("{}['gone']", r"KeyError: 'gone' \(broken_module.py, line 1\)$"),
        ("import json; json.loads('{')", r"JSONDecodeError: .* \(broken_module.py, line 1\)$"),  # not json's line
        ("import sys; sys.exit(0)", r"it called sys.exit\(0\) \(broken_module.py, line 1\)$"),
        ("def f(:", r"SyntaxError: invalid syntax \(broken_module.py, line 1\)$"),
    ],
)
def test_a_module_that_fails_is_one_line(code: str, says: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_module.py").write_text(code)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=f"^--generator: broken_module:f: cannot be imported: {says}"):
        find(GENERATORS, "broken_module:f")


@pytest.mark.parametrize("name", ["npg", "", ":", "module:", ":function", "a b:c", "a:b:c", "module/file.py:build"])
def test_an_unknown_name_is_told_the_choices(name: str) -> None:
    for flag, known in (
        ("generator", "'trpo', 'ppo', 'none'"),
        ("adversary", "'gail', 'airl', 'fem', 'gtal', 'constant', 'env_reward', 'exported'"),
    ):
        with pytest.raises(UserError) as caught:
            parse_flags(["x", f"--{flag}={name}"])
        assert str(caught.value) == f"--{flag}: {name!r} given, one of {known} or module:function expected"
        assert "\n" not in str(caught.value)


def test_a_row_may_be_added_before_the_command_line_runs(row: str) -> None:
    config = parse_flags(["x", "--adversary", row, "--d_step", "3"]).config
    assert not config.imitates and find(ADVERSARIES, row).load() is build
    with pytest.raises(UserError, match=r"^--adversary_entcoeff: given, but --adversary is theirs$"):
        parse_flags(["x", "--adversary", row, "--adversary_entcoeff", "0.05"])
