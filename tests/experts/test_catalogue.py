"""Demonstrations by name: what comes with the package, and what is fetched."""

from __future__ import annotations

import functools
import importlib.metadata
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from trpo_gail.cli import main
from trpo_gail.errors import UserError
from trpo_gail.experts import catalogue, own
from trpo_gail.experts.files import hdf5
from trpo_gail.experts.load import load, read

FOLDER = Path(__file__).parents[2] / "expert_data"
BUNDLED = Path(catalogue.__file__).with_name("bundled")


# ---- what the list says ----------------------------------------------------------------------------------------------


def test_the_list_has_every_file_of_the_repository() -> None:
    there = {p.relative_to(FOLDER).with_suffix("").as_posix(): p for p in FOLDER.rglob("*.h5")}
    assert catalogue.repository() == {
        name: {"bytes": path.stat().st_size, "sha256": hdf5.sha256(path)} for name, path in there.items()
    }


def test_what_comes_with_the_package_is_small_and_listed() -> None:
    files = {path.stem: path for path in BUNDLED.glob("*.h5")}
    assert {name: hdf5.sha256(file) for name, file in files.items()} == {
        name: of["sha256"] for name, of in catalogue.bundled().items()
    }
    assert sum(file.stat().st_size for file in files.values()) < 700_000


@pytest.mark.parametrize("name", catalogue.bundled())
def test_it_is_the_first_episodes_of_the_repositorys_file(name: str, tmp_path: Path) -> None:
    episodes, whole = catalogue.bundled()[name]["episodes"], read(FOLDER / f"{name}.h5")
    first, part = whole.select(episodes, 1), read(catalogue.located(name))
    assert part.trajectories == episodes and part.provenance == whole.provenance
    for field in ("observations", "actions", "rewards", "terminals", "timeouts"):
        assert (getattr(part, field) == getattr(first, field)).all()
    assert part.provenance.env_id == name
    assert part.ends is not None and whole.ends is not None
    success = [ends.terminal > ends.total / 2 for ends in (part.ends, whole.ends)]
    assert success[0] == success[1], "by which the reward form is chosen"


# ---- names -----------------------------------------------------------------------------------------------------------


def test_a_name_is_the_packages_file_unless_one_is_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert load("CartPole-v0", 1, 10).path == str(BUNDLED / "CartPole-v0.h5")
    assert own.load("PointNav2D-v0").trajectories == 300
    (tmp_path / "CartPole-v0").write_bytes((FOLDER / "CartPole-v0.h5").read_bytes())
    assert load("CartPole-v0").path == "CartPole-v0" and load("CartPole-v0").trajectories == 50


@pytest.mark.parametrize(
    ("name", "line"),
    [
        ("there.h5", "there.h5: no such file"),
        ("folder/there", "folder/there: no such file"),
        (
            "Carpole",
            "Carpole: no such file, and no demonstrations of this name come with the package, which has CartPole",
        ),
        (
            "HalfCheetah-v4",
            "HalfCheetah-v4: no such file; `trpo-gail data fetch HalfCheetah-v4 --from DIR`, ",
        ),
        ("paper/Hopper-v1.h5", "paper/Hopper-v1.h5: no such file; `trpo-gail data fetch paper/Hopper-v1 --from DIR`, "),
        (
            "expert_data/Hopper-v4.h5",
            "expert_data/Hopper-v4.h5: no such file; Hopper-v4 alone names 4 episodes that come with the package, and "
            "`trpo-gail data fetch Hopper-v4 --from DIR`, with the folder expert_data of a copy of the repository, gets all",
        ),
    ],
)
def test_what_is_not_there(name: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        load(name)
    assert str(caught.value).startswith(line)


@pytest.mark.long
def test_a_run_of_a_name_goes_on_from_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    line = ["--iterations", "1", "--timesteps_per_batch", "64", "--num_envs", "2", "--eval_every", "0", "--quiet"]
    line = ["train", "CartPole-v0", "--expert", "CartPole-v0", "--final_episodes", "0", *line, "--out", "run"]
    assert main(line) == 0
    assert main(["train", "--out", "run", "--resume", "--iterations", "2", "--quiet"]) == 0
    assert main(["export", "run", "--reward", "reward.pt", "--expert", "CartPole-v0"]) == 0
    assert main(["report", "run", "--episodes", "1"]) == 0


# ---- fetching --------------------------------------------------------------------------------------------------------


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """A URL below which the files of expert_data are."""
    handler = functools.partial(_Quiet, directory=str(FOLDER))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        threading.Thread(target=httpd.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()


def fetch(*words: str) -> int:
    return main(["data", "fetch", *words])


@pytest.mark.parametrize("remote", [True, False])
def test_files_come_whole(
    remote: bool, server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    source = f"{server}/" if remote else str(FOLDER)
    assert fetch("MountainCar-v0", "paper/Reacher-v1", "--from", source) == 0
    for name in ("MountainCar-v0.h5", "paper/Reacher-v1.h5"):
        assert Path("expert_data", name).read_bytes() == (FOLDER / name).read_bytes()
    out = capsys.readouterr().out
    assert out == (
        "expert_data/MountainCar-v0.h5  fetched and checked\nexpert_data/paper/Reacher-v1.h5  fetched and checked\n"
    )
    assert fetch("MountainCar-v0") == 0
    assert capsys.readouterr().out == "expert_data/MountainCar-v0.h5  there already\n"


def test_the_repository_is_the_one_that_the_metadata_name(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    urls: list[str] = ["Paper, https://arxiv.org/abs/1606.03476"]
    monkeypatch.setattr(importlib.metadata, "metadata", lambda _: _Metadata(urls))
    assert fetch("MountainCar-v0") == 2
    assert capsys.readouterr().err == (
        "trpo-gail: --from: this package does not name its repository; expected the folder or URL of its expert_data\n"
    )
    urls.append(f"Repository, {server}/")
    assert fetch("MountainCar-v0") == 2
    assert f"{server}/raw/HEAD/expert_data/MountainCar-v0.h5: the server answers 404" in capsys.readouterr().err


class _Metadata:
    def __init__(self, urls: list[str]) -> None:
        self._urls = urls

    def get_all(self, _: str) -> list[str]:
        return self._urls


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "found 0 bytes"),
        (b"short", "found 5 bytes"),
        (b"x" * 62480, "another SHA-256"),
        (b"x" * 62481, "found more"),
    ],
)
def test_what_is_not_the_file_leaves_nothing(
    content: bytes, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("wrong").mkdir()
    Path("wrong/MountainCar-v0.h5").write_bytes(content)
    assert fetch("MountainCar-v0", "--from", "wrong") == 2
    err = capsys.readouterr().err
    assert said in err and "wrong/MountainCar-v0.h5: expected 62480 bytes of SHA-256" in err
    assert list(Path("expert_data").iterdir()) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "data fetch: no NAME given, at least 1 expected (trpo-gail data list names them)"),
        (["Nothing-v0"], "data fetch: 'Nothing-v0' given, expected names of Acrobot-v1, Ant-v4, BipedalWalker-v3"),
        (["Hopper-v4", "--from", "nowhere"], "nowhere/Hopper-v4.h5: cannot be read: No such file or directory"),
        (["Hopper-v4", "--from", "http://127.0.0.1:9"], "http://127.0.0.1:9/Hopper-v4.h5: cannot be read: Connection"),
        (["Hopper-v4", "--from", "http://[x"], "http://[x/Hopper-v4.h5: cannot be read: "),
        (["Hopper-v4", "--from", ".", "--to", "file"], "file/Hopper-v4.h5: cannot be written: "),
        (
            ["MountainCar-v0", "--from", "."],
            "expert_data/MountainCar-v0.h5: exists, and is not the repository's; remove",
        ),
    ],
)
def test_mistakes(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("expert_data").mkdir()
    Path("expert_data/MountainCar-v0.h5").write_text("mine")
    assert fetch(*words) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1
    assert [path.name for path in Path("expert_data").iterdir()] == ["MountainCar-v0.h5"]


def test_the_list_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(catalogue.repository())
    hopper = next(line for line in lines if line.startswith("Hopper-v4 "))
    assert "4 episodes by --expert Hopper-v4" in hopper and "2.41 MB" in hopper
