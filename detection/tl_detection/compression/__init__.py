"""Smaller and faster files: an exported detector in int8 or fp16, refused where a condition suffers."""
