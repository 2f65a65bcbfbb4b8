"""One process without MPI, launchers' variables, shares, devices, and errors that all ranks agree on."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from trpo_gail import mpi
from trpo_gail.errors import MOST, UserError
from trpo_gail.parallel import Workers
from trpo_gail.system.cores import cores
from trpo_gail.system.launcher import LAUNCHERS, launched, unlaunched_environment

VARIABLES = [name for pair in LAUNCHERS for name in pair] + ["SLURM_NTASKS", "RANK", "WORLD_SIZE"]


@pytest.fixture(autouse=True)
def _no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)


def of(rank: int, size: int, **attributes: Any) -> Workers:
    """Rank `rank` of `size`, for what needs no communication."""
    workers = Workers()
    vars(workers).update(rank=rank, size=size, **attributes)
    return workers


# ---- one process -----------------------------------------------------------------------------------------------------


def test_one_process_never_imports_mpi() -> None:
    code = (
        "import sys, numpy as np, torch; from trpo_gail.parallel import Workers; w = Workers.world();"
        "w.sum(np.ones(2)); w.max(1.0); w.gather(1); w.share(1); w.share_tensor(torch.ones(1)); w.together(lambda: 1);"
        "w.block(3); w.threads(); w.device('cpu'); assert w.size == 1 and w.main;"
        "assert not any(m.startswith('mpi4py') for m in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_collectives_of_one_process_give_back_what_they_got() -> None:
    workers, tensor = Workers(), torch.tensor([1.5, 2.5])
    summed = workers.sum(np.array([1, 2], np.int64))
    assert summed.dtype == np.float64 and summed.tolist() == [1, 2]
    assert torch.equal(workers.sum_tensor(tensor), tensor)
    assert (workers.max(3.0), workers.gather("a"), workers.share("b")) == (3.0, ["a"], "b")
    workers.share_tensor(tensor)
    assert tensor.tolist() == [1.5, 2.5]


# ---- launchers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, None),
        ({"PMI_RANK": "2", "PMI_SIZE": "4"}, (2, 4)),
        ({"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "2"}, (1, 2)),
        ({"PMIX_RANK": "0", "SLURM_STEP_NUM_TASKS": "3"}, (0, 3)),
        ({"SLURM_PROCID": "5", "SLURM_STEP_NUM_TASKS": "6"}, (5, 6)),
        ({"SLURM_NTASKS": "8"}, None),  # a batch script has it too
        ({"SLURM_PROCID": "0", "SLURM_NTASKS": "8"}, None),
        ({"PMI_RANK": "2"}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"WORLD_SIZE": "4"}, None),
        ({"RANK": "1", "WORLD_SIZE": "2", "PMI_RANK": "1", "PMI_SIZE": "2"}, (1, 2)),  # a script may set both
        ({"RANK": "0", "WORLD_SIZE": "2", "OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4"}, (1, 4)),
    ],
)
def test_launchers_are_known_by_their_variables(
    variables: dict[str, str], expected: tuple[int, int] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert launched() == expected


SLURM_STEP = {"SLURM_PROCID": "0", "SLURM_STEP_NUM_TASKS": "1"}


@pytest.mark.parametrize("beside", [{}, {"SLURM_NTASKS": "2"}, SLURM_STEP, {"PMI_RANK": "0", "PMI_SIZE": "1"}])
def test_a_launcher_without_mpi_is_refused(beside: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in ({"RANK": "3", "WORLD_SIZE": "4"} | beside).items():
        monkeypatch.setenv(name, value)
    with pytest.raises(UserError, match=r"WORLD_SIZE=4 RANK=3: each of 4 .*mpirun -n 4 trpo-gail .*srun") as caught:
        Workers.world()
    assert len(str(caught.value)) <= MOST and "\n" not in str(caught.value)


@pytest.mark.long
def test_torchruns_processes_train_nothing(tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", "CartPole-v0", "--adversary", "env_reward", "--out", str(out)]
    variables = os.environ | {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "localhost"}
    done = subprocess.run([sys.executable, "-m", "trpo_gail", *words], env=variables, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (2, "") and not out.exists()
    assert done.stderr.startswith("trpo-gail: WORLD_SIZE=2 RANK=1: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("size", "is_open", "says"),
    [
        (1, False, "None"),
        (1, True, "(0, 1)"),
        (2, True, "(0, 2)"),
        (2, False, "PMI_RANK=0 PMI_SIZE=2: started by a rank of mpirun, not by mpirun itself"),
    ],
)
def test_what_a_rank_has_started_is_no_rank(size: int, is_open: bool, says: str) -> None:
    """MPICH's start would end it with lines of its own."""
    code = "from trpo_gail.system.launcher import launched\ntry: print(launched())\nexcept ValueError as error: print(error)"
    reader, writer = os.pipe()  # for the connection to the launcher
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, pass_fds=[reader] if is_open else (),
            env=os.environ | {"PMI_RANK": "0", "PMI_SIZE": str(size), "PMI_FD": str(reader)},
        )  # fmt: skip
    finally:
        os.close(reader)
        os.close(writer)
    assert done.stdout.startswith(says), done.stderr


def test_children_that_are_no_ranks_see_no_launcher(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for one, all is kept; a batch script's variables are no launcher's."""
    for name in ("SLURM_ARRAY_TASK_ID", "SLURM_PROCID", "OMPI_MCA_btl"):
        monkeypatch.setenv(name, "0")
    assert unlaunched_environment() == os.environ
    for name in ("PMI_RANK", "PMI_SIZE", "PMI_FD", "PMIX_RANK", "OMPI_COMM_WORLD_RANK", "SLURM_STEP_NUM_TASKS"):
        monkeypatch.setenv(name, "1")
    found = unlaunched_environment()
    assert not {name for name in found if name.startswith(("PMI", "OMPI", "SLURM"))}
    assert found["PATH"] == os.environ["PATH"] and len(found) == len(os.environ) - 9


def fake_mpi(monkeypatch: pytest.MonkeyPatch, size: int | None) -> None:
    """An mpi4py that finds `size` processes, or no MPI library if that is None."""
    module = types.ModuleType("mpi4py")
    if size is not None:
        comm = types.SimpleNamespace(Get_size=lambda: size, Get_rank=lambda: 0)
        mpi = types.SimpleNamespace(COMM_WORLD=comm, get_vendor=lambda: ("FakeMPI", (1, 0, 0)))
        vars(module)["MPI"] = mpi
    monkeypatch.setitem(sys.modules, "mpi4py", module)
    monkeypatch.delitem(sys.modules, "mpi4py.MPI", raising=False)


def test_a_launcher_of_another_mpi_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "4")
    fake_mpi(monkeypatch, 1)
    with pytest.raises(UserError, match=r"4 processes, but MPI \(FakeMPI\) sees each one alone"):
        Workers.world()


def test_a_missing_mpi_library_has_a_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mpi(monkeypatch, 1)
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("PMI_SIZE", "2")

    class Unloadable:
        @property
        def MPI(self) -> None:
            raise RuntimeError("cannot load MPI library\n" + 9 * "libmpi.so.40: cannot open shared object file; ")

    monkeypatch.setitem(sys.modules, "mpi4py", Unloadable())
    with pytest.raises(UserError) as caught:
        Workers.world()
    line = str(caught.value)
    assert line.endswith("): pip install mpi4py mpich, or your system's MPI") and len(line) < 220


def test_a_missing_mpi_matters_only_to_several(monkeypatch: pytest.MonkeyPatch) -> None:
    fake_mpi(monkeypatch, None)
    monkeypatch.setenv("PMI_RANK", "1")
    monkeypatch.setenv("PMI_SIZE", "2")
    with pytest.raises(
        UserError, match=r"rank 1 of 2, but MPI does not load \(.*\): pip install mpi4py mpich, or your"
    ):
        Workers.world()
    monkeypatch.setenv("PMI_RANK", "0")
    monkeypatch.setenv("PMI_SIZE", "1")
    assert Workers.world().size == 1


# ---- shares and devices ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("total", "size"), [(16, 1), (16, 4), (7, 3), (3, 3), (2, 5), (100, 7)])
def test_blocks_share_everything_out_evenly_in_order(total: int, size: int) -> None:
    blocks = [of(rank, size).block(total) for rank in range(size)]
    assert [i for block in blocks for i in block] == list(range(total))
    lengths = [len(block) for block in blocks]
    assert max(lengths) - min(lengths) <= 1


def test_threads_are_the_machines_cores_over_its_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)))
    for ranks, threads in [(1, 8), (2, 4), (3, 2), (8, 1), (20, 1)]:
        assert of(0, ranks, local_size=ranks, _cores=set(range(8))).threads() == threads
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert [of(0, ranks, local_size=ranks, _cores=set(range(8))).threads() for ranks in (1, 2, 4)] == [3, 3, 2]
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})  # each rank bound to a core of its own
    assert of(0, 4, local_size=4, _cores=set(range(8))).threads() == 1


def test_where_the_system_does_not_tell_them_the_cores_are_the_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: 4)
    assert (Workers().threads(), cores()) == (4, {0, 1, 2, 3})


def test_cuda_is_refused_where_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert Workers().device("auto") == Workers().device("cpu") == torch.device("cpu")
    with pytest.raises(UserError, match="--device cuda: torch finds no CUDA device"):
        Workers().device("cuda")


def test_ranks_take_the_machines_gpus_in_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    devices = [of(rank, 6, local_rank=rank % 3).device(wanted) for rank in range(6) for wanted in ("auto", "cuda")]
    assert [device.index for device in devices] == [0, 0, 1, 1, 0, 0] * 2
    assert of(1, 2).device("cpu") == torch.device("cpu")


# ---- errors ----------------------------------------------------------------------------------------------------------


class Heard(Workers):
    """A rank that hears another one's error."""

    def __init__(self, message: str | None) -> None:
        super().__init__()
        self._message = message

    def gather(self, value: Any) -> list[Any]:
        return [value, self._message]


def test_a_users_error_on_another_rank_is_raised_here() -> None:
    done = []
    with pytest.raises(UserError, match="no such file"):
        Heard("no such file").together(lambda: done.append(1))
    assert done == [1]
    assert Heard(None).together(lambda: 5) == 5


def test_what_the_system_refuses_is_the_users_error_and_what_we_got_wrong_is_not() -> None:
    workers = Workers()
    with pytest.raises(UserError, match="/no/such/file: No such file or directory"):
        workers.together(lambda: open("/no/such/file"))  # noqa: SIM115
    with pytest.raises(UserError, match="what I said"):
        workers.together(lambda: (_ for _ in ()).throw(UserError("what I said")))
    with pytest.raises(ZeroDivisionError):
        workers.together(lambda: 1 / 0)


# ---- the end of all ranks --------------------------------------------------------------------------------------------


@pytest.fixture
def ends(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What happens in order, with an MPI that notes it, and a clock that only says how long it was waited."""
    happened: list[str] = []
    world = types.SimpleNamespace(Abort=lambda code: happened.append(f"ended with {code}"))
    monkeypatch.setitem(sys.modules, "mpi4py", types.SimpleNamespace(MPI=types.SimpleNamespace(COMM_WORLD=world)))
    monkeypatch.setattr(time, "sleep", lambda seconds: happened.append(f"waited {seconds} s"))
    return happened


def test_a_rank_that_ends_all_waits_until_what_it_said_was_passed_on(
    ends: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """MPICH's launcher drops what it has not read yet when a rank ends all."""
    monkeypatch.setattr(sys, "stderr", types.SimpleNamespace(write=ends.append, flush=lambda: ends.append("flushed")))
    mpi.end_all(3, "disk full")
    said = [end for end in ends if end]  # a write of nothing may follow the line
    assert said == ["disk full\n", "flushed", f"waited {mpi.FORWARD_S} s", "ended with 3"]


def test_all_end_whatever_becomes_of_the_line(ends: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str) -> None:
        raise BrokenPipeError

    monkeypatch.setattr(sys, "stderr", types.SimpleNamespace(write=refuse))
    with pytest.raises(BrokenPipeError):
        mpi.end_all(3, "disk full")
    assert ends == ["ended with 3"]
