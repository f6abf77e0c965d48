"""Smaller and faster files: an exported detector in fp16 or int8, accepted or refused by the evaluation per condition."""
