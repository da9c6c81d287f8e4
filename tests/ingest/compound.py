"""Writes OLE compound files (MS-CFB), the container of MSG, DOC, PPT and XLS, for tests.

A single FAT sector, so at most some 60 KB; entries lie in a right-leaning chain instead of a
balanced tree, which readers accept.
"""

import struct

FREE, END, FAT = 0xFFFFFFFF, 0xFFFFFFFE, 0xFFFFFFFD
SECTOR, MINI, CUTOFF = 512, 64, 4096


def compound_file(tree: dict) -> bytes:
    """`tree` maps names to bytes (a stream) or to another such dict (a storage)."""
    entries: list[list] = [["Root Entry", 5, FREE, FREE, b""]]  # name, type, right, child, data
    _add(entries, 0, tree)
    mini_stream, mini_fat, sectors, fat = b"", [], [], []
    placed = []
    for _, kind, _, _, data in entries:
        start = END
        if kind == 2 and 0 < len(data) < CUTOFF:
            start = len(mini_fat)
            count = -(-len(data) // MINI)
            mini_fat += [*range(start + 1, start + count), END]
            mini_stream += data.ljust(count * MINI, b"\0")
        elif kind == 2 and data:
            start = _chain(sectors, fat, data)
        placed.append(start)
    root_start = _chain(sectors, fat, mini_stream) if mini_stream else END
    mini_fat_bytes = b"".join(struct.pack("<I", n) for n in mini_fat)
    mini_fat_start = _chain(sectors, fat, mini_fat_bytes) if mini_fat else END
    directory = b"".join(
        _entry(entry, root_start if i == 0 else placed[i], len(mini_stream) if i == 0 else None)
        for i, entry in enumerate(entries)
    )
    directory_start = _chain(sectors, fat, directory)
    fat_sector = len(sectors)
    fat.append(FAT)
    assert len(fat) <= SECTOR // 4
    sectors.append(struct.pack(f"<{len(fat)}I", *fat).ljust(SECTOR, b"\xff"))
    header = struct.pack(
        "<8s16xHHHHH6xIIIIIIIIII",
        b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
        *(0x3E, 3, 0xFFFE, 9, 6),
        *(0, 1, directory_start, 0, CUTOFF),
        *(mini_fat_start, -(-len(mini_fat_bytes) // SECTOR), END, 0, fat_sector),
    ).ljust(SECTOR, b"\xff")
    return header + b"".join(sectors)


def _add(entries: list[list], parent: int, tree: dict) -> None:
    previous = None
    for name, value in sorted(tree.items(), key=lambda item: (len(item[0]), item[0].upper())):
        index = len(entries)
        is_storage = isinstance(value, dict)
        entries.append([name, 1 if is_storage else 2, FREE, FREE, b"" if is_storage else value])
        if previous is None:
            entries[parent][3] = index
        else:
            entries[previous][2] = index
        previous = index
        if is_storage:
            _add(entries, index, value)


def _chain(sectors: list[bytes], fat: list[int], data: bytes) -> int:
    start = len(sectors)
    count = -(-len(data) // SECTOR)
    for i in range(count):
        sectors.append(data[i * SECTOR : (i + 1) * SECTOR].ljust(SECTOR, b"\0"))
        fat.append(END if i == count - 1 else start + i + 1)
    return start


def _entry(entry: list, start: int, size: int | None) -> bytes:
    name, kind, right, child, data = entry
    encoded = name.encode("utf-16-le") + b"\0\0"
    length = len(data) if size is None else size
    return struct.pack(
        "<64sHBBIII16xI8x8xIQ",
        encoded,
        *(len(encoded), kind, 1, FREE, right, child, 0),
        *(0 if kind == 1 else start, length),
    )
