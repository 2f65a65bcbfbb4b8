"""Whose a policy file is: by its checksum alone."""

from __future__ import annotations

import re
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest
from test_policies import write_policy

from trpo_gail.experts.files import hdf5
from trpo_gail.experts.load import read
from trpo_gail.experts.policies import known, paper_policy
from trpo_gail.runs.record import record

TABLE = tomllib.loads(resources.files("trpo_gail.experts.policies").joinpath("known_policies.toml").read_text())
EXPERT_DATA = Path(__file__).parents[2] / "expert_data"


def test_the_table_is_one_of_checksums() -> None:
    sums = [checksum for source in TABLE.values() for checksum in source["files"].values()]
    assert len(sums) == len(set(sums)) == 10 and all(re.fullmatch("[0-9a-f]{64}", checksum) for checksum in sums)


TRAINED_HERE = ("BipedalWalker-v3",)


@pytest.mark.parametrize("path", sorted(EXPERT_DATA.rglob("*.h5")), ids=lambda path: path.stem)
def test_the_committed_recordings_credit_what_the_table_does(path: Path) -> None:
    facts = read(path).provenance
    if facts.policy_sha256 is None:
        assert str(facts.policy).startswith(("greedy", "control_experts:"))
        return
    if path.stem in TRAINED_HERE:
        assert known.origin(facts.policy_sha256) is None and "trpo_gail" in str(facts.attribution)
        return
    origin = known.origin(facts.policy_sha256)
    assert origin is not None and Path(origin.file).name == str(facts.policy).partition(":")[0]
    assert (origin.licence, origin.attribution) == (facts.licence, facts.attribution)


def test_the_papers_files_are_known(paper_experts: Path) -> None:
    found = {str(p.relative_to(paper_experts)): hdf5.sha256(p) for p in paper_experts.rglob("*.h5")}
    assert found == {name: checksum for source in TABLE.values() for name, checksum in source["files"].items()}
    policy = paper_policy.load_policy(paper_experts / "classic/CartPole-v0.h5")
    assert policy.licence == "MIT" and "Ho & Ermon" in str(policy.attribution)


def test_somebody_elses_file_in_the_same_layout_is_not_credited_to_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    policy = paper_policy.load_policy(write_policy(tmp_path / "p.h5", "GibbsPolicy"))
    assert policy.licence is None and policy.attribution is None
    monkeypatch.setattr(gymnasium.envs.registration, "registry", dict(gymnasium.registry))
    space = gymnasium.spaces.Box(-1, 1, (1,), np.float32)

    class Toy(gymnasium.Env):
        observation_space, action_space = space, gymnasium.spaces.Discrete(2)

        def reset(self, seed: int | None = None, options: dict | None = None) -> tuple:
            return np.zeros(1, np.float32), {}

        def step(self, action: int) -> tuple:
            return np.zeros(1, np.float32), 1.0, True, False, {}

    gymnasium.register("Toy-v1", entry_point=Toy, max_episode_steps=10)  # type: ignore[arg-type]
    given: list[dict[str, Any]] = [{}, {"licence": "CC0"}, {"licence": "CC0", "attribution": "me"}]
    for flags in given:
        held = record("Toy-v1", tmp_path / "p.h5", 1, tmp_path / "x.h5", overwrite=True, **flags)
        assert (held.provenance.licence, held.provenance.attribution) == (
            flags.get("licence"),
            flags.get("attribution"),
        )
        assert held.provenance.policy_sha256 == hdf5.sha256(tmp_path / "p.h5")
