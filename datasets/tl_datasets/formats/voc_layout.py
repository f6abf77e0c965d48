"""Which image belongs to which XML file of a Pascal VOC data set, and in which part it is.

Known layouts: the devkit (`Annotations/`, `JPEGImages/`, `ImageSets/Main/*.txt`), several of them below one folder,
images and XML side by side, XML in a sub-folder such as `labels` with the images one level up, and one folder of each
named by options. In all of them image and XML have the same path once the folders that only say "images" or "XML" are
taken out of it: that path is the key by which they are joined, and by which the lists of parts name them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from tl_datasets.errors import AnnotationError, UsageError
from tl_datasets.formats.common.paired_files import check_stems, named_folder
from tl_datasets.formats.common.split_lists import LIST_NAMES, read_split_lists
from tl_datasets.formats.voc_xml import load_voc
from tl_datasets.images import IMAGE_SUFFIXES, scan_images
from tl_datasets.read_report import Event, ReadReport

_IMAGE_FOLDERS = frozenset({"jpegimages", "images", "image", "imgs", "img", "jpg", "jpeg", "png"})
_XML_FOLDERS = frozenset({"annotations", "annotation", "labels", "label", "xml", "xmls", "voc", "pascal_voc"})
_XML_FOLDER_ENDING = "_pascal_voc"
# The masks of the devkit are images too, but no frames.
_MASK_FOLDERS = frozenset({"SegmentationClass", "SegmentationObject"})


@dataclass(frozen=True, slots=True, kw_only=True)
class VocItem:
    """One frame to be.

    Attributes:
        path: Image relative to the root; where there is none, where it would be.
        xml: Its XML file; None = an image without one.
        is_there: Whether the image was found.
        split: The part that a list assigns, or None.
        hint: For the message about a missing image.
    """

    path: str
    xml: Path | None
    is_there: bool
    split: str | None
    hint: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class VocLayout:
    """A VOC data set as found on disk: the folder that paths of images are relative to, and the frames by path."""

    root: Path
    items: tuple[VocItem, ...]


def find_layout(
    source: Path, images: Path | str | None, annotations: Path | str | None, report: ReadReport
) -> VocLayout:
    """Join images and XML files.

    Args:
        source: Folder of the data set.
        images: Folder with the images, below the source or as it stands; None = anywhere below the source.
        annotations: The same for the XML files.
        report: Takes the counts.

    Raises:
        AnnotationError: Two XML files are of one image, two images of one XML file, or a list is wrong.
        UsageError: A folder does not exist, or has no image or XML file.
    """
    if not source.is_dir():
        raise UsageError(f"{source}: expected a folder with images and Pascal VOC files (.xml)")
    image_folder = named_folder(source, images, "images")
    xml_folder = named_folder(source, annotations, "annotations")
    files = _Files(report)
    image_paths = [
        path
        for path in files.below(image_folder, IMAGE_SUFFIXES)
        if not _MASK_FOLDERS.intersection(path.relative_to(image_folder).parts)
    ]
    xml_paths = files.below(xml_folder, {".xml"})
    if not image_paths and not xml_paths:
        raise UsageError(f"{source}: neither an image nor an .xml file; set images=DIR and annotations=DIR")
    check_stems(image_paths)
    root = _root(image_folder, image_paths) if images is None else image_folder
    joined = _Joined(image_folder, image_paths, report)
    xml_of: dict[Path, Path] = {}
    lost: list[Path] = []
    for xml in xml_paths:
        image = joined.image_of(xml, xml_folder)
        if image is None:
            lost.append(xml)
        elif image in xml_of:
            raise AnnotationError(
                xml, f"{image} has another file, {xml_of[image]}; expected one: remove one, or set annotations=DIR"
            )
        else:
            xml_of[image] = xml
    items = {path.relative_to(root).with_suffix("").as_posix(): (path, xml_of.get(path)) for path in image_paths}
    keys = {name: _key(path, image_folder) for name, (path, _) in items.items()}
    lost_keys = {xml: _key(xml, xml_folder) for xml in lost}
    parts = read_split_lists(_lists(source, files), _spellings(keys, lost_keys.values()), report)
    found = [
        VocItem(path=path.relative_to(root).as_posix(), xml=xml, is_there=True, split=parts.get(name))
        for name, (path, xml) in items.items()
    ]
    found += [
        VocItem(path=key, xml=xml, is_there=False, split=parts.get(key), hint=joined.hint(xml))
        for xml, key in lost_keys.items()
    ]
    return VocLayout(root=root, items=tuple(sorted(found, key=lambda item: item.path)))


def _spellings(keys: Mapping[str, str], lost: Iterable[str]) -> dict[str, str]:
    """How a list may spell each name: as it is, or by its key where only one has it."""
    spellings = {name: name for name in (*keys, *lost)}
    number = Counter(keys.values())
    for name, key in keys.items():
        if number[key] == 1:
            spellings.setdefault(key, name)
    return spellings


class _Joined:
    """The images by key, by folder and by name."""

    def __init__(self, folder: Path, paths: Iterable[Path], report: ReadReport):
        self.report = report
        self.by_key: dict[str, list[Path]] = {}
        self.by_stem: dict[str, Path] = {}
        for path in paths:
            self.by_key.setdefault(_key(path, folder), []).append(path)
            self.by_stem[path.stem] = path

    def image_of(self, xml: Path, xml_folder: Path) -> Path | None:
        """By its own name, else by the name that it states."""
        key = _key(xml, xml_folder)
        found = self._one(key, xml)
        if found is not None:
            return found
        name = load_voc(xml).filename
        if name is None:
            return None
        folder = key.rpartition("/")[0]
        for stem in (name, PurePosixPath(name).stem):  # without a suffix, or with one
            found = self._one(f"{folder}/{stem}" if folder else stem, xml)
            if found is not None:
                self.report.add(Event.NAMES_DIFFER, xml, detail="image taken by filename")
                return found
        return None

    def _one(self, key: str, xml: Path) -> Path | None:
        found = self.by_key.get(key, [])
        nearness = [_nearness(path.parent.parts, xml.parent.parts) for path in found]
        best = [path for path, near in zip(found, nearness, strict=True) if near == max(nearness)]
        if len(best) > 1:
            raise AnnotationError(xml, f"{best[0]} and {best[1]} could be its image; set images=DIR to one folder")
        return best[0] if best else None

    def hint(self, xml: Path) -> str:
        other = self.by_stem.get(xml.stem)
        if other is None:
            return ""
        return f"; {other} has its name: if it is the image, set images={other.parent} annotations={xml.parent}"


def _key(path: Path, folder: Path) -> str:
    parts = path.relative_to(folder).with_suffix("").parts
    return "/".join([part for part in parts[:-1] if not _is_role(part)] + [parts[-1]])


def _nearness(one: tuple[str, ...], other: tuple[str, ...]) -> tuple[int, int]:
    """Of two folders: how many of their parts are the same from either end, then how alike they are in depth."""
    shorter = min(len(one), len(other))
    leading = next((n for n in range(shorter) if one[n] != other[n]), shorter)
    trailing = next((n for n in range(shorter - leading) if one[-1 - n] != other[-1 - n]), shorter - leading)
    return leading + trailing, -abs(len(one) - len(other))


def _is_role(folder: str) -> bool:
    word = folder.lower()
    return word in _IMAGE_FOLDERS or word in _XML_FOLDERS or word.endswith(_XML_FOLDER_ENDING)


def _root(folder: Path, paths: Iterable[Path]) -> Path:
    """The one folder of images, where all lie in it; else the source itself."""
    first = {path.relative_to(folder).parts[0] for path in paths}
    if len(first) == 1 and (only := first.pop()).lower() in _IMAGE_FOLDERS and (folder / only).is_dir():
        return folder / only
    return folder


class _Files:
    """Files below folders; each folder is looked through once, and links that leave it are counted once."""

    def __init__(self, report: ReadReport):
        self.report = report
        self.found: dict[Path, list[Path]] = {}

    def below(self, folder: Path, suffixes: Collection[str]) -> list[Path]:
        if folder not in self.found:
            self.found[folder], links = scan_images(folder, {*IMAGE_SUFFIXES, ".xml", ".txt"})
            for link in links:
                self.report.add(Event.LINK_LEFT_OUT, link)
        return [path for path in self.found[folder] if path.suffix.lower() in suffixes]


def _lists(source: Path, files: _Files) -> list[tuple[Path, str]]:
    """The lists of parts, each with the folder that its names are relative to, as it stands in keys."""
    found = []
    for path in files.below(source, {".txt"}):
        if path.name not in LIST_NAMES:
            continue
        folder = path.parent
        if folder.name == "Main" and folder.parent.name == "ImageSets":
            base = folder.parent.parent
        elif folder.name == "ImageSets":
            base = folder.parent
        elif (folder / "Annotations").is_dir() or (folder / "JPEGImages").is_dir():
            base = folder  # IDD has its lists here
        else:
            continue
        prefix = "/".join(part for part in base.relative_to(source).parts if not _is_role(part))
        found.append((path, prefix))
    return found
