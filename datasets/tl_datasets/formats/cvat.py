"""CVAT 1.1, as images or as video, in; what is written out is the form for images (see `cvat_write`).

Each `image` stands in the file whether or not somebody drew in it: without a box it is a true negative, unless `empty`
or its own label status says otherwise. Boxes are continuous pixels from 0; a turned box or a polygon becomes its
bounding box. Attributes that are called as our fields are read as those, other attributes are left alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tl_datasets.errors import AnnotationError, show
from tl_datasets.formats.attributed_box import attributed_box
from tl_datasets.formats.box_policy import OnBadBox
from tl_datasets.formats.condition_tags import read_tags
from tl_datasets.formats.cvat_meta import Task, read_meta, split_of
from tl_datasets.formats.cvat_shapes import Geometry, box_fields, read_attributes, read_geometry, read_label
from tl_datasets.formats.cvat_tracks import Track, boxes_by_frame, read_track
from tl_datasets.formats.cvat_write import write
from tl_datasets.formats.image_files import ImageFiles, Located, MissingImages, Sized
from tl_datasets.formats.named_root import NAMES_TRIED, root_of_names
from tl_datasets.formats.numbered_images import name_of_frame, numbered_images
from tl_datasets.formats.place import Place
from tl_datasets.formats.tagged_frame import Empty, tagged_frame
from tl_datasets.formats.values import declared_side
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import Translator, load_label_map
from tl_datasets.parsing import iter_xml
from tl_datasets.read_report import Event, ReadReport

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

__all__ = ["read", "write"]

_PARTS = frozenset({"meta", "image", "track"})


@dataclass(frozen=True, slots=True, kw_only=True)
class _Reading:
    """The options of one reading, and where it keeps words and counts."""

    path: Path
    tasks: Mapping[str, Task]
    words: Translator
    report: ReadReport
    attributes: bool
    empty: Empty
    on_bad_box: OnBadBox
    split: str | None

    def frame(
        self, image: Sized, known: dict[str, Any], boxes: Iterable[Annotation], is_drawn: bool, where: Place
    ) -> Frame:
        """One frame out of what is known of it."""
        return tagged_frame(
            image,
            known,
            boxes,
            is_drawn=is_drawn,
            empty=self.empty,
            split=self.split,
            report=self.report,
            where=where,
        )


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "traffic_light_names",
    attributes: bool = True,
    empty: Empty = "negative",
    frame_names: str | None = None,
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "error",
) -> Iterator[Frame]:
    """Read a CVAT file for images or for video.

    Args:
        source: The XML file, or a folder with `annotations.xml` or one XML file.
        report: Takes the image root, content hashes and counts.
        images: Image folder; None = the first of `images`, `.`, `../images` and `..` beside the file that has one of
            the first images; for a video `images` or `.`.
        split: Part of all frames; None = the attribute of each image, or the subset of its task.
        label_map: What the labels mean, and the words of tags.
        attributes: Read the attributes that we know.
        empty: What an image is in which nothing is drawn, if it does not say so itself.
        frame_names: For a video how the images of its frames are named, such as `frame_%06d`; None = by number if they
            are called `frame_<number>`, else in the order of their paths.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it with its declared size.
        on_bad_box: "error", or "drop" to count and leave out boxes without area inside the image.

    Raises:
        AnnotationError: The file does not follow the format, a label has no meaning in the label map, a box or an
            attribute is wrong, or an image is missing or has another size than declared.
        ImageError: An image does not open.
        UsageError: There is no such image folder, or `frame_names` has no number.
    """
    path = _find_file(Path(source))
    tasks, names, has_tracks = _look(path)
    reading = _Reading(
        path=path,
        tasks=tasks,
        words=Translator(load_label_map(label_map), path),
        report=report,
        attributes=attributes,
        empty=empty,
        on_bad_box=on_bad_box,
        split=split,
    )
    root = root_of_names(names, images, path, required=missing_images == "error")
    report.root = root
    files = ImageFiles(root=root, missing=missing_images, report=report)
    if has_tracks:
        return _read_video(reading, files, frame_names)
    known = [len(task.frames) for task in tasks.values() if task.frames is not None]
    report.total = sum(known) if len(known) == len(tasks) and known else None
    return _read_images(reading, files)


def _find_file(source: Path) -> Path:
    if not source.is_dir():
        return source
    if (source / "annotations.xml").is_file():
        return source / "annotations.xml"
    found = sorted(source.glob("*.xml"))
    if len(found) != 1:
        raise AnnotationError(
            source, f"has no annotations.xml and {len(found)} other XML files, expected one; give the file itself"
        )
    return found[0]


def _look(path: Path) -> tuple[dict[str, Task], list[str], bool]:
    """The tasks of a file, the names of its first images, and whether it has tracks instead."""
    tasks: dict[str, Task] = {}
    names: list[str] = []
    with closing(iter_xml(path, _PARTS)) as elements:  # type: ignore[type-var]
        for element in elements:
            if element.tag == "meta":
                tasks = read_meta(element, Place(path, ("meta",)))
            elif element.tag == "track":
                return tasks, names, not names
            else:
                names.append(element.get("name") or "")
                if len(names) == NAMES_TRIED:
                    break
    if not names and not any(task.is_video for task in tasks.values()):
        raise AnnotationError(path, "has neither an image nor a track; expected an XML file of CVAT 1.1")
    return tasks, names, not names


def _read_images(reading: _Reading, files: ImageFiles) -> Iterator[Frame]:
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
        task = reading.tasks.get(element.get("task_id") or "") or _only(reading.tasks)
        shapes = [shape for shape in element if shape.tag != "tag"]
        tags = [(read_label(tag, where), _tag_attributes(tag, where)) for tag in element.iterfind("tag")]
        known = read_tags(tags, reading.words.label_map, reading.report, where) if reading.attributes else {}
        known.setdefault("split", split_of(element.get("subset")) or task.split)
        if task.is_video:
            known.setdefault("sequence", task.name or None)
        boxes = (box for number, shape in enumerate(shapes) if (box := _box(shape, number, image, reading, where)))
        frame = reading.frame(image, known, boxes, bool(shapes), where)
        if frame.frame_id in seen:
            raise where.error(f"frame {show(frame.frame_id)} occurs twice; expected one image element for each image")
        seen.add(frame.frame_id)
        yield frame
    reading.words.check()


def _read_video(reading: _Reading, files: ImageFiles, frame_names: str | None) -> Iterator[Frame]:
    path, report = reading.path, reading.report
    if len(reading.tasks) > 1:
        raise AnnotationError(
            path, f"tracks of a project of {len(reading.tasks)} tasks; export each by itself, or in the form for images"
        )
    task = _only(reading.tasks)
    numbers = task.frames
    paths = numbered_images(files, frame_names, numbers, path)
    frames = sorted(paths) if numbers is None else numbers
    report.total = len(frames)
    numbered = frames if isinstance(frames, range) else frozenset(frames)
    is_checked = numbers is not None or files.missing == "error"

    def tracks() -> Iterator[Track]:
        for number, element in enumerate(iter_xml(path, {"image", "track"})):
            where = Place(path)
            if element.tag == "image":
                raise where.error("an image after tracks; expected one form in a file: export images or video")
            track = read_track(element, number, reading.attributes, report, where)
            if track is not None:
                if is_checked:
                    _check_frames(track, numbered)
                yield track

    def located() -> Iterator[tuple[tuple[list[tuple[Track, Geometry, dict[str, Any]]], Place], Located]]:
        for number, boxes in boxes_by_frame(list(tracks()), frames):
            where = Place(path, ("frame", number))
            found = paths.get(number)
            if found is None:
                image = files.absent(name_of_frame(frame_names, number), where, task.size_px)
            else:
                image = files.locate(found, where, task.size_px)
            if image is not None:
                yield (boxes, where), image

    def read_frames() -> Iterator[Frame]:
        sequence = task.name or (path.resolve().parent.name if path.name == "annotations.xml" else path.stem)
        for (seen, where), image in files.sized(located()):
            boxes = (
                box
                for track, geometry, fields in seen
                if (box := _annotation(track.label, geometry, fields, image, reading, track.where.at(*where.inside)))
            )
            known = {"sequence": sequence, "split": task.split}
            yield reading.frame(image, known, boxes, bool(seen), where)
        reading.words.check()

    return read_frames()


def _check_frames(track: Track, known: Collection[int]) -> None:
    wrong = next((key.frame for key in track.keys if not key.is_outside and key.frame not in known), None)
    if wrong is not None:
        raise track.where.error(
            f"has a box in frame {wrong}, which is none of the frames of the task or its images; set images=DIR or "
            "frame_names"
        )


def _tag_attributes(tag: Element, where: Place) -> dict[str, Any]:
    attributes: dict[str, Any] = dict(read_attributes(tag, where))
    categories = attributes.get("labelled_categories")
    if categories is not None:
        attributes["labelled_categories"] = [word.strip() for word in categories.split(",")]
    return attributes


def _box(shape: Element, number: int, image: Sized, reading: _Reading, where: Place) -> Annotation | None:
    where = where.at(shape.tag, number)
    label = read_label(shape, where)
    geometry = read_geometry(shape, where)
    if geometry is None:
        reading.report.add(Event.NO_BOX, where, detail=label)
        return None
    attributes = read_attributes(shape, where) if reading.attributes else {}
    return _annotation(label, geometry, box_fields(attributes, shape.get("occluded"), where), image, reading, where)


def _annotation(
    label: str, geometry: Geometry, fields: Mapping[str, Any], image: Sized, reading: _Reading, where: Place
) -> Annotation | None:
    annotation = attributed_box(
        label,
        geometry.upright(),
        (image.width_px, image.height_px),
        fields,
        words=reading.words,
        on_bad_box=reading.on_bad_box,
        report=reading.report,
        where=where,
    )
    if annotation is not None and geometry.is_polygon:
        reading.report.add(Event.POLYGON_TO_BOX, where)
    if annotation is not None and geometry.rotation_deg % 360:
        reading.report.add(Event.ROTATED_TO_BOX, where)
    return annotation


def _only(tasks: Mapping[str, Task]) -> Task:
    return next(iter(tasks.values())) if len(tasks) == 1 else Task()
