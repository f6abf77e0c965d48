"""A small network with start values, its file, and the tool that builds such networks."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tl_datasets.label_space import LabelSpace
from tl_detection.benchmark.frames import collect_frames

TOOL = Path(__file__).resolve().parents[3] / "tools" / "benchmark_export.py"


@pytest.fixture(scope="session")
def tool() -> ModuleType:
    spec = importlib.util.spec_from_file_location("benchmark_export", TOOL)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["benchmark_export"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def exported(tool, tmp_path_factory) -> tuple[Path, Path]:
    """A checkpoint and its file, 128x96."""
    folder = tmp_path_factory.mktemp("exported")
    frame = collect_frames((256, 144), None, None).images[0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tool, "SQUARE", (128, 96))
        patch.setattr(tool, "FRAME_SIZE", (256, 144))
        patch.setattr(tool, "CANDIDATES", 20)
        module, model = tool.fresh_network("yolo11n", frame, 1)
        space = LabelSpace.model_validate({"classes": {name: {"state": name} for name in tool.CLASSES}})
        return tool.export_file(folder, module, model, space, (128, 96))


@pytest.fixture
def frames_file(tmp_path: Path) -> Path:
    path = tmp_path / "frames.npy"
    np.save(path, np.arange(3 * 4 * 6 * 3, dtype=np.uint8).reshape(3, 4, 6, 3))
    return path
