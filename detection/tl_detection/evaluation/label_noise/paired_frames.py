"""The frames that two annotations have in common, as two ground truths with the same frames in the same order."""

from __future__ import annotations

from dataclasses import dataclass

import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError
from tl_datasets.label_space import LabelSpace
from tl_detection.evaluation.ground_truth import GroundTruth, ground_truth_from_catalog

_SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class FramesLeftOut:
    """Frames that are not compared, for one reason.

    Attributes:
        frames: How many.
        frame_ids: The first of them in alphabetical order, at most 20.
    """

    frames: int
    frame_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PairedFrames:
    """What two annotations say of the frames that both have.

    Attributes:
        first: Ground truth of the first.
        second: Ground truth of the second; its frames are those of the first, in the same order and by the same ids.
        only_in_first: Frames that the second annotation does not have.
        only_in_second: Frames that the first annotation does not have.
        not_labelled: Frames that both have, but one of them has not labelled or not for all classes.
        by_path: Frames that were found by their path, since the other has another id for them.
    """

    first: GroundTruth
    second: GroundTruth
    only_in_first: FramesLeftOut
    only_in_second: FramesLeftOut
    not_labelled: FramesLeftOut
    by_path: int


def pair_frames(
    first: Catalog, second: Catalog, label_space: LabelSpace, *, whole: Catalog | None = None
) -> PairedFrames:
    """Find the frames of two annotations that are the same: by frame id, else by path.

    Args:
        first: One annotation; of its conditions and sequences slices and intervals are made.
        second: The other.
        label_space: The classes that are compared.
        whole: What the first was taken from, so that frames of the second that lie in another part are not counted as
            missing; None = it is whole.

    Raises:
        DataError: They have no labelled frame in common, a frame has another size in the other, or the label space has
            `otherwise: error` and a box is named by no rule.
    """
    own_ids = first.frames["frame_id"].to_list()
    id_of_path = {path: frame_id for frame_id, path in first.frames.select("frame_id", "path").iter_rows()}
    known, renamed, missing = set(own_ids), dict[str, str](), list[str]()
    elsewhere = set() if whole is None else {*whole.frames["frame_id"], *whole.frames["path"]} - known - {*id_of_path}
    rows = second.frames.select("frame_id", "path").rows()
    taken = known.intersection(frame_id for frame_id, _ in rows)
    for frame_id, path in rows:
        other = frame_id if frame_id in known else id_of_path.get(path)
        if other is not None and (other == frame_id or other not in taken):
            renamed[frame_id] = other
            taken.add(other)
        elif frame_id not in elsewhere and path not in elsewhere:
            missing.append(frame_id)
    common = [frame_id for frame_id in own_ids if frame_id in taken]
    if not common:
        raise DataError(
            f"second annotation: none of its {len(second)} frames is among the {len(first)} of the first, by frame id "
            "or path; index both from the same image folder"
        )
    theirs = _renamed(second, renamed)
    _require_sizes(first, theirs)
    labelled = [
        set(_truth(catalog, common, label_space, which).frame_ids)
        for which, catalog in (("first", first), ("second", theirs))
    ]
    in_both = labelled[0] & labelled[1]
    kept = [frame_id for frame_id in common if frame_id in in_both]
    if not kept:
        raise DataError(
            f"second annotation: of the {len(common)} frames that both have, none is labelled for all classes in both"
        )
    return PairedFrames(
        first=_truth(first, kept, label_space, "first"),
        second=_truth(theirs, kept, label_space, "second"),
        only_in_first=_left_out([frame_id for frame_id in own_ids if frame_id not in taken]),
        only_in_second=_left_out(missing),
        not_labelled=_left_out([frame_id for frame_id in common if frame_id not in in_both]),
        by_path=sum(frame_id != other for frame_id, other in renamed.items()),
    )


def _renamed(catalog: Catalog, renamed: dict[str, str]) -> Catalog:
    """The frames that are in the table of names, under their new ones."""
    table = pl.DataFrame(
        {"frame_id": list(renamed), "_name": list(renamed.values())},
        schema={"frame_id": pl.String, "_name": pl.String},
    )
    frames, boxes = (
        part.join(table, on="frame_id", how="inner", maintain_order="left")
        .drop("frame_id")
        .rename({"_name": "frame_id"})
        for part in (catalog.frames, catalog.annotations)
    )
    return Catalog(frames, boxes, catalog.roots)


def _truth(catalog: Catalog, frame_ids: list[str], label_space: LabelSpace, which: str) -> GroundTruth:
    order = pl.DataFrame({"frame_id": frame_ids}, schema={"frame_id": pl.String})
    frames = order.join(catalog.frames, on="frame_id", how="left", maintain_order="left")
    try:
        return ground_truth_from_catalog(catalog.with_frames(frames), label_space)
    except DataError as error:
        raise DataError(f"{which} annotation: {error}") from error


def _require_sizes(first: Catalog, second: Catalog) -> None:
    columns = ["frame_id", "width_px", "height_px"]
    both = first.frames.select(columns).join(second.frames.select(columns), on="frame_id", suffix="_second")
    other = both.filter(
        (pl.col("width_px") != pl.col("width_px_second")) | (pl.col("height_px") != pl.col("height_px_second"))
    )
    if len(other):
        row = other.row(0, named=True)
        raise DataError(
            f"frame {row['frame_id']}: {row['width_px']}x{row['height_px']} pixels in the first annotation, "
            f"{row['width_px_second']}x{row['height_px_second']} in the second; boxes of one image size are compared"
        )


def _left_out(frame_ids: list[str]) -> FramesLeftOut:
    return FramesLeftOut(frames=len(frame_ids), frame_ids=tuple(sorted(frame_ids)[:_SHOWN]))
