"""Builds snapshot files for tests of readers, from spec/snapshot.md alone: a full file, deltas, records as fields.

Small and of every kind of part: two segments of RAM with holes at the ends of their blocks, records whole and as
fields, extents raw and compressed. What it builds is good; cases break it.
"""
from __future__ import annotations

import copy
import json
import random
import struct
from typing import Any

import reseal
from memory import ABSENT, INHERITED, ZERO, block_root
from nvlist import T_BINARY, T_NULL, T_NUMBER, T_NUMBERS, T_NVLIST, T_NVLISTS, T_STRING, T_STRINGS, decode_nvlist
from rules import DEVICE, EXTENT, INDEX, MAP, META, PAGE, VM
from reseal import Image, Pair, Piece, binary, number, sha256

BLOCK = 65536
SEGMENTS = [(0, 0x55000), (1 << 32, 0x43000)]
S = T_STRING


def zstd(data: bytes, **options: Any) -> bytes:
    import zstandard
    return zstandard.ZstdCompressor(level=3, **options).compress(data)


def part(kind: int, pairs: list[Pair], payload: bytes = b"", alignment: int = 1) -> Piece:
    return Piece(kind, 0, alignment, reseal.encode(pairs), payload)


def bitmap(pages: int, wanted: Any) -> bytes:
    out = bytearray(pages // 8)
    for i in wanted:
        out[i >> 3] |= 1 << (i & 7)
    return bytes(out)


def extent(gpa: int, size: int, pages: dict[int, bytes], packed: bool, segs: list[tuple[int, int]], *,
           leaves: bool = True, zero: list[int] | None = None, parent: dict[int, bytes] | None = None,
           alignment: int = PAGE) -> Piece:
    """§6.2, §13.2: an EXTENT part over a block, of pages by their number in it.

    With `zero` it is one of a delta; `parent` has the pages of the parent for those stored as differences. Without
    `leaves` it is one of a stream, not of a file.
    """
    total, parent = size // PAGE, parent or {}
    rest = ZERO[0] if zero is None else INHERITED[0]
    tree = []
    for i in range(total):
        at = gpa + i * PAGE
        inside = any(s <= at < s + n for s, n in segs)
        tree.append(sha256(b"\0", pages[i]) if i in pages else ZERO[0] if i in (zero or []) else
                    rest if inside else ABSENT[0])
    payload = b"".join(reseal.difference(pages[i], parent[i]) if i in parent else pages[i] for i in sorted(pages))
    pairs: list[Pair] = [number("gpa", gpa), number("size", size), binary("data", bitmap(total, pages))]
    if zero is not None:
        pairs.append(binary("zero", bitmap(total, zero)))
    if parent:
        pairs.append(binary("xor", bitmap(total, parent)))
    if leaves and pages:
        pairs.append(binary("leaves", b"".join(tree[i] for i in sorted(pages))))
    pairs.append((b"encoding", S, b"zstd" if packed else b"raw"))
    if packed:
        return Piece(EXTENT, 0, 1, reseal.encode(pairs + [binary("root", block_root(tree))]), zstd(payload))
    return Piece(EXTENT, 1, alignment if payload else 1, reseal.encode(pairs), payload)


def record_bytes(fields: list[Pair], widths: list[int], bulk: list[bytes]) -> bytes:
    """§5.4.9, from the writer's side: the record of these fields."""
    out, width, chunk = b"", iter(widths), iter(bulk)

    def add(pairs: list[Pair]) -> None:
        nonlocal out
        for _, kind, value in pairs:
            if kind in (T_NUMBER, T_NUMBERS):
                w = next(width)
                for v in [value] if kind == T_NUMBER else value:
                    out += struct.pack("<Q", v)[:w]
            elif kind == T_BINARY:
                out += value
            elif kind == T_NULL:
                out += next(chunk)
            else:
                for inner in [value] if kind == T_NVLIST else value:
                    add(inner)
    add(fields)
    return out


def fields_pairs(layout: bytes, version: int, fields: list[Pair], widths: list[int], bulk: list[bytes]) -> list[Pair]:
    pairs: list[Pair] = [(b"layout", S, layout), number("layout_version", version), (b"fields", T_NVLIST, fields)]
    if widths:
        pairs.append(binary("widths", bytes(widths)))
    if bulk:
        pairs.append((b"bulk", T_NUMBERS, [len(b) for b in bulk]))
    return pairs


def device(section: bytes, name: bytes, record: bytes, packed: bool = False, fields: list[Pair] | None = None,
           bulk: list[bytes] | None = None) -> Piece:
    """§5.4: a DEVICE part; with `fields` the pairs of 5.4.8, and `bulk` is what is stored."""
    pairs: list[Pair] = [(b"section", S, section), (b"name", S, name), number("size", len(record)),
                         binary("sha256", sha256(record)), (b"encoding", S, b"zstd" if packed else b"raw")]
    stored = record if fields is None else b"".join(bulk or [])
    return part(DEVICE, pairs + (fields or []), zstd(stored) if packed else stored)


# A record of every kind of field: (fields, widths, bulk)
FIELDS: tuple[list[Pair], list[int], list[bytes]] = (
    [number("byte", 200), number("minus_one", (1 << 64) - 1), number("word", 0xBEEF),
     (b"table", T_NUMBERS, [1, (1 << 64) - 2, 3]), binary("mac", b"\2\0\0\1\2\3"),
     (b"queue", T_NVLIST, [number("desc", 1 << 63), (b"ring", T_NULL, None)]),
     (b"vcpus", T_NVLISTS, [[number("rip", 0x1000 + i), (b"regs", T_NUMBERS, [i, i + 1])] for i in range(3)]),
     (b"none", T_NVLIST, []), (b"fb", T_NULL, None), number("last", 0)],
    [1, 4, 2, 2, 8, 8, 4, 8, 4, 8, 4, 1], [b"R" * 5000, bytes(range(256)) * 40])


def records(as_fields: bool) -> list[Piece]:
    """Five records; two of them as fields, or all whole."""
    fields, widths, bulk = FIELDS
    whole = record_bytes(*FIELDS)
    plain: list[Pair] = [number("count", 7), binary("pad", bytes(4))]
    small = record_bytes(plain, [4], [])
    queue: Any = (fields_pairs(b"example-queue", 1, fields, widths, bulk), bulk) if as_fields else ()
    count: Any = (fields_pairs(b"example", 3, plain, [4], []), []) if as_fields else ()
    text = (b"state of a timer, " * 40)[:600]
    return [device(b"kern_structs", b"vhpet", text, True), device(b"kern_structs", b"vioapic", b"\1\2\3" * 50),
            device(b"kern_structs", b"empty", b""),
            device(b"devices", b"virtio-net", whole, True, *queue), device(b"devices", b"uart-0", small, False, *count)]


def meta_text(machine: dict[str, Any], devices: list[Piece]) -> bytes:
    """§5.2, generation B, as indented JSON."""
    lists: dict[str, list[dict[str, Any]]] = {"kern_structs": [], "devices": []}
    offset = 0
    for piece in devices:
        nv = {name: value for name, (_, value) in decode_nvlist(piece.nv).items()}
        size = nv[b"size"]
        lists[nv[b"section"].decode()].append({"device": nv[b"name"].decode(), "size": size, "file_offset": offset})
        offset += size
    return (json.dumps({"basic metadata": machine, **lists}, indent=2) + "\n").encode()


def full(devices: list[Piece] | None = None, meta: bool = True) -> Image:
    """A full file of two segments; its records are whole unless others are given. `meta`: it was three files (5.2.7)."""
    rng = random.Random(1)
    devices = records(False) if devices is None else devices
    machine = {"ncpus": 2, "vmname": "vm0", "memsize": sum(n for _, n in SEGMENTS), "memflags": 0}
    vm: list[Pair] = [(b"arch", S, b"amd64"), (b"name", S, b"vm0"), number("ncpus", 2),
                      number("memsize", machine["memsize"]), number("memflags", 0),
                      (b"gpa", T_NUMBERS, [g for g, _ in SEGMENTS]), (b"len", T_NUMBERS, [n for _, n in SEGMENTS])]
    noise = {i: rng.randbytes(PAGE) for i in (0, 1, 2)}
    text = {i: (b"page %d " % i * 600)[:PAGE] for i in (0, 3, 5, 7, 9, 15)}
    extents = [extent(0, BLOCK, text, True, SEGMENTS), extent(2 * BLOCK, BLOCK, noise, False, SEGMENTS),
               extent(5 * BLOCK, BLOCK, {4: text[3]}, True, SEGMENTS),
               extent(1 << 32, BLOCK, noise, False, SEGMENTS, alignment=1)]
    header = Image(bytearray(b"BHYVE CHECKPOINT IMAGE".ljust(56, b"\0") + struct.pack("<II", 1, 0)), [])
    header.header += bytes(4000)
    reseal.set_header(header, [(b"producer", S, b"make.py"), (b"uuid", S, b"01234567-89ab-4def-8123-456789abcdef"),
                               (b"vm_name", S, b"vm0"), number("created", 1700000000)])
    texts = [part(META, [(b"generation", S, b"B")], meta_text(machine, devices))] if meta else []
    header.pieces = [part(VM, vm), *texts, *devices, *extents, Piece(MAP, 0, 1, b"", b""), Piece(INDEX, 0, 1, b"", b"")]
    return reseal.parse(reseal.build(header))


def delta(parent: Image, extents: list[Piece], content: bytes | None = None) -> Image:
    """§13: the same machine with these extents; `parent` was built (reseal.build), and gives state and content."""
    image = Image(bytearray(parent.header), copy.deepcopy([p for p in parent.pieces if p.type not in (
        EXTENT, MAP, INDEX)]), base=reseal.pages(parent))
    kept = [p for p in reseal.header_pairs(parent) if p[0] not in (b"parent", b"incompatible", b"uuid")]
    uuid = next(v for n, _, v in reseal.header_pairs(parent) if n == b"uuid")
    digits = sha256(uuid).hex()
    own = "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:32]))
    reseal.set_header(image, kept + [
        (b"uuid", S, own.encode()),
        (b"incompatible", T_STRINGS, [b"delta"]),
        (b"parent", T_NVLIST, [binary("content", content or parent.content), (b"uuid", S, uuid)])])
    image.pieces += copy.deepcopy(extents) + ([Piece(MAP, 0, 1, b"", b"")] if extents else []) + \
        [Piece(INDEX, 0, 1, b"", b"")]
    return reseal.parse(reseal.build(image), image.base)


def changes(parent: Image, form: str, seed: int = 2) -> list[Piece]:
    """Extents of a delta against `parent`: changed words, new pages, and pages that became zero.

    `form`: raw, zstd, or xor (pages as differences where the parent has them).
    """
    rng, base, out = random.Random(seed), reseal.pages(parent), []
    packed = form != "raw"
    first = {i: base[i] for i in sorted(base) if i < 16}
    word = {i: page[:128 * i] + b"changed!" + page[128 * i + 8:] for i, page in list(first.items())[1:4]}
    new = {**word, 6: rng.randbytes(64) * 64, 12: rng.randbytes(32) * 128}
    gone = [i for i in first if i not in new][:2]
    from_parent = {**{i: first[i] for i in word}, 6: base.get(6, bytes(PAGE))} if form == "xor" else None
    out.append(extent(0, BLOCK, new, packed, SEGMENTS, zero=gone + [14], parent=from_parent))
    out.append(extent(3 * BLOCK, BLOCK, {}, False, SEGMENTS, zero=[0, 5]))
    out.append(extent(5 * BLOCK, BLOCK, {1: b"\1" * PAGE, 4: rng.randbytes(8) * 512}, packed, SEGMENTS, zero=[0]))
    at = (1 << 32) // PAGE
    page = base.get(at + 1, bytes(PAGE))
    fresh = page[:-8] + rng.randbytes(8)
    out.append(extent(1 << 32, BLOCK, {1: fresh}, form == "xor", SEGMENTS, zero=[],
                      parent={1: page} if form == "xor" else None, alignment=1))
    return out
