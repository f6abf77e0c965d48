"""Udacity Capstone: traffic lights of the test site and the simulator as one YAML list per recording.

    - {class: image, filename: left0000.png, annotations: [{class: red, xmin: 1, ymin: 2, x_width: 3, y_height: 4}]}

Names may say .png where the images are .jpg. The list of the real test site has frames twice, the same light drawn
again: records of one frame are joined, and a light that is there already is left out. An empty list of annotations is
a true negative.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np

from tl_datasets.boxes import iou
from tl_datasets.errors import DataError, show
from tl_datasets.formats.common.attributed_box import attributed_box
from tl_datasets.formats.common.box_policy import XYXY, OnBadBox
from tl_datasets.formats.common.image_files import ImageFiles, ImageIndex, Located, MissingImages, image_root
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_number
from tl_datasets.frame import Frame
from tl_datasets.label_maps import Translator, load_label_map, normalise_word
from tl_datasets.parsing import load_yaml
from tl_datasets.read_report import Event, ReadReport

# Cameras of the car and of the simulator.
_SIZES_PX = {"site": (1368, 1096), "simulator": (800, 600)}
# Lights drawn twice at the test site overlap by 0.90 and more; neighbouring lights of one pole do not overlap.
_SAME_LIGHT_IOU = 0.5


class _Box(NamedTuple):
    where: Place
    xyxy: XYXY
    word: str


@dataclass(slots=True)
class _Entry:
    where: Place
    boxes: list[_Box] = field(default_factory=list)


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "udacity_capstone",
    track: Literal["site", "simulator"] = "site",
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "drop",
) -> Iterator[Frame]:
    """Read one list. It is one recording, so that its frames are one sequence, named by the file.

    Args:
        source: The YAML file, or a folder with only one.
        report: Takes the image root, content hashes and counts.
        images: Folder with the images, at any depth; None = the folder of the file.
        split: Part of all frames.
        label_map: What the class words mean.
        track: Camera of kept frames without an image: "site" = 1368x1096, "simulator" = 800x600.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it with the size of its camera.
        on_bad_box: "drop" counts and leaves out boxes without area inside the image; or "error".

    Raises:
        AnnotationError: The file does not follow the format, two records of a frame contradict each other, or a word
            has no meaning in the label map.
        ImageError: An image does not open.
        DataError: The folder has no YAML file, or several.
        UsageError: There is no image folder.
    """
    file = _find_file(Path(source))
    root = report.root = image_root(images, [file.parent], file)
    entries = _read_entries(file, ImageIndex(root, report), report)
    report.total = len(entries)
    library = ImageFiles(root=root, missing=missing_images, report=report, assumed_size=_SIZES_PX[track])
    words = Translator(load_label_map(label_map), file)

    def located() -> Iterator[tuple[_Entry, Located]]:
        for path, entry in entries.items():
            image = library.locate(path, entry.where)
            if image is not None:
                yield entry, image

    def frames() -> Iterator[Frame]:
        seen: dict[str, Place] = {}
        for entry, image in library.sized(located()):
            frame_id = posixpath.splitext(image.path)[0]
            if frame_id in seen:
                raise entry.where.error(f"{seen[frame_id]} is the same frame {show(frame_id)}; expected one image")
            seen[frame_id] = entry.where
            if image.content_hash is not None:
                report.content_hashes[frame_id] = image.content_hash
            boxes = [
                attributed_box(
                    box.word,
                    box.xyxy,
                    (image.width_px, image.height_px),
                    words=words,
                    on_bad_box=on_bad_box,
                    report=report,
                    where=box.where,
                )
                for box in entry.boxes
            ]
            yield Frame(
                frame_id=frame_id,
                path=image.path,
                width_px=image.width_px,
                height_px=image.height_px,
                annotations=tuple(box for box in boxes if box is not None),
                sequence=file.stem,
                split=split,
            )
        words.check()

    return frames()


def _find_file(source: Path) -> Path:
    if source.is_file():
        return source
    found = sorted(path for path in source.iterdir() if path.suffix.lower() in {".yaml", ".yml"})
    if len(found) != 1:
        listed = ", ".join(path.name for path in found[:3]) or "none"
        raise DataError(f"{source}: {len(found)} YAML files in it ({listed}), expected one; name the file")
    return found[0]


def _read_entries(file: Path, index: ImageIndex, report: ReadReport) -> dict[str, _Entry]:
    """The boxes by image path, in the order of the file.

    Raises:
        AnnotationError: The file does not follow the format, or two records of a frame contradict each other.
    """
    document = load_yaml(file)
    if not isinstance(document, list):
        raise Place(file).error(f"a {type(document).__name__}, expected a list of images with annotations")
    entries: dict[str, _Entry] = {}
    for number, record in enumerate(document):
        where = Place(file, ("record", number))
        if not isinstance(record, dict) or record.get("class") != "image":
            raise where.error("expected a mapping of class image, with filename and annotations")
        name, annotations = record.get("filename"), record.get("annotations")
        if not isinstance(name, str) or not name:
            raise where.error(f"filename is {_shown(name)}, expected the name of an image")
        where = Place(file, ("record", number, name))
        if not isinstance(annotations, list):
            raise where.error(f"annotations are {_shown(annotations)}, expected a list")
        path = index.find(name, where, by_stem=True) or posixpath.normpath(name.replace("\\", "/"))
        boxes = [_box(item, where.at("annotation", place)) for place, item in enumerate(annotations)]
        if path in entries:
            boxes = list(_new_lights(boxes, entries[path].boxes, report))
        entries.setdefault(path, _Entry(where)).boxes.extend(boxes)
    return entries


def _box(item: Any, where: Place) -> _Box:
    word = item.get("class") if isinstance(item, dict) else None
    if not isinstance(word, str):
        raise where.error("expected a mapping of class, xmin, ymin, x_width and y_height")
    x1, y1, width, height = (_number(item.get(key), key, where) for key in ("xmin", "ymin", "x_width", "y_height"))
    return _Box(where, (x1, y1, x1 + width, y1 + height), word)


def _new_lights(boxes: list[_Box], known: list[_Box], report: ReadReport) -> Iterator[_Box]:
    """The boxes of a further record of a frame that are not there already.

    Raises:
        AnnotationError: A light is there with another class.
    """
    for box in boxes:
        with np.errstate(over="ignore", invalid="ignore"):  # absurd sizes are refused later, with the image at hand
            overlaps = iou(np.array([box.xyxy]), np.array([other.xyxy for other in known]))[0]
        same = [other for other, overlap in zip(known, overlaps, strict=True) if overlap >= _SAME_LIGHT_IOU]
        if not same:
            yield box
            continue
        if normalise_word(same[0].word) != normalise_word(box.word):
            raise box.where.error(
                f"class {show(box.word)}, but {same[0].where} has the same light as {show(same[0].word)}; remove one"
            )
        report.add(Event.BOX_DRAWN_TWICE, box.where)


def _number(value: Any, name: str, where: Place) -> float:
    if not isinstance(value, int | float | str):
        raise where.error(f"{name} is {_shown(value)}, expected a number")
    return read_number(value, name, where)


def _shown(value: Any) -> str:
    """A value for a message; of a list or mapping only its kind, since aliases can make it endless."""
    return f"a {type(value).__name__}" if isinstance(value, list | dict) else show(value)
