"""The resolved configuration with proposals applied, each with its reason beside its line."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

import yaml

from tl_datasets.config import dump_config, validate_config
from tl_detection.config import RunConfig
from tl_detection.plan.findings import Proposal

_LINE = re.compile(r"^(?P<indent> *)(?P<key>[A-Za-z_][A-Za-z0-9_]*):(?: |$)")
_INDENT = 2


def apply_proposals(config: RunConfig, proposals: Sequence[Proposal]) -> RunConfig:
    """A new configuration with the proposed values.

    Raises:
        ConfigError: A value is not one that the setting may have.
    """
    values = config.model_dump(mode="json")
    for proposal in proposals:
        *sections, last = proposal.key.split(".")
        section: dict[str, Any] = values
        for name in sections:
            section = section[name]
        section[last] = proposal.value
    return validate_config(RunConfig, values, "proposals")


def write_resolved(config: RunConfig, proposals: Sequence[Proposal], remarks: Mapping[str, str]) -> str:
    """YAML that `tl train` reads: every value as it is, or as it is proposed with what it was and why.

    Args:
        config: Of the run.
        proposals: To apply; each of its own key.
        remarks: Dotted key -> comment beside a value that stays.
    """
    comments = {proposal.key: f"was {_word(proposal.former)}: {proposal.reason}" for proposal in proposals}
    comments = {**remarks, **comments} if not proposals else {**remarks, **_joined(remarks, comments)}
    lines, path = [], []
    for line in dump_config(apply_proposals(config, proposals)).splitlines():
        found = _LINE.match(line)
        if found is not None:
            path = [*path[: len(found["indent"]) // _INDENT], found["key"]]
            comment = comments.get(".".join(path))
            if comment is not None:
                line = f"{line}  # {' '.join(comment.split())}"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _joined(remarks: Mapping[str, str], comments: Mapping[str, str]) -> dict[str, str]:
    return {key: f"{comment}; {remarks[key]}" if key in remarks else comment for key, comment in comments.items()}


def _word(value: Any) -> str:
    return yaml.safe_dump(value, default_flow_style=True).split("\n")[0]
