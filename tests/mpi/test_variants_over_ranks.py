"""Every adversary, loss, penalty, input and replay is the same on two ranks as on one, and resumes exactly there."""

from __future__ import annotations

import numpy as np
import pytest
from launch import work
from worker_variants import cases, results

from trpo_gail.parallel import Workers

Numbers = dict[str, np.ndarray]


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> tuple[Numbers, Numbers]:
    """Of one process without mpirun, and of two ranks."""
    folder = tmp_path_factory.mktemp("variants")
    work(folder, 2, "worker_variants.py", "out.npz")
    with np.load(folder / "out.npz") as file:
        assert file["ranks"] == 2
        return results(Workers(), resume=False), {name: file[name] for name in file.files}


@pytest.mark.parametrize("case", cases())
def test_two_ranks_learn_and_pay_what_one_does(case: str, found: tuple[Numbers, Numbers]) -> None:
    alone, shared = found
    np.testing.assert_allclose(shared[case], alone[case], rtol=1e-7, atol=1e-9)


def test_a_resume_is_exact(found: tuple[Numbers, Numbers]) -> None:
    """State and pay after the next rollout, on each of two ranks, to the bit."""
    assert found[1]["resume"].tolist() == []
