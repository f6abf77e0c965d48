"""A program for the tests of interrupted runs: `tl` commands as processes of their own that need no time to start.

Starting Python and importing torch takes longer than such a run. This program imports once. For each line of JSON on
its input, `{"arguments": [...], "log": FILE}`, it forks a process that is the command, says the number of that process,
and when it has ended its exit status. Nothing runs before the fork that has threads.
"""

from __future__ import annotations

import json
import os
import sys

from tl_detection import commands, dataset_commands, evaluation_commands  # noqa: F401
from tl_detection.cli import main
from tl_detection.detectors import load  # noqa: F401
from tl_detection.training import faster_rcnn, faster_rcnn_start, train, yolo  # noqa: F401


def run(arguments: list[str], log: str) -> None:
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    os._exit(main(arguments))


if __name__ == "__main__":
    # Heads that a test can afford.
    faster_rcnn_start._HEADS["mobilenet_v3_small"] = (16, 32)
    for line in sys.stdin:
        command = json.loads(line)
        if (child := os.fork()) == 0:
            try:
                run(command["arguments"], command["log"])
            except BaseException:
                sys.excepthook(*sys.exc_info())
            finally:
                sys.stderr.flush()
                os._exit(99)
        print(child, flush=True)
        print(os.waitpid(child, 0)[1], flush=True)
