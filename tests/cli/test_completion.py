"""`trpo-gail completion`: what a shell completes, in the shells that are here."""

from __future__ import annotations

import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from trpo_gail.cli import main
from trpo_gail.commands import COMMANDS
from trpo_gail.commands.shells import bash, fish, table, zsh
from trpo_gail.config.flags import flags

SCRIPTS = {"bash": bash.script, "zsh": zsh.script, "fish": fish.script}


def test_every_command_says_which_flags_it_has() -> None:
    """A command that is missing needs a row of FLAGS in its module."""
    assert {name.partition(" ")[0] for name in table.classes()} == set(COMMANDS)


@pytest.mark.parametrize("name", table.classes())
def test_what_is_completed_is_what_help_lists(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*name.split(), "--help"]) == 0
    page = capsys.readouterr().out
    listed = {flag for line in re.findall(r"^  (--.*)$", page, re.M) for flag in re.findall(r"--[\w.]+", line)}
    assert {flag for option in table.options()[name] for flag in option.names} == listed


def test_the_words_of_a_flag_are_its_choices() -> None:
    found = {flag: option for option in table.options()["train"] for flag in option.names}
    assert found["--generator"].words == ("trpo", "ppo", "none")
    assert found["--discriminator.inputs"].words == ("state", "action", "next_state", "done")
    assert found["--discriminator.inputs"].several and not found["--generator"].several
    assert found["--max_kl"] is found["--trpo.max_kl"] and found["--max_kl"].takes == "number"
    assert found["--expert"].takes == "file" and found["--no_action_scaling"].takes == "nothing"
    actions = {flag: option for option in table.options()["record"] for flag in option.names}["--actions"]
    assert actions.words == ("raw", "executed", "None")
    assert all(flag.choices for flag in flags(table.classes()["completion"]))


@pytest.mark.parametrize("shell", SCRIPTS)
def test_the_command_prints_the_script(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", shell]) == 0
    assert capsys.readouterr().out == SCRIPTS[shell]()


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["completion", "tcsh"]) == 2
    assert "'tcsh' for argument 'SHELL'. Expected one of ('bash', 'zsh', 'fish')" in capsys.readouterr().err


@pytest.mark.parametrize("shell", SCRIPTS)
def test_a_shell_can_read_its_script(shell: str, tmp_path: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    file = tmp_path / "script"
    file.write_text(SCRIPTS[shell]())
    subprocess.run([shell, "-n", file], check=True, timeout=60)


# ---- bash ------------------------------------------------------------------------------------------------------------

# Whether files may follow is what `compopt` is told.
ASK = """
source "$1"; shift
complete -p trpo-gail >/dev/null || exit 1
files=yes
compopt() { files=no; }
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_trpo_gail
printf '%s\\n' "$files" "${COMPREPLY[@]}"
"""


@cache
def bash_script() -> str:
    return bash.script()


def completed(tmp_path: Path, *words: str) -> tuple[bool, list[str]]:
    """Whether bash would complete files, and what it completes, of words of which the last is under way."""
    if shutil.which("bash") is None:
        pytest.skip("bash is not installed")
    file = tmp_path / "script"
    file.write_text(bash_script())
    line = ["bash", "--norc", "-c", ASK, "bash", str(file), "trpo-gail", *words]
    done = subprocess.run(line, capture_output=True, text=True, timeout=60, check=True)
    assert done.stderr == ""
    files, *found = done.stdout.splitlines()
    return files == "yes", [word for word in found if word]


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["tr"], ["train"]),
        (["--v"], ["--version"]),
        (["com"], ["compare", "completion"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["data", "m"], ["merge"]),
        (["bench", "d"], ["data"]),
        (["bench", "st"], ["start"]),
        (["train", "--max_"], ["--max_episode_steps", "--max_kl"]),
        (["train", "Hopper-v4", "--generator", ""], ["trpo", "ppo", "none"]),
        (["train", "Hopper-v4", "--generator", "p"], ["ppo"]),
        (["train", "Hopper-v4", "--generator", "=", "p"], ["ppo"]),
        (["train", "Hopper-v4", "--generator", "="], ["trpo", "ppo", "none"]),
        (["train", "x", "--discriminator.reward", "-l"], [r"-log\(1-D\)"]),
        (["train", "x", "--discriminator.inputs", "state", "n"], ["next_state"]),
        (["train", "x", "--discriminator.inputs", "state", "--g_s"], ["--g_step"]),
        (["train", "x", "--generator", "ppo", "--g_s"], ["--g_step"]),
        (["train", "x", "--time-limits", "b"], ["bootstrap"]),
        (["data", "head", "x.h5", "--"], ["--rows", "--help"]),
        (["compare", "report", "--"], ["--out", "--help"]),
        (["paper", "table", "--format", ""], ["md", "csv", "latex"]),
        (["no_such", "--"], ["--help"]),
    ],
)
def test_bash_completes_commands_flags_and_choices(tmp_path: Path, words: list[str], found: list[str]) -> None:
    assert completed(tmp_path, *words)[1] == found


@pytest.mark.parametrize(
    ("words", "files"),
    [
        (["train", "x", "--expert", ""], True),
        (["train", "--config", "x"], True),
        (["evaluate", ""], True),
        (["data", "info", ""], True),
        (["train", "x", "--steps", ""], False),
        (["train", "x", "--policy.hidden_sizes", "64", ""], False),
        (["train", "x", "--generator", "z"], False),
        ([""], False),
    ],
)
def test_bash_completes_files_where_they_may_be(tmp_path: Path, words: list[str], files: bool) -> None:
    assert completed(tmp_path, *words)[0] == files


# ---- fish ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("trpo-gail tr", ["train"]),
        ("trpo-gail data m", ["merge"]),
        ("trpo-gail train x --generator p", ["ppo"]),
        ("trpo-gail train x --discriminator.reward lo", ["log(D)", "logit"]),
        ("trpo-gail train x --g_s", ["--g_step"]),
        ("trpo-gail bench data --gig", ["--gigabytes"]),
        ("trpo-gail bench --gig", []),
        ("trpo-gail bench scaling --ba", ["--batches"]),
        ("trpo-gail completion z", ["zsh"]),
    ],
)
def test_fish_completes_commands_flags_and_choices(tmp_path: Path, line: str, found: list[str]) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not installed")
    file = tmp_path / "script.fish"
    file.write_text(fish.script())
    words = ["fish", "--no-config", "-c", f"source {file}; complete -C '{line}'"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
    assert [row.partition("\t")[0] for row in done.stdout.splitlines()] == found
