"""What is installed: a wheel made from the source distribution, run in an environment that knows no checkout."""

from __future__ import annotations

import configparser
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path
from typing import Any

import pytest

import trpo_gail
from trpo_gail.cli import main

ROOT = Path(__file__).parents[1]


def setup_cfg() -> configparser.ConfigParser:
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg")
    return parser


# ---- one version, one list of Pythons --------------------------------------------------------------------------------


def test_the_version_is_the_same_everywhere() -> None:
    version = setup_cfg()["metadata"]["version"]
    assert trpo_gail.__version__ == version
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\n## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_a_checkout_that_is_not_installed_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    assert trpo_gail.__version__ == "0+unknown"
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == "trpo-gail 0+unknown\n"


def test_each_python_that_is_named_is_tested() -> None:
    named = re.findall(r"Python :: (3\.\d+)", setup_cfg()["metadata"]["classifiers"])
    (tested,) = re.findall(r"^ +python: \[(.+)\]$", (ROOT / ".github" / "workflows" / "test.yml").read_text(), re.M)
    assert named == re.findall(r"3\.\d+", tested) != []
    assert setup_cfg()["options"]["python_requires"] == f">={named[0]}"


# ---- the wheel -------------------------------------------------------------------------------------------------------


def run(*command: str | Path, cwd: Path) -> str:
    """What a command says that ends well; it sees no path of ours but what it is told of on its command line."""
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run([*map(str, command)], cwd=cwd, env=mine, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(kind: str, source: Path, out: Path) -> Path:
    """An sdist or a wheel, by the backend alone: a frontend would fetch one for an environment of its own."""
    code = f"import sys; from setuptools import build_meta; print(build_meta.build_{kind}(sys.argv[1]))"
    return out / run(sys.executable, "-c", code, out, cwd=source).splitlines()[-1]


def package_files(root: Path) -> set[str]:
    """Files of the package below a folder, without what Python leaves there."""
    package = root / "trpo_gail"
    return {str(p.relative_to(root)) for p in package.rglob("*") if p.is_file() and "__pycache__" not in p.parts}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from what is in the sdist, which is made from a copy: a build leaves things beside the sources."""
    folder = tmp_path_factory.mktemp("build")
    shutil.copytree(ROOT / "trpo_gail", folder / "trpo_gail", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("setup.cfg", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    with tarfile.open(build("sdist", folder, folder)) as archive:
        only_data: dict[str, Any] = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}  # not in 3.11.2
        archive.extractall(folder / "unpacked", **only_data)
    (source,) = (folder / "unpacked").iterdir()
    return build("wheel", source, folder)


@pytest.fixture(scope="module")
def environment(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Programs of an environment that holds the wheel alone, and sees the libraries of this one: nothing is fetched."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, symlinks=True)
    python = folder / "bin" / "python"
    run(sys.executable, "-m", "pip", "--python", python, "install", "--no-index", "--no-deps", wheel, cwd=folder)
    site = Path(run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip())
    # Of a folder that a .pth file adds no .pth file is read, and so no checkout is found that is installed there.
    (site / "libraries.pth").write_text("\n".join({sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}))
    return folder / "bin"


def test_the_wheel_holds_the_whole_package(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (archive.read(name).decode() for name in names if name.endswith(".dist-info/METADATA"))
    assert {name for name in names if ".dist-info/" not in name} == package_files(ROOT)
    assert {"trpo_gail/py.typed", "trpo_gail/experts/bundled/Hopper-v4.h5", "trpo_gail/reports/chart.js"} <= names
    assert f"\nVersion: {trpo_gail.__version__}\n" in metadata and "\nClassifier: Typing :: Typed\n" in metadata


@pytest.mark.long
def test_the_wheel_trains_from_another_folder(environment: Path, tmp_path: Path) -> None:
    line = ["--trajectories", "1", "--num_envs", "2", "--timesteps_per_batch", "64", "--steps", "192"]
    run(environment / "trpo-gail", "train", "CartPole-v0", "--expert", "CartPole-v0", *line, "--eval_every", "0",
        "--final_episodes", "1", "--out", "run", cwd=tmp_path)  # fmt: skip
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["steps"] >= 192 and summary["stopped"] == "steps"
    assert json.loads((tmp_path / "run" / "config.json").read_text())["sessions"][0]["commit"] is None, "no checkout"


DATA = """
import trpo_gail
from trpo_gail.experts.policies.known import origin
from trpo_gail.studies.reproduction.grid import load_grid
from trpo_gail.studies.reproduction.paper import load_paper
print(trpo_gail.__file__, trpo_gail.__version__, origin("nobody's"), load_grid().tasks != {}, load_paper().random("cartpole"))
"""


@pytest.mark.long
def test_the_wheel_finds_its_data(environment: Path, tmp_path: Path) -> None:
    """The digests of the paper's experts, its grid, and its results."""
    file, *found = run(environment / "python", "-c", DATA, cwd=tmp_path).split()
    assert Path(file).is_relative_to(environment.parent)
    assert found == [trpo_gail.__version__, "None", "True", "18.64"]
