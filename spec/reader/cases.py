"""Changes to a good snapshot file that keep all its digests right: directed and random ones."""
from __future__ import annotations

import copy
import random
import struct
from typing import Any, Callable, Iterator

import reseal
from fields import record_pieces
from nvlist import (
    T_BINARY, T_BOOL, T_BOOLS, T_NULL, T_NUMBER, T_NUMBERS, T_NVLIST, T_NVLISTS, T_STRING, T_STRINGS,
    decode_nvlist, Pairs)
from rules import CONFIG, DEVICE, EXTENT, HOST, INDEX, MAP, META, PAGE, VM
from snapread import Part, Reader, type_name
from zstdframe import zstd_decode
from make import extent, part, zstd
from reseal import Image, Pair, Piece, sha256

BIG = (1 << 64) - 1
NUMBERS = [0, 1, 2, 16, 17, 63, 64, 4095, 4096, 4097, 65536, 1 << 20, (1 << 22) + 4096, 1 << 23, (1 << 32) - 1, 1 << 32,
           1 << 51, 1 << 52, (1 << 52) - 4096, (1 << 52) + 4096, 1 << 56, 1 << 63, BIG - 4095, BIG]
STRINGS = [b"", b"A", b"B", b"C", b"raw", b"zstd", b"fields", b"devices", b"structs", b"kern_structs", b"x" * 127,
           b"x" * 128, b"x" * 255, b"x" * 256, b"\xff", b"caf\xc3\xa9", b"\x1b[31m", b"a\nb", b"RAW", b"raw "]


def unpack(piece: Piece) -> list[Pair]:
    return reseal.to_pairs(decode_nvlist(piece.nv))


def replace(pairs: list[Pair], name: bytes, value: Any, kind: int | None = None) -> list[Pair]:
    return [(n, kind if kind is not None and n == name else k, value if n == name else v) for n, k, v in pairs]


def change(piece: Piece, name: bytes, value: Any, kind: int | None = None) -> None:
    piece.nv = reseal.encode(replace(unpack(piece), name, value, kind))


def value_of(piece: Piece, name: bytes) -> Any:
    return dict((n, v) for n, _, v in unpack(piece))[name]


def extent_pages(piece: Piece) -> bytes:
    count = int.from_bytes(value_of(piece, b"data"), "little").bit_count()
    if value_of(piece, b"encoding") == b"raw":
        return piece.payload
    pages = zstd_decode(piece.payload, count * PAGE, 0)
    assert pages is not None
    return pages


FIELDS = (b"layout", b"layout_version", b"fields", b"widths", b"bulk")


def record(piece: Piece) -> bytes:
    """The bytes of a record, also of one that is stored as fields."""
    nv = decode_nvlist(piece.nv)
    part = Part(0, DEVICE, 1, 0, b"", b"", Pairs(nv, 0, "5"), piece.payload, 0, 0)
    pieces: list[bytes | int] = [nv[b"size"][1]]
    if b"fields" in nv:
        pieces = record_pieces(part.pairs, nv[b"fields"][1])
    data = Reader.record(part, nv[b"encoding"][1], pieces, b"fields" in nv)
    assert data is not None
    return data


def segments(image: Image) -> list[tuple[int, int]]:
    vm = image.find(VM)
    return list(zip(value_of(vm, b"gpa"), value_of(vm, b"len")))


def relaid(image: Image, size: int, packed: bool, per_map: int) -> None:
    """The same memory in extents of another size."""
    segs, pages = segments(image), {}
    for piece in image.pieces:
        if piece.type == EXTENT:
            data, gpa, n = extent_pages(piece), value_of(piece, b"gpa"), 0
            bitmap = value_of(piece, b"data")
            for i in range(len(bitmap) * 8):
                if bitmap[i >> 3] >> (i & 7) & 1:
                    pages[gpa + i * PAGE] = data[n * PAGE:(n + 1) * PAGE]
                    n += 1
    blocks: dict[int, dict[int, bytes]] = {}
    for gpa, page in pages.items():
        blocks.setdefault(gpa - gpa % size, {})[gpa % size // PAGE] = page
    new: list[Piece] = []
    for i, gpa in enumerate(sorted(blocks)):
        new.append(extent(gpa, size, blocks[gpa], packed, segs))
        if i % per_map == per_map - 1 or i == len(blocks) - 1:
            new.append(Piece(MAP, 0, 1, b"", b""))
    image.pieces = [p for p in image.pieces if p.type not in (EXTENT, MAP, INDEX)] + new + \
        [image.find(INDEX)]


def after_meta(*pieces: Piece) -> Callable[[Image], None]:
    def do(image: Image) -> None:
        image.pieces[2:2] = list(copy.deepcopy(pieces))
    return do


S, N, B = T_STRING, T_NUMBER, T_BINARY


def config(kind: bytes = b"bhyve-config", files: Any = None, payload: bytes = b"cpus=1\n",
           more: list[Pair] | None = None, alignment: int = 1) -> Piece:
    pairs: list[Pair] = [(b"kind", S, kind)]
    if files is not None:
        pairs.append((b"files", T_NVLISTS, files))
    return part(CONFIG, pairs + (more or []), payload, alignment)


def nested(depth: int, kind: int = T_NVLIST) -> list[Pair]:
    pairs: list[Pair] = []
    for _ in range(depth - 1):
        pairs = [(b"l", kind, pairs if kind == T_NVLIST else [pairs])]
    return pairs


def meta_text(edit: Callable[[str], str | bytes]) -> Callable[[Image], None]:
    def do(image: Image) -> None:
        piece = image.find(META)
        text = edit(piece.payload.decode())
        piece.payload = text if isinstance(text, bytes) else text.encode("utf-8", "surrogatepass")
    return do


def header(edit: Callable[[list[Pair]], list[Pair]]) -> Callable[[Image], None]:
    def do(image: Image) -> None:
        reseal.set_header(image, edit(reseal.header_pairs(image)))
    return do


def rename(old_name: bytes, vm_name: bytes) -> Callable[[Image], None]:
    """Another name of the VM, everywhere."""
    def do(image: Image) -> None:
        header(lambda p: replace(p, b"vm_name", vm_name))(image)
        vm = image.find(VM)
        old = value_of(vm, b"name")
        change(vm, b"name", vm_name)
        meta = image.find(META)
        meta.payload = meta.payload.replace(b'"vmname": "' + old, b'"vmname": "' + vm_name)
    return do


def _meta_cases() -> Iterator[tuple[str, Callable[[str], str | bytes]]]:
    def sub(a: str, b: str, n: int = 1) -> Callable[[str], str]:
        return lambda t: t.replace(a, b, n)
    last = lambda t: t[:t.rindex("}")]
    yield "space before", lambda t: " \t\r\n" + t
    yield "garbage after", lambda t: t + "x"
    yield "second document", lambda t: t + "{}"
    yield "no final newline", lambda t: t.rstrip("\n")
    yield "NUL after", lambda t: t + "\0"
    yield "form feed", lambda t: t + "\f"
    yield "no-break space", lambda t: t + "\u00a0"
    yield "BOM", lambda t: "\ufeff" + t
    yield "UTF-16", lambda t: t.encode("utf-16-le")
    yield "bad UTF-8 in a value", lambda t: last(t).encode() + b', "x": "\xff"}'
    yield "comment", lambda t: t + "# c\n"
    yield "comment in", lambda t: t.replace("{", "{ /* c */", 1)
    yield "unknown key at the end", lambda t: last(t) + ', "x": 1}'
    yield "unknown key twice", lambda t: last(t) + ', "x": 1, "x": 1}'
    yield "unknown key twice, nested", lambda t: last(t) + ', "x": {"y": 1, "y": 1}}'
    yield "unknown key twice, escaped", lambda t: last(t) + ', "x": 1, "\\u0078": 1}'
    yield "unknown key with a float", lambda t: last(t) + ', "x": 1.5e3}'
    yield "unknown key 1e999", lambda t: last(t) + ', "x": 1e999}'
    yield "unknown key NaN", lambda t: last(t) + ', "x": NaN}'
    yield "unknown key Infinity", lambda t: last(t) + ', "x": -Infinity}'
    yield "unknown key null", lambda t: last(t) + ', "x": null}'
    yield "unknown key true", lambda t: last(t) + ', "x": [true, false, {}]}'
    yield "unknown key huge number", lambda t: last(t) + ', "x": ' + "9" * 200 + "}"
    yield "unknown key huger number", lambda t: last(t) + ', "x": ' + "9" * 5000 + "}"
    yield "unknown key lone surrogate", lambda t: last(t) + ', "x": "\\ud800"}'
    yield "unknown key lone low surrogate", lambda t: last(t) + ', "x": "\\udc00"}'
    yield "unknown key surrogate pair", lambda t: last(t) + ', "x": "\\ud83d\\ude00"}'
    yield "unknown key NUL escape", lambda t: last(t) + ', "x": "\\u0000"}'
    yield "unknown key control character", lambda t: last(t) + ', "x": "\x01"}'
    yield "unknown key DEL", lambda t: last(t) + ', "x": "\x7f"}'
    yield "unknown key bad escape", lambda t: last(t) + ', "x": "\\x41"}'
    yield "unknown key leading zero", lambda t: last(t) + ', "x": 01}'
    yield "unknown key plus", lambda t: last(t) + ', "x": +1}'
    yield "unknown key minus zero", lambda t: last(t) + ', "x": -0}'
    yield "unknown key dot", lambda t: last(t) + ', "x": 1.}'
    yield "unknown key single quotes", lambda t: last(t) + ", 'x': 1}"
    yield "trailing comma", lambda t: last(t) + ",}"
    for depth in (6, 7, 8, 9, 20, 31, 32, 33, 50, 63, 64, 65, 100, 127, 128, 129, 200, 600, 100000):
        yield f"unknown key {depth} deep", lambda t, d=depth: last(t) + ', "x": ' + "[" * d + "]" * d + "}"
        yield f"unknown key, number {depth} deep", lambda t, d=depth: last(t) + ', "x": ' + "[" * d + "1" + "]" * d + "}"
        yield f"unknown key, object {depth} deep", lambda t, d=depth: last(t) + ', "x": ' + '{"[":' * d + "{}" + "}" * d + "}"
    yield "unknown key in basic", sub('"ncpus"', '"x": 1, "ncpus"')
    yield "unknown key in a record", sub('"size"', '"x": 1, "size"')
    yield "ncpus twice", sub('"ncpus"', '"ncpus": 1, "ncpus"')
    yield "size twice", sub('"size"', '"size": 1, "size"')
    yield "escaped key", sub('"ncpus"', '"\\u006ecpus"')
    yield "escaped size", sub('"size"', '"\\u0073ize"')
    yield "key in upper case", sub('"ncpus"', '"NCPUS"')
    for key in ("ncpus", "memsize", "memflags", "size", "file_offset"):
        yield f"{key} missing", sub(f'"{key}"', f'"x{key}"')
        yield f"{key} float", lambda t, k=key: _number(t, k, lambda v: v + ".0")
        yield f"{key} exponent", lambda t, k=key: _number(t, k, lambda v: v + "e0")
        yield f"{key} string", lambda t, k=key: _number(t, k, lambda v: f'"{v}"')
        yield f"{key} negative", lambda t, k=key: _number(t, k, lambda v: f"-{v}")
        yield f"{key} null", lambda t, k=key: _number(t, k, lambda v: "null")
        yield f"{key} true", lambda t, k=key: _number(t, k, lambda v: "true")
        yield f"{key} plus 2^64", lambda t, k=key: _number(t, k, lambda v: str(int(v) + (1 << 64)))
        yield f"{key} plus 2^32", lambda t, k=key: _number(t, k, lambda v: str(int(v) + (1 << 32)))
        yield f"{key} plus one", lambda t, k=key: _number(t, k, lambda v: str(int(v) + 1))
        yield f"{key} minus zero", lambda t, k=key: _number(t, k, lambda v: "-0" if v == "0" else v)
    yield "vmname missing", sub('"vmname"', '"xvmname"')
    yield "vmname number", lambda t: _number(t, "vmname", lambda v: "5")
    yield "vmname null", lambda t: _number(t, "vmname", lambda v: "null")
    yield "vmname empty", lambda t: _number(t, "vmname", lambda v: '""')
    yield "vmname escaped", lambda t: _number(t, "vmname", lambda v: '"\\u%04x' % ord(v[1]) + v[2:])
    yield "basic metadata twice", sub('"basic metadata"', '"basic metadata": {}, "basic metadata"')
    yield "basic metadata missing", sub('"basic metadata"', '"basic"')
    yield "basic metadata array", sub('"basic metadata"', '"basic metadata": [], "x"')
    yield "devices missing", sub('"devices"', '"x"')
    yield "devices empty", lambda t: t[:t.index('"devices"')] + '"devices": []}'
    yield "no comma before devices", lambda t: t[:t.index('"devices"')].rstrip().rstrip(",") + t[t.index('"devices"'):]
    yield "kern_structs and structs", lambda t: last(t) + (', "structs": []}' if "kern_structs" in t else
                                                           ', "kern_structs": []}')
    yield "kernel list missing", lambda t: t.replace('"kern_structs"', '"x"').replace('"structs"', '"x"')
    yield "snapshot_req missing", sub('"snapshot_req"', '"x"')
    yield "snapshot_req string", lambda t: _number(t, "snapshot_req", lambda v: '"5"')
    yield "snapshot_req negative", lambda t: _number(t, "snapshot_req", lambda v: "-5")
    yield "snapshot_req huge", lambda t: _number(t, "snapshot_req", lambda v: "5" * 30)
    yield "snapshot_req float", lambda t: _number(t, "snapshot_req", lambda v: "5.5")
    yield "snapshot_req other", lambda t: _number(t, "snapshot_req", lambda v: "77")
    yield "entry is a number", sub("[", "[1, ")
    yield "entry is empty", sub("[", "[{}, ")
    yield "first record named otherwise", sub("vhpet", "vhpex")
    yield "first record escaped", sub("vhpet", "\\u0076hpet")
    yield "record of size 0 more", lambda t: t.replace("]}", ', {"device": "z", "snapshot_req": "z", "size": 0, "file_offset": '
                                                       + "0}]}") if "]}" in t else t
    yield "empty", lambda t: ""
    yield "array", lambda t: "[" + t + "]"
    yield "compact", lambda t: "".join(t.split("\n"))
    yield "devices first", _devices_first
    yield "entries in another order, offsets kept", lambda t: _reordered(t, False)
    yield "entries in another order, offsets too", lambda t: _reordered(t, True)
    yield "offsets of devices before the kernel's", _devices_before
    yield "basic last", _basic_last


def _number(text: str, key: str, f: Callable[[str], str]) -> str:
    at = text.find(f'"{key}": ')
    if at < 0:
        return text
    at += len(key) + 4
    end = min(i for i in (text.find(c, at) for c in ",\n") if i > 0)
    return text[:at] + f(text[at:end]) + text[end:]


def _devices_first(text: str) -> str:
    import json
    doc = json.loads(text)
    return json.dumps({"devices": doc.pop("devices"), **doc})


def _reordered(text: str, renumber: bool) -> str:
    import json
    doc = json.loads(text)
    entries = doc["kern_structs" if "kern_structs" in doc else "structs"]
    entries[0], entries[1] = entries[1], entries[0]
    if renumber:
        entries[0]["file_offset"], entries[1]["file_offset"] = 0, entries[0]["size"]
    return json.dumps(doc)


def _devices_before(text: str) -> str:
    import json
    doc = json.loads(text)
    offset = 0
    for key in ("devices", "kern_structs" if "kern_structs" in doc else "structs"):
        for entry in doc[key]:
            entry["file_offset"] = offset
            offset += entry["size"]
    return json.dumps(doc)


def _basic_last(text: str) -> str:
    import json
    doc = json.loads(text)
    basic = doc.pop("basic metadata")
    return json.dumps({**doc, "basic metadata": basic})


def _frames(data: bytes) -> Iterator[tuple[str, bytes]]:
    """Forms of a zstd frame of `data`; good and bad ones."""
    import zstandard
    good = zstd(data)
    cut = 5 + (0 if good[4] & 0x20 else 1)
    width = (1 if good[4] & 0x20 else 0, 2, 4, 8)[good[4] >> 6]
    body = good[cut + width:]
    magic, size = good[:4], len(data)
    yield "checksum", zstd(data, write_checksum=True)
    yield "wrong checksum", (lambda f: f[:-1] + bytes([f[-1] ^ 1]))(zstd(data, write_checksum=True))
    yield "no content size", zstd(data, write_content_size=False)
    yield "skippable first", struct.pack("<II", 0x184D2A50, 4) + b"abcd" + good
    yield "skippable after", good + struct.pack("<II", 0x184D2A50, 4) + b"abcd"
    yield "empty frame after", good + zstandard.ZstdCompressor().compress(b"")
    yield "byte after", good + b"\0"
    yield "cut", good[:-1]
    yield "stated size + 1", good[:cut] + (int.from_bytes(good[cut:cut + width], "little") + 1).to_bytes(width, "little") + body
    yield "size in 8 bytes", magic + b"\xe0" + struct.pack("<Q", size) + body
    yield "size huge", magic + b"\xe0" + struct.pack("<Q", BIG) + body
    yield "reserved bit", magic + b"\xe8" + struct.pack("<Q", size) + body
    yield "unused bit", magic + b"\xf0" + struct.pack("<Q", size) + body
    yield "dictionary 0", magic + b"\xe1\x00" + struct.pack("<Q", size) + body
    yield "dictionary 5", magic + b"\xe1\x05" + struct.pack("<Q", size) + body
    for log in (10, 17, 20, 27, 28, 30, 31, 32, 41):
        yield f"window 2^{log}", magic + b"\xc0" + bytes([(log - 10) << 3]) + struct.pack("<Q", size) + body
    yield "empty block first", magic + b"\xe0" + struct.pack("<Q", size) + b"\0\0\0" + body
    yield "single bytes first", magic + b"\xc0\x50" + struct.pack("<Q", size) + body
    yield "magic of an older version", b"\x27" + good[1:]
    yield "empty payload", b""
    yield "3 bytes", good[:3]
    first = zstandard.ZstdCompressor(level=19).compress(data)
    yield "level 19", first


def directed(original: Image) -> Iterator[tuple[str, Image]]:
    """Named cases, some of them good files."""
    def case(name: str, edit: Callable[[Image], Any]) -> tuple[str, Image]:
        image = copy.deepcopy(original)
        edit(image)
        return name, image

    def on(kind: int, edit: Callable[[Piece], Any]) -> Callable[[Image], None]:
        return lambda image: edit(image.find(kind)) and None

    # §3
    for name, pair in [
            ("unknown number", (b"x", N, 5)), ("unknown null", (b"x", T_NULL, None)), ("unknown bool", (b"x", T_BOOL, 1)),
            ("unknown bools", (b"x", T_BOOLS, [0, 1])), ("unknown string not UTF-8", (b"x", S, b"\xff")),
            ("unknown name not UTF-8", (b"\xff", N, 1)), ("unknown name empty", (b"", N, 1)),
            ("unknown name of 2047 bytes", (b"x" * 2047, N, 1)),
            ("unknown list", (b"x", T_NVLIST, [(b"y", N, 1)])), ("unknown lists", (b"x", T_NVLISTS, [[], [(b"y", N, 1)], []])),
            ("unknown strings", (b"x", T_STRINGS, [b"", b"\xff"])),
            ("unknown 60 deep", (b"x", T_NVLIST, nested(60))),
            ("incompatible", (b"incompatible", T_STRINGS, [b"some-thing"])),
            ("incompatible delta", (b"incompatible", T_STRINGS, [b"delta"])),
            ("incompatible not a name", (b"incompatible", T_STRINGS, [b"Some"])),
            ("incompatible string", (b"incompatible", S, b"some")),
            ("parent", (b"parent", T_NVLIST, [(b"content", B, bytes(32))])), ("parent empty", (b"parent", T_NVLIST, [])),
            ("parent number", (b"parent", N, 1)),
            ("vm_uuid", (b"vm_uuid", S, b"01234567-89ab-4def-8123-456789abcdef")),
            ("vm_uuid upper case", (b"vm_uuid", S, b"01234567-89AB-4DEF-8123-456789ABCDEF")),
            ("vm_uuid not random", (b"vm_uuid", S, b"00000000-0000-0000-0000-000000000000")),
            ("vm_uuid bad", (b"vm_uuid", S, b"x")), ("vm_uuid empty", (b"vm_uuid", S, b"")),
            ("vm_uuid braces", (b"vm_uuid", S, b"{1234567-89ab-4def-8123-456789abcde}")),
            ("vm_uuid number", (b"vm_uuid", N, 1))]:
        yield case(f"header: {name}", header(lambda p, pair=pair: p + [pair]))
    for feature in (b"some", b"some-thing", b"some2", b"2", b"a-2", b"a--b", b"-a", b"a-", b"", b"A", b"a_b", b"a.b", b"a b",
                    b"x" * 63, b"x" * 64, b"\xff", b"caf\xc3\xa9"):
        yield case(f"header: compatible {feature!r}", header(lambda p: p + [(b"compatible", T_STRINGS, [feature])]))
    yield case("header: compatible twice", header(lambda p: p + [(b"compatible", T_STRINGS, [b"a", b"a"])]))
    yield case("header: compatible two", header(lambda p: p + [(b"compatible", T_STRINGS, [b"b", b"a"])]))
    yield case("header: compatible string", header(lambda p: p + [(b"compatible", S, b"a")]))
    yield case("header: pairs in other order", header(lambda p: p[::-1]))
    for name in (b"producer", b"uuid", b"vm_name", b"created"):
        yield case(f"header: no {name.decode()}", header(lambda p: [x for x in p if x[0] != name]))
        for value in STRINGS:
            yield case(f"header: {name.decode()} {value!r}", header(lambda p: replace(p, name, value, S)))
    for uuid in (b"01234567-89AB-4DEF-8123-456789ABCDEF", b"01234567-89ab-1def-8123-456789abcdef", b"0" * 36,
                 b"00000000-0000-0000-0000-000000000000", b"01234567-89ab-4def-c123-456789abcdef"):
        yield case(f"header: uuid {uuid!r}", header(lambda p: replace(p, b"uuid", uuid)))
    for created in NUMBERS:
        yield case(f"header: created {created}", header(lambda p: replace(p, b"created", created)))
    for at, value in ((0, 0x62), (30, 1), (56, 1), (59, 1), (60, 1), (63, 128), (64, 18), (66, 1), (4063, 1)):
        yield case(f"header: byte {at} = {value}", lambda i: i.header.__setitem__(at, value))
    for name in (b"", b"x" * 255, b"x" * 256, b"caf\xc3\xa9", b"a/b", b"a b"):
        yield case(f"VM name {name[:9]!r} of {len(name)} bytes", rename(b"", name))
    yield case("no vmname in .meta, name empty", lambda i: (rename(b"", b"")(i), meta_text(lambda t: t.replace(
        '"vmname": "",', ""))(i)))
    yield case("no vmname in .meta, name as it is", meta_text(lambda t: _number(t, "vmname", lambda v: "@").replace('"vmname": @,', "")))

    # §5.1
    seg = segments(original)
    start, length = seg[0]

    def vm(segs: list[tuple[int, int]], memsize: int | None = None) -> Callable[[Image], None]:
        def do(image: Image) -> None:
            piece = image.find(VM)
            total = sum(n for _, n in segs) if memsize is None else memsize
            if total <= BIG:
                change(piece, b"memsize", total)
                meta_text(lambda t: _number(t, "memsize", lambda v: str(total)))(image)
            change(piece, b"gpa", [g for g, _ in segs])
            change(piece, b"len", [n for _, n in segs])
            relaid_roots(image)
        return do

    def relaid_roots(image: Image) -> None:
        """Extents of zstd state their root; it depends on the memory map."""
        segs = segments(image)
        for n, piece in enumerate(image.pieces):
            if piece.type == EXTENT and value_of(piece, b"encoding") == b"zstd":
                bitmap, data = value_of(piece, b"data"), extent_pages(piece)
                wanted = [i for i in range(len(bitmap) * 8) if bitmap[i >> 3] >> (i & 7) & 1]
                pages = {i: data[k * PAGE:(k + 1) * PAGE] for k, i in enumerate(wanted)}
                image.pieces[n] = extent(value_of(piece, b"gpa"), value_of(piece, b"size"), pages, True, segs)

    half = length // 2
    yield case("segments: adjacent", vm([(start, half), (start + half, length - half)] + seg[1:]))
    yield case("segments: one page longer", vm([(start, length + 4096)] + seg[1:]))
    yield case("segments: one page shorter", vm([(start, length - 4096)] + seg[1:]))
    yield case("segments: a hole inside", vm([(start, half), (start + half + 4096, length - half - 4096)] + seg[1:]))
    yield case("segments: not a page", vm([(start, length + 512)] + seg[1:]))
    yield case("segments: empty one more", vm(seg + [(1 << 40, 0)]))
    yield case("segments: far one more", vm(seg + [(1 << 40, 4096)]))
    yield case("segments: last page of all", vm(seg + [((1 << 52) - 4096, 4096)]))
    yield case("segments: beyond all", vm(seg + [((1 << 52) - 4096, 8192)]))
    yield case("segments: at 2^52", vm(seg + [(1 << 52, 4096)]))
    yield case("segments: wrapping", vm(seg + [(BIG - 4095, 4096)]))
    yield case("segments: all of space", vm([(0, 1 << 52)]))
    yield case("segments: overlapping", vm(seg + [(seg[-1][0] + seg[-1][1] - 4096, 8192)]))
    yield case("segments: descending", vm(([(1 << 40, 4096)] + seg)))
    yield case("segments: 64", vm((seg + [((1 << 40) + i * 8192, 4096) for i in range(64)])[:64]))
    yield case("segments: 65", vm((seg + [((1 << 40) + i * 8192, 4096) for i in range(65)])[:65]))
    yield case("segments: start moved", vm([(start + 4096, length - 4096)] + seg[1:]))
    yield case("memsize wrong", vm(seg, sum(n for _, n in seg) + 4096))
    yield case("len longer than gpa", on(VM, lambda p: change(p, b"len", [n for _, n in seg] + [4096])))
    for n in NUMBERS + [1023, 1024, 1025]:
        yield case(f"ncpus {n} everywhere", lambda i: (change(i.find(VM), b"ncpus", n), meta_text(
            lambda t: _number(t, "ncpus", lambda v: str(n)))(i)))
        yield case(f"memflags {n} everywhere", lambda i: (change(i.find(VM), b"memflags", n), meta_text(
            lambda t: _number(t, "memflags", lambda v: str(n)))(i)))

    # §5.2
    for name, edit in _meta_cases():
        yield case(f".meta: {name}", meta_text(edit))
    for name in ("NaN", "Infinity"):
        yield case(f".meta: {name} for a size", meta_text(lambda t: _number(t, "size", lambda v: name)))
    yield case("generation: the other", on(META, lambda p: change(
        p, b"generation", b"A" if value_of(p, b"generation") == b"B" else b"B")))
    yield case(".meta: 1 MiB", meta_text(lambda t: t.ljust(1 << 20)))
    yield case(".meta: 1 MiB + 1", meta_text(lambda t: t.ljust((1 << 20) + 1)))

    # §5.3, optional parts
    disk: list[Pair] = [(b"role", S, b"disk"), (b"path", S, b"/x"), (b"size", N, 5)]
    rom: list[Pair] = [(b"role", S, b"bootrom"), (b"path", S, b"/x"), (b"size", N, 5), (b"sha256", B, bytes(32))]
    unknown = 0x80001234
    for name, pieces in {
            "CONFIG": [config()], "CONFIG command line": [config(b"command-line")], "CONFIG kind": [config(b"x")],
            "CONFIG without kind": [part(CONFIG, [], b"x")], "CONFIG twice": [config(), config()],
            "CONFIG empty": [config(payload=b"")], "CONFIG aligned": [config(alignment=4096)],
            "CONFIG empty and aligned": [config(payload=b"", alignment=4096)],
            "CONFIG not UTF-8": [config(payload=b"\xff\n")], "CONFIG with NUL": [config(payload=b"a\0b")],
            "CONFIG unknown pair": [config(more=[(b"x", N, 1)])], "CONFIG files": [config(files=[disk, rom])],
            "CONFIG files are a list": [config(more=[(b"files", T_NVLIST, disk)])],
            "CONFIG file unknown pair": [config(files=[disk + [(b"x", N, 1)]])],
            "CONFIG file unknown role": [config(files=[replace(disk, b"role", b"floppy")])],
            "CONFIG file without path": [config(files=[disk[:1] + disk[2:]])],
            "CONFIG file without size": [config(files=[disk[:2]])],
            "CONFIG file path not UTF-8": [config(files=[replace(disk, b"path", b"\xff")])],
            "CONFIG file path empty": [config(files=[replace(disk, b"path", b"")])],
            "CONFIG disk with digest": [config(files=[disk + rom[3:]])],
            "CONFIG nvram without digest": [config(files=[replace(rom, b"role", b"nvram")[:3]])],
            "CONFIG digest of 31 bytes": [config(files=[replace(rom, b"sha256", bytes(31))])],
            "CONFIG digest is a string": [config(files=[replace(rom, b"sha256", b"x" * 32, S)])],
            "CONFIG file empty list": [config(files=[[]])],
            "CONFIG 1 MiB": [config(payload=b"x" * (1 << 20))], "CONFIG 1 MiB + 1": [config(payload=b"x" * ((1 << 20) + 1))],
            "CONFIG nvlist 64 KiB": [config(more=[(b"x", B, bytes(65536 - 19 - 38 - 21))])],
            "CONFIG nvlist 64 KiB + 1": [config(more=[(b"x", B, bytes(65536 - 19 - 38 - 20))])],
            "HOST": [part(HOST, [(b"x", N, 1)], b"abc")], "HOST twice": [part(HOST, [])] * 2,
            "HOST then CONFIG": [part(HOST, []), config()], "unknown": [part(unknown, [(b"x", N, 1)], b"abc", 4096)],
            "unknown twice": [part(unknown, [])] * 2, "unknown, required": [part(0x1234, [])], "type 0": [part(0, [])],
            "optional 0": [part(0x80000000, [])], "optional VM": [part(0x80000001, [])], "optional EXTENT": [part(0x80000020, [])],
            "optional all ones": [part(0xFFFFFFFF, [])], "type 3": [part(3, [])], "type 4": [part(4, [])],
            "unknown string not UTF-8": [part(unknown, [(b"x", S, b"\xff")])],
            "unknown name not UTF-8": [part(unknown, [(b"\xff", S, b"")])],
            "unknown not an nvlist": [Piece(unknown, 0, 1, b"\0" * 30, b"")],
            "HOST not an nvlist": [Piece(HOST, 0, 1, b"\0" * 30, b"")],
            "unknown, flag 0": [Piece(unknown, 1, 1, reseal.encode([]), b"")],
            "unknown, flag 1": [Piece(unknown, 2, 1, reseal.encode([]), b"")],
            "unknown, alignment 2": [Piece(unknown, 0, 2, reseal.encode([]), b"x")],
            "unknown, alignment 64": [Piece(unknown, 0, 64, reseal.encode([]), b"x")],
            "unknown, list flags": [Piece(unknown, 0, 1, b"l\0\1" + bytes(16), b"")],
            "unknown, big-endian": [Piece(unknown, 0, 1, b"l\0\x80" + bytes(16), b"")],
            "unknown, descriptors": [Piece(unknown, 0, 1, b"l\0\0\1" + bytes(15), b"")],
            "unknown, nvlist 1 MiB": [part(unknown, [(b"x", B, bytes((1 << 20) - 40))])],
            "unknown, nvlist 1 MiB + 1": [part(unknown, [(b"x", B, bytes((1 << 20) - 39))])],
            "unknown, 4 MiB": [part(unknown, [], bytes(1 << 22))],
            "unknown 64": [part(unknown, [])] * 64, "unknown 65": [part(unknown, [])] * 65,
            "CONFIG and 64": [config()] + [part(unknown, [])] * 64}.items():
        yield case(f"optional: {name}", after_meta(*pieces))
        if len(pieces) == 1 and name in ("CONFIG", "unknown"):
            for at in (0, 1, 3, -3, -2, -1):
                yield case(f"optional: {name} at {at}", lambda i: i.pieces.insert(
                    at % len(i.pieces) if at else 0, copy.deepcopy(pieces[0])))
    for depth in (2, 8, 15, 16, 17, 31, 32, 33, 34, 63, 64, 65, 66, 127, 128, 129, 200):
        for kind in (T_NVLIST, T_NVLISTS):
            yield case(f"nvlist: {depth} deep, type {kind}", after_meta(config(more=nested(depth, kind))))
            yield case(f"optional: {depth} deep, type {kind}", after_meta(part(unknown, nested(depth, kind))))
    yield case("optional: 20000 pairs", after_meta(part(unknown, [(b"%d" % i, T_NULL, None) for i in range(20000)])))
    yield case("optional: 10000 elements", after_meta(part(unknown, [(b"x", T_NVLISTS, [[]] * 10000)])))
    for name, nv in _odd_lists():
        yield case(f"nvlist: {name}", after_meta(Piece(CONFIG, 0, 1, nv, b"")))
        yield case(f"optional: nvlist: {name}", after_meta(Piece(unknown, 0, 1, nv, b"")))

    # §5.4
    big = max((p for p in original.pieces if p.type == DEVICE), key=lambda p: value_of(p, b"size"))
    place = next(i for i, p in enumerate(original.pieces) if p is big)
    data = record(big)
    sized = [p for p in replace(unpack(big), b"encoding", b"zstd") if p[0] not in FIELDS]
    for name, frame in _frames(data):
        yield case(f"DEVICE zstd: {name}", lambda i: i.pieces.__setitem__(place, part(DEVICE, sized, frame)))
    yield case("DEVICE raw", lambda i: i.pieces.__setitem__(place, part(DEVICE, replace(sized, b"encoding", b"raw"), data)))
    yield case("DEVICE raw aligned", lambda i: i.pieces.__setitem__(
        place, part(DEVICE, replace(sized, b"encoding", b"raw"), data, 4096)))
    yield case("DEVICE zstd aligned", lambda i: i.pieces.__setitem__(place, part(DEVICE, sized, zstd(data), 4096)))
    noise = random.Random(5).randbytes(len(data))
    digest = replace(sized, b"sha256", sha256(noise))
    yield case("DEVICE zstd not shorter", lambda i: i.pieces.__setitem__(place, part(DEVICE, digest, zstd(noise))))
    yield case("DEVICE other bytes, raw", lambda i: i.pieces.__setitem__(
        place, part(DEVICE, replace(digest, b"encoding", b"raw"), noise)))
    yield case("DEVICE digest of another", lambda i: i.pieces.__setitem__(place, part(DEVICE, digest, zstd(data))))
    for index, piece in enumerate(original.pieces):
        if piece.type == DEVICE and value_of(piece, b"size") == 0:
            yield case("DEVICE empty, zstd", lambda i: i.pieces.__setitem__(index, part(
                DEVICE, replace(unpack(piece), b"encoding", b"zstd"), zstd(b""))))
            yield case("DEVICE empty, aligned", lambda i: setattr(i.pieces[index], "alignment", 4096))
            break

    # §6
    for size in (1 << 15, 1 << 16, 1 << 17, 1 << 20, 1 << 21, 1 << 22, 1 << 23, 3 << 16):
        for packed in (False, True):
            for per_map in (4096, 1, 3):
                if size & (size - 1) and packed:
                    continue
                yield case(f"memory: extents of {size:#x}, {'zstd' if packed else 'raw'}, a MAP after {per_map}",
                           lambda i: relaid(i, size, packed, per_map))
    ext = original.find(EXTENT)
    at = next(i for i, p in enumerate(original.pieces) if p is ext)
    pages = extent_pages(ext)
    bitmap = value_of(ext, b"data")
    wanted = [i for i in range(len(bitmap) * 8) if bitmap[i >> 3] >> (i & 7) & 1]
    held = {i: pages[k * PAGE:(k + 1) * PAGE] for k, i in enumerate(wanted)}
    gpa, size = value_of(ext, b"gpa"), value_of(ext, b"size")
    for packed in (False, True):
        word = "zstd" if packed else "raw"
        yield case(f"memory: zero pages stored, {word}", lambda i: i.pieces.__setitem__(at, extent(
            gpa, size, {**{k: bytes(4096) for k in range(size // 4096)}, **held}, packed, seg)))
        yield case(f"memory: other pages, {word}", lambda i: i.pieces.__setitem__(at, extent(
            gpa, size, {k: b"\5" * 4096 for k in held}, packed, seg)))
        yield case(f"memory: no data, {word}", lambda i: i.pieces.__setitem__(at, extent(gpa, size, {}, packed, seg)))
        yield case(f"memory: extent twice, {word}", lambda i: i.pieces.insert(at, extent(gpa, size, held, packed, seg)))
        beyond = -(-(seg[-1][0] + seg[-1][1]) // size) * size
        yield case(f"memory: extent outside, {word}", lambda i: i.pieces.insert(
            max(k for k, p in enumerate(i.pieces) if p.type == EXTENT) + 1, extent(beyond, size, held, packed, seg)))
        yield case(f"memory: extent at 2^52, {word}", lambda i: i.pieces.insert(
            max(k for k, p in enumerate(i.pieces) if p.type == EXTENT) + 1, extent(1 << 52, size, held, packed, seg)))
        yield case(f"memory: extent not aligned, {word}", lambda i: i.pieces.__setitem__(at, extent(
            gpa + 4096, size, held, packed, seg)))
        yield case(f"memory: bitmap too long, {word}", lambda i: (i.pieces.__setitem__(at, extent(gpa, size, held, packed, seg)), change(
            i.pieces[at], b"data", bitmap + b"\0")))
        yield case(f"memory: bitmap too short, {word}", lambda i: (i.pieces.__setitem__(at, extent(gpa, size, held, packed, seg)), change(
            i.pieces[at], b"data", bitmap[:-1])))
        yield case(f"memory: alignment, {word}", lambda i: (i.pieces.__setitem__(at, extent(gpa, size, held, packed, seg)), setattr(
            i.pieces[at], "alignment", 1 if i.pieces[at].alignment == 4096 else 4096)))
        yield case(f"memory: flag, {word}", lambda i: (i.pieces.__setitem__(at, extent(gpa, size, held, packed, seg)), setattr(
            i.pieces[at], "flags", 1 - i.pieces[at].flags)))
        yield case(f"memory: no flag and no alignment, {word}", lambda i: (i.pieces.__setitem__(at, extent(
            gpa, size, held, packed, seg)), setattr(i.pieces[at], "flags", 0), setattr(i.pieces[at], "alignment", 1)))
    raw = extent(gpa, size, held, False, seg)
    packed_piece = extent(gpa, size, held, True, seg)
    root = value_of(packed_piece, b"root")
    yield case("memory: root in a raw extent", lambda i: i.pieces.__setitem__(at, Piece(
        EXTENT, 1, 4096, reseal.encode(unpack(raw) + [(b"root", B, root)]), raw.payload)))
    yield case("memory: no root in a zstd extent", lambda i: i.pieces.__setitem__(at, Piece(
        EXTENT, 0, 1, reseal.encode([p for p in unpack(packed_piece) if p[0] != b"root"]), packed_piece.payload)))
    yield case("memory: another root", lambda i: i.pieces.__setitem__(at, Piece(
        EXTENT, 0, 1, reseal.encode(replace(unpack(packed_piece), b"root", bytes(32))), packed_piece.payload)))
    yield case("memory: root of 33 bytes", lambda i: i.pieces.__setitem__(at, Piece(
        EXTENT, 0, 1, reseal.encode(replace(unpack(packed_piece), b"root", root + b"\0")), packed_piece.payload)))
    for name, frame in _frames(pages):
        yield case(f"EXTENT zstd: {name}", lambda i: i.pieces.__setitem__(at, Piece(EXTENT, 0, 1, packed_piece.nv, frame)))
    noise = random.Random(6).randbytes(len(pages))
    loud = extent(gpa, size, {k: noise[n * 4096:n * 4096 + 4096] for n, k in enumerate(held)}, True, seg)
    yield case("EXTENT zstd: not shorter", lambda i: i.pieces.__setitem__(at, loud))
    yield case("no memory stored", lambda i: setattr(i, "pieces", [p for p in i.pieces if p.type not in (EXTENT, MAP)]))
    yield case("no MAP", lambda i: setattr(i, "pieces", [p for p in i.pieces if p.type != MAP]))
    yield case("MAP twice", lambda i: i.pieces.insert(-1, copy.deepcopy(i.find(MAP))))
    yield case("MAP empty", lambda i: i.pieces.insert(-1, Piece(MAP, 0, 1, reseal.encode(
        [reseal.number("first", 0), reseal.number("count", 0)]), b"", auto=False)))
    yield case("MAP aligned", lambda i: setattr(i.find(MAP), "alignment", 4096))
    yield case("INDEX aligned", lambda i: setattr(i.find(INDEX), "alignment", 4096))
    yield case("META aligned", lambda i: setattr(i.find(META), "alignment", 4096))
    yield case("VM aligned", lambda i: setattr(i.find(VM), "alignment", 4096))

    # order, §2.2
    names = {p.type for p in original.pieces}
    for kind in sorted(names):
        word = type_name(kind)
        where = next(i for i, p in enumerate(original.pieces) if p.type == kind)
        yield case(f"order: no {word}", lambda i: i.pieces.pop(where))
        yield case(f"order: {word} twice", lambda i: i.pieces.insert(where, copy.deepcopy(i.pieces[where])))
        yield case(f"order: {word} first", lambda i: i.pieces.insert(0, i.pieces.pop(where)))
        yield case(f"order: {word} last", lambda i: i.pieces.append(i.pieces.pop(where)))
    for i in range(len(original.pieces) - 1):
        yield case(f"order: parts {i} and {i + 1} swapped", lambda im: im.pieces.insert(i, im.pieces.pop(i + 1)))
    yield case("INDEX alone", lambda i: setattr(i, "pieces", [i.find(INDEX)]))
    yield case("no parts", lambda i: setattr(i, "pieces", []))

    yield from of_pairs(original)


def of_pairs(original: Image) -> Iterator[tuple[str, Image]]:
    """Pairs of a part of every type, §1.3, §5, §7."""
    seen = set()
    for place, piece in enumerate(original.pieces):
        kind = piece.type, piece.type == DEVICE and b"fields" in decode_nvlist(piece.nv)
        if kind in seen:
            continue
        seen.add(kind)
        yield from _pair_cases(original, place)


def large(original: Image) -> Iterator[tuple[str, Image]]:
    """More extents than one MAP part holds (§6.5)."""
    size, total = 65536, 4100
    segs = [(0, 8192 * size)]
    page = b"\7" * PAGE
    blocks = [extent(n * size, size, {n % 16: page}, True, segs) for n in range(total)]
    for per_map in (1000, 4095, 4096, 4097, 4100):
        image = copy.deepcopy(original)
        vm = image.find(VM)
        memsize = segs[0][1]
        for name, value in ((b"gpa", [0]), (b"len", [memsize]), (b"memsize", memsize)):
            change(vm, name, value)
        meta_text(lambda t: _number(t, "memsize", lambda v: str(memsize)))(image)
        body: list[Piece] = []
        for n, block in enumerate(blocks):
            body.append(block)
            if n % per_map == per_map - 1 or n == total - 1:
                body.append(Piece(MAP, 0, 1, b"", b""))
        image.pieces = [p for p in image.pieces if p.type not in (EXTENT, MAP, INDEX)] + body + \
            [image.find(INDEX)]
        yield f"{total} extents, a MAP after {per_map}", image


def _with_list(piece: Piece, edit: Callable[[list[Pair]], list[Pair]]) -> None:
    """Changes the pairs, of computed parts after they were computed."""
    def do(nv: bytearray) -> None:
        nv[:] = reseal.encode(edit(reseal.to_pairs(decode_nvlist(bytes(nv)))))
    piece.edit_nv = do


def _pair_cases(original: Image, place: int) -> Iterator[tuple[str, Image]]:
    kind = original.pieces[place].type
    word = type_name(kind)
    built = copy.deepcopy(original)
    names = [(n, k) for n, k, _ in unpack(built.pieces[place])]

    def case(name: str, edit: Callable[[list[Pair]], list[Pair]]) -> tuple[str, Image]:
        image = copy.deepcopy(original)
        _with_list(image.pieces[place], edit)
        return f"{word} {name}", image

    yield case("pairs in other order", lambda p: p[::-1])
    yield case("unknown pair", lambda p: p + [(b"x", N, 1)])
    yield case("unknown empty name", lambda p: p + [(b"", N, 1)])
    for name, have in names:
        text = name.decode()
        yield case(f"without {text}", lambda p: [x for x in p if x[0] != name])
        yield case(f"{text} twice", lambda p: p + [x for x in p if x[0] == name])
        yield case(f"{text} null", lambda p: replace(p, name, None, T_NULL))
        yield case(f"{text} in upper case", lambda p: [(n.upper() if n == name else n, k, v) for n, k, v in p])
        for value in NUMBERS[:6] if have != N else NUMBERS:
            yield case(f"{text} number {value}", lambda p: replace(p, name, value, N))
        for string in STRINGS if have == S else STRINGS[:2]:
            yield case(f"{text} string {string[:12]!r} {len(string)}", lambda p: replace(p, name, string, S))
        for binary in (b"\0", bytes(31), bytes(32), bytes(33), b"\xff" * 32, b"\1\0" * 16):
            yield case(f"{text} binary of {len(binary)} {binary[0]}", lambda p: replace(p, name, binary, B))
        yield case(f"{text} list array", lambda p: replace(p, name, [[]], T_NVLISTS))
    if kind == INDEX:
        listed = sum(p.type not in (EXTENT, MAP, INDEX) for p in original.pieces)
        for which in (0, 2, -1) if listed > 2 else (0,):
            def inner(edit: Callable[[list[Pair]], list[Pair]]) -> Callable[[list[Pair]], list[Pair]]:
                def do(pairs: list[Pair]) -> list[Pair]:
                    parts = dict((n, v) for n, _, v in pairs)[b"parts"]
                    parts[which] = edit(parts[which])
                    return replace(pairs, b"parts", parts)
                return do
            for name in (b"type", b"offset", b"length", b"digest", b"section", b"name", b"size", b"sha256"):
                yield case(f"parts[{which}] without {name.decode()}", inner(lambda e: [x for x in e if x[0] != name]))
                yield case(f"parts[{which}] {name.decode()} 0", inner(lambda e: replace(e, name, 0, N)))
                yield case(f"parts[{which}] {name.decode()} other", inner(lambda e: [
                    (n, k, v if n != name else v ^ 1 if k == N else v[:-1] + b"!") for n, k, v in e]))
                yield case(f"parts[{which}] {name.decode()} more", inner(
                    lambda e: e if any(n == name for n, _, _ in e) else e + [(name, S, b"x")]))
            yield case(f"parts[{which}] in other order", inner(lambda e: e[::-1]))
            yield case(f"parts[{which}] unknown pair", inner(lambda e: e + [(b"x", N, 1)]))
        yield case("parts swapped", lambda p: replace(p, b"parts", dict((n, v) for n, _, v in p)[b"parts"][::-1]))
        yield case("parts one less", lambda p: replace(p, b"parts", dict((n, v) for n, _, v in p)[b"parts"][:-1]))
        yield case("parts one twice", lambda p: replace(p, b"parts", dict((n, v) for n, _, v in p)[b"parts"] * 2))


def _odd_lists() -> Iterator[tuple[str, bytes]]:
    """Lists as libnv reads them and would not have written them, and neighbours."""
    kind: Pair = (b"kind", S, b"command-line")                      # what a CONFIG part must have

    def encode(pairs: list[Pair]) -> bytes:
        return reseal.encode(pairs + [kind])

    two: list[Pair] = [(b"a", T_NVLIST, [(b"b", N, 1)]), (b"c", N, 2)]
    plain = encode(two)
    yield "good", plain
    at = plain.index(b"\x05", 19)
    for size in (0, 1, 18, 19, 19 + 29, 19 + 29 - 1, 19 + 29 + 20, 19 + 29 + 20 + 29, 19 + 29 + 29, BIG):
        yield f"data size {size} of a nested list", plain[:at + 3] + struct.pack("<Q", size) + plain[at + 11:]
    yield "item count of a nested list", plain[:at + 11] + b"\1" + plain[at + 12:]
    yield "version", plain[:1] + b"\1" + plain[2:]
    inner = plain.index(b"l", at)
    yield "inner version", plain[:inner + 1] + b"\1" + plain[inner + 2:]
    for flag in (1, 2, 3, 128):
        yield f"inner flags {flag}", plain[:inner + 2] + bytes([flag]) + plain[inner + 3:]
    yield "inner descriptors", plain[:inner + 3] + b"\1" + plain[inner + 4:]
    up = plain.index(b"\xff\1\0")
    yield "NEXT for UP", plain[:up] + b"\xfe" + plain[up + 1:]
    yield "UP with items", plain[:up + 11] + b"\1" + plain[up + 12:]
    yield "UP with data size", plain[:up + 3] + b"\1" + plain[up + 4:]
    array = encode([(b"a", T_NVLISTS, [[(b"b", N, 1)], []]), (b"c", N, 2)])
    yield "array", array
    at = array.index(b"\x0b", 19)
    for size in (1, 19, 48):
        yield f"data size {size} of a list array", array[:at + 3] + struct.pack("<Q", size) + array[at + 11:]
    for items in (0, 1, 3, 255):
        yield f"{items} elements stated", array[:at + 11] + struct.pack("<Q", items) + array[at + 19:]
    last = array.rindex(b"\xfe\1\0")
    yield "UP for the last NEXT", array[:last] + b"\xff" + array[last + 1:]
    number = encode([(b"n", N, 5)])
    yield "item count of a number", number[:30] + b"\1" + number[31:]
    bools = encode([(b"n", T_BOOLS, [1, 0, 1])])
    yield "bools", bools
    yield "bools with a 2", encode([(b"n", T_BOOLS, [1, 0, 2])])
    yield "bool 2", encode([(b"n", T_BOOL, 2)])
    yield "twice", encode([(b"n", N, 5), (b"n", N, 5)])
    yield "other case", encode([(b"n", N, 5), (b"N", N, 5)])
    yield "twice in an element", encode([(b"a", T_NVLISTS, [[(b"n", N, 5), (b"n", N, 5)]])])
    yield "descriptor", number[:19] + b"\x06" + number[20:]
    yield "type 0", number[:19] + b"\0" + number[20:]
    yield "type 13", number[:19] + b"\x0d" + number[20:]
    yield "empty strings", encode([(b"n", T_STRINGS, [b"", b""])])
    yield "name of 2047", encode([(b"n" * 2047, N, 5)])
    yield "name of 2048", encode([(b"n" * 2048, N, 5)])
    yield "UP at the top", number[:11] + struct.pack("<Q", len(number) + 1) + number[19:] + b"\xff\1\0" + bytes(17)


def resealed(original: Image, rng: random.Random) -> tuple[str, Image]:
    """One random change of a piece, or of two."""
    image = copy.deepcopy(original)
    names = [_one(image, rng) for _ in range(1 if rng.random() < 0.8 else 2)]
    return " and ".join(names), image


def _flip(rng: random.Random, lo: int = 0, hi: int | None = None) -> Callable[[bytearray], None]:
    seed = rng.random()

    def do(data: bytearray) -> None:
        own = random.Random(seed)
        end = len(data) if hi is None else min(hi, len(data))
        if end <= lo:
            return
        at = own.randrange(lo, end)
        how = own.randrange(4)
        if how == 0:
            data[at] ^= 1 << own.randrange(8)
        elif how == 1:
            data[at] = own.choice([0, 1, 2, 127, 128, 255, 0x7B, 0x22, 0x2C, 0x20, 0x30, 0x39])
        elif how == 2:
            data[at] = (data[at] + own.choice([1, -1])) % 256
        else:
            data[at] = own.randrange(256)
    return do


def _one(image: Image, rng: random.Random) -> str:
    place = rng.randrange(len(image.pieces))
    kinds = sorted({p.type for p in image.pieces})
    if rng.random() < 0.7:                          # parts of rare types as often as the others
        kind = rng.choice(kinds)
        place = rng.choice([i for i, p in enumerate(image.pieces) if p.type == kind])
    piece = image.pieces[place]
    word = f"part {place} ({type_name(piece.type)})"
    what = rng.randrange(12)
    if what <= 2:
        piece.edit_nv = _flip(rng)
        return f"{word}: nvlist byte"
    if what <= 4:
        piece.edit_payload = _flip(rng)
        return f"{word}: payload byte"
    if what == 5:
        piece.edit_frame = _flip(rng, 0, 32 if rng.random() < 0.8 else 96)
        return f"{word}: frame byte"
    if what == 6:
        piece.edit_padding = _flip(rng)
        return f"{word}: padding byte"
    if what == 7:
        image.edit_trailer = _flip(rng)
        return "trailer byte"
    if what == 8:
        _flip(rng, 0 if rng.random() < 0.2 else 56, 4064 if rng.random() < 0.2 else 360)(image.header)
        return "header byte"
    if what == 9:
        how = rng.randrange(3)
        if how == 0:
            image.pieces.pop(place)
            return f"{word}: gone"
        if how == 1:
            image.pieces.insert(rng.randrange(len(image.pieces)), copy.deepcopy(piece))
            return f"{word}: copied"
        image.pieces.insert(rng.randrange(len(image.pieces)), image.pieces.pop(place))
        return f"{word}: moved"
    if what == 10:
        if piece.payload and piece.type not in (MAP, INDEX):
            cut = rng.randrange(len(piece.payload))
            piece.payload = rng.choice([piece.payload[:cut], piece.payload + b"\0", piece.payload[cut:]])
            return f"{word}: payload cut"
        piece.alignment = rng.choice([0, 1, 2, 64, 4096, 8192])
        return f"{word}: alignment {piece.alignment}"
    seed = rng.random()

    def edit(pairs: list[Pair]) -> list[Pair]:
        own = random.Random(seed)
        pairs = list(pairs)
        if not pairs:
            return [(b"x", N, 1)]
        i = own.randrange(len(pairs))
        name, kind, value = pairs[i]
        how = own.randrange(8)
        if how == 0:
            pairs.pop(i)
        elif how == 1:
            pairs.insert(own.randrange(len(pairs)), (own.choice([b"x", b"", name, b"root", b"sha256"]), N, own.choice(NUMBERS)))
        elif how == 2:
            own.shuffle(pairs)
        elif kind == N:
            pairs[i] = name, kind, own.choice(NUMBERS + [max(value - 1, 0), min(value + 1, BIG), value ^ 4096])
        elif kind == S:
            pairs[i] = name, kind, own.choice(STRINGS + [value + b" ", value[:-1], value.upper()])
        elif kind == T_NUMBERS:
            pairs[i] = name, kind, own.choice([value + [own.choice(NUMBERS)], [own.choice(NUMBERS)], value * 2])
        elif kind == B:
            pairs[i] = name, kind, own.choice([value + b"\0", value[:-1] or b"\1", bytes(len(value)), value[::-1]])
        elif kind == T_NVLISTS:
            j = own.randrange(len(value))
            value[j] = edit(value[j]) if own.random() < 0.7 else value[own.randrange(len(value))]
        return pairs
    _with_list(piece, edit)
    return f"{word}: pairs"
