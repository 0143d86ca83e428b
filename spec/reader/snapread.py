#!/usr/bin/env python3
"""A second reader of the snapshot file, written from spec/snapshot.md alone.

It shares no code with the reference reader: where the two disagree, one of them or the
specification is wrong. § cites the specification. Standard library only; for zstd payloads it
needs compression.zstd (Python 3.14), the package zstandard, or the command zstd.

    snapread.py list FILE|-                       one line per part, as each is checked
    snapread.py verify FILE|- [--json]            the full check of §7.4, in one pass
    snapread.py verify --chain BASE D... [--json] the check of a chain, §13.4: the full file, then its deltas
    snapread.py verify FILE --chain FOLDER        the same; the parents are found among the files of a folder, §13.6

No layout of records as fields is known to it: it says so, and checks the bytes (§5.4.11). How to run all checks: README.md.

Exit status: 0 yes, 1 no (a file breaks a rule), 2 trouble (usage, input and output, no zstd).
Memory is bounded by the limits of §10, whatever the size of a file. Of a chain the pages of the state
lie in a temporary file, and some 200 bytes are kept for each.
"""
from __future__ import annotations

import hashlib
import json
import re
import struct
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, Callable, Iterable, Iterator, NoReturn

from chain import find
from fields import record_pieces
from memory import ABSENT, INHERITED, ZERO, Memory, Tree, block_root
from meta import parse_meta
from nvlist import (
    T_BINARY, T_NUMBER, T_NUMBERS, T_NVLIST, T_NVLISTS, T_STRING, T_STRINGS, NvList, Pairs, decode_nvlist)
from rules import (
    CONFIG, DEVICE, EXTENT, HOST, INDEX, KIB, LIMITS, LIMITS_OPTIONAL, MAP, MAX_CHAIN, MAX_DEVICES, MAX_FILE,
    MAX_OPTIONAL, MAX_OPTIONAL_BYTES, MAX_RECORD, MAX_RECORDS, META, MIB, NAMES, OPTIONAL, PAGE, PRIVATE, RANK,
    RANK_LATE, RANK_OPTIONAL, SPACE, VM, Invalid, sha256, show)
from zstdframe import zstd_decode


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
    nv_size: int = 0

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
    optional_bytes: int = 0
    parts: list[dict[str, Any]] = field(default_factory=list)
    pending: list[Extent] = field(default_factory=list)
    maps: bytearray = field(default_factory=bytearray)
    extents: int = 0
    stored: int = 0
    pages_data: int = 0
    pages_zero: int = 0                         # in a delta: those listed
    opaque: int = 0                             # pages that cannot be known without the parent
    generation: bytes = b"B"                    # §5.2.7: what the sections of a file without META are those of
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
            if now < rank or (rank < 0) != (part.type == VM) or part.type == META and rank == 1:
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
            raise Invalid("limit" if size > 19 else "nvlist", "3.4", 64, f"nvlist of the header block has {size} bytes")
        Source.zero(block[68 + size:4064], 68 + size, "the header block")
        pairs = Pairs(decode_nvlist(block[68:68 + size], 68), 68, "3.5")
        if version != 1:
            raise Invalid("layout", "3.2", 56, f"version {version} is not known")
        producer = pairs.text("producer")
        for name in ("uuid", "vm_uuid"):
            uuid = pairs.text(name, must=name == "uuid")
            if uuid is not None and not UUID.fullmatch(uuid):
                pairs.bad(f"{name} has not the 36-character form", layer="consistency")
        self.vm_name = pairs.text("vm_name")
        created = pairs.number("created")
        for name in ("incompatible", "compatible"):
            features = pairs.get(name, T_STRINGS, must=False) or []
            for feature in features:
                pairs.utf8(feature, name)
                if not WORDS.fullmatch(feature):
                    pairs.bad(f"{show(feature)} is not the name of a feature", "9.3", "consistency")
            if len(set(features)) != len(features):
                pairs.bad(f"{name} has a name twice", "3.7", "consistency")
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
                pairs.bad("uuid has not the 36-character form", "13.1.2", "consistency")
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
            raise Invalid("limit" if nv_size > 19 else "layout", "4.4", offset + 16, f"{name}: nvlist of {nv_size} bytes")
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
                    src.pos - offset, nv_size)

    # §5

    def vm(self, part: Part) -> str:
        p = part.pairs
        self.arch = p.text("arch", "5.1.6")
        if not ARCH.fullmatch(self.arch):
            part.bad("5.1.6", "arch is not the name of an architecture")
        name = p.text("name", "5.1.1")
        if len(name) > 255:
            part.bad("5.1.1", "name is too long")
        if name != self.vm_name:
            part.bad("3.5", "name differs from vm_name of the header block")
        self.ncpus = p.number("ncpus", "5.1.2")
        if not 1 <= self.ncpus <= 1024:
            part.bad("5.1.2", f"{self.ncpus} vCPUs", "limit" if self.ncpus else "consistency")
        self.memsize = p.number("memsize", "5.1.3")
        memflags = p.number("memflags", "5.1.4")
        if memflags >= 1 << 32:
            part.bad("5.1.4", "memflags")
        gpas, lens = p.get("gpa", T_NUMBERS, "5.1.5"), p.get("len", T_NUMBERS, "5.1.5")
        p.no_more()
        if len(gpas) != len(lens) or len(gpas) > 64:
            part.bad("5.1.5", "number of segments")
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
        self.generation = generation
        machine, self.records = parse_meta(part.payload, generation, part.payload_at)
        for key, value in self.machine.items():
            if machine[key] != value:
                part.bad("5.2.1", f"{key} differs from the VM part", at=part.payload_at)
        return f"generation {show(generation)}, {len(self.records)} records"

    def optional_part(self, part: Part) -> str:
        self.optional += 1
        if self.optional > MAX_OPTIONAL:
            part.bad("10", "too many optional parts", "limit")
        self.optional_bytes += part.length
        if self.optional_bytes > MAX_OPTIONAL_BYTES:
            part.bad("10", "optional parts are too large together", "limit")
        if part.type & PRIVATE:
            vendor = part.pairs.text("vendor", "4.13")
            if not 1 <= len(vendor) <= 63:
                part.bad("4.13", "length of vendor")
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
            part.bad("5.4.2", "length of the name")
        if size > MAX_RECORD:
            part.bad("5.4.3", "record is too large", "limit")
        self.record_bytes += size + part.nv_size
        if self.record_bytes > MAX_RECORDS:
            part.bad("10", "records are too large together", "limit")
        if any((section, name) == d[:2] for d in self.devices):
            part.bad("5.4.2", "(section, name) occurs twice")
        if section not in (b"structs" if self.generation == b"A" else b"kern_structs", b"devices"):
            part.bad("5.4.1", "section is not one of this generation")
        if META in self.counts and (place >= len(self.records) or self.records[place] != (section, name, size)):
            part.bad("5.2.1", "record differs from that of .meta")
        if pieces is None:
            pieces = [size]
        if sum(n if isinstance(n, int) else len(n) for n in pieces) != size:
            part.bad("5.4.9", "fields do not make a record of this size")
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
        claims: bytes = p.get("leaves", T_BINARY, "6.2.10", must=False) or b""
        delta = self.parent is not None
        zero = p.get("zero", T_BINARY, "13.2") if delta else None
        xor = p.get("xor", T_BINARY, "13.2.2", must=False) if delta else None
        p.no_more()
        if not 64 * KIB <= size <= 4 * MIB or size & size - 1:
            part.bad("6.2.2", f"size {size}")
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
        if len(claims) != 32 * len(stored):
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
        for n, i in enumerate(stored):
            leaves[i] = claims[32 * n:32 * n + 32]
        if block_root(leaves) != root:
            part.bad("6.2.8", "subtree root does not follow from the leaves", "digest")
        decoded = part.payload if raw else zstd_decode(part.payload, whole, part.payload_at)
        if decoded is None:
            self.undecoded()
        else:
            self.pages(part, decoded, stored, zeros, differences, leaves)
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
              leaves: list[bytes]) -> None:
        """§6.2.8, §13.4: the pages of an extent against their leaves; a chain's state takes them.

        Without the parent a page that is stored as a difference cannot be known.
        """
        view, first = memoryview(decoded), part.pairs.number("gpa") // PAGE
        known: list[tuple[int, bytes, bytes | memoryview]] = []
        for n, i in enumerate(stored):
            page: bytes | memoryview = view[n * PAGE:(n + 1) * PAGE]
            if i in differences:
                if self.state is None:
                    self.opaque += 1
                    continue
                both = int.from_bytes(page, "little") ^ int.from_bytes(self.state.get(first + i), "little")
                page = both.to_bytes(PAGE, "little")
            if sha256(b"\0", page) != leaves[i]:
                part.bad("6.2.8", f"page {i} differs from its leaf", "digest", part.payload_at)
            known.append((first + i, leaves[i], page))
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
        if META in self.counts and len(self.devices) != len(self.records):
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
            else:
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
                self.not_checked.append(f"pages in xor: {self.opaque}, stored as differences from the parent's, against "
                                        "their leaves")

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
            raise Invalid("limit" if size > MAX_FILE else "consistency", "7.3.3", at + 32, "size of the file")
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
    roots: set[bytes] = set()
    for f in files:
        below, error = verify(f, below=below, state=state)
        if error is None and below.root in roots:
            error = Invalid("consistency", "13.6", 0, "the file is in the chain already")
        yield below, error
        if error or below.trouble:
            return
        roots.add(below.root)


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


def chain_of(words: list[str]) -> list[str] | None:
    """The files of a chain: as they are listed, or found in a folder. None where there is no chain of at most 64."""
    if len(words) == 2 and Path(words[1]).is_dir():
        found = find(Path(words[0]), Path(words[1]))
        return None if found is None else [str(path) for path in found]
    return words if len(words) <= MAX_CHAIN else None


def main(args: list[str]) -> int:
    words = [a for a in args if a not in ("--json", "--chain")]
    as_json, chain = "--json" in args, "--chain" in args
    if len(args) - len(words) != as_json + chain or words[:1] not in (["list"], ["verify"]) or len(words) < 2 \
            or (len(words) > 2 and not chain) or words[0] == "list" and (chain or as_json):
        print(__doc__, file=sys.stderr)
        return 2
    tell = print if words[0] == "list" else lambda line: None
    path, status = words[1], 0

    def opened(paths: list[str]) -> Iterator[BinaryIO]:
        nonlocal path
        for path in paths:
            with (open(0, "rb", closefd=False) if path == "-" else open(path, "rb")) as f:
                yield f

    try:
        paths = chain_of(words[1:]) if chain else words[1:]
        if paths is None:
            print(f"{path}: no chain of at most {MAX_CHAIN} files (§13.6)", file=sys.stderr)
            return 2
        checked = verify_chain(opened(paths)) if chain else (verify(f, tell) for f in opened(paths))
        for reader, error in checked:
            status = report(reader, error, as_json, path)
        return status
    except (OSError, MemoryError) as e:
        print(f"{path}: {e}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
