"""`DriveScores`: what drives show of the lamps of a selection. Where nothing can be said, a note says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tl_datasets.network_size import InputSize, input_scales
from tl_detection.evaluation.drives.frame_order import Refused, order_drives
from tl_detection.evaluation.drives.lamp_tracks import LampTrack, find_tracks
from tl_detection.evaluation.drives.spread import PerMinute, Spread, per_minute, spread
from tl_detection.evaluation.drives.track_results import STABLE_FRAMES, TrackResult, Words, judge_track
from tl_detection.evaluation.ground_truth import GroundTruth
from tl_detection.evaluation.pairs import IntArray
from tl_detection.evaluation.rates import Rate, measure_rate
from tl_detection.evaluation.replicates import Replicates
from tl_detection.evaluation.selection import Selection

_SHOWN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Lamps:
    """The lamps of all drives; found once, judged per selection.

    Attributes:
        tracks: By drive, then in order of first sight.
        drives: Drives, with or without a lamp.
        refused: Sequences of several frames that were left out.
        single_frames: Frames that stand alone.
    """

    tracks: tuple[LampTrack, ...]
    drives: int
    refused: tuple[Refused, ...]
    single_frames: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DriveScores:
    """What drives show of the lamps of a selection; see `track_results` for what is counted.

    Attributes:
        note: Why there is nothing to say, or what was left out; None = nothing was.
        drives: Sequences whose frames follow each other, with a lamp of the selection.
        refused: Sequences of several frames that were left out, and why.
        tracks: Lamps.
        tracks_given: Of these, by track ids of the annotation; the others were joined by nearness.
        stable_needs_frames: Right frames in a row that make a state stable.
        seen: Lamps of which anything was said at all.
        right: Lamps of which the right state was said; None where classes name no states.
        stable: Lamps with a stable state, among those visible in enough frames.
        flicker_per_1000_frames: Changes per 1,000 frames in which a lamp is visible.
        flicker_per_minute: The same per minute in which a lamp is visible: two lamps seen for a minute are two minutes.
        dropouts_per_1000_frames: Losses per 1,000 frames in which a lamp is visible.
        dropouts_per_minute: The same per minute in which a lamp is visible.
        first_height_px: Height of the lamps in their first visible frame.
        seen_height_px: Height when something was first said.
        seen_network_height_px: The same in pixels of the network's input.
        right_height_px: Height when the right state was first said.
        right_network_height_px: The same in pixels of the network's input.
        stable_frames: Visible frames until stable.
        stable_s: Seconds until stable.
        longest_miss_frames: Most frames without a word, per lamp.
        longest_miss_s: How long.
        longest_loss_frames: The same after the lamp was seen.
        longest_loss_s: How long.
        lamps: Each lamp.
    """

    note: str | None
    drives: int
    refused: tuple[Refused, ...]
    tracks: int
    tracks_given: int
    stable_needs_frames: int
    seen: Rate
    right: Rate | None
    stable: Rate | None
    flicker_per_1000_frames: Rate | None
    flicker_per_minute: PerMinute | None
    dropouts_per_1000_frames: Rate
    dropouts_per_minute: PerMinute
    first_height_px: Spread
    seen_height_px: Spread
    seen_network_height_px: Spread
    right_height_px: Spread
    right_network_height_px: Spread
    stable_frames: Spread
    stable_s: Spread
    longest_miss_frames: Spread
    longest_miss_s: Spread
    longest_loss_frames: Spread
    longest_loss_s: Spread
    lamps: tuple[TrackResult, ...]


def find_lamps(truth: GroundTruth, *, frame_rate_hz: float | None = None) -> Lamps:
    """Find the lamps of all drives.

    Args:
        truth: F frames.
        frame_rate_hz: Frames per second of sequences without capture times; None = not known.

    Raises:
        UsageError: The frame rate is not positive.
    """
    ordered = order_drives(truth, frame_rate_hz)
    tracks: list[LampTrack] = []
    refused = list(ordered.refused)
    for drive in ordered.drives:
        found = find_tracks(truth, drive)
        if isinstance(found, Refused):
            refused.append(found)
        else:
            tracks += found
    return Lamps(
        tracks=tuple(tracks),
        drives=len(ordered.drives) + len(ordered.refused) - len(refused),
        refused=tuple(sorted(refused, key=lambda item: item.sequence)),
        single_frames=ordered.single_frames,
    )


def measure_drives(
    truth: GroundTruth,
    lamps: Lamps,
    said: IntArray,
    selection: Selection,
    replicates: Replicates,
    *,
    input_size: InputSize | None = None,
) -> DriveScores:
    """Judge the lamps of a selection.

    Args:
        truth: F frames, N boxes.
        lamps: Of this ground truth.
        said: (N,) class that is said of each object, -1 where nothing is said.
        selection: Only its objects count as visible.
        replicates: Drawn from its frames.
        input_size: Of the network, for sizes in its pixels.
    """
    words = Words.of(truth)
    scales = None if input_size is None else input_scales(truth.frames, input_size)
    results: list[TrackResult] = []
    frames: list[int] = []
    for track in lamps.tracks:
        result = judge_track(truth, track, said, selection.objects, words, scales)
        if result is not None:
            results.append(result)
            frames.append(int(truth.frame_index[track.boxes[selection.objects[track.boxes]][0]]))
    at = np.array(frames, np.int64)
    visible_s = [result.visible_s for result in results]
    visible_frames = np.array([result.visible_frames for result in results], np.int64)

    def share(is_counted: Callable[[TrackResult], bool], is_among: Callable[[TrackResult], bool] = _every) -> Rate:
        among = np.array([is_among(result) for result in results], np.bool_)
        counted = among & np.array([is_counted(result) for result in results], np.bool_)
        return measure_rate(replicates, at[counted], at[among], higher_is_better=True)

    def spread_of(value: Callable[[TrackResult], float | None]) -> Spread:
        return spread(replicates, [value(result) for result in results], at)

    def per_1000_frames(times: list[int]) -> Rate:
        return measure_rate(replicates, np.repeat(at, times), np.repeat(at, visible_frames), per=1000)

    flicker = [result.flicker or 0 for result in results]
    dropouts = [result.dropouts for result in results]
    return DriveScores(
        note=_note(lamps, len(results)),
        drives=len({result.sequence for result in results}),
        refused=lamps.refused,
        tracks=len(results),
        tracks_given=sum(result.is_given for result in results),
        stable_needs_frames=STABLE_FRAMES,
        seen=share(lambda result: result.seen_height_px is not None),
        right=share(lambda result: result.right_height_px is not None) if words.are_states else None,
        stable=share(
            lambda result: result.stable_frames is not None, lambda result: result.visible_frames >= STABLE_FRAMES
        )
        if words.are_states
        else None,
        flicker_per_1000_frames=per_1000_frames(flicker) if words.are_states else None,
        flicker_per_minute=per_minute(replicates, flicker, visible_s, at, visible_frames) if words.are_states else None,
        dropouts_per_1000_frames=per_1000_frames(dropouts),
        dropouts_per_minute=per_minute(replicates, dropouts, visible_s, at, visible_frames),
        first_height_px=spread_of(lambda result: result.first_height_px),
        seen_height_px=spread_of(lambda result: result.seen_height_px),
        seen_network_height_px=spread_of(lambda result: result.seen_network_height_px),
        right_height_px=spread_of(lambda result: result.right_height_px),
        right_network_height_px=spread_of(lambda result: result.right_network_height_px),
        stable_frames=spread_of(lambda result: result.stable_frames),
        stable_s=spread_of(lambda result: result.stable_s),
        longest_miss_frames=spread_of(lambda result: result.longest_miss_frames),
        longest_miss_s=spread_of(lambda result: result.longest_miss_s),
        longest_loss_frames=spread_of(lambda result: result.longest_loss_frames),
        longest_loss_s=spread_of(lambda result: result.longest_loss_s),
        lamps=tuple(results),
    )


def _every(result: TrackResult) -> bool:
    return True


def _note(lamps: Lamps, n_tracks: int) -> str | None:
    left_out = [f"{item.sequence}: {item.reason}" for item in lamps.refused[:_SHOWN]]
    if len(lamps.refused) > _SHOWN:
        left_out.append(f"and {len(lamps.refused) - _SHOWN} more")
    refused = f"{len(lamps.refused)} sequences left out ({'; '.join(left_out)})" if lamps.refused else ""
    if not lamps.drives and not lamps.refused:
        return (
            f"no drives: the {lamps.single_frames} frames stand alone, none follows another; index with --sequence "
            "where several are of one drive"
        )
    if not n_tracks:
        return f"no lamp in a drive{'; ' + refused if refused else ''}"
    return refused or None
