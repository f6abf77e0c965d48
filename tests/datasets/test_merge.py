from __future__ import annotations

import pytest

from tl_datasets.catalog import Catalog
from tl_datasets.errors import DataError, UsageError
from tl_datasets.label_space import LabelSpace
from tl_datasets.merge import merge, shared_images
from tl_datasets.taxonomy import State, Weather


@pytest.fixture
def two(make_frame, tmp_path):
    """A source that knows weather and no states, and one that knows states and no weather; with the same frame ids."""
    first = [make_frame("a", states=(None,), weather=Weather.RAINY), make_frame("b", states=(None,))]
    second = [make_frame("a", states=(State.OFF, State.UNKNOWN)), make_frame("c", annotations=None)]
    return (
        Catalog.from_frames(first, source="bdd", root=tmp_path / "bdd", content_hashes={"a": "1", "b": "2"}),
        Catalog.from_frames(second, source="dtld", root=tmp_path / "dtld", content_hashes={"a": "1", "c": "3"}),
    )


def test_sources_and_the_three_kinds_of_no_are_kept(two):
    both = merge(two)
    assert both.frames["frame_id"].to_list() == ["bdd/a", "bdd/b", "dtld/a", "dtld/c"]
    assert both.frames["source"].to_list() == ["bdd", "bdd", "dtld", "dtld"]
    assert both.annotations["state"].to_list() == [None, None, "off", "unknown"]
    assert both.frames["weather"].to_list() == ["rainy", None, None, None]
    assert both.frame(3).annotations is None
    assert both.image_path(2) == two[1].image_path(0)
    assert shared_images(both) == 2


def test_ids_stay_where_they_do_not_clash(two, make_frame, tmp_path):
    other = Catalog.from_frames([make_frame("z")], source="lisa", root=tmp_path / "lisa")
    both = merge([two[0], other])
    assert both.frames["frame_id"].to_list() == ["a", "b", "z"]
    assert shared_images(both) == 0


def test_merging_a_merged_catalog_again_keeps_its_ids(two, make_frame, tmp_path):
    both = merge(two)
    third = Catalog.from_frames([make_frame("a")], source="lisa", root=tmp_path / "lisa")
    assert merge([both, third]).frames["frame_id"].to_list()[:4] == both.frames["frame_id"].to_list()


def test_two_sources_of_one_name_are_told_apart(two, make_frame, tmp_path):
    other = Catalog.from_frames([make_frame("z")], source="bdd", root=tmp_path / "elsewhere")
    both = merge([two[0], other])
    assert both.frames["source"].to_list() == ["bdd", "bdd", "bdd_2"]
    assert both.image_path(2) == other.image_path(0)


def test_one_image_in_two_catalogs_is_refused(two):
    with pytest.raises(DataError, match=r"image 'a.png' of source 'bdd' is a frame of two catalogs, like 1 other"):
        merge([two[0], two[0]])


def test_one_folder_by_two_ways_is_one_source(two, make_frame, tmp_path):
    (tmp_path / "bdd").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "bdd")
    other = Catalog.from_frames([make_frame("z")], source="bdd", root=tmp_path / "link")
    assert merge([two[0], other]).frames["source"].to_list() == ["bdd", "bdd", "bdd"]


def test_an_image_that_is_two_frames_of_one_catalog_may_stay(two, make_frame, tmp_path):
    twice = [make_frame("a"), make_frame("a2", path="a.png")]
    both = merge([two[0], Catalog.from_frames(twice, source="video", root=tmp_path / "video")])
    assert both.frames["frame_id"].to_list() == ["bdd/a", "bdd/b", "video/a", "video/a2"]


def test_ids_that_begin_like_a_source_are_still_told_apart(make_frame, tmp_path):
    """Only where every id of a source begins so has it been named before."""
    frames = [make_frame("bdd/a"), make_frame("a"), make_frame("b")]
    first = Catalog.from_frames(frames, source="bdd", root=tmp_path / "bdd")
    second = Catalog.from_frames([make_frame("a")], source="dtld", root=tmp_path / "dtld")
    both = merge([first, second])
    assert both.frames["frame_id"].to_list() == ["bdd/bdd/a", "bdd/a", "bdd/b", "dtld/a"]
    assert both.annotations["frame_id"].to_list() == ["bdd/bdd/a", "bdd/a", "bdd/b", "dtld/a"]


def test_one_catalog_is_nothing_to_merge(two):
    with pytest.raises(UsageError, match="1 catalog, expected two or more"):
        merge(two[:1])


def test_what_is_merged_survives_saving(two, tmp_path):
    both = merge(two)
    opened = Catalog.open(both.save(tmp_path / "both"))
    assert opened.fingerprint == both.fingerprint
    assert {source: root.name for source, root in opened.roots.items()} == {"bdd": "bdd", "dtld": "dtld"}


def test_a_mixed_data_set_is_learned_from_with_what_each_frame_knows(two):
    """Lights of a source without states are neither red nor background: they are ignore areas."""
    label_space = LabelSpace.model_validate(
        {"classes": {"off": {"state": "off"}}, "ignore": [{"state": [None, "unknown"]}], "otherwise": "error"}
    )
    class_id, ignored = label_space.assign(merge(two).annotations)
    assert ignored.tolist() == [True, True, False, True]
    assert class_id[2] == 0
