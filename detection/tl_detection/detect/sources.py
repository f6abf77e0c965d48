"""What there is to detect in: every image, video and camera, and where its pictures go."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath

from tl_datasets.errors import DataError, ImageError
from tl_datasets.images import IMAGE_SUFFIXES, VIDEO_SUFFIXES, list_images
from tl_detection.detect.settings import RESERVED_NAME

# OpenCV's number of a camera; its device file serves as well.
CAMERA = re.compile(r"camera:(\d{1,4})")


class Kind(StrEnum):
    """What a source is."""

    IMAGE = "image"
    VIDEO = "video"
    CAMERA = "camera"


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One image, video or camera.

    Attributes:
        path: The file or device; `camera:0` for a camera by its number.
        target: The picture file or folder that it leads to, relative to the output folder.
        kind: What it is.
    """

    path: Path
    target: PurePosixPath
    kind: Kind

    @property
    def sequence(self) -> Path | PurePosixPath:
        """Frames of one sequence follow each other: those of a video, of a camera, of a folder of images."""
        return self.path.parent if self.kind is Kind.IMAGE else self.target


def find_sources(given: Sequence[Path | str]) -> list[Source]:
    """List what there is to detect in; every source gets a target of its own.

    Args:
        given: Images, videos, folders with their sub-folders, cameras as `camera:0` or by their device file.

    Raises:
        DataError: There is neither image nor video in it.
        ImageError: A file does not exist, or is neither image nor video by its name.
    """
    listed: list[tuple[Path, PurePosixPath, Kind]] = []
    for each in given:
        path = Path(each)
        if CAMERA.fullmatch(str(each)) or path.is_char_device():
            listed.append((path, PurePosixPath(path.name.replace(":", "-")), Kind.CAMERA))
        elif path.is_dir():
            root = PurePosixPath(path.resolve().name) if len(given) > 1 else PurePosixPath()
            listed += [(file, root / file.relative_to(path).as_posix(), _kind(file)) for file in _list_files(path)]
        elif str(path).startswith("/dev/video"):
            raise ImageError(f"{path}: no such camera; connect it, or list those that are there with: ls /dev/video*")
        elif not path.is_file():
            raise ImageError(
                f"{each}: no such file or folder; expected an image, a video, a folder of them, or a camera as camera:0"
            )
        elif path.suffix.lower() not in IMAGE_SUFFIXES | VIDEO_SUFFIXES:
            known = " ".join(sorted(IMAGE_SUFFIXES | VIDEO_SUFFIXES))
            raise ImageError(f"{path}: neither image nor video by its name; expected one of {known}")
        else:
            listed.append((path, PurePosixPath(path.name), _kind(path)))
    if not listed:
        names = ", ".join(str(path) for path in given)
        raise DataError(f"{names or 'no source'}: neither image nor video in it; give images, videos or folders")
    return _with_own_targets([(path, _picture_of(target, kind), kind) for path, target, kind in listed])


def _with_own_targets(listed: Sequence[tuple[Path, PurePosixPath, Kind]]) -> list[Source]:
    times = Counter(target for _, target, _ in listed)
    taken: set[PurePosixPath] = set()
    sources = []
    for path, target, kind in listed:
        if times[target] > 1 and kind is not Kind.CAMERA and path.resolve().parent.name:
            target = target.with_name(f"{path.resolve().parent.name}-{target.name}")
        free, count = target, 1
        while free in taken:
            count += 1
            free = target.with_name(f"{target.stem}-{count}{target.suffix}")
        taken.add(free)
        sources.append(Source(path=path, target=free, kind=kind))
    return sources


def _picture_of(target: PurePosixPath, kind: Kind) -> PurePosixPath:
    """The name of the picture: one that is written as JPEG or PNG, and none of a file that is written besides."""
    if kind is Kind.IMAGE and target.suffix.lower() not in {".jpg", ".jpeg", ".png"}:
        target = target.with_name(f"{target.name}.jpg")
    return PurePosixPath(*(f"{part}-pictures" if RESERVED_NAME.fullmatch(part) else part for part in target.parts))


def _kind(path: Path) -> Kind:
    return Kind.VIDEO if path.suffix.lower() in VIDEO_SUFFIXES else Kind.IMAGE


def _list_files(folder: Path) -> list[Path]:
    """Folder by folder, its images before its videos: the images of a folder follow each other."""
    root = folder.resolve()
    videos = [
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in VIDEO_SUFFIXES and path.is_file() and path.resolve().is_relative_to(root)
    ]
    return sorted([*list_images(folder), *videos], key=lambda path: (path.parent, _kind(path), path.name))
