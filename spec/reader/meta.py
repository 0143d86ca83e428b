"""The text of a .meta file, §5.2."""
from __future__ import annotations

import json
from typing import Any, Iterable, NoReturn

from rules import META_DEPTH, META_VALUES, Invalid, show

def parse_meta(text: bytes, generation: bytes, at: int) -> tuple[dict[str, Any], list[tuple[bytes, bytes, int]]]:
    """§5.2.1: the machine and the records (section, name, size) that a .meta file states."""
    def bad(message: str, rule: str) -> NoReturn:
        raise Invalid("consistency", rule, at, ".meta: " + message)

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(pairs)
        if len(result) != len(pairs):
            raise ValueError("a key occurs twice")
        return result

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    def whole(digits: str) -> int | None:                               # §5.2.4
        return int(digits) if digits.isdigit() and len(digits) <= 20 and int(digits) < 1 << 64 else None

    def inner(value: Any) -> Iterable[Any]:
        return value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()

    def too_deep(value: Any, depth: int) -> bool:
        return depth > META_DEPTH or any(too_deep(v, depth + 1) for v in inner(value))

    def values(value: Any) -> int:
        return 1 + sum(values(v) for v in inner(value))

    try:
        doc = json.loads(text.decode(), object_pairs_hook=unique, parse_constant=constant, parse_int=whole)
        json.dumps(doc, ensure_ascii=False).encode()                    # lone surrogates
    except (ValueError, RecursionError) as e:
        bad(show(str(e).encode("utf-8", "replace")), "5.2.2")

    def member(obj: Any, key: str, kind: type) -> Any:
        value = obj.get(key)
        if type(value) is not kind:
            bad(f"{key} is missing or of another type", "5.2.3")
        return value

    if type(doc) is not dict:
        bad("not an object", "5.2.2")
    if too_deep(doc, 0):
        bad(f"nested deeper than {META_DEPTH}", "5.2.2")
    if values(doc) > META_VALUES:
        bad(f"more than {META_VALUES} values", "5.2.6")
    basic = member(doc, "basic metadata", dict)
    machine = {key: member(basic, key, int) for key in ("ncpus", "memsize")}
    machine["memflags"] = member(basic, "memflags", int) if "memflags" in basic else 0
    machine["vmname"] = member(basic, "vmname", str) if "vmname" in basic else ""
    kernel, kernel_name, device_name = {
        b"A": ("structs", "debug_name", "snapshot_req"), b"B": ("kern_structs", "device", "device")}[generation]
    other = "structs" if kernel == "kern_structs" else "kern_structs"
    if other in doc:
        bad(f"{other} in a file of generation {show(generation)}", "5.2.3")
    records: list[tuple[int, bytes, bytes, int]] = []
    for section, key in ((kernel, kernel_name), ("devices", device_name)):
        for entry in member(doc, section, list):
            if type(entry) is not dict:
                bad(f"an entry of {section} is not an object", "5.2.3")
            name, size = member(entry, key, str), member(entry, "size", int)
            if section == "structs" and member(entry, "snapshot_req", int) >= 1 << 31:
                bad("snapshot_req is too large", "5.2.3")
            records.append((member(entry, "file_offset", int), section.encode(), name.encode(), size))
    records.sort(key=lambda record: record[0])                          # stable, §5.2.5
    end = 0
    for offset, _, raw, size in records:
        if offset != end:
            bad(f"the offset of {show(raw)} is not the sum of the sizes before it", "5.2.5")
        end += size
    return machine, [record[1:] for record in records]
