"""The `class_id` of DTLD v1.0: six digits, read as the attribute words of v2.0.

The digits are read from the right end, because examples leave out leading ones; what is left out is not said. The
toolkit documents the last five; the first is known from public loaders. A digit without a documented meaning is read as
`unknown` and counted.
"""

from __future__ import annotations

from tl_datasets.errors import show
from tl_datasets.formats.common.place import Place
from tl_datasets.read_report import Event, ReadReport

UNKNOWN = "unknown"

_DIRECTION = {"1": "front", "2": "back", "3": "left", "4": "right"}
# 2 and 3 are the lights with the best sight among those of their kind. Of an occluded one nothing more is said.
_RELEVANCE = {"0": "not_relevant", "1": "relevant", "2": "not_relevant", "3": "relevant", "4": UNKNOWN}
_OCCLUDED = "4"
# 3, 4, 8 and 9 are heads without a frame.
_ORIENTATION = {
    "1": "horizontal",
    "2": "vertical",
    "3": "horizontal",
    "4": "vertical",
    "6": "horizontal",
    "7": "vertical",
    "8": "horizontal",
    "9": "vertical",
}
_TRAM_BODIES = frozenset("6789")
_ASPECTS = {"1": "one_aspect", "2": "two_aspects", "3": "three_aspects", "4": "four_aspects"}
_STATE = {"0": "off", "1": "red", "2": "yellow", "3": "red_yellow", "4": "green", "5": "white"}
_PICTOGRAM = {
    "0": "circle",
    "1": "arrow_straight",
    "2": "arrow_left",
    "3": "arrow_straight_left",
    "4": "arrow_right",
    "5": "arrow_straight_right",
    "7": "arrow_left_straight_right",
    "8": "pedestrian",
    "9": "bicycle",
}
_FROM_THE_RIGHT = {
    "pictogram": _PICTOGRAM,
    "state": _STATE,
    "aspects": _ASPECTS,
    "orientation": _ORIENTATION,
    "relevance": _RELEVANCE,
    "direction": _DIRECTION,
}


def read_class_id(class_id: object, place: Place, report: ReadReport) -> dict[str, str]:
    """The attributes that a class id says, in the words of v2.0.

    Args:
        class_id: As the file has it, a whole number or its text.
        place: For messages.
        report: Takes the count of digits without a meaning.

    Raises:
        AnnotationError: It is no number of 4 to 6 digits.
    """
    digits = str(class_id) if isinstance(class_id, int | str) and not isinstance(class_id, bool) else ""
    if not (4 <= len(digits) <= 6 and digits.isascii() and digits.isdecimal()):
        raise place.error(f"class_id is {show(class_id)}, expected a number of 6 digits")
    attributes: dict[str, str] = {}
    for digit, (name, meanings) in zip(reversed(digits), _FROM_THE_RIGHT.items(), strict=False):
        if digit not in meanings:
            report.add(Event.VALUE_UNKNOWN, place, detail=f"{name} digit {digit}")
        attributes[name] = meanings.get(digit, UNKNOWN)
    if digits[-4] in _TRAM_BODIES:
        attributes["pictogram"] = "tram"
    if len(digits) >= 5:
        attributes["occlusion"] = "occluded" if digits[-5] == _OCCLUDED else "not_occluded"
    return attributes
