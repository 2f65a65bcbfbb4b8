"""What no format holds: files of other kinds and layouts, known by their content, so that a refusal names them and what
to do.

Nothing of them is executed or unpacked: first and last bytes, names in a zip archive, in an HDF5 file, in a folder.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import h5py

from trpo_gail.errors import listed

_UNPACK = "unpack it first"
_UNREAD = "which is not read (docs/expert_data.md says what is)"
_HOW = "which is not read; docs/expert_data.md (Files that are not read) says how to convert it"
_NO_ACTIONS = "which has no actions to imitate; docs/expert_data.md (Files that are not read) says what is needed"
_WEIGHTS = (
    "the weights of a network and no demonstrations; docs/expert_data.md (Files that are not read) says what is needed"
)
_MEMBERS = "observations (or obs, states), actions, rewards and dones, in small letters"
_VIDEO = "which is no table of observations and actions"
_CONVERT = "write its episodes one after the other into flat datasets (docs/expert_data.md)"
_PICKLE = f"a Python pickle, {_UNREAD}"
NUMPY = "a NumPy archive (.npz)"
TORCH = "a PyTorch file"
SCRIPTED = "a network of TorchScript"
_TORCH = f"{TORCH}, {_UNREAD}"
_TEXT = "what a transfer as text has left of one; copy it again as binary"

_START = 4096  # bytes at the beginning and at the end that are looked at

# First bytes, what they tell, and what to do. The first that fits counts.
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer to one; git lfs pull, in its repository, fetches the file itself"),
    (b"/annex/objects/", "a git-annex pointer to one; git annex get, in its repository, fetches the file itself"),
    (b"\x89HDF", _TEXT),
    (b"\xef\xbf\xbdHDF", _TEXT),
    *((mark, "a text in UTF-16, which is not read; save it as UTF-8") for mark in (b"\xff\xfe", b"\xfe\xff")),
    (b"\x93NUMPY", f"a NumPy array (.npy), {_UNREAD}"),
    (b"PAR1", f"a Parquet table, {_UNREAD}"),
    (b"PARE", "an encrypted Parquet table; decrypt it first"),
    (b"\x1f\x8b", f"a gzip archive; {_UNPACK}"),
    (b"BZh", f"a bzip2 archive; {_UNPACK}"),
    (b"\xfd7zXZ\x00", f"an xz archive; {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"a Zstandard archive; {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (b"Rar!\x1a\x07", f"a RAR archive; {_UNPACK}"),
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", _TORCH),  # as PyTorch wrote before 1.6
    *((bytes([0x80, protocol]), _PICKLE) for protocol in range(2, 6)),
    *((start, _PICKLE) for start in (b"(lp", b"(dp", b"]q", b"}q", b"cnumpy", b"ccopy_reg")),  # protocols 0 and 1
    (b"MATLAB 5.0", f"a MATLAB file, {_UNREAD}"),
    (b"CDF", f"a NetCDF file, {_UNREAD}"),
    (b"\x0e\x03\x13\x01", f"an HDF4 file, {_UNREAD}"),
    (b"#ROSBAG", f"a bag of ROS, {_HOW}"),
    (b"\x89MCAP0", f"a recording of ROS 2 (MCAP), {_HOW}"),
    (b"SQLite format 3\x00", f"an SQLite database, as bags of ROS 2 are, {_HOW}"),
    (b"HIERARCHY", f"a motion clip (BVH), {_NO_ACTIONS}"),
    (b"\x1aE\xdf\xa3", f"a video (Matroska or WebM), {_VIDEO}"),
    (b"GIF8", f"a picture (GIF), {_VIDEO}"),
    (b"\x89PNG", f"a picture (PNG), {_VIDEO}"),
    (b"\xff\xd8\xff", f"a picture (JPEG), {_VIDEO}"),
    (b"<mujoco", "a model of MuJoCo (MJCF) and no demonstrations"),
    (b"model_checkpoint_path:", f"the list of a TensorFlow checkpoint's files, {_WEIGHTS}"),
)
_WEB = (
    (b"<!doctype html", "a web page (HTML)"),
    (b"<html", "a web page (HTML)"),
    (b"<?xml", "a server's answer (XML)"),
)

# What stands in the first bytes of a file at another place than its beginning.
_WITHIN: tuple[tuple[slice, bytes, str], ...] = (
    (slice(257, 262), b"ustar", f"a tar archive; {_UNPACK}"),
    (slice(4, 8), b"ftyp", f"a video (MP4), {_VIDEO}"),
    (slice(8, 12), b"AVI ", f"a video (AVI), {_VIDEO}"),
    (slice(8, 10), b'{"', f"a safetensors file, {_WEIGHTS}"),
)
_TABLE_END = b"\x57\xfb\x80\x8b\x24\x75\x47\xdb"  # of LevelDB's tables, as which TensorFlow keeps an index
_CHECKPOINT = f"the index of a TensorFlow checkpoint, {_WEIGHTS}"
_CLIP = f"a motion clip, {_NO_ACTIONS}"

# Words of which all stand in a motion clip of one kind: a pickled array, a JSON text, names of an archive's members.
_MOTIONS: tuple[tuple[bytes, ...], ...] = (
    (b'"Frames"',),  # DeepMimic, and those after it
    (b"SkeletonMotion",),  # AMP in Isaac Gym
    (b"root_trans_offset",),  # PHC, ASAP
    (b"fps", b"root_pos"),  # GMR, TWIST
    (b"dof_positions", b"body_positions"),  # AMP in Isaac Lab
    (b"joint_pos", b"body_pos_w"),  # BeyondMimic
    (b"poses", b"trans", b"betas"),  # AMASS
)

# Names of a zip archive's members, by their end.
_ZIPPED = (
    (".zarray", f"a zarr store, {_HOW}"),
    (".zgroup", f"a zarr store, {_HOW}"),
    ("zarr.json", f"a zarr store, {_HOW}"),
    ("model.weights.h5", f"a Keras model, {_WEIGHTS}"),
    ("xl/workbook.xml", "a workbook of Excel, which is not read; save its sheet as CSV"),
    (".npy", f"{NUMPY}, {_UNREAD}"),
    ("policy.pth", f"a policy of Stable-Baselines3, {_UNREAD}"),
    ("constants.pkl", f"{SCRIPTED}, {_WEIGHTS}"),
    ("data.pkl", _TORCH),
)

# Groups of an HDF5 file, one an episode: whose layout it is by their name.
_EPISODES = ((r"episode_\d+", "Minari's"), (r"demo_\d+", "robomimic's"), (r"traj_\d+", "ManiSkill's"))


def kind(path: str | Path) -> str | None:
    """What a file that is no HDF5 is, and what to do: `a gzip archive; unpack it first`. None if it is not known."""
    with open(path, "rb") as stream:
        start = stream.read(_START)
        size = stream.seek(0, 2)
        stream.seek(max(0, size - _START))
        end = stream.read(_START)
    if start.startswith(b"PK\x03\x04"):
        return _zipped(path)
    if motion(start + end):
        return _CLIP
    page = start[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginning, what in _WEB:
        if page.startswith(beginning):
            return f"{what} that a download gave in its place; fetch the raw file"
    known = [what for beginning, what in _BEGINNINGS if start.startswith(beginning)]
    known += [what for place, word, what in _WITHIN if start[place] == word]
    if known:
        return known[0]
    return _CHECKPOINT if end.endswith(_TABLE_END) else _record(start, size)


def motion(words: bytes) -> bool:
    """Whether the beginning of a file, or the names that it holds, are those of a motion clip, which has no actions."""
    return b"action" not in words and any(all(word in words for word in motion) for motion in _MOTIONS)


def _record(start: bytes, size: int) -> str | None:
    """What a file of TensorFlow's records holds; each begins with its length and a checksum of that."""
    if len(start) < 16 or not 0 < int.from_bytes(start[:8], "little") <= size:
        return None
    if int.from_bytes(start[8:12], "little") != _masked_crc32c(start[:8]):
        return None
    return "TensorBoard's events and no demonstrations" if b"brain.Event" in start[:64] else f"a TFRecord, {_HOW}"


def _masked_crc32c(content: bytes) -> int:
    crc = 0xFFFFFFFF
    for byte in content:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    crc ^= 0xFFFFFFFF
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def policy(path: str | Path) -> str | None:
    """What a file is if its members are a policy's. None if they are not, or are objects of which that is not known."""
    names = set(_members(path) or ())
    if "policy.pth" in names:
        return "a policy of Stable-Baselines3"
    return "a linear policy (.npz)" if names & {"M.npy", "weights.npy", "W.npy"} else None


def _members(path: str | Path) -> list[str] | None:
    """Names in a zip archive; None if it cannot be opened."""
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return None


def _zipped(path: str | Path) -> str:
    if (names := _members(path)) is None:
        return "a zip archive that is cut short or broken"
    if motion("\n".join(names).encode("utf-8", "replace")):
        return _CLIP
    return next((what for end, what in _ZIPPED if any(n.endswith(end) for n in names)), f"a zip archive; {_UNPACK}")


_MINARI = (
    "Minari's layout with data_format 'arrow', expected 'hdf5': "
    "trpo_gail.Demonstrations.from_trajectories(minari.load_dataset(ID).iterate_episodes()).save('demos.h5') makes a file"
)


def folder(path: Path) -> str | None:
    """What a folder is that no format holds, and what to do. None if it is not known."""
    names = sorted(member.name for member in path.iterdir())
    found = {"features.json", "dataset_info.json"} <= set(names) or any(".tfrecord" in name for name in names)
    if found:
        return f"a folder of RLDS or TFRecords, {_HOW}"
    if not {".zgroup", ".zattrs", ".zarray", "zarr.json"}.isdisjoint(names):
        return f"a zarr store, {_HOW}"
    if "saved_model.pb" in names or (any(name.endswith(".index") for name in names) and "checkpoint" in names):
        return f"a model of TensorFlow, {_WEIGHTS}"
    if any(name.endswith((".db3", ".mcap")) for name in names):
        return f"a bag of ROS 2, {_HOW}"
    inner = [name for name in names if (path / name).is_dir()]
    if inner and "metadata.json" in names and "main_data.hdf5" not in names and all(map(str.isdecimal, inner)):
        return _MINARI
    if len(inner) == len(names) == 1:
        return folder(path / inner[0]) or f"a folder that holds the folder {inner[0]!r:.60} alone; name that"
    return None


def layout(file: h5py.Group) -> str | None:
    """Whose layout an HDF5 file of demonstrations has that is not read, and what to do. None if it is not known."""
    if {"keras_version", "layer_names"} & set(file.attrs) or "model_weights" in file:
        return f"a Keras model, {_WEIGHTS}"
    if any("MATLAB_class" in file[name].attrs for name in file):
        return f"a MATLAB file of version 7.3, {_HOW}"
    if motion("\n".join(file).encode("utf-8", "replace")):
        return _CLIP
    groups = [member for name in file if isinstance(member := file.get(name), h5py.Group)]
    for group in (file, *groups[:5]):
        if names := _episodes(group):
            whose = next((whose for pattern, whose in _EPISODES if re.fullmatch(pattern, names[0])), "a")
            said = f"{whose} layout of one group per episode ({len(names)}, such as {names[0]!r:.40})"
            return (
                f"{said}, whose members are called otherwise than {_MEMBERS}: found {listed(map(str, group[names[0]]))}"
            )
    for name in ("observations", "obs"):
        if isinstance(seen := file.get(name), h5py.Group):
            return (
                f"an episode whose observations are the group {name!r} of {listed(map(str, seen))}, as in ALOHA's files, "
                "which is not read; make episodes of the files by trpo_gail.Demonstrations.from_trajectories "
                "(docs/expert_data.md)"
            )
    if any("pandas_type" in group.attrs for group in groups):
        return f"a table of pandas, which is not read; {_CONVERT}"
    return None


def _episodes(group: h5py.Group) -> list[str]:
    """The names of the groups in it, if they hold an episode each, as far as the first two tell."""
    names = [name for name in group if isinstance(name, str) and group.get(name, getclass=True) is h5py.Group]
    return names if names and all(_is_episode(name, group[name]) for name in names[:2]) else []


def _is_episode(name: str, group: h5py.Group) -> bool:
    known = any(re.fullmatch(pattern, name) for pattern, _ in _EPISODES)
    return known or any(str(member).lower().startswith("act") for member in group)
