"""What fails while a run is shown is said once and passed over; a training of days does not end for a picture."""

from __future__ import annotations

import errno
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tl_datasets.errors import TrainingError

logger = logging.getLogger(__name__)

_NO_SPACE = {errno.ENOSPC, errno.EDQUOT}
_SHOWN_CHARS = 300


class Faults:
    """What failed and was passed over.

    Attributes:
        reasons: What it was -> why it failed, each time.
    """

    def __init__(self, run_folder: Path, *, strict: bool):
        self.reasons: dict[str, list[str]] = {}
        self._run_folder, self._strict = run_folder, strict

    @contextmanager
    def passing_over(self, what: str, *, at_the_end: bool = False) -> Iterator[None]:
        """Log the first failure of something, and count all.

        Args:
            what: Named in the log.
            at_the_end: Nothing comes after it that a full disk could harm.

        Raises:
            TrainingError: The disk is full, and it is not the end.
        """
        try:
            yield
        except Exception as error:
            if self._strict:
                raise
            if not at_the_end:
                self._refuse_full_disk(error, what)
            reason = " ".join(f"{type(error).__name__}: {error}".split())[:_SHOWN_CHARS]
            self.reasons.setdefault(what, []).append(reason)
            if len(self.reasons[what]) == 1:
                logger.warning("%s failed, the training goes on without: %s", what, reason)
            logger.debug("%s failed", what, exc_info=True)

    def log_totals(self) -> None:
        """Say what failed more than once, and how often."""
        for what, reasons in self.reasons.items():
            if len(reasons) > 1:
                logger.warning("%s failed %d times, the last time: %s", what, len(reasons), reasons[-1])

    def _refuse_full_disk(self, error: BaseException, what: str) -> None:
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            raise TrainingError(
                f"{self._run_folder}: the disk is full ({what}); free space, then go on with: "
                f"tl train --resume {self._run_folder}"
            ) from error
