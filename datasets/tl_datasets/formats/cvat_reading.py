"""The options of one reading of a CVAT file, and how frames and boxes are made under them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tl_datasets.formats.common.attributed_box import attributed_box
from tl_datasets.formats.common.box_policy import OnBadBox
from tl_datasets.formats.common.image_files import Sized
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.tagged_frame import Empty, tagged_frame
from tl_datasets.formats.cvat_meta import Task
from tl_datasets.formats.cvat_shapes import Geometry
from tl_datasets.frame import Annotation, Frame
from tl_datasets.label_maps import Translator
from tl_datasets.read_report import Event, ReadReport


@dataclass(frozen=True, slots=True, kw_only=True)
class CvatReading:
    """What both forms of a file are read with; the fields are the options of `cvat.read`.

    Attributes:
        path: The file.
        tasks: Its tasks by id.
        words: The label map; keeps the words that it does not know.
        report: Takes the counts.
    """

    path: Path
    tasks: Mapping[str, Task]
    words: Translator
    report: ReadReport
    attributes: bool
    empty: Empty
    on_bad_box: OnBadBox
    split: str | None

    @property
    def only_task(self) -> Task:
        """The task of the file; one of which nothing is known where there is not exactly one."""
        return next(iter(self.tasks.values())) if len(self.tasks) == 1 else Task()

    def sequence(self, task: Task) -> str:
        """The name of a video: that of its task, else of the folder of `annotations.xml`, else of the file."""
        return task.name or (self.path.resolve().parent.name if self.path.name == "annotations.xml" else self.path.stem)

    def frame(
        self, image: Sized, known: dict[str, Any], boxes: Iterable[Annotation], is_drawn: bool, where: Place
    ) -> Frame:
        """One frame out of what is known of it."""
        return tagged_frame(
            image,
            known,
            boxes,
            is_drawn=is_drawn,
            empty=self.empty,
            split=self.split,
            report=self.report,
            where=where,
        )

    def annotation(
        self, label: str, geometry: Geometry, fields: Mapping[str, Any], image: Sized, where: Place
    ) -> Annotation | None:
        """One box, upright and inside its image; None for one that was dropped."""
        annotation = attributed_box(
            label,
            geometry.upright(),
            (image.width_px, image.height_px),
            fields,
            words=self.words,
            on_bad_box=self.on_bad_box,
            report=self.report,
            where=where,
        )
        if annotation is not None and geometry.is_polygon:
            self.report.add(Event.POLYGON_TO_BOX, where)
        if annotation is not None and geometry.rotation_deg % 360:
            self.report.add(Event.ROTATED_TO_BOX, where)
        return annotation
