"""Which drive a frame of KITTI's object detection comes from: the mapping of its development kit.

`train_rand.txt` holds, separated by commas, a line number for each training frame; `train_mapping.txt` has a line for
each raw frame: date, drive, frame number. The frames of one drive follow each other, so a random division of KITTI
shows nearly the same picture on both sides.
"""

from __future__ import annotations

from pathlib import Path

from tl_datasets.errors import AnnotationError, UsageError, show
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import read_whole
from tl_datasets.parsing import read_text

_LINES, _RAW = "train_rand.txt", "train_mapping.txt"


class DriveMapping:
    """The drive of each training frame."""

    def __init__(self, folder: Path):
        """Read both files of the folder.

        Raises:
            UsageError: One of them is missing.
            AnnotationError: A file does not follow the form, or names a line that the other does not have.
        """
        self._folder = folder
        for name in (_LINES, _RAW):
            if not (folder / name).is_file():
                raise UsageError(f"mapping: no {name} in {folder}; expected the folder of KITTI's devkit")
        drives = []
        for number, text in enumerate(read_text(folder / _RAW).splitlines(), start=1):
            words = text.split()
            if len(words) != 3:
                raise Place(folder / _RAW, line=number).error(f"{show(text)}, expected date, drive and frame number")
            drives.append(words[1])
        where = Place(folder / _LINES)
        words = read_text(folder / _LINES).replace("\n", ",").split(",")
        lines = [read_whole(word, "a line number", where, 1, len(drives)) for word in words if word.strip()]
        self._drives = [drives[line - 1] for line in lines if line is not None]

    def drive_of(self, stem: str) -> str:
        """The drive of a training frame, by the stem of its file, such as 000012.

        Raises:
            AnnotationError: It is no number of a training frame.
        """
        number = int(stem) if stem.isdecimal() and len(stem) < 10 else -1
        if not 0 <= number < len(self._drives):
            raise AnnotationError(
                self._folder / _LINES,
                f"has {len(self._drives)} frames and none for {show(stem)}; expected the training frames of KITTI",
            )
        return self._drives[number]
