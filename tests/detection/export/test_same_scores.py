"""The second half of the proof: a file that loses lights in one condition does not appear."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import pytest

import tl_detection.export.export as exporting
from tl_datasets.catalog import Catalog
from tl_datasets.errors import WeightsError
from tl_datasets.frame import Annotation, Frame
from tl_datasets.images import write_rgb
from tl_datasets.label_space import LabelSpace
from tl_datasets.taxonomy import State
from tl_detection.cli import main
from tl_detection.detector import Detections, Image
from tl_detection.export.proof import require_same_scores
from tl_detection.export.same_scores import SameScores, score_both

SPACE = LabelSpace.model_validate({"classes": {"red": {"state": "red"}, "green": {"state": "green"}}})
BOX = (10.0, 10.0, 20.0, 40.0)
WEATHERS = ("clear", "rainy", "foggy")


@dataclass
class Reader:
    """Reads the class of the one light of a frame from its first pixel; blind where the second one says so."""

    blind: tuple[int, ...] = ()
    swaps: bool = False
    label_space: LabelSpace = SPACE
    description: dict[str, str] = field(default_factory=dict)

    def detect(self, images: Sequence[Image]) -> list[Detections]:
        results = []
        for image in images:
            class_id, weather = int(image[0, 0, 0]), int(image[0, 1, 0])
            if self.swaps:
                class_id = 1 - class_id
            if weather in self.blind:
                results.append(Detections.empty())
                continue
            results.append(
                Detections(
                    xyxy=np.array([BOX], np.float32), score=np.array([0.9], np.float32), class_id=np.array([class_id])
                )
            )
        return results


@pytest.fixture
def catalog(tmp_path) -> Catalog:
    frames = []
    for number in range(12):
        image = np.full((60, 80, 3), 90, np.uint8)
        image[0, 0], image[0, 1] = number % 2, number % 3
        write_rgb(tmp_path / f"{number}.png", image)
        light = Annotation(xyxy=BOX, state=(State.RED, State.GREEN)[number % 2])
        frames.append(
            Frame(
                frame_id=f"{number}",
                path=f"{number}.png",
                width_px=80,
                height_px=60,
                annotations=(light,),
                sequence=f"drive{number}",
                weather=WEATHERS[number % 3],
            )
        )
    made = Catalog.from_frames(frames, source="drawn", root=tmp_path)
    made.save(tmp_path / "catalog")
    return Catalog.open(tmp_path / "catalog")


def test_equal_detectors_score_alike(catalog):
    told = []
    scores = score_both(
        Reader(), Reader(), catalog, by=["weather"], progress=lambda done, total: told.append((done, total))
    )
    assert [(item.name, item.frames, item.objects) for item in scores.slices] == [
        ("overall", 12, 12),
        ("weather=clear", 4, 4),
        ("weather=rainy", 4, 4),
        ("weather=foggy", 4, 4),
    ]
    assert [item.before for item in scores.slices] == [item.after for item in scores.slices] == [1.0] * 4
    assert scores.fallen == []
    require_same_scores(Path("best.pt"), scores)
    assert told[-1] == (24, 24)
    assert scores.summary["slices"]["weather=foggy"]["ap50"] == 1.0


@pytest.mark.parametrize(
    ("file", "fallen"),
    [
        (Reader(blind=(2,)), {"weather=foggy": (1.0, 0.0), "overall": (1.0, 2 / 3)}),
        (Reader(swaps=True), dict.fromkeys(("overall", *(f"weather={w}" for w in WEATHERS)), (1.0, 0.0))),
    ],
    ids=["blind in fog", "classes swapped"],
)
def test_a_file_that_loses_lights_is_named_by_its_slices(file, fallen, catalog):
    scores = score_both(Reader(), file, catalog, by=["weather"])
    assert {item.name: (item.before, pytest.approx(item.after, abs=0.01)) for item in scores.fallen} == fallen
    with pytest.raises(
        WeightsError, match=r"scores lower: AP50 of weather=\w+ 1.0000 -> 0.0000 \(4 lights\)"
    ) as caught:
        require_same_scores(Path("best.pt"), scores)
    assert "do not ship it" in str(caught.value) and "\n" not in str(caught.value)


def test_what_is_allowed_is_told_and_what_is_won_is_no_fall(catalog):
    lost = score_both(Reader(), Reader(blind=(2,)), catalog, by=["weather"], max_drop=1)
    assert lost.fallen == []
    assert any("weather=foggy: AP50 1.0000 -> 0.0000 (4 frames, 4 lights" in line for line in lost.lines())
    won = score_both(Reader(blind=(2,)), Reader(), catalog, by=["weather"], max_drop=0)
    assert won.fallen == []
    assert won.slices[0].drop < 0


def test_an_export_scores_on_the_catalog_and_keeps_it_in_the_file(yolo_checkpoint, catalog, tmp_path, capsys):
    out = tmp_path / "lights.onnx"
    arguments = ["export", str(yolo_checkpoint), "--catalog", str(tmp_path / "catalog"), "--by", "weather"]
    assert main([*arguments, "--out", str(out), "--frames", "2"]) == 0
    told = capsys.readouterr().out
    assert "takes frames of 80x60, RGB; its SHA-256 is in lights.onnx.sha256" in told
    assert "scored like the checkpoint on 12 frames with 12 lights in 4 slices" in told
    assert main(["inspect", str(out)]) == 0
    told = capsys.readouterr().out
    assert "scored when it was made" in told and "weather=foggy: AP50 0.0" in told


def test_a_size_that_no_frame_has_is_refused(yolo_checkpoint, catalog, tmp_path, capsys):
    arguments = ["export", str(yolo_checkpoint), "--frame-size", "96x64", "--out", str(tmp_path / "lights.onnx")]
    assert main([*arguments, "--catalog", str(tmp_path / "catalog")]) == 1
    assert "no frame of 96x64 px to compare on" in capsys.readouterr().err
    assert main([*arguments, "--no-catalog"]) == 0
    told = capsys.readouterr().out
    assert "takes frames of 96x64, RGB" in told
    assert "no real frame was compared" in told and "not scored" in told


def test_an_export_that_scores_lower_leaves_nothing(yolo_checkpoint, catalog, tmp_path, monkeypatch, capsys):
    def worse(*args, **settings) -> SameScores:
        scores = score_both(Reader(), Reader(blind=(1,)), catalog, by=["weather"])
        return replace(scores, summary={})

    monkeypatch.setattr(exporting, "score_both", worse)
    out = tmp_path / "out" / "lights.onnx"
    assert main(["export", str(yolo_checkpoint), "--catalog", str(tmp_path / "catalog"), "--out", str(out)]) == 1
    told = capsys.readouterr().err
    assert "scores lower: AP50 of weather=rainy 1.0000 -> 0.0000 (4 lights)" in told.splitlines()[-1]
    assert list(out.parent.iterdir()) == []
