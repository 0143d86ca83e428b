#!/usr/bin/env python3
"""A second reader of the snapshot file, written from spec/snapshot.md alone.

It shares no code with the reference reader: where the two disagree, one of them or the
specification is wrong. § cites the specification. Standard library only; for zstd payloads it
needs compression.zstd (Python 3.14), the package zstandard, or the command zstd.

    snapread.py list FILE|-                       one line per part, as each is checked
    snapread.py verify FILE|- [--json]            the full check of §7.4, in one pass
    snapread.py verify --chain BASE D... [--json] the check of a chain, §13.4: the full file, then its deltas
    snapread.py --self-test FOLDER                the nvlist decoder against test vectors

Exit status: 0 yes, 1 no (a file breaks a rule), 2 trouble (usage, input and output, no zstd).
Memory is bounded by the limits of §10, whatever the size of a file. Of a chain the pages of the state
lie in a temporary file, and some 200 bytes are kept for each.
"""
from __future__ import annotations

import hashlib
import json
import re
import shutil
import struct
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterable, Iterator, NoReturn

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PAGE = 4096                                                                       # §1.2
SPACE = 1 << 52

VM, META, DEVICE, EXTENT, MAP, INDEX = 1, 2, 16, 32, 33, 48                       # §5
CONFIG, HOST, OPTIONAL = 0x80000003, 0x80000004, 0x80000000
NAMES = {VM: "VM", META: "META", CONFIG: "CONFIG", HOST: "HOST", DEVICE: "DEVICE",
         EXTENT: "EXTENT", MAP: "MAP", INDEX: "INDEX"}
# §2.2: the order of parts. Optional parts that are not known stand before DEVICE or after memory.
RANK = {VM: 0, META: 1, CONFIG: 2, HOST: 2, DEVICE: 3, EXTENT: 4, MAP: 4, INDEX: 6}
RANK_OPTIONAL, RANK_LATE = 2, 5
# §10: the largest nvlist and the largest payload of each type
LIMITS = {VM: (64 * KIB, 0), META: (64 * KIB, MIB), CONFIG: (64 * KIB, MIB),
          DEVICE: (4 * MIB, 64 * MIB), EXTENT: (64 * KIB, 4 * MIB), MAP: (64 * KIB, 384 * KIB),
          INDEX: (4 * MIB, 8 * MIB)}
LIMITS_OPTIONAL = (MIB, 64 * MIB)
MAX_DEVICES, MAX_OPTIONAL, MAX_RECORDS, MAX_FILE = 1024, 64, GIB, 1 << 56
MAX_RECORD = 64 * MIB                                                             # §10: payload of DEVICE
META_DEPTH, META_VALUES = 8, 32768                                                # §5.2.2, §5.2.6
MAX_CHAIN = 1024                                                                  # §13.6
MAX_DEPTH = 128                                                                   # §1.3.5


class Invalid(Exception):
    """The file breaks a rule. Layers: magic, limit, digest, layout, nvlist, consistency."""

    def __init__(self, layer: str, rule: str, offset: int, message: str) -> None:
        super().__init__(message)
        self.layer, self.rule, self.offset, self.message = layer, rule, offset, message

    def __str__(self) -> str:
        return f"{self.layer}: offset {self.offset:#x}: {self.message} (§{self.rule})"


def sha256(*pieces: bytes | memoryview) -> bytes:
    """§1.4: the one digest, over pieces joined."""
    h = hashlib.sha256()
    for piece in pieces:
        h.update(piece)
    return h.digest()


def show(data: bytes) -> str:
    """§11.6: a string of the file, made safe for a terminal."""
    return ascii(data.decode("utf-8", "backslashreplace"))[1:-1]


# ---- nvlists, §1.3 --------------------------------------------------------------------------

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

    Without recursion. `at` is the offset of `buf` in the file, for errors.
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


# ---- zstd, §6.6 -----------------------------------------------------------------------------

def _pick_zstd() -> Callable[[bytes, int], bytes | None] | None:
    """A function (frame, size) -> at most size + 1 bytes, or None for a frame that is broken."""
    try:
        from compression import zstd  # type: ignore[import-not-found]

        def stdlib(frame: bytes, size: int) -> bytes | None:
            try:
                options = {zstd.DecompressionParameter.window_log_max: 31}
                d = zstd.ZstdDecompressor(options=options)
                out = d.decompress(frame, size + 1)
                return out if d.eof and not d.unused_data else None
            except zstd.ZstdError:
                return None
        return stdlib
    except ImportError:
        pass
    try:
        import zstandard

        def package(frame: bytes, size: int) -> bytes | None:
            try:
                d = zstandard.ZstdDecompressor(max_window_size=1 << 31)
                return d.decompress(frame, max_output_size=size)
            except zstandard.ZstdError:
                return None
        return package
    except ImportError:
        pass
    command = shutil.which("zstd")
    if command is None:
        return None

    def process(frame: bytes, size: int) -> bytes | None:
        with tempfile.TemporaryFile() as f:
            f.write(frame)
            f.seek(0)
            with subprocess.Popen([command, "-dcq", "--no-progress", "--long=31"], stdin=f,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
                assert p.stdout is not None
                out = p.stdout.read(size + 1)
                p.stdout.close()
            return out if p.returncode == 0 else None
    return process


ZSTD = _pick_zstd()


def zstd_decode(frame: bytes, size: int, at: int) -> bytes | None:
    """§6.6: the content of one frame of exactly `size` bytes; None where there is no decoder.

    Frame header and blocks are walked here (RFC 8878, 3.1.1), so that stated size, dictionary and
    end are known before a decoder is trusted with them.
    """
    def bad(message: str) -> NoReturn:
        raise Invalid("consistency", "6.6", at, message)

    if len(frame) < 6 or frame[:4] != b"\x28\xb5\x2f\xfd":
        bad("not a zstd frame")
    descriptor = frame[4]
    single = descriptor >> 5 & 1
    if descriptor & 8:
        bad("reserved bit of the zstd frame header")
    width = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    if not width:
        bad("zstd frame does not state its content size")
    if not single and len(frame) > 5 and frame[5] >> 3 > 21:
        bad("window of the zstd frame is too large")
    pos = 5 + (not single)
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    if len(frame) < pos + dictionary + width:
        bad("zstd frame header is cut off")
    if any(frame[pos:pos + dictionary]):
        bad("zstd frame names a dictionary")
    pos += dictionary
    stated = int.from_bytes(frame[pos:pos + width], "little") + (256 if width == 2 else 0)
    if stated != size:
        bad(f"zstd frame states {stated} bytes, not {size}")
    pos += width
    last = 0
    while not last:
        if len(frame) < pos + 3:
            bad("zstd frame is cut off")
        block = int.from_bytes(frame[pos:pos + 3], "little")
        last, kind, length = block & 1, block >> 1 & 3, block >> 3
        if kind == 3:
            bad("reserved zstd block type")
        pos += 3 + (1 if kind == 1 else length)
    pos += 4 * (descriptor >> 2 & 1)
    if pos != len(frame):
        bad("zstd frame does not end where the payload does")
    if ZSTD is None:
        return None
    out = ZSTD(frame, size)
    if out is None or len(out) != size:
        bad("zstd frame does not decode")
    return out


# ---- memory tree, §6.4 ----------------------------------------------------------------------

def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _uniform(leaf: bytes) -> list[bytes]:
    levels = [leaf]
    for _ in range(40):
        levels.append(node(levels[-1], levels[-1]))
    return levels


ZERO = _uniform(sha256(b"\0", bytes(PAGE)))
ABSENT = _uniform(sha256(b"\2"))
INHERITED = _uniform(sha256(b"\3"))                                                # §13.3


class Tree:
    """The tree over all pages, built from aligned subtrees that come in ascending order.

    `rest` is what pages of RAM are that do not come: zero, or, in the tree of a delta, inherited.
    """

    def __init__(self, segments: list[tuple[int, int]], rest: list[bytes] = ZERO) -> None:
        self.regions: list[tuple[int, list[bytes]]] = []      # (end page, digests per level)
        for gpa, length in segments:
            self.regions.append((gpa // PAGE, ABSENT))
            self.regions.append(((gpa + length) // PAGE, rest))
        self.regions.append((SPACE // PAGE, ABSENT))
        self.region = 0
        self.page = 0
        self.stack: list[bytes] = []

    def _push(self, level: int, digest: bytes) -> None:
        """Appends the subtree of `level` at self.page, which is a multiple of its size."""
        place = self.page >> level
        self.page += 1 << level
        while place & 1:
            digest = node(self.stack.pop(), digest)
            place >>= 1
        self.stack.append(digest)

    def _fill(self, end: int) -> None:
        """Appends uniform subtrees, as large as they go, up to page `end`."""
        while self.page < end:
            while self.regions[self.region][0] <= self.page:
                self.region += 1
            stop, digests = self.regions[self.region]
            stop = min(stop, end)
            level = (stop - self.page).bit_length() - 1
            if self.page:
                level = min(level, (self.page & -self.page).bit_length() - 1)
            self._push(level, digests[level])

    def add(self, gpa: int, size: int, root: bytes) -> None:
        self._fill(gpa // PAGE)
        self._push((size // PAGE).bit_length() - 1, root)

    def root(self) -> bytes:
        self._fill(SPACE // PAGE)
        assert len(self.stack) == 1
        return self.stack[0]


def block_root(leaves: list[bytes]) -> bytes:
    """§6.4.1: the subtree root over 2^k leaves. Uniform pairs are looked up, not hashed."""
    level = 0
    while len(leaves) > 1:
        uniform = {kind[level]: kind[level + 1] for kind in (ZERO, ABSENT, INHERITED)}
        up = []
        for i in range(0, len(leaves), 2):
            left, right = leaves[i], leaves[i + 1]
            up.append(uniform[left] if left == right and left in uniform else node(left, right))
        leaves = up
        level += 1
    return leaves[0]


class Memory:
    """The pages of a chain's newest state (§13): what is not zero, by page number, in a temporary file."""

    def __init__(self) -> None:
        self.f = tempfile.TemporaryFile()
        self.pages: dict[int, tuple[bytes, int]] = {}           # leaf, and place in the temporary file
        self.free: list[int] = []
        self.end = 0

    def get(self, page: int) -> bytes:
        if page not in self.pages:
            return bytes(PAGE)
        self.f.seek(self.pages[page][1])
        return self.f.read(PAGE)

    def put(self, page: int, leaf: bytes, data: bytes | memoryview) -> None:
        self.drop(page)
        if not self.free:
            self.free.append(self.end)
            self.end += PAGE
        at = self.free.pop()
        self.f.seek(at)
        self.f.write(data)
        self.pages[page] = (leaf, at)

    def drop(self, page: int) -> None:
        """The page is zero now."""
        if page in self.pages:
            self.free.append(self.pages.pop(page)[1])

    def root(self, segments: list[tuple[int, int]]) -> bytes:
        """§6.4: the memory root, from all pages."""
        tree = Tree(segments)
        for page in sorted(self.pages):
            tree.add(page * PAGE, PAGE, self.pages[page][0])
        return tree.root()


# ---- .meta, §5.2 ----------------------------------------------------------------------------

def parse_meta(text: bytes, generation: bytes, at: int) -> tuple[dict[str, Any], list[tuple[bytes, bytes, int]]]:
    """§5.2.1: the machine and the records (section, name, size) that a .meta file states."""
    def bad(message: str) -> NoReturn:
        raise Invalid("consistency", "5.2.1", at, ".meta: " + message)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("a key occurs twice")
        return result

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    def whole(digits: str) -> int | None:                               # §5.2.4
        return int(digits) if digits.isdigit() and len(digits) <= 20 and int(digits) < 1 << 64 else None

    def inner(value: Any) -> Iterable[Any]:
        return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()

    def too_deep(value: Any, depth: int) -> bool:
        return depth > META_DEPTH or any(too_deep(v, depth + 1) for v in inner(value))

    def values(value: Any) -> int:
        return 1 + sum(values(v) for v in inner(value))

    try:
        doc = json.loads(text.decode(), object_pairs_hook=unique, parse_constant=constant, parse_int=whole)
        json.dumps(doc, ensure_ascii=False).encode()                    # lone surrogates
    except (ValueError, RecursionError) as e:
        bad(show(str(e).encode("utf-8", "replace")))

    def member(obj: Any, key: str, kind: type) -> Any:
        value = obj.get(key)
        if type(value) is not kind:
            bad(f"{key} is missing or of another type")
        return value

    if type(doc) is not dict:
        bad("not an object")
    if too_deep(doc, 0):
        bad(f"nested deeper than {META_DEPTH}")
    if values(doc) > META_VALUES:
        bad(f"more than {META_VALUES} values")
    basic = member(doc, "basic metadata", dict)
    machine = {key: member(basic, key, int) for key in ("ncpus", "memsize")}
    machine["memflags"] = member(basic, "memflags", int) if "memflags" in basic else 0
    machine["vmname"] = member(basic, "vmname", str) if "vmname" in basic else ""
    kernel, kernel_name, device_name = {
        b"A": ("structs", "debug_name", "snapshot_req"), b"B": ("kern_structs", "device", "device")}[generation]
    other = "structs" if kernel == "kern_structs" else "kern_structs"
    if other in doc:
        bad(f"{other} in a file of generation {show(generation)}")
    records: list[tuple[int, bytes, bytes, int]] = []
    for section, key in ((kernel, kernel_name), ("devices", device_name)):
        for entry in member(doc, section, list):
            if type(entry) is not dict:
                bad(f"an entry of {section} is not an object")
            name, size = member(entry, key, str), member(entry, "size", int)
            if section == "structs" and member(entry, "snapshot_req", int) >= 1 << 31:
                bad("snapshot_req is too large")
            records.append((member(entry, "file_offset", int), section.encode(), name.encode(), size))
    records.sort(key=lambda record: record[0])                          # stable, §5.2.5
    end = 0
    for offset, _, raw, size in records:
        if offset != end:
            bad(f"the offset of {show(raw)} is not the sum of the sizes before it")
        end += size
    return machine, [record[1:] for record in records]


# ---- records as fields, §5.4.8 --------------------------------------------------------------

def walk(fields: NvList) -> Iterator[tuple[int, Any]]:
    """The pairs that are no lists, depth first: type and value."""
    for kind, value in fields.values():
        if kind in (T_NVLIST, T_NVLISTS):
            for item in [value] if kind == T_NVLIST else value:
                yield from walk(item)
        else:
            yield kind, value


def narrow(value: int, width: int) -> bytes | None:
    """§5.4.9: the low `width` bytes; None where the others are neither zeros nor the sign's."""
    sign = (1 << 64) - (1 << 8 * width - 1)
    if value >> 8 * width and value < sign:
        return None
    return value.to_bytes(8, "little")[:width]


def record_pieces(p: Pairs, fields: NvList) -> list[bytes | int]:
    """§5.4.9: the record, with the size of each chunk of the bulk in its place."""
    widths, bulk = p.get("widths", T_BINARY, "5.4.8", must=False) or b"", \
        p.get("bulk", T_NUMBERS, "5.4.8", must=False) or []
    pieces: list[bytes | int] = []
    numbers = chunks = 0
    for kind, value in walk(fields):
        if kind in (T_NUMBER, T_NUMBERS):
            if numbers >= len(widths) or widths[numbers] not in (1, 2, 4, 8):
                p.bad("widths has not 1, 2, 4 or 8 for each number", "5.4.8", "consistency")
            for item in [value] if kind == T_NUMBER else value:
                low = narrow(item, widths[numbers])
                if low is None:
                    p.bad(f"number {item:#x} does not fit its width", "5.4.9", "consistency")
                pieces.append(low)
            numbers += 1
        elif kind == T_BINARY:
            pieces.append(value)
        elif kind == T_NULL:
            if chunks >= len(bulk) or not 1 <= bulk[chunks] <= MAX_RECORD:
                p.bad("bulk has not a size for each null", "5.4.8", "consistency")
            pieces.append(bulk[chunks])
            chunks += 1
        else:
            p.bad(f"a field is a {TYPE_NAMES[kind]}", "5.4.9", "consistency")
    if numbers != len(widths) or chunks != len(bulk):
        p.bad("widths or bulk has more than the fields", "5.4.8", "consistency")
    return pieces


# ---- the file -------------------------------------------------------------------------------

class Source:
    """Reads a file or pipe once, in order."""

    def __init__(self, f: BinaryIO) -> None:
        self.f, self.pos = f, 0

    def take(self, n: int, what: str, rule: str) -> bytes:
        """Exactly `n` bytes; allocates as they arrive."""
        pieces, left = [], n
        while left:
            piece = self.f.read(min(left, MIB))
            if not piece:
                raise Invalid("layout", rule, self.pos + n - left, f"the file ends inside {what}")
            pieces.append(piece)
            left -= len(piece)
        self.pos += n
        return b"".join(pieces)

    def padding(self, unit: int, what: str) -> None:
        """§1.6, §4.5, §2.3: zero bytes to the next multiple of `unit`."""
        at = self.pos
        self.zero(self.take(-at % unit, "the padding of " + what, "2.3"), at, what)

    @staticmethod
    def zero(data: bytes, at: int, what: str) -> None:
        if data.strip(b"\0"):
            place = at + len(data) - len(data.lstrip(b"\0"))
            raise Invalid("layout", "1.6", place, f"padding of {what} is not zero")


@dataclass
class Part:
    """§4: a part whose frame, nvlist and padding have been checked."""
    offset: int
    type: int
    alignment: int
    flags: int
    payload_digest: bytes
    frame_digest: bytes
    pairs: Pairs
    payload: bytes
    payload_at: int
    length: int

    def bad(self, rule: str, message: str, layer: str = "consistency", at: int | None = None) -> NoReturn:
        raise Invalid(layer, rule, self.offset if at is None else at, f"{type_name(self.type)}: {message}")


def type_name(number: int) -> str:
    return NAMES.get(number) or ("optional part" if number & OPTIONAL else "part") + f" {number:#x}"


@dataclass
class Extent:
    """What a MAP entry says of an extent, §6.5."""
    entry: bytes
    gpa: int
    size: int


UUID = re.compile(rb"[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
WORDS = re.compile(rb"(?=.{1,63}\Z)[a-z0-9]+(-[a-z0-9]+)*")                          # §9.3
ARCH = re.compile(rb"[a-z0-9_]{1,31}")


@dataclass
class Reader:
    """The full check: every rule, in the order of the file."""
    source: Source
    tell: Callable[[str], None] = lambda line: None
    below: Reader | None = None                 # in a chain: the parent, checked
    state: Memory | None = None                 # in a chain: the parent's pages, then this file's
    header_digest: bytes = b""
    parent: bytes | None = None                 # in a delta: content of the parent
    arch: bytes = b""
    vm_name: bytes = b""
    ncpus: int = 0
    memsize: int = 0
    segments: list[tuple[int, int]] = field(default_factory=list)
    tree: Tree = field(default_factory=lambda: Tree([]))
    machine: dict[str, Any] = field(default_factory=dict)
    records: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    devices: list[tuple[bytes, bytes, int, bytes]] = field(default_factory=list)
    record_bytes: int = 0
    counts: dict[int, int] = field(default_factory=dict)
    optional: int = 0
    parts: list[dict[str, Any]] = field(default_factory=list)
    pending: list[Extent] = field(default_factory=list)
    maps: bytearray = field(default_factory=bytearray)
    extents: int = 0
    stored: int = 0
    pages_data: int = 0
    pages_zero: int = 0                         # in a delta: those listed
    opaque: int = 0                             # extents whose pages cannot be known without the parent
    layouts: dict[tuple[bytes, int], int] = field(default_factory=dict)
    memory_end: int = 0
    not_checked: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)
    root: bytes = b""
    content: bytes = b""

    def run(self) -> None:
        self.header()
        rank = -1
        while True:
            part = self.part()
            now = RANK.get(part.type, RANK_OPTIONAL if rank <= RANK_OPTIONAL else RANK_LATE)
            if now < rank or rank < 1 and now != rank + 1 or part.type == META and rank == 1:
                part.bad("2.2", "out of order", "layout")
            rank = now
            self.counts[part.type] = self.counts.get(part.type, 0) + 1
            note = self.one(part)
            self.tell(f"{part.offset:#014x} {part.length:>10}  {type_name(part.type):<8} {note}")
            if part.type == INDEX:
                self.trailer(part)
                self.leave_out()
                return

    def one(self, part: Part) -> str:
        """Checks one part by its type; gives a line about it."""
        if part.type == VM:
            note = self.vm(part)
        elif part.type == META:
            note = self.meta(part)
        elif part.type == DEVICE:
            note = self.device(part)
        elif part.type == EXTENT:
            return self.extent(part)
        elif part.type == MAP:
            return self.map(part)
        elif part.type == INDEX:
            return self.index(part)
        else:
            note = self.optional_part(part)
        entry: dict[str, Any] = {"type": part.type, "offset": part.offset, "length": part.length,
                                 "digest": part.frame_digest}
        if part.type == DEVICE:
            entry.update(zip(("section", "name", "size", "sha256"), self.devices[-1]))
        self.parts.append(entry)
        return note

    # §3

    def header(self) -> None:
        block = self.source.take(56, "the header block", "2.1")
        if block != b"BHYVE CHECKPOINT IMAGE".ljust(56, b"\0"):
            raise Invalid("magic", "3.1", 0, "not a snapshot file")
        block += self.source.take(PAGE - 56, "the header block", "2.1")
        self.header_digest = block[4064:]
        if sha256(block[:4064]) != self.header_digest:
            raise Invalid("digest", "3.6", 0, "header block is damaged")
        version, reserved, size = struct.unpack_from("<III", block, 56)
        if reserved:
            raise Invalid("layout", "3.3", 60, "reserved field of the header block is not zero")
        if not 19 <= size <= 3996:
            raise Invalid("limit", "3.4", 64, f"nvlist of the header block has {size} bytes")
        Source.zero(block[68 + size:4064], 68 + size, "the header block")
        pairs = Pairs(decode_nvlist(block[68:68 + size], 68), 68, "3.5")
        if version != 1:
            raise Invalid("layout", "3.2", 56, f"version {version} is not known")
        producer = pairs.text("producer")
        for name in ("uuid", "vm_uuid"):
            uuid = pairs.text(name, must=name == "uuid")
            if uuid is not None and not UUID.fullmatch(uuid):
                pairs.bad(f"{name} has not the 36-character form")
        self.vm_name = pairs.text("vm_name")
        created = pairs.number("created")
        for name in ("incompatible", "compatible"):
            features = pairs.get(name, T_STRINGS, must=False) or []
            for feature in features:
                pairs.utf8(feature, name)
                if not WORDS.fullmatch(feature):
                    pairs.bad(f"{show(feature)} is not the name of a feature", "9.3")
            if len(set(features)) != len(features):
                pairs.bad(f"{name} has a name twice", "3.7")
            unknown = [f for f in features if name == "incompatible" and f != b"delta"]
            if unknown:
                pairs.bad(f"feature {show(unknown[0])} is not known", "3.7", "layout")
        self.lineage(pairs)
        self.tell(f"header: {show(self.vm_name)}, created {created} by {show(producer)}")

    def lineage(self, header: Pairs) -> None:
        """§13.1: the parent of a delta; in a chain, that it is the file below."""
        parent = header.get("parent", T_NVLIST, "13.1", must=False)
        delta = b"delta" in (header.get("incompatible", T_STRINGS, must=False) or [])
        if delta != (parent is not None):
            header.bad("parent without the feature delta, or the feature without a parent", "13.1", "consistency")
        if parent is not None:
            pairs = Pairs(parent, header.at, "13.1")
            self.parent = pairs.digest("content", "13.1.1")
            uuid = pairs.text("uuid", "13.1.2", must=False)
            if uuid is not None and not UUID.fullmatch(uuid):
                pairs.bad("uuid has not the 36-character form", "13.1.2")
        if self.state is None:
            return
        if (self.below is None) != (self.parent is None):
            header.bad("a chain is a full file and then deltas", "13.4", "consistency")
        if self.below is not None and self.parent != self.below.content:
            header.bad("the file below is not the parent of this one", "13.1.1", "consistency")

    # §4

    def part(self) -> Part:
        src, offset = self.source, self.source.pos
        frame = src.take(128, "the frame of a part", "4")
        if frame[:8] != b"BHYVPART":
            raise Invalid("magic", "4.1", offset, "no part starts here")
        if sha256(frame[:96]) != frame[96:]:
            raise Invalid("digest", "4.9", offset, "frame of a part is damaged")
        kind, flags, nv_size, alignment, pay_size = struct.unpack_from("<IIIIQ", frame, 8)
        name = type_name(kind)
        if kind not in RANK and not kind & OPTIONAL:
            raise Invalid("layout", "4.12", offset + 8, f"{name} is not known")
        if flags & ~1 or flags and kind != EXTENT:
            raise Invalid("layout", "4.3", offset + 12, f"{name}: flags {flags:#x}")
        nv_limit, pay_limit = LIMITS.get(kind, LIMITS_OPTIONAL)
        if not 19 <= nv_size <= nv_limit:
            raise Invalid("limit", "4.4", offset + 16, f"{name}: nvlist of {nv_size} bytes")
        if alignment not in (1, PAGE) or alignment != 1 and not pay_size:
            raise Invalid("layout", "4.5", offset + 20, f"{name}: alignment {alignment}")
        if pay_size > pay_limit:
            raise Invalid("limit", "4.6", offset + 24, f"{name}: payload of {pay_size} bytes")
        nv_at = src.pos
        nv = src.take(nv_size, "an nvlist", "4.4")
        if sha256(nv) != frame[32:64]:
            raise Invalid("digest", "4.7", nv_at, f"{name}: nvlist is damaged")
        src.padding(alignment, name)
        payload_at = src.pos
        payload = src.take(pay_size, "a payload", "4.6")
        if not flags and sha256(payload) != frame[64:96]:
            raise Invalid("digest", "4.8", payload_at, f"{name}: payload is damaged")
        src.padding(64, name)
        if src.pos > MAX_FILE:
            raise Invalid("limit", "10", offset, "file is too long")
        pairs = Pairs(decode_nvlist(nv, nv_at), nv_at, "5")
        return Part(offset, kind, alignment, flags, frame[64:96], frame[96:], pairs, payload, payload_at,
                    src.pos - offset)

    # §5

    def vm(self, part: Part) -> str:
        p = part.pairs
        self.arch = p.text("arch", "5.1.6")
        if not ARCH.fullmatch(self.arch):
            part.bad("5.1.6", "arch is not the name of an architecture")
        name = p.text("name", "5.1.1")
        if len(name) > 255:
            part.bad("5.1.1", "name is too long", "limit")
        if name != self.vm_name:
            part.bad("3.5", "name differs from vm_name of the header block")
        self.ncpus = p.number("ncpus", "5.1.2")
        if not 1 <= self.ncpus <= 1024:
            part.bad("5.1.2", f"{self.ncpus} vCPUs", "limit")
        self.memsize = p.number("memsize", "5.1.3")
        memflags = p.number("memflags", "5.1.4")
        if memflags >= 1 << 32:
            part.bad("5.1.4", "memflags", "limit")
        gpas, lens = p.get("gpa", T_NUMBERS, "5.1.5"), p.get("len", T_NUMBERS, "5.1.5")
        p.no_more()
        if len(gpas) != len(lens) or len(gpas) > 64:
            part.bad("5.1.5", "number of segments", "limit")
        end = -1
        for gpa, length in zip(gpas, lens):
            if gpa % PAGE or length % PAGE or not length or gpa <= end or gpa + length > SPACE:
                part.bad("5.1.5", f"segment at {gpa:#x} of {length:#x} bytes")
            end = gpa + length
        if sum(lens) != self.memsize:
            part.bad("5.1.3", "memsize is not the sum of the segments")
        self.segments = list(zip(gpas, lens))
        self.tree = Tree(self.segments, ZERO if self.parent is None else INHERITED)
        if self.below is not None and (self.arch, self.segments) != (self.below.arch, self.below.segments):
            part.bad("13.1.3", "architecture or memory map is not the parent's")
        self.machine = {"ncpus": self.ncpus, "memsize": self.memsize, "memflags": memflags, "vmname": name.decode()}
        return f"{show(name)}: {show(self.arch)}, {self.ncpus} vCPUs, {self.memsize} bytes in {len(gpas)} segments"

    def meta(self, part: Part) -> str:
        generation = part.pairs.text("generation", "5.2")
        part.pairs.no_more()
        if generation not in (b"A", b"B"):
            part.bad("5.2", "generation is neither A nor B")
        machine, self.records = parse_meta(part.payload, generation, part.payload_at)
        for key, value in self.machine.items():
            if machine[key] != value:
                part.bad("5.2.1", f"{key} differs from the VM part", at=part.payload_at)
        return f"generation {show(generation)}, {len(self.records)} records"

    def optional_part(self, part: Part) -> str:
        self.optional += 1
        if self.optional > MAX_OPTIONAL:
            part.bad("10", "too many optional parts", "limit")
        if part.type in (CONFIG, HOST) and self.counts[part.type] > 1:
            part.bad("2.2", "occurs twice", "layout")
        if part.type != CONFIG:
            return f"{len(part.payload)} bytes"
        kind = part.pairs.text("kind", "5.3")
        for item in part.pairs.get("files", T_NVLISTS, "5.3", must=False) or []:
            f = Pairs(item, part.pairs.at, "5.3")
            f.text("role")
            f.text("path")
            f.number("size")
            f.digest("sha256", must=False)
        return show(kind)

    def device(self, part: Part) -> str:
        p, place = part.pairs, len(self.devices)
        if place >= MAX_DEVICES:
            part.bad("10", "too many DEVICE parts", "limit")
        section, name = p.text("section", "5.4.1"), p.text("name", "5.4.2")
        size, digest = p.number("size", "5.4.3"), p.digest("sha256", "5.4.4")
        encoding = p.text("encoding", "5.4.5")
        fields = p.get("fields", T_NVLIST, "5.4.8", must=False)
        pieces = self.fields(p, fields)
        p.no_more()
        if not 1 <= len(name) <= 127:
            part.bad("5.4.2", "length of the name", "limit")
        if size > MAX_RECORD:
            part.bad("5.4.3", "record is too large", "limit")
        self.record_bytes += size
        if self.record_bytes > MAX_RECORDS:
            part.bad("10", "records are too large together", "limit")
        if any((section, name) == d[:2] for d in self.devices):
            part.bad("5.4.2", "(section, name) occurs twice")
        if place >= len(self.records) or self.records[place] != (section, name, size):
            part.bad("5.2.1", "record differs from that of .meta")
        if pieces is None:
            pieces = [size]
        if sum(n if isinstance(n, int) else len(n) for n in pieces) != size:
            part.bad("5.4.6", "fields do not make a record of this size")
        record = self.record(part, encoding, pieces, fields is not None)
        if record is None:
            self.undecoded()
        elif sha256(record) != digest:
            part.bad("5.4.6", "record differs from its digest", "digest", part.payload_at)
        self.devices.append((section, name, size, digest))
        note = "" if fields is None else ", fields"
        return f"{show(section)}/{show(name)} {size} bytes, {show(encoding)}{note}"

    def fields(self, p: Pairs, fields: NvList | None) -> list[bytes | int] | None:
        """§5.4.8: the pieces of a record that is stored as fields."""
        layout = p.text("layout", "5.4.8", must=fields is not None)
        version = p.get("layout_version", T_NUMBER, "5.4.8", must=fields is not None)
        if fields is None:
            if layout is not None or version is not None:
                p.bad("pair fields is missing", "5.4.8")
            return None
        if not WORDS.fullmatch(layout) or not 1 <= version < 1 << 32:
            p.bad("name or version of the layout", "5.4.8", "consistency")
        pieces = record_pieces(p, fields)
        self.layouts[layout, version] = self.layouts.get((layout, version), 0) + 1
        return pieces

    @staticmethod
    def record(part: Part, encoding: bytes, pieces: list[bytes | int], fields: bool) -> bytes | None:
        """§5.4.5, §5.4.10: the record; what is stored fills the places that are sizes."""
        size = sum(n for n in pieces if isinstance(n, int))
        stored: bytes | None = part.payload
        if encoding == b"zstd":
            if fields and not size:
                part.bad("5.4.10", "fields without bulk are raw")
            if len(part.payload) >= size:
                part.bad("5.4.5", "zstd payload is not shorter than what it holds")
            stored = zstd_decode(part.payload, size, part.payload_at)
        elif encoding != b"raw":
            part.bad("5.4.5", "encoding is not known")
        elif len(part.payload) != size:
            part.bad("5.4.10" if fields else "5.4.5", "payload has not the size of what it holds")
        if stored is None:
            return None
        out, at = [], 0
        for piece in pieces:
            if isinstance(piece, int):
                piece, at = stored[at:at + piece], at + piece
            out.append(piece)
        return b"".join(out)

    def undecoded(self) -> None:
        line = "zstd payloads: stored digest checked, contents not decoded (no zstd here)"
        if line not in self.trouble:
            self.trouble.append(line)

    # §6

    def extent(self, part: Part) -> str:
        p = part.pairs
        gpa, size = p.number("gpa", "6.2.1"), p.number("size", "6.2.2")
        data, encoding = p.get("data", T_BINARY, "6.2.3"), p.text("encoding", "6.2.4")
        if encoding not in (b"raw", b"zstd"):
            part.bad("6.2.4", "encoding is not known")
        raw = encoding == b"raw"
        root = part.payload_digest if raw else p.digest("root", "6.2.5")
        claims = p.get("leaves", T_BINARY, "6.2.10", must=False)
        delta = self.parent is not None
        zero = p.get("zero", T_BINARY, "13.2") if delta else None
        xor = p.get("xor", T_BINARY, "13.2.2", must=False) if delta else None
        p.no_more()
        if not 64 * KIB <= size <= 4 * MIB or size & size - 1:
            part.bad("6.2.2", f"size {size}", "limit")
        if gpa % size or gpa > SPACE - size:
            part.bad("6.2.1", f"gpa {gpa:#x}")
        if gpa < self.memory_end:
            part.bad("6.2.7", "extents do not ascend")
        if len(self.pending) == 4096:
            part.bad("6.5", "more than 4096 extents without a MAP", "layout")
        pages = size // PAGE
        leaves = [ABSENT[0]] * pages
        for start, length in self.segments:
            lo, hi = max(start, gpa), min(start + length, gpa + size)
            if lo < hi:
                rest = INHERITED[0] if delta else ZERO[0]
                leaves[(lo - gpa) // PAGE:(hi - gpa) // PAGE] = [rest] * ((hi - lo) // PAGE)

        def bits(bitmap: bytes | None, rule: str) -> list[int]:
            if bitmap is None:
                return []
            if len(bitmap) * 8 != pages:
                part.bad(rule, "bitmap has not one bit per page")
            wanted = [i for i in range(pages) if bitmap[i >> 3] >> (i & 7) & 1]
            if any(leaves[i] == ABSENT[0] for i in wanted):
                part.bad(rule, "a page outside memory is in a bitmap")
            return wanted

        stored, zeros, differences = bits(data, "6.2.3"), bits(zero, "13.2.1"), set(bits(xor, "13.2.2"))
        if not stored and not zeros:
            part.bad("13.2.1" if delta else "6.2.3", "extent without pages")
        if set(stored) & set(zeros):
            part.bad("13.2.1", "a page is data and zero")
        if xor is not None and (raw or not differences or not differences <= set(stored)):
            part.bad("13.2.2", "xor is not of some data pages of a zstd extent")
        if not stored and not raw:
            part.bad("13.2.1", "an extent without data is raw")
        if claims is not None and len(claims) != 32 * len(stored):
            part.bad("6.2.10", "leaves are not one for each data page")
        if bool(part.flags) != raw:
            part.bad("6.2.6", "flag and encoding disagree", at=part.offset + 12)
        if part.alignment != 1 and not raw:
            part.bad("6.2.6", "alignment and encoding disagree", at=part.offset + 20)
        whole = len(stored) * PAGE
        if len(part.payload) != whole if raw else len(part.payload) >= whole:
            part.bad("6.2.6", "payload size")
        for i in zeros:
            leaves[i] = ZERO[0]
        decoded = part.payload if raw else zstd_decode(part.payload, whole, part.payload_at)
        if decoded is None:
            self.undecoded()
        else:
            self.pages(part, decoded, stored, zeros, differences, leaves, claims, root)
        entry = struct.pack("<QQQIHH", gpa, part.offset, part.length, size, len(stored), len(zeros))
        self.pending.append(Extent(entry + part.frame_digest + root, gpa, size))
        self.tree.add(gpa, size, root)
        self.memory_end = gpa + size
        self.extents += 1
        self.stored += len(part.payload)
        self.pages_data += len(stored)
        self.pages_zero += len(zeros)
        note = f", {len(zeros)} zero, {len(differences)} as differences" if delta else ""
        return f"gpa {gpa:#x}, {len(stored)} of {pages} pages{note}, {show(encoding)}"

    def pages(self, part: Part, decoded: bytes, stored: list[int], zeros: list[int], differences: set[int],
              leaves: list[bytes], claims: bytes | None, root: bytes) -> None:
        """§6.2.8, §13.4: the pages of an extent against its root and leaves; a chain's state takes them.

        Without the parent the leaf of a difference is what the extent claims, if it claims one: the
        root has to follow from that, and what else there is is checked.
        """
        view, first = memoryview(decoded), part.pairs.number("gpa") // PAGE
        known: list[tuple[int, bytes, bytes | memoryview]] = []
        opaque = bool(differences) and self.state is None
        self.opaque += opaque
        for n, i in enumerate(stored):
            claim = claims[32 * n:32 * n + 32] if claims is not None else None
            if i in differences and self.state is None:
                leaves[i] = claim or b""
                continue
            page: bytes | memoryview = view[n * PAGE:(n + 1) * PAGE]
            if i in differences and self.state is not None:
                both = int.from_bytes(page, "little") ^ int.from_bytes(self.state.get(first + i), "little")
                page = both.to_bytes(PAGE, "little")
            leaves[i] = sha256(b"\0", page)
            if claim is not None and claim != leaves[i]:
                part.bad("6.2.8", f"page {i} differs from its leaf", "digest", part.payload_at)
            known.append((first + i, leaves[i], page))
        if (not opaque or claims is not None) and block_root(leaves) != root:
            part.bad("4.8" if part.flags else "6.2.8", "pages differ from the subtree root", "digest", part.payload_at)
        if self.state is not None:
            for number, leaf, page in known:
                self.state.put(number, leaf, page)
            for i in zeros:
                self.state.drop(first + i)

    def map(self, part: Part) -> str:
        first, count = part.pairs.number("first", "6.5"), part.pairs.number("count", "6.5")
        part.pairs.no_more()
        if first != self.extents - len(self.pending):
            part.bad("6.5", "first is not the ordinal of the first extent")
        if count != len(self.pending) or not count:
            part.bad("6.5", "count is not the number of extents since the previous MAP")
        if len(part.payload) != 96 * count:
            part.bad("6.5", "payload has not one entry per extent")
        for i, extent in enumerate(self.pending):
            if part.payload[96 * i:96 * i + 96] != extent.entry:
                part.bad("6.5.1", f"entry {i} differs from its extent", at=part.payload_at + 96 * i)
        self.maps += struct.pack("<QQQQ", part.offset, part.length, self.pending[0].gpa, count) + part.frame_digest
        if len(self.maps) > LIMITS[INDEX][1]:
            part.bad("10", "too many MAP parts", "limit")
        self.pending.clear()
        return f"extents {first} to {first + count - 1}"

    # §7, §8

    def index(self, part: Part) -> str:
        if len(self.devices) != len(self.records):
            part.bad("5.2.1", ".meta lists records that the file has not")
        if self.pending:
            part.bad("6.5", "the last extents have no MAP", "layout")
        p, tree_root, own = part.pairs, self.tree.root(), self.memsize // PAGE - self.pages_data
        expected: list[tuple[str, str, Any]] = [("header", "7.1.1", self.header_digest)]
        memory_root = tree_root
        if self.parent is None:
            expected.append(("pages_zero", "7.1.4", own))
        else:
            expected += [("delta_root", "7.1.8", tree_root), ("pages_zero", "7.1.4", self.pages_zero),
                         ("pages_inherited", "7.1.8", own - self.pages_zero)]
            if self.state is not None:
                memory_root = self.state.root(self.segments)
            elif own != self.pages_zero:
                memory_root = p.digest("memory_root", "7.1.3")          # §13.4: a claim
        self.content = self.identity(memory_root)
        expected += [("memory_root", "7.1.3", memory_root), ("content", "7.1.2", self.content),
                     ("pages_data", "7.1.4", self.pages_data), ("extents", "7.1.5", self.extents),
                     ("stored", "7.1.5", self.stored)]
        for key, rule, value in expected:
            have = p.number(key, rule) if isinstance(value, int) else p.digest(key, rule)
            if have != value:
                part.bad(rule, f"{key} is not what the file holds")
        listed = p.get("parts", T_NVLISTS, "7.1.6")
        p.no_more()
        if len(listed) != len(self.parts):
            part.bad("7.1.6", "parts does not list all parts")
        for have, want in zip(listed, self.parts):
            typed = {key.encode(): (T_NUMBER if isinstance(value, int) else
                                    T_STRING if key in ("section", "name") else T_BINARY, value)
                     for key, value in want.items()}
            if have != typed:
                part.bad("7.1.6", f"entry of the part at {want['offset']:#x} differs from it")
        if part.payload != self.maps:
            part.bad("7.1.7", "table of MAP parts differs from them", at=part.payload_at)
        self.root = part.frame_digest
        return f"{self.extents} extents, {self.pages_data} pages of data"

    def identity(self, memory_root: bytes) -> bytes:
        """§8.2: content."""
        u64 = struct.Struct("<Q").pack
        h = hashlib.sha256(b"bhyve snapshot content".ljust(32, b"\0") + u64(len(self.arch)) + self.arch)
        h.update(memory_root + u64(self.ncpus) + u64(len(self.segments)))
        for gpa, length in self.segments:
            h.update(u64(gpa) + u64(length))
        h.update(u64(len(self.devices)))
        for section, name, size, digest in sorted(self.devices):
            h.update(u64(len(section)) + section + u64(len(name)) + name + u64(size) + digest)
        return h.digest()

    def leave_out(self) -> None:
        """§7.4, §13.4, §5.4.11: what this check did not check."""
        for (layout, version), count in sorted(self.layouts.items()):
            self.not_checked.append(f"layout {show(layout)} version {version}: not known, the bytes of {count} "
                                    "records were checked, not the names of their fields")
        if self.parent is not None and self.state is None:
            self.not_checked.append("memory_root: it takes the parent's pages; content follows from what it claims")
            if self.opaque:
                self.not_checked.append(f"root and leaves: of {self.opaque} extents with differences from the "
                                        "parent's pages")

    def trailer(self, index: Part) -> None:
        at = self.source.pos
        block = self.source.take(128, "the trailer", "7.3")
        if block[:16] != b"BHYVE CKPT END\0\0":
            raise Invalid("magic", "7.3.1", at, "no trailer after the INDEX part")
        if sha256(block[:96]) != block[96:]:
            raise Invalid("digest", "7.3.6", at, "trailer is damaged")
        offset, length, size = struct.unpack_from("<QQQ", block, 16)
        if (offset, length) != (index.offset, index.length):
            raise Invalid("consistency", "7.3.2", at + 16, "trailer does not point at the INDEX part")
        if size > MAX_FILE or size != self.source.pos:
            raise Invalid("consistency", "7.3.3", at + 32, "size of the file")
        Source.zero(block[40:64], at + 40, "the trailer")
        if block[64:96] != self.root:
            raise Invalid("consistency", "7.3.5", at + 64, "root is not the INDEX part's frame digest")
        if self.source.f.read(1):
            raise Invalid("layout", "2.1", self.source.pos, "bytes after the trailer")


# ---- commands -------------------------------------------------------------------------------

def verify(f: BinaryIO, tell: Callable[[str], None] = lambda line: None, below: Reader | None = None,
           state: Memory | None = None) -> tuple[Reader, Invalid | None]:
    """The full check of one file or pipe; with `state`, as the next of a chain."""
    reader = Reader(Source(f), tell, below, state)
    try:
        reader.run()
    except Invalid as e:
        return reader, e
    return reader, None


def verify_chain(files: Iterable[BinaryIO]) -> Iterator[tuple[Reader, Invalid | None]]:
    """§13.4: the check of a chain, the full file first. Ends at the first file that is refused."""
    state, below = Memory(), None
    for f in files:
        below, error = verify(f, below=below, state=state)
        yield below, error
        if error or below.trouble:
            return


def report(reader: Reader, error: Invalid | None, as_json: bool, path: str) -> int:
    status = 1 if error else 2 if reader.trouble else 0
    omitted = reader.not_checked + reader.trouble
    if as_json:
        finding = [] if error is None else [{"layer": error.layer, "rule": error.rule, "offset": error.offset,
                                             "message": error.message}]
        print(json.dumps({"input": path, "checked": "full" if reader.state is None else "chain", "ok": status == 0,
                          "root": None if error else reader.root.hex(),
                          "content": None if error else reader.content.hex(),
                          "findings": finding, "not_checked": omitted}))
        return status
    if error:
        print(f"{path}: {error}", file=sys.stderr)
    for line in omitted:
        print(f"{path}: not checked: {line}", file=sys.stderr)
    return status


def describe(pairs: NvList) -> dict[str, Any]:
    """A list in the form of the nvlist test vectors."""
    def name(key: str, raw: bytes) -> dict[str, str]:
        try:
            return {key: raw.decode()}
        except UnicodeDecodeError:
            return {key + "_hex": raw.hex()}

    out = []
    for key, (kind, value) in pairs.items():
        pair: dict[str, Any] = {**name("name", key), "type": TYPE_NAMES[kind].replace(" ", "_")}
        if kind == T_STRING:
            pair.update(name("value", value))
        elif kind == T_BINARY and len(value) > 4096:
            pair.update(value_len=len(value), value_sha256=sha256(value).hex())
        elif kind == T_BINARY:
            pair["value_hex"] = value.hex()
        elif kind == T_NUMBER:
            pair["value"] = str(value)
        elif kind == T_NUMBERS:
            pair["value"] = [str(v) for v in value]
        elif kind == T_STRINGS:
            pair["value"] = [name("", v).get("") if name("", v).get("") is not None else {"hex": v.hex()}
                             for v in value]
        elif kind == T_NVLIST:
            pair["value"] = describe(value)
        elif kind == T_NVLISTS:
            pair["value"] = [describe(v) for v in value]
        elif kind != T_NULL:
            pair["value"] = value
        out.append(pair)
    return {"flags": 0, "pairs": out}


def in_scope(pairs: dict[str, Any]) -> bool:
    """Whether §1.3 allows such a list: flags 0 and no descriptors, in all lists."""
    if pairs["flags"]:
        return False
    for pair in pairs["pairs"]:
        if pair["type"].startswith("descriptor"):
            return False
        inner = pair["value"] if pair["type"] == "nvlist_array" else [pair["value"]] if pair["type"] == "nvlist" else []
        if not all(in_scope(i) for i in inner):
            return False
    return True


def self_test(folder: Path) -> int:
    """Runs the nvlist decoder over vectors in valid/, invalid/ and lenient/ of `folder`."""
    failed = accepted = refused = 0
    for path in sorted(folder.glob("*/*.json")):
        vector = json.loads(path.read_text())
        kind = path.parent.name
        try:
            got = describe(decode_nvlist(path.with_suffix(".bin").read_bytes()))
        except Invalid:
            got = None
        accepted, refused = accepted + (got is not None), refused + (got is None)
        must = kind == "valid" and vector["byte_order"] == "little" and in_scope(vector["nvlist"])
        if kind == "invalid":
            fine = got is None or vector["unpack_flags"] != 0       # the caller asks for other flags
        else:
            fine = got == vector["nvlist"] if got is not None else not must
        if not fine:
            failed += 1
            print(f"{kind}/{path.stem}: {'decoded otherwise' if got is not None else 'refused'}", file=sys.stderr)
    print(f"{accepted} accepted, {refused} refused, {failed} wrong")
    return 1 if failed or not accepted + refused else 0


def main(args: list[str]) -> int:
    if len(args) == 2 and args[0] == "--self-test":
        return self_test(Path(args[1]))
    words = [a for a in args if a not in ("--json", "--chain")]
    as_json, chain = "--json" in args, "--chain" in args
    if len(args) - len(words) != as_json + chain or words[:1] not in (["list"], ["verify"]) or len(words) < 2 \
            or (len(words) > 2 and not chain) or words[0] == "list" and (chain or as_json):
        print(__doc__, file=sys.stderr)
        return 2
    if len(words) - 1 > MAX_CHAIN:
        print(f"a chain of more than {MAX_CHAIN} files (§13.6)", file=sys.stderr)
        return 2
    tell = print if words[0] == "list" else lambda line: None
    path = words[1]

    def opened() -> Iterator[BinaryIO]:
        nonlocal path
        for path in words[1:]:
            with (open(0, "rb", closefd=False) if path == "-" else open(path, "rb")) as f:
                yield f

    status = 0
    try:
        checked = verify_chain(opened()) if chain else (verify(f, tell) for f in opened())
        for reader, error in checked:
            status = report(reader, error, as_json, path)
        return status
    except (OSError, MemoryError) as e:
        print(f"{path}: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
