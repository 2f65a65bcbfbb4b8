"""Ways to break files, for `fuzz_data.py`: a function is given a file, which it changes, and a random generator.

`ways(path)` has those that fit what the file is. Every pickle that could run code would make the file `trapped` in the
folder that it is in.
"""

from __future__ import annotations

import contextlib
import io
import os
import pickle
import struct
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np

Rng = np.random.Generator
Way = Callable[[Path, Rng], None]

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


# --- Pickles ------------------------------------------------------------------------------------------------------


class _Trap:
    """What makes a file when it is unpickled, in one of several ways."""

    def __init__(self, folder: Path, kind: int) -> None:
        self.path, self.kind = folder / "trapped", kind

    def __reduce__(self) -> tuple[Any, ...]:
        ways: list[tuple[Any, ...]] = [
            (Path.touch, (self.path,)),
            (os.system, (f"touch {self.path}",)),
            (eval, (f"open({str(self.path)!r}, 'w').close()",)),
            (exec, (f"open({str(self.path)!r}, 'w').close()",)),
            (open, (str(self.path), "w")),
            (os.mkdir, (str(self.path),)),
        ]
        return ways[self.kind]


def _trapped(folder: Path, rng: Rng) -> bytes:
    """A pickle that is a trap, or that holds one among good values."""
    one = _Trap(folder, int(rng.integers(6)))
    held = np.empty(2, object)
    held[:] = [one, np.zeros(3)]
    kinds: list[Any] = [
        one, [one], {"observations": np.zeros((3, 2)), "actions": one}, held,
        [{"observations": np.zeros((3, 2)), "actions": np.zeros(3), "infos": {"x": one}}],
    ]  # fmt: skip
    return pickle.dumps(kinds[rng.integers(len(kinds))], int(rng.integers(0, 6)))


def _greedy(rng: Rng) -> bytes:
    """A pickle that claims, nests or repeats more than a process should take."""
    number = int(rng.choice([10**6, 10**9, 2**31 - 1]))
    doubled = b"(lp0\n" + b"".join(b"(g%dg%dlp%d\n" % (i, i, i + 1) for i in range(60)) + b"."
    kinds = [
        b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".",
        b"\x80\x04" + b"N" + b"\x85" * 100_000 + b".",
        b"\x80\x04N" + b"r" + struct.pack("<I", number) + b".",
        b"\x80\x04\x8e" + struct.pack("<Q", number * 1000) + b"x.",
        b"\x80\x04\x8b" + struct.pack("<i", number) + b"\xff.",
        b"cnumpy\nzeros\n(I%d\ntR." % number,
        b"cbuiltins\nbytearray\n(I%d\ntR." % number,
        b"cbuiltins\nrange\n(I%d\ntR." % number,
        b"I" + b"9" * 100_000 + b"\n.",
        doubled,
    ]
    return kinds[rng.integers(len(kinds))]


def trap(path: Path, rng: Rng) -> None:
    """A pickle in the place of the file."""
    path.write_bytes(_trapped(path.parent, rng) if rng.random() < 0.6 else _greedy(rng))


def trap_behind(path: Path, rng: Rng) -> None:
    """A pickle whose last value is a trap: what stood there before is thrown away."""
    content = path.read_bytes()
    path.write_bytes(content[:-1] + b"0" + _trapped(path.parent, rng))


# --- Zip archives: NumPy's and torch's ----------------------------------------------------------------------------


def _members(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def _zip(path: Path, members: dict[str, bytes], rng: Rng) -> None:
    methods = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2]
    method = int(rng.choice(methods, p=[0.5, 0.4, 0.05, 0.05]))
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def _npy(shape: tuple[int, ...] | str, dtype: str, content: bytes, order: str = "False") -> bytes:
    header = f"{{'descr': {dtype!r}, 'fortran_order': {order}, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header) + 1) + header + b"\n" + content


def member(path: Path, rng: Rng) -> None:
    """Something else in the place of one member."""
    members = _members(path)
    name = str(rng.choice(sorted(members)))
    old = members[name]
    rows = int(rng.choice([10**12, 10**9, 10**7, 3]))
    kinds = [
        _npy((2,), "|O", _trapped(path.parent, rng)),
        _npy((2,), "|O", _greedy(rng)),
        _npy((rows, 4), "<f4", old),
        _npy((rows, 0), "<f4", b""),
        _npy((rows,), "<f4", bytes(10**6), "True"),
        _npy("(" * 5000, "<f4", b""),
        _npy((-3, 2), "<f8", old),
        _npy((3,), "<M8[s]", bytes(24)),
        _npy((1, 1), "<f4", bytes(10**7)),
        _trapped(path.parent, rng), _greedy(rng), b"", old[: len(old) // 2], old + old,
    ]  # fmt: skip
    members[name] = kinds[rng.integers(len(kinds))]
    _zip(path, members, rng)


def rename_member(path: Path, rng: Rng) -> None:
    """A name that is missing, doubled, or leads out of a folder."""
    members = _members(path)
    name = str(rng.choice(sorted(members)))
    others = ["x.npy", "../trapped", "/tmp/trapped", "obs.npy", "actions.npy", "archive/data.pkl", "rews.npy"]
    members[str(rng.choice(others))] = members.pop(name)
    _zip(path, members, rng)


def zip_bomb(path: Path, rng: Rng) -> None:
    """A member of many zeros."""
    members = _members(path)
    rows = int(rng.choice([10**4, 10**5, 10**6, 10**7], p=[0.4, 0.3, 0.25, 0.05]))
    members[str(rng.choice(sorted(members)))] = _npy((rows, 4), "<f8", bytes(rows * 32))
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def npy_of_objects(path: Path, rng: Rng) -> None:
    """A `.npy` of objects, of which one is a trap."""
    out = io.BytesIO(_npy(str(rng.choice(["()", "(2,)"])), "|O", _trapped(path.parent, rng)))
    path.write_bytes(out.getvalue())


# --- Text ---------------------------------------------------------------------------------------------------------


def token(path: Path, rng: Rng) -> None:
    """Another value in the place of one in a text file."""
    words = path.read_text(errors="replace").split(",")
    values = [
        "1e999", "nan", "-1e308", "9" * 400, "", "null", "true", "[" * 2000, "{", '"', "x" * 10000, "0x10", "1_000", "\n",
        "\0", "1;2", '{"a": 1}', "\ufeff", "１", "1e-400", "[[1, 2], [3]]",
    ]  # fmt: skip
    words[rng.integers(len(words))] = values[rng.integers(len(values))]
    path.write_text(",".join(words), errors="replace")


def lines(path: Path, rng: Rng) -> None:
    """Lines that are left out, doubled, or very many."""
    held = path.read_text(errors="replace").splitlines()
    at = int(rng.integers(max(1, len(held))))
    ways_ = [
        held[:at] + held[at + 1 :],
        held + held,
        held[: at + 1] * int(rng.choice([2, 1000])),
        held[::-1],
        ["", *held],
    ]
    text = "\n".join(ways_[rng.integers(len(ways_))])
    path.write_text(text[: 1 << 20], errors="replace")


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
        with np.errstate(over="ignore", invalid="ignore"):
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


_BYTES: list[Way] = [truncate, flip, flip_head, splice, large_numbers, trap]
_HDF5: list[Way] = [
    *map(
        _with_one, [_retype, _reshape, _rename, _link, _external_storage, _virtual, _claim, _bomb, _absurd, _attribute]
    )
]
_ZIP: list[Way] = [member, member, member, rename_member, zip_bomb]


def ways(path: Path) -> tuple[list[Way], list[Way]]:
    """(those that keep what kind of file it is, those that need not)."""
    start = path.read_bytes()[:512]
    if h5py.is_hdf5(path):
        return _HDF5, _BYTES
    if zipfile.is_zipfile(path):
        return _ZIP, [*_BYTES, npy_of_objects]
    if start.startswith(b"\x93NUMPY"):
        return [npy_of_objects], _BYTES
    if b"\0" not in start and start[:1] not in (b"\x80", b"(", b"]", b"}"):
        return [token, lines], _BYTES
    return [trap_behind, flip], _BYTES
