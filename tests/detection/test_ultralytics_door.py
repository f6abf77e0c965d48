"""Nothing is tried on the network, and the process is left as it was. In subprocesses: the import is the subject."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

# Stands before everything: what would leave the machine, or start a program, is refused and counted.
SPIES = """
import json, os, socket, subprocess, sys, urllib.request
attempts, programs = [], []

def refuse(name):
    def spy(*args, **kwargs):
        attempts.append(f"{name} {args[1:2] or args[:1]}")
        raise OSError("closed network")
    return spy

class Socket(socket.socket):
    connect = refuse("connect")
    connect_ex = refuse("connect_ex")
    sendto = refuse("sendto")

class Popen(subprocess.Popen):
    def __init__(self, args, *rest, **kwargs):
        programs.append(args if isinstance(args, str) else " ".join(map(str, args)))
        super().__init__(args, *rest, **kwargs)

socket.socket = Socket
socket.create_connection = refuse("create_connection")
socket.getaddrinfo = refuse("getaddrinfo")
socket.gethostbyname = refuse("gethostbyname")
urllib.request.urlopen = refuse("urlopen")
subprocess.Popen = Popen
"""

ROAD = """
from pathlib import Path
import numpy as np
from tl_detection.config import RunConfig
from tl_detection.detectors.load import load_detector
from tl_detection.training.train import train

config = RunConfig.model_validate(json.loads(sys.argv[1]))
run = train(config)
found = load_detector(run.path, device="cpu").detect([np.zeros((64, 128, 3), np.uint8)])
done = len(found) == 1 and run.best.is_file()

seen = []
for attempt in (
    lambda: socket.create_connection(("example.org", 80)),
    lambda: socket.socket().connect(("192.0.2.1", 80)),
    lambda: subprocess.run([sys.executable, "-c", ""]),
):
    before = len(attempts) + len(programs)
    try:
        attempt()
    except OSError:
        pass
    seen.append(len(attempts) + len(programs) - before)
print(json.dumps({"done": done, "attempts": attempts[:-2], "programs": programs[:-1], "seen": seen,
                  "key": os.environ.get("ULTRALYTICS_API_KEY")}))
"""


def run_python(code: str, *args: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("YOLO", "ULTRA", "NO_ALB"))}
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), *args],
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**inherited, "OMP_NUM_THREADS": "1", **environment},
        timeout=300,
        check=False,
    )


def test_nothing_is_tried_on_the_network(tmp_path: Path, lamp_run_config):
    config = lamp_run_config(tmp_path, frames=2, epochs=1, batch_size=2)
    home = tmp_path / "home"
    home.mkdir()
    home.chmod(0o500)  # a read-only home is no obstacle
    result = run_python(
        SPIES + ROAD,
        config.model_dump_json(),
        cwd=tmp_path,
        HOME=str(home),
        ULTRALYTICS_API_KEY="ul_" + "0" * 40,
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["done"]
    assert told["attempts"] == []
    started = {Path(program.split()[0]).name for program in told["programs"]}
    assert started <= {"git", "uname", "ldconfig"}, "more than questions to this machine was started"
    assert told["seen"] == [1, 1, 1], "the spies do not see an attempt"
    assert told["key"] is None
    assert "ULTRALYTICS_API_KEY is set: it is not used" in next(tmp_path.glob("runs/*/*/log.txt")).read_text()
    assert list(home.iterdir()) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == ["catalog", "home", "images", "runs"]


def test_the_process_is_left_as_it_was(tmp_path: Path):
    result = run_python(
        """
        import json, os, sys
        import cv2, numpy, torch
        os.environ.pop("OMP_NUM_THREADS")
        cv2.setNumThreads(3)
        state = lambda: (torch.save, cv2.getNumThreads(), numpy.get_printoptions()["linewidth"], set(os.environ))
        before = state()
        import tl_detection.ultralytics_door
        from ultralytics import utils
        after = state()
        assert after[:3] == before[:3], (before, after)
        print(json.dumps({
            "new": sorted(after[3] - before[3]),
            "online": utils.ONLINE, "autoinstall": utils.AUTOINSTALL, "safe": utils.SAFE_LOAD,
            "sync": utils.SETTINGS["sync"], "on": [k for k, v in utils.SETTINGS.items() if v is True],
            "folder": os.environ["YOLO_CONFIG_DIR"],
        }))
        """,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout)
    assert told["new"] == [
        "NO_ALBUMENTATIONS_UPDATE",
        "ULTRALYTICS_SAFE_LOAD",
        "YOLO_AUTOINSTALL",
        "YOLO_CONFIG_DIR",
        "YOLO_OFFLINE",
        "YOLO_VERBOSE",
    ]
    assert (told["online"], told["autoinstall"], told["safe"], told["sync"]) == (False, False, True, False)
    assert not {"clearml", "comet", "dvc", "mlflow", "raytune", "tensorboard", "wandb"} & set(told["on"])
    assert not Path(told["folder"]).exists(), "the temporary settings folder was left behind"


BESIDE = """
from pathlib import Path
import numpy as np
import onnxruntime
import torch
from tl_detection import ultralytics_door as door
from tl_detection.detectors.yolo import build_yolo

model = {"architecture": "yolo11n", "width_px": 64, "height_px": 64, "max_detections": 10}
path = Path("own.pt")
door.write_weights(build_yolo(model, 2), ("red", "green"), path)
file, simplified = door.export_onnx(path, 64, 96, end_to_end=False)
door.limit_threads(2)
seen = []
for each in (path, file):
    yolo = door.yolo_class()(str(each), task="detect")
    found = yolo.predict(np.zeros((48, 64, 3), np.uint8), imgsz=(96, 64), conf=0.001, device="cpu", verbose=False)[0]
    seen.append(found.names)
options = yolo.predictor.model.backend.session.get_session_options()
shape = onnxruntime.InferenceSession(str(file)).get_inputs()[0].shape
print(json.dumps({"attempts": attempts, "programs": programs, "seen": seen, "shape": shape, "simplified": simplified,
                  "threads": [torch.get_num_threads(), options.intra_op_num_threads]}))
"""


def test_its_own_files_are_made_and_run_without_network(tmp_path: Path):
    result = run_python(SPIES + BESIDE, cwd=tmp_path)
    assert result.returncode == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["attempts"] == []
    started = {Path(program.split()[0]).name for program in told["programs"]}
    assert started <= {"git", "uname", "ldconfig", "lscpu"}, "more than questions to this machine was started"
    assert told["seen"] == [{"0": "red", "1": "green"}] * 2
    assert told["shape"] == [1, 3, 96, 64]
    assert told["threads"] == [2, 2]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["own.onnx", "own.pt"]


def test_training_keeps_the_cores(tmp_path: Path, lamp_run_config):
    # ultralytics leaves torch all cores but one, counted from the machine: with two of them, half.
    config = lamp_run_config(tmp_path, frames=2, epochs=1, batch_size=2)
    result = run_python(
        """
        import json, sys, torch
        from tl_detection.config import RunConfig
        from tl_detection.training.train import train
        import tl_detection.ultralytics_door
        from ultralytics.utils import torch_utils
        torch_utils.NUM_THREADS = 1
        torch.set_num_threads(3)
        train(RunConfig.model_validate(json.loads(sys.argv[1])))
        print(torch.get_num_threads())
        """,
        config.model_dump_json(),
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == "3"


def test_an_open_ultralytics_is_refused(tmp_path: Path):
    stub = tmp_path / "ultralytics"
    stub.mkdir()
    (stub / "__init__.py").write_text("from ultralytics import utils")
    (stub / "utils.py").write_text("ONLINE, AUTOINSTALL, SAFE_LOAD = True, True, False")
    result = run_python("import ultralytics\nimport tl_detection.ultralytics_door", cwd=tmp_path)
    assert result.returncode == 1
    assert "UsageError: ultralytics was imported before" in result.stderr


def test_the_rest_of_the_house_is_free_of_it(tmp_path: Path):
    result = run_python(
        """
        import sys
        import tl_datasets.torch_dataset, tl_detection.detectors.faster_rcnn, tl_detection.detectors.load
        import tl_detection.detectors.onnx, tl_detection.evaluation.report, tl_detection.training.faster_rcnn
        print("ultralytics" in sys.modules)
        """,
        cwd=tmp_path,
    )
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == "False"


def test_a_broken_image_stays_an_image_error(tmp_path):
    # ultralytics replaces PIL's open by one that asks for another package when a file does not open.
    from tl_datasets.errors import ImageError
    from tl_datasets.images import probe_image
    from tl_detection import ultralytics_door

    assert ultralytics_door.DetectionModel is not None
    (tmp_path / "broken.jpg").write_bytes(b"no image")
    with pytest.raises(ImageError, match="does not open as an image"):
        probe_image(tmp_path / "broken.jpg")
