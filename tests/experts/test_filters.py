"""Files compressed by what this machine lacks: the filter is named, and found in hdf5plugin if that is there."""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest

from trpo_gail.errors import UserError
from trpo_gail.experts.files import hdf5
from trpo_gail.experts.load import load, read

ZSTANDARD, PRIVATE = 32015, 260  # numbers of filters: registered, and one for experiments


def compress(path: Path, name: str, number: int) -> None:
    """Say of a dataset that a filter made its bytes. They are as they were: our own filter below leaves them so."""
    with h5py.File(path, "a") as file:
        values = file[name][()]
        del file[name]
        properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        properties.set_chunk(values.shape)
        properties.set_filter(number, h5py.h5z.FLAG_OPTIONAL)  # to be made without it; what is written says it was used
        kind = h5py.h5t.py_create(values.dtype)
        made = h5py.h5d.create(file.id, name.encode(), kind, h5py.h5s.create_simple(values.shape), properties)
        made.write_direct_chunk((0,) * values.ndim, values.tobytes(), 0)


@pytest.fixture
def no_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "hdf5plugin", None)
    if h5py.h5z.filter_avail(ZSTANDARD):
        pytest.skip("this HDF5 has Zstandard")


@pytest.mark.parametrize(
    ("number", "says"),
    [
        (ZSTANDARD, r"the HDF5 filter Zstandard \(32015\), which is not installed; pip install hdf5plugin"),
        (32001, r"the HDF5 filter Blosc \(32001\), which is not installed; pip install hdf5plugin"),
        (305, r"the HDF5 filter LZO \(305\), which is not installed; write the file anew, with gzip"),
        (PRIVATE, r"the HDF5 filter unknown \(260\), which is not installed; write the file anew"),
    ],
)
def test_a_missing_filter_is_named(native: Path, no_plugin: None, number: int, says: str) -> None:
    compress(native, "actions", number)
    for use in (load, read):
        with pytest.raises(UserError, match=rf"demos\.h5: dataset 'actions' is compressed by {says}") as caught:
            use(native)
        assert "damaged" not in str(caught.value)


def test_what_is_damaged_is_not_called_a_filters_fault(damaged: Path, no_plugin: None) -> None:
    with pytest.raises(UserError, match=r"demos\.h5: damaged or truncated HDF5"):
        load(damaged)


# --- A plugin ------------------------------------------------------------------------------------------------------

_Call = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.c_uint, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p
)


class _Filter(ctypes.Structure):
    """HDF5's H5Z_class2_t."""

    _fields_ = (
        ("version", ctypes.c_int),
        ("number", ctypes.c_int),
        ("encodes", ctypes.c_uint),
        ("decodes", ctypes.c_uint),
        ("name", ctypes.c_char_p),
        ("can_apply", ctypes.c_void_p),
        ("set_local", ctypes.c_void_p),
        ("call", _Call),
    )


@_Call
def _leave(flags: int, count: int, values: int, size: int, buffer_size: int, buffer: int) -> int:
    return size


LEAVING = _Filter(1, PRIVATE, 1, 1, b"leaving", None, None, _leave)


def test_a_plugin_that_is_installed_is_used(native: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package that registers its filters when it is imported, as hdf5plugin does."""
    expected = load(native).observations
    compress(native, "observations", PRIVATE)
    folder = tmp_path / "packages"
    folder.mkdir()
    (folder / "hdf5plugin.py").write_text(
        "import h5py, hdf5plugin_address as at\nh5py.h5z.register_filter(at.address)\n"
    )
    (folder / "hdf5plugin_address.py").write_text(f"address = {ctypes.addressof(LEAVING)}\n")
    monkeypatch.syspath_prepend(str(folder))
    for name in ("hdf5plugin", "hdf5plugin_address"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    assert not h5py.h5z.filter_avail(PRIVATE)
    try:
        np.testing.assert_array_equal(load(native).observations, expected)
        assert h5py.h5z.filter_avail(PRIVATE)
        with hdf5.reading(native) as file:
            assert hdf5.array(file, native, "observations", "f", "", (2,)).shape == expected.shape
    finally:
        h5py.h5z.unregister_filter(PRIVATE)
        for name in ("hdf5plugin", "hdf5plugin_address"):
            sys.modules.pop(name, None)
