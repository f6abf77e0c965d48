"""COCO detection JSON, in and out; the project's form of exchange.

Ids are looked up through `categories` and `images` and may be texts or have gaps. Boxes are continuous x, y, w, h.
`iscrowd` is our `ignore`. What COCO has no place for stands in `attributes` (see `coco_words`), so that a catalog
comes back as it was.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from tl_datasets.catalog import Catalog
from tl_datasets.errors import AnnotationError, DataError, ImageError, show
from tl_datasets.formats.box_policy import OnBadBox, fit_box
from tl_datasets.formats.coco_document import find_image_root, load_document
from tl_datasets.formats.coco_words import (
    ANNOTATION_FLAGS,
    ANNOTATION_WORDS,
    CONDITION_WORDS,
    read_annotation_attributes,
    read_image_attributes,
)
from tl_datasets.formats.probing import ImageFacts, check_size, declared_side, probe_ahead
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import resolve_inside, write_whole
from tl_datasets.label_maps import LabelFields
from tl_datasets.parsing import read_flag
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import CATEGORIES, LabelStatus


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "traffic_light_names",
    attributes: bool = True,
    missing_images: Literal["error", "drop", "keep"] = "error",
    on_bad_box: OnBadBox = "error",
) -> Iterator[Frame]:
    """Read a COCO file. An image without annotations is a true negative, unless its `label_status` says otherwise.

    Args:
        source: The JSON file.
        report: Takes the image root, content hashes and counts.
        images: Folder that `file_name` is relative to; None = the first of `.`, `images`, `..` and `../images` beside
            the file that has one of the first images.
        split: Part of all frames; None = the attribute `split` of each image.
        label_map: What the category names mean.
        attributes: Read the attributes of images and annotations that we know.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it with its declared size.
        on_bad_box: "error", or "drop" to count and leave out boxes without area inside the image.

    Raises:
        AnnotationError: The file does not follow the format, or a category has no meaning in the label map.
        ImageError: An image is missing, does not open, or has another size than declared.
        DataError: A box or an attribute is wrong.
    """
    path = Path(source)
    document = load_document(path, label_map)
    boxes, meanings = document.annotations, document.meanings
    root = find_image_root(document, None if images is None else Path(images), required=missing_images == "error")
    report.root, report.total = root, len(document.images)

    def files() -> Iterator[tuple[str, dict[str, Any], Path | None]]:
        for image_id, record in document.images.items():
            place = f"image {image_id[:80]} ({record['file_name'][:200]})"
            try:
                file = resolve_inside(root, record["file_name"])
            except ImageError as error:
                raise AnnotationError(path, f"{place}: {error}; or set images=DIR to a folder above") from error
            if not file.is_file():
                if missing_images == "error":
                    raise ImageError(
                        f"{path} {place}: no such file in {root}; add it, set images=DIR, "
                        "or leave such frames out with missing_images=drop"
                    )
                if missing_images == "drop":
                    report.add(Event.IMAGE_MISSING, f"{path} {place}")
                    continue
                report.add(Event.IMAGE_NOT_CHECKED, f"{path} {place}")
                file = None
            yield image_id, record, file

    def frames() -> Iterator[Frame]:
        seen: dict[str, str] = {}
        for (image_id, record, _), facts in probe_ahead(files(), lambda item: item[2]):
            where = f"{path} image {image_id[:80]}"
            name = PurePosixPath(record["file_name"].replace("\\", "/")).as_posix()
            width, height = _size(record, facts, where)
            known = read_image_attributes(_attributes(record, where), where) if attributes else {}
            status = known.pop("label_status", None)
            _check_status(status, known, where)
            found = [
                annotation
                for item in boxes.get(image_id, [])
                if (annotation := _annotation(item, meanings, width, height, attributes, on_bad_box, report, path))
            ]
            if status is LabelStatus.UNLABELLED and boxes.get(image_id):
                raise DataError(f"{where}: label_status is unlabelled but it has annotations; expected none")
            frame_id = known.setdefault("frame_id", name.rpartition(".")[0] or name)
            if frame_id in seen:
                raise AnnotationError(
                    path,
                    f"images {seen[frame_id]} and {image_id[:80]} are both the frame {show(frame_id)}; expected one "
                    "record per image: join them, or remove one",
                )
            seen[frame_id] = image_id[:80]
            known.setdefault("sequence", _video(record, where))
            if facts is not None:
                report.content_hashes[frame_id] = facts.content_hash
            if split is not None:
                known["split"] = split
            yield Frame(
                path=name,
                width_px=width,
                height_px=height,
                annotations=None if status is LabelStatus.UNLABELLED else tuple(found),
                **known,
            )

    return frames()


def write(catalog: Catalog, path: Path | str) -> Path:
    """Write a catalog as one COCO file, which appears whole.

    With several sources `file_name` is relative to the folder that holds all image roots, and the name of each frame's
    source stands in its attributes only.

    Args:
        catalog: What to write.
        path: The JSON file.

    Returns:
        The folder that `file_name` is relative to; pass it as `images` to read the file elsewhere.
    """
    roots = {source: root.resolve() for source, root in catalog.roots.items()}
    base = Path(os.path.commonpath(list(roots.values()))) if roots else Path()
    prefix = {source: root.relative_to(base).as_posix() + "/" if root != base else "" for source, root in roots.items()}
    category_ids = {name: number for number, name in enumerate(CATEGORIES, start=1)}
    images: list[dict[str, Any]] = []
    annotations: list[dict[str, Any]] = []
    sources, hashes = catalog.frames["source"], catalog.frames["content_hash"]
    for row, frame in enumerate(catalog.iter_frames()):
        image_id = row + 1
        extra = {"source": sources[row], "content_hash": hashes[row]}
        images.append(_image_record(frame, image_id, prefix[sources[row]], extra))
        for annotation in frame.annotations or ():
            # Ids start at 1: pycocotools takes 0 for "unmatched".
            annotations.append(_box_record(annotation, len(annotations) + 1, image_id, category_ids))
    document = {
        "info": {"description": f"{len(images)} frames, {len(annotations)} boxes"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in category_ids.items()],
    }
    write_whole(path, json.dumps(document))
    return base


def _image_record(frame: Frame, image_id: int, prefix: str, extra: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": image_id,
        "file_name": prefix + frame.path,
        "width": frame.width_px,
        "height": frame.height_px,
        "attributes": {
            "frame_id": frame.frame_id,
            "sequence": frame.sequence,
            "split": frame.split,
            "label_status": frame.label_status,
            "labelled_categories": list(frame.labelled_categories),
            "timestamp_ns": frame.timestamp_ns,
            **{name: getattr(frame, name) for name in CONDITION_WORDS},
            **extra,
        },
    }


def _box_record(annotation: Annotation, number: int, image_id: int, category_ids: Mapping[str, int]) -> dict[str, Any]:
    x1, y1, x2, y2 = annotation.xyxy
    record = {
        "id": number,
        "image_id": image_id,
        "category_id": category_ids[annotation.category],
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "area": (x2 - x1) * (y2 - y1),
        "iscrowd": int(annotation.ignore),
        "segmentation": [],
        "attributes": {
            name: getattr(annotation, name)
            for name in (*ANNOTATION_WORDS, *ANNOTATION_FLAGS, "aspects", "source_label")
        },
    }
    return record if annotation.track_id is None else {**record, "track_id": annotation.track_id}


def _size(record: Mapping[str, Any], facts: ImageFacts | None, where: str) -> tuple[int, int]:
    width, height = (declared_side(record.get(name), f"{where}: {name}") for name in ("width", "height"))
    if facts is not None:
        declared = (facts.width_px if width is None else width, facts.height_px if height is None else height)
        check_size(facts, *declared, image=Path(record["file_name"]), where=where)
        return facts.width_px, facts.height_px
    if width is None or height is None:
        raise DataError(f"{where}: neither an image file nor a width and height; expected one of them")
    return width, height


def _check_status(status: LabelStatus | None, known: Mapping[str, Any], where: str) -> None:
    categories = known.get("labelled_categories")
    if status is LabelStatus.PARTIAL and not categories:
        raise DataError(f"{where}: label_status is partial; expected the attribute labelled_categories to say of what")
    if status is LabelStatus.LABELLED and categories:
        raise DataError(
            f"{where}: label_status is labelled but labelled_categories names {', '.join(categories)}; "
            "expected the status partial, or no such list"
        )


def _video(record: Mapping[str, Any], where: str) -> str | None:
    """The sequence of an image whose attributes name none."""
    video = record.get("video_id")
    if video is None:
        return None
    if isinstance(video, bool) or not isinstance(video, str | int) or not str(video):
        raise DataError(f"{where}: video_id is {show(video)}, expected a whole number, a text, or null")
    return str(video)


def _attributes(item: Mapping[str, Any], where: str) -> Mapping[str, Any]:
    attributes = item.get("attributes")
    if attributes is None:
        return {}
    if not isinstance(attributes, dict):
        raise DataError(f"{where}: attributes are {type(attributes).__name__}, expected a mapping")
    return attributes


def _annotation(
    item: Mapping[str, Any],
    meanings: Mapping[str, tuple[str, LabelFields | str]],
    width: int,
    height: int,
    with_attributes: bool,
    on_bad_box: OnBadBox,
    report: ReadReport,
    path: Path,
) -> Annotation | None:
    where = f"{path} annotation {str(item.get('id', '-'))[:80]}"
    word, meaning = meanings[str(item["category_id"])]
    if isinstance(meaning, str):
        report.add(Event.LABEL_DROPPED, where, detail=word)
        return None
    x, y, w, h = _bbox(item, where)
    known = read_annotation_attributes(_attributes(item, where), where) if with_attributes else {}
    fields = {**meaning.as_arguments, "truncated": None, "source_label": word, **known}
    fitted = fit_box(
        (x, y, x + w, y + h),
        width,
        height,
        truncated=fields.pop("truncated"),
        on_bad_box=on_bad_box,
        report=report,
        where=where,
    )
    if fitted is None:
        return None
    track = item.get("track_id")
    flags = [read_flag(item.get(name), f"{where}: {name}") for name in ("iscrowd", "ignore")]
    fields["ignore"] = fields["ignore"] or any(flags)
    return Annotation(xyxy=fitted[0], truncated=fitted[1], track_id=None if track is None else str(track), **fields)


def _bbox(item: Mapping[str, Any], where: str) -> tuple[float, float, float, float]:
    box = item.get("bbox")
    try:
        x, y, w, h = (float(value) for value in box)  # type: ignore[union-attr]
    except (TypeError, ValueError, OverflowError) as error:
        raise DataError(f"{where}: bbox {show(box)}, expected four numbers x, y, width, height") from error
    if not all(math.isfinite(value) for value in (x, y, w, h)):
        raise DataError(f"{where}: bbox {show(box)} has a number that is not finite; expected x, y, width, height")
    return x, y, w, h
