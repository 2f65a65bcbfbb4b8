"""Breaks files of demonstrations in many ways and reads each: a valid dataset or one documented error must come out.

    python scripts/fuzz_data.py --files 20000 --seed 0 --out results/data/fuzzing.json

Files are written in every format that can be written, then truncated, bit-flipped, re-typed, re-shaped, renamed, and
given hostile links and huge claims. A separate process reads them. These count as failures: crashes, more than 5 s, more
than 1 GB, any exception except UserError, and a file that a mutation's code would make if it ran. The exit code is 1 if
there is a failure.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import pickle
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from select import select
from typing import Any

import h5py
import numpy as np

from trpo_gail.errors import UserError
from trpo_gail.experts.data import Demonstrations
from trpo_gail.experts.formats import FORMATS
from trpo_gail.experts.load import load

SECONDS, MEGABYTES = 5.0, 1024
Rng = np.random.Generator


# --- Good files ---------------------------------------------------------------------------------------------------


def good(rng: Rng) -> Demonstrations:
    """A few short episodes, of a random kind."""
    lengths = rng.integers(1, 9, rng.integers(1, 6))
    rows, size = int(lengths.sum()), int(rng.integers(1, 5))
    steps = np.arange(rows) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    last = np.zeros(rows, bool)
    last[np.cumsum(lengths) - 1] = True
    ended = last & (rng.random(rows) < 0.5)
    dtype = rng.choice(["float32", "float64"])
    actions = rng.integers(0, 3, rows) if rng.random() < 0.5 else rng.normal(size=(rows, 2)).astype(dtype)
    return Demonstrations(
        observations=rng.normal(size=(rows, size)).astype(dtype),
        actions=actions,
        terminals=ended,
        timeouts=last & ~ended,
        steps=steps,
        episode_lengths=lengths,
        rewards=rng.normal(size=rows).astype(dtype),
        final_observations=rng.normal(size=(len(lengths), size)).astype(dtype) if rng.random() < 0.5 else None,
    )


# --- Mutations of any file ----------------------------------------------------------------------------------------


def truncate(path: Path, rng: Rng) -> None:
    """Keep only the beginning."""
    content = path.read_bytes()
    path.write_bytes(content[: rng.integers(0, len(content))])


def flip(path: Path, rng: Rng, most: int | None = None) -> None:
    """Change some bytes, or bits, among the first `most`."""
    content = bytearray(path.read_bytes())
    for at in rng.integers(0, min(len(content), most or len(content)), rng.integers(1, 24)):
        content[at] = rng.integers(256) if rng.random() < 0.5 else content[at] ^ (1 << rng.integers(8))
    path.write_bytes(content)


def flip_head(path: Path, rng: Rng) -> None:
    """Change bytes near the beginning, which holds most of the structure."""
    flip(path, rng, 4096)


def splice(path: Path, rng: Rng) -> None:
    """Copy a stretch of the file to another place."""
    content = bytearray(path.read_bytes())
    length = int(rng.integers(1, 64))
    source, target = rng.integers(0, max(1, len(content) - length), 2)
    content[target : target + length] = content[source : source + length]
    path.write_bytes(content)


def large_numbers(path: Path, rng: Rng) -> None:
    """Set a number of the file's structure to the largest possible one, or to one near a power of two."""
    content = bytearray(path.read_bytes())
    at = int(rng.integers(0, max(1, len(content) - 8)) // 8 * 8)
    value = int(rng.choice([2**62, 2**40, 2**32, 2**31, 2**31 - 1, 10**12])) - int(rng.integers(2))
    content[at : at + 8] = value.to_bytes(8, "little")
    path.write_bytes(content)


class _Trap:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.path,)


def trap(path: Path, rng: Rng) -> None:
    """A pickle whose code makes the file `trapped` beside it."""
    path.write_bytes(pickle.dumps(_Trap(path.parent / "trapped"), int(rng.integers(0, 6))))


# --- Mutations of HDF5 --------------------------------------------------------------------------------------------


def _datasets(file: h5py.File) -> list[str]:
    found: list[str] = []
    file.visititems(lambda name, member: found.append(name) if isinstance(member, h5py.Dataset) else None)
    return found


def _with_one(change: Callable[[h5py.File, str, Rng], None]) -> Callable[[Path, Rng], None]:
    def mutate(path: Path, rng: Rng) -> None:
        with h5py.File(path, "a") as file:
            small = [name for name in _datasets(file) if file[name].size < 10**5]
            change(file, str(rng.choice(small)), rng)

    mutate.__name__ = change.__name__.strip("_")
    return mutate


def _retype(file: h5py.File, name: str, rng: Rng) -> None:
    values = file[name][()]
    del file[name]
    kinds = ["u1", "i1", "i8", "f2", "f4", ">f8", "u8", "S3", "bool", "c8"]
    if rng.random() < 0.1:
        file.create_dataset(name, values.shape, h5py.ref_dtype)
    else:
        file[name] = values.astype(rng.choice(kinds))


def _reshape(file: h5py.File, name: str, rng: Rng) -> None:
    values = file[name][()]
    del file[name]
    ways = [
        values[..., None],
        values[:0],
        values[:-1],
        values.reshape(-1),
        np.concatenate([values, values]),
        values[None],
    ]
    file[name] = ways[rng.integers(len(ways))]


def _rename(file: h5py.File, name: str, rng: Rng) -> None:
    others = [*_datasets(file), "x", "obs", "steps", "len_B", "next_observations", "episode_00", "episode_99/actions"]
    target = str(rng.choice(others))
    if target not in file:
        file.move(name, target)
    elif rng.random() < 0.5:
        del file[name]


def _link(file: h5py.File, name: str, rng: Rng) -> None:
    links: list[Any] = [
        h5py.ExternalLink("/etc/passwd", "/x"), h5py.ExternalLink(file.filename, name), h5py.SoftLink(f"/{name}"),
        h5py.SoftLink("/"), file["/"],
    ]  # fmt: skip
    target = links[rng.integers(len(links))]
    if rng.random() < 0.5:
        del file[name]
        file[name] = target
    else:
        file[f"more{rng.integers(9)}/{name}"] = target


def _external_storage(file: h5py.File, name: str, rng: Rng) -> None:
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    file.create_dataset(name, shape, dtype, external=[("/etc/passwd", 0, h5py.h5f.UNLIMITED)])


def _virtual(file: h5py.File, name: str, rng: Rng) -> None:
    shape, dtype = file[name].shape, file[name].dtype
    if not np.prod(shape):
        return
    source = name if rng.random() < 0.5 else str(rng.choice(_datasets(file)))
    where = str(rng.choice([".", "/etc/passwd", "other.h5"]))
    layout = h5py.VirtualLayout(shape, dtype)
    layout[...] = h5py.VirtualSource(where, source, shape, dtype)
    del file[name]
    file.create_virtual_dataset(name, layout)


def _claim(file: h5py.File, name: str, rng: Rng) -> None:
    """Claim any number of rows, which the file does not hold."""
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    rows = int(rng.choice([10**12, 10**9, 10**8, 10**7, 2**40]))
    chunks = (int(rng.choice([1, 1000, 10**8])), *(max(n, 1) for n in shape[1:]))
    with contextlib.suppress(ValueError):
        file.create_dataset(name, (rows, *shape[1:]), dtype, chunks=chunks)


def _bomb(file: h5py.File, name: str, rng: Rng) -> None:
    shape, dtype = file[name].shape, file[name].dtype
    del file[name]
    rows = int(rng.choice([10**5, 10**6, 3 * 10**6]))
    file.create_dataset(name, (rows, *shape[1:]), dtype, chunks=(10**5, *shape[1:]), compression="gzip", fillvalue=0)
    file[name][: 10**5] = np.zeros((10**5, *shape[1:]), dtype)


def _absurd(file: h5py.File, name: str, rng: Rng) -> None:
    values = file[name][()]
    if values.size and values.dtype.kind in "iuf":
        top = 1e300 if values.dtype.kind == "f" else np.iinfo(values.dtype).max
        flat = values.reshape(-1)
        with np.errstate(over="ignore"):
            flat[rng.integers(len(flat))] = np.asarray(rng.choice([float(min(top, 1e9)), float(top) / 2, -1.0])).astype(
                values.dtype
            )
        file[name][...] = values


def _attribute(file: h5py.File, name: str, rng: Rng) -> None:
    values: list[Any] = ["{", "x" * 60000, -1, 2**40, np.zeros(1000), b"\xff", "NaN", np.nan, "[]"]
    key = str(rng.choice(["env_id", "env_kwargs", "action_space", "subsample", "format_version", "seed", "unfinished"]))
    (file if rng.random() < 0.7 else file[name]).attrs[key] = values[rng.integers(len(values))]


BYTES = [truncate, flip, flip_head, splice, large_numbers, trap]
STRUCTURE = [
    *map(
        _with_one, [_retype, _reshape, _rename, _link, _external_storage, _virtual, _claim, _bomb, _absurd, _attribute]
    )
]


def make(folder: Path, rng: Rng) -> tuple[Path, str]:
    """A broken file, or folder, and how it was broken."""
    writable = [form for form in FORMATS if hasattr(form, "write")]
    while True:
        form: Any = writable[rng.integers(len(writable))]
        path = folder / "demos"
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        with contextlib.suppress(UserError):
            form.write(path, good(rng))
            break
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    done = []
    times = int(rng.choice([1, 1, 1, 2, 3]))
    by_bytes = sorted(rng.random(times) < 0.4)  # these come last: libhdf5 may crash on the result
    for broken in by_bytes:
        file = files[rng.integers(len(files))]
        ways = STRUCTURE if h5py.is_hdf5(file) and not broken else BYTES
        way = ways[rng.integers(len(ways))]
        try:
            way(file, rng)
            done.append(way.__name__)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError):  # the file was broken already
            continue
    return path, f"{form.NAME}: {' + '.join(done) or 'nothing'}"


# --- Reading apart ------------------------------------------------------------------------------------------------


def read_all() -> None:
    """Read the paths on stdin; print each outcome and the peak memory, in MB."""
    for line in sys.stdin:
        try:
            data = load(line.strip())
            data.select(1, 2).transitions().next_observations.sum()
            said = "valid"
        except UserError as error:
            said = f"error {error}" if "\n" not in str(error) else f"several lines: {error!r}"
        except Exception as error:
            said = f"exception {type(error).__name__}: {error}".replace("\n", " ")
        print(json.dumps([said, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10]), flush=True)


class Reader:
    """A process that reads files, and is started again when a file has ended it."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        command = [sys.executable, __file__, "--read"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def read(self, path: Path) -> tuple[str, float]:
        """The outcome of a file, and the seconds that it took."""
        assert self.process.stdin is not None and self.process.stdout is not None
        began = time.monotonic()
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        ready, _, _ = select([self.process.stdout], [], [], 4 * SECONDS)
        line = self.process.stdout.readline() if ready else ""
        took = time.monotonic() - began
        if not line:
            said = "crash" if ready else "hang"
            self.end()
            self.start()
            return said, took
        said, megabytes = json.loads(line)
        if megabytes > MEGABYTES:
            self.end()
            self.start()
            said = f"memory {megabytes} MB ({said})"
        return said, took

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def main() -> int:
    """0 if each file gave a dataset or an error of one line, else 1."""
    parser = argparse.ArgumentParser(description="Break files of demonstrations and read them.")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this many seconds")
    parser.add_argument("--out", type=Path, help="JSON file for the counts")
    parser.add_argument("--keep", type=Path, help="folder for the files that failed")
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.read:
        read_all()
        return 0
    counts: collections.Counter[str] = collections.Counter()
    ways: collections.Counter[str] = collections.Counter()
    failures, slowest, began, done = [], 0.0, time.monotonic(), 0
    with tempfile.TemporaryDirectory() as folder:
        reader = Reader()
        reader.read(Path(folder) / "missing")  # the first call imports, which takes a while
        for number in range(flags.files):
            if time.monotonic() - began > flags.seconds:
                break
            path, how = make(Path(folder), np.random.default_rng([flags.seed, number]))
            said, took = reader.read(path)
            kind = said.split()[0]
            if (Path(folder) / "trapped").exists():
                kind, said = "code", "code of the file was run"
                (Path(folder) / "trapped").unlink()
            elif took > SECONDS and kind in ("valid", "error"):
                kind = "slow"
            slowest, done = max(slowest, took), done + 1
            counts[kind] += 1
            ways[how.split(": ")[0]] += 1
            if kind not in ("valid", "error"):
                failures.append({"file": number, "how": how, "said": said[:300], "seconds": round(took, 2)})
                print(json.dumps(failures[-1]), flush=True)
                if flags.keep and path.is_file():
                    flags.keep.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, flags.keep / f"{flags.seed}_{number}.h5")
        reader.end()
    found = {
        "seed": flags.seed, "files": done, "outcomes": dict(counts), "formats": dict(ways),
        "slowest_seconds": round(slowest, 2), "failures": failures,
    }  # fmt: skip
    print(json.dumps(found, indent=1))
    if flags.out:
        flags.out.parent.mkdir(parents=True, exist_ok=True)
        flags.out.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
