"""`Catalog`: annotated frames as two tables, the form in which everything downstream reads them.

On disk a catalog is a folder: `frames.parquet`, `annotations.parquet`, `catalog.json` (schema version, and the image
root of each source). Images stay where they are. In memory annotations are ordered by frame, so that a frame's boxes
are one slice of an array: forked loader workers share it without a Python object per box.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from tl_datasets.errors import DataError, ImageError, show
from tl_datasets.expressions import parse_filter
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import resolve_inside, write_whole
from tl_datasets.new_folder import new_folder
from tl_datasets.reduced_images import read_rgb_reduced, reduced_size_px
from tl_datasets.taxonomy import (
    CATEGORIES,
    ConditionSource,
    Facing,
    LabelStatus,
    Orientation,
    Pictogram,
    PixelFormat,
    Relevance,
    Scene,
    State,
    TimeOfDay,
    Weather,
)

SCHEMA_VERSION = 2
# What the tables of version 1 lack; nothing was known of it then.
_NEW_IN_2 = ("condition_source", "fog_beta_per_m", "pixel_format")
CONDITIONS = ("weather", "scene", "time_of_day")
BOX_COLUMNS = ("x1", "y1", "x2", "y2")

FRAME_SCHEMA: dict[str, pl.DataType] = {
    "frame_id": pl.String(),
    "path": pl.String(),
    "source": pl.String(),
    "width_px": pl.Int32(),
    "height_px": pl.Int32(),
    "label_status": pl.String(),
    "labelled_categories": pl.List(pl.String()),
    "weather": pl.String(),
    "scene": pl.String(),
    "time_of_day": pl.String(),
    "sequence": pl.String(),
    "split": pl.String(),
    "timestamp_ns": pl.Int64(),
    "condition_source": pl.String(),
    "fog_beta_per_m": pl.Float64(),
    "pixel_format": pl.String(),
    "content_hash": pl.String(),
}
ANNOTATION_SCHEMA: dict[str, pl.DataType] = {
    "frame_id": pl.String(),
    "x1": pl.Float64(),
    "y1": pl.Float64(),
    "x2": pl.Float64(),
    "y2": pl.Float64(),
    "category": pl.String(),
    "state": pl.String(),
    "pictogram": pl.String(),
    "relevance": pl.String(),
    "facing": pl.String(),
    "orientation": pl.String(),
    "aspects": pl.Int8(),
    "occluded": pl.Boolean(),
    "truncated": pl.Boolean(),
    "reflection": pl.Boolean(),
    "ignore": pl.Boolean(),
    "track_id": pl.String(),
    "source_label": pl.String(),
}
_FRAME_FIELDS = tuple(
    name for name in FRAME_SCHEMA if name not in {"source", "label_status", "labelled_categories", "content_hash"}
)
_ANNOTATION_FIELDS = tuple(name for name in ANNOTATION_SCHEMA if name not in {"frame_id", *BOX_COLUMNS})
_ENUMS = {
    "state": State,
    "pictogram": Pictogram,
    "relevance": Relevance,
    "facing": Facing,
    "orientation": Orientation,
    "weather": Weather,
    "scene": Scene,
    "time_of_day": TimeOfDay,
    "condition_source": ConditionSource,
    "pixel_format": PixelFormat,
}
# What a column of words may hold, and whether it may be empty.
_FRAME_WORDS = {
    "label_status": LabelStatus,
    "weather": Weather,
    "scene": Scene,
    "time_of_day": TimeOfDay,
    "condition_source": ConditionSource,
    "pixel_format": PixelFormat,
}
_ANNOTATION_WORDS = {
    "category": CATEGORIES,
    **{name: words for name, words in _ENUMS.items() if name not in _FRAME_WORDS},
}
_REQUIRED_WORDS = frozenset({"label_status", "category"})
# Frames are turned into columns in blocks, so that a reader's objects do not pile up.
_BLOCK = 4096


@lru_cache(maxsize=2**17)
def _resolved(root: Path, relative: str) -> Path:
    # A loader asks for the same files in every epoch; each answer takes the system a look at every folder on the way.
    return resolve_inside(root, relative)


class Catalog:
    """Frames and their annotations as two polars tables.

    Attributes:
        frames: One row per frame, columns of `FRAME_SCHEMA`.
        annotations: One row per box, columns of `ANNOTATION_SCHEMA`, in the order of `frames`.
        roots: Image root folder of each source.
    """

    def __init__(self, frames: pl.DataFrame, annotations: pl.DataFrame, roots: Mapping[str, Path]):
        """Take two tables.

        Raises:
            DataError: A column is missing, a frame id occurs twice, a box belongs to no frame, or a source has no root.
        """
        self.frames = _with_schema(frames, FRAME_SCHEMA, "frames")
        annotations = _with_schema(annotations, ANNOTATION_SCHEMA, "annotations")
        self.roots = {source: Path(root) for source, root in roots.items()}
        repeated = self.frames.filter(self.frames["frame_id"].is_duplicated())["frame_id"]
        if len(repeated):
            raise DataError(f"catalog: frame id {show(repeated[0])} occurs more than once; expected unique ids")
        missing = set(self.frames["source"].unique()) - set(self.roots)
        if missing:
            raise DataError(f"catalog: no image root for source '{sorted(missing)[0]}'; add it to catalog.json")
        order = self.frames.select("frame_id").with_row_index("_frame")
        joined = annotations.join(order, on="frame_id", how="left", maintain_order="left")
        if joined["_frame"].null_count():
            orphan = joined.filter(pl.col("_frame").is_null())["frame_id"][0]
            raise DataError(f"catalog: a box belongs to frame '{orphan}', which the frames table does not have")
        joined = joined.sort("_frame", maintain_order=True)
        self.annotations = joined.drop("_frame")
        counts = np.bincount(joined["_frame"].to_numpy(), minlength=len(self.frames))
        self.offsets: NDArray[np.int64] = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)

    def __len__(self) -> int:
        return len(self.frames)

    @classmethod
    def from_frames(
        cls,
        frames: Iterable[Frame],
        *,
        source: str,
        root: Path,
        content_hashes: Mapping[str, str] | None = None,
    ) -> Catalog:
        """Collect frames of one source.

        Args:
            frames: What a reader yields; consumed once.
            source: Name of the source, kept with each frame.
            root: Folder that the frames' paths are relative to.
            content_hashes: SHA-256 of the image bytes by frame id, where known.

        Raises:
            DataError: A frame id occurs twice, or a text cannot be stored.
        """
        hashes = {} if content_hashes is None else content_hashes
        frame_blocks, annotation_blocks = [pl.DataFrame(schema=FRAME_SCHEMA)], [pl.DataFrame(schema=ANNOTATION_SCHEMA)]
        block: list[Frame] = []

        def flush() -> None:
            try:
                frame_blocks.append(_frame_block(block, source, hashes))
                annotation_blocks.append(_annotation_block(block))
            except UnicodeEncodeError as error:
                raise DataError(_about_lone_surrogate(block)) from error
            block.clear()

        for frame in frames:
            block.append(frame)
            if len(block) == _BLOCK:
                flush()
        flush()
        return cls(pl.concat(frame_blocks), pl.concat(annotation_blocks), {source: root})

    @classmethod
    def open(cls, folder: Path | str, *, check_boxes: bool = True) -> Catalog:
        """Open a catalog folder.

        Args:
            folder: As `save` left it.
            check_boxes: Refuse boxes without area and coordinates that are not finite; False is for whoever looks for
                such faults.

        Raises:
            DataError: The folder is no catalog, of another schema version, or holds a word outside its vocabulary or a
                box without area.
        """
        folder = Path(folder)
        try:
            meta = json.loads((folder / "catalog.json").read_text(encoding="utf-8"))
            frames = pl.read_parquet(folder / "frames.parquet")
            annotations = pl.read_parquet(folder / "annotations.parquet")
        except (OSError, ValueError, RecursionError, pl.exceptions.PolarsError) as error:
            raise DataError(
                f"{folder}: not a catalog ({error.__class__.__name__}); make one with: tl index SOURCE --format NAME "
                f"--out {folder}"
            ) from error
        version = meta.get("schema_version") if isinstance(meta, dict) else None
        if version == 1:
            frames = frames.with_columns(pl.lit(None).alias(name) for name in _NEW_IN_2)
        elif version != SCHEMA_VERSION:
            raise DataError(f"{folder}: catalog schema {show(version)}, expected {SCHEMA_VERSION}; index again")
        catalog = cls(frames, annotations, _roots(meta.get("roots"), folder))
        _check_words(catalog.frames, _FRAME_WORDS, f"{folder}: frames")
        _check_words(catalog.annotations, _ANNOTATION_WORDS, f"{folder}: annotations")
        if check_boxes:
            _check_boxes(catalog, folder)
        return catalog

    def save(self, folder: Path | str) -> Path:
        """Write the catalog; the folder appears whole.

        Raises:
            DataError: The folder exists already and is not empty.
        """
        folder = Path(folder)
        with new_folder(folder) as temporary:
            write_table(self.frames, temporary / "frames.parquet")
            write_table(self.annotations, temporary / "annotations.parquet")
            meta = {
                "schema_version": SCHEMA_VERSION,
                "roots": {source: _portable_root(root, folder) for source, root in self.roots.items()},
                "frames": len(self),
                "annotations": len(self.annotations),
                "fingerprint": self.fingerprint,
            }
            (temporary / "catalog.json").write_text(json.dumps(meta, indent=2) + "\n", encoding="utf-8")
        return folder

    def filter(self, expression: pl.Expr | str) -> Catalog:
        """Keep the frames for which the expression is true; a missing value is not true.

        Args:
            expression: A polars expression over the frames table, or its text (see `expressions`).

        Raises:
            UsageError: The text does not parse, names an unknown column, or a word that its column cannot hold.
        """
        if isinstance(expression, str):
            known = {name: tuple(words) for name, words in _FRAME_WORDS.items()}
            parts = {"split": ("train", "val", "test")}
            expression = parse_filter(expression, FRAME_SCHEMA, known, words=known | parts).expression()
        try:
            frames = self.frames.filter(expression)
        except pl.exceptions.PolarsError as error:
            raise DataError(
                f"catalog: the filter cannot be applied ({error}); compare a column with its own type"
            ) from error
        annotations = self.annotations.join(frames.select("frame_id"), on="frame_id", how="semi", maintain_order="left")
        return Catalog(frames, annotations, self.roots)

    def with_frames(self, frames: pl.DataFrame) -> Catalog:
        """The same boxes under another frames table (other splits, conditions or a subset of the frames)."""
        annotations = self.annotations.join(frames.select("frame_id"), on="frame_id", how="semi", maintain_order="left")
        return Catalog(frames, annotations, self.roots)

    def image_path(self, index: int) -> Path:
        """Absolute path of the image of the frame at a row."""
        source, path = self.frames["source"][index], self.frames["path"][index]
        return _resolved(self.roots[source], path)

    def read_rgb(self, index: int, reduction: int = 1) -> NDArray[np.uint8]:
        """The image of the frame at a row, (H, W, 3) uint8 RGB; raw sensor frames are decoded.

        Args:
            index: Row of the frame.
            reduction: 1, 2, 4 or 8: the part of its width and height at which it is decoded (`reduced_images`).

        Raises:
            ImageError: The file is missing, does not decode, or has another size than the catalog says.
        """
        path, word = self.image_path(index), self.frames["pixel_format"][index]
        image = read_rgb_reduced(path, reduction, None if word is None else PixelFormat(word))
        width, height = self.frames["width_px"][index], self.frames["height_px"][index]
        if image.shape[1::-1] != reduced_size_px(width, height, reduction):
            found = f"{image.shape[1] * reduction}x{image.shape[0] * reduction}"
            raise ImageError(
                f"{path}: {'' if reduction == 1 else 'about '}{found} pixels, the catalog says {width}x{height}; its "
                "boxes would not fit: index the source again"
            )
        return image

    def boxes(self, index: int) -> NDArray[np.float64]:
        """(N, 4) xyxy pixels of the frame at a row."""
        return self.xyxy[self.offsets[index] : self.offsets[index + 1]]

    @cached_property
    def xyxy(self) -> NDArray[np.float64]:
        """(all boxes, 4) xyxy pixels in the order of `annotations`."""
        return self.annotations.select(BOX_COLUMNS).to_numpy().reshape(-1, 4)

    def frame(self, index: int) -> Frame:
        """The frame at a row, with its annotations."""
        row = self.frames.row(index, named=True)
        start, stop = int(self.offsets[index]), int(self.offsets[index + 1])
        annotations = None
        if row["label_status"] != LabelStatus.UNLABELLED:
            rows = self.annotations.slice(start, stop - start).iter_rows(named=True)
            annotations = tuple(
                Annotation(
                    xyxy=tuple(item[name] for name in BOX_COLUMNS),  # type: ignore[arg-type]
                    **{name: _typed(name, item[name]) for name in _ANNOTATION_FIELDS},
                )
                for item in rows
            )
        return Frame(
            annotations=annotations,
            labelled_categories=tuple(row["labelled_categories"] or ()),
            **{name: _typed(name, row[name]) for name in _FRAME_FIELDS},
        )

    def iter_frames(self) -> Iterator[Frame]:
        """All frames in order."""
        return (self.frame(index) for index in range(len(self)))

    @cached_property
    def fingerprint(self) -> str:
        """16 hex digits that change with any frame, box, condition or image content, not with place or order."""
        digest = hashlib.sha256()
        digest.update(
            self.frames.sort("frame_id").with_columns(pl.col("labelled_categories").list.join("|")).write_csv().encode()
        )
        order = ["frame_id", *BOX_COLUMNS, "category", "state"]
        # A millionth of a pixel: writing and reading another format moves a box by less.
        rounded = self.annotations.with_columns(pl.col(BOX_COLUMNS).round(6) + 0.0)
        digest.update(rounded.sort(order, nulls_last=True).write_csv().encode())
        return digest.hexdigest()[:16]


def write_table(table: pl.DataFrame, path: Path) -> None:
    """Write a table as a Parquet file; it appears whole.

    Raises:
        OSError: As for any other file; polars itself has an error of its own for a disk without space.
    """
    data = io.BytesIO()
    table.write_parquet(data)
    write_whole(path, data.getvalue())


def _portable_root(root: Path, folder: Path) -> str:
    """A root inside the catalog's parent folder is stored relative to the catalog, so that both can move together."""
    root, folder = root.resolve(), folder.resolve()
    return os.path.relpath(root, folder) if root.is_relative_to(folder.parent) else str(root)


def _roots(roots: Any, folder: Path) -> dict[str, Path]:
    if not isinstance(roots, dict) or not all(isinstance(root, str) for root in roots.values()):
        raise DataError(
            f"{folder}/catalog.json: roots is {show(roots)}, expected the image folder of each source; index again"
        )
    try:
        return {source: (folder / root).resolve() for source, root in roots.items()}
    except (OSError, ValueError, RuntimeError) as error:
        raise DataError(f"{folder}/catalog.json: roots {show(roots)}: {error}; expected image folders") from error


def _check_words(table: pl.DataFrame, columns: Mapping[str, Iterable[str]], where: str) -> None:
    for name, words in columns.items():
        known = list(words) if name in _REQUIRED_WORDS else [*words, None]
        unknown = [word for word in table[name].unique() if word not in known]
        if unknown:
            raise DataError(f"{where}: {name} is {show(unknown[0])}, expected {', '.join(words)}; index again")


def _check_boxes(catalog: Catalog, folder: Path) -> None:
    xyxy = catalog.xyxy
    # NaN compares as false; a box between finite corners is finite.
    sound = np.isfinite(xyxy).all(axis=1) & (xyxy[:, 0] < xyxy[:, 2]) & (xyxy[:, 1] < xyxy[:, 3])
    if not sound.all():
        row = int(np.argmin(sound))
        frame_id = catalog.annotations["frame_id"][row]
        raise DataError(
            f"{folder}: frame {show(frame_id)} has the box {xyxy[row].tolist()}, expected finite x1 < x2 and y1 < y2; "
            "index again"
        )


def _about_lone_surrogate(block: list[Frame]) -> str:
    """Name the text that is no UTF-8; JSON can write half of a character as an escape."""
    for frame in block:
        for item in (frame, *(frame.annotations or ())):
            for name in (*_FRAME_FIELDS, *_ANNOTATION_FIELDS):
                text = getattr(item, name, None)
                if isinstance(text, str) and any("\ud800" <= letter <= "\udfff" for letter in text):
                    place = f"frame {show(frame.frame_id)}: {name} is {show(text)}"
                    return f"{place}, which holds half of a character; expected text; mend it in the annotation file"
    return f"source or content hash of frame {show(block[0].frame_id)}: no text; expected UTF-8"


def _typed(name: str, value: Any) -> Any:
    return _ENUMS[name](value) if name in _ENUMS and value is not None else value


def _with_schema(table: pl.DataFrame, schema: Mapping[str, pl.DataType], name: str) -> pl.DataFrame:
    missing = [column for column in schema if column not in table.columns]
    if missing:
        raise DataError(f"catalog: the {name} table has no column '{missing[0]}'; expected {', '.join(schema)}")
    try:
        return table.select(pl.col(column).cast(dtype) for column, dtype in schema.items())
    except pl.exceptions.PolarsError as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"catalog: a column of the {name} table has another type ({reason}); index again") from error


def _frame_block(block: list[Frame], source: str, hashes: Mapping[str, str]) -> pl.DataFrame:
    columns: dict[str, list] = {name: [getattr(frame, name) for frame in block] for name in _FRAME_FIELDS}
    columns["source"] = [source] * len(block)
    columns["label_status"] = [frame.label_status for frame in block]
    columns["labelled_categories"] = [list(frame.labelled_categories) for frame in block]
    columns["content_hash"] = [hashes.get(frame.frame_id) for frame in block]
    return pl.DataFrame({name: columns[name] for name in FRAME_SCHEMA}, schema=FRAME_SCHEMA)


def _annotation_block(block: list[Frame]) -> pl.DataFrame:
    rows = [(frame.frame_id, annotation) for frame in block for annotation in frame.annotations or ()]
    columns: dict[str, list] = {"frame_id": [frame_id for frame_id, _ in rows]}
    for axis, name in enumerate(BOX_COLUMNS):
        columns[name] = [annotation.xyxy[axis] for _, annotation in rows]
    for name in _ANNOTATION_FIELDS:
        columns[name] = [getattr(annotation, name) for _, annotation in rows]
    return pl.DataFrame({name: columns[name] for name in ANNOTATION_SCHEMA}, schema=ANNOTATION_SCHEMA)
