"""The rules that keep the house standing, read from the imports themselves."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
DATASETS = sorted((ROOT / "datasets" / "tl_datasets").rglob("*.py"))
DETECTION = sorted((ROOT / "detection" / "tl_detection").rglob("*.py"))
RUNTIME = sorted((ROOT / "detection" / "runtime" / "tl_runtime").rglob("*.py"))


def imported_modules(path: Path) -> set[str]:
    """First names of everything that a file imports, at its top or inside functions."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            found.add((node.module or "").split(".")[0])
    return found


def files_importing(module: str, files: list[Path]) -> set[str]:
    return {path.relative_to(ROOT).as_posix() for path in files if module in imported_modules(path)}


def test_there_are_files_to_check():
    assert len(DATASETS) > 10
    assert len(DETECTION) > 10


def test_source_roots_are_no_packages():
    assert not (ROOT / "datasets" / "__init__.py").exists()
    assert not (ROOT / "detection" / "__init__.py").exists()


def test_the_runtime_imports_numpy_and_onnxruntime_alone():
    assert len(RUNTIME) >= 3
    for path in RUNTIME:
        assert imported_modules(path) <= {"numpy", "onnxruntime", "tl_runtime", *sys.stdlib_module_names}, path


@pytest.mark.parametrize(
    ("module", "files", "doors"),
    [
        ("tl_detection", DATASETS, set()),
        ("torch", DATASETS, {"datasets/tl_datasets/torch_dataset.py"}),
        ("albumentations", DATASETS + DETECTION, {"datasets/tl_datasets/augment/transforms.py"}),
        ("ultralytics", DATASETS + DETECTION, {"detection/tl_detection/ultralytics_door.py"}),
        ("pycocotools", DATASETS + DETECTION, {"detection/tl_detection/evaluation/pycocotools_backend.py"}),
    ],
    ids=[
        "datasets knows no detector",
        "one torch file",
        "one albumentations door",
        "one ultralytics door",
        "one pycocotools door",
    ],
)
def test_doors(module: str, files: list[Path], doors: set[str]):
    assert files_importing(module, files) == doors


def test_packages_neither_assert_nor_print():
    for path in DATASETS + DETECTION + RUNTIME:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        assert not any(isinstance(node, ast.Assert) for node in ast.walk(tree)), f"{path}: assert"
        is_command = path.name.endswith("_commands.py")
        if not is_command and path.name not in {"commands.py", "cli.py", "command.py"}:
            calls = {
                node.func.id
                for node in ast.walk(tree)
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
            }
            assert "print" not in calls, f"{path}: print"


@pytest.mark.parametrize(
    ("module", "forbidden"),
    [
        ("tl_detection.evaluation.report", ("torch", "ultralytics")),
        ("tl_detection.detectors.onnx", ("torch", "ultralytics", "cv2")),
        ("tl_runtime", ("torch", "ultralytics", "cv2", "polars", "pydantic", "yaml", "onnx")),
        ("tl_detection.detectors.faster_rcnn", ("ultralytics", "albumentations")),
        ("tl_detection.training.faster_rcnn", ("ultralytics",)),
        ("tl_detection.cli", ("torch", "numpy", "polars", "pydantic", "yaml")),
    ],
)
def test_imports_without(module: str, forbidden: tuple[str, ...]):
    code = f"import sys, {module}; print([name for name in {forbidden!r} if name in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
