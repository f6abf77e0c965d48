"""CVAT 1.1, as images or as video, in; what is written out is the form for images (see `cvat_write`).

Each `image` stands in the file whether or not somebody drew in it: without a box it is a true negative, unless `empty`
or its own label status says otherwise. Boxes are continuous pixels from 0; a turned box or a polygon becomes its
bounding box. Attributes that are called as our fields are read as those, other attributes are left alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from tl_datasets.errors import AnnotationError
from tl_datasets.formats.common.box_policy import OnBadBox
from tl_datasets.formats.common.image_files import ImageFiles, MissingImages
from tl_datasets.formats.common.named_root import NAMES_TRIED, root_of_names
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.tagged_frame import Empty
from tl_datasets.formats.cvat_images import read_images
from tl_datasets.formats.cvat_meta import Task, read_meta
from tl_datasets.formats.cvat_reading import CvatReading
from tl_datasets.formats.cvat_video import read_video
from tl_datasets.formats.cvat_write import write
from tl_datasets.frame import Frame
from tl_datasets.label_maps import Translator, load_label_map
from tl_datasets.parsing import iter_xml
from tl_datasets.read_report import ReadReport

__all__ = ["read", "write"]

_PARTS = frozenset({"meta", "image", "track"})


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
    reading = CvatReading(
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
        return read_video(reading, files, frame_names)
    known = [len(task.frames) for task in tasks.values() if task.frames is not None]
    report.total = sum(known) if len(known) == len(tasks) and known else None
    return read_images(reading, files)


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
