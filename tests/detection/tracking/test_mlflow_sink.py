"""MLflow as a second place, with a stand-in that keeps MLflow 3's rules and refuses what it refuses."""

from __future__ import annotations

import json
import logging
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from tl_datasets.errors import ConfigError
from tl_datasets.images import write_whole
from tl_detection.config import RunConfig
from tl_detection.run_dir import RunDir
from tl_detection.tracking.mlflow_sink import MAX_KEY_CHARS, MAX_PARAM_CHARS, flat_metrics, flat_params
from tl_detection.tracking.tracker import Tracker, check_tracking

VARIABLES = (
    *("MLFLOW_DISABLE_TELEMETRY", "DO_NOT_TRACK", "MLFLOW_HTTP_REQUEST_TIMEOUT", "MLFLOW_HTTP_REQUEST_MAX_RETRIES"),
    "MLFLOW_ALLOW_FILE_STORE",
)


class MlflowException(Exception):  # noqa: N818
    pass


class FakeMlflow(ModuleType):
    """The part of `mlflow` that is used: its store outlives a process, the active run does not."""

    def __init__(self):
        super().__init__("mlflow")
        self.runs: dict[str, dict[str, Any]] = {}
        self.is_down = False
        self.param_calls = 0
        self.uri = self.experiment = self.active = None

    def set_tracking_uri(self, uri: str) -> None:
        self.uri = uri

    def set_experiment(self, name: str) -> None:
        self._answer()
        self.experiment = name

    def start_run(self, run_id: str | None = None, run_name: str | None = None) -> SimpleNamespace:
        self._answer()
        if self.active is not None:
            raise Exception(f"Run with UUID {self.active} is already active.")
        if run_id is None:
            run_id = f"{len(self.runs):032x}"
            empty = {"params": {}, "tags": {}, "metrics": [], "artifacts": {}}
            self.runs[run_id] = {"name": run_name, "experiment": self.experiment, **empty}
        elif run_id not in self.runs:
            raise MlflowException(f"Run '{run_id}' not found")
        self.runs[run_id]["status"] = "RUNNING"
        self.active = run_id
        return SimpleNamespace(info=SimpleNamespace(run_id=run_id))

    def log_params(self, params: dict[str, Any]) -> None:
        run = self._answer()
        self.param_calls += 1
        if len(params) > 100:
            raise MlflowException(f"A batch logging request can contain at most 100 params. Got {len(params)}")
        for key, value in params.items():
            self._check_key(key)
            if len(str(value)) > 6000:
                raise MlflowException(f"Param value had length {len(value)}, which exceeded length limit of 6000")
            if run["params"].setdefault(key, str(value)) != str(value):
                raise MlflowException(
                    f"Changing param values is not allowed. Param with key='{key}' was already logged"
                )

    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        run = self._answer()
        if len(metrics) > 1000:
            raise MlflowException("A batch logging request can contain at most 1000 metrics")
        for key, value in metrics.items():
            self._check_key(key)
            if not isinstance(value, float):
                raise MlflowException(f"Got invalid value {value} for metric '{key}'")
            run["metrics"].append((step, key, value))

    def set_tags(self, tags: dict[str, str]) -> None:
        run = self._answer()
        for key, value in tags.items():
            self._check_key(key)
            run["tags"][key] = value

    def log_artifact(self, local_path: str, artifact_path: str | None = None) -> None:
        name = Path(local_path).name if artifact_path is None else f"{artifact_path}/{Path(local_path).name}"
        self._answer()["artifacts"][name] = Path(local_path).read_bytes()

    def end_run(self, status: str = "FINISHED") -> None:
        if self.active is not None:
            assert status in {"RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED"}
            run, self.active = self.active, None
            self._answer_of(run)["status"] = status

    def killed(self) -> None:
        """The process is gone, the store is not."""
        self.active = None

    def _answer(self) -> dict[str, Any]:
        return self._answer_of(self.active)

    def _answer_of(self, run: str | None) -> dict[str, Any]:
        if self.is_down:
            raise MlflowException("API request to http://host:5000 failed with exception: Connection refused")
        return self.runs.get(run or "", {})

    @staticmethod
    def _check_key(key: str) -> None:
        is_path = key != os.path.normpath(key) or key == "." or key.startswith(("..", "/"))
        if not re.fullmatch(r"[/\w.\- ]+", key) or is_path or len(key) > 250:
            raise MlflowException(f"Invalid name: '{key}'")


@pytest.fixture(autouse=True)
def own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def mlflow(monkeypatch: pytest.MonkeyPatch) -> FakeMlflow:
    module = FakeMlflow()
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return module


@pytest.fixture
def start(scene, run_config) -> Callable[..., Tracker]:
    """`start(path=None)`: a tracker of a new run, or of one that is resumed."""

    def make(path: Path | None = None, *, strict: bool = True, uri: str = "sqlite:///mlflow.db") -> Tracker:
        config = run_config(mlflow=uri, tensorboard=False, pictures=0)
        run = RunDir.create(config) if path is None else RunDir(path)
        return Tracker(run, config, scene.label_space, path is not None, fingerprint="0123abcd", strict=strict)

    return make


def epoch(tracker: Tracker, number: int, scene) -> None:
    tracker.epoch({"epoch": number, "epochs": 9, "train": {"loss": 1.0 + number}}, None, scene.catalog)


def losses(run: dict[str, Any]) -> list[tuple[int, float]]:
    return [(step, value) for step, key, value in run["metrics"] if key == "train/loss"]


def test_a_run_is_there_with_all_that_describes_it(mlflow, start, scene, run_config):
    with start() as tracker:
        for number in range(2):
            epoch(tracker, number, scene)
        path = tracker._run.path
        (path / "evaluation").mkdir()
        write_whole(path / "evaluation" / "report.json", "{}")
    (run,) = mlflow.runs.values()
    assert (mlflow.uri, run["experiment"], run["name"]) == ("sqlite:///mlflow.db", "lamps", path.name)
    assert losses(run) == [(0, 1.0), (1, 2.0)]
    assert run["params"]["train.lr"] == "0.01" and run["params"]["model.architecture"] == "yolo26n"
    assert run["params"]["data.label_space.classes.red.state"] == '["red"]'
    assert run["params"]["train.clip_norm"] == "10.0" and run["params"]["train.class_weights"] == "null"
    assert run["tags"]["tl.fingerprint"] == "0123abcd" and run["tags"]["tl.status"] == "finished"
    assert run["tags"]["tl.label_space_fingerprint"] == scene.label_space.fingerprint
    assert run["status"] == "FINISHED"
    assert run["artifacts"]["config.yaml"] == (path / "config.yaml").read_bytes()
    assert {"environment.json", "metrics.jsonl", "evaluation/report.json"} <= set(run["artifacts"])


@pytest.mark.parametrize(
    ("error", "status", "word"),
    [
        (None, "FINISHED", "finished"),
        (ValueError, "FAILED", "failed"),
        (KeyboardInterrupt, "KILLED", "interrupted"),
        (SystemExit, "KILLED", "interrupted"),
    ],
)
def test_how_a_run_ended(error, status, word, mlflow, start, scene):
    try:
        with start() as tracker:
            epoch(tracker, 0, scene)
            if error is not None:
                raise error
    except (ValueError, KeyboardInterrupt, SystemExit):
        pass
    (run,) = mlflow.runs.values()
    assert (run["status"], run["tags"]["tl.status"]) == (status, word)


def test_the_first_word_about_the_end_counts(mlflow, start, scene):
    with start() as tracker:
        epoch(tracker, 0, scene)
        tracker.close("stopped early")
    (run,) = mlflow.runs.values()
    assert (run["status"], run["tags"]["tl.status"]) == ("FINISHED", "stopped early")


def test_a_resumed_run_goes_on_with_the_same_one(mlflow, start, scene):
    first = start()
    for number in range(3):
        epoch(first, number, scene)
    mlflow.killed()
    calls = mlflow.param_calls
    first._run.keep_metrics_before(2)
    with start(first._run.path) as second:
        for number in range(2, 4):
            epoch(second, number, scene)
    (run,) = mlflow.runs.values()
    assert calls == mlflow.param_calls > 0  # a parameter that has changed meanwhile, such as a path, would be refused
    # The epoch that was done again has both: nothing can be taken back.
    assert losses(run) == [(0, 1.0), (1, 2.0), (2, 3.0), (2, 3.0), (3, 4.0)]
    assert run["status"] == "FINISHED" and run["tags"]["tl.resumed"] == "true"
    known = json.loads((first._run.path / "mlflow.json").read_text())
    assert mlflow.runs.keys() == {known["run_id"]} and known["sent"] == 3


def test_a_server_that_fails_costs_one_warning_and_gets_everything_later(mlflow, start, scene, caplog):
    tracker = start(strict=False, uri="http://host:5000")
    mlflow.is_down = True
    for number in range(2):
        epoch(tracker, number, scene)
    assert not mlflow.runs
    mlflow.is_down = False
    epoch(tracker, 2, scene)
    mlflow.is_down = True
    epoch(tracker, 3, scene)
    mlflow.is_down = False
    tracker.close("finished")
    (run,) = mlflow.runs.values()
    assert losses(run) == [(number, 1.0 + number) for number in range(4)]
    assert run["params"] and run["status"] == "FINISHED"
    assert len((tracker._run.metrics_path).read_text().splitlines()) == 4
    warnings = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text.partition(",")[0] for text in warnings] == ["MLflow failed", "MLflow failed 3 times"]
    assert "Connection refused" in warnings[0]


def test_a_server_that_never_answers_does_not_change_how_the_run_ends(mlflow, start, scene):
    mlflow.is_down = True
    with pytest.raises(ValueError, match="of the training"), start(strict=False) as tracker:
        epoch(tracker, 0, scene)
        raise ValueError("of the training")
    assert len(tracker.faults.reasons["MLflow"]) == 2


def test_a_server_that_fails_at_the_end_leaves_room_for_the_next_run(mlflow, start, scene):
    with start(strict=False) as tracker:
        epoch(tracker, 0, scene)
        mlflow.is_down = True
    assert len(tracker.faults.reasons["MLflow"]) == 1
    mlflow.is_down = False
    with start() as following:
        epoch(following, 0, scene)
    assert [run["status"] for run in mlflow.runs.values()] == ["RUNNING", "FINISHED"]


def test_another_store_gets_a_run_of_its_own(mlflow, start, scene):
    with start() as first:
        epoch(first, 0, scene)
    with start(first._run.path, uri="sqlite:///other.db") as second:
        epoch(second, 1, scene)
    old, new = mlflow.runs.values()
    assert losses(old) == [(0, 1.0)]
    assert losses(new) == [(0, 1.0), (1, 2.0)] and new["params"]


def test_a_damaged_note_about_the_run_begins_another(mlflow, start, scene):
    with start() as first:
        epoch(first, 0, scene)
    (first._run.path / "mlflow.json").write_text('{"run_id"')
    with start(first._run.path) as second:
        epoch(second, 1, scene)
    assert len(mlflow.runs) == 2


def test_a_missing_package_is_said_before_the_run(run_config, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(ConfigError, match=r"track\.mlflow: sqlite:///mlflow\.db needs the package.*pip install mlflow"):
        check_tracking(run_config(mlflow="sqlite:///mlflow.db"))


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("mlruns", r"'mlruns' has the scheme '', expected sqlite, http, https, file"),
        ("postgresql://host/db", "has the scheme 'postgresql', expected .*`mlflow server`"),
        ("postgresql://me:secret@host/db", r"'postgresql://me:\*\*\*@host/db' has the scheme"),
        ("databricks", "expected sqlite"),
        ("http://me:secret@host:5000", r"'http://me:\*\*\*@host:5000' holds a password.*MLFLOW_TRACKING_PASSWORD"),
        ("http://:5000", "names no host"),
    ],
)
def test_an_address_that_is_not_supported(uri, message, mlflow, run_config):
    with pytest.raises(ConfigError, match=message) as found:
        check_tracking(run_config(mlflow=uri))
    assert "secret" not in str(found.value)


def test_a_folder_as_store_is_used_with_a_warning(mlflow, run_config, caplog):
    check_tracking(run_config(mlflow="sqlite:///mlflow.db"))
    assert not caplog.records and "MLFLOW_ALLOW_FILE_STORE" not in os.environ
    check_tracking(run_config(mlflow="file:///data/mlruns"))
    assert "keeps folders for old data only" in caplog.records[0].getMessage()
    assert os.environ["MLFLOW_ALLOW_FILE_STORE"] == "true"


def test_reports_to_its_makers_are_off_before_it_is_imported(tmp_path, run_config, monkeypatch):
    source = f"import os\nseen = {{name: os.environ.get(name) for name in {VARIABLES[:4]!r}}}\n"
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "mlflow.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path / "modules")
    monkeypatch.delitem(sys.modules, "mlflow", raising=False)
    monkeypatch.setenv("DO_NOT_TRACK", "false")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "99")
    check_tracking(run_config(mlflow="sqlite:///mlflow.db"))
    # What somebody set for the waiting stays.
    assert sys.modules.pop("mlflow").seen == {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "99",
        "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
    }


def test_it_is_imported_only_where_it_is_asked_for(scene, run_config, monkeypatch):
    monkeypatch.setitem(sys.modules, "mlflow", None)
    config = run_config(tensorboard=False, pictures=0)
    check_tracking(config)
    with Tracker(RunDir.create(config), config, scene.label_space, False, strict=True) as tracker:
        epoch(tracker, 0, scene)
    assert not (tracker._run.path / "mlflow.json").exists()


def test_parameters_fit_into_mlflow():
    values = {"a": {"b": 1, "c": [], "d": {}, "e": None, "f": "text"}, "odd: name=1": 2, "odd; name=1": 3, "/x//y": 4}
    flat = flat_params(values | {"long": "x" * 9000, "k" * 400: 1, "k" * 401: 2})
    assert {key: flat[key] for key in ("a.b", "a.c", "a.d", "a.e", "a.f")} == {
        "a.b": "1",
        "a.c": "[]",
        "a.d": "{}",
        "a.e": "null",
        "a.f": "text",
    }
    assert (flat["odd_ name_1"], flat["odd_ name_1_2"], flat["x/y"]) == ("2", "3", "4")
    assert len(flat["long"]) == MAX_PARAM_CHARS and flat["long"].endswith("...")
    assert len(flat) == 11 and max(map(len, flat)) == MAX_KEY_CHARS
    for key in flat:
        FakeMlflow._check_key(key)


def test_measures_fit_into_mlflow(scene):
    from tl_detection.training.metrics import report_row

    row = {"epoch": 3, "epochs": 5, "train": {"loss": 0.5, "bad": float("nan")}, "lr": 1, "broken": ["a", "b"]}
    flat = flat_metrics(row | {"gpu_mem_gb": None, "val": report_row(scene.evaluation().report)})
    assert (flat["train/loss"], flat["lr"], flat["broken"]) == (0.5, 1.0, 2.0)
    assert not flat.keys() & {"train/bad", "epoch", "epochs", "gpu_mem_gb"}
    assert flat["val/by/weather_rainy/frames"] == 2.0
    for key in flat:
        FakeMlflow._check_key(key)


def test_a_real_configuration_fits(run_config):
    config: RunConfig = run_config()
    flat = flat_params(config.model_dump(mode="json"))
    assert len(flat) > 60
    for key in flat:
        FakeMlflow._check_key(key)
