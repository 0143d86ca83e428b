"""Takes a good snapshot file apart, and puts a changed one together with digests that match.

For tests of readers: after `build` only the rules about meaning can catch a change, because
every digest was computed again from the bottom up (§8.1). A test's tool only: no program may give
damaged bytes a new digest (§11.5).
"""
from __future__ import annotations

import struct
from dataclasses import dataclass, field
from typing import Any, Callable

from memory import ABSENT, INHERITED, ZERO, block_root, Tree
from nvlist import (
    T_BINARY, T_BOOL, T_BOOLS, T_NEXT, T_NULL, T_NUMBER, T_NUMBERS, T_NVLIST, T_NVLISTS, T_STRING, T_STRINGS,
    T_UP, decode_nvlist, NvList)
from rules import DEVICE, EXTENT, INDEX, MAP, MIB, PAGE, VM, Invalid, sha256
from zstdframe import zstd_decode

Pair = tuple[bytes, int, Any]           # name, type, value; lists of pairs may repeat a name
Edit = Callable[[bytearray], None]


def encode(pairs: list[Pair], tail: int = 0) -> bytes:
    """§1.3: the packed form, as current libnv writes it; `tail` bytes of the message follow."""
    size = _length(pairs)
    out = bytearray(struct.pack("<BBBQQ", 0x6C, 0, 0, 0, size + tail))
    left = size + tail
    for name, kind, value in pairs:
        data, items, nested = _data(kind, value)
        stated = len(data)
        if kind == T_NVLIST:
            stated = 19 + _length(value)
        head = struct.pack("<BHQQ", kind, len(name) + 1, stated, items) + name + b"\0"
        left -= len(head) + len(data) + nested
        out += head + data
        if kind == T_NVLIST:
            out += encode(value, left + 20) + _marker(T_UP)
        elif kind == T_NVLISTS:
            after = nested
            for item in value:
                after -= 19 + _length(item) + 20
                out += encode(item, left + after + 20) + _marker(T_NEXT)
    return bytes(out)


def _marker(kind: int) -> bytes:
    return struct.pack("<BHQQ", kind, 1, 0, 0) + b"\0"


def _data(kind: int, value: Any) -> tuple[bytes, int, int]:
    """Payload bytes, item count, and bytes of nested lists with their markers."""
    if kind == T_NULL:
        return b"", 0, 0
    if kind == T_BOOL:
        return bytes([value]), 0, 0
    if kind == T_NUMBER:
        return struct.pack("<Q", value), 0, 0
    if kind == T_STRING:
        return value + b"\0", 0, 0
    if kind == T_BINARY:
        return value, 0, 0
    if kind == T_BOOLS:
        return bytes(value), len(value), 0
    if kind == T_NUMBERS:
        return struct.pack(f"<{len(value)}Q", *value), len(value), 0
    if kind == T_STRINGS:
        return b"".join(v + b"\0" for v in value), len(value), 0
    lists = [value] if kind == T_NVLIST else value
    return b"", len(value) if kind == T_NVLISTS else 0, sum(19 + _length(v) + 20 for v in lists)


def _length(pairs: list[Pair]) -> int:
    total = 0
    for name, kind, value in pairs:
        data, _, nested = _data(kind, value)
        total += 20 + len(name) + len(data) + nested
    return total


def to_pairs(decoded: NvList) -> list[Pair]:
    """The decoder's form as a list of pairs."""
    out: list[Pair] = []
    for name, (kind, value) in decoded.items():
        if kind == T_NVLIST:
            value = to_pairs(value)
        elif kind == T_NVLISTS:
            value = [to_pairs(v) for v in value]
        out.append((name, kind, value))
    return out


@dataclass
class Piece:
    """One part. The edits run after all that is computed was, and before it is sealed."""
    type: int
    flags: int
    alignment: int
    nv: bytes
    payload: bytes
    auto: bool = True                   # MAP, INDEX: compute nvlist and payload
    edit_nv: Edit | None = None
    edit_payload: Edit | None = None
    edit_frame: Edit | None = None      # bytes 0 to 96, sealed afterwards
    edit_padding: Edit | None = None    # both paddings, joined


@dataclass
class Image:
    header: bytearray                   # bytes 0 to 4064
    pieces: list[Piece]
    edit_trailer: Edit | None = None    # bytes 0 to 96
    base: dict[int, bytes] | None = None        # a delta: the parent's pages that are not zero, by number
    offsets: list[int] = field(default_factory=list)        # of the parts; `build` fills it
    content: bytes = b""                                    # `build` fills it

    def find(self, kind: int) -> Piece:
        return next(p for p in self.pieces if p.type == kind)


def parse(data: bytes, base: dict[int, bytes] | None = None) -> Image:
    """A file that is known to be good, as its pieces; with `base`, a delta."""
    pieces, pos = [], PAGE
    while data[pos:pos + 8] == b"BHYVPART":
        kind, flags, nv_size, alignment, size = struct.unpack_from("<IIIIQ", data, pos + 8)
        nv = data[pos + 128:pos + 128 + nv_size]
        at = pos + 128 + nv_size
        at += -at % alignment
        pieces.append(Piece(kind, flags, alignment, nv, data[at:at + size]))
        pos = at + size
        pos += -pos % 64
    return Image(bytearray(data[:4064]), pieces, base=base)


def bits(bitmap: bytes) -> list[int]:
    return [i for i in range(len(bitmap) * 8) if bitmap[i >> 3] >> (i & 7) & 1]


def pages(image: Image) -> dict[int, bytes]:
    """The pages of the state that are not zero, by number: the parent's, and what the extents make of them."""
    state = dict(image.base or {})
    for piece in image.pieces:
        if piece.type == EXTENT:
            _apply(state, decode_nvlist(piece.nv), piece.payload)
    return state


def _apply(state: dict[int, bytes], pairs: NvList, payload: bytes) -> None:
    nv = {name: value for name, (_, value) in pairs.items()}
    stored, first = bits(nv[b"data"]), nv[b"gpa"] // PAGE
    decoded: bytes | None = payload
    if nv[b"encoding"] == b"zstd":
        decoded = zstd_decode(payload, len(stored) * PAGE, 0)
    assert decoded is not None
    xor = bits(nv.get(b"xor", b""))
    for n, i in enumerate(stored):
        page = decoded[n * PAGE:(n + 1) * PAGE]
        if i in xor:
            page = difference(page, state.get(first + i, bytes(PAGE)))
        state[first + i] = page
    for i in bits(nv.get(b"zero", b"")):
        state.pop(first + i, None)


def difference(a: bytes, b: bytes) -> bytes:
    return bytes(x ^ y for x, y in zip(a, b))


def set_header(image: Image, pairs: list[Pair]) -> None:
    nv = encode(pairs)
    image.header[64:] = struct.pack("<I", len(nv)) + nv.ljust(3996, b"\0")[:3996]


def header_pairs(image: Image) -> list[Pair]:
    size = struct.unpack_from("<I", image.header, 64)[0]
    return to_pairs(decode_nvlist(bytes(image.header[68:68 + size])))


@dataclass
class _State:
    """What MAP and INDEX say of the parts before them. Best effort where a part is broken."""
    delta: bool = False
    pages: dict[int, bytes] = field(default_factory=dict)       # of a delta: the state's
    arch: bytes = b""
    segments: list[tuple[int, int]] = field(default_factory=list)
    ncpus: int = 0
    memsize: int = 0
    devices: list[tuple[bytes, bytes, int, bytes]] = field(default_factory=list)
    parts: list[list[Pair]] = field(default_factory=list)
    entries: list[bytes] = field(default_factory=list)
    first: int = 0
    maps: bytes = b""
    blocks: list[tuple[int, int, bytes]] = field(default_factory=list)
    data: int = 0
    zero: int = 0
    stored: int = 0


def _extent_root(state: _State, nv: NvList, payload: bytes) -> bytes:
    gpa, size, bitmap = (nv[k][1] for k in (b"gpa", b"size", b"data"))
    rest = INHERITED[0] if state.delta else ZERO[0]
    zero = bits(nv[b"zero"][1]) if b"zero" in nv else []
    leaves = []
    n = 0
    for i in range(min(size, 4 * MIB) // PAGE):
        at = gpa + i * PAGE
        inside = any(start <= at < start + length for start, length in state.segments)
        leaf = ZERO[0] if i in zero else rest if inside else ABSENT[0]
        if bitmap[i >> 3] >> (i & 7) & 1:
            leaf = sha256(b"\0", payload[n * PAGE:(n + 1) * PAGE])
            n += 1
        leaves.append(leaf)
    return block_root(leaves)


def number(name: str, value: int) -> Pair:
    return name.encode(), T_NUMBER, value


def binary(name: str, value: bytes) -> Pair:
    return name.encode(), T_BINARY, value


def _index(image: Image, state: _State) -> bytes:
    try:
        tree = Tree(state.segments, INHERITED if state.delta else ZERO)
        for block in state.blocks:
            if block[0] < tree.page * PAGE:
                continue
            tree.add(*block)
        tree_root = tree.root()
    except (IndexError, AssertionError, ValueError):
        tree_root = bytes(32)
    memory = tree_root
    if state.delta:
        try:
            tree = Tree(state.segments)
            for page, data in sorted(state.pages.items()):
                tree.add(page * PAGE, PAGE, sha256(b"\0", data))
            memory = tree.root()
        except (IndexError, AssertionError, ValueError):
            memory = bytes(32)
    image.content = _content(state, memory)
    total = state.memsize // PAGE
    rest = (total - state.data - state.zero) % (1 << 64)
    pairs = [binary("header", sha256(bytes(image.header))), binary("content", image.content),
             binary("memory_root", memory), number("pages_data", state.data),
             number("pages_zero", state.zero if state.delta else rest), number("extents", len(state.blocks)),
             number("stored", state.stored), (b"parts", T_NVLISTS, state.parts)]
    if state.delta:
        pairs += [binary("delta_root", tree_root), number("pages_inherited", rest)]
    return encode(pairs)


def _content(state: _State, memory: bytes) -> bytes:
    """§8.2."""
    def u64(value: Any) -> bytes:
        return struct.pack("<Q", value) if isinstance(value, int) else bytes(8)

    text = b"bhyve snapshot content".ljust(32, b"\0") + u64(len(state.arch)) + state.arch + memory
    text += u64(state.ncpus) + u64(len(state.segments)) + b"".join(u64(g) + u64(n) for g, n in state.segments)
    text += u64(len(state.devices))
    for section, name, size, digest in sorted(state.devices):
        text += u64(len(section)) + section + u64(len(name)) + name + u64(size) + digest
    return sha256(text)


def _leaves_of(nv: bytearray, payload: bytearray) -> bytearray:
    """The nvlist of a raw extent with the leaves of these pages (6.2.10); as it is if another edit broke it."""
    leaves = b"".join(sha256(b"\0", payload[at:at + PAGE]) for at in range(0, len(payload), PAGE))
    try:
        pairs = to_pairs(decode_nvlist(bytes(nv)))
    except Invalid:
        return nv
    return bytearray(encode([(n, k, leaves if n == b"leaves" and leaves else v) for n, k, v in pairs]))


def build(image: Image) -> bytes:
    """The file of these pieces, with every digest, MAP, INDEX and trailer computed."""
    out = bytearray(image.header) + sha256(bytes(image.header))
    state = _State(delta=image.base is not None, pages=dict(image.base or {}))
    image.offsets = []
    index_at = index_len = 0
    root = bytes(32)
    for piece in image.pieces:
        offset = len(out)
        image.offsets.append(offset)
        nv, payload = bytearray(piece.nv), bytearray(piece.payload)
        if piece.type == MAP and piece.auto:
            nv = bytearray(encode([number("first", state.first), number("count", len(state.entries))]))
            payload = bytearray(b"".join(state.entries))
        if piece.type == INDEX and piece.auto:
            nv, payload = bytearray(_index(image, state)), bytearray(state.maps)
        if piece.edit_nv:
            piece.edit_nv(nv)
        if piece.edit_payload:
            piece.edit_payload(payload)
            if piece.type == EXTENT and piece.flags & 1:
                nv = _leaves_of(nv, payload)
        try:
            decoded = decode_nvlist(bytes(nv))
        except Invalid:
            decoded = {}
        digest = sha256(bytes(payload))
        extent_root = bytes(32)
        if piece.type == EXTENT:
            try:
                extent_root = decoded[b"root"][1] if b"root" in decoded else \
                    _extent_root(state, decoded, bytes(payload))
            except (KeyError, IndexError, TypeError, ValueError):
                pass
            if not isinstance(extent_root, bytes) or len(extent_root) != 32:
                extent_root = bytes(32)
            if piece.flags & 1:
                digest = extent_root
        frame = bytearray(b"BHYVPART" + struct.pack("<IIIIQ", piece.type, piece.flags, len(nv), piece.alignment,
                                                    len(payload)) + sha256(bytes(nv)) + digest)
        if piece.edit_frame:
            piece.edit_frame(frame)
        frame += sha256(bytes(frame))
        out += frame + nv
        pad = bytearray(-len(out) % max(piece.alignment, 1))
        tail = bytearray(-(len(out) + len(pad) + len(payload)) % 64)
        if piece.edit_padding:
            both = pad + tail
            if both:
                piece.edit_padding(both)
            pad, tail = both[:len(pad)], both[len(pad):]
        out += pad + payload + tail
        length = len(out) - offset
        frame_digest = bytes(frame[96:])
        try:
            _note(state, piece, decoded, bytes(payload), offset, length, frame_digest, extent_root)
        except (KeyError, IndexError, TypeError, ValueError, AssertionError, AttributeError, struct.error, Invalid):
            pass
        if piece.type == INDEX:
            index_at, index_len, root = offset, length, frame_digest
    trailer = bytearray(b"BHYVE CKPT END\0\0" + struct.pack("<QQQ", index_at, index_len, len(out) + 128)
                        + bytes(24) + root)
    if image.edit_trailer:
        image.edit_trailer(trailer)
    return bytes(out + trailer + sha256(bytes(trailer)))


def _note(state: _State, piece: Piece, nv: NvList, payload: bytes, offset: int, length: int, digest: bytes,
          root: bytes) -> None:
    """Collects what MAP and INDEX will say of a part."""
    if piece.type == EXTENT:
        state.stored += len(payload)
        gpa, size, bitmap = nv[b"gpa"][1], nv[b"size"][1], nv[b"data"][1]
        if not isinstance(gpa, int) or not isinstance(size, int) or not isinstance(bitmap, bytes):
            return
        count = int.from_bytes(bitmap, "little").bit_count()
        zeros = int.from_bytes(nv[b"zero"][1], "little").bit_count() if state.delta and b"zero" in nv else 0
        state.entries.append(struct.pack("<QQQIHH", gpa, offset, length, size, count, zeros) + digest + root)
        state.blocks.append((gpa, size, root))
        state.data += count
        state.zero += zeros
        if state.delta:
            _apply(state.pages, nv, payload)
        return
    if piece.type == MAP:
        gpa = struct.unpack_from("<Q", state.entries[0])[0] if state.entries else 0
        state.maps += struct.pack("<QQQQ", offset, length, gpa, len(state.entries)) + digest
        state.first += len(state.entries)
        state.entries = []
        return
    if piece.type == INDEX:
        return
    entry = [number("type", piece.type), number("offset", offset), number("length", length), binary("digest", digest)]
    state.parts.append(entry)
    if piece.type == VM:
        gpas, lens = nv[b"gpa"], nv[b"len"]
        if gpas[0] == lens[0] == T_NUMBERS:
            state.segments = list(zip(gpas[1], lens[1]))
        if nv[b"arch"][0] == T_STRING:
            state.arch = nv[b"arch"][1]
        if nv[b"ncpus"][0] == nv[b"memsize"][0] == T_NUMBER:
            state.ncpus, state.memsize = nv[b"ncpus"][1], nv[b"memsize"][1]
    if piece.type == DEVICE:
        wanted = {b"section": T_STRING, b"name": T_STRING, b"size": T_NUMBER, b"sha256": T_BINARY}
        if all(nv[k][0] == t for k, t in wanted.items()):
            state.devices.append(tuple(nv[k][1] for k in wanted))
        entry += [nv_pair for nv_pair in to_pairs(nv) if nv_pair[0] in (b"section", b"name", b"size", b"sha256")]
