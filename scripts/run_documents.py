#!/usr/bin/env python3
"""Run every command, every piece of Python and every notebook in README.md and docs/, and say which are broken.

    python scripts/run_documents.py [PAGE...] [--out results/api/documents.csv]

Each page has a folder of its own, with links to the checkout's expert_data, scripts, docs and examples. Its blocks run
there in their order, the pieces of Python as one program each; what a page takes for granted comes first
(documents.toml). Trainings are made short: no more than STEPS steps and one seed. The exit code is 1 if a block fails.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).parents[1]
STEPS = 4096
LIMIT_S = 300.0
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTIONAL = ("stable_baselines3", "onnxruntime", "zarr", "optuna")  # not ours to install
COMMANDS = ("trpo-gail ", "mpirun ", "python ", "scripts/", "srun ", "sbatch ", "pip ", "docker ", "mkdocs ")


@dataclass(frozen=True)
class Piece:
    """A command, or a piece of Python, as a page has it and as it is run; `why_not` it is not run."""

    page: str
    shown: str
    run: str
    language: str
    why_not: str = ""


def pieces(page: Path, rules: dict[str, dict[str, str]]) -> Iterator[Piece]:
    """All of a page, in order."""
    name = str(page.relative_to(ROOT))
    if page.suffix == ".ipynb":
        cells = [cell for cell in json.loads(page.read_text())["cells"] if cell["cell_type"] == "code"]
        text = "\n\n".join("".join(cell["source"]) for cell in cells)
        yield Piece(name, f"all {len(cells)} cells", text, "python")
        return
    for language, text in BLOCK.findall(page.read_text()):
        if language == "python":
            imports = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
            missing = next((module for module in imports if module in OPTIONAL and not find_spec(module)), None)
            program = rules["prelude"].get(name, "") + shorter_python(text)
            yield Piece(name, text, program, "python", f"needs {missing}" if missing else "")
        elif language in ("sh", "bash", ""):
            for command in commands(text):
                instead = rules["instead"].get(command)
                yield _judged(Piece(name, command, instead or shorter(command), "sh"), command, rules)


def _judged(piece: Piece, words: str, rules: dict[str, dict[str, str]]) -> Piece:
    reasons = [why for start, why in rules["not_run"].items() if words.startswith(start)]
    return Piece(piece.page, piece.shown, piece.run, piece.language, reasons[0]) if reasons else piece


def commands(block: str) -> list[str]:
    """The commands of a block, continuation lines joined, comments taken off."""
    lines = re.sub(r"\\\n\s*", "", block).splitlines()
    bare = [re.sub(r"\s+#\s.*$", "", line).strip() for line in lines]
    return [line for line in bare if line.startswith(COMMANDS)]


def shorter(command: str) -> str:
    """The command with few steps and one seed."""
    if not re.search(r"trpo-gail (train|expert|compare)\b", command):
        return command
    most = 3 * STEPS if "--resume" in command else STEPS
    if "--warmup_iterations" in command:  # beside which some steps of the policy must be left, and a best one
        most, command = 4 * STEPS, f"{command} --eval_every {2 * STEPS}"

    def few(found: re.Match[str]) -> str:
        return " ".join([found[1], *(str(min(int(n), most)) for n in found[2].split())])

    command = re.sub(r"(--steps|--eval_every) ([\d ]*\d)", few, command)
    command = re.sub(r"--seeds [\d ]*\d", "--seeds 1", command)
    return command if "--steps" in command else f"{command} --steps {most}"


def shorter_python(text: str) -> str:
    """The program with few steps."""

    def few(found: re.Match[str]) -> str:
        return f"{found[1]}{min(int(found[2].replace('_', '')), STEPS)}"

    return re.sub(r"(\blearn\((?:total_timesteps=)?|\bsteps=)([\d_]+)", few, text)


def run(piece: Piece, folder: Path, env: dict[str, str]) -> tuple[int, str]:
    """Exit code, and the end of what was printed."""
    words = [sys.executable, "-c", piece.run] if piece.language == "python" else ["bash", "-c", piece.run]
    try:
        done = subprocess.run(
            words, cwd=folder, env=env, capture_output=True, text=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL
        )
    except subprocess.TimeoutExpired:
        return 124, f"took more than {LIMIT_S:.0f} s"
    return done.returncode, (done.stderr.strip() or done.stdout.strip())[-2000:]


def run_page(page: Path, rules: dict[str, dict[str, str]], env: dict[str, str]) -> list[dict[str, str]]:
    """A row for each piece of a page; a single one if what the page takes for granted cannot be made."""
    rows = []
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        for name in ("expert_data", "scripts", "docs", "examples"):
            (folder / name).symlink_to(ROOT / name)
        name = str(page.relative_to(ROOT))
        if before := rules["before"].get(name):
            code, said = run(Piece(name, before, before, "sh"), folder, env)
            if code:
                print(f"failed    {name}: what it takes for granted: {said}", flush=True)
                return [{"page": name, "result": "failed", "seconds": "", "what": "what the page takes for granted"}]
        for piece in pieces(page, rules):
            start = time.perf_counter()
            if (name_of := re.match(r"# (\w+\.py)\n", piece.shown)) and not (folder / name_of[1]).exists():
                (folder / name_of[1]).write_text(piece.shown)  # the page says where to save it
            code, said = (0, "") if piece.why_not else run(piece, folder, env)
            result = f"not run: {piece.why_not}" if piece.why_not else "failed" if code else "ok"
            shown = " / ".join(piece.shown.strip().splitlines()[:2]) if piece.language == "python" else piece.shown
            row = {"page": name, "result": result, "seconds": f"{time.perf_counter() - start:.1f}", "what": shown}
            print(f"{row['result']:8.40}  {row['seconds']:>6} s  {name}: {shown[:100]}", flush=True)
            if code:
                print(f"    exit code {code}: {said}", flush=True)
            rows.append(row)
    return rows


def main() -> int:
    """0 if all that is run works."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path, help="README.md and all of docs/ without them")
    parser.add_argument("--out", type=Path, help="CSV file of all rows")
    given = parser.parse_args()
    for page in given.pages:
        if not (page.is_file() and page.resolve().is_relative_to(ROOT)):
            parser.error(f"{page}: a page of this checkout expected")
    rules = tomllib.loads((Path(__file__).parent / "documents.toml").read_text())
    bin_folder = Path(sys.executable).parent
    env = os.environ | {"PATH": f"{bin_folder}:{os.environ['PATH']}", "MPLBACKEND": "Agg"}
    rows = []
    documents = sorted(path for path in (ROOT / "docs").rglob("*") if path.suffix in (".md", ".ipynb"))
    for page in given.pages or [ROOT / "README.md", *documents]:
        rows += run_page(page.resolve(), rules, env)
    if given.out:
        with given.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, ["page", "result", "seconds", "what"], lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    failed, skipped = (sum(row["result"].startswith(start) for row in rows) for start in ("failed", "not run"))
    print(f"{len(rows)} commands and pieces of Python: {failed} failed, {skipped} not run")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
