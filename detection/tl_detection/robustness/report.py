"""A `Robustness` as text for a terminal, as Markdown, as JSON, and as the files of a report folder."""

from __future__ import annotations

import json
import textwrap
from dataclasses import asdict
from pathlib import Path
from typing import Any

from tl_datasets.images import write_whole
from tl_datasets.new_folder import new_folder
from tl_datasets.taxonomy import ConditionSource
from tl_detection.evaluation.protocol import OPERATING_IOU
from tl_detection.evaluation.render import NO_VALUE, Table, as_markdown, as_text
from tl_detection.evaluation.scores import Scores
from tl_detection.robustness.plot import draw_svg
from tl_detection.robustness.results import (
    CorruptionScores,
    Measured,
    Robustness,
    class_value,
    overall_value,
    summarise,
)
from tl_detection.robustness.tables import (
    METRICS,
    classes_table,
    corruptions_table,
    made_conditions_table,
    sets_table,
    share,
    slices_table,
    states_table,
    stop_lights_table,
)

REPORT_VERSION = 1
JSON_FILE, MARKDOWN_FILE, PLOT_FILE = "robustness.json", "robustness.md", "robustness.svg"
_NOTE_WIDTH = 110


def write_robustness(result: Robustness, out: Path) -> None:
    """Write JSON, Markdown and the plot into a folder, which appears whole.

    Raises:
        DataError: The folder exists already and is not empty.
    """
    with new_folder(out) as folder:
        write_whole(folder / JSON_FILE, json.dumps(to_dict(result), indent=1, allow_nan=False) + "\n")
        write_whole(folder / MARKDOWN_FILE, format_markdown(result))
        write_whole(folder / PLOT_FILE, draw_svg(result))


def format_console(result: Robustness) -> str:
    """The report as text: sets, corruptions, stop lights and classes, then what the words mean."""
    notes = [textwrap.fill(note, _NOTE_WIDTH, subsequent_indent="  ") for note in _notes(result)]
    return "\n\n".join([headline(result), *(as_text(table) for table in _tables(result)), "\n".join(notes)]) + "\n"


def format_markdown(result: Robustness) -> str:
    """The report as Markdown, with the plot."""
    model = [f"- {key}: {value}" for key, value in result.model.items()] or ["- not described"]
    facts = [
        f"- catalog: `{result.catalog_fingerprint}`",
        f"- label space: `{result.label_space.fingerprint}` ({', '.join(result.label_space.names)})",
    ]
    parts = ["# Robustness", headline(result), f"![AP50 by corruption and severity]({PLOT_FILE})"]
    parts += [as_markdown(table) for table in _tables(result)]
    parts += ["## How to read this", "\n".join(f"- {note}" for note in _notes(result))]
    return "\n\n".join([*parts, "## What was scored", "\n".join(model + facts)]) + "\n"


def headline(result: Robustness) -> str:
    """What is left, in one sentence per set."""
    sentences = [
        f"AP50 {share(result.clean.ap50)}, AP {share(result.clean.ap)} on {result.frames} clean frames with "
        f"{result.clean.objects} objects."
    ]
    for group in result.groups:
        items = result.of_group(group)
        ap50, ap = (summarise([item.overall for item in items], overall_value(name)) for name in METRICS.values())
        sentences.append(
            f"{group.capitalize()}, {len(items)} corruptions at severity {_listed(result.severities)}: "
            f"AP50 mPC {share(ap50.mpc)} (rPC {share(ap50.rpc)}), AP mPC {share(ap.mpc)} (rPC {share(ap.rpc)})."
        )
    return " ".join(sentences)


def to_dict(result: Robustness) -> dict[str, Any]:
    """The report as plain values, ready for JSON; no value is None."""
    groups = {}
    for group in result.groups:
        items = result.of_group(group)
        measured = [item.overall for item in items]
        classes = {name: [index] for index, name in enumerate(result.label_space.names)}
        groups[group] = {
            "overall": _summary(measured, overall_value),
            "by_class": {name: _class_summary(measured, ids) for name, ids in classes.items()},
            "by_state": {name: _class_summary(measured, ids) for name, ids in result.states.items()},
            "by_condition": {
                name: _summary([item.slices[name] for item in items], overall_value) for name in result.slice_names
            },
        }
    return {
        "report_version": REPORT_VERSION,
        "model": dict(result.model),
        "catalog_fingerprint": result.catalog_fingerprint,
        "label_space_fingerprint": result.label_space.fingerprint,
        "class_names": list(result.label_space.names),
        "protocol": result.protocol.to_dict(),
        "operating_scores": list(result.operating_scores),
        "seed": result.seed,
        "severities": list(result.severities),
        "frames": result.frames,
        "frames_offered": result.frames_offered,
        "frames_unlabelled": result.frames_unlabelled,
        "frames_partial": result.frames_partial,
        "sets": groups,
        "clean": asdict(result.clean),
        "corruptions": [_corruption(item, result.severities) for item in result.corruptions],
    }


def _tables(result: Robustness) -> list[Table]:
    tables = [sets_table(result), corruptions_table(result), stop_lights_table(result), classes_table(result)]
    if not _classes_are_states(result):
        tables.append(states_table(result))
    if result.slice_names:
        tables.append(slices_table(result))
    tables.append(made_conditions_table(result))
    return [table for table in tables if table is not None]


def _rpc(item: CorruptionScores) -> float | None:
    return summarise([item.overall], overall_value("ap50")).rpc


def _classes_are_states(result: Robustness) -> bool:
    return sorted(result.states.values()) == [(index,) for index in range(len(result.label_space))]


def _notes(result: Robustness) -> list[str]:
    notes = [
        "mPC: mean of the score over corruptions and severities. rPC: mPC as a share of the score of the same frames "
        "without corruption (Michaelis et al. 2019).",
        f"'{NO_VALUE}' no value: no object of that kind, which then is in no mean; no rPC of a clean score of 0.",
        "Stop lights: objects whose class means stop; detected at all: by any class, from the score at which F1 is "
        f"best on the clean frames, at IoU {OPERATING_IOU}; reported green: where the best-scored of these says green.",
    ]
    if result.states and _classes_are_states(result):
        notes.append("Each class is one state: by state is by class.")
    moving = [item.corruption.key for item in result.corruptions if item.corruption.moves_pixels]
    if moving:
        notes.append(
            f"{', '.join(moving)} move pixels while the boxes stay, zoom_blur most near the edges: part of what is "
            "lost there, of AP above all, is that."
        )
    better = [item.corruption.key for item in result.corruptions if (_rpc(item) or 0) > 1]
    if better:
        notes.append(
            f"More than the clean AP50 is left with {', '.join(better)}: by chance where objects are few, or because "
            "what is made there shows where the lights are. Look at the images before you believe it."
        )
    if result.frames < result.frames_offered:
        notes.append(
            f"{result.frames} of the {result.frames_offered} frames that can be scored, evenly spread over the catalog "
            f"from seed {result.seed}."
        )
    if any(item.frames_left_out for item in result.corruptions):
        notes.append(
            "Frames left out: their weather or time of day does not go with the corruption; its clean score is that of "
            "the others."
        )
    without = [item.corruption.key for item in result.corruptions if item.overall.clean.ap is None]
    if without:
        notes.append(f"Without a frame that has an object, and in no mean: {', '.join(without)}.")
    absent = [item.name for item in result.clean.classes if not item.objects]
    if absent:
        notes.append(f"Classes without an object in these frames, and in no mean: {', '.join(absent)}.")
    if result.frames_unlabelled or result.frames_partial:
        notes.append(
            f"Not scored: {result.frames_unlabelled} unlabelled frames, {result.frames_partial} frames in which a "
            "category of the label space was not labelled."
        )
    return notes


def _corruption(item: CorruptionScores, severities: tuple[int, ...]) -> dict[str, Any]:
    made = item.corruption
    shows = {"weather": made.weather, "time_of_day": made.time_of_day}
    source = ConditionSource.SYNTHETIC if any(shows.values()) else None
    return {
        "set": made.group,
        "name": made.name,
        "moves_pixels": made.moves_pixels,
        "made_conditions": {**shows, "condition_source": source},
        "frames": item.overall.clean.frames,
        "frames_left_out": item.frames_left_out,
        "summary": _summary([item.overall], overall_value),
        "clean_of_same_frames": _brief(item.overall.clean),
        "by_severity": {
            str(severity): asdict(scores) for severity, scores in zip(severities, item.overall.corrupted, strict=True)
        },
        "by_condition": {
            name: {
                "clean": _brief(part.clean),
                **{str(severity): _brief(scores) for severity, scores in zip(severities, part.corrupted, strict=True)},
            }
            for name, part in item.slices.items()
        },
    }


def _brief(scores: Scores) -> dict[str, Any]:
    counts = scores.red_as_green
    return {
        "frames": scores.frames,
        "objects": scores.objects,
        **{metric: getattr(scores, metric) for metric in METRICS.values()},
        "red_as_green": None if counts is None else asdict(counts),
    }


def _summary(measured: list[Measured], value) -> dict[str, Any]:
    return {metric: asdict(summarise(measured, value(metric))) for metric in METRICS.values()}


def _class_summary(measured: list[Measured], class_ids) -> dict[str, Any]:
    return _summary(measured, lambda metric: class_value(metric, class_ids))


def _listed(severities: tuple[int, ...]) -> str:
    return ", ".join(map(str, severities))
