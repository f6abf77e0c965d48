from __future__ import annotations

import io
import json
import subprocess

import pytest

from tl_datasets.errors import ImageError
from tl_datasets.formats.common import probing
from tl_datasets.formats.common.probe_worker import main
from tl_datasets.formats.common.probing import probe_ahead
from tl_datasets.images import probe_image


@pytest.fixture
def paths(tmp_path, draw_image):
    return [draw_image(tmp_path / f"{number}.png", 20 + number, 48) for number in range(5)]


@pytest.fixture(params=[probing._FEW, 0], ids=["threads", "processes"])
def few(request, monkeypatch):
    """Both ways of reading, on few files."""
    monkeypatch.setattr(probing, "_FEW", request.param)
    monkeypatch.setattr(probing, "_CHUNK", 3)


def test_facts_come_in_the_order_of_the_items(few, paths):
    items = [*range(5), None] * 30
    found = list(probe_ahead(items, lambda item: None if item is None else paths[item]))
    assert [item for item, _ in found] == items
    expected = [probe_image(path) for path in paths]
    assert all(facts == (None if item is None else expected[item]) for item, facts in found)


def test_a_fault_stands_at_its_place(few, paths):
    paths[3].write_text("no picture")
    kept = [facts for _, facts in probe_ahead(range(5), paths.__getitem__)]
    assert isinstance(kept[3], ImageError)
    assert "3.png: does not open" in str(kept[3])
    assert kept[4] == probe_image(paths[4])


def test_processes_end_with_the_reading(few, paths, monkeypatch):
    started = []

    class Spy(subprocess.Popen):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            started.append(self)

    monkeypatch.setattr(subprocess, "Popen", Spy)
    reading = probe_ahead(iter(paths * 100), lambda path: path)
    next(reading)
    reading.close()
    assert bool(started) == (probing._FEW == 0)
    assert all(worker.poll() is not None for worker in started)


@pytest.mark.parametrize("command", [("/no/such/program",), ("true",), ("echo", "[]")], ids=["none", "ends", "babbles"])
def test_without_a_worker_the_files_are_read_here(paths, monkeypatch, command):
    monkeypatch.setattr(probing, "_FEW", 0)
    monkeypatch.setattr(probing, "_WORKER_COMMAND", command)
    assert [facts for _, facts in probe_ahead(paths, lambda path: path)] == [probe_image(path) for path in paths]


def test_what_is_said(paths, tmp_path):
    answers = io.StringIO()
    main(io.StringIO(json.dumps([None, [str(paths[0]), str(tmp_path / "gone")]]) + "\n"), answers)
    first, second = json.loads(answers.getvalue())
    assert tuple(first) == probe_image(paths[0])
    assert "gone: cannot be read" in second
