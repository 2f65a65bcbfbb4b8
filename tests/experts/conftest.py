"""Demonstrations small enough to check by eye, and where the paper's own files are, if they are."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.facts import Provenance
from trpo_gail.experts.save import save
from trpo_gail.experts.subsampling import paper_rows

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def demonstrations() -> Demonstrations:
    """Three episodes of 3, 2 and 4 steps; every number says which episode and step it belongs to."""
    lengths = np.array([3, 2, 4])
    episode, step = paper_rows(lengths, 1)
    tens = 10.0 * episode + step
    last = np.isin(np.arange(9), [2, 4, 8])
    return Demonstrations(
        observations=np.stack([tens, -tens], axis=1).astype(np.float32),
        actions=(tens / 100)[:, None].astype(np.float32),
        terminals=last & (episode == 1),
        timeouts=last & (episode != 1),
        steps=step,
        episode_lengths=lengths,
        rewards=np.ones(9, np.float32),
        episode_returns=lengths.astype(np.float64),
        provenance=Provenance(
            env_id="Toy-v0",
            env_kwargs={"gravity": 2},
            observation_space={"type": "Box", "shape": [2], "dtype": "float32", "low": [None] * 2, "high": [None] * 2},
            action_space={"type": "Box", "shape": [1], "dtype": "float32", "low": [-0.2], "high": [0.2]},
            action_view="raw",
            policy="by hand",
            policy_sha256="0" * 64,
            deterministic=False,
            seed=3,
            backend="gymnasium",
            versions={"numpy": "2"},
            licence="MIT",
            attribution="nobody",
        ),
    )


@pytest.fixture
def native(tmp_path: Path, demonstrations: Demonstrations) -> Path:
    """A complete native file."""
    path = tmp_path / "demos.h5"
    save(path, demonstrations)
    return path


@pytest.fixture(scope="session")
def paper_experts() -> Path:
    """The folder of the paper's policy files; they are not part of the repository."""
    folder = REPOSITORY.parent / "shared" / "paper" / "experts"
    if not folder.is_dir():
        pytest.skip("the paper's expert policies are not beside the repository")
    return folder


@pytest.fixture
def damaged(native: Path) -> Path:
    """The same file with eight other bytes in the chunk that holds its observations."""
    with h5py.File(native) as file:
        offset = file["observations"].id.get_chunk_info(0).byte_offset
    content = bytearray(native.read_bytes())
    content[offset : offset + 8] = b"\xff" * 8
    native.write_bytes(content)
    return native
