"""`tl detect`: a thin function over the Python API."""

from __future__ import annotations

import argparse
import sys

from tl_datasets.errors import UsageError
from tl_detection.progress import progress


def run_detect(options: argparse.Namespace) -> int:
    """`tl detect`."""
    from tl_datasets.new_folder import refuse_full
    from tl_detection.detect import DEFAULT_SCORE, Taking, Writing, detect_files
    from tl_detection.detect.settings import DEFAULT_GREEN_AFTER
    from tl_detection.detectors.load import load_detector
    from tl_detection.thresholds import scores_for

    # What is wrong with the command itself is said before a network is loaded.
    if options.green_after is not None and not options.smooth:
        raise UsageError("--green-after is a setting of the smoothing; give --smooth, too")
    if options.green_after is not None and options.green_after < 1:
        raise UsageError(f"--green-after {options.green_after}: expected 1 or more")
    green_after = (options.green_after or DEFAULT_GREEN_AFTER) if options.smooth else None
    taking = Taking(every_nth=options.every, frames=options.frames, seconds=options.seconds)
    writing = Writing(lines=options.jsonl, pictures=options.pictures, video=options.video, fps=options.fps)
    refuse_full(options.out)
    detector = load_detector(options.model, options.device)
    if options.thresholds is not None:
        space = detector.label_space
        lowest = scores_for(
            options.thresholds, space.names, detector.description, label_space_fingerprint=space.fingerprint
        )
    else:
        # An exported file may carry the scores that its vehicle uses.
        own = getattr(detector, "operating_scores", None)
        lowest = options.score if options.score is not None else own or DEFAULT_SCORE
    with progress("detect") as show:
        summary = detect_files(
            detector,
            options.sources,
            options.out,
            score_threshold=lowest,
            taking=taking,
            writing=writing,
            green_after=green_after,
            progress=show,
        )
    for fault in summary.faults:
        print(f"tl detect: {fault}", file=sys.stderr)
    print(f"{options.out}: {summary.n_frames} frames, {summary.n_detections} detections")
    if summary.is_interrupted and not summary.has_camera:
        print("tl detect: interrupted; what was seen until then is kept", file=sys.stderr)
        return 130
    return 1 if summary.faults else 0
