#!/usr/bin/env python3
"""Do two readers agree? Runs snapread and snaptool over good files and seeded mutations of them.

    agree.py SNAPTOOL SAMPLE... [--count N] [--seed S] [--keep FOLDER] [--random-only] [--verbose]
    agree.py SNAPTOOL --vectors FOLDER [--verbose]

Three kinds of mutation, N of each where they are random: one byte changed or the file cut (digests
no longer match); bytes and pairs changed with all digests computed again (reseal.py), so that only
rules about meaning can object; and the directed cases of cases.py, once per sample.
Prints a summary; exit status 1 where a verdict, or an identity of a good file, differs. Offsets of
errors are compared too, but only counted: the order of checks is free within a part.

With --vectors, both readers have to say of each vector of spec/vectors/snapshot what its header
says: accept it, with its root, or refuse it. Where snapread names another layer, that is counted.
"""
from __future__ import annotations

import argparse
import bisect
import collections
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
import reseal
import snapread

Verdict = tuple[bool, Any]          # accepted, and identities or (offset, text)


def own(data: bytes) -> Verdict:
    reader, error = snapread.verify(io.BytesIO(data))
    if reader.not_checked:
        raise SystemExit("agree.py needs a zstd decoder, see snapread.py")
    if error:
        return False, (error.offset, f"§{error.rule} {error.message}")
    return True, (reader.root.hex(), reader.content.hex())


def other(tool: str, path: Path, pipe: bool) -> Verdict:
    with path.open("rb") as f:
        run = subprocess.run([tool, "verify", "--json", "-Q", "-" if pipe else str(path)],
                             stdin=f if pipe else subprocess.DEVNULL, capture_output=True, timeout=120, check=False)
    if run.returncode not in (0, 1):
        return False, (-1, f"EXIT {run.returncode}: {run.stderr.decode('utf-8', 'replace')[:200]}")
    said = json.loads(run.stdout)
    if said["ok"] != (run.returncode == 0):
        return False, (-1, "EXIT status and verdict differ")
    if said["ok"]:
        return True, (said["root"], said["content"])
    finding = said["findings"][0]
    if "fault" not in finding:
        # Not about the file: the state in it is not one of bhyve's (§11.2). Another document's matter.
        return True, ("state", (said["root"], said["content"]))
    return False, (finding.get("offset"), f"[{finding.get('fault')}] {finding.get('where')}: {finding['message']}")


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
    decompress = snapread.ZSTD
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


def check_vectors(tool: str, folder: Path, verbose: bool) -> int:
    """Both readers against the headers of the vectors."""
    count: collections.Counter[str] = collections.Counter()
    wrong = 0
    with tempfile.TemporaryDirectory() as temporary:
        sample = Path(temporary) / "x.snap"
        for header, data in (vector for path in sorted(folder.glob("*.vectors")) for vector in load(path)):
            sample.write_bytes(data)
            reader, error = snapread.verify(io.BytesIO(data))
            mine = (False, str(error)) if error else (True, (reader.root.hex(), reader.content.hex()))
            theirs = [other(tool, sample, pipe) for pipe in (False, True)]
            must = header["expect"] == "ok"
            known = (header.get("root"), header.get("content", mine[1][1]))
            fine = mine[0] == must and not reader.not_checked and (not must or mine[1] == known)
            for verdict in theirs:
                identities = verdict[1][1] if verdict[1][0] == "state" else verdict[1]
                fine = fine and verdict[0] == must and (not must or identities == known)
            count["vectors"] += 1
            count["accepted" if must else "refused"] += fine
            count["accepted, but no state of bhyve's for snaptool"] += must and theirs[0][1][0] == "state"
            if not fine:
                wrong += 1
                print(f"DISAGREE {header['name']} ({header['expect']})\n  snapread: {mine}\n  snaptool: {theirs}")
            elif error and error.layer != header["expect"]:
                count[f"another layer: {header['expect']} in the header, {error.layer} for snapread"] += 1
                if verbose:
                    print(f"layer {header['name']}: {header['expect']}\n  snapread: {error}\n  snaptool: {theirs[0][1]}")
    for key in sorted(count):
        print(f"{count[key]:>7}  {key}")
    print(f"{wrong:>7}  disagreements")
    return 1 if wrong or not count["vectors"] else 0


def same_part(offsets: list[int], a: int | None, b: int | None) -> bool:
    if a is None or b is None:
        return False
    return bisect.bisect(offsets, a) == bisect.bisect(offsets, b)


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("tool")
    parser.add_argument("samples", nargs="*", type=Path)
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
    if not args.samples:
        parser.error("no samples")
    rng = random.Random(args.seed)
    files = {path: path.read_bytes() for path in args.samples}
    small = [path for path, data in files.items() if len(data) <= args.largest]
    images = {path: reseal.parse(files[path]) for path in small}

    def work() -> Iterator[tuple[str, str, bytes, list[int]]]:
        for path, data in files.items():
            yield "good", path.name, data, reseal_offsets(data)
        for path in [] if args.random_only else small:
            for name, image in cases.directed(images[path]):
                yield "directed", f"{path.name}: {name}", reseal.build(image), image.offsets
        for path in [] if args.random_only else small[:1]:
            for name, image in cases.large(images[path]):
                yield "directed", f"{path.name}: {name}", reseal.build(image), image.offsets
        for _ in range(args.count if small else 0):
            path = rng.choice(small)
            name, data = damaged(files[path], rng)
            yield "damaged", f"{path.name}: {name}", data, reseal_offsets(files[path])
        for _ in range(args.count if small else 0):
            path = rng.choice(small)
            name, image = cases.resealed(images[path], rng)
            yield "resealed", f"{path.name}: {name}", reseal.build(image), image.offsets

    count: collections.Counter[str] = collections.Counter()
    groups: collections.Counter[str] = collections.Counter()
    wrong = 0
    started = time.monotonic()
    with tempfile.TemporaryDirectory() as folder:
        sample = Path(folder) / "x.snap"
        for kind, name, data, offsets in work():
            sample.write_bytes(data)
            mine = own(data)
            theirs = other(args.tool, sample, rng.random() < 0.25)
            count[f"{kind}: all"] += 1
            count[f"{kind}: accepted"] += mine[0]
            if mine[0] and theirs[0] and theirs[1] == ("state", mine[1]) and kind != "good":
                count[f"{kind}: accepted, but no state of bhyve's for snaptool"] += 1
            elif mine[0] != theirs[0] or mine[0] and mine[1] != theirs[1] or kind == "good" and not mine[0]:
                wrong += 1
                group = (mine[1][1] if not mine[0] else "accepted") + " | " + ("accepted" if theirs[0] else theirs[1][1])
                groups[group] += 1
                if groups[group] == 1:
                    print(f"DISAGREE {kind} {name}\n  snapread: {mine}\n  snaptool: {theirs}")
                    if args.keep:
                        args.keep.mkdir(parents=True, exist_ok=True)
                        (args.keep / f"{len(groups):03d}.snap").write_bytes(data)
                        (args.keep / f"{len(groups):03d}.txt").write_text(
                            f"{kind} {name}\nsnapread: {mine}\nsnaptool: {theirs}\n")
            elif not mine[0]:
                at, there = mine[1][0], theirs[1][0]
                count[f"{kind}: refused, same offset"] += at == there
                near = same_part(offsets, at, there)
                count[f"{kind}: refused, same part"] += near and at != there
                if at != there and not near:
                    count[f"{kind}: refused, other part"] += 1
                    if args.verbose:
                        print(f"elsewhere {kind} {name}\n  snapread: {mine[1]}\n  snaptool: {theirs[1]}")
    for group, times in groups.most_common():
        print(f"{times:>7}  disagree: {group}")
    for key in sorted(count):
        print(f"{count[key]:>7}  {key}")
    print(f"{wrong:>7}  disagreements ({time.monotonic() - started:.0f} s, seed {args.seed})")
    return 1 if wrong else 0


def reseal_offsets(data: bytes) -> list[int]:
    image = reseal.parse(data)
    reseal.build(image)
    return image.offsets


if __name__ == "__main__":
    sys.exit(main())
