"""Draw a contact sheet of the drawn data set: one frame per weather (rows) and time of day (columns), with its boxes.

python tools/draw_contact_sheet.py sheet.png 0
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from tl_datasets.frame import Frame
from tl_datasets.synthetic import plan_sequences, render_sequence
from tl_datasets.synthetic.spec import TIMES_OF_DAY, WEATHERS
from tl_datasets.taxonomy import State

BOX_COLOURS: dict[State, tuple[int, int, int]] = {
    State.RED: (255, 40, 40),
    State.RED_YELLOW: (255, 140, 0),
    State.YELLOW: (255, 230, 0),
    State.GREEN: (0, 255, 80),
    State.OFF: (60, 150, 255),
    State.UNKNOWN: (215, 215, 215),
}


def draw_boxes(image: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """Give a copy of an (H, W, 3) RGB image with the frame's boxes; ignored ones are thin."""
    drawn = image.copy()
    for annotation in frame.annotations or ():
        x1, y1, x2, y2 = (round(value) for value in annotation.xyxy)
        colour = BOX_COLOURS[annotation.state or State.UNKNOWN]
        cv2.rectangle(drawn, (x1 - 3, y1 - 3), (x2 + 2, y2 + 2), colour, 1 if annotation.ignore else 2)
    return drawn


def main() -> None:
    """Draw the sheet."""
    parser = argparse.ArgumentParser(description="Contact sheet of drawn frames with boxes: weather x time of day.")
    parser.add_argument("out", type=Path, help="PNG file to write")
    parser.add_argument("seed", type=int, nargs="?", default=0, help="random seed (default 0)")
    parser.add_argument("--width", type=int, default=480, help="width of one picture in pixels (default 480)")
    arguments = parser.parse_args()
    tiles: dict[tuple[str, str], NDArray[np.uint8]] = {}
    for spec in plan_sequences(len(WEATHERS) * len(TIMES_OF_DAY), 4, arguments.seed):
        *_, (frame, image) = render_sequence(spec)
        size = (arguments.width, arguments.width * spec.height_px // spec.width_px)
        tile = cv2.resize(draw_boxes(image, frame), size, interpolation=cv2.INTER_AREA)
        tiles[spec.weather, spec.time_of_day] = tile  # pyright: ignore[reportArgumentType]
    rows = [np.hstack([tiles[weather, time] for time in TIMES_OF_DAY]) for weather in WEATHERS]
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    if not cv2.imwrite(str(arguments.out), np.vstack(rows)[..., ::-1]):
        raise SystemExit(f"{arguments.out}: could not be written; name a .png file in a folder that can be written to")
    print(f"wrote {arguments.out}")


if __name__ == "__main__":
    main()
