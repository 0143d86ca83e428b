"""Records as fields, §5.4.8: the bytes of a record from its fields, whatever its layout."""
from __future__ import annotations

from typing import Any, Iterator

from nvlist import T_BINARY, T_NULL, T_NUMBER, T_NUMBERS, T_NVLIST, T_NVLISTS, TYPE_NAMES, NvList, Pairs

def walk(fields: NvList) -> Iterator[tuple[int, Any]]:
    """The pairs that are no lists, in the order of the packed list: type and value."""
    for kind, value in fields.values():
        if kind in (T_NVLIST, T_NVLISTS):
            for item in [value] if kind == T_NVLIST else value:
                yield from walk(item)
        else:
            yield kind, value


def narrow(value: int, width: int) -> bytes | None:
    """§5.4.9: the low `width` bytes; None where the others are neither zeros nor the sign's.

    Which of the two a field has to have says its layout; no layout is known here (5.4.11).
    """
    sign = (1 << 64) - (1 << 8 * width - 1)
    if value >> 8 * width and value < sign:
        return None
    return value.to_bytes(8, "little")[:width]


def record_pieces(p: Pairs, fields: NvList) -> list[bytes | int]:
    """§5.4.9: the record, with the size of each chunk of the bulk in its place."""
    widths, bulk = p.get("widths", T_BINARY, "5.4.8", must=False) or b"", \
        p.get("bulk", T_NUMBERS, "5.4.8", must=False) or []
    pieces: list[bytes | int] = []
    numbers = chunks = 0
    for kind, value in walk(fields):
        if kind in (T_NUMBER, T_NUMBERS):
            if numbers >= len(widths) or widths[numbers] not in (1, 2, 4, 8):
                p.bad("widths has not 1, 2, 4 or 8 for each number", "5.4.8", "consistency")
            for item in [value] if kind == T_NUMBER else value:
                low = narrow(item, widths[numbers])
                if low is None:
                    p.bad(f"number {item:#x} does not fit its width", "5.4.9", "consistency")
                pieces.append(low)
            numbers += 1
        elif kind == T_BINARY:
            pieces.append(value)
        elif kind == T_NULL:
            if chunks >= len(bulk) or not bulk[chunks]:
                p.bad("bulk has not a size for each null", "5.4.8", "consistency")
            pieces.append(bulk[chunks])
            chunks += 1
        else:
            p.bad(f"a field is a {TYPE_NAMES[kind]}", "5.4.9", "consistency")
    if numbers != len(widths) or chunks != len(bulk):
        p.bad("widths or bulk has more than the fields", "5.4.8", "consistency")
    return pieces
