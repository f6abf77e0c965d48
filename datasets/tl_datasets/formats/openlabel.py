"""ASAM OpenLABEL 1.0, in; what is written out is described in `openlabel_write`.

One file is one scene. A `bbox` is [x of the centre, y of the centre, width, height] in continuous pixels. The standard
fixes containers and no words for lights: objects have our categories as types (`TrafficLight`), attributes named as our
fields, and the conditions of an image are tags that point to it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tl_datasets.errors import AnnotationError, show
from tl_datasets.formats.common.attribute_words import read_annotation_attributes
from tl_datasets.formats.common.attributed_box import attributed_box, upright
from tl_datasets.formats.common.box_policy import XYXY, OnBadBox
from tl_datasets.formats.common.condition_tags import IMAGE_FIELDS, field_name, read_tags
from tl_datasets.formats.common.image_files import ImageFiles, ImageIndex, Located, MissingImages, Sized
from tl_datasets.formats.common.named_root import NAMES_TRIED, root_of_names
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.tagged_frame import Empty, tagged_frame
from tl_datasets.formats.common.values import read_flag, read_number
from tl_datasets.formats.openlabel_images import SceneImages
from tl_datasets.formats.openlabel_scene import Scene, Seen, items_of, load_scene, mapping, typed_values
from tl_datasets.formats.openlabel_write import write
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import LabelMap, Translator, load_label_map, normalise_word
from tl_datasets.read_report import Event, ReadReport

__all__ = ["read", "write"]

# JSON files that stand beside scenes and are none.
_NO_SCENES = frozenset({"conversion.json"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """The options of one reading, and where it keeps words and counts."""

    words: Translator
    report: ReadReport
    attributes: bool
    on_bad_box: OnBadBox

    @property
    def label_map(self) -> LabelMap:
        return self.words.label_map


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "traffic_light_names",
    attributes: bool = True,
    empty: Empty = "negative",
    stream: str | None = None,
    frame_names: str | None = None,
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "error",
) -> Iterator[Frame]:
    """Read an OpenLABEL file, or all of a folder. The scene is the sequence, unless a frame names another.

    Args:
        source: A JSON file, or a folder with one per scene or image.
        report: Takes the image root, content hashes and counts.
        images: Folder that the names of images are relative to; None = the first of `images`, `.`, `../images` and
            `..` beside the files that has one of the first images.
        split: Part of all frames; None = what each frame says.
        label_map: What the types of objects mean, and the words of tags.
        attributes: Read the attributes and tags that we know.
        empty: What an image is in which nothing is drawn, if it does not say so itself.
        stream: The camera to read, where a scene has several.
        frame_names: How the image of a frame is named that the file does not name, such as `front/%06d.png`.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it with its declared size.
        on_bad_box: "error", or "drop" to count and leave out boxes without area inside the image.

    Raises:
        AnnotationError: A file does not follow the format, a type has no meaning in the label map, a box or an
            attribute is wrong, or an image is missing, not named, or has another size than declared.
        ImageError: An image does not open.
        UsageError: There is no such image folder, or `frame_names` does not name an image.
    """
    paths = _scene_files(Path(source))
    first = load_scene(paths[0])
    names = SceneImages(first, stream, frame_names).some_names(NAMES_TRIED)
    root = root_of_names(names, images, paths[0], required=missing_images == "error")
    report.root, report.total = root, len(first.numbers) if len(paths) == 1 else None
    files = ImageFiles(root=root, missing=missing_images, report=report)
    reading = _Reading(
        words=Translator(load_label_map(label_map), Path(source)),
        report=report,
        attributes=attributes,
        on_bad_box=on_bad_box,
    )

    def located() -> Iterator[tuple[tuple[Scene, SceneImages, int], Located]]:
        index: ImageIndex | None = None
        for path in paths:
            scene = first if path == paths[0] else load_scene(path)
            scene_images = SceneImages(scene, stream, frame_names)
            for number in scene.numbers:
                where = scene.where(number)
                name = scene_images.name(number)
                if name is None and len(scene.numbers) == 1:  # one file per image, named as the image
                    index = index or ImageIndex(root, report)
                    name = index.find(path.stem, where, by_stem=True)
                if name is None:
                    raise where.error(
                        "names no image; expected frame_properties.streams.<camera>.uri; set frame_names=PATTERN, such "
                        "as frame_names=frame_%06d.png"
                    )
                image = files.locate(name, where, scene_images.size_px(number))
                if image is not None:
                    yield (scene, scene_images, number), image

    def frames() -> Iterator[Frame]:
        seen: set[str] = set()
        for (scene, scene_images, number), image in files.sized(located()):
            where = scene.where(number)
            objects = list(scene.seen(number))
            boxes = (box for item in objects for box in _annotations(item, image, scene, scene_images, reading))
            known = _known(scene, scene_images, number, reading)
            says_sequence = attributes and "sequence" in scene.properties(number)  # null: the frame stands alone
            if len(scene.numbers) > 1 and not says_sequence:
                known.setdefault("sequence", scene.path.stem)
            frame = tagged_frame(
                image, known, boxes, is_drawn=bool(objects), empty=empty, split=split, report=report, where=where
            )
            if frame.frame_id in seen:
                raise where.error(f"is the frame {show(frame.frame_id)}, as is another; expected one frame per image")
            seen.add(frame.frame_id)
            yield frame
        reading.words.check()

    return frames()


def _scene_files(source: Path) -> list[Path]:
    if not source.is_dir():
        return [source]
    found = sorted(path for path in source.glob("*.json") if path.name not in _NO_SCENES)
    if not found:
        raise AnnotationError(source, "has no JSON file; expected one per scene; give the file or its folder")
    return found


def _known(scene: Scene, images: SceneImages, number: int, reading: _Reading) -> dict[str, Any]:
    """What tags and properties say of a frame."""
    if not reading.attributes:
        return {}
    where = scene.where(number)
    tags = list(images.tags(number))
    own = {name: value for name, value in scene.properties(number).items() if field_name(name) in IMAGE_FIELDS}
    if own:
        tags.append(("frame", own))
    return read_tags(tags, reading.label_map, reading.report, where)


def _annotations(
    item: Seen, image: Sized, scene: Scene, images: SceneImages, reading: _Reading
) -> Iterator[Annotation]:
    is_found = False
    for xyxy, record, event in _boxes(item):
        is_found = True
        of_shape = typed_values(mapping(record.get("attributes"), "attributes", item.where), item.where)
        attributes = {**item.attributes, **of_shape, **item.overrides}
        if images.is_other_stream(record.get("coordinate_system"), attributes.get("stream")):
            reading.report.add(Event.OTHER_STREAM, item.where)
            continue
        fields = _fields(attributes, item.where) if reading.attributes else {}
        fields.setdefault("track_id", item.uid if scene.is_track(item.uid) else None)
        annotation = attributed_box(
            item.kind,
            xyxy,
            (image.width_px, image.height_px),
            fields,
            words=reading.words,
            on_bad_box=reading.on_bad_box,
            report=reading.report,
            where=item.where,
        )
        if annotation is not None:
            if event is not None:
                reading.report.add(event, item.where)
            yield annotation
    if not is_found:
        reading.report.add(Event.NO_BOX, item.where, detail=item.kind)


def _boxes(item: Seen) -> Iterator[tuple[XYXY, Mapping[str, Any], Event | None]]:
    """The boxes of an object; those that a shape bounds only where it has no box."""
    for record in items_of(item.data, "bbox", item.where):
        cx, cy, w, h = _numbers(record, "bbox", 4, item.where)
        yield (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2), record, None
    if item.data.get("bbox"):
        return
    for record in items_of(item.data, "rbbox", item.where):
        cx, cy, w, h, angle = _numbers(record, "rbbox", 5, item.where)
        box = (cx - w / 2, cy - h / 2, cx + w / 2, cy + h / 2)
        yield upright(box, math.cos(angle), math.sin(angle)), record, Event.ROTATED_TO_BOX if angle else None
    if item.data.get("rbbox"):
        return
    for record in items_of(item.data, "poly2d", item.where):
        if record.get("mode", "MODE_POLY2D_ABSOLUTE") != "MODE_POLY2D_ABSOLUTE":
            continue  # chain codes of masks
        values = _numbers(record, "poly2d", None, item.where)
        xs, ys = values[::2], values[1::2]
        yield (min(xs), min(ys), max(xs), max(ys)), record, Event.POLYGON_TO_BOX


def _numbers(record: Mapping[str, Any], name: str, count: int | None, where: Place) -> list[float]:
    values = record.get("val")
    if not isinstance(values, list) or (len(values) != count if count else len(values) < 6 or len(values) % 2):
        expected = f"{count} numbers" if count else "x and y of three or more points"
        raise where.error(f"val of {name} is {show(values)}, expected {expected}")
    return [read_number(value, f"val of {name}", where) for value in values]


def _fields(attributes: Mapping[str, Any], where: Place) -> dict[str, Any]:
    """Attributes as fields of an annotation; an empty `source_label` is None, since the type is the label otherwise."""
    named = {normalise_word(name): value for name, value in attributes.items()}
    if named.get("source_label") == "":
        named["source_label"] = None
    fields = read_annotation_attributes(named, where)
    if "ignore" in named:
        fields["ignore"] = bool(read_flag(named["ignore"], "attribute ignore", where))
    if named.get("track_id") is not None:
        if not isinstance(named["track_id"], str | int) or isinstance(named["track_id"], bool):
            raise where.error(f"attribute track_id is {show(named['track_id'])}, expected a text")
        fields["track_id"] = str(named["track_id"])
    return fields
