"""COCO detection JSON, in and out; the project's form of exchange.

Ids are looked up through `categories` and `images` and may be texts or have gaps. Boxes are continuous x, y, w, h.
`iscrowd` is our `ignore`. What COCO has no place for stands in `attributes` (see `attribute_words`), so that a catalog
comes back as it was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

from tl_datasets.catalog import Catalog
from tl_datasets.errors import show
from tl_datasets.formats.coco_document import DOCUMENT_NAME, find_document, find_image_root, load_document
from tl_datasets.formats.common.attribute_words import (
    box_attributes,
    check_status,
    frame_attributes,
    read_annotation_attributes,
    read_image_attributes,
)
from tl_datasets.formats.common.box_policy import OnBadBox, fit_box
from tl_datasets.formats.common.image_files import ImageFiles, Located, MissingImages, Sized
from tl_datasets.formats.common.image_names import image_names
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import declared_side, read_flag, read_number
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_whole
from tl_datasets.label_maps import LabelFields
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
    box_convention: Literal["continuous", "inclusive"] = "continuous",
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "error",
) -> Iterator[Frame]:
    """Read a COCO file. An image without annotations is a true negative, unless its `label_status` says otherwise.

    Args:
        source: The JSON file, or a folder with `annotations.json`, as the writer makes it.
        report: Takes the image root, content hashes and counts.
        images: Folder that `file_name` is relative to; None = the first of `.`, `images`, `..` and `../images` beside
            the file that has one of the first images.
        split: Part of all frames; None = the attribute `split` of each image.
        label_map: What the category names mean.
        attributes: Read the attributes of images and annotations that we know.
        box_convention: "continuous" = width and height as COCO defines them; "inclusive" = the file was made from
            inclusive corners by plain differences, as some BDD100K files in COCO form, and lacks a pixel in each.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it with its declared size.
        on_bad_box: "error", or "drop" to count and leave out boxes without area inside the image.

    Raises:
        AnnotationError: The file does not follow the format, a category has no meaning in the label map, a box or an
            attribute is wrong, or an image is missing or has another size than declared.
        ImageError: An image does not open.
    """
    path = find_document(Path(source))
    document = load_document(path, label_map)
    boxes, meanings = document.annotations, document.meanings
    root = find_image_root(document, None if images is None else Path(images), required=missing_images == "error")
    report.root, report.total = root, len(document.images)
    extra_px = 1 if box_convention == "inclusive" else 0
    files = ImageFiles(root=root, missing=missing_images, report=report)

    def located() -> Iterator[tuple[tuple[str, dict[str, Any], Place], Located]]:
        for image_id, record in document.images.items():
            where = Place(path, ("image", image_id))
            width, height = (declared_side(record.get(name), name, where) for name in ("width", "height"))
            image = files.locate(record["file_name"], where, (width, height))
            if image is not None:
                yield (image_id, record, where), image

    def frames() -> Iterator[Frame]:
        seen: dict[str, str] = {}
        for (image_id, record, where), image in files.sized(located()):
            known = read_image_attributes(_attributes(record, where), where) if attributes else {}
            check_status(known, where)
            status = known.pop("label_status", None)
            found = [
                annotation
                for item in boxes.get(image_id, [])
                if (annotation := _annotation(item, meanings, image, attributes, extra_px, on_bad_box, report, path))
            ]
            if status is LabelStatus.UNLABELLED and boxes.get(image_id):
                raise where.error("label_status is unlabelled but it has annotations; expected none")
            frame_id = known.setdefault("frame_id", image.path.rpartition(".")[0] or image.path)
            if frame_id in seen:
                raise where.error(
                    f"is the frame {show(frame_id)}, as is image {show(seen[frame_id])}; expected one record per "
                    "image: join them, or remove one"
                )
            seen[frame_id] = image_id
            known.setdefault("sequence", _video(record, where))
            if image.content_hash is not None:
                report.content_hashes[frame_id] = image.content_hash
            if split is not None:
                known["split"] = split
            yield Frame(
                path=image.path,
                width_px=image.width_px,
                height_px=image.height_px,
                annotations=None if status is LabelStatus.UNLABELLED else tuple(found),
                **known,
            )

    return frames()


def write(catalog: Catalog, out: Path, *, report: WriteReport) -> list[str]:
    """Write a catalog as `annotations.json` and `images/`; nothing is lost.

    Args:
        catalog: What to write.
        out: An existing folder.
        report: Takes the count of frame ids that cannot be file names; they stand in the attributes all the same.

    Returns:
        Where the image of each frame belongs below `out`.
    """
    names = image_names(catalog, WriteReport(), "images")
    write_document(catalog, out / DOCUMENT_NAME, names)
    return names


def write_document(catalog: Catalog, path: Path | str, names: Sequence[str] | None = None) -> Path:
    """Write a catalog as one COCO file, which appears whole.

    With several sources `file_name` is relative to the folder that holds all image roots, and the name of each frame's
    source stands in its attributes only.

    Args:
        catalog: What to write.
        path: The JSON file.
        names: `file_name` of each frame, relative to the folder of the file; None = where the images lie now.

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
        name = prefix[sources[row]] + frame.path if names is None else names[row]
        extra = {"source": sources[row], "content_hash": hashes[row]}
        images.append(
            {
                "id": row + 1,
                "file_name": name,
                "width": frame.width_px,
                "height": frame.height_px,
                "attributes": {**frame_attributes(frame), **extra},
            }
        )
        for annotation in frame.annotations or ():
            # Ids start at 1: pycocotools takes 0 for "unmatched".
            annotations.append(_box_record(annotation, len(annotations) + 1, row + 1, category_ids))
    document = {
        "info": {"description": f"{len(images)} frames, {len(annotations)} boxes"},
        "images": images,
        "annotations": annotations,
        "categories": [{"id": number, "name": name} for name, number in category_ids.items()],
    }
    write_whole(path, json.dumps(document))
    return base if names is None else Path(path).parent


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
        "attributes": box_attributes(annotation),
    }
    return record if annotation.track_id is None else {**record, "track_id": annotation.track_id}


def _video(record: Mapping[str, Any], where: Place) -> str | None:
    """The sequence of an image whose attributes name none."""
    video = record.get("video_id")
    if video is None:
        return None
    if isinstance(video, bool) or not isinstance(video, str | int) or not str(video):
        raise where.error(f"video_id is {show(video)}, expected a whole number, a text, or null")
    return str(video)


def _attributes(item: Mapping[str, Any], where: Place) -> Mapping[str, Any]:
    attributes = item.get("attributes")
    if attributes is None:
        return {}
    if not isinstance(attributes, dict):
        raise where.error(f"attributes are {type(attributes).__name__}, expected a mapping")
    return attributes


def _annotation(
    item: Mapping[str, Any],
    meanings: Mapping[str, tuple[str, LabelFields | str]],
    image: Sized,
    with_attributes: bool,
    extra_px: int,
    on_bad_box: OnBadBox,
    report: ReadReport,
    path: Path,
) -> Annotation | None:
    where = Place(path, ("annotation", item.get("id", "-")))
    word, meaning = meanings[str(item["category_id"])]
    if isinstance(meaning, str):
        report.add(Event.LABEL_DROPPED, where, detail=word)
        return None
    if item.get("score") is not None:
        report.add(Event.SCORE_LEFT_OUT, where)
    x, y, w, h = _bbox(item, where)
    attributes = _attributes(item, where) if with_attributes else {}
    known = read_annotation_attributes(attributes, where)
    fields = {**meaning.as_arguments, "truncated": None, "source_label": word, **known}
    fitted = fit_box(
        (x, y, x + w + extra_px, y + h + extra_px),
        image.width_px,
        image.height_px,
        truncated=fields.pop("truncated"),
        on_bad_box=on_bad_box,
        report=report,
        where=where,
    )
    if fitted is None:
        return None
    track = item.get("track_id", attributes.get("track_id"))  # CVAT puts it among the attributes
    if track is not None and (isinstance(track, bool) or not isinstance(track, str | int)):
        raise where.error(f"track_id is {show(track)}, expected a whole number, a text, or null")
    flags = [read_flag(item.get(name), name, where) for name in ("iscrowd", "ignore")]
    fields["ignore"] = fields["ignore"] or any(flags)
    return Annotation(xyxy=fitted[0], truncated=fitted[1], track_id=None if track is None else str(track), **fields)


def _bbox(item: Mapping[str, Any], where: Place) -> tuple[float, float, float, float]:
    box = item.get("bbox")
    if not isinstance(box, list) or len(box) != 4:
        raise where.error(f"bbox {show(box)}, expected four numbers x, y, width, height")
    x, y, w, h = (read_number(value, "a number of bbox", where) for value in box)
    return x, y, w, h
