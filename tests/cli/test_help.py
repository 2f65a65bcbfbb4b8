"""Pages of --help stand by themselves, and say what is so."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from trpo_gail.cli import main
from trpo_gail.commands import COMMANDS, SUBCOMMANDS
from trpo_gail.commands.shells import table
from trpo_gail.config import idle
from trpo_gail.config.leaves import flatten
from trpo_gail.config.presets import changed, preset
from trpo_gail.studies.reproduction.grid import load_grid

Page = Callable[[str], str]


@pytest.fixture
def page(capsys: pytest.CaptureFixture[str]) -> Page:
    def of(command: str) -> str:
        assert main([*command.split(), "--help"]) == 0
        return " ".join(capsys.readouterr().out.split())

    return of


@pytest.mark.parametrize("command", SUBCOMMANDS)
def test_a_command_with_subcommands_says_that_each_has_a_page(command: str, page: Page) -> None:
    said = page(command)
    assert "subcommands, each with --help:" in said
    for name, about in SUBCOMMANDS[command].items():
        assert f"{name} {about}" in said
        assert page(f"{command} {name}").startswith(f"usage: trpo-gail {command} {name} ")


@pytest.mark.parametrize("command", table.classes())
def test_no_page_sends_a_user_of_a_wheel_to_a_file_that_is_not_there(command: str, page: Page) -> None:
    assert "docs/" not in page(command).replace("docs/expert_data.md of the repository", "")


@pytest.mark.parametrize("command", ["train", "expert", "clone", "check", "record", "compare", "bench", "bench memory"])
def test_a_page_says_which_names_of_environments_are_taken(command: str, page: Page) -> None:
    assert "module:Id, or module:name of a class or function that makes one" in page(command)


def test_what_is_required_may_come_from_elsewhere(page: Page) -> None:
    assert "makes one. (required, unless --resume or --config gives it)" in page("train")
    assert page("clone").count("(required, unless --config gives it)") == 2, "ENV and --expert"
    assert "makes one. (required)" in page("record")


def test_the_page_of_expert_names_flags_without_effect(page: Page) -> None:
    assert "--d_step, --discriminator.* and --airl.* would have no effect" in page("expert")
    values = flatten(changed(preset("default", "CartPole-v0"), {"adversary": "env_reward"}))
    paths = [path for path in values if path == "d_step" or path.startswith(("discriminator.", "airl."))]
    assert len(paths) > 20 and all(idle.reason(values, path) for path in paths)


def test_every_command_has_a_page(page: Page) -> None:
    assert all(page(command).startswith(f"usage: trpo-gail {command} ") for command in COMMANDS)


@pytest.mark.parametrize("command", ["paper list", "paper run", "paper status", "paper table"])
def test_a_page_names_the_tasks_and_algorithms_of_the_grid(command: str, page: Page) -> None:
    tasks = page(command).partition("Any of the tasks ")[2].partition(";")[0]
    assert tasks.replace(" and ", ", ").split(", ") == list(load_grid().tasks)
    algorithms = page(command).partition("Any of the algorithms ")[2].partition("; without")[0]
    assert [name for name in load_grid().algorithms if name not in algorithms.replace(",", "").split()] == []


@pytest.mark.parametrize("command", ["info", "validate", "convert", "merge", "head", "select", "plot"])
def test_a_page_says_that_demonstrations_may_be_a_file_a_folder_or_a_name(command: str, page: Page) -> None:
    said = page(f"data {command}").lower()
    assert "folder" in said and "of demonstrations" in said and "of `trpo-gail data list`" in said


def test_the_page_of_train_says_what_d_is_before_it_uses_the_letter(page: Page) -> None:
    before, letter, _ = page("train").partition("The adversary (D)")
    assert letter and not re.search(r"\bD\b", before)
