"""What the documents promise: their command lines parse, their words exist, and every setting of training is there."""

from __future__ import annotations

import argparse
import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from pydantic import BaseModel

from tl_detection.cli import build_parser
from tl_detection.config import (
    EvaluateConfig,
    FasterRcnnConfig,
    RunConfig,
    TrackConfig,
    TrainConfig,
    YoloConfig,
    load_run_config,
)
from tl_detection.evaluation.measures import NAMES

ROOT = Path(__file__).resolve().parents[1]
TRAINING = ROOT / "docs" / "training.md"
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SECTIONS = {
    "data": RunConfig.model_fields["data"].annotation,
    "augment": RunConfig.model_fields["augment"].annotation,
    "model": (YoloConfig, FasterRcnnConfig),
    "train": TrainConfig,
    "evaluate": EvaluateConfig,
    "track": TrackConfig,
}


def fenced(text: str) -> list[tuple[str, str]]:
    """(language, text) of each fenced block."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)


def command_lines(path: Path) -> list[str]:
    """Command lines of `tl` and torchrun in a page: joined where they go on, without explanations and shell words."""
    lines = []
    for language, text in fenced(path.read_text(encoding="utf-8")):
        if language in ("yaml", "python"):
            continue
        for line in re.sub(r"\\\n\s*", "", text).splitlines():
            # Two columns: what stands behind three spaces explains.
            line = re.split(r"\s{3,}", line.strip())[0]
            line = re.sub(r"\[[^\]]*\]", "", line) if "$" not in line else line
            if line.startswith(("tl ", "torchrun ")):
                lines.append(line)
    return lines


def commands_of_configs() -> list[str]:
    """Command lines in the opening comments of the configurations."""
    lines = []
    for path in sorted((ROOT / "configs").rglob("*.yaml")):
        comment = "\n".join(line[1:].strip() for line in path.read_text().splitlines() if line.startswith("#"))
        found = [line for line in re.sub(r"\\\n", "", comment).splitlines() if line.startswith("tl ")]
        lines += found
    return lines


def parse(line: str) -> argparse.Namespace:
    """Read a line as `tl` does; torchrun's own words are read by torchrun's parser."""
    words = shlex.split(line, comments=True)
    if words[0] == "torchrun":
        from torch.distributed.run import get_args_parser

        launched = get_args_parser().parse_args(words[1:])
        assert launched.module and launched.training_script == "tl_detection", line
        words = ["tl", *launched.training_script_args]
    options, rest = build_parser().parse_known_args(words[1:])
    assert all("=" in word and not word.startswith("-") for word in rest), f"{line}: {rest}"
    options.overrides = [*getattr(options, "overrides", []), *rest]
    return options


def has_setting(dotted: str) -> bool:
    """True if the configuration of a run has a key; below a mapping of free words anything is one."""
    models: list[Any] = [RunConfig]
    for part in dotted.split("."):
        found = [model.model_fields[part].annotation for model in models if part in model.model_fields]
        if not found:
            return False
        models = [
            each
            for kind in found
            for each in (kind, *get_args(kind))
            if isinstance(each, type) and issubclass(each, BaseModel)
        ]
        if not models:
            return True
    return True


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_line_of_a_page_parses(path: Path):
    lines = command_lines(path)
    assert len(lines) >= 10
    for line in lines:
        check_line(line)


def test_every_command_line_of_the_configurations_parses():
    lines = commands_of_configs()
    assert len(lines) >= 9
    for line in lines:
        check_line(line)


def check_line(line: str) -> None:
    try:
        options = parse(line)
    except SystemExit:
        pytest.fail(f"does not parse: {line}")
    config = getattr(options, "config", None)
    if config is not None and config.parts[0] == "configs":
        assert (ROOT / config).is_file(), line
    for word in getattr(options, "overrides", []):
        assert has_setting(word.partition("=")[0]), f"{line}: no setting {word}"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_command_within_a_sentence_exists(path: Path):
    commands: Any = build_parser()._subparsers._group_actions[0].choices  # type: ignore[union-attr]
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    spans = [" ".join(span.split()) for span in re.findall(r"`(tl [^`]+)`", text)]
    assert len(spans) >= 3
    for span in spans:
        name, *words = shlex.split(span)[1:]
        if name == "COMMAND" or name.startswith("--"):
            continue
        assert name in commands, span
        known = commands[name]._option_string_actions
        assert all(word in known for word in words if word.startswith("--")), span


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_every_dotted_word_is_a_setting(path: Path):
    text = path.read_text(encoding="utf-8")
    words = set(re.findall(rf"`((?:{'|'.join(SECTIONS)})\.\w+(?:\.\w+)*)\b(?!: no such)", text))
    words = {word for word in words if not word.endswith((".yaml", ".md", ".json"))}
    assert len(words) >= {"evaluation.md": 2, "integrators.md": 1}.get(path.name, 5)
    assert [word for word in sorted(words) if not has_setting(word)] == []


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path):
    def anchor(title: str) -> str:
        return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")

    for target in re.findall(r"\]\(([^)]+)\)", path.read_text(encoding="utf-8")):
        name, _, place = target.partition("#")
        page = (path.parent / name) if name else path
        assert page.is_file(), target
        if place:
            titles = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
            assert place in {anchor(title) for title in titles}, target


def table_rows(heading: str) -> list[list[str]]:
    """Cells of the table under a heading of the page on training, without its header."""
    text = TRAINING.read_text(encoding="utf-8")
    part = re.search(rf"^### {heading}\n(.*?)(?=^##)", text, flags=re.MULTILINE | re.DOTALL)
    assert part is not None
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part[1].splitlines() if line[:1] == "|"]
    return rows[2:]


@pytest.mark.parametrize(
    ("heading", "model"), [("train", TrainConfig), ("evaluate", EvaluateConfig), ("track", TrackConfig)]
)
def test_the_page_has_every_word_with_its_default(heading: str, model: type[BaseModel]):
    defaults = model().model_dump(mode="json")
    shown = {row[0].strip("`"): yaml.safe_load(row[1].strip("`")) for row in table_rows(heading)}
    assert shown == defaults
    assert all(len(row) == 3 and row[2] for row in table_rows(heading))


def test_the_page_has_every_word_of_the_models_with_its_default():
    rows = table_rows("model")
    for name, model in (("yolo", YoloConfig), ("faster_rcnn", FasterRcnnConfig)):
        shown = {row[0].strip("`"): row[2].strip("`") for row in rows if row[1] in (name, "both")}
        assert shown.keys() == model.model_fields.keys()
        for word, default in shown.items():
            field = model.model_fields[word]
            assert field.is_required() if not default else yaml.safe_load(default) == field.default, word


def test_the_page_has_every_measure():
    text = TRAINING.read_text(encoding="utf-8")
    assert [name for name in NAMES if f"`{name}`" not in text] == []


def test_measures_that_are_shown_are_understood():
    texts = [path.read_text(encoding="utf-8") for path in PAGES]
    shown = {word for text in texts for word in re.findall(r"evaluate\.best_by(?:=|: )([^`']+)", text)}
    assert len(shown) >= 3
    for word in shown:
        run = load_run_config(ROOT / "configs" / "dtld_yolo.yaml", [f"evaluate.best_by={word}"])
        assert run.evaluate.best_by == word.replace(", ", ",")


@pytest.mark.parametrize("had_run", [False, True], ids=["the first time", "after a requeue"])
def test_the_slurm_script_begins_a_run_and_goes_on_with_it(had_run: bool, tmp_path: Path):
    """srun, scontrol and torchrun are stand-ins; the script itself is that of the page."""
    (script,) = (text for language, text in fenced(TRAINING.read_text(encoding="utf-8")) if language == "bash")
    stand_ins = tmp_path / ".venv" / "bin"
    stand_ins.mkdir(parents=True)
    for name, body in (
        ("srun", 'exec "$@"'),
        ("scontrol", "printf 'one\\ntwo\\n'"),
        ("torchrun", 'printf "%s\\n" "$@"'),
    ):
        (stand_ins / name).write_text(f"#!/bin/sh\n{body}\n")
        (stand_ins / name).chmod(0o755)
    folder = tmp_path / "runs" / "slurm-77" / "dtld_yolo"
    # The newest was killed before its first checkpoint.
    for number, name in enumerate(("20260101-000000", "20260102-000000", "20260103-000000") if had_run else ()):
        (folder / name / "weights").mkdir(parents=True)
        if number < 2:
            (folder / name / "weights" / "last.pt").touch()
            os.utime(folder / name / "weights" / "last.pt", (number, number))
    slurm = {"SLURM_SUBMIT_DIR": str(tmp_path), "SLURM_JOB_ID": "77", "SLURM_NNODES": "2", "SLURM_JOB_NODELIST": "n"}
    ended = subprocess.run(
        ["bash", "-c", script], env={**os.environ, **slurm}, capture_output=True, text=True, check=True
    )
    words = ended.stdout.splitlines()
    assert "--rdzv_endpoint=one:29500" in words
    options = parse(shlex.join(["torchrun", *words]))
    if had_run:
        assert options.resume == Path("runs/slurm-77/dtld_yolo/20260102-000000")
        # `tl train --resume RUN key=value`: the first setting takes the place of the file.
        assert [str(options.config), *options.overrides] == ["train.device=cuda"]
    else:
        assert options.config == Path("configs/dtld_yolo.yaml")
        assert options.overrides[:2] == ["folder=runs/slurm-77", "train.batch_size=256"]
        assert all(has_setting(word.partition("=")[0]) for word in options.overrides)
