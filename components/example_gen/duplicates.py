"""Records that are equal, within a split and across splits, counted exactly up to collisions of 64 bits of SHA-256.

Each record leaves 17 bytes in a file: 64 bits of its digest, its number, its split. The files are gone through as often as keeps
what is looked at in memory bounded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from components.record_issues import Issue, IssueKind

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Numbers = npt.NDArray[np.int64]

ENTRY = [("key", "<u8"), ("row", "<i8"), ("split", "i1")]
_FILE, _NAMES = "digests", "names"
_IN_MEMORY = 1 << 22
_LISTED = 10
_PLACES = 2
_MOST_SPLITS = 62  # bits; further splits are taken for one


class DigestWriter:
    """Writes the digests of the records of a part, and where each came from."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._digests = (folder / _FILE).open("wb")
        self._names = (folder / _NAMES).open("w", encoding="utf-8")
        self._rows = 0

    def add(self, digests: bytes, splits: npt.NDArray[np.int64], origin: str | Sequence[str], first: int) -> None:
        """Adds the records of one block.

        Args:
            digests: SHA-256 of each record, behind one another.
            splits: The number of each record's split; one with -1 is in none and is not looked at.
            origin: The file that the records are rows of, or the name of each record.
            first: Number of the rows of the file before them.
        """
        import numpy as np

        count = len(splits)
        entries = np.empty(count, ENTRY)
        entries["key"] = np.frombuffer(digests, "<u8")[::4]
        entries["row"] = np.arange(self._rows, self._rows + count)
        entries["split"] = splits
        self._digests.write(entries[splits >= 0].tobytes())
        if isinstance(origin, str):
            self._names.write(f"{self._rows}\t{first}\t{origin}\n")
        else:
            self._names.write("".join([f"{row}\t\t{name}\n" for row, name in enumerate(origin, self._rows)]))
        self._rows += count

    def close(self) -> None:
        """Completes the files."""
        self._digests.close()
        self._names.close()


@dataclass
class Duplicates:
    """What records are equal.

    Attributes:
        within: By split, records that equal an earlier one of the split.
        across: Different records that are in more than one split.
        issues: The same in words, with the first records.
    """

    within: dict[str, int]
    across: int = 0
    issues: list[Issue] = field(default_factory=list)


def find_duplicates(folders: Sequence[Path], part_splits: Sequence[Sequence[str]], splits: Sequence[str]) -> Duplicates:
    """Returns what records of all parts are equal.

    Args:
        folders: The folder of each part's `DigestWriter`.
        part_splits: Names of the splits by the number that the part gave them.
        splits: Names of all splits.
    """
    import numpy as np

    found = Duplicates(dict.fromkeys(splits, 0))
    origins = _Origins(folders)
    inner: dict[int, list[str]] = {}
    leaks: dict[int, tuple[int, list[str]]] = {}
    renumbered = [np.array([splits.index(name) for name in names], "i1") for names in part_splits]
    for piece in _pieces(folders, renumbered):
        for split, name in enumerate(splits):
            groups = piece.repeated_in(split)
            found.within[name] += sum(len(group) - 1 for group in groups)
            shown = inner.setdefault(split, [])
            shown += [origins.text(piece.places(group)) for group in groups[: _LISTED - len(shown)]]
        for mask, groups in piece.shared().items():
            count, shown = leaks.get(mask, (0, []))
            shown += [origins.text(piece.places(group), splits) for group in groups[: _LISTED - len(shown)]]
            leaks[mask] = count + len(groups), shown
    found.issues = [_within_issue(name, found.within[name], inner[split]) for split, name in enumerate(splits) if found.within[name]]
    for mask, (count, shown) in sorted(leaks.items()):
        found.across += count
        found.issues.append(_leak_issue(tuple(name for split, name in enumerate(splits) if mask >> split & 1), count, shown))
    return found


def _within_issue(split: str, count: int, records: Iterable[str]) -> Issue:
    text = f"{count:,} record{'s equal' if count > 1 else ' equals'} an earlier one of split '{split}'."
    return Issue(IssueKind.DUPLICATE_RECORD, text, count, tuple(records), (split,))


def _leak_issue(splits: tuple[str, ...], count: int, records: Iterable[str]) -> Issue:
    names = " and ".join(f"'{split}'" for split in splits)
    text = f"{count:,} different record{'s are' if count > 1 else ' is'} in split {names}: what is evaluated was trained on."
    return Issue(IssueKind.LEAKED_RECORD, text, count, tuple(records), splits)


class _Piece:
    """Entries of all parts, sorted by key; all records that equal one of them are there too."""

    def __init__(self, entries: Any, parts: Any) -> None:
        import numpy as np

        order = np.argsort(entries["key"], kind="stable")
        self._entries, self._parts = entries[order], parts[order]
        keys = self._entries["key"]
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        self._starts, self._lengths = starts, np.diff(np.append(starts, len(keys)))

    def repeated_in(self, split: int) -> list[Numbers]:
        """Returns the places of records of one split that are equal, group by group."""
        import numpy as np

        inside = self._entries["split"] == split
        counts = np.add.reduceat(inside, self._starts, dtype=np.int64)
        return [place + np.flatnonzero(inside[place : place + length]) for place, length in self._groups(counts > 1)]

    def shared(self) -> dict[int, list[Numbers]]:
        """Returns the places of records of several splits that are equal, one of each split first, by the splits as bits."""
        import numpy as np

        bits = np.left_shift(1, np.minimum(self._entries["split"].astype(np.int64), _MOST_SPLITS))
        masks = np.bitwise_or.reduceat(bits, self._starts)
        found: dict[int, list[Numbers]] = {}
        for mask in np.unique(masks[masks & (masks - 1) != 0]).tolist():
            for place, length in self._groups(masks == mask):
                _, firsts = np.unique(self._entries["split"][place : place + length], return_index=True)
                others = np.setdiff1d(np.arange(length), firsts)
                found.setdefault(mask, []).append(place + np.concatenate([np.sort(firsts), others]))
        return found

    def places(self, group: Numbers) -> list[tuple[int, int, int]]:
        """Returns the numbers of part, row and split of the entries of a group."""
        columns = (self._parts[group], self._entries["row"][group], self._entries["split"][group])
        return list(zip(*(column.tolist() for column in columns), strict=True))

    def _groups(self, chosen: Any) -> list[tuple[int, int]]:
        """Returns begin and length of the chosen groups, in the order of their first records."""
        starts, lengths = self._starts[chosen], self._lengths[chosen]
        import numpy as np

        order = np.lexsort((self._entries["row"][starts], self._parts[starts]))
        return list(zip(starts[order].tolist(), lengths[order].tolist(), strict=True))


def _pieces(folders: Sequence[Path], renumbered: Sequence[npt.NDArray[np.int8]]) -> Iterator[_Piece]:
    import numpy as np

    sizes = [(folder / _FILE).stat().st_size // np.dtype(ENTRY).itemsize for folder in folders]
    passes = max(1, -(-sum(sizes) // _IN_MEMORY))
    for number in range(passes):
        chosen, parts = [], []
        for part, folder in enumerate(folders):
            if not sizes[part]:
                continue
            entries = np.memmap(folder / _FILE, ENTRY, "r") if passes > 1 else np.fromfile(folder / _FILE, ENTRY)
            entries = np.array(entries[entries["key"] % np.uint64(passes) == number]) if passes > 1 else entries
            entries["split"] = renumbered[part][entries["split"]]
            chosen.append(entries)
            parts.append(np.full(len(entries), part))
        if any(map(len, chosen)):
            yield _Piece(np.concatenate(chosen), np.concatenate(parts))


class _Origins:
    """Says where records came from; reads the files with their names when it is asked."""

    def __init__(self, folders: Sequence[Path]) -> None:
        self._folders = folders
        self._known: dict[int, tuple[Any, list[str]]] = {}

    def text(self, places: Sequence[tuple[int, int, int]], splits: Sequence[str] = ()) -> str:
        """Returns `a.csv, row 7 = a.csv, row 9`, with the split of each where `splits` are given; two, and at least one of each split."""
        count = max(_PLACES, len({split for _, _, split in places}))
        shown = [self._name(part, row) + (f" ({splits[split]})" if splits else "") for part, row, split in places[:count]]
        return " = ".join(shown) + (f" and {len(places) - count:,} more" if len(places) > count else "")

    def _name(self, part: int, row: int) -> str:
        import numpy as np

        if part not in self._known:
            lines = (self._folders[part] / _NAMES).read_text(encoding="utf-8").splitlines()
            self._known = {part: (np.array([int(line.partition("\t")[0]) for line in lines]), lines)}
        starts, lines = self._known[part]
        start, first, name = lines[int(np.searchsorted(starts, row, side="right")) - 1].split("\t", 2)
        return f"{name}, row {int(first) + row - int(start) + 1:,}" if first else name
