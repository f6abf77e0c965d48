"""From what an annotation file says about an image to the file itself: found, inside its root, of the declared size.

Every reader asks here, so that a missing image, a path that leaves its root and a wrong size are the same everywhere.
"""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple, TypeVar

from tl_datasets.errors import ImageError, UsageError, show
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.probing import check_size, probe_ahead
from tl_datasets.images import about_links, resolve_inside, scan_images
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import PixelFormat

Item = TypeVar("Item")

# What happens to a frame whose image is not there: "error"; "drop" to count and leave it out (also if the image does
# not open); "keep" to take it with its declared size, for statistics over labels alone.
MissingImages = Literal["error", "drop", "keep"]


class Located(NamedTuple):
    """An image that an annotation file speaks of.

    Attributes:
        path: Relative to the root, with forward slashes.
        file: The file; None where it is missing and the frame is kept.
        where: The place that speaks of it.
        declared: (width, height) in pixels as declared there; None where nothing is.
    """

    path: str
    file: Path | None
    where: Place
    declared: tuple[int | None, int | None] = (None, None)


class Sized(NamedTuple):
    """An image with its size and, where there is a file, the SHA-256 of its bytes."""

    path: str
    width_px: int
    height_px: int
    content_hash: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageFiles:
    """The images of one source below one root.

    Attributes:
        root: Folder that the paths of the frames are relative to.
        missing: What happens to a frame without an image.
        report: Takes the counts.
        pixel_format: How raw sensor frames are coded; None = ordinary images.
        assumed_size: (width, height) that all images of the data set have, where the size is not declared: a kept frame
            has it, and an image of another size is counted. None = a kept frame without a declared size is an error.
        hint: Put after the message about a missing image (see `ImageIndex.about_links`).
    """

    root: Path
    missing: MissingImages
    report: ReadReport
    pixel_format: PixelFormat | None = None
    assumed_size: tuple[int, int] | None = None
    hint: str = ""

    def locate(
        self, relative: str, where: Place, declared: tuple[int | None, int | None] = (None, None)
    ) -> Located | None:
        """Find an image by its path below the root; None for a frame that is to be dropped.

        Args:
            relative: Path as the annotation file has it, with forward or backward slashes.
            where: The place that speaks of it.
            declared: Its declared size.

        Raises:
            AnnotationError: The path leaves the root, or the file is missing and `missing` is "error".
        """
        try:
            file = resolve_inside(self.root, relative)
        except ImageError as error:
            raise where.error(f"{error}; or set images=DIR to a folder above") from error
        # One spelling per file, so that images/../a.png and a.png are one frame.
        path = posixpath.normpath(relative.replace("\\", "/"))
        if not file.is_file():
            return self.absent(path, where, declared)
        return Located(path, file, where, declared)

    def absent(self, path: str, where: Place, declared: tuple[int | None, int | None] = (None, None)) -> Located | None:
        """What becomes of a frame whose image is not there: itself without a file, or None.

        Raises:
            AnnotationError: `missing` is "error".
        """
        if self.missing == "error":
            raise where.error(
                f"no image {show(path)} in {self.root}; add it, set images=DIR, or leave such frames out with "
                f"missing_images=drop{self.hint}"
            )
        if self.missing == "drop":
            self.report.add(Event.IMAGE_MISSING, where)
            return None
        self.report.add(Event.IMAGE_NOT_CHECKED, where)
        return Located(path, None, where, declared)

    def sized(self, items: Iterable[tuple[Item, Located]]) -> Iterator[tuple[Item, Sized]]:
        """Give each item with the size of its image, read ahead by threads, in order.

        Raises:
            AnnotationError: An image has another size than declared, or a kept frame declares none.
            ImageError: An image does not open, and `missing` is not "drop".
        """
        for (item, image), facts in probe_ahead(items, lambda item: item[1].file, self.pixel_format):
            width, height = image.declared
            if isinstance(facts, ImageError):
                if self.missing != "drop":
                    raise ImageError(f"{facts}; or leave such frames out with missing_images=drop") from facts
                self.report.add(Event.IMAGE_BROKEN, image.where)
                continue
            if facts is not None:
                declared = facts.width_px if width is None else width, facts.height_px if height is None else height
                check_size(facts, *declared, image=image.path, where=image.where)
                if image.declared == (None, None) and self.assumed_size not in (None, declared):
                    self.report.add(Event.SIZE_UNUSUAL, image.where, detail=f"{facts.width_px}x{facts.height_px}")
                yield item, Sized(image.path, *facts)
                continue
            if width is None or height is None:
                if self.assumed_size is None:
                    raise image.where.error("neither an image file nor a width and height; expected one of them")
                width, height = self.assumed_size
                self.report.add(Event.SIZE_ASSUMED, image.where)
            yield item, Sized(image.path, width, height, None)


class ImageIndex:
    """The images below a folder by file name, for formats that give only a name, or a path of another machine.

    Attributes:
        root: The folder.
        paths: Of all images, relative to it.
    """

    def __init__(self, root: Path, report: ReadReport, suffixes: Sequence[str] | None = None):
        """List the images below a folder; links that leave it are counted and not followed.

        Args:
            root: The folder.
            report: Takes the count of links.
            suffixes: Of the files to list; None = those of ordinary images.
        """
        self.root = root
        found, self._left_out = scan_images(root, suffixes)
        for link in self._left_out:
            report.add(Event.LINK_LEFT_OUT, link)
        self.paths = [path.relative_to(root).as_posix() for path in found]
        self._by_name: dict[str, list[str]] = {}
        self._by_stem: dict[str, list[str]] = {}
        for path in self.paths:
            self._by_name.setdefault(path.rpartition("/")[2], []).append(path)
            self._by_stem.setdefault(PurePosixPath(path).stem, []).append(path)

    def find(self, name: str, where: Place, by_stem: bool = False) -> str | None:
        """The image with the file name of a path, and among several the one that shares most of its last folders.

        Args:
            name: File name or path; folders of another machine do no harm.
            where: For messages.
            by_stem: Also take another suffix, where no file has the whole name.

        Returns:
            Path relative to the root; None where there is none.

        Raises:
            AnnotationError: Several folders have the name and none fits better than the others.
        """
        wanted = PurePosixPath(name.replace("\\", "/"))
        found = self._by_name.get(wanted.name) or (self._by_stem.get(wanted.stem) if by_stem else None) or []
        if len(found) > 1:
            shared = [_shared_folders(PurePosixPath(path), wanted) for path in found]
            best = [path for path, number in zip(found, shared, strict=True) if number == max(shared)]
            if len(best) > 1:
                raise where.error(
                    f"image {show(name)} lies in {best[0]} and {best[1]}; set images=DIR to one of the folders"
                )
            found = best
        return found[0] if found else None

    def about_links(self) -> str:
        """What to add to a message about missing images; empty without links."""
        return about_links(self._left_out)


def _shared_folders(path: PurePosixPath, wanted: PurePosixPath) -> int:
    """How many folders before the name are the same, counted from the name."""
    number = 0
    for own, other in zip(reversed(path.parent.parts), reversed(wanted.parent.parts), strict=False):
        if own != other:
            break
        number += 1
    return number


def image_root(images: Path | str | None, candidates: Sequence[Path], where: Path) -> Path:
    """The image folder: as the caller gives it, else the first candidate that exists.

    Raises:
        UsageError: There is none.
    """
    if images is not None:
        if not Path(images).is_dir():
            raise UsageError(f"images: no folder '{images}'")
        return Path(images)
    for candidate in candidates:
        if candidate.is_dir():
            return candidate
    listed = " or ".join(map(str, candidates[:3]))
    raise UsageError(f"{where}: no image folder; expected {listed}; set images=DIR")
