"""The machine that a pickle is a program for, without the part that imports and calls.

What a pickle names becomes a `Kind`, and what it makes of one a `Record`, which keeps what it is given; a table of makers
says what is made of arrays and containers. All that is more than its bytes in the file is paid for from a budget before
it is made. So time and memory are bounded by the size of the file and the budget, whatever a pickle claims.
"""

from __future__ import annotations

import codecs
import struct
from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any

_CONTAINER, _MEMO, _RECORD = 64, 48, 256  # bytes that they take
_LARGEST_INTEGER = 256  # bytes
_LARGEST_KEY = 1 << 60  # whole numbers below have hashes of their own


class Kind:
    """A class or a function, by its name with its module."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name


class Record:
    """In place of an object: what the pickle gives it."""

    __slots__ = ("arguments", "entries", "items", "name", "state")

    def __init__(self, name: str = "", arguments: tuple[Any, ...] = ()) -> None:
        self.name, self.arguments = name, arguments  # of its class or of the function that made it
        self.state: Any = None
        self.items: list[Any] = []  # of a list-like object
        self.entries: dict[Any, Any] = {}  # of a dict-like object


class Placeholder:
    """What is finished by its state, and stands in the memo under `memo` until then."""

    memo: int | None = None

    def finished(self, machine: Machine, state: Any) -> Any:
        """What it becomes."""
        raise NotImplementedError


Maker = Callable[..., Any]  # called with the machine and the arguments
_MARK = object()
_U1, _U2, _U4, _U8, _I4, _FLOAT = map(struct.Struct, ("B", "<H", "<I", "<Q", "<i", ">d"))


class Machine:
    """Runs one pickle after the other from `content`. Its errors are ValueErrors, or whatever damage raises."""

    def __init__(
        self,
        content: bytes,
        most: int,
        makers: Mapping[str, Maker],
        persistent: Callable[[Any], Any] | None = None,
    ) -> None:
        self.content, self.at = content, 0
        self.left = self.most = most
        self.makers, self.persistent = makers, persistent
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.kinds: dict[str, Any] = {}
        self.within = len(content)  # bytes that pickles within this one may have: each is there once

    def pay(self, size: int) -> None:
        """Raise ValueError if there is no room for another `size` bytes."""
        self.left -= size
        if self.left < 0 or size < 0:
            raise ValueError(f"it makes more than {self.most >> 20} MB of its content")

    def load(self) -> Any:
        """What the pickle holds that begins at `at`, which is behind it afterwards."""
        self.stack, self.memo = [], {}
        content, most, operations = self.content, len(self.content), _OPERATIONS
        while self.at < most:
            code = content[self.at]
            self.at += 1
            if code in operations:
                operations[code](self)
            elif code == _STOP:
                return self.stack.pop()
            else:
                raise ValueError(f"an instruction that no data need, {bytes([code])!r}")
        raise ValueError("it ends before its end")

    # --- Bytes of the program -------------------------------------------------------------------------------------

    def take(self, size: int) -> bytes:
        """The next bytes, which must be there."""
        end = self.at + size
        if size < 0 or end > len(self.content):
            raise ValueError("it ends before its end")
        found = self.content[self.at : end]
        self.at = end
        return found

    def number(self, form: struct.Struct) -> Any:
        """The next number. Raises struct.error if the content ends before."""
        found = form.unpack_from(self.content, self.at)[0]
        self.at += form.size
        return found

    def block(self, form: struct.Struct) -> bytes:
        """Bytes whose number stands before them."""
        size = self.number(form)
        self.pay(_CONTAINER + size)
        return self.take(size)

    def line(self) -> bytes:
        end = self.content.find(b"\n", self.at)
        found = self.take(end - self.at)
        self.at += 1
        self.pay(len(found))
        return found

    # --- The stack ------------------------------------------------------------------------------------------------

    def marked(self) -> list[Any]:
        """What stands above the last mark, which goes with it."""
        stack = self.stack
        for place in range(len(stack) - 1, -1, -1):
            if stack[place] is _MARK:
                found = stack[place + 1 :]
                del stack[place:]
                self.pay(8 * len(found))
                return found
        raise ValueError("a mark is missing")

    def remember(self, index: int) -> None:
        """Keep what is on the stack under a number."""
        self.pay(_MEMO)
        value = self.memo[index] = self.stack[-1]
        if isinstance(value, Placeholder):
            value.memo = index

    def named(self, module: str, name: str) -> Any:
        """A maker, or a kind; the same for the same name."""
        whole = f"{module}.{name}"
        if whole not in self.kinds:
            self.pay(4 * _CONTAINER)
            self.kinds[whole] = self.makers.get(whole) or Kind(whole)
        return self.kinds[whole]

    def call(self, function: Any, arguments: Any) -> Any:
        """What a maker makes; else a record."""
        if not isinstance(arguments, tuple):
            raise ValueError(f"arguments of kind {type(arguments).__name__}")
        self.pay(_CONTAINER)
        if isinstance(function, (Kind, Record)):  # a record may stand for a method
            self.pay(_RECORD)
            return Record(function.name, arguments)
        if not callable(function):
            raise ValueError(f"a call of a {type(function).__name__}")
        return function(self, *arguments)

    def append(self, target: Any, items: list[Any]) -> None:
        held = target.items if isinstance(target, Record) else target
        if not isinstance(held, list):
            raise ValueError(f"items of a {type(target).__name__}")
        held += items

    def enter(self, target: Any, pairs: list[Any]) -> None:
        """Set keys, which stand before their values."""
        held = target.entries if isinstance(target, Record) else target
        if not isinstance(held, dict) or len(pairs) % 2:
            raise ValueError(f"entries of a {type(target).__name__}")
        self.pay(_CONTAINER * len(pairs) // 2)
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            held[_key(key)] = value

    def build(self) -> None:
        """Give the object on the stack its state."""
        state, target = self.stack.pop(), self.stack[-1]
        if isinstance(target, Placeholder):
            self.stack[-1] = target.finished(self, state)
            if target.memo is not None:
                self.memo[target.memo] = self.stack[-1]
        elif isinstance(target, Record):
            target.state = state
        elif not isinstance(target, (dict, list)):  # what their subclasses hold beside is not kept
            raise ValueError(f"a state of a {type(target).__name__}")


def _key(key: Any) -> Any:
    """A key of a dict, if it is of a kind whose hash is cheap and that no file can make collide."""
    if isinstance(key, Integral) and abs(int(key)) < _LARGEST_KEY:
        return int(key)
    for part in key if isinstance(key, tuple) and len(key) < 9 else (key,):
        if part is not None and not isinstance(part, (str, bytes, float, Kind, Record)):
            raise ValueError(f"a key of kind {type(part).__name__}, expected texts or whole numbers")
    return key


# --- Operations ---------------------------------------------------------------------------------------------------


def _integer(content: bytes) -> int:
    if len(content) > _LARGEST_INTEGER:
        raise ValueError(f"a whole number of {len(content)} bytes, expected at most {_LARGEST_INTEGER}")
    return int.from_bytes(content, "little", signed=True)


def _decimal(line: bytes) -> Any:
    if line in (b"00", b"01"):
        return line == b"01"
    if len(line) > 2 * _LARGEST_INTEGER:
        raise ValueError(f"a whole number of {len(line)} digits, expected at most {2 * _LARGEST_INTEGER}")
    return int(line.rstrip(b"L"))


def _quoted(line: bytes) -> str:
    if len(line) < 2 or line[:1] not in b"'\"" or line[:1] != line[-1:]:
        raise ValueError("a text without quotes")
    found, _ = codecs.escape_decode(line[1:-1])
    return str(found.decode("latin1"))


def _text(content: bytes) -> str:
    return content.decode("utf-8", "surrogatepass")


def _tuple(machine: Machine, size: int) -> None:
    if size > len(machine.stack):
        raise ValueError("a tuple of more than there is")
    machine.pay(_CONTAINER)
    machine.stack[len(machine.stack) - size :] = [tuple(machine.stack[len(machine.stack) - size :])]


def _fresh(machine: Machine, made: Any) -> None:
    machine.pay(_CONTAINER)
    machine.stack.append(made)


def _dict(machine: Machine) -> None:
    pairs = machine.marked()
    _fresh(machine, {})
    machine.enter(machine.stack[-1], pairs)


def _append_marked(machine: Machine) -> None:
    items = machine.marked()
    machine.append(machine.stack[-1], items)


def _enter_marked(machine: Machine) -> None:
    pairs = machine.marked()
    machine.enter(machine.stack[-1], pairs)


def _append(machine: Machine) -> None:
    item = machine.stack.pop()
    machine.append(machine.stack[-1], [item])


def _enter(machine: Machine) -> None:
    value, key = machine.stack.pop(), machine.stack.pop()
    machine.enter(machine.stack[-1], [key, value])


def _reduce(machine: Machine) -> None:
    arguments, function = machine.stack.pop(), machine.stack.pop()
    machine.stack.append(machine.call(function, arguments))


def _new_with_keywords(machine: Machine) -> None:
    machine.stack.pop()  # keyword arguments are not kept
    _reduce(machine)


def _object(machine: Machine) -> None:
    kind, *arguments = machine.marked()
    machine.stack.append(machine.call(kind, tuple(arguments)))


def _instance(machine: Machine) -> None:
    kind = machine.named(_text(machine.line()), _text(machine.line()))
    machine.stack.append(machine.call(kind, tuple(machine.marked())))


def _global(machine: Machine) -> None:
    machine.stack.append(machine.named(_text(machine.line()), _text(machine.line())))


def _global_of_stack(machine: Machine) -> None:
    name, module = machine.stack.pop(), machine.stack.pop()
    if not isinstance(name, str) or not isinstance(module, str):
        raise ValueError("a name that is no text")
    machine.stack.append(machine.named(module, name))


def _outside(machine: Machine, what: Any) -> None:
    if machine.persistent is None:
        raise ValueError("a reference to something outside the pickle")
    machine.stack.append(machine.persistent(what))


def _pop(machine: Machine) -> None:
    machine.stack.pop()


def _protocol(machine: Machine) -> None:
    if machine.number(_U1) > 5:
        raise ValueError("a protocol that is not known")


_STOP = ord(".")
_OPERATIONS: dict[int, Callable[[Machine], None]] = {
    ord(code): operation
    for code, operation in {
        b"\x80": _protocol,
        b"\x95": lambda m: m.take(8) and None,  # a frame, which only says how to buffer
        b"(": lambda m: m.stack.append(_MARK),
        b"0": _pop,
        b"1": lambda m: m.marked() and None,
        b"2": lambda m: m.stack.append(m.stack[-1]),
        b"N": lambda m: m.stack.append(None),
        b"\x88": lambda m: m.stack.append(True),
        b"\x89": lambda m: m.stack.append(False),
        b"I": lambda m: m.stack.append(_decimal(m.line())),
        b"L": lambda m: m.stack.append(_decimal(m.line())),
        b"J": lambda m: m.stack.append(m.number(_I4)),
        b"K": lambda m: m.stack.append(m.number(_U1)),
        b"M": lambda m: m.stack.append(m.number(_U2)),
        b"\x8a": lambda m: m.stack.append(_integer(m.block(_U1))),
        b"\x8b": lambda m: m.stack.append(_integer(m.block(_I4))),
        b"F": lambda m: m.stack.append(float(m.line())),
        b"G": lambda m: m.stack.append(m.number(_FLOAT)),
        b"S": lambda m: m.stack.append(_quoted(m.line())),
        b"T": lambda m: m.stack.append(m.block(_I4).decode("latin1")),
        b"U": lambda m: m.stack.append(m.block(_U1).decode("latin1")),
        b"V": lambda m: m.stack.append(str(m.line(), "raw-unicode-escape")),
        b"X": lambda m: m.stack.append(_text(m.block(_U4))),
        b"\x8c": lambda m: m.stack.append(_text(m.block(_U1))),
        b"\x8d": lambda m: m.stack.append(_text(m.block(_U8))),
        b"B": lambda m: m.stack.append(m.block(_U4)),
        b"C": lambda m: m.stack.append(m.block(_U1)),
        b"\x8e": lambda m: m.stack.append(m.block(_U8)),
        b"\x96": lambda m: m.stack.append(m.block(_U8)),  # a bytearray
        b"]": lambda m: _fresh(m, []),
        b"}": lambda m: _fresh(m, {}),
        b"\x8f": lambda m: _fresh(m, []),  # a set: its items need no hash
        b")": lambda m: m.stack.append(()),
        b"l": lambda m: m.stack.append(m.marked()),
        b"t": lambda m: m.stack.append(tuple(m.marked())),
        b"\x91": lambda m: m.stack.append(m.marked()),  # a frozenset
        b"\x85": lambda m: _tuple(m, 1),
        b"\x86": lambda m: _tuple(m, 2),
        b"\x87": lambda m: _tuple(m, 3),
        b"d": _dict,
        b"a": _append,
        b"e": _append_marked,
        b"\x90": _append_marked,  # items of a set
        b"s": _enter,
        b"u": _enter_marked,
        b"p": lambda m: m.remember(_decimal(m.line())),
        b"q": lambda m: m.remember(m.number(_U1)),
        b"r": lambda m: m.remember(m.number(_U4)),
        b"\x94": lambda m: m.remember(len(m.memo)),
        b"g": lambda m: m.stack.append(m.memo[_decimal(m.line())]),
        b"h": lambda m: m.stack.append(m.memo[m.number(_U1)]),
        b"j": lambda m: m.stack.append(m.memo[m.number(_U4)]),
        b"c": _global,
        b"\x93": _global_of_stack,
        b"i": _instance,
        b"o": _object,
        b"R": _reduce,
        b"\x81": _reduce,
        b"\x92": _new_with_keywords,
        b"b": Machine.build,
        b"P": lambda m: _outside(m, _text(m.line())),
        b"Q": lambda m: _outside(m, m.stack.pop()),
    }.items()
}
