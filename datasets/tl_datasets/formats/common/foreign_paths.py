"""Image paths of the machine on which a data set was made, found again on this one."""

from __future__ import annotations

from pathlib import Path, PurePosixPath, PureWindowsPath

# Deeper than any data set stores its images.
_MOST_PARTS = 8


def posix_path(path: str) -> PurePosixPath:
    """A path with forward slashes, whatever system wrote it; without `.` in it."""
    return PurePosixPath(path.replace("\\", "/"))


def names_file(path: object) -> bool:
    """Whether a value of an annotation file is a path with a file at its end."""
    return isinstance(path, str) and posix_path(path).name not in {"", ".."}


def path_without_suffix(path: str) -> str:
    """A relative path without the suffix of its file, by which frames are told apart."""
    return PurePosixPath(path).with_suffix("").as_posix()


def is_foreign(path: str) -> bool:
    """Whether a path begins at the root of some machine."""
    return posix_path(path).is_absolute() or PureWindowsPath(path).is_absolute()


def find_by_tail(root: Path, path: PurePosixPath) -> str | None:
    """The image that the longest end of a path leads to below a root.

    The folder of the image must be the same, because names such as 100.png occur in many folders.

    Args:
        root: The image folder; may lie above or at the folder of the image.
        path: As an annotation file has it.

    Returns:
        Path relative to the root; None where there is no such file.
    """
    parts = [part for part in path.parts if part != path.anchor]
    if ".." in parts:
        return None
    fewest = 1 if len(parts) < 2 or root.resolve().name == parts[-2] else 2
    for number in range(min(len(parts), _MOST_PARTS), fewest - 1, -1):
        tail = "/".join(parts[-number:])
        if is_file(root / tail):
            return tail
    return None


def is_file(path: Path) -> bool:
    """Whether a path of an annotation file is a file; no path is so odd that this fails."""
    try:
        return path.is_file()
    except (OSError, ValueError):  # too long, or with a zero byte
        return False
