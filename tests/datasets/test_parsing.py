from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tl_datasets import parsing
from tl_datasets.errors import AnnotationError, show

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
RECORDS = st.lists(st.dictionaries(TEXT, TEXT | st.integers() | st.lists(TEXT, max_size=2), max_size=3), max_size=6)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(records=RECORDS, indent=st.sampled_from([None, 0, 2]), chunk=st.integers(1, 40), ascii_only=st.booleans())
def test_an_array_in_pieces_equals_the_whole(tmp_path, records, indent, chunk, ascii_only):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(records, indent=indent, ensure_ascii=ascii_only), encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(parsing, "_CHUNK_CHARS", chunk)
        assert list(parsing.iter_json_array(path)) == records


@pytest.mark.parametrize("chunk", [1, 5, 1 << 20])
@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[\n{"a": 1},\n{"b": }]', 3),
        ('[\n{"a": 1}\n{"b": 2}]', 3),
        ('[\n{"a": 1},\n\n', 4),
        ("\n\n5", 3),
        ('[{"a": 1}]\nmore', 2),
        ("", 1),
        ("[[1]]", 1),
    ],
    ids=["bad value", "no comma", "cut off", "no array", "text behind", "empty file", "no objects"],
)
def test_faults_name_the_line(tmp_path, monkeypatch, text, line, chunk):
    monkeypatch.setattr(parsing, "_CHUNK_CHARS", chunk)
    path = tmp_path / "a.json"
    path.write_text(text)
    with pytest.raises(AnnotationError) as caught:
        list(parsing.iter_json_array(path))
    assert (caught.value.path, caught.value.line) == (path, line)


@pytest.mark.parametrize(
    "read", [parsing.load_json, parsing.load_yaml, lambda path: list(parsing.iter_json_array(path))]
)
def test_files_that_are_missing_or_no_text(tmp_path, read):
    with pytest.raises(AnnotationError, match="cannot be read"):
        read(tmp_path / "absent")
    (tmp_path / "binary").write_bytes(b"[\xff\xfe]")
    with pytest.raises(AnnotationError, match="UTF-8"):
        read(tmp_path / "binary")


def test_a_byte_order_mark_is_no_content(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b'\xef\xbb\xbf[{"a": 1}]')
    assert parsing.load_json(path) == parsing.load_yaml(path) == list(parsing.iter_json_array(path)) == [{"a": 1}]


def test_deep_nesting_is_a_fault_not_a_crash(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("[" * 100_000)
    with pytest.raises(AnnotationError, match="not usable JSON"):
        parsing.load_json(path)


def test_yaml_words_stay_words(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("[off, on, no, yes, y, true, False, 2, 'true']")
    assert parsing.load_yaml(path) == ["off", "on", "no", "yes", "y", True, False, 2, "true"]


def test_what_only_yaml_1_1_takes_for_a_number_is_a_word(tmp_path):
    """It reads 012340 as octal, 1_17 as 117 and 12:30 as 750: other classes and other tracks."""
    path = tmp_path / "a.yaml"
    path.write_text("[012340, 08, 1_17, 12:30, '12', 0, -3, +4, 0x1F, !!int '012', 1.5]")
    assert parsing.load_yaml(path) == ["012340", "08", "1_17", "12:30", "12", 0, -3, 4, 31, 12, 1.5]


def test_words_that_other_programs_write_without_quotes_come_back(tmp_path):
    words = ["08", "0o17", "1_17", "12:30", "0b1", "off", "017", "7", "0x1F", "+1", "1e3", "null", "~", "2015-04-17"]
    path = tmp_path / "a.yaml"
    path.write_text(yaml.safe_dump(words))
    assert parsing.load_yaml(path) == words


@pytest.mark.parametrize("number", ["0x" + "f" * 5000, "9" * 3001, "!!int maybe"])
def test_whole_numbers_of_yaml_that_nobody_can_write_out(tmp_path, number):
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {number}")
    with pytest.raises(AnnotationError, match=r"a\.yaml: not YAML: (a number of \d+ digits|invalid literal)"):
        parsing.load_yaml(path)


def test_yaml_makes_no_objects(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("!!python/object/apply:os.getcwd []")
    with pytest.raises(AnnotationError, match="line 1: not YAML"):
        parsing.load_yaml(path)


@pytest.mark.parametrize("text", ["!!bool maybe", "!!timestamp x", "!!int ''", "!!float x"])
def test_a_yaml_value_that_its_tag_does_not_allow(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(f"a: {text}")
    with pytest.raises(AnnotationError, match="not YAML: "):
        parsing.load_yaml(path)


@pytest.mark.parametrize("text", ["{0: red, 0x0: green}", "{red: 1, 'red': 2}"])
def test_yaml_keys_that_are_one_key(tmp_path, text):
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(AnnotationError, match="occurs twice"):
        parsing.load_yaml(path)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[{"b": {"a": 1, "c": 2, "a": 1}}]', "key 'a' occurs twice in one object"),
        ('[{"a": ' + "1" * 5000 + "}]", "not usable JSON: Exceeds the limit"),
    ],
    ids=["repeated key", "5000 digits"],
)
def test_json_that_python_would_take_or_drop_silently(tmp_path, text, message):
    path = tmp_path / "a.json"
    path.write_text(text)
    for read in (parsing.load_json, lambda place: list(parsing.iter_json_array(place))):
        with pytest.raises(AnnotationError, match=message):
            read(path)


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        "{a: " * 100_000,
        "- " * 100_000 + "x",
        "\n".join(" " * n + "a:" for n in range(2000)),
        "? " * 50_000,
    ],
    ids=["lists", "mappings", "compact lists", "indented", "keys"],
)
def test_deep_yaml_is_a_fault_not_the_end_of_the_process(tmp_path, text):
    """libyaml builds documents by recursion without a limit."""
    path = tmp_path / "a.yaml"
    path.write_text(text)
    with pytest.raises(AnnotationError, match="nested more than 500 levels deep"):
        parsing.load_yaml(path)


def test_many_brackets_are_no_depth(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("".join("- {boxes: [[1, 2], [3, 4]]}\n" for _ in range(1000)))
    assert parsing.load_yaml(path) == [{"boxes": [[1, 2], [3, 4]]}] * 1000


def test_yaml_that_repeats_itself_is_shown_in_short(tmp_path):
    """Nine lists of nine of the one before: small in memory, endless written out."""
    lines = ["a0: &a0 [x]"] + [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 30)]
    path = tmp_path / "a.yaml"
    path.write_text("\n".join(lines))
    assert len(show(parsing.load_yaml(path))) <= 80


@pytest.mark.parametrize("read", [parsing.load_xml, lambda path: list(parsing.iter_xml(path, {"b"}))])
@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('<!DOCTYPE a [<!ENTITY l "lol">]><a>&l;</a>', "document type definitions and entities are refused"),
        ('<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>', "document type definitions and entities are refused"),
        ("<a>\n<b></a>", "line 2: not XML: mismatched tag"),
        ("", "not XML: no element found"),
        ('<?xml version="1.0" encoding="no-such"?><a/>', "not XML: "),
        ("version https://git-lfs.github.com/spec/v1\noid x\n", "Git LFS pointer"),
    ],
    ids=["entities", "an external file", "broken", "empty", "encoding", "pointer"],
)
def test_xml_is_hardened(tmp_path, read, text, message):
    path = tmp_path / "a.xml"
    path.write_text(text)
    with pytest.raises(AnnotationError, match=message) as caught:
        read(path)
    assert str(path) in str(caught.value)


def test_xml_in_pieces_equals_the_whole(tmp_path):
    path = tmp_path / "a.xml"
    path.write_text("<a><m>x</m>" + "".join(f'<b n="{n}"><c>{n}</c></b>' for n in range(100)) + "</a>")
    whole = [(item.get("n"), item[0].text) for item in parsing.load_xml(path).iter("b")]
    assert [(item.get("n"), item[0].text) for item in parsing.iter_xml(path, {"b"})] == whole
    assert len(whole) == 100


def test_an_lfs_pointer_is_no_text(tmp_path):
    path = tmp_path / "a.json"
    path.write_text("version https://git-lfs.github.com/spec/v1\noid x\n")
    for read in (parsing.load_json, parsing.load_yaml):
        with pytest.raises(AnnotationError, match="Git LFS pointer"):
            read(path)
