"""`tl detect`: images, folders, videos and cameras in; drawn pictures, videos and JSON out.

summary = detect_files(detector, ["drive.mp4"], "seen", green_after=3, writing=Writing(video=True))
"""

from __future__ import annotations

from tl_detection.detect.run import DetectSummary, detect_files
from tl_detection.detect.settings import DEFAULT_SCORE, DETECTIONS_FILE, Taking, Writing

__all__ = ["DEFAULT_SCORE", "DETECTIONS_FILE", "DetectSummary", "Taking", "Writing", "detect_files"]
