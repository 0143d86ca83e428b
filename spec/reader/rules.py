"""What every module of the reader shares: numbers of spec/snapshot.md, its one digest, and the error that names a rule."""
from __future__ import annotations

import hashlib

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
PAGE = 4096                                                                       # §1.2
SPACE = 1 << 52

VM, META, DEVICE, EXTENT, MAP, INDEX = 1, 2, 16, 32, 33, 48                       # §5
CONFIG, HOST = 0x80000003, 0x80000004
OPTIONAL, BOUND, PRIVATE = 1 << 31, 1 << 30, 1 << 29                              # §4.2: bits of a type
NAMES = {VM: "VM", META: "META", CONFIG: "CONFIG", HOST: "HOST", DEVICE: "DEVICE",
         EXTENT: "EXTENT", MAP: "MAP", INDEX: "INDEX"}
# §2.2: the order of parts. Optional parts that are not known stand before DEVICE or after memory; META may be missing.
RANK = {VM: 0, META: 1, CONFIG: 2, HOST: 2, DEVICE: 3, EXTENT: 4, MAP: 4, INDEX: 6}
RANK_OPTIONAL, RANK_LATE = 2, 5
# §10: the largest nvlist and the largest payload of each type
LIMITS = {VM: (64 * KIB, 0), META: (64 * KIB, MIB), CONFIG: (64 * KIB, MIB),
          DEVICE: (4 * MIB, 64 * MIB), EXTENT: (64 * KIB, 4 * MIB), MAP: (64 * KIB, 384 * KIB),
          INDEX: (4 * MIB, 8 * MIB)}
LIMITS_OPTIONAL = (MIB, 64 * MIB)
MAX_DEVICES, MAX_OPTIONAL, MAX_FILE = 1024, 64, 1 << 56
MAX_RECORDS, MAX_OPTIONAL_BYTES = GIB, 256 * MIB                                  # §10: of a file together
MAX_RECORD = 64 * MIB                                                             # §10: payload of DEVICE
META_DEPTH, META_VALUES = 8, 32768                                                # §5.2.2, §5.2.6
MAX_CHAIN = 64                                                                    # §13.6: what R must accept
MAX_DEPTH, MAX_ITEMS = 128, 65536                                                 # §1.3.5, §1.3.6
MAX_WINDOW = 16                                                                   # §6.6: exponent


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
