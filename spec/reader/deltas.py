"""Directed cases with a known answer, for what a file has besides a full file of three files with whole records.

    deltas.py          runs snapread over all cases; exit status 1 where it says something else

Each breaks one rule of chapter 13, of 5.4.8 to 5.4.10, of 6.2.10, or of what hangs together with them, and has all its
digests right; some are good files that look odd. A case is a chain, the full file first, with the rule that the
check of the chain names, and the one that the check of its last file alone names; None where the file is good.
"""
from __future__ import annotations

import copy
import io
import json
import struct
import sys
from dataclasses import dataclass
from typing import Any, Callable, Iterator

import make
import reseal
from memory import Tree
from nvlist import (
    T_BINARY, T_BOOL, T_BOOLS, T_NULL, T_NUMBER, T_NUMBERS, T_NVLIST, T_NVLISTS, T_STRING, T_STRINGS,
    decode_nvlist)
from rules import CONFIG, DEVICE, EXTENT, HOST, INDEX, MAP, META, PAGE, VM, sha256
from snapread import verify, verify_chain
from reseal import Image, Pair, Piece, binary, number

PAGE, BLOCK, SEGS = PAGE, make.BLOCK, make.SEGMENTS
S, N, B = T_STRING, T_NUMBER, T_BINARY
Edit = Callable[[list[Pair]], list[Pair]]


@dataclass
class Case:
    name: str
    files: list[bytes]
    chain: str | None
    alone: str | None


def without(name: bytes) -> Edit:
    return lambda pairs: [p for p in pairs if p[0] != name]


def put(name: str, kind: int, value: Any) -> Edit:
    """The pair with this value, in its place or at the end."""
    key = name.encode()

    def do(pairs: list[Pair]) -> list[Pair]:
        if any(p[0] == key for p in pairs):
            return [(n, kind, value) if n == key else (n, k, v) for n, k, v in pairs]
        return pairs + [(key, kind, value)]
    return do


def also(*edits: Edit) -> Edit:
    def do(pairs: list[Pair]) -> list[Pair]:
        for edit in edits:
            pairs = edit(pairs)
        return pairs
    return do


def value(pairs: list[Pair], name: bytes) -> Any:
    return next(v for n, _, v in pairs if n == name)


def edit_piece(piece: Piece, edit: Edit) -> None:
    piece.nv = reseal.encode(edit(reseal.to_pairs(decode_nvlist(piece.nv))))


def edit_computed(image: Image, kind: int, edit: Edit) -> None:
    """Changes the pairs of a part after MAP and INDEX were computed."""
    def do(nv: bytearray) -> None:
        nv[:] = reseal.encode(edit(reseal.to_pairs(decode_nvlist(bytes(nv)))))
    image.find(kind).edit_nv = do


def edit_header(image: Image, edit: Edit) -> None:
    reseal.set_header(image, edit(reseal.header_pairs(image)))


class Family:
    """A full file and a delta against it, both built, from which cases are made."""

    def __init__(self) -> None:
        self.base = make.full()
        self.files = [reseal.build(self.base)]
        self.forms: dict[str, Image] = {}
        for form in ("raw", "zstd", "xor"):
            self.forms[form] = one_device_changed(make.delta(self.base, make.changes(self.base, form)))
            reseal.build(self.forms[form])

    def case(self, name: str, rule: str | None, edit: Callable[[Image], Any], alone: str | None = "same",
             form: str = "xor") -> Case:
        """A delta, changed by `edit`; `alone` is what its check without the base says."""
        image = copy.deepcopy(self.forms[form])
        edit(image)
        return Case(f"{name} ({form})", self.files + [reseal.build(image)], rule, rule if alone == "same" else alone)

    def lone(self, name: str, rule: str | None, edit: Callable[[Image], Any]) -> Case:
        """A full file, changed by `edit`: a chain of one."""
        image = copy.deepcopy(self.base)
        edit(image)
        return Case(name, [reseal.build(image)], rule, rule)

    def extents(self, name: str, rule: str | None, extents: list[Piece], alone: str | None = "same",
                base: bool = True) -> Case:
        """A delta of these extents, or, without `base`, a full file."""
        if base:
            image = one_device_changed(make.delta(self.base, extents))
        else:
            image = copy.deepcopy(self.base)
            image.pieces[7:-2] = extents
        return Case(name, (self.files if base else []) + [reseal.build(image)], rule, rule if alone == "same" else alone)


def lineage(f: Family) -> Iterator[Case]:
    """§13.1."""
    def head(edit: Edit) -> Callable[[Image], None]:
        return lambda image: edit_header(image, edit)

    def parent(edit: Edit) -> Callable[[Image], None]:
        return head(lambda p: put("parent", T_NVLIST, edit(value(p, b"parent")))(p))

    base = f.base.content
    for form in f.forms:
        yield f.case("delta", None, lambda i: None, form=form)
    yield f.lone("full file", None, lambda i: None)
    yield f.case("no parent", "13.1", head(without(b"parent")))
    yield f.case("parent, no feature", "13.1", head(without(b"incompatible")))
    yield f.case("parent, feature only compatible", "13.1", head(also(
        without(b"incompatible"), put("compatible", T_STRINGS, [b"delta"]))))
    yield f.case("feature in both lists", None, head(put("compatible", T_STRINGS, [b"delta"])))
    yield f.case("another feature too", "3.7", head(put("incompatible", T_STRINGS, [b"delta", b"more"])))
    yield f.case("another feature first", "3.7", head(put("incompatible", T_STRINGS, [b"more", b"delta"])))
    yield f.case("feature twice", "3.7", head(put("incompatible", T_STRINGS, [b"delta", b"delta"])))
    yield f.case("feature in upper case", "9.3", head(put("incompatible", T_STRINGS, [b"Delta"])))
    yield f.case("incompatible is a string", "3.5", head(put("incompatible", S, b"delta")))
    yield f.lone("full: feature only compatible", None, head(put("compatible", T_STRINGS, [b"delta"])))
    yield f.lone("full: feature", "13.1", head(put("incompatible", T_STRINGS, [b"delta"])))
    yield f.lone("full: parent", "13.1", head(put("parent", T_NVLIST, [binary("content", base)])))
    yield f.case("parent is a binary", "13.1", head(put("parent", B, base)))
    yield f.case("parent is an array", "13.1", head(put("parent", T_NVLISTS, [[binary("content", base)]])))
    yield f.case("parent empty", "13.1.1", parent(lambda p: []))
    yield f.case("parent without uuid", None, parent(without(b"uuid")))
    yield f.case("parent: content of 31 bytes", "13.1.1", parent(put("content", B, base[:31])))
    yield f.case("parent: content of 33 bytes", "13.1.1", parent(put("content", B, base + b"\0")))
    yield f.case("parent: content is a string", "13.1.1", parent(put("content", S, b"x" * 32)))
    yield f.case("parent: uuid not one", "13.1.2", parent(put("uuid", S, b"base.snap")))
    yield f.case("parent: uuid empty", "13.1.2", parent(put("uuid", S, b"")))
    yield f.case("parent: uuid a number", "13.1.2", parent(put("uuid", N, 5)))
    yield f.case("parent: uuid in upper case", None, parent(put("uuid", S, b"01234567-89AB-4DEF-8123-456789ABCDEF")))
    yield f.case("parent: uuid of the file itself", None, head(lambda p: put("parent", T_NVLIST, [
        binary("content", base), (b"uuid", S, value(p, b"uuid"))])(p)))
    yield f.case("parent: unknown pair", None, parent(lambda p: p + [number("x", 5)]))
    yield f.case("parent: pairs in other order", None, parent(lambda p: p[::-1]))
    yield f.case("parent: another content", "13.1.1", parent(put("content", B, bytes(32))), alone=None)
    yield f.case("parent: memory root for content", "13.1.1", parent(
        put("content", B, memory_root(f.base))), alone=None)
    own = f.forms["xor"].content
    yield f.case("parent: own content", "13.1.1", parent(put("content", B, own)), alone=None)
    nothing = make.delta(f.base, [])
    yield Case("nothing changed, not even the devices", f.files + [reseal.build(nothing)], None, None)
    yield Case("nothing changed, one file twice", f.files + [reseal.build(nothing)] * 2, "13.6", None)
    yield Case("nothing changed, in two files", f.files + [reseal.build(nothing), reseal.build(make.delta(nothing, []))], None, None)
    yield Case("memory did not change", f.files + [reseal.build(one_device_changed(nothing))], None, None)


def memory_root(image: Image) -> bytes:
    tree = Tree(SEGS)
    for page, data in sorted(reseal.pages(image).items()):
        tree.add(page * PAGE, PAGE, sha256(b"\0", data))
    return tree.root()


def one_device_changed(image: Image) -> Image:
    image = copy.deepcopy(image)
    at = next(i for i, p in enumerate(image.pieces) if p.type == DEVICE and b"vioapic" in p.nv)
    image.pieces[at] = make.device(b"kern_structs", b"vioapic", b"\1\2\4" * 50)
    return image


def chains(f: Family) -> Iterator[Case]:
    """§13.4: files that are good alone, as a chain."""
    images, files = [f.base], list(f.files)
    for seed, form in enumerate(("xor", "zstd", "raw", "xor"), 10):
        images.append(make.delta(images[-1], make.changes(images[-1], form, seed)))
        files.append(reseal.build(images[-1]))
    yield Case("chain of five", files, None, None)
    yield Case("chain of the full file", files[:1], None, None)
    yield Case("chain without the full file", files[1:], "13.4", None)
    yield Case("chain of one delta", files[1:2], "13.4", None)
    yield Case("chain with one left out", files[:2] + files[3:], "13.1.1", None)
    yield Case("chain with two exchanged", [files[0], files[2], files[1]], "13.1.1", None)
    yield Case("chain from the newest", files[1::-1], "13.4", None)
    yield Case("full file twice", files[:1] * 2, "13.4", None)
    yield Case("delta twice", files[:2] + files[1:2], "13.1.1", None)
    other = copy.deepcopy(images[1])
    edit_header(other, put("created", N, 5))
    yield Case("another file of the same content", [files[0], reseal.build(other), files[2]], None, None)
    joined = copy.deepcopy(f.base)
    joined.pieces[7:-2] = blocks(reseal.pages(images[2]))
    packed = reseal.build(joined)
    assert joined.content == images[2].content
    yield Case("joined file below a delta", [packed, files[3]], None, None)
    back = make.delta(images[1], restored(f.base, images[1]))
    assert reseal.build(back) and back.content == f.base.content
    yield Case("back in the first state, and on", files[:2] + [reseal.build(back), files[1]], "13.6", None)
    again = make.delta(back, restored(images[1], back))
    yield Case("back in the first state, and on in another file", files[:2] + [reseal.build(back), reseal.build(again)], None, None)
    still = [f.base]
    while len(still) < 64:
        still.append(make.delta(still[-1], []))
        reseal.build(still[-1])
    yield Case("chain of 64 files", [reseal.build(image) for image in still], None, None)
    bad = copy.deepcopy(f.base)
    edit_computed(bad, INDEX, put("stored", N, 1))
    yield Case("full file broken", [reseal.build(bad), files[1]], "7.1.5", None)
    twin = copy.deepcopy(f.base)
    edit_piece(next(p for p in twin.pieces if p.type == VM), put("ncpus", N, 3))
    meta = twin.find(META)
    meta.payload = meta.payload.replace(b'"ncpus": 2', b'"ncpus": 3')
    yield Case("parent differs in ncpus", [reseal.build(twin), files[1]], "13.1.1", None)
    moved = make.delta(twin, [])
    yield Case("delta of another number of vCPUs", [reseal.build(twin), reseal.build(moved_to(moved, f.base))], None, None)

    for name, edit in {
            "arch": lambda p: put("arch", S, b"arm64")(p),
            "memory map": lambda p: also(put("gpa", T_NUMBERS, [0, 1 << 33]))(p)}.items():
        image = copy.deepcopy(f.forms["zstd"])
        edit_piece(image.find(VM), edit)
        image.pieces = [p for p in image.pieces if p.type not in (EXTENT, MAP)]
        yield Case(f"another {name} than the parent's", f.files + [reseal.build(image)], "13.1.3", None)


def moved_to(image: Image, other: Image) -> Image:
    """The machine of another file: VM and META."""
    image.pieces[:2] = copy.deepcopy(other.pieces[:2])
    return image


def blocks(pages: dict[int, bytes]) -> list[Piece]:
    """Extents of a full file."""
    sorted_pages: dict[int, dict[int, bytes]] = {}
    for page, data in sorted(pages.items()):
        sorted_pages.setdefault(page // 16, {})[page % 16] = data
    return [make.extent(b * BLOCK, BLOCK, held, False, SEGS) for b, held in sorted_pages.items()]


def restored(base: Image, now: Image) -> list[Piece]:
    """Extents of a delta from `now` back to `base`."""
    old, new, out = reseal.pages(base), reseal.pages(now), []
    for block in sorted({p // 16 for p in old} | {p // 16 for p in new}):
        numbers = range(block * 16, block * 16 + 16)
        held = {p % 16: old[p] for p in numbers if p in old and old[p] != new.get(p)}
        zero = [p % 16 for p in numbers if p in new and p not in old]
        if held or zero:
            out.append(make.extent(block * BLOCK, BLOCK, held, False, SEGS, zero=zero))
    return out


def bitmaps(f: Family) -> Iterator[Case]:
    """§13.2."""
    one, two, word = b"\1" * PAGE, b"\2" * PAGE, {0: b"\7" * PAGE}

    def ext(pages: dict[int, bytes], packed: bool = False, gpa: int = 3 * BLOCK, **options: Any) -> Piece:
        return make.extent(gpa, BLOCK, pages, packed, SEGS, **{"zero": [5], **options})

    def edited(piece: Piece, edit: Edit) -> list[Piece]:
        edit_piece(piece, edit)
        return [piece]

    def bits(*wanted: int, pages: int = 16) -> bytes:
        return make.bitmap(pages, wanted)

    yield f.extents("zero missing", "13.2", edited(ext({0: one}), without(b"zero")))
    yield f.extents("zero is a number", "13.2", edited(ext({0: one}), put("zero", N, 0)))
    yield f.extents("zero too short", "13.2.1", edited(ext({0: one}), put("zero", B, b"\0")))
    yield f.extents("zero too long", "13.2.1", edited(ext({0: one}, zero=[]), put("zero", B, bytes(3))))
    yield f.extents("zero with nothing in it", None, [ext({0: one}, zero=[])])
    yield f.extents("zero page was zero before", None, [ext({0: one}, zero=[1])])
    yield f.extents("page is data and zero", "13.2.1", edited(ext({0: one, 5: two}, zero=[1]), put("zero", B, bits(5))))
    yield f.extents("extent of nothing", "13.2.1", [ext({}, zero=[])])
    yield f.extents("extent of zero pages alone", None, [ext({})])
    yield f.extents("extent of zero pages alone, 4 MiB", None, [make.extent(0, 1 << 22, {}, False, SEGS, zero=[1, 2])])
    yield f.extents("extent of all zero pages", None, [ext({}, zero=list(range(16)))])
    yield f.extents("no data, zstd", "13.2.1", edited(ext({0: one}, True), put("data", B, bits())))
    piece = ext({})
    piece.payload = one
    yield f.extents("no data, but a payload", "6.2.6", [piece])
    piece = ext({})
    piece.alignment = PAGE
    yield f.extents("no data, aligned", "4.5", [piece])
    piece = ext({})
    piece.flags = 0
    yield f.extents("no data, no flag", "6.2.6", [piece])
    yield f.extents("no data, leaves", "6.2.10", edited(ext({}), put("leaves", B, bytes(32))))
    yield f.extents("no data, root", "5", edited(ext({}), put("root", B, bytes(32))))
    yield f.extents("zero page outside memory", "13.2.1", [ext({4: one}, gpa=5 * BLOCK, zero=[5])])
    yield f.extents("data page outside memory", "6.2.3", [ext({5: one}, gpa=5 * BLOCK, zero=[4])])
    yield f.extents("data page and zero page at the end of memory", None, [ext({3: one}, gpa=5 * BLOCK, zero=[4])])
    yield f.extents("zero in a full file", "5", [ext({0: one})], base=False)
    yield f.extents("zero in a full file, empty", "5", [ext({0: one}, zero=[])], base=False)
    yield f.extents("full file, extent of nothing", "6.2.3", [ext({}, zero=None)], base=False)
    yield f.extents("stored page of zeros", None, [ext({0: bytes(PAGE)})])
    yield f.extents("extents descend", "6.2.7", [ext({0: one}), ext({0: one}, gpa=0)])
    yield f.extents("extents overlap", "6.2.7", [ext({0: one}), ext({2: one})])
    yield f.extents("raw, not aligned", None, [ext({0: one}, alignment=1)])
    yield f.extents("zstd, aligned", "6.2.6", [setattr(p := ext({0: one}, True), "alignment", PAGE) or p])

    # §13.2.2; page 0 of this block is zero in the parent, page 0 of the first is not
    held = reseal.pages(f.base)[0]
    changed = held[:100] + b"!" + held[101:]
    near = {"gpa": 0, "packed": True, "zero": [1]}
    yield f.extents("difference", None, [ext({0: changed}, parent={0: held}, **near)])
    yield f.extents("difference of nothing", None, [ext({0: held}, parent={0: held}, **near)])
    yield f.extents("difference from a zero page", None, [ext(word, True, parent={0: bytes(PAGE)})])
    yield f.extents("difference that makes a zero page", None, [ext({0: bytes(PAGE)}, parent={0: held}, **near)])
    yield f.extents("difference from another page", "6.2.8", [ext({0: changed}, parent={0: one}, **near)], alone=None)
    yield f.extents("difference stored raw", "13.2.2", [ext({0: changed}, parent={0: held}, gpa=0)])
    yield f.extents("xor with nothing in it", "13.2.2", edited(ext({0: changed}, **near), put("xor", B, bits())))
    yield f.extents("xor of a page that is not data", "13.2.2", edited(
        ext({0: changed}, parent={0: held}, **near), put("xor", B, bits(0, 3))))
    yield f.extents("xor of a zero page", "13.2.2", edited(
        ext({0: changed}, parent={0: held}, **near), put("xor", B, bits(0, 1))))
    yield f.extents("xor of another page alone", "13.2.2", edited(
        ext({0: changed}, parent={0: held}, **near), put("xor", B, bits(4))))
    yield f.extents("xor of a page outside memory", "13.2.2", edited(
        ext({4: one}, True, gpa=5 * BLOCK, zero=[], parent={4: one}), put("xor", B, bits(4, 6))))
    yield f.extents("xor too long", "13.2.2", edited(
        ext({0: changed}, parent={0: held}, **near), put("xor", B, bits(0) + b"\0")))
    yield f.extents("xor too short", "13.2.2", edited(
        ext({0: changed}, parent={0: held}, **near), put("xor", B, b"\1")))
    yield f.extents("xor is a number", "13.2.2", edited(ext({0: changed}, **near), put("xor", N, 1)))
    yield f.extents("xor in a full file", "5", edited(ext(word, True, zero=None), put("xor", B, bits(0))), base=False)
    yield f.extents("difference, no frame", "6.6", [setattr(
        p := ext({0: changed}, parent={0: held}, **near), "payload", b"x" * 50) or p])
    yield f.extents("difference, root wrong", "6.2.8", edited(
        ext({0: changed}, parent={0: held}, **near), put("root", B, bytes(32))))
    yield f.extents("difference, root of the tree of the state", "6.2.8", edited(
        ext({0: changed}, parent={0: held}, **near),
        put("root", B, value_of(make.extent(0, BLOCK, {0: changed}, True, SEGS), b"root"))))
    yield f.extents("root of the tree of the state", "6.2.8", edited(
        ext({0: changed}, **near), put("root", B, value_of(make.extent(0, BLOCK, {0: changed}, True, SEGS), b"root"))))


def value_of(piece: Piece, name: bytes) -> Any:
    return value(reseal.to_pairs(decode_nvlist(piece.nv)), name)


def leaves(f: Family) -> Iterator[Case]:
    """§6.2.10, in full files and deltas; and alignment of raw extents, §6.2.6."""
    pages = {1: b"\1" * PAGE, 2: b"\2" * PAGE, 9: b"\3" * PAGE}
    held = {1: b"\1" * PAGE, 2: bytes(PAGE), 9: b"\1" * PAGE}
    for kind, base, options in [("raw", False, {}), ("zstd", False, {}), ("raw", True, {"zero": [4]}),
                                ("zstd", True, {"zero": [4]}), ("xor", True, {"zero": [4], "parent": {2: bytes(PAGE)}}),
                                ("all xor", True, {"zero": [4], "parent": held})]:
        if kind == "all xor":
            options = {"zero": [4], "parent": {i: bytes(PAGE) for i in pages}}
        piece = make.extent(3 * BLOCK, BLOCK, pages, kind != "raw", SEGS, **options)
        good = value_of(piece, b"leaves")
        word = f"{kind}{', delta' if base else ''}"
        wrong = "6.2.8"

        def case(name: str, rule: str | None, edit: Edit, alone: str | None = "same") -> Case:
            changed = copy.deepcopy(piece)
            edit_piece(changed, edit)
            return f.extents(f"leaves ({word}): {name}", rule, [changed], alone, base)

        yield case("good", None, lambda p: p)
        yield case("none", "6.2.10", without(b"leaves"))
        yield case("one less", "6.2.10", put("leaves", B, good[:64]))
        yield case("one more", "6.2.10", put("leaves", B, good + bytes(32)))
        yield case("a byte less", "6.2.10", put("leaves", B, good[:-1]))
        yield case("of all pages", "6.2.10", put("leaves", B, good + bytes(32 * 13)))
        yield case("a number", "6.2.10", put("leaves", N, 1))
        yield case("first wrong", wrong, put("leaves", B, bytes(32) + good[32:]))
        yield case("second wrong", wrong, put("leaves", B, good[:32] + bytes(32) + good[64:]))
        yield case("exchanged", wrong, put("leaves", B, good[32:64] + good[:32] + good[64:]))
        if "xor" in kind:
            stored = [reseal.difference(pages[i], bytes(PAGE) if i not in options["parent"] else b"\5" * PAGE) for i in pages]
            yield case("of the differences", wrong, put(
                "leaves", B, b"".join(sha256(b"\0", page) for page in stored)))
    for alignment in (1, PAGE):
        yield f.extents(f"full file, raw, alignment {alignment}", None, [
            make.extent(3 * BLOCK, BLOCK, pages, False, SEGS, alignment=alignment)], base=False)
    yield f.extents("full file, raw, alignment 2", "4.5", [
        make.extent(3 * BLOCK, BLOCK, pages, False, SEGS, alignment=2)], base=False)


def totals(f: Family) -> Iterator[Case]:
    """§13.3, §7.1, §6.5."""
    def index(edit: Edit) -> Callable[[Image], None]:
        return lambda image: edit_computed(image, INDEX, edit)

    for name, rule in (("delta_root", "7.1.8"), ("pages_inherited", "7.1.8")):
        yield f.case(f"no {name}", rule, index(without(name.encode())))
        kind, some = (B, bytes(32)) if name == "delta_root" else (N, 5)
        yield f.case(f"{name} wrong", rule, index(put(name, kind, some)))
        yield f.case(f"{name} of another type", rule, index(put(name, S, b"x")))
        yield f.lone(f"full: {name}", "5", index(put(name, kind, some if kind == B else 0)))
    yield f.lone("full: delta_root is the memory root", "5", index(put("delta_root", B, memory_root(f.base))))
    yield f.case("delta_root is the memory root", "7.1.8", index(lambda p: put("delta_root", B, value(p, b"memory_root"))(p)))
    yield f.case("pages_zero and pages_inherited exchanged", "7.1.4", index(lambda p: also(
        put("pages_zero", N, value(p, b"pages_inherited")), put("pages_inherited", N, value(p, b"pages_zero")))(p)))
    yield f.case("pages_zero counts inherited pages", "7.1.4", index(lambda p: also(put(
        "pages_zero", N, value(p, b"pages_inherited") + value(p, b"pages_zero")), put("pages_inherited", N, 0))(p)))
    yield f.case("pages_data wrong", "7.1.4", index(lambda p: put("pages_data", N, value(p, b"pages_data") + 1)(p)))
    for form in f.forms:
        yield f.case("memory_root wrong, content follows", "7.1.3", claim(f, form, bytes(32)), alone=None, form=form)
        yield f.case("memory_root is the parent's", "7.1.3", claim(f, form, memory_root(f.base)), alone=None, form=form)
        yield f.case("memory_root wrong, content does not follow", "7.1.3", index(put("memory_root", B, bytes(32))),
                     alone="7.1.2", form=form)
        yield f.case("content wrong", "7.1.2", index(put("content", B, bytes(32))), form=form)
    everything = [make.extent(b * BLOCK, BLOCK, {}, False, SEGS, zero=list(
        range(16 if b not in (5, (1 << 16) + 4) else 5 if b == 5 else 3))) for b in [*range(6), *range(1 << 16, (1 << 16) + 5)]]
    image = make.delta(f.base, everything)
    yield Case("nothing inherited", f.files + [reseal.build(image)], None, None)
    edit_computed(image, INDEX, claimed(image, bytes(32)))
    yield Case("nothing inherited, memory_root wrong", f.files + [reseal.build(image)], "7.1.3", None)

    def entry(at: int, data: bytes) -> Callable[[bytearray], None]:
        return lambda payload: payload.__setitem__(slice(at, at + len(data)), data)
    for name, at, data in (("pages in zero 0", 30, b"\0\0"), ("pages in zero one more", 30, b"\4\0"),
                           ("data pages one more", 28, b"\x06\0"), ("both in one number", 28, b"\x05\0\0\0"),
                           ("both exchanged", 28, b"\3\0\5\0"), ("root", 64, bytes(32))):
        yield f.case(f"MAP: {name}", "6.5.1", lambda i: setattr(i.find(MAP), "edit_payload", entry(at, data)))
    yield f.lone("full: MAP: pages in zero 1", "6.5.1", lambda i: setattr(
        i.find(MAP), "edit_payload", entry(30, b"\1\0")))


def claimed(image: Image, root: bytes) -> Edit:
    """An INDEX that claims this memory root, with the content that follows from it."""
    reader, error = verify(io.BytesIO(reseal.build(image)))
    assert error is None, error
    content = reader.identity(root)
    return also(put("memory_root", B, root), put("content", B, content))


def claim(f: Family, form: str, root: bytes) -> Callable[[Image], None]:
    return lambda image: edit_computed(image, INDEX, claimed(f.forms[form], root))


def fields(f: Family) -> Iterator[Case]:
    """§5.4.8 to §5.4.10."""
    def case(name: str, rule: str | None, record: tuple[list[Pair], list[int], list[bytes]] = make.FIELDS,
             edit: Edit | None = None, packed: bool = False, payload: bytes | None = None,
             data: bytes | None = None) -> Case:
        whole = make.record_bytes(*record) if data is None else data
        piece = make.device(b"devices", b"dev", whole, packed, make.fields_pairs(b"example", 1, *record), record[2])
        if payload is not None:
            piece.payload = payload
        if edit:
            edit_piece(piece, edit)
        image = make.full([make.device(b"devices", b"dev", whole)])
        image.pieces[2] = piece
        return Case(f"fields: {name}", [reseal.build(image)], rule, rule)

    def one(kind: int, item: Any, width: int | None = 4) -> tuple[list[Pair], list[int], list[bytes]]:
        return [(b"f", kind, item)], [] if width is None else [width], []

    everything, widths, bulk = make.FIELDS
    yield case("every kind", None)
    yield case("every kind, zstd", None, packed=True)
    yield case("none", None, ([], [], []))
    yield case("an empty list", None, ([(b"l", T_NVLIST, [])], [], []))
    yield case("only bytes", None, one(B, b"abc", None))
    yield case("only a null", None, ([(b"f", T_NULL, None)], [], [b"abc"]))
    yield case("names not UTF-8", None, ([(b"\xff\xfe", N, 5), (b"", B, b"x")], [2], []))
    yield case("same names in different lists", None, ([(b"a", N, 5), (b"l", T_NVLIST, [(b"a", N, 6)])], [1, 2], []))
    yield case("large binary", None, one(B, bytes(100000), None))
    yield case("small null", None, ([(b"f", T_NULL, None)], [], [b"x"]))
    yield case("127 deep", None, (deep(127), [8], []))
    yield case("128 deep", "1.3.5", (deep(128), [8], []))
    for name in ("layout", "layout_version"):
        yield case(f"no {name}", "5.4.8", edit=without(name.encode()))
        yield case(f"{name} without the others", "5.4.8", edit=also(*(without(n) for n in (
            b"layout", b"layout_version", b"fields", b"widths", b"bulk") if n != name.encode())))
    for name in (b"widths", b"bulk"):
        yield case(f"no {name.decode()}", "5.4.8", edit=without(name))
        yield case(f"{name.decode()} without fields", "5", edit=also(*(without(n) for n in (
            b"layout", b"layout_version", b"fields", b"widths", b"bulk") if n != name)))
    yield case("no fields", "5.4.8", edit=without(b"fields"))
    yield case("fields is an array", "5.4.8", edit=put("fields", T_NVLISTS, [everything]))
    for layout in (b"", b"A", b"a_b", b"a-", b"x" * 64, b"caf\xc3\xa9"):
        yield case(f"layout {layout!r}", "5.4.8", edit=put("layout", S, layout))
    for layout in (b"x" * 63, b"2", b"made-up-2"):
        yield case(f"layout {layout!r}", None, edit=put("layout", S, layout))
    yield case("layout is a number", "5.4.8", edit=put("layout", N, 5))
    for version, rule in ((0, "5.4.8"), (1 << 32, "5.4.8"), ((1 << 32) - 1, None), (2, None)):
        yield case(f"layout_version {version}", rule, edit=put("layout_version", N, version))
    for width in (0, 3, 5, 6, 7, 9, 16, 255):
        yield case(f"width {width}", "5.4.8", one(N, 1), put("widths", B, bytes([width])))
    yield case("a width less", "5.4.8", edit=put("widths", B, bytes(widths[:-1])))
    yield case("a width more", "5.4.8", edit=put("widths", B, bytes(widths + [1])))
    yield case("widths without numbers", "5.4.8", one(B, b"abc", None), put("widths", B, b"\1"))
    yield case("a width for each element", "5.4.8", one(T_NUMBERS, [1, 2, 3]), put("widths", B, bytes([4, 4, 4])))
    yield case("widths is a number array", "5.4.8", edit=put("widths", T_NUMBERS, widths))
    yield case("two widths exchanged", "5.4.6", ([number("a", 1), number("b", 2)], [1, 2], []), put("widths", B, bytes([2, 1])))
    for width in (1, 2, 4, 8):
        top = 1 << 8 * width - 1
        sign = (1 << 64) - top
        for what, item in (("0", 0), ("largest", 2 * top - 1), ("highest bit", top), ("minus one", (1 << 64) - 1),
                           ("smallest", sign)):
            yield case(f"width {width}: {what}", None, one(N, item, width))
            yield case(f"width {width}: {what}, in an array", None, one(T_NUMBERS, [1, item], width))
        if width < 8:
            low = b"\0" * (width - 1)
            for what, item, data in (("one too large", 2 * top, low + b"\0"), ("sign of a positive", sign - 1, low + b"\x7f"),
                                     ("half the sign", (1 << 63) | top, low + b"\x80")):
                yield case(f"width {width}: {what}", "5.4.9", one(N, item, width), data=data)
                yield case(f"width {width}: {what}, in an array", "5.4.9", one(T_NUMBERS, [item], width), data=data)
    for kind, item, word in ((T_BOOL, 1, "bool"), (S, b"x", "string"), (T_BOOLS, [1], "bool array"),
                             (T_STRINGS, [b"x"], "string array")):
        yield case(f"a {word}", "5.4.9", edit=put("fields", T_NVLIST, [(b"f", kind, item)] + everything))
        yield case(f"a {word}, inside", "5.4.9", edit=put(
            "fields", T_NVLIST, [(b"l", T_NVLIST, [(b"f", kind, item)])] + everything))
    sizes = [len(b) for b in bulk]
    stored = b"".join(bulk)
    yield case("bulk: one less", "5.4.8", edit=put("bulk", T_NUMBERS, sizes[:1]))
    yield case("bulk: one more", "5.4.8", edit=put("bulk", T_NUMBERS, sizes + [1]))
    yield case("bulk: a 0", "5.4.8", edit=put("bulk", T_NUMBERS, [sizes[0] + sizes[1], 0]))
    yield case("bulk without nulls", "5.4.8", one(N, 1), put("bulk", T_NUMBERS, [1]))
    yield case("bulk: more than the record", "5.4.9", edit=put("bulk", T_NUMBERS, [sizes[0], sizes[1] + 1]), payload=stored + b"\0")
    yield case("bulk: over the limit", "5.4.9", edit=put("bulk", T_NUMBERS, [sizes[0], (64 << 20) + 1]))
    yield case("bulk: sum wraps", "5.4.9", edit=put("bulk", T_NUMBERS, [sizes[0] + sizes[1] + 1, (1 << 64) - 1]))
    yield case("bulk: cut elsewhere", "5.4.6", edit=put("bulk", T_NUMBERS, [sizes[0] - 1, sizes[1] + 1]))
    yield case("bulk: number", "5.4.8", edit=put("bulk", N, sum(sizes)))
    yield case("bulk: payload shorter", "5.4.10", payload=stored[:-1])
    yield case("bulk: payload longer", "5.4.10", payload=stored + b"\0")
    yield case("bulk: the record is stored", "5.4.10", payload=make.record_bytes(*make.FIELDS))
    yield case("bulk: other bytes", "5.4.6", payload=b"\0" * len(stored))
    yield case("bulk: the record is in the frame", "6.6", packed=True, payload=make.zstd(make.record_bytes(*make.FIELDS)))
    yield case("bulk: frame not shorter", "5.4.5", ([(b"f", T_NULL, None)], [], [b"abc"]), packed=True)
    yield case("no bulk, zstd", "5.4.10", one(N, 1), packed=True)
    yield case("no bulk, a payload", "5.4.10", one(N, 1), payload=b"\0")
    yield case("no bulk, the record as payload", "5.4.10", one(N, 1), payload=b"\1\0\0\0")
    yield case("no bulk, encoding unknown", "5.4.5", one(N, 1), put("encoding", S, b"fields"))
    yield case("size one more", "5.4.9", one(N, 1), also(put("size", N, 5)), data=b"\1\0\0\0\0")
    yield case("other digest", "5.4.6", edit=put("sha256", B, bytes(32)))
    yield case("other digest, of the bulk", "5.4.6", edit=put("sha256", B, sha256(stored)))
    yield case("another number", "5.4.6", edit=lambda p: put("fields", T_NVLIST, put(
        "byte", N, 201)(value(p, b"fields")))(p))
    yield case("another form of a number", None, edit=lambda p: put("fields", T_NVLIST, put(
        "byte", N, (1 << 64) - 56)(value(p, b"fields")))(p))
    yield case("another name", None, edit=lambda p: put("fields", T_NVLIST, [
        (b"other" if n == b"byte" else n, k, v) for n, k, v in value(p, b"fields")])(p))
    yield case("other order", "5.4.6", ([number("a", 1), number("b", 2)], [4, 4], []),
               put("fields", T_NVLIST, [number("b", 2), number("a", 1)]))
    yield case("unknown pair", "5", edit=put("x", N, 1))
    raw = [(b"f%d" % i, B, bytes(65000)) for i in range(64)]
    yield case("nvlist of nearly 4 MiB", None, (raw, [], []))
    yield case("nvlist of more than 4 MiB", "4.4", (raw + [(b"g", B, bytes(40000))], [], []))


def deep(depth: int) -> list[Pair]:
    """Fields of one number, `depth` lists deep; the part's list is around them."""
    pairs: list[Pair] = [number("n", 5)]
    for _ in range(depth - 1):
        pairs = [(b"l", T_NVLIST, pairs)]
    return pairs


def rest(f: Family) -> Iterator[Case]:
    """§2.2, §3.2, §4.13, §5.1.6, §5.2.6, §5.2.7, §10."""
    unknown = make.part(0x80001234, [number("x", 1)], b"abc")
    conf = make.part(CONFIG, [(b"kind", S, b"bhyve-config")], b"cpus=1\n")
    host = make.part(HOST, [], b"")

    def order(name: str, rule: str | None, *added: tuple[int, Piece], keep: Callable[[Piece], bool] = lambda p: True) -> Case:
        def edit(image: Image) -> None:
            image.pieces = [p for p in image.pieces if keep(p)]
            for at, piece in added:
                image.pieces.insert(at if at >= 0 else len(image.pieces) + 1 + at, copy.deepcopy(piece))
        return f.lone(f"order: {name}", rule, edit)

    yield order("unknown before DEVICE and after memory", None, (-2, unknown), (2, unknown))
    yield order("unknown three times after memory", None, (-2, unknown), (-2, unknown), (-2, unknown))
    yield order("CONFIG after memory", "2.2", (-2, conf))
    yield order("HOST after memory", "2.2", (-2, host))
    yield order("CONFIG before DEVICE, unknown around it", None, (2, unknown), (2, conf), (2, unknown))
    yield order("unknown between DEVICE and DEVICE", "2.2", (4, unknown))
    yield order("unknown between DEVICE and EXTENT", "2.2", (7, unknown))
    yield order("unknown between EXTENT and EXTENT", "2.2", (8, unknown))
    yield order("unknown between EXTENT and MAP", "2.2", (-3, unknown))
    yield order("unknown after INDEX", "7.3.1", (-1, unknown))
    yield order("unknown before META", "2.2", (1, unknown))
    yield order("unknown first", "2.2", (0, unknown))
    no_ram = lambda p: p.type not in (EXTENT, MAP)
    yield order("no memory, unknown after DEVICE", None, (-2, unknown), keep=no_ram)
    yield order("no memory, CONFIG after DEVICE", "2.2", (-2, conf), keep=no_ram)
    yield order("no memory, unknown then CONFIG after DEVICE", "2.2", (-2, unknown), (-2, conf), keep=no_ram)
    yield order("64 in both places", None, *[(2, unknown)] * 32, *[(-2, unknown)] * 32)
    yield order("65 in both places", "10", *[(2, unknown)] * 32, *[(-2, unknown)] * 33)
    yield f.case("unknown after memory", None, lambda i: i.pieces.insert(-1, copy.deepcopy(unknown)))
    no_devices = lambda p: p.type not in (EXTENT, MAP, DEVICE, META)
    yield order("no META", None, keep=lambda p: p.type != META)
    yield order("META twice", "2.2", (2, f.base.find(META)))
    yield order("META after CONFIG", "2.2", (1, conf))
    yield order("neither META nor DEVICE", None, keep=lambda p: p.type not in (META, DEVICE))
    yield order("no DEVICE, but META lists records", "5.2.1", keep=lambda p: p.type != DEVICE)
    yield order("no META, unknown and CONFIG for it", None, (1, conf), (1, unknown), keep=lambda p: p.type != META)
    yield order("no META, unknown first", "2.2", (0, unknown), keep=lambda p: p.type != META)
    yield order("only VM and INDEX", None, keep=no_devices)
    yield order("one row: unknown, CONFIG, unknown, HOST", None, (1, host), (1, unknown), (1, conf), (1, unknown), keep=no_devices)
    yield order("no DEVICE, unknown and CONFIG before memory, unknown after", None, (-2, unknown), (1, conf), (1, unknown),
                keep=lambda p: p.type not in (META, DEVICE))
    yield order("no DEVICE, CONFIG after memory", "2.2", (-2, conf), keep=lambda p: p.type not in (META, DEVICE))
    yield order("VM twice", "2.2", (1, f.base.find(VM)))
    yield order("VM after DEVICE", "2.2", (3, f.base.find(VM)), keep=lambda p: p.type != VM)

    def without_meta(name: str, rule: str | None, devices: list[Piece]) -> Case:
        image = make.full(devices, meta=False)
        return Case(f"no META: {name}", [reseal.build(image)], rule, rule)

    def two(*sections: bytes) -> list[Piece]:
        return [make.device(section, b"r%d" % n, b"x" * n) for n, section in enumerate(sections)]
    yield without_meta("records", None, make.records(True))
    yield without_meta("devices before the kernel's", None, two(b"devices", b"kern_structs", b"devices"))
    yield without_meta("structs", "5.4.1", two(b"structs"))
    yield without_meta("another section", "5.4.1", two(b"kern_structs", b"device"))
    yield without_meta("a record twice", "5.4.2", two(b"devices")[:1] * 2)
    yield without_meta("the same name in both sections", None, [
        make.device(b"devices", b"a", b"x"), make.device(b"kern_structs", b"a", b"x")])
    image = make.delta(f.base, [])
    image.pieces = [p for p in image.pieces if p.type != META]
    yield Case("delta without META, base with it", f.files + [reseal.build(image)], None, None)

    for name, kind, pairs, rule in [
            ("bits 31 and 30", 0xC0001234, [], None), ("bits 31 and 30, low as VM", 0xC0000001, [], None),
            ("bit 30", 0x40001234, [], "4.12"), ("bit 29", 0x20001234, [(b"vendor", S, b"v")], "4.12"),
            ("bits 30 and 29", 0x60001234, [(b"vendor", S, b"v")], "4.12"), ("VM, bit 30", 0x40000001, [], "4.12"),
            ("CONFIG, bit 30", 0xC0000003, [], None), ("private", 0xA0001234, [(b"vendor", S, b"example")], None),
            ("private, bound", 0xE0001234, [(b"vendor", S, b"example")], None),
            ("private, all ones", 0xFFFFFFFF, [(b"vendor", S, b"example")], None),
            ("private, more pairs", 0xA0001234, [number("x", 1), (b"vendor", S, b"v")], None),
            ("private, no vendor", 0xA0001234, [], "4.13"), ("private, vendor empty", 0xA0001234, [(b"vendor", S, b"")], "4.13"),
            ("private, CONFIG's number", 0xA0000003, [], "4.13"), ("private, vendor a number", 0xA0001234, [number("vendor", 1)], "4.13"),
            ("private, vendor of 63 bytes", 0xA0001234, [(b"vendor", S, b"v" * 63)], None),
            ("private, vendor of 64 bytes", 0xA0001234, [(b"vendor", S, b"v" * 64)], "4.13"),
            ("private, vendor of 62 bytes in 31 characters", 0xA0001234, [(b"vendor", S, b"\xc3\xa9" * 31)], None),
            ("private, vendor of 64 bytes in 32 characters", 0xA0001234, [(b"vendor", S, b"\xc3\xa9" * 32)], "4.13"),
            ("private, vendor not UTF-8", 0xA0001234, [(b"vendor", S, b"\xff")], "1.5"),
            ("not private, vendor a number", 0x80001234, [number("vendor", 1)], None)]:
        for at in (2, -2):
            yield order(f"{name}, {'before DEVICE' if at > 0 else 'after memory'}", rule, (at, make.part(kind, pairs, b"abc")))
    for version in (0, 2, 256, 1 << 24):
        yield f.lone(f"version {version}", "3.2", lambda i: i.header.__setitem__(slice(56, 60), struct.pack("<I", version)))
    for arch in (b"", b"AMD64", b"amd64 ", b"x86-64", b"x" * 32, b"caf\xc3\xa9", b"amd64\n"):
        yield f.lone(f"arch {arch!r}", "5.1.6", lambda i: edit_piece(i.find(VM), put("arch", S, arch)))
    for arch in (b"arm64", b"x86_64", b"a" * 31, b"_", b"0"):
        yield f.lone(f"arch {arch!r}", None, lambda i: edit_piece(i.find(VM), put("arch", S, arch)))
    yield f.lone("arch missing", "5.1.6", lambda i: edit_piece(i.find(VM), without(b"arch")))
    yield f.lone("arch a number", "5.1.6", lambda i: edit_piece(i.find(VM), put("arch", N, 64)))
    have = count(json.loads(f.base.find(META).payload))
    for total, rule in ((32768, None), (32769, "5.2.6")):
        for what, item in (("numbers", "1"), ("lists", "[]"), ("objects", "{}"), ("strings", '""'), ("nulls", "null")):
            more = "[" + ",".join([item] * (total - have - 1)) + "]"
            yield f.lone(f".meta: {total} values, {what}", rule, lambda i: setattr(i.find(META), "payload", i.find(
                META).payload.rstrip()[:-1] + f', "x": {more}}}'.encode()))
    for name, pairs, rule in counted():
        yield order(f"1.3.6: {name}", rule, (2, make.part(0x80001234, pairs)))
    yield from large(f)
    yield f.lone("EXTENT nvlist of 64 KiB + 1", "4.4", lambda i: edit_piece(
        i.find(EXTENT), put("x", B, bytes(65537 - 21 - len(i.find(EXTENT).nv)))))


def counted() -> Iterator[tuple[str, list[Pair], str | None]]:
    """§1.3.6: lists of 65536 pairs and elements, and of one more. Of pairs alone they do not fit an nvlist of 1 MiB."""
    most = 65536
    for more, rule in ((0, None), (1, "1.3.6")):
        word = f"{most + more}"
        nulls: list[Pair] = [(b"%x" % i, T_NULL, None) for i in range(20000)]
        strings: Pair = (b"s", T_STRINGS, [b""] * 20000)
        rest = [(b"z%d" % i, T_NULL, None) for i in range(more)]
        yield f"{word} strings and their pair", [(b"s", T_STRINGS, [b""] * (most - 1))] + rest, rule
        yield f"{word} elements and pairs", [(b"l", T_NVLISTS, [[]] * 20000), (
            b"s", T_STRINGS, [b""] * (most - 20002))] + rest, rule
        yield f"{word} pairs", [strings] + nulls + [(b"l", T_NVLIST, nulls[:most - 60003] + [strings] + rest)], rule
        yield f"{word} in lists of an array", [(b"l", T_NVLISTS, [[number("a", 1)], [], [
            (b"s", T_STRINGS, [b"x"] * (most - 6))]])] + rest, rule
    yield "numbers and bools are not counted", [(b"n", T_NUMBERS, [1] * 70000), (b"b", T_BOOLS, [1] * 70000)], None


def large(f: Family) -> Iterator[Case]:
    """§10: limits of all optional parts of a file, and of all its records."""
    zeros, piece = bytes(64 << 20), 0x80001234
    last = (64 << 20) - 3 * 192 - 147                      # frame, nvlist and padding of the others; frame and nvlist
    for name, last, rule in (("256 MiB", last, None), ("256 MiB + 64", last + 1, "10")):
        image = copy.deepcopy(f.base)
        image.pieces[2:2] = [make.part(piece, [], zeros)] * 3
        image.pieces.insert(-1, make.part(piece, [], zeros[:last]))
        yield Case(f"optional parts of {name}", [reseal.build(image)], rule, rule)
    parts = [make.device(b"devices", b"%02d" % i, zeros, True) for i in range(15)]
    nvlists = sum(len(p.nv) for p in parts) + len(make.device(b"devices", b"15", b"").nv)
    for name, more, rule in (("1 GiB", 0, None), ("1 GiB + 1", 1, "10")):
        image = make.full([*parts, make.device(b"devices", b"15", zeros[:(64 << 20) - nvlists - 1 + more], True)], meta=False)
        yield Case(f"records and their nvlists of {name}", [reseal.build(image)], rule, rule)


def count(item: Any) -> int:
    inner = item.values() if isinstance(item, dict) else item if isinstance(item, list) else []
    return 1 + sum(count(i) for i in inner)


def cases() -> Iterator[Case]:
    f = Family()
    for group in (lineage, chains, bitmaps, leaves, totals, fields, rest):
        yield from group(f)


def check(case: Case) -> tuple[str | None, str | None]:
    """The rules that snapread names, of the chain and of the last file alone."""
    chain = alone = None
    for reader, error in verify_chain(io.BytesIO(data) for data in case.files):
        assert not reader.trouble, "a zstd decoder is needed, see snapread.py"
        chain = error.rule if error else chain
    _, error = verify(io.BytesIO(case.files[-1]))
    alone = error.rule if error else None
    return chain, alone


def main() -> int:
    total = wrong = 0
    for case in cases():
        total += 1
        said = check(case)
        if said != (case.chain, case.alone):
            wrong += 1
            print(f"{case.name}: chain {said[0]}, not {case.chain}; alone {said[1]}, not {case.alone}")
    print(f"{total} cases, {wrong} wrong")
    return 1 if wrong or not total else 0


if __name__ == "__main__":
    sys.exit(main())
