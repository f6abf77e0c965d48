"""Pascal VOC: one XML file per image.

A file without objects is a true negative. An image without a file says nothing: the frame is unlabelled unless
`missing` says otherwise. Where coordinates begin is told from the boxes (see `voc_origin`), which images and files
belong together from their names (see `voc_layout`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any, Literal

from tl_datasets.errors import AnnotationError, show
from tl_datasets.formats.common.box_policy import OnBadBox
from tl_datasets.formats.common.image_files import ImageFiles, Located, MissingImages
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.voc_layout import VocItem, VocLayout, find_layout
from tl_datasets.formats.voc_objects import ObjectReader, frame_fields
from tl_datasets.formats.voc_origin import Origin, decide_origin, declared_origin
from tl_datasets.formats.voc_xml import VocFile, load_voc
from tl_datasets.frame import Frame
from tl_datasets.images import IMAGE_SUFFIXES
from tl_datasets.label_maps import Translator, load_label_map, normalise_word
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import LabelStatus


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    annotations: Path | str | None = None,
    split: str | None = None,
    label_map: str = "traffic_light_names",
    origin: Origin = "auto",
    attributes: bool = True,
    flags: bool = True,
    nothing_label: str | None = None,
    missing: Literal["unlabelled", "negative"] | None = None,
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "error",
) -> Iterator[Frame]:
    """Read a Pascal VOC data set.

    Args:
        source: Its folder.
        report: Takes the image root, content hashes and counts.
        images: Folder with the images, in the source or as it stands; None = found by name below the source.
        annotations: The same for the XML files; give both where the names of the two folders do not tell.
        split: Part of all frames; replaces what the files and lists say.
        label_map: What the class names mean.
        origin: "1" = 1-based inclusive as in the standard, "0" = 0-based continuous as most tools write; "auto" = what
            a file of ours declares, else told from all boxes of the set and reported.
        attributes: Read the attributes of images and objects that we know.
        flags: Read `truncated` and `occluded`; false where a tool wrote 0 for each object without anybody looking.
        nothing_label: Class name of objects that mean "nothing in view" and span the image; they are counted and left
            out. None = there is no such name.
        missing: What an image without an XML file is. None = unlabelled, but an error if no image has one.
        missing_images: "error"; "drop" to leave the frame out; "keep" to take it with its declared size.
        on_bad_box: "error", or "drop" to count and leave out boxes without area inside the image.

    Raises:
        AnnotationError: A file does not follow the format, or a class name has no meaning in the label map.
        ImageError: An image does not open.
        UsageError: A folder is missing.
    """
    source = Path(source)
    layout = find_layout(source, images, annotations, report)
    _check_items(layout, missing)
    words = Translator(load_label_map(label_map), source)
    report.root, report.total = layout.root, len(layout.items)
    objects = ObjectReader(
        words=words,
        attributes=attributes,
        flags=flags,
        nothing_label=None if nothing_label is None else normalise_word(nothing_label),
        on_bad_box=on_bad_box,
        report=report,
    )

    def frames() -> Iterator[Frame]:
        offset = _decided(layout, source, report) if origin == "auto" else int(origin)
        seen: dict[str, str] = {}
        files = ImageFiles(root=layout.root, missing=missing_images, report=report)
        for (item, file), sized in files.sized(_located(layout, files, report)):
            found = None if missing != "negative" else ()
            known: dict[str, Any] = {}
            if file is not None:
                known = frame_fields(file) if attributes else {}
                own = declared_origin(file) if origin == "auto" else None
                found = tuple(objects.annotations(file, sized, offset if own is None else own))
                if known.pop("label_status", None) is LabelStatus.UNLABELLED:
                    if found:
                        raise file.where.error("label_status is unlabelled but it has objects; expected none")
                    found = None
            frame_id = known.setdefault("frame_id", sized.path.rpartition(".")[0] or sized.path)
            if frame_id in seen:
                raise AnnotationError(
                    layout.root / sized.path,
                    f"{seen[frame_id]} is the frame {show(frame_id)} too; expected another frame_id for each image",
                )
            seen[frame_id] = sized.path
            if sized.content_hash is not None:
                report.content_hashes[frame_id] = sized.content_hash
            known["split"] = split or known.get("split") or item.split
            yield Frame(path=sized.path, width_px=sized.width_px, height_px=sized.height_px, annotations=found, **known)
        words.check()

    return frames()


def _check_items(layout: VocLayout, missing: str | None) -> None:
    if missing is None and not any(item.xml for item in layout.items):
        raise AnnotationError(
            layout.root,
            f"none of {len(layout.items)} images has an .xml file; set annotations=DIR, or missing=unlabelled if "
            "nobody labelled them",
        )


def _decided(layout: VocLayout, source: Path, report: ReadReport) -> int:
    """The origin of the files that do not declare it, after a first pass over them."""
    files = (load_voc(item.xml) for item in layout.items if item.xml is not None)
    offset, reason = decide_origin(file for file in files if declared_origin(file) is None)
    if reason:
        report.add(Event.BOX_ORIGIN, f"{source}: {reason}", detail=f"{offset}-based")
    return offset


def _located(
    layout: VocLayout, files: ImageFiles, report: ReadReport
) -> Iterator[tuple[tuple[VocItem, VocFile | None], Located]]:
    for item in layout.items:
        if item.xml is None:
            report.add(Event.NO_LABEL_FILE, layout.root / item.path)
            image = files.locate(item.path, Place(layout.root / item.path))
            file = None
        else:
            file = load_voc(item.xml)
            image = _image_of(item, file, files, report)
        if image is not None:
            yield (item, file), image


def _image_of(item: VocItem, file: VocFile, files: ImageFiles, report: ReadReport) -> Located | None:
    name = PurePosixPath(item.path).name
    if item.is_there:
        stem, stated = PurePosixPath(name).stem, PurePosixPath(file.filename or name)
        if stem == PurePosixPath(item.xml or "").stem and stem not in {stated.name, stated.stem}:
            report.add(Event.NAMES_DIFFER, file.where, detail="image taken by own name")
        return files.locate(item.path, file.where, file.declared)
    suffix = PurePosixPath(file.filename or "").suffix
    suffix = suffix if suffix.lower() in IMAGE_SUFFIXES else ".jpg"  # names may have dots and no suffix
    return ImageFiles(root=files.root, missing=files.missing, report=report, hint=item.hint).absent(
        item.path + suffix, file.where, file.declared
    )
