"""Detectors: frames in, detections out, one file per engine."""
