"""Numbers as HDF5 may store them: other byte orders, widths and kinds, by hand; all that can be wrong with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import torch

from trpo_gail.errors import MOST, UserError
from trpo_gail.experts import describe, numbers
from trpo_gail.experts.checks import fit
from trpo_gail.experts.files import hdf5
from trpo_gail.experts.load import load

VALUES = [1.0, -2.0, 0.5]
FLOATS = {">f2": "f2", "<f2": "f2", ">f4": "f4", "<f4": "f4", ">f8": "f8", "<f8": "f8", "longdouble": "f8"}
INTEGERS = {
    "i1": "i1", ">i2": "i2", ">i4": "i4", ">i8": "i8", "<i8": "i8", "u1": "u1", ">u2": "i4", "<u2": "i4", ">u4": "i8",
    ">u8": "i8",
}  # fmt: skip


def read(path: Path, kinds: str = "fiu") -> np.ndarray:
    with hdf5.reading(path) as file:
        return hdf5.array(file, path, "x", kinds, "[rows]", (1,))


def write(folder: Path, values: Any) -> Path:
    with h5py.File(folder / "x.h5", "w") as file:
        file["x"] = values
    return folder / "x.h5"


def computed(values: np.ndarray) -> torch.Tensor:
    """What networks and their statistics do with the numbers of a file."""
    assert values.dtype.isnative
    return torch.cat([torch.as_tensor(values).double(), torch.as_tensor(values).to(torch.float32).double()])


@pytest.mark.parametrize(("stored", "expected"), FLOATS.items())
def test_floats_of_any_width_and_order(tmp_path: Path, stored: str, expected: str) -> None:
    values = read(write(tmp_path, np.array(VALUES, stored)))
    assert values.dtype == np.dtype(expected) and values.tolist() == VALUES
    assert computed(values).tolist() == VALUES * 2


@pytest.mark.parametrize(("stored", "expected"), INTEGERS.items())
def test_integers_of_any_width_and_order(tmp_path: Path, stored: str, expected: str) -> None:
    stored_numbers = [1, 0, min(int(np.iinfo(stored).max), 2**15)]
    values = read(write(tmp_path, np.array(stored_numbers, stored)))
    assert values.dtype == np.dtype(expected) and values.tolist() == stored_numbers
    assert computed(values).tolist() == [float(n) for n in stored_numbers] * 2


def test_a_width_that_numpy_lacks(tmp_path: Path) -> None:
    kind = h5py.h5t.STD_I32BE.copy()
    kind.set_size(3)
    kind.set_precision(24)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((3,)))
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array([-(2**23), 2**23 - 1, 5]))
    assert read(tmp_path / "x.h5").tolist() == [-(2**23), 2**23 - 1, 5]


def test_enumerations_and_booleans(tmp_path: Path) -> None:
    colours = np.array([0, 2, 1], h5py.enum_dtype({"red": 0, "green": 1, "blue": 2}, "u1"))
    values = read(write(tmp_path, colours))
    assert values.tolist() == [0, 2, 1] and values.dtype == np.uint8
    flags = read(write(tmp_path, np.array([True, False])), numbers.FLAGS)
    assert flags.dtype == bool and flags.tolist() == [True, False]


def test_bfloat16(tmp_path: Path) -> None:
    kind = h5py.h5t.IEEE_F32LE.copy()
    kind.set_fields(15, 7, 8, 0, 7)
    kind.set_size(2)
    kind.set_ebias(127)
    with h5py.File(tmp_path / "x.h5", "w") as file:
        made = h5py.h5d.create(file.id, b"x", kind, h5py.h5s.create_simple((3,)))
        made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.array(VALUES, np.float32))
    assert read(tmp_path / "x.h5").tolist() == VALUES


NEITHER = {
    "complex": (np.array([1j]), "expected numbers [rows], found dtype complex128"),
    "text": (np.array(["a", "b"], h5py.string_dtype()), "expected numbers [rows], found dtype object"),
    "bytes": (np.array([b"abc"]), "expected numbers [rows], found dtype |S3"),
    "rows of many lengths": (np.array([b"ab"], "V2"), "expected numbers [rows], found dtype |V2"),
    "records": (np.zeros(2, [(f"column_{i}", "f4") for i in range(99)]), "expected numbers [rows], found dtype [("),
    "booleans": (np.array([True]), "expected numbers [rows], found dtype bool"),
    "nothing": (h5py.Empty("f4"), "expected numbers [rows], found no values"),
    "one number": (3.0, "expected numbers [rows], found shape []"),
    "NaN": (np.array([0, np.nan], ">f4"), "expected finite values, found nan at [1]"),
    "infinity": (np.array([0, -np.inf], "f2"), "expected finite values, found -inf at [1]"),
    "beyond float64": (np.array([np.longdouble("1e4000")]), "expected values of at most 1e+140, found 1e+4000 at [0]"),
    "beyond a square": (np.array([0, -1e300]), "expected values of at most 1e+140, found -1e+300 at [1]"),
    "beyond int64": (np.array([2**63], "u8"), "expected values of at most 9.22337e+18, found 9223372036854775808 at"),
}


@pytest.mark.parametrize(("values", "says"), NEITHER.values(), ids=NEITHER)
def test_what_is_no_number_is_refused_in_a_line(tmp_path: Path, values: Any, says: str) -> None:
    path = write(tmp_path, values)
    with pytest.raises(UserError) as caught:
        read(path)
    told = str(caught.value)
    assert told.startswith(f"{path}: dataset 'x': ") and says in told
    assert "\n" not in told and len(told) - len(str(path)) < MOST


def test_a_type_that_numpy_has_no_name_for(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        h5py.h5d.create(file.id, b"x", h5py.h5t.UNIX_D32LE, h5py.h5s.create_simple((3,)))
    with pytest.raises(UserError, match=r"'x': expected numbers \[rows\], found dtype of no numbers"):
        read(tmp_path / "x.h5")


def test_more_than_memory_holds(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file.create_dataset("x", (10**14,), "f8", chunks=(1000,))
    with pytest.raises(UserError, match=r"'x': \[100000000000000\] makes it .* MB in memory, of a file of"):
        read(tmp_path / "x.h5")


def test_links_that_lead_nowhere(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["x"] = h5py.SoftLink("/gone")
    with pytest.raises(UserError, match=r"dataset 'x' is a link to /gone, which does not exist"):
        read(tmp_path / "x.h5")
    with h5py.File(tmp_path / "x.h5") as file, pytest.raises(UserError, match="'x' is a link to /gone, which"):
        hdf5.columns(file, tmp_path / "x.h5", "x", "f", "[rows, ...]", (2,))  # of an observation, maybe a group


def test_the_list_of_what_a_file_holds_stays_short(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        for i in range(1000):
            file[f"{i:03d}"] = [1.0]
    with pytest.raises(UserError, match=r"'x' is missing, .*; the file holds 000, 001, 002, 003, 004 and 995 more$"):
        read(tmp_path / "x.h5")


# --- Whole files --------------------------------------------------------------------------------------------------

TYPES = {"observations": ">f4", "actions": ">f8", "rewards": ">f4", "terminals": "u1", "timeouts": ">i4"}
TYPES |= {"steps": ">i2", "episode_lengths": ">u4", "episode_returns": "longdouble", "next_observations": ">f2"}


def edited(path: Path, change: Callable[[h5py.File], None]) -> Path:
    with h5py.File(path, "a") as file:
        change(file)
    return path


def test_a_native_file_of_another_byte_order_holds_the_same(native: Path) -> None:
    before = load(native)

    def swap(file: h5py.File) -> None:
        file["next_observations"] = file["observations"][()]
        for name, kind in TYPES.items():
            values = file[name][()].astype(kind)
            del file[name]
            file[name] = values
        file.attrs["seed"] = np.array([3], ">i8")
        file.attrs["format_version"] = np.array(1, ">u2")

    after = load(edited(native, swap))
    for name, values in vars(before).items():
        if isinstance(values, np.ndarray):
            np.testing.assert_array_equal(getattr(after, name), values, err_msg=name)
            assert getattr(after, name).dtype.isnative
    assert (after.return_mean, after.return_std, after.ends) == (before.return_mean, before.return_std, before.ends)
    assert dict(describe.info(load(native)))["seed"] == "3"


def test_a_file_of_the_papers_layout_in_another_byte_order(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["obs_B_T_Do"] = np.arange(6.0).reshape(1, 3, 2).astype(">f4")
        file["a_B_T_Da"] = np.arange(3).reshape(1, 3, 1).astype(">i2")
        file["r_B_T"], file["len_B"] = np.ones((1, 3), "longdouble"), np.array([3], ">i4")
    data = load(tmp_path / "x.h5")
    assert data.observations.dtype == np.float32 and data.observations.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert data.actions.dtype == np.int64 and data.actions.tolist() == [0, 1, 2] and data.return_mean == 3.0


def test_returns_of_float16_are_added_up_without_its_limits(native: Path) -> None:
    """Three returns of 40,000, of which float16 cannot hold two, and one and a half would round."""

    def change(file: h5py.File) -> None:
        del file["episode_returns"]
        file["episode_returns"] = np.array([40000, 40000, 40032], np.float16)

    assert load(edited(native, change)).return_mean == pytest.approx(40000 + 32 / 3)


def test_float16_rounding_is_not_outside_the_bounds() -> None:
    bound = np.array([0.3])  # float16(0.3) is 0.30005
    actions = np.array([[0.3], [-0.3]], np.float16)
    assert (np.abs(actions) > bound + 1e-5).all()
    assert not fit.outside(actions, -bound, bound).any()
    assert fit.outside(np.array([[0.31]], np.float16), -bound, bound).all()


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        ("deterministic", "no", "expected a boolean, found 'no'"),
        ("seed", np.arange(1000), "expected an integer, found array"),
        ("env_id", np.array([1, 2]), "expected text, found ndarray"),
        ("subsample", 2.5, "expected an integer of at least 1, found"),
        ("format_version", "9", "expected 2 or less, found"),
    ],
)
def test_attributes_of_the_wrong_kind(native: Path, name: str, value: Any, says: str) -> None:
    edited(native, lambda file: file.attrs.__setitem__(name, value))
    with pytest.raises(UserError, match=f"attribute '{name}': {says}") as caught:
        load(native)
    assert "\n" not in str(caught.value) and len(str(caught.value)) - len(str(native)) < MOST


def test_absurd_lengths_are_counted_not_made(native: Path) -> None:
    def change(file: h5py.File) -> None:
        file["episode_lengths"][...] = [2**40, 2, 4]

    with pytest.raises(UserError, match=rf"'episode_lengths': expected lengths that make 9 rows .*found {2**40 + 6} "):
        load(edited(native, change))
