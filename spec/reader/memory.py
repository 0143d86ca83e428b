"""The memory tree, §6.4, and the pages of a chain's state."""
from __future__ import annotations

import hashlib
import tempfile

from rules import PAGE, SPACE, sha256

def node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\1" + left + right).digest()


def _uniform(leaf: bytes) -> list[bytes]:
    levels = [leaf]
    for _ in range(40):
        levels.append(node(levels[-1], levels[-1]))
    return levels


ZERO = _uniform(sha256(b"\0", bytes(PAGE)))
ABSENT = _uniform(sha256(b"\2"))
INHERITED = _uniform(sha256(b"\3"))                                                # §13.3


class Tree:
    """The tree over all pages, built from aligned subtrees that come in ascending order.

    `rest` is what pages of RAM are that do not come: zero, or, in the tree of a delta, inherited.
    """

    def __init__(self, segments: list[tuple[int, int]], rest: list[bytes] = ZERO) -> None:
        self.regions: list[tuple[int, list[bytes]]] = []      # (end page, digests per level)
        for gpa, length in segments:
            self.regions.append((gpa // PAGE, ABSENT))
            self.regions.append(((gpa + length) // PAGE, rest))
        self.regions.append((SPACE // PAGE, ABSENT))
        self.region = 0
        self.page = 0
        self.stack: list[bytes] = []

    def _push(self, level: int, digest: bytes) -> None:
        """Appends the subtree of `level` at self.page, which is a multiple of its size."""
        place = self.page >> level
        self.page += 1 << level
        while place & 1:
            digest = node(self.stack.pop(), digest)
            place >>= 1
        self.stack.append(digest)

    def _fill(self, end: int) -> None:
        """Appends uniform subtrees, as large as they go, up to page `end`."""
        while self.page < end:
            while self.regions[self.region][0] <= self.page:
                self.region += 1
            stop, digests = self.regions[self.region]
            stop = min(stop, end)
            level = (stop - self.page).bit_length() - 1
            if self.page:
                level = min(level, (self.page & -self.page).bit_length() - 1)
            self._push(level, digests[level])

    def add(self, gpa: int, size: int, root: bytes) -> None:
        self._fill(gpa // PAGE)
        self._push((size // PAGE).bit_length() - 1, root)

    def root(self) -> bytes:
        self._fill(SPACE // PAGE)
        assert len(self.stack) == 1
        return self.stack[0]


def block_root(leaves: list[bytes]) -> bytes:
    """§6.4.1: the subtree root over 2^k leaves. Uniform pairs are looked up, not hashed."""
    level = 0
    while len(leaves) > 1:
        uniform = {kind[level]: kind[level + 1] for kind in (ZERO, ABSENT, INHERITED)}
        up = []
        for i in range(0, len(leaves), 2):
            left, right = leaves[i], leaves[i + 1]
            up.append(uniform[left] if left == right and left in uniform else node(left, right))
        leaves = up
        level += 1
    return leaves[0]


class Memory:
    """The pages of a chain's newest state (§13): what is not zero, by page number, in a temporary file."""

    def __init__(self) -> None:
        self.f = tempfile.TemporaryFile()
        self.pages: dict[int, tuple[bytes, int]] = {}           # leaf, and place in the temporary file
        self.free: list[int] = []
        self.end = 0

    def get(self, page: int) -> bytes:
        if page not in self.pages:
            return bytes(PAGE)
        self.f.seek(self.pages[page][1])
        return self.f.read(PAGE)

    def put(self, page: int, leaf: bytes, data: bytes | memoryview) -> None:
        self.drop(page)
        if not self.free:
            self.free.append(self.end)
            self.end += PAGE
        at = self.free.pop()
        self.f.seek(at)
        self.f.write(data)
        self.pages[page] = (leaf, at)

    def drop(self, page: int) -> None:
        """The page is zero now."""
        if page in self.pages:
            self.free.append(self.pages.pop(page)[1])

    def root(self, segments: list[tuple[int, int]]) -> bytes:
        """§6.4: the memory root, from all pages."""
        tree = Tree(segments)
        for page in sorted(self.pages):
            tree.add(page * PAGE, PAGE, self.pages[page][0])
        return tree.root()
