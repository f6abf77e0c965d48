"""What augmentation leaves of the labels: predicted from the boxes, counted on samples, and as ultralytics would."""

from __future__ import annotations

from tl_detection.plan.as_shipped import predict_lost_as_shipped
from tl_detection.plan.counted_loss import CountedLoss
from tl_detection.plan.findings import Finding, Section, look, ok, stop
from tl_detection.plan.predicted_loss import PredictedLoss
from tl_detection.plan.subject import Subject

# Beyond this share of lights that are lost or have no target, training is senseless.
MOST_LOST = 0.20
# Beyond this share of cut lights mosaic and crops are too tight.
_MOST_CUT = 0.20


def look_at_losses(
    subject: Subject, first: PredictedLoss, last: PredictedLoss | None, counted: CountedLoss | None
) -> Section:
    """Shares of shown boxes that vanish.

    Args:
        subject: The run.
        first: Predicted for its first epochs.
        last: For its last ones, where they have no mosaic; None = as the first.
        counted: On samples of the first epoch; None = not counted.
    """
    lights = subject.lights[first.index]
    small, cut, lost = (first.share(lights, of=what) for what in ("small", "cut", "lost"))
    if small is None or cut is None or lost is None:
        return Section(title="lost labels", notes=(f"no {subject.noun} among the training frames",))
    all_boxes = first.share() or 0.0
    side = max(subject.config.model.input.width_px, subject.config.model.input.height_px)
    shipped = predict_lost_as_shipped(subject.train, subject.lights, side)
    findings = [_judge_small(subject, small), _judge_cut(subject, cut), *_judge_count(all_boxes, counted)]
    notes = [
        f"predicted: {lost:.1%} of the {subject.noun} that samples show become ignore areas; of all boxes "
        f"{all_boxes:.1%}"
    ]
    if counted is not None and counted.share is not None:
        low, high = counted.interval
        notes.append(
            f"counted: {counted.vanished} of {counted.boxes} boxes of {counted.samples} samples, {counted.share:.1%} "
            f"({low:.1%} to {high:.1%})"
        )
    if last is not None:
        notes.append(f"predicted for the last epochs, without mosaic: {last.share(subject.lights[last.index]):.1%}")
    if shipped is not None:
        notes.append(
            f"ultralytics' own augmentation at {side} would show {shipped:.1%} of the {subject.noun} without a label, "
            "as background"
        )
    return Section(
        title="lost labels",
        findings=tuple(findings),
        notes=tuple(notes),
        values={
            "predicted": {"lost": lost, "too_small": small, "cut": cut, "all_boxes": all_boxes},
            "predicted_last_epochs": None if last is None else last.share(subject.lights[last.index]),
            "counted": None
            if counted is None
            else {
                "samples": counted.samples,
                "boxes": counted.boxes,
                "vanished": counted.vanished,
                "share": counted.share,
                "interval": list(counted.interval),
                "broken_images": list(counted.broken),
            },
            "ultralytics_as_shipped": {"input_px": side, "lost": shipped},
        },
    )


def _judge_small(subject: Subject, small: float) -> Finding:
    limit = subject.config.augment.min_size_px
    message = (
        f"{small:.1%} of the {subject.noun} are shown smaller than augment.min_size_px ({limit:g} px) and not learned"
    )
    if small > MOST_LOST:
        return stop(f"{message}, expected at most {MOST_LOST:.0%}: enlarge model.input or augment.scale")
    if small > MOST_LOST / 4:
        return look(f"{message}: enlarge model.input or augment.scale")
    return ok(message)


def _judge_cut(subject: Subject, cut: float) -> Finding:
    message = (
        f"{cut:.1%} of the {subject.noun} are shown cut by an edge and ignored there; other samples show them whole"
    )
    if cut > _MOST_CUT:
        return look(f"{message}: lower augment.mosaic, augment.translate or augment.min_visible")
    return ok(message)


def _judge_count(predicted: float, counted: CountedLoss | None) -> list[Finding]:
    if counted is None:
        return []
    found = []
    if counted.broken:
        found.append(
            look(
                f"{len(counted.broken)} of the images behind {counted.samples + len(counted.broken)} samples cannot be "
                f"read: {counted.broken[0]}"
            )
        )
    if counted.contradicts(predicted):
        low, high = counted.interval
        found.append(
            look(
                f"predicted {predicted:.1%} of all boxes, counted {counted.share:.1%} ({low:.1%} to {high:.1%}): "
                "pasted heads, mix-up and steps that move boxes are not predicted; look at the samples with: tl augment"
            )
        )
    return found
