"""The vocabularies: what a light shows, how a scene looks, what a label means.

Three kinds of "no" stay apart everywhere: `None` = the source has no such field; `UNKNOWN` = the annotator could not
tell; `State.OFF` = the lamp is dark.
"""

from __future__ import annotations

from enum import StrEnum


class State(StrEnum):
    """What the light shows."""

    RED = "red"
    RED_YELLOW = "red_yellow"
    YELLOW = "yellow"
    GREEN = "green"
    OFF = "off"
    UNKNOWN = "unknown"


class Pictogram(StrEnum):
    """The shape of the lit lens. Combinations name their directions from left to right, straight in between."""

    CIRCLE = "circle"
    ARROW_LEFT = "arrow_left"
    ARROW_STRAIGHT = "arrow_straight"
    ARROW_RIGHT = "arrow_right"
    ARROW_STRAIGHT_LEFT = "arrow_straight_left"
    ARROW_STRAIGHT_RIGHT = "arrow_straight_right"
    ARROW_LEFT_RIGHT = "arrow_left_right"
    ARROW_LEFT_STRAIGHT_RIGHT = "arrow_left_straight_right"
    ARROW_UTURN = "arrow_uturn"
    PEDESTRIAN = "pedestrian"
    BICYCLE = "bicycle"
    PEDESTRIAN_BICYCLE = "pedestrian_bicycle"
    TRAM = "tram"
    OTHER = "other"
    UNKNOWN = "unknown"


class Relevance(StrEnum):
    """Whether the light governs the lane of the camera vehicle."""

    RELEVANT = "relevant"
    NOT_RELEVANT = "not_relevant"
    UNKNOWN = "unknown"


class Facing(StrEnum):
    """Which side of the housing the camera sees."""

    FRONT = "front"
    BACK = "back"
    LEFT = "left"
    RIGHT = "right"
    UNKNOWN = "unknown"


class Orientation(StrEnum):
    """How the lenses are stacked."""

    VERTICAL = "vertical"
    HORIZONTAL = "horizontal"
    UNKNOWN = "unknown"


class Weather(StrEnum):
    """Weather of a frame; the words of BDD100K with underscores."""

    CLEAR = "clear"
    PARTLY_CLOUDY = "partly_cloudy"
    OVERCAST = "overcast"
    RAINY = "rainy"
    SNOWY = "snowy"
    FOGGY = "foggy"
    SANDSTORM = "sandstorm"  # no word of BDD100K: only sources that were recorded in one have it
    UNDEFINED = "undefined"


class Scene(StrEnum):
    """Kind of road of a frame; the words of BDD100K with underscores."""

    CITY_STREET = "city_street"
    HIGHWAY = "highway"
    RESIDENTIAL = "residential"
    PARKING_LOT = "parking_lot"
    GAS_STATION = "gas_station"
    TUNNEL = "tunnel"
    UNDEFINED = "undefined"


class TimeOfDay(StrEnum):
    """Light of the day of a frame."""

    DAYTIME = "daytime"
    DAWN_DUSK = "dawn_dusk"
    NIGHT = "night"
    UNDEFINED = "undefined"


class ConditionSource(StrEnum):
    """Where the conditions of a frame come from."""

    ANNOTATED = "annotated"  # somebody looked at this frame
    FOLDER = "folder"  # the data set sorts its images or sequences by condition
    TEXT = "text"  # read out of a free description, or said of the data set as a whole
    SYNTHETIC = "synthetic"  # put into the image by a program


class PixelFormat(StrEnum):
    """How the file of a raw sensor frame becomes RGB; frames of ordinary 8-bit images have none."""

    BAYER_GRBG12 = "bayer_grbg12"  # 12 bits in 16, mosaic green-red/blue-green (DTLD)
    RCCB12 = "rccb12"  # 12 bits in 16, mosaic red-clear/clear-blue (raw BSTLD)


class LabelStatus(StrEnum):
    """What the absence of a box in a frame means."""

    LABELLED = "labelled"  # every object of the source's categories has a box; none = a true negative
    UNLABELLED = "unlabelled"  # nobody looked; the frame is no negative
    PARTIAL = "partial"  # only the categories named by the frame were labelled


TRAFFIC_LIGHT = "traffic_light"

# Object categories besides the light. BDD100K's det_20 words with underscores are the reference.
CATEGORIES: tuple[str, ...] = (
    TRAFFIC_LIGHT,
    "traffic_sign",
    "pedestrian",
    "other_person",
    "rider",
    "car",
    "truck",
    "bus",
    "train",
    "motorcycle",
    "bicycle",
    "other_vehicle",
    "trailer",
)

# A housing that is seen from one side is seen from the other in a mirror image.
MIRRORED_FACING: dict[Facing, Facing] = {Facing.LEFT: Facing.RIGHT, Facing.RIGHT: Facing.LEFT}

# What a mirror image shows. Every pictogram that is absent here is its own mirror image.
MIRRORED_PICTOGRAM: dict[Pictogram, Pictogram] = {
    Pictogram.ARROW_LEFT: Pictogram.ARROW_RIGHT,
    Pictogram.ARROW_RIGHT: Pictogram.ARROW_LEFT,
    Pictogram.ARROW_STRAIGHT_LEFT: Pictogram.ARROW_STRAIGHT_RIGHT,
    Pictogram.ARROW_STRAIGHT_RIGHT: Pictogram.ARROW_STRAIGHT_LEFT,
}
