"""MLflow as a second place for what `metrics.jsonl` holds. Only this file imports it, and only where it is asked for.

The package is no dependency. Nothing is reported to its makers. A store that does not answer costs a line in the log
and some seconds an epoch: what it missed is sent when it answers again, after a resume as well. MLflow cannot take a
value back: an epoch that a resumed run does again has both, and shows the later one.
"""

from __future__ import annotations

import importlib
import json
import math
import os
import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from tl_datasets.errors import ConfigError
from tl_datasets.images import write_whole
from tl_detection.config import RunConfig
from tl_detection.run_dir import RunDir
from tl_detection.training.metrics import scalars

# mlflow.utils.validation of MLflow 3.
MAX_KEY_CHARS, MAX_PARAM_CHARS, MAX_TAG_CHARS = 250, 6000, 5000
MAX_PARAMS_AT_ONCE, MAX_METRICS_AT_ONCE = 100, 1000
_SCHEMES = ("sqlite", "http", "https", "file")
# By default a request is tried for four minutes: too long for GPUs to wait, and a later epoch tries again.
_PATIENCE = {"MLFLOW_HTTP_REQUEST_TIMEOUT": "10", "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2"}
_NO_REPORTS = {"MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
_STATUS = {"finished": "FINISHED", "stopped early": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}
_ARTIFACTS = ("config.yaml", "environment.json", "metrics.jsonl", "result.json")

Status = Literal["finished", "stopped early", "failed", "interrupted"]


def import_mlflow(uri: str) -> Any:
    """Check the tracking URI and import MLflow with its reports to its makers switched off.

    Raises:
        ConfigError: The URI is none that is supported, or the package is missing.
    """
    _check_uri(uri)
    os.environ.update(_NO_REPORTS)
    for name, value in _PATIENCE.items():
        os.environ.setdefault(name, value)
    if is_file_store(uri):
        # From 3.13 on MLflow refuses such a store otherwise.
        os.environ.setdefault("MLFLOW_ALLOW_FILE_STORE", "true")
    try:
        return importlib.import_module("mlflow")
    except ImportError as error:
        raise ConfigError(
            "track.mlflow", [f"{uri} needs the package mlflow ({error}); pip install mlflow, or set track.mlflow=null"]
        ) from error


def is_file_store(uri: str) -> bool:
    """Whether the store is a plain folder, which MLflow keeps for old data only."""
    return urlsplit(uri).scheme == "file"


def _check_uri(uri: str) -> None:
    parts = urlsplit(uri)
    if parts.scheme not in _SCHEMES:
        raise ConfigError(
            "track.mlflow",
            [
                f"'{_without_password(uri)}' has the scheme '{parts.scheme}', expected {', '.join(_SCHEMES)}, such as "
                "sqlite:///mlflow.db or http://host:5000; another database is reached through `mlflow server`"
            ],
        )
    if parts.password is not None:
        raise ConfigError(
            "track.mlflow",
            [
                f"'{_without_password(uri)}' holds a password, which every copy of the configuration would show; take "
                "it out and set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD"
            ],
        )
    if parts.scheme in {"http", "https"} and not parts.hostname:
        raise ConfigError("track.mlflow", [f"'{uri}' names no host; expected such as http://host:5000"])


def _without_password(uri: str) -> str:
    return re.sub(r":[^:/@]*@", ":***@", uri)


class MlflowSink:
    """One run of MLflow.

    Its id lies in `mlflow.json` of the run folder, with what it has got, so that a resumed run goes on with it.
    """

    def __init__(self, run: RunDir, config: RunConfig, uri: str, tags: Mapping[str, str]):
        self._run, self._config, self._uri, self._tags = run, config, uri, tags
        self._mlflow = import_mlflow(uri)
        self._is_open = False
        self._known = self._read_known()

    def epoch(self, row: Mapping[str, Any]) -> None:
        """Send the measures of an epoch, and before them those of the epochs that could not be sent."""
        self._open()
        for missed in self._unsent(row["epoch"]):
            self._send(missed)
        self._send(row)

    def close(self, status: Status) -> None:
        """Send what is left and the files of the run, and end it; the process is free for another run in any case."""
        try:
            self._open()
            for missed in self._unsent(None):
                self._send(missed)
            self._mlflow.set_tags({"tl.status": status})
            self._send_files()
        finally:
            if self._is_open:
                self._is_open = False
                self._mlflow.end_run(_STATUS[status])

    def _open(self) -> None:
        if not self._is_open:
            self._mlflow.set_tracking_uri(self._uri)
            self._mlflow.set_experiment(self._config.name)
            known = self._known["run_id"]
            active = self._mlflow.start_run(run_id=known) if known else self._mlflow.start_run(run_name=self._run_name)
            self._is_open = True
            self._remember(run_id=active.info.run_id)
            self._mlflow.set_tags({key: _cut(value, MAX_TAG_CHARS) for key, value in self._tags.items()})
        if not self._known["described"]:
            # A parameter is written once and for all: a resumed run has them.
            params = list(flat_params(self._config.model_dump(mode="json")).items())
            for start in range(0, len(params), MAX_PARAMS_AT_ONCE):
                self._mlflow.log_params(dict(params[start : start + MAX_PARAMS_AT_ONCE]))
            self._remember(described=True)

    @property
    def _run_name(self) -> str:
        return self._run.path.name

    def _send(self, row: Mapping[str, Any]) -> None:
        metrics = list(flat_metrics(row).items())
        for start in range(0, len(metrics), MAX_METRICS_AT_ONCE):
            self._mlflow.log_metrics(dict(metrics[start : start + MAX_METRICS_AT_ONCE]), step=row["epoch"])
        self._remember(sent=row["epoch"])

    def _send_files(self) -> None:
        for name in _ARTIFACTS:
            if (self._run.path / name).is_file():
                self._mlflow.log_artifact(str(self._run.path / name))
        for path in sorted((self._run.path / "evaluation").glob("*")):
            self._mlflow.log_artifact(str(path), "evaluation")

    def _unsent(self, before: int | None) -> list[dict[str, Any]]:
        """Rows of `metrics.jsonl` behind the last that was sent, up to an epoch."""
        if before is not None and self._known["sent"] >= before - 1:
            return []
        if not self._run.metrics_path.exists():
            return []
        rows = [json.loads(line) for line in self._run.metrics_path.read_text(encoding="utf-8").splitlines()]
        return [row for row in rows if row["epoch"] > self._known["sent"] and (before is None or row["epoch"] < before)]

    @property
    def _known_path(self) -> Path:
        return self._run.path / "mlflow.json"

    def _read_known(self) -> dict[str, Any]:
        fresh = {"uri": self._uri, "run_id": None, "described": False, "sent": -1}
        try:
            known = json.loads(self._known_path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return fresh
        # Another store knows nothing of the run.
        return (
            known if isinstance(known, dict) and known.keys() == fresh.keys() and known["uri"] == self._uri else fresh
        )

    def _remember(self, **what: Any) -> None:
        self._known |= what
        write_whole(self._known_path, json.dumps(self._known, indent=2) + "\n")


def flat_params(values: Mapping[str, Any]) -> dict[str, str]:
    """A configuration as MLflow takes it: dotted keys and texts, each cut to its limit; lists stay whole, as JSON."""
    flat: dict[str, str] = {}
    for key, value in _leaves(values):
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        flat[_unique(_key(key), flat)] = _cut(text, MAX_PARAM_CHARS)
    return flat


def flat_metrics(row: Mapping[str, Any]) -> dict[str, float]:
    """The finite numbers of an epoch's row, under keys that MLflow takes."""
    flat: dict[str, float] = {}
    for key, value in scalars(row):
        if math.isfinite(value):
            flat[_unique(_key(key), flat)] = value
    return flat


def _leaves(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in values.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _key(key: str) -> str:
    """A key of the characters that MLflow allows, and no path that could mean another."""
    allowed = re.sub(r"[^\w./ -]", "_", key, flags=re.ASCII)
    return _cut(posixpath.normpath(allowed).lstrip("/."), MAX_KEY_CHARS) or "_"


def _unique(key: str, taken: Mapping[str, Any]) -> str:
    """The key, or with a number where two names became one."""
    number, unique = 1, key
    while unique in taken:
        number += 1
        ending = f"_{number}"
        unique = key[: MAX_KEY_CHARS - len(ending)] + ending
    return unique


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."
