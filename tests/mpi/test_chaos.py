"""scripts/chaos.py: some of its trials, and the control that its comparison can fail."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "scripts"))

import chaos  # noqa: E402
from chaos import Trial  # noqa: E402

PYTHON = Path(sys.executable)
PATIENCE = 45.0  # seconds, on a busy machine


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The run that nothing befalls."""
    return chaos.undisturbed(PYTHON, tmp_path_factory.mktemp("whole").resolve())


@pytest.mark.long
@pytest.mark.parametrize(
    ("number", "signal"),
    [
        pytest.param(25, "SIGKILL", id="kill a rank in an evaluation"),
        pytest.param(52, "SIGKILL", id="kill all at a rename"),
        pytest.param(13, "SIGKILL", id="kill at a flush"),
        pytest.param(4, "SIGINT", id="interrupt at the start"),
        pytest.param(23, "SIGSTOP", id="stop a rank"),
        pytest.param(47, "SIGTERM", id="end the launcher"),
    ],
)
def test_a_trial_ends_and_resumes_to_the_same_bits(
    number: int, signal: str, whole: dict[str, Any], tmp_path: Path
) -> None:
    trial = replace(Trial.draw(number), signal=signal)
    outcome = chaos.attempt(trial, PYTHON, tmp_path.resolve(), whole, PATIENCE)
    assert (outcome.failed, outcome.left) == ("", 0)
    assert outcome.went_on in ("resumed", "begun anew")
    if signal == "SIGSTOP":
        assert any("hangs in phase" in line for line in outcome.said)


def test_every_point_of_a_save_is_there() -> None:
    found = chaos.within_save()
    assert tuple(found) == chaos.POINTS
    assert all(callable(getattr(owner, name)) for owner, name in found.values())


@pytest.mark.long
def test_a_resume_that_loses_a_stream_fails(whole: dict[str, Any], tmp_path: Path) -> None:
    trial = replace(Trial.draw(52), turn=8)  # killed once there are checkpoints
    outcome = chaos.attempt(trial, PYTHON, tmp_path.resolve(), whole, PATIENCE, forget="sampler/batches")
    assert outcome.went_on == "resumed" and "policy: " in outcome.failed and "metrics: iteration" in outcome.failed


def test_what_single_ranks_say_is_kept() -> None:
    """`Workers.leave` names the rank."""
    text = [
        "trpo-gail: signal SIGTERM: ends after this iteration and saves",
        "[rank 1] trpo-gail: /x/metrics.csv: cannot be written: No space left on device",
        "trpo-gail train: error: --seed: expected a number",
        "[rank 12] Traceback (most recent call last):",
        '  File "x.py", line 1, in <module>',
        "iteration 3, trpo-gail: no",
        "[mpiexec@host] rank 1 was killed",
    ]
    assert chaos.ours("\n".join(text)) == [text[0], text[1], text[2], text[3]]


def test_trials_are_drawn_from_their_numbers_and_reach_everything() -> None:
    trials = [Trial.draw(number) for number in range(300)]
    assert trials == [Trial.draw(number) for number in range(300)]
    assert {trial.signal for trial in trials} == set(chaos.SIGNALS)
    assert {(trial.moment, trial.target) for trial in trials} == {(m, t) for m in chaos.MOMENTS for t in chaos.TARGETS}


def test_the_table_counts_what_the_file_holds(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "chaos.jsonl"
    for number, failed in ((0, ""), (1, "no end after 15 s")):
        outcome = chaos.Outcome("MPICH", vars(Trial(number, "save", "SIGKILL", "rank", 0, "done", 1, 0.5)))
        outcome.failed, outcome.went_on, outcome.ended_s = failed, "resumed", 1.5
        with open(file, "a") as to:
            to.write(json.dumps(vars(outcome)) + "\n")
    assert chaos.main(["--out", str(file), "--table"]) == 0
    out = capsys.readouterr().out
    assert "| MPICH | SIGKILL | rank | 2 | 1 | 0 | 1.5 |" in out
    assert "2 trials, 1 failed. Moments: save 2. After: resumed 2." in out
    outcome.failed = ""
    with open(file, "a") as to:
        to.write(json.dumps(vars(outcome)) + "\n")
    assert chaos.main(["--out", str(file), "--table"]) == 0
    assert "2 trials, 0 failed, 1 failed at first and was done again. Moments: save 2." in capsys.readouterr().out


def test_only_what_failed_is_done_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, done = tmp_path / "chaos.jsonl", list[int]()

    def attempt(trial: Trial, *given: Any) -> chaos.Outcome:
        done.append(trial.number)
        assert given[-1] == 20
        return chaos.Outcome("MPICH", vars(trial), failed="left" if done == [0, 1] else "")

    monkeypatch.setattr(chaos, "attempt", attempt)
    monkeypatch.setattr(chaos, "undisturbed", lambda *given: {})
    monkeypatch.setattr(chaos, "name_of", lambda python: "MPICH")
    again = ["--out", str(file), "--trials", "3", "--timeout", "20"]
    assert [chaos.main([*again, *more]) for more in ([], [], ["--again"], ["--again"])] == [1, 0, 0, 0]
    assert done == [0, 1, 2, 1]


def test_a_job_that_fails_by_itself_is_no_job_that_was_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(chaos, "mpirun", lambda python: ("sh", "-c", "exit 3"))
    outcome = chaos.attempt(Trial.draw(25), PYTHON, tmp_path.resolve(), {"seconds": 1.0})
    assert outcome.code == 3 and "fails by itself" in outcome.failed
