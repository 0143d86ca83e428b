"""The nvlist decoder against vectors of libnv, spec/vectors/nvlist.

    nvtest.py FOLDER           exit status 1 where the decoder says something else

What libnv is lenient about it may refuse, and what §1.3 has no place for: big-endian lists, flags, descriptors.
"""
from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from nvlist import (
    T_BINARY, T_NULL, T_NUMBER, T_NUMBERS, T_NVLIST, T_NVLISTS, T_STRING, T_STRINGS, TYPE_NAMES, NvList, decode_nvlist)
from rules import Invalid, sha256
from zstdframe import ZSTD


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


def message(vector: dict[str, Any], folder: Path) -> bytes:
    """The bytes of a vector, as the README of the vectors says."""
    if "hex" in vector:
        return bytes.fromhex(vector["hex"])
    if "zstd_hex" in vector:
        data = ZSTD(bytes.fromhex(vector["zstd_hex"]), vector["size"]) if ZSTD else None
        if data is None:
            raise SystemExit("nvtest.py needs a zstd decoder, see snapread.py")
        return data
    return b"".join((folder / name).read_bytes() for name in vector["files"])


def self_test(folder: Path) -> int:
    """Runs the nvlist decoder over the vectors of a folder."""
    failed = accepted = refused = 0
    for kind in ("valid", "invalid", "lenient"):
        for line in (folder / f"{kind}.jsonl").read_text().splitlines():
            vector = json.loads(line)
            try:
                got = describe(decode_nvlist(message(vector, folder)))
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
                print(f"{kind}: {vector['name']}: {'decoded otherwise' if got is not None else 'refused'}", file=sys.stderr)
    print(f"{accepted} accepted, {refused} refused, {failed} wrong")
    return 1 if failed or not accepted + refused else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        print(__doc__, file=sys.stderr)
        sys.exit(2)
    sys.exit(self_test(Path(sys.argv[1])))
