"""The runtime as a vehicle has it: with numpy and onnxruntime, and nothing else of ours or of others."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[3] / "detection" / "runtime"

IN_VEHICLE = """
import sys

ALLOWED = {"numpy", "onnxruntime", "tl_runtime"} | set(sys.stdlib_module_names)


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in ALLOWED:
            raise ImportError(f"{name} is not in the vehicle")


sys.meta_path.insert(0, Refuse())
import numpy as np
import tl_runtime.command
from tl_runtime import Detector

lights = Detector(sys.argv[1], threads=1)
frame = np.zeros((64, 128, 3), np.uint8)
frame[8:] = 200
result = lights.detect(frame)
print([lights.classes[i].name for i in result.labels], result.xyxy.tolist())
foreign = {name.partition(".")[0] for name in sys.modules} - ALLOWED - set(sys.builtin_module_names) - {"__main__"}
print(sorted(name for name in foreign if not name.startswith(("_", "sitecustomize"))))
"""


def test_numpy_and_onnxruntime_are_all_that_is_imported(vehicle_file):
    result = subprocess.run(
        [sys.executable, "-c", IN_VEHICLE, str(vehicle_file())],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    lights, foreign = result.stdout.splitlines()
    assert lights == "['red', 'light'] [[64.0, 16.0, 80.0, 48.0], [16.0, 8.0, 32.0, 24.0]]"
    assert foreign == "[]"
    assert result.stderr == ""


def run(*command: object, **more) -> subprocess.CompletedProcess[str]:
    # What of ours lies on the path of this process is not on the vehicle's.
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    words = [str(word) for word in command]
    return subprocess.run(words, capture_output=True, text=True, timeout=600, check=False, env=environment, **more)


@pytest.mark.slow
def test_a_vehicle_computer_installs_the_wheel_and_runs_a_file(vehicle_file, tmp_path):
    """Builds the wheel, installs it where there is nothing, and runs `tl-runtime` there."""
    python = tmp_path / "vehicle" / "bin" / "python"
    venv.create(tmp_path / "vehicle", with_pip=True)
    pip = (python, "-m", "pip", "--disable-pip-version-check", "--retries", "1")
    built = run(*pip, "wheel", "--quiet", "--no-deps", "--wheel-dir", tmp_path / "dist", SOURCE)
    if built.returncode and "hatchling" in built.stderr:
        pytest.skip(f"the package index cannot be reached: {built.stderr.strip().splitlines()[-1]}")
    assert built.returncode == 0, built.stderr
    (wheel,) = (tmp_path / "dist").glob("tl_runtime-*.whl")
    assert "tl_runtime/command.py" in zipfile.ZipFile(wheel).namelist()
    installed = run(*pip, "install", "--quiet", wheel)
    if installed.returncode and "No matching distribution" in installed.stderr:
        pytest.skip(f"the package index cannot be reached: {installed.stderr.strip().splitlines()[-1]}")
    assert installed.returncode == 0, installed.stderr
    listed = run(*pip, "list", "--format", "json")
    names = {item["name"].lower().replace("_", "-") for item in json.loads(listed.stdout)} - {"pip", "setuptools"}
    # onnxruntime brings a few of its own; none of them is the trainer's.
    assert {"tl-runtime", "numpy", "onnxruntime"} <= names
    assert not names & {"torch", "torchvision", "ultralytics", "opencv-python", "polars", "pydantic", "tl-perception"}
    path = vehicle_file(frame_size=(64, 32))
    told = run(python.with_name("tl-runtime"), path, "--frames", "20", cwd=tmp_path)
    assert (told.returncode, told.stderr) == (0, ""), told.stderr
    assert told.stdout.splitlines()[-1] == f"{path}: runs here"
    (path.with_name(f"{path.name}.sha256")).unlink()
    refused = run(python.with_name("tl-runtime"), path, cwd=tmp_path)
    assert refused.returncode == 1 and "no hash file" in refused.stderr
