"""The names inside an archive: which may become files, and which are refused."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from tl_datasets.errors import AnnotationError, show

# What ext4, APFS and NTFS can hold in one part of a path, and what leaves room for the folder before it.
_LONGEST_PART_BYTES = 255
_LONGEST_PATH_BYTES = 1024
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_DRIVE = re.compile(r"^[A-Za-z]:")


class NameGate:
    """Turns the names of one archive into paths below a folder, one by one, and refuses those that cannot be.

    Two names that only case or the spelling of an accent tells apart are refused: on some file systems the second
    file takes the place of the first.
    """

    def __init__(self, archive: Path):
        """Take the archive to name in messages."""
        self._archive = archive
        # Folded path -> the path as it is spelled, and whether it is a file.
        self._taken: dict[str, tuple[str, bool]] = {}

    def admit(self, name: str, is_folder: bool) -> str | None:
        """The path of an entry, with forward slashes; None for the folder itself that the archive is unpacked in.

        Raises:
            AnnotationError: The name is refused.
        """
        self._check_text(name)
        path = name.replace("\\", "/")  # some tools on Windows write these
        if path.startswith("/") or _DRIVE.match(path):
            raise self._refuse(name, "is an absolute path; expected one relative to the archive")
        parts = [part for part in path.split("/") if part not in {"", "."}]
        if ".." in parts:
            raise self._refuse(name, "leaves the folder with '..'; expected a path below it")
        if not parts:
            if is_folder:
                return None
            raise self._refuse(name, "has no name; expected the path of a file")
        if max(len(part.encode()) for part in parts) > _LONGEST_PART_BYTES:
            raise self._refuse(name, f"is too long, expected {_LONGEST_PART_BYTES} bytes at most in each part")
        if len("/".join(parts).encode()) > _LONGEST_PATH_BYTES:
            raise self._refuse(name, f"is too long, expected {_LONGEST_PATH_BYTES} bytes at most")
        self._take(name, parts, is_folder)
        return "/".join(parts)

    def _check_text(self, name: str) -> None:
        try:
            name.encode()
        except UnicodeEncodeError as error:
            raise self._refuse(name, "is not UTF-8; rename the file and pack it again") from error
        if _CONTROL.search(name):
            raise self._refuse(name, "holds a control character; rename the file and pack it again")

    def _take(self, name: str, parts: list[str], is_folder: bool) -> None:
        for depth in range(1, len(parts) + 1):
            path = "/".join(parts[:depth])
            is_file = depth == len(parts) and not is_folder
            folded = unicodedata.normalize("NFC", path).casefold()
            if folded not in self._taken:
                self._taken[folded] = path, is_file
                continue
            before, was_file = self._taken[folded]
            if before != path:
                raise self._refuse(name, f"differs from {show(before)} only by case or accents; rename one of them")
            if is_file and was_file:
                raise self._refuse(name, "occurs twice; expected each name once")
            if is_file or was_file:
                raise self._refuse(name, f"needs {show(path)} to be both a file and a folder; rename one of them")

    def _refuse(self, name: str, message: str) -> AnnotationError:
        return AnnotationError(self._archive, f"entry {show(name)} {message}")
