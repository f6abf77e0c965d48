"""What kind of mistakes cost how much average precision: `kinds` (once) -> `split` of every selection.

(Bolya, Foley, Hays, Hoffman: "TIDE: A General Toolbox for Identifying Object Detection Errors", ECCV 2020.)
"""
