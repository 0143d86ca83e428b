#!/usr/bin/env python3
"""Do two readers agree? Runs snapread and snaptool over good files and seeded mutations of them.

    agree.py SNAPTOOL [SAMPLE...] [--fixtures FOLDER] [--count N] [--seed S] [--keep FOLDER] [--random-only] [--verbose]
    agree.py SNAPTOOL --vectors FOLDER [--verbose]

Three kinds of mutation, N of each where they are random: one byte changed or the file cut (digests
no longer match); bytes and pairs changed with all digests computed again (reseal.py), so that only
rules about meaning can object; and directed cases, those of cases.py once per sample and those of
deltas.py. Samples are the files given, the snapshots of FOLDER (BASE, BASE.kern and BASE.meta in folders
of their own, with .zst or without) as snaptool packs them, and those of make.py.
Deltas are checked alone and, where snaptool can, as a chain: it gets the newest file and a folder, and
finds the parents (13.6). So what breaks a chain by the order of its files is snapread's alone to check.
Prints a summary; exit status 1 where a verdict, or an identity of a good file, differs. Offsets of
errors are compared too, but only counted: the order of checks is free within a part. Of a layout that it
does not know snapread accepts any names (5.4.11): that is counted, too.

With --vectors, both readers have to say of each vector of spec/vectors/snapshot what its header
says: accept it, with its root, or refuse it. Where snapread names another layer, that is counted.
"""
from __future__ import annotations

import argparse
import bisect
import collections
import functools
import hashlib
import io
import json
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, Iterator

import cases
import deltas
import make
import reseal
from rules import DEVICE, EXTENT, META
from snapread import verify, verify_chain
from zstdframe import ZSTD

Verdict = tuple[bool, Any]          # accepted, and identities or (offset, text); snapread's with the layer


def own(files: list[bytes]) -> Verdict:
    """snapread's verdict on a file, or on a chain."""
    last: Any = None
    checked = verify_chain(map(io.BytesIO, files)) if len(files) > 1 else [verify(io.BytesIO(files[0]))]
    for reader, error in checked:
        if reader.trouble:
            raise SystemExit("agree.py needs a zstd decoder, see snapread.py")
        if error:
            return False, (error.offset, f"§{error.rule} {error.message}", error.layer)
        last = reader
    return True, (last.root.hex(), last.content.hex())


def other(tool: str, paths: list[Path], pipe: bool = False) -> Verdict:
    """snaptool's verdict on a file, from a pipe if so wished, or on a chain."""
    names = ["--chain", str(paths[0].parent)] if len(paths) > 1 else []
    with paths[-1].open("rb") as f:
        run = subprocess.run([tool, "verify", "--json", "-q", *names, "-" if pipe else str(paths[-1])], stdin=f if pipe else subprocess.DEVNULL,
                             capture_output=True, timeout=120, check=False)
    if run.returncode not in (0, 1):
        return False, (-1, f"EXIT {run.returncode}: {run.stderr.decode('utf-8', 'replace')[:200]}")
    said = [json.loads(line) for line in run.stdout.splitlines()]
    if not said or all(s["ok"] for s in said) != (run.returncode == 0):
        return False, (-1, "EXIT status and verdict differ")
    identities = said[-1]["root"], said[-1]["content"]
    if run.returncode == 0:
        return True, identities
    finding = next(f for s in said for f in s["findings"] if f["verdict"] != "warn")
    if "fault" not in finding:
        # Not about the file: the state in it is not one of bhyve's (§11.2). Another document's matter.
        return True, ("state", identities)
    return False, (finding.get("offset"), f"[{finding.get('fault')}] {finding['place']}: {finding['message']}")


def damaged(data: bytes, rng: random.Random) -> tuple[str, bytes]:
    """One byte changed, or the file cut, or a byte more."""
    what = rng.randrange(20)
    if what < 3:
        cut = rng.randrange(len(data))
        if what == 0:
            cut -= cut % 64
        return f"cut at {cut:#x}", data[:cut]
    if what == 3:
        return "a byte appended", data + bytes([rng.randrange(256)])
    at = rng.randrange(len(data))
    bit = 1 << rng.randrange(8) if what < 12 else rng.randrange(1, 256)
    return f"byte {at:#x} ^ {bit:#x}", data[:at] + bytes([data[at] ^ bit]) + data[at + 1:]


def load(path: Path) -> Iterator[tuple[dict[str, str], bytes]]:
    """The vectors in a file, as their README says: headers, then all snapshots in one zstd frame."""
    text, _, stored = path.read_bytes().partition(b"\n\n\n")
    headers = [dict(line.split(": ", 1) for line in header.splitlines())
               for header in text.decode("utf-8").split("\n\n")]
    total = sum(int(header["size"]) for header in headers)
    decompress = ZSTD
    whole = decompress(stored, total) if decompress else None
    if whole is None or len(whole) != total:
        raise SystemExit(f"{path}: no zstd decoder, or not the snapshots that its headers list")
    at = 0
    for header in headers:
        data = whole[at:at + int(header["size"])]
        at += len(data)
        if hashlib.sha256(data).hexdigest() != header["sha256"]:
            raise SystemExit(f"{path}: {header['name']} has another digest")
        yield header, data


def has_chains(tool: str) -> bool:
    run = subprocess.run([tool, "verify", "--help"], capture_output=True, check=True, text=True)
    if "--chain" not in run.stdout:
        print("snaptool has no verify --chain: only snapread checks chains")
    return "--chain" in run.stdout


def check_vectors(tool: str, folder: Path, verbose: bool) -> int:
    """Both readers against the headers of the vectors.

    One with a parent is accepted alone: its header is about the chain.
    """
    vectors = {header["name"]: (header, data)
               for path in sorted(folder.glob("*.vectors")) for header, data in load(path)}
    count: collections.Counter[str] = collections.Counter()
    chains = has_chains(tool)

    def compare(header: dict[str, str], files: list[bytes], must: bool) -> None:
        mine = own(files)
        pipes = (False, True) if len(files) == 1 else (False,) if chains else ()
        theirs = [run_other(tool, files, pipe) for pipe in pipes]
        known = (header.get("root", mine[1][0]), header.get("content", mine[1][1]))
        fine = all(verdict[0] == must and (not must or verdict[1] in (known, ("state", known)))
                   for verdict in [mine, *theirs])
        what = "chains" if len(files) > 1 else "vectors"
        count[f"{what}, {'accepted' if must else 'refused'}"] += fine
        if not fine and mine[0] and "5.4.11" in header.get("rule", "") and not any(t[0] for t in theirs):
            count[f"{what}, refused by snaptool alone, which knows the layout"] += 1
        elif not fine:
            count["disagreements"] += 1
            print(f"DISAGREE {header['name']} ({header['expect']}, {what})\n  snapread: {mine}\n  snaptool: {theirs}")
        elif not must and mine[1][2] != header["expect"]:
            count[f"another layer: {header['expect']} in the header, {mine[1][2]} for snapread"] += 1
            if verbose:
                print(f"layer {header['name']}: {header['expect']}\n  snapread: {mine[1]}\n  snaptool: {theirs}")

    for header, data in vectors.values():
        files, below = [data], header.get("parent")
        while below is not None:
            files.insert(0, vectors[below][1])
            below = vectors[below][0].get("parent")
        compare(header, files[-1:], header["expect"] == "ok" or len(files) > 1)
        if len(files) > 1:
            compare(header, files, header["expect"] == "ok")
    wrong = count.pop("disagreements", 0)
    for key in sorted(count):
        print(f"{count[key]:>7}  {key}")
    print(f"{wrong:>7}  disagreements")
    return 1 if wrong or not vectors else 0


def run_other(tool: str, files: list[bytes], pipe: bool) -> Verdict:
    with tempfile.TemporaryDirectory() as folder:
        paths = [Path(folder) / f"{n}.snap" for n in range(len(files))]
        for path, data in zip(paths, files):
            path.write_bytes(data)
        return other(tool, paths, pipe)


def same_part(offsets: list[int], a: int | None, b: int | None) -> bool:
    if a is None or b is None:
        return False
    return bisect.bisect(offsets, a) == bisect.bisect(offsets, b)


ORDER = ("§13.1.1 the file below", "§13.6 ", "§13.4 a chain")
Item = tuple[str, str, list[bytes], list[int]]          # kind, name, chain, offsets of the parts of its last file


def work(files: dict[str, bytes], small: dict[str, bytes], rng: random.Random, count: int, directed: bool) -> Iterator[Item]:
    """All that is compared. A single file is a chain of one."""
    images = {name: reseal.parse(data) for name, data in small.items()}
    base = make.full()
    below = [reseal.build(base)]
    tops = [make.delta(base, make.changes(base, form)) for form in ("raw", "zstd", "xor")]
    for name, data in files.items():
        yield "good" if name not in built() else "built", name, [data], reseal_offsets(data)
    if directed:
        for case in deltas.cases():
            yield "known", case.name, case.files, reseal_offsets(case.files[-1])
        for name, image in images.items():
            full = all(any(p.type == kind for p in image.pieces) for kind in (META, DEVICE, EXTENT))
            for what, changed in cases.directed(image) if full else cases.of_pairs(image):
                yield "directed", f"{name}: {what}", [reseal.build(changed)], changed.offsets
        for what, changed in cases.large(next(iter(images.values()))) if images else ():
            yield "directed", what, [reseal.build(changed)], changed.offsets
        for what, changed in cases.of_pairs(tops[2]):
            yield "delta, directed", what, below + [reseal.build(changed)], changed.offsets
    for _ in range(count):
        name = rng.choice(list(small))
        what, data = damaged(small[name], rng)
        yield "damaged", f"{name}: {what}", [data], reseal_offsets(small[name])
    for _ in range(count):
        name = rng.choice(list(small))
        what, changed = cases.resealed(images[name], rng)
        yield "resealed", f"{name}: {what}", [reseal.build(changed)], changed.offsets
    for _ in range(count):
        what, changed = cases.resealed(rng.choice(tops), rng)
        yield "delta, resealed", what, below + [reseal.build(changed)], changed.offsets


@functools.cache
def built() -> dict[str, bytes]:
    """Samples of make.py: well formed, but no states of bhyve's."""
    images = {"whole": make.full(), "fields": make.full(make.records(True)),
              "no META": make.full(make.records(True), meta=False), "no records": make.full([], meta=False)}
    return {name: reseal.build(image) for name, image in images.items()}


def packed(tool: str, folder: Path) -> Iterator[tuple[str, bytes]]:
    """The three-file snapshots in the folders of `folder`, as snaptool packs them: compressed and not."""
    for meta in sorted(folder.glob("*/*.meta")):
        with tempfile.TemporaryDirectory() as place:
            base = Path(place) / meta.stem
            base.with_name(meta.name).write_bytes(meta.read_bytes())
            for name in (meta.stem, meta.stem + ".kern"):
                source = meta.with_name(name)
                if source.exists():
                    base.with_name(name).write_bytes(source.read_bytes())
                else:
                    unpacked(source.with_name(name + ".zst"), base.with_name(name))
            for method in ("none", "zstd"):
                out = Path(place) / "packed.snap"
                subprocess.run([tool, "pack", "-q", "-f", "--compress", method, str(base), "-o", str(out)], check=True,
                               stdout=subprocess.DEVNULL)
                yield f"{meta.parent.name}, {method}", out.read_bytes()


def unpacked(source: Path, to: Path) -> None:
    """A sparse copy: RAM is mostly zeros."""
    import zstandard
    with source.open("rb") as f, to.open("wb") as out, zstandard.ZstdDecompressor().stream_reader(f) as pages:
        while piece := pages.read(1 << 20):
            if piece.strip(b"\0"):
                out.write(piece)
            else:
                out.seek(len(piece), 1)
        out.truncate(out.tell())


class Tally:
    """Runs both readers over what it is given, and counts where they agree."""

    def __init__(self, tool: str, keep: Path | None, verbose: bool) -> None:
        self.tool, self.keep, self.verbose = tool, keep, verbose
        self.count: collections.Counter[str] = collections.Counter()
        self.groups: collections.Counter[str] = collections.Counter()
        self.wrong = 0
        self.started = time.monotonic()

    def compare(self, kind: str, name: str, checked: list[bytes], offsets: list[int], pipe: bool) -> None:
        """`checked` is a file, or a chain."""
        mine = own(checked)
        theirs = run_other(self.tool, checked, pipe)
        count = self.count
        count[f"{kind}: all"] += 1
        count[f"{kind}: accepted"] += mine[0]
        if mine[0] and theirs[0] and theirs[1] == ("state", mine[1]) and kind != "good":
            count[f"{kind}: accepted, but no state of bhyve's for snaptool"] += 1
        elif len(checked) > 1 and theirs[0] and not mine[0] and mine[1][1].startswith(ORDER):
            count[f"{kind}: another order of files was found by snaptool"] += 1
        elif mine[0] and not theirs[0] and "5.4.11" in theirs[1][1]:
            count[f"{kind}: refused by snaptool alone, which knows the layout"] += 1
        elif mine[0] != theirs[0] or mine[0] and mine[1] != theirs[1] or kind in ("good", "built") and not mine[0]:
            self.disagree(f"{kind} {name}", mine, theirs, checked)
        elif not mine[0]:
            at, there = mine[1][0], theirs[1][0]
            near = same_part(offsets, at, there)
            count[f"{kind}: refused, {'same offset' if at == there else 'same part' if near else 'other part'}"] += 1
            if self.verbose and at != there and not near:
                print(f"elsewhere {kind} {name}\n  snapread: {mine[1]}\n  snaptool: {theirs[1]}")

    def disagree(self, name: str, mine: Verdict, theirs: Verdict, files: list[bytes]) -> None:
        self.wrong += 1
        group = (mine[1][1] if not mine[0] else "accepted") + " | " + ("accepted" if theirs[0] else theirs[1][1])
        self.groups[group] += 1
        if self.groups[group] > 1:
            return
        text = f"{name}\n  snapread: {mine}\n  snaptool: {theirs}"
        print("DISAGREE " + text)
        if self.keep:
            self.keep.mkdir(parents=True, exist_ok=True)
            place = self.keep / f"{len(self.groups):03d}"
            for n, data in enumerate(files):
                place.with_suffix(f".{n}.snap").write_bytes(data)
            place.with_suffix(".txt").write_text(text + "\n")

    def report(self, seed: int) -> int:
        for group, times in self.groups.most_common():
            print(f"{times:>7}  disagree: {group}")
        for key in sorted(self.count):
            print(f"{self.count[key]:>7}  {key}")
        print(f"{self.wrong:>7}  disagreements ({time.monotonic() - self.started:.0f} s, seed {seed})")
        return 1 if self.wrong or not self.count else 0


def reseal_offsets(data: bytes) -> list[int]:
    image = reseal.parse(data)
    reseal.build(image)
    return image.offsets


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("samples", nargs="*", type=Path)
    parser.add_argument("--fixtures", type=Path, metavar="FOLDER", help="three-file snapshots, to be packed")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path)
    parser.add_argument("--largest", type=int, default=1 << 20, help="mutate only samples up to this size")
    parser.add_argument("--random-only", action="store_true", help="leave out the directed cases")
    parser.add_argument("--verbose", action="store_true", help="print errors placed in different parts")
    parser.add_argument("--vectors", type=Path, metavar="FOLDER", help="check these vectors, and nothing else")
    args = parser.parse_args()
    if args.vectors:
        return check_vectors(args.tool, args.vectors, args.verbose)
    rng = random.Random(args.seed)
    chains = has_chains(args.tool)
    tally = Tally(args.tool, args.keep, args.verbose)
    files = {path.name: path.read_bytes() for path in args.samples} | built()
    if args.fixtures:
        files |= packed(args.tool, args.fixtures)
    small = {name: data for name, data in files.items() if len(data) <= args.largest}
    for kind, name, chain, offsets in work(files, small, rng, args.count if small else 0, not args.random_only):
        tally.compare(kind, name, chain[-1:], offsets, rng.random() < 0.25)
        if len(chain) > 1 and chains:
            tally.compare(kind + " chain", name, chain, offsets, False)
    return tally.report(args.seed)


if __name__ == "__main__":
    sys.exit(main())
