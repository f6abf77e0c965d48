"""ACDC: street scenes in fog, rain, snow and at night, with boxes in COCO form; no lights, but real bad conditions.

Images lie in `rgb_anon/{fog,night,rain,snow}/{train,val,test}[_ref]/<sequence>/`; conditions, part and sequence come
from there. Reference frames show the same streets under normal conditions, which are not described. Boxes are there for
eight categories and never for lights, so that every labelled frame is a partial one. Files named `*_image_info.json`
list frames of the test parts, which nobody outside has labels of: they are unlabelled.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tl_datasets.errors import AnnotationError, UsageError, show
from tl_datasets.formats import coco
from tl_datasets.formats.common.box_policy import OnBadBox
from tl_datasets.formats.common.image_files import ImageFiles, Located, MissingImages, image_root
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import declared_side
from tl_datasets.frame import Frame
from tl_datasets.images import scan_images
from tl_datasets.parsing import load_json
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import ConditionSource, TimeOfDay, Weather

_LABELLED = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
_WEATHER = {"fog": Weather.FOGGY, "rain": Weather.RAINY, "snow": Weather.SNOWY, "night": Weather.UNDEFINED}
_SPLITS = ("train", "val", "test")
_GROUND_TRUTH = "gt_detection"


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "acdc",
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "drop",
) -> Iterator[Frame]:
    """Read the detection files of ACDC.

    Args:
        source: One JSON file; or the folder `gt_detection` or the one that holds it: then the files of all conditions
            together, or where there are none those of each condition. Images that none of them names are counted.
        report: Takes the image root, content hashes and counts.
        images: The folder `rgb_anon`; None = beside `gt_detection`.
        split: Part of all frames; None = by folder.
        label_map: What the category names mean.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it with its declared size.
        on_bad_box: "drop" to count and leave out boxes without area inside the image, or "error".

    Raises:
        AnnotationError: A file does not follow the format, or an image is missing or has another size than declared.
        ImageError: An image does not open.
        UsageError: There is no such file or folder.
    """
    source = Path(source)
    paths = _files(source)
    truth = next((folder for folder in paths[0].parents if folder.name == _GROUND_TRUTH), paths[0].parent)
    candidates = [folder / "rgb_anon" for folder in (truth.parent, truth)]
    root = image_root(images, candidates, source)
    files = ImageFiles(root=root, missing=missing_images, report=report)
    options: dict[str, Any] = {"label_map": label_map, "missing_images": missing_images, "on_bad_box": on_bad_box}
    parts = [
        _unlabelled(path, files)
        if path.stem.endswith("_info")  # image_info, or images_info
        else coco.read(path, report=report, images=root, **options)
        for path in paths
    ]
    report.root = root
    if len(parts) > 1:
        report.total = None  # it is that of the last file

    def frames() -> Iterator[Frame]:
        seen: set[str] = set()
        for path, part in zip(paths, parts, strict=True):
            for frame in part:
                # The file of rain for training is known to hold the frames of all conditions.
                if frame.frame_id in seen:
                    report.add(Event.FRAME_REPEATED, path)
                    continue
                seen.add(frame.frame_id)
                yield _described(frame, split, Place(path))
        if source.is_dir():
            _count_others(seen, root, report)

    return frames()


def _files(source: Path) -> list[Path]:
    if source.is_file():
        return [source]
    folder = source / _GROUND_TRUTH if (source / _GROUND_TRUTH).is_dir() else source
    for pattern in ("instancesonly_*.json", "*/instancesonly_*.json"):
        if found := sorted(folder.glob(pattern)):
            return found
    raise UsageError(
        f"{source}: no instancesonly_*.json in it; expected the folder {_GROUND_TRUTH} or one of its files"
    )


def _count_others(seen: set[str], root: Path, report: ReadReport) -> None:
    """Count the images that no file names, such as the reference frames, by their part."""
    found, left_out = scan_images(root)
    for link in left_out:
        report.add(Event.LINK_LEFT_OUT, link)
    for path in found:
        relative = path.relative_to(root)
        if relative.with_suffix("").as_posix() not in seen:
            report.add(Event.NO_RECORD, path, detail="/".join(relative.parts[:2]))


def _unlabelled(path: Path, files: ImageFiles) -> Iterator[Frame]:
    """The frames of a list of images."""
    document = load_json(path)
    records = document.get("images") if isinstance(document, dict) else None
    if not isinstance(records, list):
        raise AnnotationError(path, "expected a list of images")
    if document.get("annotations"):
        raise AnnotationError(path, "holds annotations, expected a list of images alone, by its name; rename the file")

    def located() -> Iterator[tuple[None, Located]]:
        for number, record in enumerate(records):
            where = Place(path, ("image", number))
            if not isinstance(record, dict) or not isinstance(record.get("file_name"), str):
                raise where.error(f"{show(record)}, expected an object with file_name")
            width, height = (declared_side(record.get(name), name, where) for name in ("width", "height"))
            image = files.locate(record["file_name"], where, (width, height))
            if image is not None:
                yield None, image

    for _, image in files.sized(located()):
        frame_id = image.path.rpartition(".")[0]
        if image.content_hash is not None:
            files.report.content_hashes[frame_id] = image.content_hash
        yield Frame(
            frame_id=frame_id,
            path=image.path,
            width_px=image.width_px,
            height_px=image.height_px,
            annotations=None,
        )


def _described(frame: Frame, split: str | None, where: Place) -> Frame:
    """The frame with what its folders say."""
    folders = frame.path.split("/")[:-1]
    condition = next((folder for folder in folders if folder in _WEATHER), None)
    if condition is None or len(folders) - folders.index(condition) < 3:
        expected = f"{{{','.join(_WEATHER)}}}/<part>/<sequence>/"
        raise where.error(f"image {show(frame.path)}, expected a path such as {expected}; set images=DIR to rgb_anon")
    part, sequence = folders[folders.index(condition) + 1 :][:2]
    is_reference = part.endswith("_ref")
    part = part.removesuffix("_ref")
    fields: dict[str, Any] = {
        "weather": Weather.UNDEFINED if is_reference else _WEATHER[condition],
        "condition_source": ConditionSource.FOLDER,
        "split": split or (part if part in _SPLITS else None),
        "sequence": sequence,
        "labelled_categories": () if frame.annotations is None else _LABELLED,
    }
    if is_reference:
        fields["time_of_day"] = TimeOfDay.UNDEFINED
    elif condition == "night":
        fields["time_of_day"] = TimeOfDay.NIGHT
    return dataclasses.replace(frame, **fields)
