"""Run folders of earlier versions load, evaluate and resume as they did there; those of later versions are refused.

0.1.0 (Pendulum-v1, 3 iterations): its config has no `action_scaling`, which came later, so that run's policy acts in the
environment's own units, and stays so. Format 1 (CartPole-v0 with demonstrations, 3 iterations): what config.json calls so
first. Each release adds a folder of its own here, and never changes an old one.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from run_files import metrics

from trpo_gail import load_policy
from trpo_gail.cli import main

OLD = Path(__file__).parents[1] / "data" / "run_0_1_0"
FORMAT_1 = OLD.with_name("run_format_1")
EXPERT = str(Path(__file__).parents[2] / "expert_data" / "CartPole-v0.h5")  # moved since that run was made
RETURN = -1720.8273698768328  # of three episodes, by version 0.1.0
ROWS = {
    4: (-6.062915240388825, 0.034758158752487764),
    5: (-5.026054324474489, 0.011873144540004432),
}  # of the reward, the improvement


def test_it_evaluates_as_it_did(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(OLD), "--episodes", "3", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["return_mean"] == pytest.approx(RETURN, rel=1e-4)
    policy = load_policy(OLD)
    assert policy.spec.action_scaling is None and not policy.config.action_scaling
    assert policy.predict(np.zeros(3)).shape == (1,)


def test_it_resumes_though_its_config_says_what_decides_nothing(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(OLD, run)
    content = json.loads((run / "config.json").read_text())
    content["config"]["critic"]["natural_gradient"]["max_kl"] = 0.5  # the critic is fitted by Adam
    (run / "config.json").write_text(json.dumps(content))
    assert main(["train", "--out", str(run), "--resume", "--iterations", "4", "--quiet"]) == 0
    assert len(metrics(run)) == 4


def test_it_resumes_as_it_did(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(OLD, run)
    assert main(["train", "--out", str(run), "--resume", "--iterations", "5", "--quiet"]) == 0
    rows = {int(row["iteration"]): row for row in metrics(run)}
    assert list(rows) == [1, 2, 3, 4, 5]
    for iteration, (reward, improvement) in ROWS.items():
        assert float(rows[iteration]["reward_mean"]) == pytest.approx(reward, rel=1e-4)
        assert float(rows[iteration]["improvement"]) == pytest.approx(improvement, rel=1e-2)


ROWS_OF_FORMAT_1 = {
    4: (0.6928495476643245, 0.027402733359485867),
    5: (0.6925046150801611, 0.01203211928244497),
}


def resume(run: Path) -> int:
    return main(["train", "--out", str(run), "--resume", "--expert", EXPERT, "--iterations", "5", "--quiet"])


def test_a_run_of_format_1_resumes_as_it_did(tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(FORMAT_1, run)
    assert resume(run) == 0
    rows = {int(row["iteration"]): row for row in metrics(run)}
    assert list(rows) == [1, 2, 3, 4, 5]
    for iteration, (reward, improvement) in ROWS_OF_FORMAT_1.items():
        assert float(rows[iteration]["reward_mean"]) == pytest.approx(reward, rel=1e-4)
        assert float(rows[iteration]["improvement"]) == pytest.approx(improvement, rel=1e-2)
    assert load_policy(run).predict(np.zeros(4)) in (0, 1)


@pytest.mark.parametrize("found", [2, 77, 0, "one"])
@pytest.mark.parametrize("name", ["config.json", "checkpoints/iteration_0000003.pt"])
def test_a_run_of_a_later_version_is_refused_in_one_line_and_left_alone(
    name: str, found: int | str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    shutil.copytree(FORMAT_1, run)
    file = run / name
    if file.suffix == ".json":
        file.write_text(json.dumps(json.loads(file.read_text()) | {"format": found, "unheard_of": 1}))
    else:
        torch.save(torch.load(file, weights_only=True) | {"format": found, "unheard_of": 1}, file)
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
    assert resume(run) == 2
    err = capsys.readouterr().err
    says = f"format {found}, made by a later version of trpo_gail" if found in (2, 77) else "format"
    assert err.startswith(f"trpo-gail: {file}: ") and says in err and err.count("\n") == 1
    assert before == {path: path.read_bytes() for path in run.rglob("*") if path.is_file() and path.name != ".lock"}
