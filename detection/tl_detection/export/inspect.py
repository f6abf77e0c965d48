"""`tl inspect`: what an exported file says of itself, and whether it holds to it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from tl_datasets.errors import WeightsError
from tl_runtime.checksum import hash_file_of, read_bytes, read_hash_file, require_digest, sha256_of
from tl_runtime.contract import Contract, read_contract
from tl_runtime.errors import ModelError
from tl_runtime.session import Session, open_session

_WORST = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Inspection:
    """What was found in a file.

    Attributes:
        path: The file.
        size_bytes: Its size.
        sha256: 64 hex digits.
        is_hashed: Whether a hash file lies beside it; it agrees, or there would be an error.
        contract: What the file says of itself.
        inputs: Name -> type and shape, those that may be overridden included.
        outputs: Name -> type and shape.
        operators: Kind of node -> how many.
        opsets: Domain -> opset; "" is ONNX's own.
    """

    path: Path
    size_bytes: int
    sha256: str
    is_hashed: bool
    contract: Contract
    inputs: dict[str, str]
    outputs: dict[str, str]
    operators: dict[str, int]
    opsets: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Plain values, ready for JSON."""
        return {
            "file": self.path.name,
            "size_bytes": self.size_bytes,
            "sha256": self.sha256,
            "is_hashed": self.is_hashed,
            "inputs": self.inputs,
            "outputs": self.outputs,
            "operators": self.operators,
            "opsets": self.opsets,
            "contract": dict(self.contract.metadata),
        }

    def lines(self) -> list[str]:
        """What a person wants to know."""
        contract, data = self.contract, self.contract.metadata
        width, height = contract.network_size
        frame = "any size" if contract.frame_size is None else "{}x{}".format(*contract.frame_size)
        several = f", {contract.batch} at once" if contract.batch > 1 else ""
        takes = (
            "the network alone" if contract.variant == "raw" else f"frames of {frame}, {contract.color_order}{several}"
        )
        hashed = "as its hash file says" if self.is_hashed else "no hash file beside it: a vehicle refuses it"
        lines = [
            f"{self.path}: contract {data['contract']}, {data['kind']} {data['architecture']}, {data['precision']}, "
            f"{self.size_bytes / 1e6:.1f} MB, {sum(self.operators.values())} nodes, opset {self.opsets.get('', 0)}",
            f"SHA-256 {self.sha256} ({hashed})",
            f"takes {takes}; network {width}x{height}; at most {contract.max_detections} lights",
            *(f"  in   {name}: {what}" for name, what in self.inputs.items()),
            *(f"  out  {name}: {what}" for name, what in self.outputs.items()),
            f"thresholds: {'chosen' if contract.has_thresholds else 'none chosen, the score floor of the trainer'}",
        ]
        for number, item in enumerate(contract.classes):
            shows = " ".join(word for word in (item.state, item.pictogram) if word) or "no single state"
            lines.append(f"  {number} {item.name}: {shows}, group {item.group}, from score {item.threshold:g}")
        lines += [f"{key.replace('_', ' ')}: {data[key]}" for key in _ORIGIN if key in data]
        return [*lines, *_evaluation_lines(data.get("evaluation"))]


_ORIGIN = (
    "license",
    "name",
    "run",
    "epoch",
    "checkpoint_fingerprint",
    "run_fingerprint",
    "catalog_fingerprint",
    "label_space_fingerprint",
)


def inspect(path: Path | str) -> Inspection:
    """Read an exported file, hold it against its hash file, the ONNX standard and its own contract.

    Raises:
        WeightsError: It is missing, foreign, damaged, not the one that was hashed, or does not hold to its contract.
    """
    path = Path(path)
    try:
        data = read_bytes(path)
        is_hashed = hash_file_of(path).exists()
        if is_hashed:
            require_digest(path, data, read_hash_file(path))
        session = open_session(path, data, None, None)
        contract = read_contract(session.get_modelmeta().custom_metadata_map, str(path))
        if contract.variant == "detector":
            Session(path)
    except ModelError as error:
        raise WeightsError(str(error)) from error
    model = onnx.load_model_from_string(data)
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        reason = str(error).splitlines()[0]
        raise WeightsError(f"{path}: breaks the ONNX standard ({reason}); export it again with: tl export") from error
    inputs = {node.name: _form(node) for node in session.get_inputs()}
    inputs |= {node.name: f"{_form(node)}, may be overridden" for node in session.get_overridable_initializers()}
    return Inspection(
        path=path,
        size_bytes=len(data),
        sha256=sha256_of(data),
        is_hashed=is_hashed,
        contract=contract,
        inputs=inputs,
        outputs={node.name: _form(node) for node in session.get_outputs()},
        operators=dict(sorted(Counter(node.op_type for node in model.graph.node).items())),
        opsets={item.domain: item.version for item in model.opset_import},
    )


def _form(node: Any) -> str:
    kind = node.type.removeprefix("tensor(").removesuffix(")")
    return f"{kind} ({', '.join(str(side) for side in node.shape)})"


def _evaluation_lines(evaluation: Any) -> list[str]:
    """The evaluation in the metadata, the worst slices first; what is damaged is left out."""
    if not isinstance(evaluation, dict):
        return ["not scored when it was made"]
    rows = [("overall", evaluation.get("overall")), *dict(evaluation.get("slices") or {}).items()]
    known = [(name, row) for name, row in rows if isinstance(row, dict) and isinstance(row.get("ap50"), float | int)]
    worst = sorted(known[1:], key=lambda item: item[1]["ap50"])[:_WORST]
    lines = [f"scored when it was made, on catalog {evaluation.get('catalog_fingerprint')}:"]
    for name, row in [*known[:1], *worst]:
        interval = row.get("ap50_interval")
        low_high = (
            f" ({interval[0]:.3f} to {interval[1]:.3f})" if isinstance(interval, list) and len(interval) == 2 else ""
        )
        few = ", few" if row.get("is_small") else ""
        lines.append(
            f"  {name}: AP50 {row['ap50']:.3f}{low_high}, {row.get('frames')} frames, {row.get('objects')} lights{few}"
        )
    return lines
