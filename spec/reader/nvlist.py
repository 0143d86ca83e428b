"""Packed nvlists, §1.3: the decoder, and typed access to the pairs of a list."""
from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, NoReturn

from rules import MAX_DEPTH, MAX_ITEMS, Invalid, show

T_NULL, T_BOOL, T_NUMBER, T_STRING, T_NVLIST, T_DESCRIPTOR, T_BINARY = range(1, 8)
T_BOOLS, T_NUMBERS, T_STRINGS, T_NVLISTS, T_DESCRIPTORS = range(8, 13)
T_NEXT, T_UP = 254, 255
TYPE_NAMES = {T_NULL: "null", T_BOOL: "bool", T_NUMBER: "number", T_STRING: "string", T_NVLIST: "nvlist",
              T_BINARY: "binary", T_BOOLS: "bool array", T_NUMBERS: "number array",
              T_STRINGS: "string array", T_NVLISTS: "nvlist array"}

NvList = dict[bytes, tuple[int, Any]]


@dataclass
class _Open:
    """A list that is being decoded: its pairs, and where and how it must close."""
    pairs: NvList
    size: int = 0          # nested list: the data size its pair states
    start: int = 0         # nested list: where its header starts
    rest: int = 0          # array element: elements that follow
    array: list[NvList] | None = None


def decode_nvlist(buf: bytes, at: int = 0) -> NvList:
    """§1.3: a packed list, refused unless current libnv would have packed exactly these bytes.

    Without recursion, and nothing is built of pairs and elements beyond those that 1.3.6 allows. `at` is the offset of `buf` in the file, for errors.
    """
    total = len(buf)

    def bad(pos: int, message: str, rule: str = "1.3.1") -> NoReturn:
        raise Invalid("nvlist", rule, at + pos, message)

    def header(pos: int) -> int:
        if total - pos < 19:
            bad(pos, "list header is cut off")
        magic, version, flags, descriptors, size = struct.unpack_from("<BBBQQ", buf, pos)
        if magic != 0x6C:
            bad(pos, "list magic")
        if version != 0:
            bad(pos + 1, "list version is not 0")
        if flags != 0:
            bad(pos + 2, "list flags are not 0", "1.3.2")
        if descriptors != 0:
            bad(pos + 3, "list has descriptors", "1.3.2")
        if size != total - pos - 19:
            bad(pos + 11, "list size is not the bytes left")
        return pos + 19

    left = MAX_ITEMS

    def count(pos: int, items: int) -> None:
        nonlocal left
        left -= items
        if left < 0:
            bad(pos, f"more than {MAX_ITEMS} pairs and elements", "1.3.6")

    pos = header(0)
    root: NvList = {}
    stack = [_Open(root)]
    while pos < total:
        here = stack[-1]
        if total - pos < 19:
            bad(pos, "pair header is cut off")
        kind, name_size, size, items = struct.unpack_from("<BHQQ", buf, pos)
        start, pos = pos, pos + 19
        if not 1 <= name_size <= 2048 or name_size > total - pos:
            bad(start + 1, "name size")
        name = buf[pos:pos + name_size]
        if name.find(b"\0") != name_size - 1:
            bad(pos, "name does not end at its NUL")
        name = name[:-1]
        pos += name_size
        if size > total - pos:
            bad(start + 3, "data size is beyond the list")
        if kind in (T_UP, T_NEXT):
            if name or size or items:
                bad(start, "marker with contents")
            if len(stack) == 1:
                bad(start, "marker without a list to close")
            if (kind == T_NEXT) != (here.array is not None):
                bad(start, "wrong marker")
            stack.pop()
            if here.array is None:
                if here.size != start - here.start:
                    bad(here.start, "data size of a nested list is not its length")
            elif here.rest:
                pos = header(pos)
                here.array.append({})
                stack.append(_Open(here.array[-1], rest=here.rest - 1, array=here.array))
            continue
        count(start, 1 + (items if kind in (T_STRINGS, T_NVLISTS) else 0))
        if name in here.pairs:
            bad(start, f"name {show(name)} occurs twice", "1.3.3")
        if kind < T_BOOLS and items:
            bad(start + 11, "item count of a pair that is no array")
        if kind in (T_BOOLS, T_NUMBERS, T_STRINGS, T_NVLISTS) and not items:
            bad(start + 11, "empty array")
        data = buf[pos:pos + size]
        value: Any = None
        if kind == T_NULL:
            if size:
                bad(start + 3, "null with data")
        elif kind == T_BOOL:
            if data not in (b"\0", b"\1"):
                bad(start, "bool is not one byte 0 or 1")
            value = data == b"\1"
        elif kind == T_NUMBER:
            if size != 8:
                bad(start + 3, "number is not 8 bytes")
            value = struct.unpack("<Q", data)[0]
        elif kind == T_STRING:
            if not size or data.find(b"\0") != size - 1:
                bad(start, "string does not end at its NUL")
            value = data[:-1]
        elif kind == T_BINARY:
            if not size:
                bad(start + 3, "empty binary")
            value = data
        elif kind == T_BOOLS:
            if size != items:
                bad(start + 3, "size of an array")
            if data.translate(None, b"\0\1"):
                bad(pos, "bool is not 0 or 1")
            value = [b == 1 for b in data]
        elif kind == T_NUMBERS:
            if size != items * 8:
                bad(start + 3, "size of an array")
            value = list(struct.unpack(f"<{items}Q", data))
        elif kind == T_STRINGS:
            if not size or data[-1] or data.count(b"\0") != items:
                bad(start, "strings do not fill their array")
            value = data[:-1].split(b"\0")
        elif kind in (T_NVLIST, T_NVLISTS):
            if len(stack) >= MAX_DEPTH:
                bad(start, f"lists nested deeper than {MAX_DEPTH}", "1.3.5")
            child: NvList = {}
            if kind == T_NVLIST:
                value = child
                stack.append(_Open(child, size=size, start=pos))
            else:
                if size:
                    bad(start + 3, "data size of a list array is not 0")
                if items > (total - pos) // 39:
                    bad(start + 11, "more elements than bytes")
                value = [child]
                stack.append(_Open(child, rest=items - 1, array=value))
            here.pairs[name] = (kind, value)
            pos = header(pos)
            continue
        else:
            bad(start, f"pair type {kind}")
        here.pairs[name] = (kind, value)
        pos += size
    if len(stack) != 1:
        bad(total, "list is not closed")
    return root


class Pairs:
    """Typed access to the pairs of one list; remembers which were asked for."""

    def __init__(self, pairs: NvList, at: int, rule: str) -> None:
        self.pairs, self.at, self.rule = pairs, at, rule
        self.asked: set[bytes] = set()

    def bad(self, message: str, rule: str | None = None, layer: str = "nvlist") -> NoReturn:
        raise Invalid(layer, rule or self.rule, self.at, message)

    def get(self, name: str, kind: int, rule: str | None = None, must: bool = True) -> Any:
        key = name.encode()
        self.asked.add(key)
        if key not in self.pairs:
            if must:
                self.bad(f"pair {name} is missing", rule)
            return None
        have, value = self.pairs[key]
        if have != kind:
            self.bad(f"pair {name} is not a {TYPE_NAMES[kind]}", rule)
        return value

    def number(self, name: str, rule: str | None = None) -> int:
        return int(self.get(name, T_NUMBER, rule))

    def text(self, name: str, rule: str | None = None, must: bool = True) -> Any:
        value = self.get(name, T_STRING, rule, must)
        if value is not None:
            self.utf8(value, name)
        return value

    def utf8(self, value: bytes, name: str) -> None:
        try:
            value.decode()
        except UnicodeDecodeError:
            self.bad(f"{name} is not UTF-8", "1.5")

    def digest(self, name: str, rule: str | None = None, must: bool = True) -> Any:
        value = self.get(name, T_BINARY, rule, must)
        if value is not None and len(value) != 32:
            self.bad(f"{name} is not a digest of 32 bytes", rule)
        return value

    def no_more(self) -> None:
        """§5: a pair that is not listed is refused."""
        for name in self.pairs:
            if name not in self.asked:
                self.bad(f"unknown pair {show(name)}", "5")
