"""Files of other kinds and layouts: named in one short line with what to do, and never taken for damaged."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import pickle
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

from trpo_gail.errors import MOST, UserError
from trpo_gail.experts.files import foreign
from trpo_gail.experts.load import load, read
from trpo_gail.experts.policies import paper_policy
from trpo_gail.experts.trajectories import CALLED

POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d7a" * 16 + b"\nsize 12345\n"
EPISODE = {"observations": np.zeros((3, 2)), "actions": np.zeros((3, 1)), "rewards": np.zeros(3)}
WHOLE = b"\x89HDF\r\n\x1a\n" + bytes(range(256)) * 4


def written(write: Callable[[io.BytesIO], object]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def zipped(*names: str) -> bytes:
    with zipfile.ZipFile(buffer := io.BytesIO(), "w") as archive:
        for name in names:
            archive.writestr(name, b"content")
    return buffer.getvalue()


def record(content: bytes) -> bytes:
    """A record as TensorFlow frames it."""
    content = content.ljust(24, b"\0")
    return struct.pack("<QI", 24, foreign._masked_crc32c(struct.pack("<Q", 24))) + content + bytes(4)


def tarred() -> bytes:
    with tarfile.open(fileobj=(buffer := io.BytesIO()), mode="w") as archive:
        archive.addfile(tarfile.TarInfo("demos.h5"), io.BytesIO())
    return buffer.getvalue()


KINDS = {
    "Git LFS": (POINTER, "a Git LFS pointer to one; git lfs pull, in its repository, fetches the file itself"),
    "git-annex": (b"/annex/objects/SHA256E-s1--0.h5\n", "a git-annex pointer to one; git annex get"),
    "web page": (b"\n\n<!DOCTYPE html>\n<html lang='en'>", "a web page (HTML) that a download gave in its place"),
    "old web page": (b"\xef\xbb\xbf<HTML><body>404", "a web page (HTML) that a download gave in its place"),
    "server's error": (b"<?xml version='1.0'?><Error>AccessDenied", "a server's answer (XML) that a download gave"),
    "line ends changed": (WHOLE.replace(b"\r\n", b"\n"), "what a transfer as text has left of one; copy it again"),
    "taken for UTF-8": (WHOLE.decode("utf-8", "replace").encode(), "what a transfer as text has left of one; copy it"),
    "gzip": (gzip.compress(WHOLE), "a gzip archive; unpack it first"),
    "bzip2": (bz2.compress(WHOLE), "a bzip2 archive; unpack it first"),
    "utf-16": ("obs_0,action\n1,2\n".encode("utf-16"), "a text in UTF-16, which is not read; save it as UTF-8"),
    "RAR": (b"Rar!\x1a\x07\x01\x00", "a RAR archive; unpack it first"),
    "encrypted Parquet": (b"PARE" + bytes(60) + b"PARE", "an encrypted Parquet table; decrypt it first"),
    "xz": (lzma.compress(WHOLE), "an xz archive; unpack it first"),
    "zip": (zipped("demos.h5"), "a zip archive; unpack it first"),
    "broken zip": (zipped("demos.h5")[:20], "a zip archive that is cut short or broken"),
    "tar": (tarred(), "a tar archive; unpack it first"),
    "ROS": (b"#ROSBAG V2.0\n", "a bag of ROS, which is not read; docs/expert_data.md (Files that are not read) says how"),
    "ROS 2": (b"SQLite format 3\x00", "an SQLite database, as bags of ROS 2 are, which is not read; docs/expert_data.md"),
    "MCAP": (b"\x89MCAP0\r\n", "a recording of ROS 2 (MCAP), which is not read"),
    "MATLAB": (b"MATLAB 5.0 MAT-file, Platform", "a MATLAB file, which is not read"),
    "MP4": (b"\x00\x00\x00\x20ftypisom", "a video (MP4), which is no table of observations and actions"),
    "WebM": (b"\x1aE\xdf\xa3" + bytes(9), "a video (Matroska or WebM)"),
    "AVI": (b"RIFF\x00\x00\x00\x00AVI LIST", "a video (AVI)"),
    "picture": (b"\x89PNG\r\n\x1a\n", "a picture (PNG)"),
    "safetensors": (b"\x20" + bytes(7) + b'{"weight":{"dtype":"F32"', "a safetensors file, the weights of a network"),
    "BVH": (b"HIERARCHY\nROOT Hips\n{", "a motion clip (BVH), which has no actions to imitate"),
    "MJCF": (b"<mujoco model='hopper'>", "a model of MuJoCo (MJCF) and no demonstrations"),
    "TensorFlow's list": (b'model_checkpoint_path: "model-100"\n', "the list of a TensorFlow checkpoint's files"),
    "TensorFlow's index": (bytes(60) + foreign._TABLE_END, "the index of a TensorFlow checkpoint, the weights of a network"),
    "TFRecord": (record(b"\x0a\x05steps"), "a TFRecord, which is not read; docs/expert_data.md (Files that are not read)"),
    "TensorBoard": (record(b"\x09AAAAAAAA\x1a\x0dbrain.Event:2"), "TensorBoard's events and no demonstrations"),
    "DeepMimic": (b'{"Loop": "wrap",\n"FrameDuration": 0.03,\n"Frames": [[0.0, 1.0]]}', "a motion clip, which"),
    "AMASS": (zipped("poses.npy", "trans.npy", "betas.npy"), "a motion clip, which has no actions to imitate"),
    "AMP": (zipped("fps.npy", "dof_names.npy", "dof_positions.npy", "body_positions.npy"), "a motion clip, which"),
    "Keras": (zipped("metadata.json", "config.json", "model.weights.h5"), "a Keras model, the weights of a network"),
    "zarr": (zipped(".zgroup", "data/action/.zarray"), "a zarr store, which is not read"),
    "Excel": (zipped("[Content_Types].xml", "xl/workbook.xml"), "a workbook of Excel, which is not read; save its sheet as"),
}  # fmt: skip


def told_of(path: Path, use: Callable[[Path], object]) -> str:
    with pytest.raises(UserError) as caught:
        use(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: ") and "damaged" not in told
    assert "\n" not in told and len(told.replace(str(path), "")) < MOST - 50
    return told.removeprefix(f"{path}: ")


@pytest.mark.parametrize(("content", "says"), KINDS.values(), ids=KINDS)
def test_files_that_are_no_hdf5(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "demos.h5"
    path.write_bytes(content)
    for use in (load, read, paper_policy.load_policy):
        assert told_of(path, use).startswith(f"not an HDF5 file but {says}")


def test_an_archive_of_other_names(tmp_path: Path) -> None:
    """Misspelt or not named at all: the message has the names found and those expected, each of which is read."""
    path = tmp_path / "demos.npz"
    np.savez(path, observation_log=np.zeros((3, 2)), action_log=np.zeros((3, 1)))
    said = told_of(path, load)
    assert said.startswith(
        "a NumPy archive (.npz) of observation_log, action_log; expected arrays called observations ("
    )
    assert all(name in said for field in ("observations", "actions") for name in CALLED[field])
    np.savez(path, np.zeros((3, 2)), np.zeros((3, 1)))
    assert told_of(path, load).startswith("a NumPy archive (.npz) of arr_0, arr_1; expected arrays called observations")
    assert told_of(path, paper_policy.load_policy).startswith("not an HDF5 file but a NumPy archive (.npz), which")


@pytest.mark.parametrize("content", [b"\x00" * 1000, b"P", b"\x80", b"\x80\x63", b"versio"])
def test_nothing_is_guessed(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "demos.h5"
    path.write_bytes(content)
    assert told_of(path, load) == "of no format that is read; docs/expert_data.md names those that are"


def test_a_motion_clip_in_an_array(tmp_path: Path) -> None:
    clip = np.array({"rotation": {"arr": np.zeros((2, 4))}, "__name__": "SkeletonMotion"}, object)
    np.save(tmp_path / "x.npy", clip, allow_pickle=True)
    assert told_of(tmp_path / "x.npy", load).startswith("not an HDF5 file but a motion clip, which has no actions")


def test_the_checksum_of_a_record() -> None:
    """CRC-32C's check value, masked as TensorFlow's format says."""
    crc = (0xE3069283 >> 15 | 0xE3069283 << 17) + 0xA282EAD8 & 0xFFFFFFFF
    assert foreign._masked_crc32c(b"123456789") == crc


FOLDERS: dict[tuple[str, ...], str] = {
    (
        "features.json",
        "dataset_info.json",
        "x-train.tfrecord-00000-of-00001",
    ): "a folder of RLDS or TFRecords, which is not",
    ("1.0.0/features.json", "1.0.0/dataset_info.json"): "a folder of RLDS or TFRecords, which is not read",
    (".zgroup", "data/.zgroup", "meta/.zgroup"): "a zarr store, which is not read",
    ("zarr.json",): "a zarr store, which is not read",
    ("saved_model.pb", "variables/variables.index"): "a model of TensorFlow, the weights of a network",
    ("checkpoint", "model.index", "model.data-00000-of-00001"): "a model of TensorFlow, the weights of a network",
    ("metadata.yaml", "x_0.db3"): "a bag of ROS 2, which is not read",
    ("inner/a.txt",): "a folder that holds the folder 'inner' alone; name that",
    (
        "a.txt",
        "b.txt",
    ): "a folder of no format that is read, expected one that docs/expert_data.md names; it holds a.txt, b.txt",
}


@pytest.mark.parametrize(("names", "says"), FOLDERS.items())
def test_folders(tmp_path: Path, names: tuple[str, ...], says: str) -> None:
    for name in names:
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_text("")
    assert told_of(tmp_path / "x", load).startswith(says)


def test_a_pickle_is_not_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(tmp_path / "trapped"),)

    (tmp_path / "demos.pkl").write_bytes(pickle.dumps(Trap()))
    assert "a pickle of an object, posix.mkdir, expected" in told_of(tmp_path / "demos.pkl", load)
    assert "a Python pickle" in told_of(tmp_path / "demos.pkl", paper_policy.load_policy)
    assert not (tmp_path / "trapped").exists()


RECORD = "record some with: trpo-gail record ENV --policy "
WEIGHTS = "weights of a network (0.weight, 0.bias), expected demonstrations; a function that uses them is recorded by"
POLICIES = {
    "PyTorch": (
        written(lambda out: torch.save(torch.nn.Sequential(torch.nn.Linear(2, 1)).state_dict(), out)),
        f"a PyTorch file with {WEIGHTS}",
        "a PyTorch file",
    ),
    "other tensors": (
        written(lambda out: torch.save({"a": torch.zeros(2)}, out)),
        "a PyTorch file with a dict of a, expected observations and actions by one of their names",
        "a PyTorch file",
    ),
    "Stable-Baselines3": (
        zipped("policy.pth"),
        f"a policy of Stable-Baselines3, expected demonstrations; {RECORD}",
        "a policy of Stable-Baselines3",
    ),
    "linear": (
        written(lambda out: np.savez(out, M=np.zeros((2, 3)))),
        f"a linear policy (.npz), expected demonstrations; {RECORD}",
        "a NumPy archive (.npz)",
    ),
    "ARS": (
        written(lambda out: np.savez(out, np.array([np.zeros((2, 3)), np.zeros(3), np.ones(3)], object))),
        "a pickle of a matrix and two vectors, as ARS writes its policies, expected demonstrations; if it is a policy, "
        + RECORD,
        "a NumPy archive (.npz)",
    ),
    "Berkeley's": (
        pickle.dumps({"nonlin_type": "tanh", "GaussianPolicy": {"logstdevs_1_Da": np.zeros((1, 2))}}),
        f"a pickle of a dict of nonlin_type, GaussianPolicy, expected demonstrations; if it is a policy, {RECORD}",
        "a Python pickle",
    ),
}


@pytest.mark.parametrize(("content", "says", "kind"), POLICIES.values(), ids=POLICIES)
def test_policies_in_place_of_demonstrations(tmp_path: Path, content: bytes, says: str, kind: str) -> None:
    path = tmp_path / "demos.h5"
    path.write_bytes(content)
    for use in (load, read):
        assert told_of(path, use).startswith(says)
    assert told_of(path, paper_policy.load_policy).startswith(f"not an HDF5 file but {kind}")


def test_paths_that_are_no_files(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.h5")  # nobody writes to it: reading would wait for ever
    assert told_of(tmp_path / "pipe.h5", load) == "a pipe or a device, expected a file"
    (tmp_path / "link.h5").symlink_to("../.git/annex/objects/x.h5")
    assert told_of(tmp_path / "link.h5", load).startswith("a link to ../.git/annex/objects/x.h5, which does not")


# --- Layouts of HDF5 ----------------------------------------------------------------------------------------------


def put(group: h5py.Group, arrays: dict[str, np.ndarray]) -> None:
    for name, values in arrays.items():
        group[name] = values


def minari(file: h5py.File) -> None:
    for i in range(1000):
        file.create_group(f"episode_{i}")["actions"] = [0.0]


def robomimic(file: h5py.File) -> None:
    for i in range(3):
        put(file.create_group(f"data/demo_{i}"), {"actions": np.zeros((2, 7))})
        file.create_group(f"data/demo_{i}/obs")
    file["mask/train"] = np.array([b"demo_0"])


def maniskill(file: h5py.File) -> None:
    put(file.create_group("traj_0"), {"actions": np.zeros((2, 7)), "success": np.zeros(2)})


def pandas(file: h5py.File) -> None:
    file.create_group("table").attrs["pandas_type"] = "frame"


def keras(file: h5py.File) -> None:
    file.create_group("model_weights/dense")
    file.attrs["keras_version"] = "2.15.0"


def keras_weights(file: h5py.File) -> None:
    file.create_group("dense_1")
    file.attrs["layer_names"] = [b"dense_1"]


def matlab(file: h5py.File) -> None:
    file["obs"] = np.zeros((2, 3))
    file["obs"].attrs["MATLAB_class"] = np.bytes_(b"double")


def motion(file: h5py.File) -> None:
    put(file, {"dof_positions": np.zeros((3, 2)), "body_positions": np.zeros((3, 2))})


LAYOUTS = {
    keras: "a Keras model, the weights of a network and no demonstrations; docs/expert_data.md",
    keras_weights: "a Keras model, the weights of a network",
    matlab: "a MATLAB file of version 7.3, which is not read; docs/expert_data.md (Files that are not read) says how",
    motion: "a motion clip, which has no actions to imitate",
    minari: "'episode_0' has no observations, expected one of observations, observation, obs,",
    robomimic: "'data/demo_0/obs': expected 1 to 200 arrays in a group, found 0",
    maniskill: "'traj_0' has no observations, expected one of observations, observation, obs,",
    pandas: "a table of pandas, which is not read",
}


@pytest.mark.parametrize(("write", "says"), LAYOUTS.items(), ids=lambda x: getattr(x, "__name__", ""))
def test_layouts_of_others(tmp_path: Path, write: Callable[[h5py.File], None], says: str) -> None:
    path = tmp_path / "demos.h5"
    with h5py.File(path, "w") as file:
        write(file)
    for use in (load, read):
        assert told_of(path, use).startswith(says)


def test_our_own_layout_with_further_groups_is_read(native: Path) -> None:
    with h5py.File(native, "a") as file:
        put(file.create_group("infos/episode_0"), EPISODE)
    assert load(native).trajectories == 3
