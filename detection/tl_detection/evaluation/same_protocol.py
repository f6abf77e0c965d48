"""Whether two reports may be compared: the same rules, label space and frames, or a clear word about what differs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from tl_datasets.errors import DataError, show
from tl_datasets.label_space import LabelSpace
from tl_detection.evaluation.protocol import COCO, CocoProtocol
from tl_detection.evaluation.results import Report, SliceScores
from tl_detection.evaluation.slice_columns import NETWORK_COLUMNS
from tl_detection.evaluation.slices import EXPRESSION

# How `operating_from` begins where a file gave the scores; its name follows.
_GIVEN = "of "


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtocolDifference:
    """A field in which two evaluations differ; `str` gives it in words.

    Attributes:
        field: Dotted key in report.json.
        first: Its value in the first report, as it stands in a message.
        second: In the second.
    """

    field: str
    first: str
    second: str

    def __str__(self) -> str:
        return self.between("the first", "the second")

    def between(self, first: str, second: str) -> str:
        """In words, with a name for each of the two."""
        return f"{self.field} is {self.first} in {first} and {self.second} in {second}"


def rules_of_report(
    report: Report,
    *,
    frames: bool = True,
    operating: bool = True,
    intervals: bool = False,
    input_size: bool = False,
) -> dict[str, Any]:
    """Everything by which the scores of a report came about, by dotted key.

    Args:
        report: The report.
        frames: With the fingerprint of the frames and their labels.
        operating: With how its operating scores came about; whichever thresholds file, one is as given as another.
        intervals: With how its intervals came about.
        input_size: With the size of the network's input, which says what a slice by size in its pixels holds.
    """
    rules = _rules(report.protocol, report.class_names, report.label_space_fingerprint)
    if frames:
        rules["catalog_fingerprint"] = report.catalog_fingerprint
    if operating:
        rules["operating_from"] = "of a thresholds file" if scores_are_given(report) else report.operating_from
    if intervals and report.interval_method is not None:
        rules |= {f"interval_method.{key}": value for key, value in asdict(report.interval_method).items()}
    if input_size:
        rules["input_size"] = report.input_size
    return rules


def rules_of_slices(first: Report, second: Report) -> tuple[dict[str, Any], dict[str, Any]]:
    """What each slice that both reports have stands for in either, by its name.

    An expression may have another text under the same name, and a size in pixels of the network another network: then
    the same frames give the slice other objects.
    """
    same_frames = first.catalog_fingerprint == second.catalog_fingerprint
    both = [{item.name: item for item in _all_slices(report)} for report in (first, second)]
    before, after = (
        {
            f"slices.{name}": f"{item.value} ({item.scores.frames} frames, {item.scores.objects} objects)"
            if same_frames
            else item.value
            for name, item in slices.items()
            if all(name in each for each in both)
        }
        for slices in both
    )
    return before, after


def is_sliced_by_network_size(*reports: Report) -> bool:
    """True where a slice of one of the reports is by size in pixels of the network's input."""
    words = (item.value if item.column == EXPRESSION else item.column for report in reports for item in report.slices)
    return any(name in text for text in words for name in NETWORK_COLUMNS)


def scores_are_given(report: Report) -> bool:
    """True where the operating scores were not chosen on the frames that were scored."""
    return report.operating_from.startswith(_GIVEN)


def rules_of_label_space(label_space: LabelSpace, protocol: CocoProtocol = COCO) -> dict[str, Any]:
    """The same of an evaluation that is yet to be made, without frames and intervals."""
    return _rules(protocol, label_space.names, label_space.fingerprint)


def require_same_rules(
    first: tuple[str, Mapping[str, Any]], second: tuple[str, Mapping[str, Any]], *, allow: bool = False
) -> tuple[ProtocolDifference, ...]:
    """Refuse to compare what was scored by different rules.

    Args:
        first: A place as it stands in a message, and the rules there.
        second: Another one.
        allow: Give the differences back instead.

    Returns:
        The differences; none unless they are allowed.

    Raises:
        DataError: The rules differ; names every field.
    """
    (first_place, before), (second_place, after) = first, second
    differences = tuple(
        ProtocolDifference(field=key, first=show(before.get(key)), second=show(after.get(key)))
        for key in {**before, **after}
        if before.get(key) != after.get(key)
    )
    if differences and not allow:
        raise DataError(
            f"{first_place} and {second_place} were not scored alike: {'; '.join(map(str, differences))}; "
            "score both in the same way, or go on all the same with --allow-different-protocol"
        )
    return differences


def warning_of(differences: Sequence[object]) -> list[str]:
    """The differences, in words, as lines that cannot be overlooked; none where there is none."""
    if not differences:
        return []
    return [
        "NOT SCORED ALIKE, so what follows may differ for that reason alone:",
        *(f"  {item}" for item in differences),
    ]


def _all_slices(report: Report) -> Sequence[SliceScores]:
    changes = report.changes
    parts = [] if changes is None else [part for part in (changes.old, changes.new) if part is not None]
    return [*report.slices, *parts]


def _rules(protocol: CocoProtocol, class_names: tuple[str, ...], label_space_fingerprint: str) -> dict[str, Any]:
    return {
        **{f"protocol.{key}": value for key, value in protocol.to_dict().items()},
        "class_names": class_names,
        "label_space_fingerprint": label_space_fingerprint,
    }
