"""Cityscapes and Foggy Cityscapes: the polygons of the fine annotations, each as its bounding box.

`gtFine/<split>/<city>/<city>_<seq>_<frame>_gtFine_polygons.json` belongs to the images of the same city, sequence and
frame: `leftImg8bit/...png`, or three of `leftImg8bit_foggy` (or `_foggyDBF`) whose names end in the attenuation of
the fog, `_beta_0.005`, `_0.01` and `_0.02` per metre. These show one scene and share one sequence.

Lights have no state, and one polygon may hold a whole bracket with several heads. The polygons that are given for the
test part hold areas to ignore only: its frames are unlabelled. `<label>group` is an ignore area.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, NamedTuple

from tl_datasets.errors import AnnotationError, UsageError, show
from tl_datasets.formats.common.box_policy import XYXY, OnBadBox, fit_box
from tl_datasets.formats.common.image_files import ImageFiles, Located, MissingImages, Sized
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import declared_side, read_flag, read_number
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import scan_images
from tl_datasets.label_maps import Translator, load_label_map
from tl_datasets.parsing import load_json
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import ConditionSource, Weather

Variant = Literal["clear", "foggy"]

_POLYGONS = "_gtFine_polygons.json"
_SEQUENCE = re.compile(r"^(.+_\d{6})_\d{6}$")
_IMAGE = re.compile(r"^(.+)_leftImg8bit(?:_foggy(?:DBF)?_beta_(\d+\.\d+))?$")
_FOLDERS: dict[str, tuple[str, ...]] = {
    "clear": ("leftImg8bit",),
    "foggy": ("leftImg8bit_foggy", "leftImg8bit_foggyDBF"),
}
_SPLITS = ("train", "val", "test", "train_extra")


class _Polygons(NamedTuple):
    """One label file."""

    where: Place
    declared: tuple[int | None, int | None]
    objects: list[Any]


class _Item(NamedTuple):
    """One image; `labels` is None where there is no label file for it."""

    scene: str
    folder: str
    labels: _Polygons | None
    beta_per_m: float | None


def read(
    source: Path | str,
    *,
    report: ReadReport,
    images: Path | str | None = None,
    split: str | None = None,
    label_map: str = "cityscapes",
    variant: Variant | None = None,
    missing_images: MissingImages = "error",
    on_bad_box: OnBadBox = "drop",
) -> Iterator[Frame]:
    """Read Cityscapes or Foggy Cityscapes.

    Args:
        source: The folder that holds `gtFine`, or `gtFine` itself.
        report: Takes the image root, content hashes and counts.
        images: Folder of the images, with `<split>/<city>/` below; None = beside `gtFine`, by the variant.
        split: Part of all frames; None = by folder.
        label_map: What the labels mean.
        variant: "clear" or "foggy"; None = the clear images if they are there, else the foggy ones.
        missing_images: For labels without an image: "error", "drop" to leave the frame out, "keep" to take it with its
            declared size.
        on_bad_box: "drop" to count and leave out boxes without area inside the image, or "error".

    Raises:
        AnnotationError: A file does not follow the format, has labels without a meaning, or an image is missing or has
            another size than declared.
        ImageError: An image does not open.
        UsageError: There is no such folder.
    """
    root = _label_root(Path(source))
    image_root = _image_root(root.parent, images, variant)
    label_files = _label_files(root, report)
    if not label_files:
        raise AnnotationError(root, f"no *{_POLYGONS} below it; expected gtFine/<split>/<city>/*{_POLYGONS}")
    files = ImageFiles(root=image_root, missing=missing_images, report=report)
    words = Translator(load_label_map(label_map), root)
    report.root = image_root

    def frames() -> Iterator[Frame]:
        for item, image in files.sized(_items(label_files, root, files)):
            frame_id = image.path.rpartition(".")[0]
            if image.content_hash is not None:
                report.content_hashes[frame_id] = image.content_hash
            part = item.folder.partition("/")[0]
            annotations = None
            if item.labels is not None and part != "test":
                annotations = tuple(_annotations(item.labels, image, words, on_bad_box, report))
            sequence = _SEQUENCE.match(item.scene)
            yield Frame(
                frame_id=frame_id,
                path=image.path,
                width_px=image.width_px,
                height_px=image.height_px,
                annotations=annotations,
                split=split or (part if part in _SPLITS else None),
                sequence=sequence[1] if sequence else None,
                weather=None if item.beta_per_m is None else Weather.FOGGY,
                condition_source=None if item.beta_per_m is None else ConditionSource.SYNTHETIC,
                fog_beta_per_m=item.beta_per_m,
            )
        words.check()

    return frames()


def _label_root(source: Path) -> Path:
    for candidate in (source / "gtFine", source):
        if candidate.is_dir():
            return candidate
    raise UsageError(f"{source}: expected the folder gtFine, or the one that holds it")


def _label_files(root: Path, report: ReadReport) -> dict[str, Path]:
    """The label file of each scene."""
    found, left_out = scan_images(root, {".json"})
    for link in left_out:
        report.add(Event.LINK_LEFT_OUT, link)
    label_files: dict[str, Path] = {}
    for path in found:
        scene = path.name.removesuffix(_POLYGONS)
        if scene == path.name:
            continue
        if scene in label_files:
            raise AnnotationError(path, f"{label_files[scene]} is of the same scene; expected one file: remove one")
        label_files[scene] = path
    return label_files


def _image_root(base: Path, images: Path | str | None, variant: Variant | None) -> Path:
    if images is not None:
        if not Path(images).is_dir():
            raise UsageError(f"images: no folder '{images}'")
        return Path(images)
    names = _FOLDERS[variant] if variant else (*_FOLDERS["clear"], *_FOLDERS["foggy"])
    for name in names:
        if (base / name).is_dir():
            return base / name
    raise UsageError(f"{base}: no image folder {' or '.join(names)}; set images=DIR")


def _items(label_files: Mapping[str, Path], root: Path, files: ImageFiles) -> Iterator[tuple[_Item, Located]]:
    """Every image with its labels, then labels without an image."""
    load = lru_cache(maxsize=2)(_load)  # the images of one scene follow one another
    found, left_out = scan_images(files.root)
    for link in left_out:
        files.report.add(Event.LINK_LEFT_OUT, link)
    missing = dict(label_files)
    for path in found:
        relative = path.relative_to(files.root)
        match = _IMAGE.match(relative.stem)
        scene, beta = match.groups() if match else (relative.stem, None)
        label_file = label_files.get(scene)
        missing.pop(scene, None)
        if label_file is None:
            files.report.add(Event.NO_RECORD, path)
        labels = None if label_file is None else load(label_file)
        where, declared = (Place(path), (None, None)) if labels is None else labels[:2]
        image = files.locate(relative.as_posix(), where, declared)
        if image is not None:
            beta_per_m = None if beta is None else float(beta)
            yield _Item(scene, relative.parent.as_posix(), labels, beta_per_m), image
    for scene, label_file in missing.items():
        folder = label_file.relative_to(root).parent.as_posix()
        labels = load(label_file)
        image = files.absent(f"{folder}/{scene}_leftImg8bit.png", labels.where, labels.declared)
        if image is not None:
            yield _Item(scene, folder, labels, None), image


def _load(path: Path) -> _Polygons:
    where = Place(path)
    data = load_json(path)
    if not isinstance(data, dict) or not isinstance(data.get("objects"), list):
        raise where.error("expected an object with imgWidth, imgHeight and objects")
    width, height = (declared_side(data.get(name), name, where) for name in ("imgWidth", "imgHeight"))
    return _Polygons(where, (width, height), data["objects"])


def _annotations(
    labels: _Polygons, image: Sized, words: Translator, on_bad_box: OnBadBox, report: ReadReport
) -> Iterator[Annotation]:
    for number, item in enumerate(labels.objects):
        where = labels.where.at("object", number)
        if not isinstance(item, dict) or not isinstance(item.get("label"), str):
            raise where.error(f"{show(item)}, expected an object with label and polygon")
        word = item["label"]
        if read_flag(item.get("deleted"), "deleted", where):
            report.add(Event.LABEL_DROPPED, where, detail="deleted")
            continue
        meaning = words.label(word)
        if meaning is None:
            continue
        if isinstance(meaning, str):
            report.add(Event.LABEL_DROPPED, where, detail=word)
            continue
        fitted = fit_box(
            _bounds(item.get("polygon"), where),
            image.width_px,
            image.height_px,
            truncated=None,
            on_bad_box=on_bad_box,
            report=report,
            where=where,
        )
        if fitted is not None:
            report.add(Event.POLYGON_TO_BOX, where)
            yield Annotation(xyxy=fitted[0], truncated=fitted[1], source_label=word, **meaning.as_arguments)


def _bounds(polygon: Any, where: Place) -> XYXY:
    """The smallest box around the points."""
    if not isinstance(polygon, list) or len(polygon) < 2:
        raise where.error(f"polygon {show(polygon)}, expected a list of points x, y")
    xs, ys = [], []
    for point in polygon:
        if not isinstance(point, list) or len(point) != 2:
            raise where.error(f"polygon with the point {show(point)}, expected x, y")
        xs.append(read_number(point[0], "x of a point", where))
        ys.append(read_number(point[1], "y of a point", where))
    return min(xs), min(ys), max(xs), max(ys)
