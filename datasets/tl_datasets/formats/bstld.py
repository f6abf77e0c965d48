"""Reads the Bosch Small Traffic Lights Dataset (BSTLD): YAML lists of images with boxes.

A record with `boxes: []` is a true negative. Corners are continuous. A box with its corners on the wrong sides is
swapped and one that leaves the image is clipped, as in the official reader (which clips to the last pixel instead of
the edge); both are counted. Raw frames (`riib`) have lines of camera data above and below the picture.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from tl_datasets.errors import DataError, show
from tl_datasets.formats.common.attributed_box import attributed_box
from tl_datasets.formats.common.box_policy import XYXY, OnBadBox
from tl_datasets.formats.common.foreign_paths import (
    find_by_tail,
    is_foreign,
    names_file,
    path_without_suffix,
    posix_path,
)
from tl_datasets.formats.common.image_files import ImageFiles, Located, MissingImages, image_root
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_flag, read_number
from tl_datasets.formats.common.yaml_records import iter_yaml_records
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import Translator, load_label_map
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import PixelFormat

Variant = Literal["rgb", "riib"]

_SIZE_PX = (1280, 720)
_CAMERA_DATA_ROWS = 8
_FILE_SPLIT = re.compile(r"(?:^|_)(train|val|test)$")


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "bstld",
    variant: Variant = "rgb",
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "drop",
) -> Iterator[Frame]:
    """Read BSTLD labels. The sequence of a frame is the folder of its image: a drive, or `test`, which is one drive.

    additional_train.yaml has frames of the drives of train.yaml: both have the split train and the same sequences.

    Args:
        source: A label file, or the folder with train.yaml, additional_train.yaml and test.yaml.
        report: Takes the image root, content hashes and counts.
        images: Folder that the paths are relative to, or one on the way to the images; None = that of the label file.
        split: Part of all frames; None = train, val or test as the name of the label file ends.
        label_map: What the labels mean.
        variant: "rgb", or "riib" for the raw frames of the same names.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it with the size that all have.
        on_bad_box: "drop" counts and leaves out boxes without area inside the image; or "error".

    Raises:
        AnnotationError: A file does not follow the format, an image is missing or has two records, or a label has no
            meaning in the label map.
        ImageError: An image does not open.
    """
    source = Path(source)
    label_files = _label_files(source)
    root = image_root(images, [label_files[0].parent], source)
    report.root = root
    rows = _CAMERA_DATA_ROWS if variant == "riib" else 0
    files = ImageFiles(
        root=root,
        missing=missing_images,
        report=report,
        pixel_format=PixelFormat.RCCB12 if variant == "riib" else None,
        assumed_size=(_SIZE_PX[0], _SIZE_PX[1] + 2 * rows),
    )
    words = Translator(load_label_map(label_map), source)

    def records() -> Iterator[tuple[tuple[Place, list[Any], str | None, str | None], Located]]:
        seen: dict[str, Place] = {}
        for path in label_files:
            found = _FILE_SPLIT.search(path.stem)
            own_split = found[1] if found else None
            for place, record in iter_yaml_records(path, ("boxes", "path")):
                stored, boxes = record["path"], record["boxes"]
                if not names_file(stored) or not isinstance(boxes, list):
                    raise place.error("expected a file as path and a list as boxes ([] = no light in the image)")
                wanted = _image_path(stored, own_split, variant)
                image = files.locate(find_by_tail(root, wanted) or wanted.as_posix(), place)
                if image is None:
                    continue
                frame_id = path_without_suffix(image.path)
                if frame_id in seen:
                    raise place.error(f"frame {show(frame_id)} also has a record in {seen[frame_id]}; expected one")
                seen[frame_id] = place
                yield (place, boxes, wanted.parent.name or None, split or own_split), image

    def frames() -> Iterator[Frame]:
        for (place, boxes, sequence, own_split), image in files.sized(records()):
            frame_id = path_without_suffix(image.path)
            if image.content_hash is not None:
                report.content_hashes[frame_id] = image.content_hash
            size_px = image.width_px, image.height_px - 2 * rows
            found = [
                _annotation(box, size_px, words, on_bad_box, report, place.at("box", number))
                for number, box in enumerate(boxes)
            ]
            yield Frame(
                frame_id=frame_id,
                path=image.path,
                width_px=image.width_px,
                height_px=image.height_px,
                annotations=tuple(_moved_down(annotation, rows) for annotation in found if annotation is not None),
                sequence=sequence,
                split=own_split,
                pixel_format=files.pixel_format,
            )
        words.check()

    return frames()


def _label_files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    found = sorted(path for path in source.iterdir() if path.suffix.lower() in {".yaml", ".yml"} and path.is_file())
    if not found:
        raise DataError(f"{source}: no .yaml file in it; expected train.yaml, test.yaml or additional_train.yaml")
    return found


def _image_path(stored: str, split: str | None, variant: Variant) -> PurePosixPath:
    """Where an image lies as the data set is unpacked; the first test.yaml has paths of the authors' machine."""
    path = posix_path(stored)
    if is_foreign(stored):
        path = PurePosixPath("rgb/test", path.name) if split == "test" else PurePosixPath(*path.parts[-4:])
    if variant == "rgb":
        return path
    parts = ["riib" if part == "rgb" else part for part in path.parts]
    return PurePosixPath(*parts[:-1], PurePosixPath(parts[-1]).stem + ".pgm") if parts else path


def _annotation(
    box: Any,
    size_px: tuple[int, int],
    words: Translator,
    on_bad_box: OnBadBox,
    report: ReadReport,
    place: Place,
) -> Annotation | None:
    if not isinstance(box, dict) or "label" not in box:
        raise place.error(f"{show(box)}, expected a mapping with label, occluded, x_min, y_min, x_max, y_max")
    if not isinstance(box["label"], str | bool):
        raise place.error(f"label is {show(box['label'])}, expected a word such as Red or GreenLeft")
    xyxy = _box(box, place)
    x1, y1, x2, y2 = xyxy
    if x1 > x2 or y1 > y2:
        report.add(Event.BOX_SWAPPED, place)
        xyxy = min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)
    return attributed_box(
        str(box["label"]),
        xyxy,
        size_px,
        {"occluded": read_flag(box.get("occluded"), "occluded", place)},
        words=words,
        on_bad_box=on_bad_box,
        report=report,
        where=place,
    )


def _box(box: dict[str, Any], place: Place) -> XYXY:
    x1, y1, x2, y2 = (read_number(box.get(name), name, place) for name in ("x_min", "y_min", "x_max", "y_max"))
    return x1, y1, x2, y2


def _moved_down(annotation: Annotation, rows: int) -> Annotation:
    if not rows:
        return annotation
    x1, y1, x2, y2 = annotation.xyxy
    return dataclasses.replace(annotation, xyxy=(x1, y1 + rows, x2, y2 + rows))
