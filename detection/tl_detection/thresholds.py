"""`ThresholdsFile`: from which score on a detection of each class counts, as a YAML file that export and detect use.

What a file must hold is short, so that one can be written by hand:

    thresholds_version: 1
    classes:
      red: {score: 0.31}
      green: {score: 0.62}

A file that an evaluation wrote says by which rule and on which data each score was chosen, what it gives there, and
how sure that is. A class whose rule could not be met has no score; whoever uses the file has to choose one first.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from tl_datasets.config import validate_config
from tl_datasets.errors import AnnotationError, ConfigError, DataError
from tl_datasets.images import write_whole
from tl_datasets.parsing import load_yaml

logger = logging.getLogger(__name__)

THRESHOLDS_VERSION = 1
# What a detector calls the fingerprint of its weights: an exported file names that of its checkpoint.
_FINGERPRINTS = ("checkpoint_fingerprint", "fingerprint")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RateAtScore(_Part):
    """A rate where the score was chosen: part of whole, and its 95 % interval over sequences where there is one."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    part: int
    whole: int
    sequences: int


class ClassThreshold(_Part):
    """The score of one class.

    Attributes:
        score: Detections at or above it count, in [0, 1]; None = its rule could not be met.
        score_interval: Where other drives would have put it, 95 %.
        rule: By which it was chosen.
        why_no_score: What could be reached instead.
        precision: At the score.
        recall: At the score.
        f1: At the score.
        f1_interval: Of F1.
    """

    score: float | None = Field(ge=0, le=1)
    score_interval: tuple[float, float] | None = None
    rule: str | None = None
    why_no_score: str | None = None
    precision: RateAtScore | None = None
    recall: RateAtScore | None = None
    f1: float | None = None
    f1_interval: tuple[float, float] | None = None

    @field_validator("score", mode="before")
    @classmethod
    def _no_word(cls, value: Any) -> Any:
        # Read as a number, "true" would be 1 and silence the class.
        if isinstance(value, bool):
            raise ValueError("a yes or no, expected a score from 0 to 1")
        return value


class ThresholdsData(_Part):
    """What the scores were chosen on."""

    catalog_fingerprint: str
    label_space_fingerprint: str
    frames: int
    sequences: int


class ThresholdsFile(_Part):
    """Scores per class, and where they come from.

    Attributes:
        thresholds_version: Of this schema.
        classes: Per class name.
        data: What they were chosen on; None of a file written by hand.
        model: What made the detections, as it describes itself.
        iou: From which overlap on a detection was right.
        red_as_green: Lamps that mean stop and were said to be green at these scores.
    """

    thresholds_version: Literal[1]
    classes: dict[str, ClassThreshold]
    data: ThresholdsData | None = None
    model: dict[str, str] = {}
    iou: float = 0.5
    red_as_green: RateAtScore | None = None

    def scores(self, names: Sequence[str], where: Path | str) -> tuple[float, ...]:
        """The score of each class of a label space.

        Args:
            names: Class names by id.
            where: The file, for messages.

        Raises:
            ConfigError: A class is missing, unknown, or has no score; lists them all.
        """
        faults = [
            f"classes.{name}: the model has no such class; it has {', '.join(names)}"
            for name in self.classes
            if name not in names
        ]
        for name in names:
            item = self.classes.get(name)
            if item is None:
                faults.append(f"classes.{name}: is missing; give every class of the model a score")
            elif item.score is None:
                why = f"its rule {item.rule} could not be met" if item.rule else "none was chosen"
                why += f" ({item.why_no_score})" if item.why_no_score else ""
                faults.append(f"classes.{name}: no score, {why}; choose another rule, or write a score there")
        if faults:
            raise ConfigError(str(where), faults)
        return tuple(score for name in names if (score := self.classes[name].score) is not None)

    def warn_of_other_model(self, description: Mapping[str, str], where: Path | str) -> None:
        """Say so where the scores were chosen with other weights: scores of one model mean little to another."""
        here, there = _weights(description), _weights(self.model)
        if here and there and here != there:
            logger.warning(
                "%s: chosen with the weights %s, used with %s; choose them anew with tl evaluate", where, there, here
            )

    def warn_of_other_rules(self, label_space_fingerprint: str | None, where: Path | str) -> None:
        """Say so where classes of the same names were made by other rules when the scores were chosen."""
        there = None if self.data is None else self.data.label_space_fingerprint
        if label_space_fingerprint and there and label_space_fingerprint != there:
            logger.warning(
                "%s: chosen with the label space %s, used with %s, whose classes have the same names and other rules; "
                "choose them anew with tl evaluate",
                where,
                there,
                label_space_fingerprint,
            )


def _weights(description: Mapping[str, str]) -> str | None:
    return next((description[key] for key in _FINGERPRINTS if key in description), None)


def read_thresholds(path: Path | str) -> ThresholdsFile:
    """Read a thresholds file.

    Raises:
        ConfigError: It is missing, no YAML, of another version, or a value does not fit; lists every fault.
    """
    try:
        values = load_yaml(path)
    except AnnotationError as error:
        raise ConfigError(str(path), [str(error).removeprefix(f"{path}").strip(" :")]) from error
    if not isinstance(values, dict) or "thresholds_version" not in values:
        raise ConfigError(str(path), ["no thresholds file; tl evaluate writes one, thresholds.yaml"])
    version = values["thresholds_version"]
    if version != THRESHOLDS_VERSION or isinstance(version, bool):
        raise ConfigError(
            str(path),
            [
                f"thresholds_version: {version!r}, this tl reads {THRESHOLDS_VERSION}; "
                "use the tl that wrote it, or choose them anew with tl evaluate"
            ],
        )
    return validate_config(ThresholdsFile, values, str(path))


def write_thresholds(thresholds: ThresholdsFile, path: Path | str) -> None:
    """Write a thresholds file; it appears whole.

    Raises:
        DataError: It cannot be written.
    """
    path = Path(path)
    values: dict[str, Any] = thresholds.model_dump(mode="json", exclude_none=True)
    for item in values["classes"].values():
        item.setdefault("score", None)
    try:
        write_whole(path, yaml.safe_dump(values, sort_keys=False, allow_unicode=True, width=110))
    except OSError as error:
        raise DataError(f"{path}: cannot write the thresholds ({error.strerror}); choose another place") from error


def scores_for(
    path: Path | str,
    names: Sequence[str],
    description: Mapping[str, str],
    *,
    label_space_fingerprint: str | None = None,
) -> tuple[float, ...]:
    """The scores of a thresholds file for a detector.

    Args:
        path: The file.
        names: Class names of the detector, by id.
        description: What it says of itself; other weights than those of the file give a warning.
        label_space_fingerprint: Of its label space; another than that of the file gives a warning. None = not known.

    Returns:
        A score for each class, by id.

    Raises:
        ConfigError: The file cannot be read, or its classes are not those of the detector.
    """
    file = read_thresholds(path)
    scores = file.scores(names, path)
    file.warn_of_other_model(description, path)
    file.warn_of_other_rules(label_space_fingerprint, path)
    return scores
