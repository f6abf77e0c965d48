"""The YOLO files that we write, as the loader of ultralytics takes them: same boxes, and only frames for training."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import polars as pl

from tl_datasets.catalog import Catalog
from tl_datasets.formats.common.write_report import WriteReport
from tl_datasets.formats.yolo_write import write
from tl_detection import ultralytics_door


def test_ultralytics_takes_our_data_yaml(tmp_path: Path, lamp_run_config):
    assert ultralytics_door.DetectionModel is not None  # shut before anything of the library is imported
    from ultralytics.cfg import get_cfg
    from ultralytics.data.dataset import YOLODataset
    from ultralytics.data.utils import check_det_dataset

    lamp_run_config(tmp_path, frames=8)
    catalog = Catalog.open(tmp_path / "catalog")
    # Of the training frames 0, 1, 2, 4, 5, 6 one becomes a negative, one unlabelled, and one was looked at for cars.
    boxes = catalog.annotations.filter(~pl.col("frame_id").is_in(["frame0", "frame1", "frame2"]))
    changed = {"frame1": "unlabelled", "frame2": "partial"}
    status = pl.col("frame_id").replace_strict(changed, default=pl.col("label_status"), return_dtype=pl.String)
    categories = pl.when(pl.col("frame_id") == "frame2").then(["car"]).otherwise("labelled_categories")
    frames = catalog.frames.with_columns(label_status=status, labelled_categories=categories)
    catalog = Catalog(frames, boxes, catalog.roots)
    out = tmp_path / "yolo"
    out.mkdir()
    places = write(catalog, out, report=WriteReport())
    for row, place in enumerate(places):
        (out / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(catalog.image_path(row), out / place)

    data = check_det_dataset(str(out / "data.yaml"), autodownload=False)
    assert data["names"] == {0: "red", 1: "green"}
    seen = {}
    for part in ("train", "val"):
        dataset = YOLODataset(img_path=data[part], data=data, task="detect", augment=False, imgsz=128, hyp=get_cfg())
        for label in dataset.labels:
            seen[Path(label["im_file"]).relative_to(out).as_posix()] = label
    assert sorted(seen) == sorted(place for place in places if "unlabelled" not in place and "partial" not in place)
    assert len(seen) == 6
    for place, label in seen.items():
        row = places.index(place)
        height, width = label["shape"]
        centre, size = label["bboxes"][:, :2] * (width, height), label["bboxes"][:, 2:] * (width, height)
        np.testing.assert_allclose(np.hstack([centre - size / 2, centre + size / 2]), catalog.boxes(row), atol=0.01)
        states = [box.state for box in catalog.frame(row).annotations or ()]
        assert [data["names"][int(number)] for number in label["cls"].ravel()] == states
    assert len(seen["images/train/frame0.png"]["bboxes"]) == 0
