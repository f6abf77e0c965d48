"""What one rank of the tests in `test_ranks` runs: `python rank_program.py TASK FOLDER`, with torchrun's environment.

`learn`: a few steps of each configuration in FOLDER, in double precision; the first rank saves weights and losses.
`train`: the command, with a rank that ends or stops in the middle if LOST_RANK says how.
"""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import torch

from tl_datasets.torch_dataset import make_loader
from tl_detection.config import load_run_config
from tl_detection.distributed import Ranks, process_group, ranks_of_environment
from tl_detection.training import faster_rcnn_start, loop
from tl_detection.training.data import prepare_data
from tl_detection.training.rank_norm import join_batch_norms
from tl_detection.training.seeds import seed_everything
from tl_detection.training.step import Share, Stepper
from tl_detection.training.train import make_learner

CPU = torch.device("cpu")


def learn(config_path: Path, ranks: Ranks) -> dict[str, torch.Tensor]:
    """Weights and losses after an epoch."""
    config = load_run_config(config_path)
    data = prepare_data(config)
    seed_everything(0)
    learner = make_learner(data, CPU)
    if config.model.kind == "yolo":
        # A fresh YOLO has norms over a few nearly equal numbers, which lift float32's last digit into view.
        learner.network.double()
    if ranks.are_several:
        assert (join_batch_norms(learner.network) > 0) == (config.model.kind == "yolo")
    settings = config.train
    stepper = Stepper(
        learner=learner,
        settings=settings,
        optimizer=learner.make_optimizer(),
        scaler=torch.amp.GradScaler("cpu", enabled=False),
        ema=None,
        ranks=ranks,
        device=CPU,
        dtype=None,
        micro_batch=settings.batch_size,
    )
    stepper.join_ranks()
    loader = make_loader(data.dataset, settings.batch_size, 0, 0, pin_memory=False, rank=ranks.rank, ranks=ranks.size)
    learner.network.train()
    found = {}
    data.dataset.set_epoch(0)
    for number, batch in enumerate(loader):
        learner.begin_step(number, 0)
        share = Share(batch=batch, counts=loader.batches.shares(number))
        stepper.step([share], 0, 1.0, f"step {number}")
    found["losses"] = torch.tensor(list(stepper.mean_losses().values()))
    return {**{name: value.double() for name, value in learner.network.state_dict().items()}, **found}


def lose_a_rank(how: str) -> None:
    """Let the second rank end, or stop answering, in its third step."""
    if os.environ["RANK"] != "1":
        return
    learn_step, steps = loop._Loop._learn, []

    def count(self, *args, **kwargs):
        steps.append(1)
        if len(steps) == 3:
            os.kill(os.getpid(), {"killed": signal.SIGKILL, "stopped": signal.SIGSTOP}[how])
        learn_step(self, *args, **kwargs)

    loop._Loop._learn = count


def main() -> int:
    """Run the task."""
    torch.set_num_threads(1)
    task, folder = sys.argv[1], Path(sys.argv[2])
    faster_rcnn_start._HEADS = dict.fromkeys(faster_rcnn_start._HEADS, (32, 64))
    if task == "learn":
        ranks = ranks_of_environment()
        with process_group(ranks, CPU, 60):
            for path in sorted(folder.glob("*.yaml")):
                found = learn(path, ranks)
                if ranks.is_first:
                    torch.save(found, path.with_suffix(".pt"))
        return 0
    from tl_detection.cli import main as command

    if "LOST_RANK" in os.environ:
        lose_a_rank(os.environ["LOST_RANK"])
    return command(["train", str(folder / "faster_rcnn.yaml")])


if __name__ == "__main__":
    sys.exit(main())
