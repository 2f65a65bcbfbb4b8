"""Imports go downward only; what is optional or heavy is imported where this file says, when it is needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import trpo_gail

ROOT = Path(trpo_gail.__file__).parent

# From top to bottom. A module may import what is in its own row (without circles) or in one below.
LAYERS = [
    "cli __main__",
    "commands api",
    "bench",
    "studies exports",
    "runs reports",  # a run draws its learning curve
    "algorithm build",
    "learner",
    "generators adversaries critic cloning",
    "policies",
    "optim",
    "networks sampling experts",
    "envs",
    "finite parallel same_call mpi hangs",
    "config seeding scores schedules success magnitudes spaces records",
    "system",
    "errors",
]

# Optional or heavy libraries: the files that import each, and only within functions.
LAZY = {
    "mpi4py": {"mpi", "parallel", "same_call"},
    "envpool": {"envs.envpool"},
    "tensorboard": {"runs.events"},
    "matplotlib": {
        "reports.style",
        "reports.plots",
        "reports.visit_plots",
        "studies.reproduction.figure",
        "studies.comparison.plots",
    },
    "imageio_ffmpeg": {"runs.video"},
    "PIL": {"runs.video"},
    "onnx": {"exports.write_policy"},
    "onnxruntime": {"exports.write_policy"},
    "huggingface_hub": {"exports.hub"},
    "hdf5plugin": {"experts.files.hdf5"},
    "yaml": {"config.yaml_text"},
}


def module(path: Path) -> str:
    """A file's name within the package; "" is the package's own."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {module(path): path for path in sorted(ROOT.rglob("*.py"))}


@cache
def sources() -> dict[str, ast.Module]:
    return {name: ast.parse(path.read_text()) for name, path in FILES.items()}


def imports(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Everything imported, wherever it stands: `from a import b` as a.b."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def own(name: str) -> str | None:
    """The package's module that `trpo_gail.a.b` names; None for something else's."""
    package, *parts = name.split(".")
    if package != "trpo_gail":
        return None
    while ".".join(parts) not in FILES:
        parts.pop()
    return ".".join(parts)


def running(tree: ast.Module) -> ast.Module:
    """Without what is for type checkers alone."""
    checked = [node for node in tree.body if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)]
    return ast.Module([node for node in tree.body if node not in checked], [])


@cache
def graph() -> dict[str, set[str]]:
    """Of each module, those that it imports."""
    return {name: {m for i, _ in imports(tree) if (m := own(i))} for name, tree in sources().items() if name}


def layer(module: str) -> int:
    """Counted from the top."""
    parts = module.split(".")
    for n in range(len(parts), 0, -1):
        for number, row in enumerate(LAYERS):
            if ".".join(parts[:n]) in row.split():
                return number
    pytest.fail(f"trpo_gail.{module} has no layer: add it to LAYERS in {Path(__file__).name}")


@pytest.mark.parametrize("module", [name for name in FILES if name])
def test_imports_go_downward_only(module: str) -> None:
    upward = sorted(m for m in graph()[module] if layer(m) < layer(module))
    assert not upward, f"trpo_gail.{module} imports from above it: {upward}"


def test_no_module_imports_itself_by_a_detour() -> None:
    list(TopologicalSorter(graph()).static_order())  # raises CycleError


def test_the_package_itself_imports_nothing() -> None:
    assert [name for name, _ in imports(running(sources()[""])) if own(name) is not None] == []


@cache
def imported() -> list[tuple[str, str, bool]]:
    """All of the package's imports: the module, what it imports, whether within a function."""
    found = []
    for module, tree in sources().items():
        within = {id(n) for f in ast.walk(tree) if isinstance(f, ast.FunctionDef) for n in ast.walk(f)}
        found += [(module, name, id(node) in within) for name, node in imports(tree)]
    return found


@pytest.mark.parametrize("library", LAZY)
def test_a_library_is_imported_where_it_should_be_and_lazily(library: str) -> None:
    where = set()
    for module, name, lazily in imported():
        if f"{name}.".startswith(f"{library}."):
            where.add(module)
            assert lazily, f"trpo_gail.{module} imports {library} at its top"
    assert where == LAZY[library]


def test_the_parser_of_imports_sees_them_all() -> None:
    """A control: an import of each kind, and one from above."""
    tree = ast.parse(
        "import a.b\nfrom trpo_gail import algorithm\ndef f():\n    from trpo_gail.runs.run_folder import RunFolder"
    )
    names = [name for name, _ in imports(tree)]
    assert names == ["a.b", "trpo_gail.algorithm", "trpo_gail.runs.run_folder.RunFolder"]
    assert [own(name) for name in names] == [None, "algorithm", "runs.run_folder"]
    assert layer("sampling.batch") > layer("learner") > layer("runs.record") > layer("studies.runner") > layer("cli")
    assert "sampling.batch" in graph()["critic"] and "runs.evaluate" in graph()["commands.evaluate"]


# ---- what an import costs --------------------------------------------------------------------------------------------


def imported_by(code: str) -> set[str]:
    """Names of the modules that a fresh process holds after some code."""
    tell = "import sys; print(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{tell}"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.mark.parametrize(
    "code",
    [
        "import trpo_gail; trpo_gail.Config; trpo_gail.UserError; trpo_gail.__version__",
        "import trpo_gail.config.tree, trpo_gail.cli, trpo_gail.bench.jobs",
        "from trpo_gail.cli import main; assert main(['--help']) == 0 == main(['--version'])",
        "from trpo_gail.cli import main\ntry: main(['train', '--help'])\nexcept SystemExit as stop: assert not stop.code",
    ],
)
def test_the_command_lines_help_needs_neither_torch_nor_mpi(code: str) -> None:
    assert imported_by(code) & {"torch", "mpi4py", "gymnasium", "h5py", "matplotlib"} == set()


@pytest.mark.slow
def test_importing_everything_starts_no_mpi() -> None:
    found = imported_by("import " + ", ".join(f"trpo_gail.{name}" for name in FILES if name))
    assert "torch" in found and found & {"mpi4py", "matplotlib", "envpool", "tensorboard"} == set()


@pytest.mark.parametrize("name", trpo_gail.__all__)
def test_public_names_are_there(name: str) -> None:
    assert callable(getattr(trpo_gail, name))


def test_a_name_that_is_not_public_is_refused() -> None:
    with pytest.raises(AttributeError, match="nonsense"):
        trpo_gail.nonsense  # type: ignore[attr-defined]  # noqa: B018


def test_the_run_of_a_config_is_called_train() -> None:
    from trpo_gail.api.training import train

    assert trpo_gail.train is trpo_gail.run is train
