"""The form of CVAT for images: one element per image, with boxes and tags in it; read one after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from tl_datasets.errors import show
from tl_datasets.formats.common.condition_tags import read_tags
from tl_datasets.formats.common.image_files import ImageFiles, Located, Sized
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import declared_side
from tl_datasets.formats.cvat_meta import split_of
from tl_datasets.formats.cvat_reading import CvatReading
from tl_datasets.formats.cvat_shapes import box_fields, read_attributes, read_geometry, read_label
from tl_datasets.frame import Annotation, Frame
from tl_datasets.parsing import iter_xml
from tl_datasets.read_report import Event

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element


def read_images(reading: CvatReading, files: ImageFiles) -> Iterator[Frame]:
    """Yield the frames of a file in the form for images.

    Raises:
        AnnotationError: As `cvat.read`.
        ImageError: As `cvat.read`.
    """

    def located() -> Iterator[tuple[tuple[Element, Place], Located]]:
        for element in iter_xml(reading.path, {"image", "track"}):
            where = Place(reading.path, (element.tag, element.get("name") or element.get("id") or "?"))
            if element.tag == "track":
                raise where.error("a track after images; expected one form in a file: export images or video")
            name = element.get("name")
            if not name:
                raise where.error("image has no name; expected the path of its file")
            width, height = (declared_side(element.get(side), side, where) for side in ("width", "height"))
            image = files.locate(name, where, (width, height))
            if image is not None:
                yield (element, where), image

    seen: set[str] = set()
    for (element, where), image in files.sized(located()):
        task = reading.tasks.get(element.get("task_id") or "") or reading.only_task
        shapes = [shape for shape in element if shape.tag != "tag"]
        tags = [(read_label(tag, where), _tag_attributes(tag, where)) for tag in element.iterfind("tag")]
        known = read_tags(tags, reading.words.label_map, reading.report, where) if reading.attributes else {}
        known.setdefault("split", split_of(element.get("subset")) or task.split)
        if task.is_video:
            known.setdefault("sequence", reading.sequence(task))
        boxes = (box for number, shape in enumerate(shapes) if (box := _box(shape, number, image, reading, where)))
        frame = reading.frame(image, known, boxes, bool(shapes), where)
        if frame.frame_id in seen:
            raise where.error(f"frame {show(frame.frame_id)} occurs twice; expected one image element for each image")
        seen.add(frame.frame_id)
        yield frame
    reading.words.check()


def _tag_attributes(tag: Element, where: Place) -> dict[str, Any]:
    attributes: dict[str, Any] = dict(read_attributes(tag, where))
    categories = attributes.get("labelled_categories")
    if categories is not None:
        attributes["labelled_categories"] = [word.strip() for word in categories.split(",")]
    return attributes


def _box(shape: Element, number: int, image: Sized, reading: CvatReading, where: Place) -> Annotation | None:
    where = where.at(shape.tag, number)
    label = read_label(shape, where)
    geometry = read_geometry(shape, where)
    if geometry is None:
        reading.report.add(Event.NO_BOX, where, detail=label)
        return None
    attributes = read_attributes(shape, where) if reading.attributes else {}
    fields = box_fields(attributes, shape.get("occluded"), where)
    return reading.annotation(label, geometry, fields, image, where)
