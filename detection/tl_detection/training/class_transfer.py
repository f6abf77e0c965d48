"""Which class of a weights file each class of a run starts with."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

from tl_datasets.errors import ConfigError

logger = logging.getLogger(__name__)

# How torchvision's COCO lists fill the numbers that have no class.
_NO_CLASS = "N/A"


def match_classes(
    own: Sequence[str], former: Sequence[str], classes_from: Mapping[str, str], path: Path
) -> dict[str, str]:
    """Say from which class of a file each class takes its row.

    Args:
        own: Classes of the model.
        former: Classes of the file.
        classes_from: Own class -> class of the file, where their names differ by more than underscores for spaces.
        path: The file, for messages.

    Returns:
        Own class -> class of the file, in the order of `own`; without those that start anew.

    Raises:
        ConfigError: `classes_from` names a class that is not there; lists those that are.
    """
    there = [name for name in former if name != _NO_CLASS]
    faults = [
        f"'{name}' is no class of this run; there are {', '.join(own)}" for name in classes_from if name not in own
    ] + [
        f"'{name}' is no class of {path}; there are {', '.join(there)}"
        for name in dict.fromkeys(classes_from.values())
        if name not in there
    ]
    if faults:
        raise ConfigError("model.classes_from", faults)
    alike = {name.replace("_", " "): name for name in there}
    sources = {
        name: classes_from.get(name) or (name if name in there else alike.get(name.replace("_", " "))) for name in own
    }
    return {name: source for name, source in sources.items() if source is not None}


def log_classes(own: Sequence[str], sources: Mapping[str, str], path: Path) -> None:
    """Say which classes are kept, which start with another one of the file, and which start anew."""
    kept = [name if sources[name] == name else f"{name} (from {sources[name]})" for name in own if name in sources]
    logger.info(
        "%s: classes kept: %s; classes that start anew: %s",
        path,
        ", ".join(kept) or "none",
        ", ".join(name for name in own if name not in sources) or "none",
    )
