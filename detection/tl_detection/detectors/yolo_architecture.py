"""Architectures of YOLO: those that ultralytics ships, ours beside them, and YAML files of the user.

ultralytics builds a network by looking the words of a description up among all that its own module knows, and by
running one of them as a program; some layers that it knows would read files or download weights. So a description is
data here: only known layers, numbers and a few words pass, whether it comes from a file or from a checkpoint.
"""

from __future__ import annotations

import difflib
import math
import re
from functools import cache
from pathlib import Path
from typing import Any

from tl_datasets.errors import AnnotationError, ConfigError, show
from tl_datasets.parsing import load_yaml
from tl_detection.ultralytics_door import MODELS_FOLDER

OWN_FOLDER = Path(__file__).resolve().parents[1] / "architectures"

_HEADS = ("Detect", "v10Detect")
# Those of the detectors that ultralytics ships, and their nearest kin. All of them take numbers alone.
# fmt: off
_LAYERS = (
    "Conv", "DWConv", "GhostConv", "Focus", "SCDown", "AConv", "ADown", "Concat", "Bottleneck", "C2", "C2f", "C2fCIB",
    "C2fPSA", "C2PSA", "C3", "C3x", "C3Ghost", "C3k2", "A2C2f", "RepC3", "RepNCSPELAN4", "ELAN1", "PSA", "SPP", "SPPF",
    "SPPELAN", "CBLinear", "CBFuse", "HGStem", "HGBlock", "nn.Upsample", "nn.MaxPool2d", "nn.ConvTranspose2d",
    "nn.Identity", "nn.ZeroPad2d",
)
_KEYS = (
    "nc", "scale", "scales", "depth_multiple", "width_multiple", "reg_max", "end2end", "activation", "backbone", "head",
)
# fmt: on
_WORDS = ("None", "nearest", "bilinear")
_ACTIVATION = re.compile(r"(torch\.)?nn\.(SiLU|ReLU|ReLU6|LeakyReLU|GELU|Hardswish|Mish|ELU)\((\d+(\.\d+)?)?\)")
_MOST_LAYERS, _MOST_REPEATS, _MOST_CHANNELS = 300, 100, 8192


def architecture_config(name: str) -> dict[str, Any]:
    """The description of an architecture at one size, JSON values only.

    Args:
        name: Such as yolo26n, yolo26n-p2, yolo11s, yolo11m-p2; or the path of a YAML file. Of a file with several sizes
            the letter in its name counts, such as in my_yolo11s.yaml, or its own word `scale`.

    Raises:
        ConfigError: There is none, and near names are listed; or a file holds what no architecture needs.
    """
    if name.endswith((".yaml", ".yml")):
        return _of_file(Path(name))
    stem, scale = _stem_and_scale(name)
    if stem is not None:
        config = load_yaml(_architecture_files()[stem])
        scales = config.get("scales") or {}
        is_sized = (scale in scales) if scale else (not scales or len(scales) == 1)
        if is_sized and config["head"][-1][2] in _HEADS:
            return check_architecture({**config, "scale": scale or next(iter(scales), "")}, name)
    near = difflib.get_close_matches(name, architectures(), n=5, cutoff=0.5)
    listed = ", ".join(near or ("yolo26n", "yolo26n-p2", "yolo11n"))
    raise ConfigError("model.architecture", [f"'{name}' is no known detector; near names: {listed}"])


@cache
def architectures() -> tuple[str, ...]:
    """Names of all detectors that can be built without a file, with their size letters."""
    names = []
    for stem, file in _architecture_files().items():
        config = load_yaml(file)
        if config["head"][-1][2] not in _HEADS:
            continue
        scales = list(config.get("scales") or {})
        unsized = re.fullmatch(r"(yolov?\d+)(-.+)?", stem)
        if unsized and len(scales) > 1:
            names += [f"{unsized[1]}{scale}{unsized[2] or ''}" for scale in scales]
        else:
            names.append(stem)
    return tuple(names)


@cache
def _architecture_files() -> dict[str, Path]:
    return {file.stem: file for folder in (MODELS_FOLDER, OWN_FOLDER) for file in sorted(folder.rglob("*.yaml"))}


def _stem_and_scale(name: str) -> tuple[str | None, str | None]:
    files = _architecture_files()
    scaled = re.fullmatch(r"(yolov?\d+)([nslmx])(-.+)?", name)
    if name in files:
        return name, None
    if scaled and scaled[1] + (scaled[3] or "") in files:
        return scaled[1] + (scaled[3] or ""), scaled[2]
    return None, None


def _of_file(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(
            "model.architecture",
            [f"{path}: no such file; expected a YAML file, or a name without .yaml, such as {path.stem or 'yolo26n'}"],
        )
    try:
        config = load_yaml(path)
    except AnnotationError as error:
        raise ConfigError("model.architecture", [str(error)]) from error
    if not isinstance(config, dict):
        raise ConfigError(str(path), [f"holds a {type(config).__name__}, expected a mapping with backbone and head"])
    scales = config.get("scales")
    if isinstance(scales, dict) and "scale" not in config:
        letter = re.search(r"yolov?\d+([nslmx])", path.stem)
        scale = letter[1] if letter else next(iter(scales)) if len(scales) == 1 else None
        if scale not in scales:
            raise ConfigError(
                str(path),
                [f"scales: has {', '.join(map(str, scales))}, and nothing says which; add a line such as scale: n"],
            )
        config = {**config, "scale": scale}
    return check_architecture(config, str(path))


def check_architecture(config: Any, where: str) -> dict[str, Any]:
    """Check a description, and give what a network is built from.

    Args:
        config: In ultralytics' words; not changed.
        where: Named in the error.

    Returns:
        The description with the chosen size alone.

    Raises:
        ConfigError: Lists every fault with its dotted key: an unknown word or layer, or an argument that is no number.
    """
    if not isinstance(config, dict):
        raise ConfigError(where, [f"{show(config)}, expected a description with backbone and head"])
    faults = [
        f"{show(key)}: unknown, expected one of {', '.join(_KEYS)}; remove it" for key in config if key not in _KEYS
    ]
    scale, scales = config.get("scale") or "", config.get("scales")
    faults += _faults_of_numbers(config) + _faults_of_scale(scale, scales)
    layers = []
    for part in ("backbone", "head"):
        if isinstance(config.get(part), list) and config[part]:
            layers += [(f"{part}.{number}", layer) for number, layer in enumerate(config[part])]
        else:
            faults.append(f"{part}: {show(config.get(part))}, expected a list of layers")
    if len(layers) > _MOST_LAYERS:
        faults.append(f"{len(layers)} layers, expected at most {_MOST_LAYERS}")
    else:
        for number, (key, layer) in enumerate(layers):
            faults += _faults_of_layer(key, layer, number, is_last=number == len(layers) - 1)
    if faults:
        raise ConfigError(where, faults)
    kept = {key: config[key] for key in _KEYS if key in config}
    return kept | ({"scale": scale, "scales": {scale: scales[scale]}} if scales else {"scale": ""})


def _faults_of_numbers(config: dict[str, Any]) -> list[str]:
    faults = []
    for key, least, most in (("nc", 1, 100_000), ("reg_max", 1, 64)):
        value = config.get(key, 1)
        if not _is_integer(value) or not least <= value <= most:
            faults.append(f"{key}: {show(value)}, expected a whole number from {least} to {most}")
    faults += [
        f"{key}: {show(config[key])}, expected a number above 0, at most 10"
        for key in ("depth_multiple", "width_multiple")
        if not _is_factor(config.get(key, 1.0))
    ]
    if not isinstance(config.get("end2end", False), bool):
        faults.append(f"end2end: {show(config['end2end'])}, expected true or false")
    activation = config.get("activation")
    if activation is not None and not (isinstance(activation, str) and _ACTIVATION.fullmatch(activation)):
        faults.append(
            f"activation: {show(activation)}, expected such as nn.SiLU(), nn.ReLU(), nn.LeakyReLU(0.1), nn.GELU()"
        )
    return faults


def _faults_of_scale(scale: Any, scales: Any) -> list[str]:
    if not scales:
        return []
    if not isinstance(scales, dict) or not isinstance(scale, str) or scale not in scales:
        return [f"scale: {show(scale)}, expected one of the sizes under scales"]
    value: Any = scales[scale]
    if isinstance(value, list) and len(value) == 3 and all(map(_is_factor, value[:2])):
        channels: Any = value[2]
        if _is_integer(channels) and 0 < channels <= _MOST_CHANNELS:
            return []
    return [f"scales.{scale}: {show(value)}, expected depth and width above 0, and the most channels"]


def _faults_of_layer(key: str, layer: Any, number: int, *, is_last: bool) -> list[str]:
    if not isinstance(layer, list) or len(layer) != 4:
        return [f"{key}: {show(layer)}, expected [from, repeats, layer, arguments]"]
    source, repeats, name, arguments = layer
    faults = []
    sources: list[Any] = source if isinstance(source, list) and source else [source]
    # The first layer has the image alone, which is written -1.
    if not all(_is_integer(value) and -max(number, 1) <= value < max(number, 0) for value in sources):
        faults.append(f"{key}: takes {show(source)}, expected -1 or numbers of layers before it")
    if not _is_integer(repeats) or not 1 <= repeats <= _MOST_REPEATS:
        faults.append(f"{key}: {show(repeats)} repeats, expected 1 to {_MOST_REPEATS}")
    known = _HEADS if is_last else _LAYERS
    if not isinstance(name, str) or name not in known:
        near = difflib.get_close_matches(str(name), known, n=3) or known[:5]
        faults.append(f"{key}: {show(name)} is no layer that may stand here; expected such as {', '.join(near)}")
    elif is_last and arguments != ["nc"]:
        faults.append(f"{key}: {show(arguments)}, expected [nc]: the classes are those of the label space")
    elif not isinstance(arguments, list) or not (is_last or all(map(_is_argument, arguments))):
        faults.append(f"{key}: arguments {show(arguments)}, expected a list of numbers, true, false, null or 'nearest'")
    return faults


def _is_argument(value: Any) -> bool:
    if isinstance(value, list):
        return len(value) <= 16 and all(_is_integer(item) and -1 <= item <= _MOST_CHANNELS for item in value)
    if isinstance(value, str):
        return value in _WORDS
    if isinstance(value, float):
        return math.isfinite(value) and 0 <= value <= _MOST_CHANNELS
    return value is None or isinstance(value, bool) or (isinstance(value, int) and -1 <= value <= _MOST_CHANNELS)


def _is_integer(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_factor(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 < value <= 10
