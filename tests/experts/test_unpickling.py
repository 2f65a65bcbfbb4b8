"""The restricted unpickler: data come out as they are, objects as records, and nothing hostile runs, hangs or swells."""

from __future__ import annotations

import collections
import contextlib
import io
import os
import pickle
import struct
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from trpo_gail.errors import UserError
from trpo_gail.experts.files import apart, torch_tensors, unpickling
from trpo_gail.experts.files.unpickling import Record, loads

P = pickle


@dataclass
class Trajectory:
    """In a pickle, an object of a class that is not imported."""

    obs: np.ndarray
    terminal: bool


class Slots:
    """An object whose state is a pair."""

    __slots__ = ("reward",)

    def __init__(self) -> None:
        self.reward = 2.5


class Pair(NamedTuple):
    """A tuple with names."""

    obs: int
    action: int


class Episodes(list[int]):
    """A list of a class of its own."""


# --- What comes out -----------------------------------------------------------------------------------------------

VALUES: dict[str, Any] = {
    "numbers": [0, -1, 255, 256, 70000, -(2**40), 10**30, 2.5, float("inf"), True, False, None],
    "texts": ["", "é\n'", b"", b"\x00\xff", bytearray(b"ab"), "x" * 300, b"y" * 300],
    "containers": {"a": (1, (2, 3, 4, 5), ()), "b": {1: [[]], None: {}}, ("x", "y"): 1},
    "sets": {3},
    "ordered": collections.OrderedDict(a=1, b=[2]),
    "defaults": collections.defaultdict(list, {"a": [1]}),
    "deque": collections.deque([1, 2]),
}


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES)
def test_plain_values_are_themselves(value: Any, protocol: int) -> None:
    found = loads(pickle.dumps(value, protocol), "x")
    assert found == (list(value) if isinstance(value, (set, collections.deque)) else value)


ARRAYS = [
    np.arange(6, dtype=np.float32).reshape(2, 3), np.asfortranarray(np.arange(6).reshape(2, 3)), np.array([1, 2], ">i4"),
    np.array(2.5), np.zeros((0, 3)), np.array([True, False]), np.array(["ab", "c"]), np.array([1 + 2j], np.complex64),
    np.array([1, None, "x"], object), np.array([[1, True], [2.5, "y"]], object), np.arange(12).reshape(3, 4)[:, ::2],
]  # fmt: skip


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("value", ARRAYS, ids=str)
def test_arrays_are_themselves(value: np.ndarray, protocol: int) -> None:
    found = loads(pickle.dumps({"a": value, "again": [value, value]}, protocol), "x")
    for array in (found["a"], *found["again"]):
        assert array.dtype == value.dtype and array.shape == value.shape
        np.testing.assert_array_equal(array, value)


@pytest.mark.parametrize("value", [np.float32(2.5), np.int64(-3), np.bool_(True)])
def test_scalars_of_numpy(value: Any) -> None:
    found = loads(pickle.dumps([value]), "x")[0]
    assert found == value and found.dtype == value.dtype


def test_python_2_wrote_texts() -> None:
    """With NumPy's old names, and the bytes of arrays as texts."""
    bits = b"\x00\x00\x80?\x00\x00\x00@"
    head = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntRp1\n(I1\n(I2\ntcnumpy\ndtype\n"
    dtype = b"(S'f4'\nI0\nI1\ntRp2\n(I3\nS'<'\nNNNI-1\nI-1\nI0\ntbI00\n"
    text = repr(bits)[1:].encode()
    np.testing.assert_array_equal(loads(head + dtype + b"S" + text + b"\ntb.", "x"), [1, 2])


@pytest.mark.parametrize("protocol", range(6))
def test_objects_are_records(protocol: int) -> None:
    found = loads(pickle.dumps([Trajectory(np.arange(3), True)], protocol), "x")[0]
    assert isinstance(found, Record) and found.name.endswith("Trajectory")
    held = unpickling.attributes(found)
    assert held["terminal"] is True and held["obs"].tolist() == [0, 1, 2]


def test_other_objects() -> None:
    slots, pair, episodes = loads(pickle.dumps([Slots(), Pair(1, 2), Episodes([1, 2])]), "x")
    assert unpickling.attributes(slots) == {"reward": 2.5} and unpickling.attributes(3) == {}
    assert pair.arguments == (1, 2) and episodes.items == [1, 2]


def test_dates_are_records() -> None:
    assert isinstance(loads(pickle.dumps(np.array(["2020-01-01"], "M8[D]")), "x"), Record)


# --- Hostile ones -------------------------------------------------------------------------------------------------


class Calls:
    """Pickled as a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> Any:
        return self.call


def program(*parts: bytes) -> bytes:
    return b"\x80\x04" + b"".join(parts) + b"."


@pytest.mark.parametrize("protocol", range(6))
def test_no_function_is_called(tmp_path: Path, protocol: int) -> None:
    target = tmp_path / "trapped"
    traps = [
        Calls(os.mkdir, str(target)),
        Calls(os.system, f"touch {target}"),
        Calls(eval, f"open({str(target)!r}, 'w')"),
        Calls(getattr, os, "mkdir"),
        Calls(np.load, str(target)),
        Calls(np.memmap, str(target), "uint8", "w+", 0, (4,)),
    ]
    for trap in traps:
        with contextlib.suppress(UserError, pickle.PicklingError, TypeError):
            assert isinstance(loads(pickle.dumps(trap, protocol), "x"), Record)
    assert not target.exists()


HOSTILE = {
    "a state for a class": program(b"cos\nsystem\n", b"}\x8c\x09__class__cos\nsystem\nsb"),
    "an extension": program(b"\x82\x01"),
    "a large extension": program(b"\x84\x01\x00\x00\x00"),
    "a reference": program(b"Pthere\n"),
    "a reference on the stack": program(b"K\x01Q"),
    "a buffer": program(b"\x97"),
    "codecs with another codec": program(b"c_codecs\nencode\n", b"X\x02\x00\x00\x00\xc4\x80\x8c\x03zip\x86R"),
    "codecs of no text": program(b"c_codecs\nencode\n", b"K\x01\x85R"),
    "a call of a text": program(b"\x8c\x01a)R"),
    "a call with a list": program(b"cos\nsystem\n]R"),
    "a text of a terabyte": program(b"\x8d" + struct.pack("<Q", 2**40)),
    "bytes of a terabyte": program(b"\x8e" + struct.pack("<Q", 2**40)),
    "more bytes than there can be": program(b"\x8e" + struct.pack("<Q", 2**64 - 1)),
    "a bytearray of a terabyte": program(b"\x96" + struct.pack("<Q", 2**40)),
    "a negative length": program(b"T" + struct.pack("<i", -5)),
    "a number of a gigabyte": program(b"\x8b" + struct.pack("<i", 2**30)),
    "a number of many digits": program(b"I" + b"9" * 10**6 + b"\n"),
    "a long number of many digits": program(b"L" + b"9" * 10**6 + b"L\n"),
    "a key of a list": program(b"}]Ns"),
    "a key of a large number": program(b"}\x8a\x20" + b"\x7f" * 32 + b"Ns"),
    "a key that is an array": program(pickle.dumps(np.zeros(2), 2)[2:-1], b"p1\n0}g1\nNs"),
    "keys without values": program(b"}(K\x01u"),
    "a memo that is empty": program(b"g7\n"),
    "no end": b"\x80\x04]",
    "no beginning": b".",
    "an empty file": b"",
    "no mark": program(b"t"),
    "a protocol to come": b"\x80\x63N.",
    "an array of no bytes": program(pickle.dumps(np.zeros(3), 2)[2:-1].replace(b"K\x03\x85", b"K\xff\x85")),
    "an array of a negative shape": program(
        pickle.dumps(np.zeros(3), 2)[2:-1].replace(b"K\x03\x85", b"J\xfd\xff\xff\xff\x85")
    ),
    "a set of a number": program(b"cbuiltins\nset\nK\x05\x85R"),
}  # fmt: skip


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_it_is_refused_at_once(content: bytes) -> None:
    began = time.process_time()
    tracemalloc.start()
    try:
        with pytest.raises(UserError, match=r"^x: a damaged pickle: ") as caught:
            loads(content, "x")
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 240
    assert time.process_time() - began < 2


def repeated(start: bytes, step: bytes, times: int, end: bytes = b"") -> bytes:
    return program(start, step * times, end)


# Programs that would make far more of themselves than there is; each takes its share, and no more.
SWELLING = {
    "lists": lambda: repeated(b"", b"]", 10**7),
    "dicts": lambda: repeated(b"", b"}", 10**7),
    "records": lambda: repeated(b"cos\nsystem\nq\x00", b"h\x00)R", 10**7),
    "the memo": lambda: repeated(b"N", b"\x94", 10**7),
    "a distant memo": lambda: program(
        b"N", b"".join(b"r" + struct.pack("<I", 2**32 - 1 - i) for i in range(2 * 10**6))
    ),
    "copies of a text": lambda: repeated(
        b"X\x00\x00\x10\x00" + b"a" * 2**20 + b"q\x00c_codecs\nencode\nq\x01", b"h\x01h\x00\x85R", 10**5
    ),
    "copies of a list": lambda: repeated(
        b"](" + b"N" * 10**5 + b"eq\x00cbuiltins\nset\nq\x01", b"h\x01h\x00\x85R", 10**5
    ),
    "names": lambda: program(b"".join(b"cos\n%x\n" % i for i in range(10**6))),
    "scalars": lambda: repeated(b"cnumpy\ndtype\nq\x00\x8c\x02f4q\x01", b"h\x00h\x01\x85R", 10**6),
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("made", SWELLING.values(), ids=SWELLING)
def test_a_budget_bounds_time_and_memory(made: Callable[[], bytes]) -> None:
    content = made()
    began = time.process_time()
    with pytest.raises(UserError, match="it makes more than 16 MB of its content"):
        loads(content, "x", 16 << 20)
    assert time.process_time() - began < 5


def test_time_is_that_of_the_bytes() -> None:
    began = time.process_time()
    assert loads(repeated(b"K\x01", b"N0", 10**6), "x") == 1
    assert time.process_time() - began < 5


def test_what_holds_itself_twice_again_and_again_is_no_data() -> None:
    lists: list[Any] = [1.0]
    for _ in range(60):
        lists = [lists, lists]
    doubled = loads(pickle.dumps(lists), "x")
    with pytest.raises(UserError, match="x: an absurd number of bytes unpacked, expected at most 256 MB"):
        unpickling.check_size(doubled, 256 << 20, "x")
    itself: list[Any] = []
    itself.append({"a": (itself,)})
    with pytest.raises(UserError, match="x: a container that holds itself"):
        unpickling.check_size(loads(pickle.dumps(itself), "x"), 256 << 20, "x")
    with pytest.raises(UserError, match="x: more than 100 containers within containers"):
        unpickling.check_size(loads(b"]" * 200 + b"a" * 199 + b".", "x"), 256 << 20, "x")
    unpickling.check_size({"a": [np.zeros(9), "text", (1, 2)], "b": np.array([None, [1]], object)}, 1 << 20, "x")


def test_what_holds_itself_twice_is_no_name() -> None:
    """Its text would be endless."""
    doubled = b"]K\x01aq\x000" + b"]h\x00ah\x00aq\x000" * 80
    uses = {
        "a dtype": b"cnumpy\ndtype\nh\x00\x85R",
        "a name": b"\x8c\x01ah\x00\x93",
        "a shape": b"cnumpy.core.multiarray\n_reconstruct\n)Rh\x00b",
        "bytes": b"c_codecs\nencode\nh\x00\x85R",
    }
    for use in uses.values():
        began = time.process_time()
        with contextlib.suppress(UserError):
            loads(program(doubled, use), "x")
        assert time.process_time() - began < 2


def test_tuples_that_hold_themselves_twice_are_no_keys() -> None:
    """Their hashes would take for ever."""
    with pytest.raises(UserError, match="a key of kind tuple"):
        loads(program(b"}N", b"2\x86q\x00" * 80, b"Ns"), "x")


def test_any_change_of_bytes_is_an_error_or_data() -> None:
    rng = np.random.default_rng(0)
    whole = pickle.dumps([{"observation": np.zeros((3, 2)), "action": [1, 2, 3], "t": Trajectory(np.zeros(2), True)}])
    for _ in range(3000):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), 3):
            content[at] = rng.integers(256)
        with contextlib.suppress(UserError):
            unpickling.check_size(loads(bytes(content), "x"), 1 << 26, "x")


# --- Tensors ------------------------------------------------------------------------------------------------------

TENSORS = [
    torch.arange(6.0).reshape(2, 3), torch.arange(6).reshape(2, 3).T, torch.zeros(3, 0), torch.tensor(2.5),
    torch.tensor([True, False]), torch.arange(4, dtype=torch.uint8)[1:3], torch.ones(2, dtype=torch.float16),
    torch.nn.Parameter(torch.ones(2)),
]  # fmt: skip


def saved(value: Any, legacy: bool) -> bytes:
    torch.save(value, out := io.BytesIO(), _use_new_zipfile_serialization=not legacy)
    return out.getvalue()


@pytest.mark.parametrize("legacy", [False, True])
def test_files_of_torch(tmp_path: Path, legacy: bool) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(saved({"tensors": TENSORS, "array": np.arange(3), "again": TENSORS[0]}, legacy))
    assert torch_tensors.is_legacy(path) == legacy and torch_tensors.is_archive(path) != legacy
    found = torch_tensors.load(path)
    for tensor, array in zip(TENSORS, found["tensors"], strict=True):
        assert array.shape == tensor.shape and array.dtype == tensor.detach().numpy().dtype
        np.testing.assert_array_equal(array, tensor.detach().numpy())
    assert found["array"].tolist() == [0, 1, 2] and found["again"].tolist() == TENSORS[0].tolist()


def test_bfloat16(tmp_path: Path) -> None:
    (tmp_path / "a.pt").write_bytes(saved(torch.tensor([1.5, -2.0], dtype=torch.bfloat16), False))
    assert torch_tensors.load(tmp_path / "a.pt").tolist() == [1.5, -2.0]


def test_tensors_in_a_plain_pickle() -> None:
    found = loads(pickle.dumps(TENSORS), "x")
    for tensor, array in zip(TENSORS, found, strict=True):
        np.testing.assert_array_equal(array, tensor.detach().numpy())


def test_a_file_of_torch_in_a_pickle_again_and_again() -> None:
    inner = saved(torch.zeros(2), True).replace(b"M\xe9\x03.", b"M\xe9\x03" + b"0N" * 10**5 + b".", 1)
    call = b"X\x01\x00\x00\x00aq\x00ctorch.storage\n_load_from_bytes\nq\x01B" + struct.pack("<I", len(inner)) + inner
    began = time.process_time()
    with pytest.raises(UserError, match="a pickle within it again and again"):
        loads(repeated(call + b"q\x02", b"h\x01h\x02\x85R", 10**5), "x")
    assert time.process_time() - began < 5


def test_a_view_of_what_is_not_there(tmp_path: Path) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(saved(torch.zeros(3), True).replace(b"K\x03\x85", b"K\xff\x85"))
    with pytest.raises(UserError, match=r"a\.pt: a damaged file of PyTorch: a tensor of more numbers than there are"):
        torch_tensors.load(path)
    path.write_bytes(saved(torch.zeros(1).expand(10**9, 10**3), True))
    with pytest.raises(UserError, match=r"it makes more than 256 MB"):
        torch_tensors.load(path)


def test_a_zip_file_that_claims_more_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.pt"
    path.write_bytes(saved(torch.zeros(10**5), False))
    monkeypatch.setattr(apart, "_TIMES", 0)
    monkeypatch.setenv("TRPO_GAIL_EXPANSION_MB", "1")
    assert torch_tensors.load(path).shape == (10**5,)
    path.write_bytes(saved(torch.zeros(10**6), False))
    with pytest.raises(UserError, match=r"3 MB unpacked, expected at most 1 MB"):
        torch_tensors.load(path)


@pytest.mark.parametrize("legacy", [False, True])
def test_any_change_of_bytes_of_torch(tmp_path: Path, legacy: bool) -> None:
    rng = np.random.default_rng(0)
    whole = saved({"a": torch.zeros(4, 2), "b": [torch.ones(2)]}, legacy)
    path = tmp_path / "a.pt"
    for _ in range(500):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), 3):
            content[at] = rng.integers(256)
        path.write_bytes(content)
        with contextlib.suppress(UserError):
            torch_tensors.load(path)
