"""Light states beside YOLO label files: one JSON file per row."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tl_datasets.errors import AnnotationError, UsageError
from tl_datasets.formats.yolo_items import Item, Layout
from tl_datasets.formats.yolo_rows import Row
from tl_datasets.label_maps import Translator, load_label_map
from tl_datasets.parsing import load_json
from tl_datasets.read_report import Event, ReadReport
from tl_datasets.taxonomy import State


class StateFiles:
    """States beside the label files: `<stem>_<i>.json` with {"state": k} for row i.

    They lie in the sub-folder of their image, or, where no other image has its name, all in one folder.
    """

    def __init__(self, layout: Layout, source: Path, folder: Path, states_map: str, missing_state: str):
        """Find the folder.

        Raises:
            UsageError: There is none.
        """
        candidates = [(source if source.is_dir() else source.parent) / folder, folder]
        found = next((candidate for candidate in candidates if candidate.is_dir()), None)
        if found is None:
            raise UsageError(f"states: no folder '{folder}' in {source} or in the working directory")
        self.folder = found
        self.stems = Counter(Path(item.path).stem for item in layout.items)
        self.missing_state = missing_state
        self.words = Translator(load_label_map(states_map), found)

    def _path(self, item: Item, position: int) -> Path:
        path = Path(item.path)
        name = f"{path.stem}_{position}.json"
        own = self.folder / path.parent / name
        return own if own.is_file() or self.stems[path.stem] > 1 else self.folder / name

    def check_number(self, item: Item, rows: int) -> None:
        """A side file beyond the last row means that rows were removed, so that all later states are shifted.

        Raises:
            AnnotationError: There is one.
        """
        surplus = self._path(item, rows)
        if surplus.is_file():
            raise AnnotationError(
                item.label_file,
                f"{rows} rows, but there is a state for one more ({surplus}); expected one file per row",
            )

    def state(self, item: Item, row: Row, report: ReadReport) -> State | None:
        """The state of a row.

        Raises:
            AnnotationError: There is no file for it and `missing_state` is "error", or the file is wrong.
        """
        path = self._path(item, row.position)
        if not path.is_file():
            if (self.folder / path.name).is_file():
                raise AnnotationError(
                    self.folder / path.name,
                    f"two images are named '{Path(item.path).stem}'; expected one state file for each, such as {path}",
                )
            if self.missing_state == "unknown":
                report.add(Event.STATE_MISSING, path)
                return State.UNKNOWN
            raise AnnotationError(
                item.label_file,
                f"no state file {path} for this row; add it, or set missing_state=unknown",
                line=row.line,
            )
        data = load_json(path)
        if not isinstance(data, dict) or "state" not in data:
            raise AnnotationError(path, 'expected {"state": k}')
        return self.words.state(data["state"])
