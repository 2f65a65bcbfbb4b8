"""A run folder of version 0.1.0 (Pendulum-v1, 3 iterations) loads, evaluates and resumes as it did there.

Its config has no `action_scaling`, which came later: that run's policy acts in the environment's own units, and stays so.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from run_files import metrics

from trpo_gail import load_policy
from trpo_gail.cli import main

OLD = Path(__file__).parents[1] / "data" / "run_0_1_0"
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
