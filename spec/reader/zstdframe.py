"""zstd payloads, §6.6. The decoder is compression.zstd, the package zstandard, or the command zstd."""
from __future__ import annotations

import shutil
import subprocess
import tempfile
from typing import Callable, NoReturn

from rules import MAX_WINDOW, Invalid

def _pick_zstd() -> Callable[[bytes, int], bytes | None] | None:
    """A function (frame, size) -> at most size + 1 bytes, or None for a frame that is broken."""
    try:
        from compression import zstd  # type: ignore[import-not-found]

        def stdlib(frame: bytes, size: int) -> bytes | None:
            try:
                options = {zstd.DecompressionParameter.window_log_max: 31}
                d = zstd.ZstdDecompressor(options=options)
                out = d.decompress(frame, size + 1)
                return out if d.eof and not d.unused_data else None
            except zstd.ZstdError:
                return None
        return stdlib
    except ImportError:
        pass
    try:
        import zstandard

        def package(frame: bytes, size: int) -> bytes | None:
            try:
                d = zstandard.ZstdDecompressor(max_window_size=1 << 31)
                return d.decompress(frame, max_output_size=size)
            except zstandard.ZstdError:
                return None
        return package
    except ImportError:
        pass
    command = shutil.which("zstd")
    if command is None:
        return None

    def process(frame: bytes, size: int) -> bytes | None:
        with tempfile.TemporaryFile() as f:
            f.write(frame)
            f.seek(0)
            with subprocess.Popen([command, "-dcq", "--no-progress", "--long=31"], stdin=f,
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as p:
                assert p.stdout is not None
                out = p.stdout.read(size + 1)
                p.stdout.close()
            return out if p.returncode == 0 else None
    return process


ZSTD = _pick_zstd()


def zstd_decode(frame: bytes, size: int, at: int) -> bytes | None:
    """§6.6: the content of one frame of exactly `size` bytes; None where there is no decoder.

    Frame header and blocks are walked here (RFC 8878, 3.1.1), so that stated size, dictionary and
    end are known before a decoder is trusted with them.
    """
    def bad(message: str) -> NoReturn:
        raise Invalid("consistency", "6.6", at, message)

    if len(frame) < 6 or frame[:4] != b"\x28\xb5\x2f\xfd":
        bad("not a zstd frame")
    descriptor = frame[4]
    single = descriptor >> 5 & 1
    if descriptor & 8:
        bad("reserved bit of the zstd frame header")
    width = (1 if single else 0, 2, 4, 8)[descriptor >> 6]
    if not width:
        bad("zstd frame does not state its content size")
    if not single and len(frame) > 5 and frame[5] >> 3 > MAX_WINDOW:
        bad("window of the zstd frame is too large")
    pos = 5 + (not single)
    dictionary = (0, 1, 2, 4)[descriptor & 3]
    if len(frame) < pos + dictionary + width:
        bad("zstd frame header is cut off")
    if any(frame[pos:pos + dictionary]):
        bad("zstd frame names a dictionary")
    pos += dictionary
    stated = int.from_bytes(frame[pos:pos + width], "little") + (256 if width == 2 else 0)
    if stated != size:
        bad(f"zstd frame states {stated} bytes, not {size}")
    pos += width
    last = 0
    while not last:
        if len(frame) < pos + 3:
            bad("zstd frame is cut off")
        block = int.from_bytes(frame[pos:pos + 3], "little")
        last, kind, length = block & 1, block >> 1 & 3, block >> 3
        if kind == 3:
            bad("reserved zstd block type")
        pos += 3 + (1 if kind == 1 else length)
    pos += 4 * (descriptor >> 2 & 1)
    if pos != len(frame):
        bad("zstd frame does not end where the payload does")
    if ZSTD is None:
        return None
    out = ZSTD(frame, size)
    if out is None or len(out) != size:
        bad("zstd frame does not decode")
    return out
