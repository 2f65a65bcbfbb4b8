"""Breaks files of demonstrations in many ways and reads each: a valid dataset or one documented error must come out.

    python scripts/fuzz_data.py --files 20000 --seed 0 --out results/data/fuzzing.json

Files of every layout (`fuzz_makers.py`) are truncated, bit-flipped, re-typed, re-shaped, renamed, and given hostile
pickles, hostile links and huge claims (`fuzz_ways.py`). A separate process reads them, at once and in pieces, and
validates what it reads. These count as failures: crashes, more than 5 s twice, more than 1 GB, any exception except
UserError, and a file that a mutation's code would make if it ran. The exit code is 1 if there is a failure. The same
seed gives the same files, on however many processes.
"""

from __future__ import annotations

import argparse
import collections
import contextlib
import json
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from select import select
from typing import Any

import h5py
import numpy as np
from fuzz_makers import MAKERS, Rng, good
from fuzz_ways import ways

from trpo_gail.errors import UserError
from trpo_gail.experts import describe, streams
from trpo_gail.experts.checks import cautions, validate
from trpo_gail.experts.formats import FORMATS
from trpo_gail.experts.load import load, pieces
from trpo_gail.experts.outline import outline
from trpo_gail.system import whole_file

SECONDS, MEGABYTES = 5.0, 1024


def written() -> dict[str, Any]:
    """What makes a good file, by name: the formats that are written, and those of other programs."""
    own = {form.NAME: form for form in FORMATS if hasattr(form, "write")}
    return {name: partial(_write, form) for name, form in own.items()} | MAKERS


def _write(form: Any, path: Path, held: Any, _: Rng) -> None:
    form.write(path, held)


class Risky(Exception):
    """libhdf5 would be asked to open a file that is broken already."""


def make(folder: Path, rng: Rng, apart: bool = False) -> tuple[Path, str]:
    """A broken file, or folder, and how it was broken. Raises Risky unless this process may crash."""
    makers = written()
    while True:
        name = str(rng.choice(sorted(makers)))
        path = folder / "demos"
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        with contextlib.suppress(UserError):
            makers[name](path, good(rng), rng)
            break
    files = sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]
    done = []
    times = int(rng.choice([1, 1, 1, 2, 3]))
    by_bytes = sorted(rng.random(times) < 0.4)  # these come last: libhdf5 may crash on the result
    for broken in by_bytes:
        file = files[rng.integers(len(files))]
        one_of = ways(file)[int(broken)]
        if done and not apart and not broken and h5py.is_hdf5(file):
            raise Risky
        way = one_of[rng.integers(len(one_of))]
        try:
            way(file, rng)
            done.append(way.__name__)
        except Exception:  # the file was broken already, or is empty
            continue
    return path, f"{name}: {' + '.join(done) or 'nothing'}"


def made(folder: Path, seed: list[int]) -> tuple[Path, str]:
    """The same; if libhdf5 may crash, in a process of its own. What a crash leaves is a broken file, too."""
    with contextlib.suppress(Risky):
        return make(folder, np.random.default_rng(seed))
    ours, theirs = multiprocessing.Pipe(duplex=False)
    process = multiprocessing.get_context("fork").Process(
        target=lambda: theirs.send(make(folder, np.random.default_rng(seed), True)[1])
    )
    process.start()
    theirs.close()
    try:
        how = ours.recv()
    except EOFError:
        how = "unknown: libhdf5 crashed while the file was broken"
    process.join()
    ours.close()
    return folder / "demos", how


# --- Reading apart ------------------------------------------------------------------------------------------------


def read_all() -> None:
    """Read the paths on stdin; print each outcome and the peak memory, in MB, of this process and those that it starts."""
    streams.PIECE = 256
    for line in sys.stdin:
        path = line.strip()
        said, in_pieces = _outcome(_use, path), _outcome(_use_pieces, path)
        if said.split()[0] != in_pieces.split()[0]:
            said = f"differs: at once {said[:120]}, in pieces {in_pieces[:120]}"
        most = max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        print(json.dumps([said, most >> 10]), flush=True)


def _outcome(work: Any, path: str) -> str:
    try:
        work(path)
    except UserError as error:
        return f"error {error}" if "\n" not in str(error) else f"several lines: {error!r}"
    except Exception as error:
        return f"exception {type(error).__name__}: {error}".replace("\n", " ")
    return "valid"


def _use(path: str) -> None:
    data = load(path)
    validate.findings(data)
    kept = data.trajectories  # which rows of one trajectory are kept may be none of them
    data.select(kept, 1 if data.subsample > 1 or len(data.steps) < 2 * kept else 2).following()


def _use_pieces(path: str) -> None:
    whole = outline(pieces(path))
    describe.info(whole)
    cautions.of_file(whole)


class Reader:
    """A process that reads files, and is started again when a file has ended it."""

    def __init__(self) -> None:
        self.start()

    def start(self) -> None:
        command = [sys.executable, __file__, "--read"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.read(Path("missing"))  # the first call imports, which takes a while

    def read(self, path: Path) -> tuple[str, float]:
        """The outcome of a file, and the seconds that it took."""
        assert self.process.stdin is not None and self.process.stdout is not None
        began = time.monotonic()
        self.process.stdin.write(f"{path}\n")
        self.process.stdin.flush()
        ready, _, _ = select([self.process.stdout], [], [], 8 * SECONDS)
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


# --- Many files ---------------------------------------------------------------------------------------------------


def _share(share: int, shares: int, files: int, seed: int, until: float, keep: Path | None) -> list[dict[str, Any]]:
    """Every `shares`-th file: what was done to it, and what came of it."""
    whole_file.flush = lambda path: None  # type: ignore[assignment]  # these files need not outlive a power cut
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    found = []
    with tempfile.TemporaryDirectory(dir=memory) as name:
        folder, reader = Path(name), Reader()
        for number in range(share, files, shares):
            if time.time() > until:
                break
            path, how = made(folder, [seed, number])
            said, took = reader.read(path)
            if SECONDS < took < 8 * SECONDS:  # another program may have had the core
                said, took = min((said, took), reader.read(path), key=lambda outcome: outcome[1])
            kind = said.split()[0].rstrip(":")
            if (folder / "trapped").exists():
                kind, said = "code", "code of the file was run"
                shutil.rmtree(folder / "trapped") if (folder / "trapped").is_dir() else (folder / "trapped").unlink()
            elif took > SECONDS and kind in ("valid", "error"):
                kind = "slow"
            found.append({"file": number, "how": how, "kind": kind, "said": said[:300], "seconds": round(took, 2)})
            if len(found) % 1000 == 0:
                print(f"share {share}: {len(found)} files", file=sys.stderr, flush=True)
            if kind not in ("valid", "error"):
                print(json.dumps(found[-1]), flush=True)
                _keep(path, keep, f"{seed}_{number}")
        reader.end()
    return found


def _keep(path: Path, folder: Path | None, name: str) -> None:
    if folder:
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copytree(path, folder / name) if path.is_dir() else shutil.copy(path, folder / name)


def _counted(found: Iterator[dict[str, Any]] | list[dict[str, Any]], seed: int) -> dict[str, Any]:
    held = sorted(found, key=lambda one: int(one["file"]))
    failures = [one for one in held if one["kind"] not in ("valid", "error")]
    return {
        "seed": seed,
        "files": len(held),
        "outcomes": dict(collections.Counter(one["kind"] for one in held)),
        "layouts": dict(sorted(collections.Counter(one["how"].split(": ")[0] for one in held).items())),
        "valid by layout": dict(
            sorted(collections.Counter(one["how"].split(": ")[0] for one in held if one["kind"] == "valid").items())
        ),
        "slowest_seconds": max((one["seconds"] for one in held), default=0.0),
        "failures": failures,
    }


def main() -> int:
    """0 if each file gave a dataset or an error of one line, else 1."""
    parser = argparse.ArgumentParser(description="Break files of demonstrations and read them.")
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this many seconds")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--out", type=Path, help="JSON file for the counts")
    parser.add_argument("--keep", type=Path, help="folder for the files that failed")
    parser.add_argument("--read", action="store_true", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.read:
        read_all()
        return 0
    began = time.time()
    work = [
        (share, flags.processes, flags.files, flags.seed, began + flags.seconds, flags.keep)
        for share in range(flags.processes)
    ]
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(flags.processes, spawn) as pool:  # unlike a Pool, it ends if one of its processes dies
        found = _counted([one for share in pool.map(_share, *zip(*work, strict=True)) for one in share], flags.seed)
    said = {"seconds": round(time.time() - began), **found}
    print(json.dumps(said, indent=1))
    if flags.out:
        flags.out.parent.mkdir(parents=True, exist_ok=True)
        flags.out.write_text(json.dumps(said, indent=1) + "\n")
    return 1 if found["failures"] else 0


if __name__ == "__main__":
    sys.exit(main())
