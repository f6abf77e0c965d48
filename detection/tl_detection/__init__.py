"""Detectors of traffic lights: training, evaluation per condition, export."""
