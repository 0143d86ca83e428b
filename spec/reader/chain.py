"""Finds the parents of a delta by their content, §13.6.

What is read here are claims: header, trailer and INDEX of each file, every one against its digest before it is parsed.
Whether they are true, the check of the chain says.
"""
from __future__ import annotations

import os
import struct
from dataclasses import dataclass
from pathlib import Path

from nvlist import T_BINARY, T_NVLIST, decode_nvlist
from rules import INDEX, LIMITS, MAX_CHAIN, PAGE, Invalid, sha256


@dataclass(frozen=True)
class Claim:
    """What a file says of itself."""
    path: Path
    root: bytes
    content: bytes
    parent: bytes | None


def claim(path: Path) -> Claim | None:
    """None where the file is none, or is damaged where it was looked at."""
    with path.open("rb") as f:
        header = f.read(PAGE)
        size = os.fstat(f.fileno()).st_size
        if len(header) != PAGE or header[:22] != b"BHYVE CHECKPOINT IMAGE" or sha256(header[:4064]) != header[4064:]:
            return None
        f.seek(size - 128)
        trailer = f.read(128)
        if trailer[:16] != b"BHYVE CKPT END\0\0" or sha256(trailer[:96]) != trailer[96:]:
            return None
        at, = struct.unpack_from("<Q", trailer, 16)
        if not PAGE <= at < size:
            return None
        f.seek(at)
        frame = f.read(128)
        if len(frame) != 128 or sha256(frame[:96]) != frame[96:] or frame[96:] != trailer[64:96]:
            return None
        kind, _, nv_size = struct.unpack_from("<III", frame, 8)
        if kind != INDEX or nv_size > LIMITS[INDEX][0]:
            return None
        nv = f.read(nv_size)
    nv_header, = struct.unpack_from("<I", header, 64)
    if sha256(nv) != frame[32:64] or nv_header > 3996:
        return None
    try:
        content = decode_nvlist(nv, at + 128).get(b"content")
        parent = decode_nvlist(header[68:68 + nv_header], 68).get(b"parent")
    except Invalid:
        return None
    if content is None or content[0] != T_BINARY:
        return None
    if parent is None:
        return Claim(path, frame[96:], content[1], None)
    wanted = parent[1].get(b"content") if parent[0] == T_NVLIST else None
    if wanted is None or wanted[0] != T_BINARY:
        return None
    return Claim(path, frame[96:], content[1], wanted[1])


def find(newest: Path, folder: Path) -> list[Path] | None:
    """The files of a shortest chain, the full file first; None where there is none of at most MAX_CHAIN files."""
    start = claim(newest)
    if start is None:
        return [newest]                                     # its check says what is wrong
    found: dict[bytes, list[Claim]] = {}
    for path in sorted(p for p in folder.iterdir() if p.is_file()):
        have = claim(path)
        if have is not None:
            found.setdefault(have.content, []).append(have)
    seen = {start.root}
    row = [[start]]
    for _ in range(MAX_CHAIN):
        further = []
        for chain in row:
            if chain[-1].parent is None:
                return [c.path for c in reversed(chain)]
            for below in found.get(chain[-1].parent, []):
                if below.root not in seen:
                    seen.add(below.root)
                    further.append(chain + [below])
        row = further
    return None
