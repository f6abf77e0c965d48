"""Cleaning: what each action does, that the source stays, and that everything can be undone."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tl_datasets.catalog import ANNOTATION_SCHEMA, Catalog
from tl_datasets.checks.box_rules import with_box_numbers
from tl_datasets.checks.findings import Finding, Findings, tabulate
from tl_datasets.checks.rules import RULES, Rule, Subject
from tl_datasets.checks.run import check
from tl_datasets.cleaning.clean import clean
from tl_datasets.cleaning.files import load_record, save_cleaned
from tl_datasets.cleaning.policy import Action, CleanPolicy
from tl_datasets.cleaning.record import undo
from tl_datasets.errors import DataError
from tl_datasets.frame import Frame
from tl_datasets.taxonomy import State

BOXES = {
    "good": (100.0, 100.0, 120.0, 150.0),
    "over": (180.0, 100.0, 210.0, 150.0),
    "outside": (300.0, 100.0, 320.0, 150.0),
    "flat": (100.0, 100.0, 120.0, 100.0),
}


def catalog_of(frames: dict[str, tuple[str, ...]], root: Path) -> Catalog:
    """Frames of 200x160 by id, each with named boxes."""
    made = [
        Frame(frame_id=name, path=f"{name}.png", width_px=200, height_px=160, annotations=(), sequence="s")
        for name in frames
    ]
    rows = [
        {
            **dict.fromkeys(ANNOTATION_SCHEMA),
            "frame_id": name,
            "category": "traffic_light",
            "state": "red",
            "ignore": False,
            "track_id": f"{name}/{number}",
            **dict(zip(("x1", "y1", "x2", "y2"), BOXES[box], strict=True)),
        }
        for name, boxes in frames.items()
        for number, box in enumerate(boxes)
    ]
    base = Catalog.from_frames(made, source="drawn", root=root)
    return Catalog(base.frames, pl.DataFrame(rows, schema=ANNOTATION_SCHEMA), base.roots)


def found(catalog: Catalog, *findings: Finding) -> Findings:
    table = tabulate(findings, catalog.frames, with_box_numbers(catalog))
    return Findings(table=table, fingerprint=catalog.fingerprint)


def policy_of(**rules) -> CleanPolicy:
    return CleanPolicy(rules=rules)


def same(first: Catalog, second: Catalog) -> bool:
    return (
        first.fingerprint == second.fingerprint
        and first.frames.equals(second.frames)
        and first.annotations.equals(second.annotations)
        and first.roots == second.roots
    )


@pytest.fixture
def catalog(tmp_path) -> Catalog:
    return catalog_of({"b": ("good", "over"), "a": ("outside", "good", "flat"), "c": ()}, tmp_path)


def test_boxes_are_clipped_and_dropped(catalog):
    policy = policy_of(box_over_edge="clip", box_outside="drop_box", box_degenerate="drop_box")
    cleaned = clean(catalog, check(catalog, images=False), policy)
    rows = cleaned.catalog.annotations.select("frame_id", "x1", "x2", "truncated").rows()
    assert rows == [("b", 100, 120, None), ("b", 180, 200, True), ("a", 100, 120, None)]
    assert cleaned.catalog.frames.equals(catalog.frames)
    assert cleaned.record.counts() == {"clip boxes": 1, "drop_box boxes": 2}
    assert len(cleaned.quarantine) == 0
    assert same(undo(cleaned.catalog, cleaned.record), catalog)


def test_ignored_boxes_stay(catalog):
    cleaned = clean(catalog, check(catalog, images=False), policy_of(box_outside="ignore_box"))
    assert cleaned.catalog.annotations["ignore"].to_list() == [False, False, True, False, False]
    assert len(cleaned.catalog.annotations) == 5
    assert same(undo(cleaned.catalog, cleaned.record), catalog)


def test_frames_are_dropped_and_set_aside(catalog):
    findings = found(
        catalog,
        Finding(Rule.IMAGE_MISSING, "x", "a"),
        Finding(Rule.IMAGE_GREY, "x", "b"),
        Finding(Rule.BOX_OVER_EDGE, "x", "b", 1),
    )
    policy = policy_of(image_missing="drop_frame", image_grey="quarantine", box_over_edge="clip")
    cleaned = clean(catalog, findings, policy)
    assert cleaned.catalog.frames["frame_id"].to_list() == ["c"] and len(cleaned.catalog.annotations) == 0
    assert cleaned.quarantine.frames["frame_id"].to_list() == ["b"]
    assert cleaned.quarantine.annotations["x2"].to_list() == [120, 210], "as they were"
    assert cleaned.record.frames.select("row", "frame_id", "action", "rules").rows() == [
        (0, "b", "quarantine", "image_grey"),
        (1, "a", "drop_frame", "image_missing"),
    ]
    assert same(undo(cleaned.catalog, cleaned.record), catalog)


@pytest.mark.parametrize(
    ("what", "actions", "frames", "ignored", "x2"),
    [
        ("drop before ignore", ("drop_box", "ignore_box"), 3, 0, None),
        ("clip and ignore", ("clip", "ignore_box"), 3, 1, 200),
        ("clip and drop", ("clip", "drop_box"), 3, 0, None),
        ("frame before box", ("clip", "quarantine"), 2, 0, None),
        ("drop before quarantine", ("drop_frame", "quarantine"), 2, 0, None),
    ],
)
def test_the_strongest_action_wins(what, actions, frames, ignored, x2, catalog):
    findings = found(catalog, Finding(Rule.BOX_OVER_EDGE, "x", "b", 1), Finding(Rule.STATE_AGAINST_COLOUR, "x", "b", 1))
    cleaned = clean(catalog, findings, policy_of(box_over_edge=actions[0], state_against_colour=actions[1]))
    boxes = cleaned.catalog.annotations.filter(pl.col("track_id") == "b/1")
    assert len(cleaned.catalog) == frames and int(cleaned.catalog.annotations["ignore"].sum()) == ignored, what
    assert boxes["x2"].to_list() == ([] if x2 is None else [x2])
    assert len(cleaned.quarantine) == (1 if actions == ("clip", "quarantine") else 0)
    assert same(undo(cleaned.catalog, cleaned.record), catalog)


def test_nothing_to_do(catalog):
    cleaned = clean(catalog, check(catalog, images=False), policy_of())
    assert same(cleaned.catalog, catalog) and cleaned.record.counts() == {}
    assert same(undo(cleaned.catalog, cleaned.record), catalog)


def test_the_default_policy_leaves_no_error_of_a_box(catalog):
    from tl_datasets.cleaning.policy import load_policy

    policy = load_policy(Path(__file__).resolve().parents[3] / "configs" / "clean" / "default.yaml")
    again = check(clean(catalog, check(catalog, images=False), policy).catalog, images=False)
    assert not [rule for rule in again.table["rule"] if rule.startswith("box_")]


# --- refusals


def test_findings_of_another_catalog(catalog):
    findings = check(catalog, images=False)
    other = Catalog(catalog.frames, catalog.annotations.with_columns(state=pl.lit("green")), catalog.roots)
    with pytest.raises(DataError, match=r"fingerprint .*check this catalog again"):
        clean(other, findings, policy_of())


def test_another_order_of_boxes_is_noticed(tmp_path):
    """The fingerprint does not change with the order, the number of a box does."""
    catalog = catalog_of({"a": ("good", "over", "outside")}, tmp_path)
    findings = check(catalog, images=False)
    turned = Catalog(catalog.frames, catalog.annotations.reverse(), catalog.roots)
    assert turned.fingerprint == catalog.fingerprint
    with pytest.raises(DataError, match=r"box . of frame 'a' is another than in the findings"):
        clean(turned, findings, policy_of(box_outside="drop_box"))


def test_a_changed_catalog_is_not_undone(catalog):
    cleaned = clean(catalog, check(catalog, images=False), policy_of(box_outside="drop_box"))
    changed = cleaned.catalog.with_frames(cleaned.catalog.frames.with_columns(split=pl.lit("train")))
    with pytest.raises(DataError, match="not as cleaning left it"):
        undo(changed, cleaned.record)
    turned = Catalog(cleaned.catalog.frames, cleaned.catalog.annotations.reverse(), cleaned.catalog.roots)
    assert turned.fingerprint == cleaned.catalog.fingerprint
    with pytest.raises(DataError, match="rows in the same order"):
        undo(turned, cleaned.record)


def test_a_damaged_record(catalog):
    import dataclasses

    cleaned = clean(catalog, check(catalog, images=False), policy_of(box_outside="drop_box"))
    for boxes, message in (
        (cleaned.record.boxes.with_columns(state=pl.lit("green")), "the record is damaged"),
        (cleaned.record.boxes.with_columns(row=pl.lit(99, dtype=pl.UInt32)), "names row 99 of 5"),
        (pl.concat([cleaned.record.boxes] * 2), "names a row twice"),
        (cleaned.record.boxes.clear(), "the record is damaged"),
    ):
        with pytest.raises(DataError, match=message):
            undo(cleaned.catalog, dataclasses.replace(cleaned.record, boxes=boxes))


# --- on disk


def test_on_disk(catalog, tmp_path):
    findings = found(
        catalog,
        Finding(Rule.IMAGE_GREY, "x", "b"),
        Finding(Rule.BOX_OUTSIDE, "x", "a", 0),
        Finding(Rule.BOX_DEGENERATE, "x", "a", 2),
    )
    cleaned = clean(
        catalog, findings, policy_of(image_grey="quarantine", box_outside="drop_box", box_degenerate="drop_box")
    )
    aside = save_cleaned(cleaned, tmp_path / "out" / "clean")
    folder = tmp_path / "out" / "clean"
    assert aside == folder / "quarantine"
    assert [item.name for item in (tmp_path / "out").iterdir()] == ["clean"], "nothing temporary is left"
    opened = Catalog.open(folder)
    assert opened.frames["frame_id"].to_list() == ["a", "c"]
    assert Catalog.open(aside).frames["frame_id"].to_list() == ["b"]
    record = load_record(folder)
    assert record.policy == cleaned.record.policy and record.counts() == cleaned.record.counts()
    about = json.loads((folder / "clean_record" / "record.json").read_text())
    assert about["fingerprint_before"] == catalog.fingerprint and about["fingerprint_after"] == opened.fingerprint
    assert same(undo(opened, record), catalog)


def test_roots_are_those_of_the_source(tmp_path):
    """Images beside the catalog are stored relative to it; the cleaned one and its quarantine must still find them."""
    images = tmp_path / "data" / "images"
    images.mkdir(parents=True)
    catalog = catalog_of({"a": ("good",), "b": ("good",)}, images)
    cleaned = clean(catalog, found(catalog, Finding(Rule.IMAGE_GREY, "x", "b")), policy_of(image_grey="quarantine"))
    aside = save_cleaned(cleaned, tmp_path / "data" / "clean", tmp_path / "elsewhere" / "aside")
    assert aside == tmp_path / "elsewhere" / "aside"
    for place in (tmp_path / "data" / "clean", aside):
        assert Catalog.open(place).roots == {"drawn": images.resolve()}


@pytest.mark.parametrize("place", ["clean", "aside"])
def test_nothing_is_overwritten(place, catalog, tmp_path):
    (tmp_path / place).mkdir()
    (tmp_path / place / "mine.txt").write_text("mine")
    cleaned = clean(catalog, found(catalog, Finding(Rule.IMAGE_GREY, "x", "b")), policy_of(image_grey="quarantine"))
    with pytest.raises(DataError, match=f"{place}: exists already"):
        save_cleaned(cleaned, tmp_path / "clean", tmp_path / "aside")
    assert sorted(item.name for item in tmp_path.iterdir()) == [place]
    assert (tmp_path / place / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("what", "damage"),
    [
        ("no record", lambda folder: [item.unlink() for item in folder.iterdir()]),
        ("no table", lambda folder: (folder / "boxes.parquet").write_text("x")),
        ("other columns", lambda folder: pl.DataFrame({"a": [1]}).write_parquet(folder / "frames.parquet")),
        ("no JSON", lambda folder: (folder / "record.json").write_text("{")),
        ("a list", lambda folder: (folder / "record.json").write_text("[]")),
        ("another version", lambda folder: (folder / "record.json").write_text('{"version": 9}')),
    ],
)
def test_a_broken_record(what, damage, catalog, tmp_path):
    save_cleaned(clean(catalog, check(catalog, images=False), policy_of()), tmp_path / "clean")
    damage(tmp_path / "clean" / "clean_record")
    with pytest.raises(DataError, match="no record of a cleaning") as caught:
        load_record(tmp_path / "clean")
    assert "\n" not in str(caught.value), what


def test_the_source_is_not_touched(checks_source, tmp_path):
    """Every byte of the images and of the catalog on disk stays as it was."""
    folder, images = checks_source

    def state() -> dict[str, tuple[str, int]]:
        return {
            str(path): (hashlib.sha256(path.read_bytes()).hexdigest(), path.stat().st_mtime_ns)
            for root in (folder, images)
            for path in sorted(root.rglob("*"))
            if path.is_file()
        }

    before = state()
    catalog = Catalog.open(folder)
    cleaned = clean(catalog, check(catalog), policy_of(image_unreadable="quarantine", state_against_colour="drop_box"))
    save_cleaned(cleaned, tmp_path / "clean")
    assert cleaned.record.counts() == {"quarantine frames": 1, "drop_box boxes": 1}
    assert state() == before


@pytest.fixture
def checks_source(tmp_path, draw_image, make_frame) -> tuple[Path, Path]:
    """A catalog on disk: a lamp that is labelled wrongly, and an image that is none."""
    import cv2

    from tl_datasets.images import read_rgb, write_rgb

    images = tmp_path / "images"
    for name in ("a.png", "b.png"):
        draw_image(images / name, 100, 80)
    picture = read_rgb(images / "a.png")
    cv2.rectangle(picture, (10, 10), (25, 57), (24, 26, 25), -1)
    cv2.circle(picture, (18, 50), 6, (40, 220, 150), -1)
    write_rgb(images / "a.png", picture)
    (images / "b.png").write_bytes(b"no image")
    from tl_datasets.frame import Annotation

    lamp = (Annotation(xyxy=(10.0, 10.0, 26.0, 58.0), state=State.RED),)
    frames = [make_frame("a", annotations=lamp), make_frame("b", (State.RED,))]
    Catalog.from_frames(frames, source="drawn", root=images).save(tmp_path / "catalog")
    return tmp_path / "catalog", images


# --- whatever is found and whatever is done, it can be undone

BOX_RULES = [rule for rule in Rule if RULES[rule].subject is Subject.BOX and rule is not Rule.BOX_OVER_EDGE]
FRAME_RULES = [rule for rule in Rule if RULES[rule].subject is Subject.FRAME]
BOX_ACTIONS = [action for action in Action if action is not Action.CLIP]
FRAME_ACTIONS = [Action.KEEP, Action.QUARANTINE, Action.DROP_FRAME]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_undo_gives_back_the_same_catalog(data, tmp_path_factory):
    names = data.draw(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1))
    boxes = st.lists(st.sampled_from(list(BOXES)), max_size=4)
    catalog = catalog_of({name: tuple(data.draw(boxes)) for name in names}, Path("images"))
    findings = []
    for name, count in zip(names, (catalog.offsets[1:] - catalog.offsets[:-1]).tolist(), strict=True):
        rules_of_frame = data.draw(st.lists(st.sampled_from(FRAME_RULES), max_size=2))
        findings.extend(Finding(rule, "x", name) for rule in rules_of_frame)
        if count:
            pairs = st.tuples(st.sampled_from([*BOX_RULES, Rule.BOX_OVER_EDGE]), st.integers(0, count - 1))
            findings += [Finding(rule, "x", name, box) for rule, box in data.draw(st.lists(pairs, max_size=4))]
    rules = {str(rule): data.draw(st.sampled_from(FRAME_ACTIONS)) for rule in FRAME_RULES}
    rules |= {str(rule): data.draw(st.sampled_from(BOX_ACTIONS)) for rule in BOX_RULES}
    rules["box_over_edge"] = data.draw(st.sampled_from(list(Action)))
    cleaned = clean(catalog, found(catalog, *findings), CleanPolicy(rules=rules))
    restored = undo(cleaned.catalog, cleaned.record)
    assert same(restored, catalog)
    removed = set(cleaned.record.frames["frame_id"])
    assert set(cleaned.catalog.frames["frame_id"]) == set(names) - removed
    assert set(cleaned.quarantine.frames["frame_id"]) <= removed


@pytest.mark.parametrize("aside", ["done", "done/quarantined", "done/clean_record", "done/../done"])
def test_the_quarantine_lies_in_no_place_of_the_cleaned_catalog(aside, catalog, tmp_path):
    """It would be there first, and the cleaned catalog could not appear."""
    cleaned = clean(catalog, found(catalog, Finding(Rule.IMAGE_GREY, "grey", "b")), policy_of(image_grey="quarantine"))
    with pytest.raises(DataError, match=r"lies in the cleaned catalog .*; choose a folder outside of it, or none"):
        save_cleaned(cleaned, tmp_path / "done", tmp_path / aside)
    assert not any(path.name == "done" or path.name.startswith(".") for path in tmp_path.iterdir())


@pytest.mark.parametrize("name", ["frames.parquet", "boxes.parquet"])
@pytest.mark.parametrize("column", ["row", "action"])
def test_a_record_with_gaps(name, column, catalog, tmp_path):
    findings = found(catalog, Finding(Rule.IMAGE_GREY, "grey", "b"))
    save_cleaned(clean(catalog, findings, policy_of(image_grey="drop_frame")), tmp_path / "done")
    place = tmp_path / "done" / "clean_record" / name
    pl.read_parquet(place).with_columns(pl.lit(None).alias(column)).write_parquet(place)
    with pytest.raises(DataError, match=r"no record of a cleaning .*ValueError"):
        load_record(tmp_path / "done")
