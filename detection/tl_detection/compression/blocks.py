"""Groups of layers that keep or lose their precision together, named as the network's own modules."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from tl_detection.compression.region import NETWORK_PREFIXES, Layer, Region

# A module with more layers is taken apart: of the 96 layers of a YOLO11n this makes 35 blocks.
_MOST_LAYERS = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Layers that keep or lose their precision together.

    Attributes:
        name: Of their module.
        nodes: Names of the layers and of what follows them up to the next.
        is_last: They are layers that the decoding reads.
    """

    name: str
    nodes: frozenset[str]
    is_last: bool


def find_blocks(region: Region) -> tuple[Block, ...]:
    """Group the layers of a region by module, in the order of the file; the last layers each stand alone."""
    paths = [_path_of(layer) for layer in region.layers]
    # What all names begin with tells nothing, but for its last word.
    start = max(0, len(_common(paths)) - 1)
    named = [(path[start:], layer) for path, layer in zip(paths, region.layers, strict=True)]
    found = []
    for path, layers in _split(named, 0):
        names = {layer.node for layer in layers}
        nodes = frozenset(node for node in region.nodes if region.source[node] in names)
        found.append(Block(name=".".join(path), nodes=nodes, is_last=all(layer.is_last for layer in layers)))
    return tuple(found)


def _split(
    named: Sequence[tuple[tuple[str, ...], Layer]], depth: int
) -> Iterator[tuple[tuple[str, ...], tuple[Layer, ...]]]:
    """Take a module apart where it has many layers, or some that the decoding reads."""
    layers = tuple(layer for _, layer in named)
    paths = {path for path, _ in named}
    is_mixed = any(layer.is_last for layer in layers) and len(paths) > 1
    if depth and not is_mixed and (len(layers) <= _MOST_LAYERS or len(paths) == 1):
        yield _common(list(paths)), layers
        return
    children: dict[str, list[tuple[tuple[str, ...], Layer]]] = {}
    for path, layer in named:
        children.setdefault(path[depth] if depth < len(path) else "", []).append((path, layer))
    for child in children.values():
        yield from _split(child, depth + 1)


def _path_of(layer: Layer) -> tuple[str, ...]:
    """The module that holds a layer's weights, such as ("network", "module", "model", "23", "cv2", "0", "2")."""
    path = layer.weight
    for prefix in NETWORK_PREFIXES:
        path = path.removeprefix(prefix)
    parts = path.split(".")
    return tuple(parts[:-1]) or (path,)


def _common(paths: Sequence[tuple[str, ...]]) -> tuple[str, ...]:
    shared = []
    for parts in zip(*paths, strict=False):
        if len(set(parts)) > 1:
            break
        shared.append(parts[0])
    return tuple(shared)
