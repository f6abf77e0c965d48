"""Progress: lines for a log, a bar for a person."""

from __future__ import annotations

import io
import logging
import sys

import pytest

from tl_detection import progress as module
from tl_detection.progress import format_seconds, progress


class Clock:
    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now = 100.0
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)


@pytest.fixture
def clock(monkeypatch) -> Clock:
    return Clock(monkeypatch)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (12.4, "12s"), (59.6, "1m00s"), (185, "3m05s"), (3599.4, "59m59s"), (7620, "2h07m"), (90000, "25h00m")],
)
def test_format_seconds(seconds, text):
    assert format_seconds(seconds) == text


def test_lines_come_every_ten_seconds_with_rate_and_remaining_time(clock, caplog):
    caplog.set_level(logging.INFO)
    with progress("reading", unit="images") as show:
        for done in range(1, 31):
            clock.now += 1
            show(done, 60, "loss 0.5")
    assert [record.getMessage() for record in caplog.records] == [
        "reading: 10/60 images, 1.0 images/s, 50s left, loss 0.5",
        "reading: 20/60 images, 1.0 images/s, 40s left, loss 0.5",
        "reading: 30/60 images, 1.0 images/s, 30s left, loss 0.5",
    ]


def test_the_last_line_is_always_written_unless_all_took_a_moment(clock, caplog):
    caplog.set_level(logging.INFO)
    with progress("long") as show:
        clock.now += 3
        show(5, 5)
    with progress("short") as show:
        clock.now += 0.2
        show(5, 5)
    assert [record.getMessage() for record in caplog.records] == ["long: 5/5 frames, 1.7 frames/s, 0s left"]


def test_nothing_done_yet_is_no_division_by_zero(clock, caplog):
    caplog.set_level(logging.INFO)
    with progress("slow") as show:
        clock.now += 11
        show(0, 9)
    assert caplog.records[0].getMessage() == "slow: 0/9 frames, 0.0 frames/s, 0s left"


def test_a_person_sees_a_bar_and_the_log_stays_quiet(monkeypatch, caplog):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    caplog.set_level(logging.INFO)
    with progress("reading", unit="images") as show:
        show(3, 6, "loss 0.5")
        show(6, 6, "loss 0.4")
    assert "reading" in terminal.getvalue() and "6/6" in terminal.getvalue()
    assert not caplog.records


@pytest.mark.parametrize("is_terminal", [True, False])
def test_errors_inside_come_through(is_terminal, monkeypatch):
    class Stream(io.StringIO):
        def isatty(self) -> bool:
            return is_terminal

    monkeypatch.setattr(sys, "stderr", Stream())
    with pytest.raises(KeyError), progress("reading") as show:
        show(1, 2)
        raise KeyError("x")
