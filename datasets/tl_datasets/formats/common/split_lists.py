"""Lists of frame names that divide a data set into parts: `ImageSets/Main/train.txt` of VOC, `ImageSets` of KITTI."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path, PurePosixPath

from tl_datasets.errors import show
from tl_datasets.formats.common.place import Place
from tl_datasets.images import IMAGE_SUFFIXES, write_whole
from tl_datasets.parsing import read_text
from tl_datasets.read_report import Event, ReadReport

# Lists of other names, such as car_train.txt of VOC, say something else. `trainval` is the two before it together.
PARTS = ("train", "val", "test")
_TOGETHER = "trainval"
LIST_NAMES = frozenset(f"{part}.txt" for part in (*PARTS, _TOGETHER))
# The second column of a list of the devkit: whether the frame has an object of a class.
_FLAGS = frozenset({"-1", "0", "1"})


def read_split_lists(
    lists: Iterable[tuple[Path, str]], spellings: Mapping[str, str], report: ReadReport
) -> dict[str, str]:
    """The part of each frame that a list names.

    Args:
        lists: Files whose stem is the part, one name per line; each with the folder that the names are relative to.
        spellings: What a line may say, a path without suffix -> the name of the frame. A line may also be a folder of
            such paths, as of a drive.
        report: Takes the count of lines that name nothing.

    Returns:
        Part by name of the frame.

    Raises:
        AnnotationError: A list cannot be read, or a frame is in two parts.
    """
    by_folder: dict[str, set[str]] = {}
    for spelling, name in spellings.items():
        for parent in list(PurePosixPath(spelling).parents)[:-1]:
            by_folder.setdefault(parent.as_posix(), set()).add(name)
    found: dict[str, str] = {}
    # The parts come before what joins them.
    for path, base in sorted(lists, key=lambda item: (item[0].stem == _TOGETHER, item[0])):
        for line, text in enumerate(read_text(path).splitlines(), start=1):
            entry = text.strip().replace("\\", "/")
            if not entry:
                continue
            named = _named(f"{base}/{entry}" if base else entry, spellings, by_folder)
            if not named:
                report.add(Event.LISTED_WITHOUT_IMAGE, Place(path, (entry,), line), detail=path.stem)
            for name in named:
                part = found.setdefault(name, path.stem)
                if path.stem not in {part, _TOGETHER}:
                    raise Place(path, line=line).error(
                        f"{show(name)} is in {part} and in {path.stem}; expected one part per frame"
                    )
    return found


def _named(entry: str, spellings: Mapping[str, str], by_folder: Mapping[str, set[str]]) -> Collection[str]:
    first, _, second = entry.rpartition(" ")
    for candidate in (entry, first.strip() if second in _FLAGS else entry):
        stem = candidate.rpartition(".")[0] if PurePosixPath(candidate).suffix.lower() in IMAGE_SUFFIXES else candidate
        for spelling in (candidate, stem):
            if spelling in spellings:
                return [spellings[spelling]]
        if candidate.rstrip("/") in by_folder:
            return by_folder[candidate.rstrip("/")]
    return []


def write_split_lists(folder: Path, names: Iterable[tuple[str, str | None]]) -> None:
    """Write one list per part that occurs.

    Args:
        folder: Made if there is something to write.
        names: (name, part) of each frame; parts that are none of `PARTS` are not written.
    """
    rows = [(name, part) for name, part in names if part in PARTS]
    for part in sorted({part for _, part in rows if part}):
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / f"{part}.txt", "".join(f"{name}\n" for name, own in rows if own == part))
