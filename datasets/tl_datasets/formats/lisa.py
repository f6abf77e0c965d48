"""LISA Traffic Light: one CSV per clip, with marks of whole housings (BOX) or of lit lamps alone (BULB).

Both files mark the same lights, so that one of them is read. The folders in the column Filename are not those of the
archive: a frame is found by its name, `CLIP--NUMBER`. A frame of a clip that has no row is a true negative.
daySequence1 was recorded towards the evening; like the data set, this reader calls it daytime.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from tl_datasets.errors import AnnotationError, DataError, UsageError, show
from tl_datasets.formats.common.attributed_box import attributed_box
from tl_datasets.formats.common.box_policy import XYXY, OnBadBox
from tl_datasets.formats.common.csv_rows import iter_rows
from tl_datasets.formats.common.image_files import ImageFiles, ImageIndex, Located, MissingImages, image_root
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_number
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import Translator, load_label_map
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import ConditionSource, TimeOfDay

Marks = Literal["box", "bulb"]

# All frames are the left image of one stereo camera.
_SIZE_PX = (1280, 960)
_FILES: dict[Marks, str] = {"box": "frameAnnotationsBOX.csv", "bulb": "frameAnnotationsBULB.csv"}
_NAME = re.compile(r"(?P<clip>.+?)--\d+")
_TIMES_OF_DAY = {"day": TimeOfDay.DAYTIME, "night": TimeOfDay.NIGHT}
# The authors test on the four long sequences and train on the clips.
_SPLITS = {"sequence": "test", "clip": "train"}
_CLIP = re.compile(r"(?P<time>day|night)(?P<kind>sequence|clip)", re.IGNORECASE)
# The archive has copies of two clips to look at: sample-dayClip6, sample-nightClip1.
_SAMPLE = "sample-"

_CORNERS = ("upper left corner x", "upper left corner y", "lower right corner x", "lower right corner y")
_REQUIRED = ("filename", "annotation tag", *_CORNERS)
_TRAFFIC_SIGN_WORDS = "on another road"


class _Mark(NamedTuple):
    where: Place
    tag: str
    xyxy: XYXY
    track: str | None


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "lisa",
    marks: Marks = "box",
    box_convention: Literal["continuous", "inclusive"] = "continuous",
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "drop",
) -> Iterator[Frame]:
    """Read LISA Traffic Light clips. The sequence of a frame is its clip.

    Args:
        source: The folder of the archive, its Annotations folder, the folder of a clip, or one CSV.
        report: Takes the image root, content hashes and counts.
        images: Folder with the images, at any depth; None = the folder that holds Annotations, else that of the CSV.
        split: Part of all frames; None = as the authors: sequences are test, clips are train.
        label_map: What the tags mean.
        marks: "box" = whole housings; "bulb" = lit lamps, which are more: far lights have no box.
        box_convention: "continuous" takes the lower right corner as half-open; "inclusive" as the last pixel. The
            data set does not say which it is.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it as 1280x960. Frames without a light
            are known from their images alone.
        on_bad_box: "drop" counts and leaves out boxes without area inside the image; or "error".

    Raises:
        AnnotationError: A file does not follow the format, a clip has two files, or a tag has no meaning in the map.
        ImageError: An image does not open.
        DataError: There is no such file, or two images have the name of one frame.
        UsageError: The CSV is that of the other marks, or there is no image folder.
    """
    source = Path(source)
    files = _find_files(source, marks, report)
    for file in files:
        _columns(*next(iter_rows(file, ";,"), (Place(file), [])))
    root = report.root = image_root(images, [_archive_root(source)], source)
    index = ImageIndex(root, report)
    clips = _list_clips(index, report)
    library = ImageFiles(root=root, missing=missing_images, report=report, hint=index.about_links())
    words = Translator(load_label_map(label_map), source)

    def located() -> Iterator[tuple[tuple[str, list[_Mark]], Located]]:
        for file, clip, marked in _iter_clips(files, report):
            listed = clips.pop(clip, {})
            for name in sorted({*marked, *listed}):
                found = marked.get(name, [])
                where = found[0].where if found else Place(file, ("frame", name))
                place = listed.get(name)
                image = library.locate(place or f"{name}.jpg", where, _SIZE_PX)
                if image is not None:
                    yield (name, found), image
        for clip, unlisted in clips.items():
            for place in unlisted.values():
                report.add(Event.NO_RECORD, root / place, detail=clip)

    def frames() -> Iterator[Frame]:
        for (name, found), image in library.sized(located()):
            if image.content_hash is not None:
                report.content_hashes[name] = image.content_hash
            clip = _clip_of(name)
            kind = _CLIP.match(clip)
            size = image.width_px, image.height_px
            boxes = (_box(mark, size, box_convention, words, on_bad_box, report) for mark in found)
            yield Frame(
                frame_id=name,
                path=image.path,
                width_px=image.width_px,
                height_px=image.height_px,
                annotations=tuple(box for box in boxes if box is not None),
                time_of_day=_TIMES_OF_DAY[kind["time"].lower()] if kind else None,
                condition_source=ConditionSource.FOLDER if kind else None,
                sequence=clip,
                split=split or (_SPLITS[kind["kind"].lower()] if kind else None),
            )
        words.check()

    return frames()


def _box(
    mark: _Mark,
    size_px: tuple[int, int],
    box_convention: str,
    words: Translator,
    on_bad_box: OnBadBox,
    report: ReadReport,
) -> Annotation | None:
    x1, y1, x2, y2 = mark.xyxy
    if box_convention == "inclusive":
        # The last pixel of the image has no further one: taking it in is no clipping.
        x2, y2 = max(x2, min(x2 + 1, size_px[0])), max(y2, min(y2 + 1, size_px[1]))
    return attributed_box(
        mark.tag,
        (x1, y1, x2, y2),
        size_px,
        {"track_id": mark.track},
        words=words,
        on_bad_box=on_bad_box,
        report=report,
        where=mark.where,
    )


def _find_files(source: Path, marks: Marks, report: ReadReport) -> list[Path]:
    other: Marks = "bulb" if marks == "box" else "box"
    if source.is_file():
        if source.name.lower() == _FILES[other].lower():
            raise UsageError(f"{source}: holds the {other} marks, expected {_FILES[marks]}; or set marks={other}")
        return [source]
    files = []
    for path in sorted(source.rglob(_FILES[marks])):
        if _is_sample(path, source):
            report.add(Event.COPY_LEFT_OUT, path)
        else:
            files.append(path)
    if not files:
        raise DataError(
            f"{source}: no {_FILES[marks]} in it; expected the folder of the archive, its folder Annotations, or a "
            f"CSV; or set marks={other}"
        )
    return files


def _is_sample(path: Path, base: Path) -> bool:
    """Whether a file lies in a sample folder; whoever names such a folder itself wants its files."""
    folders = path.relative_to(base).parts[:-1]
    return any(part.startswith(_SAMPLE) for part in folders) and not base.resolve().name.startswith(_SAMPLE)


def _archive_root(source: Path) -> Path:
    """The folder that holds the folder Annotations (which stands twice in the archive), else that of the CSV."""
    start = (source if source.is_dir() else source.parent).resolve()
    inside = next((path for path in (start, *start.parents) if path.name == "Annotations"), None)
    if inside is None:
        return start
    return inside.parent.parent if inside.parent.name == "Annotations" else inside.parent


def _list_clips(index: ImageIndex, report: ReadReport) -> dict[str, dict[str, str]]:
    """Image path by frame name, for each clip.

    Raises:
        DataError: Two images have the name of one frame.
    """
    root = index.root
    clips: dict[str, dict[str, str]] = {}
    for path in index.paths:
        pure = PurePosixPath(path)
        if not _NAME.fullmatch(pure.stem):
            continue  # no frame of this data set
        if _is_sample(root / path, root):
            report.add(Event.COPY_LEFT_OUT, root / path)
            continue
        frames = clips.setdefault(_clip_of(pure.stem), {})
        if pure.stem in frames:
            raise DataError(
                f"{root}: {frames[pure.stem]} and {path} are both frame {show(pure.stem)}; expected one image; remove "
                "one, or set images=DIR to the folder of the other"
            )
        frames[pure.stem] = path
    return clips


def _clip_of(name: str) -> str:
    return name.partition("--")[0]


def _iter_clips(files: list[Path], report: ReadReport) -> Iterator[tuple[Path, str, dict[str, list[_Mark]]]]:
    """The file, name and marks by frame of each clip; a file without rows is about the clip of its folder."""
    read_from: dict[str, Path] = {}
    for file in files:
        clips: dict[str, dict[str, list[_Mark]]] = {}
        for name, mark in _iter_marks(file, report):
            clips.setdefault(_clip_of(name), {}).setdefault(name, []).append(mark)
        for clip, marked in (clips or {file.resolve().parent.name: {}}).items():
            if clip in read_from:
                raise AnnotationError(
                    file, f"clip {show(clip)} also has rows in {read_from[clip]}; expected one file per clip"
                )
            read_from[clip] = file
            yield file, clip, marked


def _iter_marks(file: Path, report: ReadReport) -> Iterator[tuple[str, _Mark]]:
    rows = iter_rows(file, ";,")
    where, header = next(rows)  # the header was checked before
    columns = _columns(where, header)
    seen: set[tuple[str, ...]] = set()
    for where, row in rows:
        if len(row) != len(header):
            raise where.error(f"{len(row)} fields, expected {len(header)} as in the header")
        name = PurePosixPath(row[columns["filename"]].replace("\\", "/")).stem
        if not _NAME.fullmatch(name):
            raise where.error(f"Filename {show(row[columns['filename']])}, expected a name such as dayClip1--00000.jpg")
        tag = row[columns["annotation tag"]].strip()
        corners = [row[columns[corner]] for corner in _CORNERS]
        x1, y1, x2, y2 = (read_number(text, f"'{c}'", where) for text, c in zip(corners, _CORNERS, strict=True))
        key = (name, tag, *corners)
        if key in seen:
            report.add(Event.BOX_DUPLICATE, where)
            continue
        seen.add(key)
        yield name, _Mark(where, tag, (x1, y1, x2, y2), _track(row, columns))


def _track(row: list[str], columns: Mapping[str, int]) -> str | None:
    """The track that the mark was drawn in; where it is the video itself, there are no tracks."""
    if "origin track" not in columns:
        return None
    track = row[columns["origin track"]].strip()
    video = row[columns["origin file"]].strip() if "origin file" in columns else ""
    return track if track and track != video else None


def _columns(where: Place, header: list[str]) -> dict[str, int]:
    """Position of each column by its name in lower case.

    Raises:
        AnnotationError: A column is missing or stands twice, or the file is one of the LISA Traffic Sign data set.
    """
    names = [name.strip().lower() for name in header]
    if any(_TRAFFIC_SIGN_WORDS in name for name in names):
        raise where.error(
            "a file of the LISA Traffic Sign data set ('Occluded,On another road'), whose boxes are signs; expected "
            "the LISA Traffic Light data set"
        )
    missing = [name for name in _REQUIRED if names.count(name) != 1]
    if missing:
        raise where.error(
            f"header {show(';'.join(header))}, expected one column each for {', '.join(missing)}; the file must begin "
            "with the header of the LISA Traffic Light data set"
        )
    return {name: number for number, name in enumerate(names)}
