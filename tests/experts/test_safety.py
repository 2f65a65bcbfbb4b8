"""Hostile HDF5 is refused at once, in one line, from its structure."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.files import apart
from trpo_gail.experts.load import read
from trpo_gail.hangs import Pulse
from trpo_gail.runs.preparing import look_once

REPOSITORY = Path(__file__).parents[2]


def again(file: h5py.File, name: str) -> np.ndarray:
    values: np.ndarray = file[name][()]
    del file[name]
    return values


def external_link(file: h5py.File) -> None:
    file["more"] = h5py.ExternalLink("/etc/passwd", "/x")


def external_storage(file: h5py.File) -> None:
    values = again(file, "rewards")
    file.create_dataset("rewards", values.shape, "f4", external=[("/etc/passwd", 0, 36)])


def virtual_of_itself(file: h5py.File) -> None:
    values = again(file, "rewards")
    layout = h5py.VirtualLayout(values.shape, "f4")
    layout[...] = h5py.VirtualSource(".", "rewards", values.shape, "f4")
    file.create_virtual_dataset("rewards", layout)


def many_rows(file: h5py.File) -> None:
    again(file, "rewards")
    file.create_dataset("rewards", (10**12,), "f4", chunks=(1000,))


def a_large_chunk(file: h5py.File) -> None:
    again(file, "rewards")
    file.create_dataset("rewards", (9,), "f4", chunks=(9,), maxshape=(None,))
    del file["rewards"]
    file.create_dataset("rewards", (9,), "f4", chunks=(10**9,), maxshape=(None,))


def a_bomb(file: h5py.File) -> None:
    again(file, "observations")
    file.create_dataset("observations", (2 * 10**7, 4), "f4", chunks=(10**6, 4), compression="gzip")


def a_name_that_is_no_text(file: h5py.File) -> None:
    h5py.h5g.create(file.id, b"episode_\xff")


HOSTILE = {
    a_name_that_is_no_text: "'episode_\ufffd' is a name that is no text (UTF-8), expected one that is",
    external_link: "'more' is a link into another file, /etc/passwd:/x, which is not followed",
    external_storage: "dataset 'rewards' keeps its values in another file, expected them in this one",
    virtual_of_itself: "dataset 'rewards' is a virtual one, put together from others, expected one of its own",
    many_rows: "dataset 'rewards': [1000000000000] makes it ",
    a_large_chunk: "dataset 'rewards' claims chunks of 4,000,000,000 bytes, expected at most 268,435,456",
    a_bomb: "dataset 'observations': [20000000, 4] makes it ",
}


@pytest.mark.parametrize(("harm", "says"), HOSTILE.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_it_is_refused(native: Path, harm: Callable[[h5py.File], None], says: str) -> None:
    with h5py.File(native, "a") as file:
        harm(file)
    with pytest.raises(UserError) as caught:
        read(native)
    assert str(caught.value).startswith(f"{native}: {says}")


@pytest.mark.parametrize("link", [None, "/", "/a", "/a/b"], ids=["hard", "top", "outer", "itself"])
def test_groups_that_hold_themselves_are_refused(native: Path, link: str | None) -> None:
    """Whatever goes from group to group would go on until Python stops it."""
    with h5py.File(native, "a") as file:
        inner = file.create_group("a/b")
        inner["more"] = h5py.SoftLink(link) if link else file["/"]
    with pytest.raises(UserError, match=r"is a group within more than 50 others, or within itself, expected fewer"):
        read(native)


def test_a_group_too_deep_is_refused_and_others_are_not(native: Path) -> None:
    with h5py.File(native, "a") as file:
        file.create_group("/".join("a" * 50))
        file["soft"] = h5py.SoftLink("/soft")  # leads nowhere
        file["again"] = file["a/a"]
    assert read(native).trajectories == 3
    with h5py.File(native, "a") as file:
        file.create_group("/".join("a" * 51))
    with pytest.raises(UserError, match="is a group within more than 50 others"):
        read(native)


def test_the_limit_can_be_raised(native: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert apart.most_bytes(native) == 256 << 20
    monkeypatch.setenv(apart.EXPANSION, "1024")
    assert apart.most_bytes(native) == 1 << 30
    monkeypatch.setenv(apart.EXPANSION, "much")
    with pytest.raises(UserError, match=r"TRPO_GAIL_EXPANSION_MB: expected a number of megabytes, found 'much'"):
        apart.most_bytes(native)


def test_an_absurd_length_is_compared_before_anything_is_made(native: Path) -> None:
    with h5py.File(native, "a") as file:
        file["episode_lengths"][0] = 10**9
    with pytest.raises(UserError, match=r"expected lengths that make 9 rows .* found 1000000006"):
        read(native)


@pytest.mark.parametrize(("code", "says"), [(11, "crashes (signal 11)"), (int(signal.SIGPROF), "busy without an end")])
def test_who_looks_may_die(native: Path, monkeypatch: pytest.MonkeyPatch, code: int, says: str) -> None:
    """A file that kills the process apart is refused, and the next one is read."""
    program = native.with_name("program.py")
    program.write_text(f"import os\ninput()\nos.kill(os.getpid(), {code})\n")
    apart._end()
    with monkeypatch.context() as patch:
        patch.setattr(apart, "_PROGRAM", program)
        with pytest.raises(UserError, match=r"damaged HDF5") as caught:
            read(native)
    assert says in str(caught.value)
    apart._refusal.cache_clear()
    assert read(native).trajectories == 3


@pytest.mark.parametrize(("turns", "each", "code"), [(12, 0.1, 0), (1, 30.0, -signal.SIGPROF)])
def test_the_time_of_an_object_begins_anew_with_each(turns: int, each: float, code: int) -> None:
    """However long the file takes as a whole: an object that takes too long ends the process."""
    program = f"""
import time, structure
structure.SECONDS = 0.4
for _ in range({turns}):
    structure._give_time()
    end = time.process_time() + {each}
    while time.process_time() < end:
        pass
"""
    folder = Path(apart.__file__).parent
    command = [sys.executable, "-P", "-c", f"import sys; sys.path.append({str(folder)!r})\n" + program]
    assert subprocess.run(command, check=False).returncode == code


def test_a_file_is_looked_at_once(native: Path) -> None:
    before = apart._refusal.cache_info().misses
    read(native)
    read(native)
    assert apart._refusal.cache_info().misses == before + 1


class _Second:
    """The second rank of a host, whose first has looked."""

    size, local_rank, pulse = 2, 1, Pulse()

    def __init__(self, path: Path) -> None:
        self.first = apart.looked(path)

    def gather(self, mine: None) -> list[Any]:
        return [self.first, mine]


def test_one_rank_of_a_host_looks(native: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with h5py.File(native, "a") as file:
        external_link(file)
    bad, workers = native.rename(native.with_name("bad.h5")), _Second(native.with_name("bad.h5"))
    monkeypatch.setattr(apart, "_refusal", lambda *key: pytest.fail("it looked again"))
    look_once(str(bad), workers)  # type: ignore[arg-type]
    with pytest.raises(UserError, match=r"bad\.h5: 'more' is a link into another file"):
        read(bad)
    monkeypatch.undo()
    with h5py.File(bad, "a") as file:
        del file["more"]
    assert read(bad).trajectories == 3, "another version is looked at again"
    assert apart.looked(bad.with_name("missing.h5")) is None and apart.looked(bad.parent) is None


def test_mutated_files(tmp_path: Path) -> None:
    """The short version; `results/data/fuzzing.md` has the long one."""
    out = tmp_path / "found.json"
    command = [sys.executable, str(REPOSITORY / "scripts" / "fuzz_data.py"), "--files", "4", "--out", str(out)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout
    assert json.loads(out.read_text())["files"] == 4


def test_a_damaged_text_is_refused_before_it_is_read(tmp_path: Path, native: Path) -> None:
    """libhdf5 allocates what the size of its heap claims, for seconds; only the process apart has limits."""
    with h5py.File(native, "a") as file:
        file.attrs["policy"] = "a text of no fixed length"
    content = native.read_bytes()
    assert b"GCOL" in content
    (tmp_path / "x.h5").write_bytes(content.replace(b"GCOL", b"XCOL"))
    with pytest.raises(UserError, match=r"x\.h5: the attribute '\w+' of '/' is damaged"):
        read(tmp_path / "x.h5")
