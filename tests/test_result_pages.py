"""Pages that scripts make of recorded runs: the settings by environment, and the peers' benchmarks."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from trpo_gail.commands.train import parse_flags
from trpo_gail.config.files import from_dict, to_dict
from trpo_gail.config.leaves import flatten
from trpo_gail.config.tree import Config
from trpo_gail.errors import UserError

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "scripts"))

import benchmarks_table  # noqa: E402
import hyperparameters  # noqa: E402
import results_table  # noqa: E402

RUNS = {  # by seed: evaluations after 1000, 2000, ... steps, and the last policy's return
    40: ([0.0, 96.0, 50.0, 96.0, 99.0, 100.0], 98.0),
    41: ([0.0, 10.0, 20.0, 30.0, 40.0, 50.0], 60.0),
    42: ([0.0, 10.0, 95.0, 96.0, 97.0, 94.0], 97.0),
}


def keep(folder: Path, **changes: Any) -> Path:
    """The folder of three runs as `scripts/run_seeds.sh` keeps them; the expert returns 100, a random policy -100."""
    for seed, (values, last) in RUNS.items():
        run = folder / f"seed_{seed}"
        run.mkdir(parents=True)
        rows = [f"{n},{1000 * n},{value},{n / 2}" for n, value in enumerate(values, 1)]
        metrics = ["iteration,steps,eval_return_mean,wall_s", "0,500,,0.1", *rows]
        (run / "metrics.csv").write_text("\n".join(metrics) + "\n")
        summary = {
            "env": "Toy-v0", "seed": seed, "steps": 6000, "return_mean": last, "return_std": 1.0, "wall_s": 3.0,
            "expert_return_mean": 100.0, "random_return_mean": -100.0, "stopped": "steps",
        }  # fmt: skip
        (run / "summary.json").write_text(json.dumps(summary | changes))
        config = {"expert": "elsewhere.h5", "trajectories": None, "subsample": 1}
        (run / "config.json").write_text(json.dumps({"config": config}))
    return folder


def test_the_page_of_settings_is_what_the_results_come_to() -> None:
    page = (ROOT / "docs" / "hyperparameters.md").read_text()
    assert page == hyperparameters.page(), "run scripts/hyperparameters.py"


def test_the_page_of_benchmarks_is_what_the_results_come_to() -> None:
    folder = ROOT / "results" / "benchmarks"
    if not folder.exists():
        pytest.skip("scripts/benchmarks.sh has not been run")
    assert (folder / "README.md").read_text() == benchmarks_table.page(folder) + "\n", "run scripts/benchmarks.sh"


@pytest.mark.parametrize(("expert", "random", "bar"), [(100.0, -100.0, 95.0), (-100.0, -1100.0, -150.0)])
def test_the_bar(expert: float, random: float, bar: float) -> None:
    assert results_table.bar_of({"expert_return_mean": expert, "random_return_mean": random}) == pytest.approx(bar)


def test_when_the_bar_is_reached_and_whether_it_is_held(tmp_path: Path) -> None:
    rows = results_table.rows_of(keep(tmp_path))
    assert [(r["seed"], r["reached"], r["reached_s"], r["held"]) for r in rows] == [
        (40, 2000, 1.0, True),
        (41, None, None, False),
        (42, 3000, 1.5, False),
    ]
    assert results_table.rows_of(tmp_path / "elsewhere") == []


def test_two_evaluations_hold_nothing(tmp_path: Path) -> None:
    (tmp_path / "metrics.csv").write_text("iteration,steps,eval_return_mean,wall_s\n1,1000,99.0,1\n2,2000,99.0,2\n")
    kept = keep(tmp_path / "others") / "seed_40"
    for name in ("summary.json", "config.json"):
        shutil.copy(kept / name, tmp_path)
    assert results_table.row(tmp_path)["reached"] == 1000 and not results_table.row(tmp_path)["held"]


def test_the_table_of_seeds_says_how_many_episodes_there_were(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rates = {"episodes": 20, "scaled_score": 0.9, "env_steps_per_s": 2000.0}
    results_table.main(keep(tmp_path, **rates), None)
    head, _, first = capsys.readouterr().out.splitlines()[2:5]
    assert "| final return, 20 episodes |" in head and first.startswith("| 40 | 2,000 | 96, 99, 100 | yes |")


def test_the_tables_of_the_first_default_are_what_its_commands_print(capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "results" / "first_default.md").read_text()
    commands = re.findall(r"python scripts/results_table.py (\S+) ?([0-9.]*)\n```\n", page)
    assert len(commands) == 3
    for folder, bar in commands:
        results_table.main(ROOT / folder, float(bar) if bar else None)
        table, _, end = capsys.readouterr().out.rpartition("\n\n")
        assert table in page and " ".join(end.split()) in " ".join(page.split()), folder


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["nowhere"], "results_table.py: nowhere: no finished seed"),
        (["nowhere", "x"], "results_table.py: BAR: 'x' given"),
    ],
)
def test_mistakes_in_what_a_table_is_of_are_one_line(words: list[str], says: str) -> None:
    script = str(ROOT / "scripts" / "results_table.py")
    done = subprocess.run([sys.executable, script, *words], capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and done.stderr.startswith(says) and done.stderr.count("\n") == 1


def test_the_bar_is_that_of_the_trajectories_which_the_learner_was_given() -> None:
    """Of the file's 50 episodes, 23 fall; the first four do not."""
    rows = results_table.rows_of(ROOT / "results" / "learning" / "walker2d")
    assert rows and all(r["bar"] == pytest.approx(6045.9, abs=0.1) for r in rows)


def test_a_run_without_evaluations_holds_nothing(tmp_path: Path) -> None:
    for metrics in keep(tmp_path).glob("*/metrics.csv"):
        metrics.write_text("iteration,steps,eval_return_mean,wall_s\n0,500,,0.1\n")
    assert [(r["reached"], r["held"]) for r in results_table.rows_of(tmp_path)] == [(None, False)] * 3


def test_numbers_are_of_the_median_seed(tmp_path: Path) -> None:
    config = {"expert": "elsewhere.h5", "trajectories": None, "subsample": 1}
    cells = hyperparameters.numbers(config, results_table.rows_of(keep(tmp_path)))
    assert cells == ["100", "–", "3,000", "2", "1 of 3", "▄▄▆██▇"]


def test_a_curve_goes_from_random_to_the_bar() -> None:
    runs = [{"random_return_mean": -1.0, "bar": 1.0, "evaluations": values} for values in ([-2, 0, 3], [-1, 0, 1, 1])]
    assert hyperparameters.curve(runs) == "▁▄█"


@pytest.mark.parametrize(
    ("then", "task", "told"),
    [
        (None, "LunarLander-v3", ""),  # the automatic choice, as today
        (False, "Hopper-v4", ""),  # what it comes to
        (True, "LunarLander-v3", ""),
        (False, "LunarLander-v3", "--discriminator.no_absorbing"),
        (False, "elsewhere", "--discriminator.no_absorbing"),
    ],
)
def test_an_automatic_choice_is_compared_by_what_it_came_to(then: bool | None, task: str, told: str) -> None:
    command = ["trpo-gail", "train", task, "--expert", f"expert_data/{task}.h5"]
    recorded = parse_flags(command[2:]).config
    recorded = replace(recorded, discriminator=replace(recorded.discriminator, absorbing=then))
    content = {"config": json.loads(json.dumps(to_dict(recorded))), "sessions": [{"command": command}]}
    assert "".join(added(hyperparameters.since(content, "x"))) == told


def added(text: str) -> list[str]:
    """The words that a section asks for."""
    return shlex.split(text.partition("```text\n")[2].removesuffix("```").replace("\\\n", ""))


def test_a_command_with_the_flags_to_add_is_what_was_run() -> None:
    """Of every recorded run whose defaults are others now."""
    found = 0
    for file in sorted((ROOT / "results").glob("**/seed_*/config.json")):
        content = json.loads(file.read_text())
        try:
            then = flatten(from_dict(Config, content["config"], "x"))
        except UserError:
            continue  # older than version 0.1.0
        if more := added(hyperparameters.since(content, "x")):
            found += 1
            now = flatten(parse_flags([*hyperparameters.words(content["sessions"][0]["command"])[1:], *more]).config)
            differing = {key for key in then if now[key] != then[key]} - {"seed", "discriminator.absorbing"}
            assert not differing, file
    assert found > 20


def test_pairs_are_those_that_the_learner_is_given() -> None:
    config = {"expert": "expert_data/Hopper-v4.h5", "trajectories": 4, "subsample": 20}
    assert hyperparameters.pairs(config) == "200"


def test_a_command_is_shown_without_what_is_one_runs_alone() -> None:
    command = ["trpo-gail", "train", "A-v0", "--env_kwargs", '{"n": 1}', "--quiet", "--seed", "3", "--out", "runs/a"]
    words = hyperparameters.words(command)
    assert words == ["train", "A-v0", "--env_kwargs", '{"n": 1}']
    long = ["trpo-gail", *words, *" ".join(f"--flag_{n} {n}" for n in range(20)).split()]
    lines = hyperparameters.wrapped(long)
    assert len(lines) > 1 and max(map(len, lines)) <= hyperparameters.WIDTH
    assert shlex.split("\n".join(lines).replace("\\\n", "")) == long


def test_the_script_and_the_table_of_benchmarks_name_the_same_tasks() -> None:
    script = (ROOT / "scripts" / "benchmarks.sh").read_text()
    tasks = re.findall(r"^task (\S+) \d+", script, re.MULTILINE)
    assert sorted(tasks) == sorted(benchmarks_table.PEERS)
    assert all((ROOT / "expert_data" / f"{task}.h5").is_file() for task in tasks)


def test_the_table_of_benchmarks(tmp_path: Path) -> None:
    folder = tmp_path / "benchmarks"
    keep(folder / "Pendulum-v1", expert_return_mean=-100.0, random_return_mean=-1100.0)
    keep(folder / "Hopper-v4", success_rate=0.9625)
    keep(tmp_path / "learning" / "walker2d")
    lines = benchmarks_table.page(folder).splitlines()
    assert sum(line.startswith("| Walker2d-v4 | Tianshou") for line in lines) == 1, "from another folder of results"
    hopper = next(line for line in lines if line.startswith("| Hopper-v4 | DI-engine"))
    assert hopper.endswith("| 100.0 | 97.0, 60.0 | 0.963 | 6,000 | 3,000, never | 3 | 1 of 3 |")
    assert "| Hopper-v4 | 41 | 60.0 ± 1.0 | never | 30.0, 40.0, 50.0 |" in lines
    assert sum(line.startswith("| Pendulum-v1") for line in lines) == 4
    assert any(line.startswith("| Pendulum-v1") and " | - | 6,000 |" in line for line in lines), "it never says"
    assert not any("LunarLander" in line for line in lines)
