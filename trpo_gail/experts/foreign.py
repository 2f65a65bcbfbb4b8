"""What no format holds: files of other kinds and layouts, known by their content, so that a refusal names them and what
to do.

Nothing of them is executed or unpacked: first bytes, names in a zip archive, names in an HDF5 file.
"""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

import h5py

_UNPACK = "unpack it first"
_UNREAD = "which is not read (expert_data/README.md says what is)"
_CONVERT = "write its episodes one after the other into flat datasets (expert_data/README.md, Layout)"
_PICKLE = f"a Python pickle, {_UNREAD}"
TORCH = "a PyTorch file"
_TORCH = f"{TORCH}, {_UNREAD}"
_TEXT = "what a transfer as text has left of one; copy it again as binary"

# First bytes, what they tell, and what to do. The first that fits counts.
_BEGINNINGS: tuple[tuple[bytes, str], ...] = (
    (b"version https://git-lfs", "a Git LFS pointer to one; git lfs pull, in its repository, fetches the file itself"),
    (b"/annex/objects/", "a git-annex pointer to one; git annex get, in its repository, fetches the file itself"),
    (b"\x89HDF", _TEXT),
    (b"\xef\xbf\xbdHDF", _TEXT),
    (b"\x93NUMPY", f"a NumPy array (.npy), {_UNREAD}"),
    (b"PAR1", f"a Parquet table, {_UNREAD}"),
    (b"\x1f\x8b", f"a gzip archive; {_UNPACK}"),
    (b"BZh", f"a bzip2 archive; {_UNPACK}"),
    (b"\xfd7zXZ\x00", f"an xz archive; {_UNPACK}"),
    (b"\x28\xb5\x2f\xfd", f"a Zstandard archive; {_UNPACK}"),
    (b"7z\xbc\xaf\x27\x1c", f"a 7z archive; {_UNPACK}"),
    (b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.", _TORCH),  # as PyTorch wrote before 1.6
    *((bytes([0x80, protocol]), _PICKLE) for protocol in range(2, 6)),
    *((start, _PICKLE) for start in (b"(lp", b"(dp", b"]q", b"}q", b"cnumpy", b"ccopy_reg")),  # protocols 0 and 1
    (b"MATLAB 5.0", f"a MATLAB file, {_UNREAD}"),
    (b"CDF", f"a NetCDF file, {_UNREAD}"),
    (b"\x0e\x03\x13\x01", f"an HDF4 file, {_UNREAD}"),
)
_WEB = (
    (b"<!doctype html", "a web page (HTML)"),
    (b"<html", "a web page (HTML)"),
    (b"<?xml", "a server's answer (XML)"),
)

# Names of a zip archive's members, by their end.
_ZIPPED = (
    (".npy", f"a NumPy archive (.npz), {_UNREAD}"),
    ("policy.pth", f"a policy of Stable-Baselines3, {_UNREAD}"),
    ("data.pkl", _TORCH),
)

# Groups of an HDF5 file, one an episode: whose layout it is by their name.
_EPISODES = ((r"episode_\d+", "Minari's"), (r"demo_\d+", "robomimic's"), (r"traj_\d+", "ManiSkill's"))


def kind(path: str | Path) -> str | None:
    """What a file that is no HDF5 is, and what to do: `a gzip archive; unpack it first`. None if it is not known."""
    with open(path, "rb") as stream:
        start = stream.read(512)
    if start.startswith(b"PK\x03\x04"):
        return _zipped(path)
    if start[257:262] == b"ustar":
        return f"a tar archive; {_UNPACK}"
    page = start.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    for beginning, what in _WEB:
        if page.startswith(beginning):
            return f"{what} that a download gave in its place; fetch the raw file"
    return next((what for beginning, what in _BEGINNINGS if start.startswith(beginning)), None)


def policy(path: str | Path) -> str | None:
    """What a file is if its members are a policy's. None if they are not, or are objects of which that is not known."""
    names = set(_members(path))
    if "policy.pth" in names:
        return "a policy of Stable-Baselines3"
    return "a linear policy (.npz)" if names & {"M.npy", "weights.npy", "W.npy"} else None


def _members(path: str | Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            return archive.namelist()
    except (OSError, ValueError, NotImplementedError, zipfile.BadZipFile):
        return []


def _zipped(path: str | Path) -> str:
    names = _members(path)
    return next((what for end, what in _ZIPPED if any(n.endswith(end) for n in names)), f"a zip archive; {_UNPACK}")


def layout(file: h5py.Group) -> str | None:
    """Whose layout an HDF5 file of demonstrations has that is not read, and what to do. None if it is not known."""
    groups = [member for name in file if isinstance(member := file.get(name), h5py.Group)]
    for names in (_episodes(group) for group in (file, *groups[:5])):
        if names:
            whose = next((whose for pattern, whose in _EPISODES if re.fullmatch(pattern, names[0])), "a")
            said = f"{whose} layout of one group per episode ({len(names)}, such as {names[0]!r:.40})"
            return f"{said}, which is not read; {_CONVERT}"
    if any("pandas_type" in group.attrs for group in groups):
        return f"a table of pandas, which is not read; {_CONVERT}"
    return None


def _episodes(group: h5py.Group) -> list[str]:
    """The names of the groups in it, if they hold an episode each, as far as the first two tell."""
    names = [name for name in group if group.get(name, getclass=True) is h5py.Group]
    return names if names and all(_is_episode(name, group[name]) for name in names[:2]) else []


def _is_episode(name: str, group: h5py.Group) -> bool:
    known = any(re.fullmatch(pattern, name) for pattern, _ in _EPISODES)
    return known or any(member.lower().startswith("act") for member in group)
