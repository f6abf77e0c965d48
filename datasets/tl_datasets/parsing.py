"""JSON, YAML and XML files of other people, read so that every fault names its file and line.

YAML is read with the booleans of YAML 1.2: `off`, `on`, `yes` and `no` stay words, because `off` is a lamp state. So do
012, 1_17 and 12:30, which YAML 1.1 takes for ten, 117 and 750.
No tag makes a Python object, and a key that occurs twice in one mapping is a fault.
XML is read without document type definitions and entities, so that a small file cannot grow in memory.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml
from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring, iterparse

try:
    from yaml import CSafeLoader as _SafeLoader
except ImportError:  # PyYAML built without libyaml
    from yaml import SafeLoader as _SafeLoader

from tl_datasets.errors import LFS_POINTER, AnnotationError, show

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_CHUNK_CHARS = 1 << 20
_SPACE = " \t\r\n"
_DEEPEST = 500
# Each level of a block stands further right than the one that holds it, or after one more indicator.
_DEEP_BLOCK = re.compile(rf"^[ \t?:-]{{{_DEEPEST // 2},}}", re.MULTILINE)


def read_text(path: Path | str) -> str:
    """The text of a UTF-8 file, with or without a byte order mark.

    Raises:
        AnnotationError: The file is missing, unreadable or not UTF-8.
    """
    try:
        text = Path(path).read_text(encoding="utf-8-sig")
    except OSError as error:
        raise AnnotationError(path, f"cannot be read ({error.strerror}); expected a text file") from error
    except UnicodeDecodeError as error:
        raise AnnotationError(path, f"byte {error.start} is not UTF-8; save the file as UTF-8") from error
    if text.startswith(LFS_POINTER.decode()):
        raise AnnotationError(path, "a Git LFS pointer, not the file itself; fetch it with: git lfs pull")
    return text


def load_json(path: Path | str) -> Any:
    """Read one JSON document.

    Raises:
        AnnotationError: The file is missing or not JSON, or a key occurs twice in one object.
    """
    text = read_text(path)
    try:
        return json.loads(text, object_pairs_hook=_object)
    except json.JSONDecodeError as error:
        cut = " (is the file cut off?)" if error.pos >= len(text.rstrip()) else ""
        raise AnnotationError(
            path, f"not JSON: {error.msg}{cut}; expected a JSON document", line=error.lineno
        ) from error
    except (RecursionError, ValueError) as error:
        raise AnnotationError(path, f"not usable JSON: {error}; expected a JSON document") from error


def iter_json_array(path: Path | str, on_read: Callable[[int], None] | None = None) -> Iterator[dict[str, Any]]:
    """Yield the objects of a file that holds one JSON array of objects, without holding the file in memory.

    The label files of large sets are one array of more than a gigabyte.

    Args:
        path: The file.
        on_read: Called with the number of characters after each piece that was read.

    Raises:
        AnnotationError: The file is missing, not JSON, or not an array of objects, or a key occurs twice in one object.
    """
    decoder = json.JSONDecoder(object_pairs_hook=_object)
    try:
        file = Path(path).open(encoding="utf-8-sig")  # noqa: SIM115  (closed by the with below)
    except OSError as error:
        raise AnnotationError(path, f"cannot be read ({error.strerror}); expected a JSON array") from error
    buffer, position, line, size = "", 0, 1, _CHUNK_CHARS

    def fault(message: str) -> AnnotationError:
        return AnnotationError(path, message, line=line + buffer.count("\n", 0, position))

    def more() -> bool:
        nonlocal buffer, position, line, size
        line += buffer.count("\n", 0, position)
        chunk = file.read(size)
        buffer, position = buffer[position:] + chunk, 0
        if on_read is not None:
            on_read(len(chunk))
        size = max(size, len(buffer))  # doubles while one record does not fit, so that the work stays linear
        return bool(chunk)

    def peek() -> str:
        nonlocal position
        while True:
            while position < len(buffer) and buffer[position] in _SPACE:
                position += 1
            if position < len(buffer):
                return buffer[position]
            if not more():
                return ""

    with file:
        try:
            if peek() != "[":
                raise fault("expected a JSON array '[...]' at the top")
            position += 1
            first = True
            while peek() != "]":
                if not first:
                    if peek() != ",":
                        raise fault("not JSON: expected ',' or ']' after a record (is the file cut off?)")
                    position += 1
                first = False
                if peek() != "{":
                    raise fault("not a list of records: expected '{'")
                while True:
                    try:
                        record, position = decoder.raw_decode(buffer, position)
                        break
                    except json.JSONDecodeError as error:
                        place = error.pos - position  # more() moves the record to the front
                        if not more():
                            position = min(place, len(buffer))
                            raise fault(f"not JSON: {error.msg} (is the file cut off?)") from error
                yield record
            position += 1
            if peek():
                raise fault("text after the end of the array; expected nothing")
        except UnicodeDecodeError as error:
            raise fault(f"not UTF-8 ({error.reason}); save the file as UTF-8") from error
        except RecursionError as error:
            raise fault("nested too deeply; expected a list of flat records") from error
        except ValueError as error:  # a key that occurs twice, a number of thousands of digits
            raise fault(f"not usable JSON: {error}; expected a JSON array of records") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        keys = [key for key, _ in pairs]
        repeated = next(key for key in keys if keys.count(key) > 1)
        raise ValueError(f"key {show(repeated)} occurs twice in one object")
    return result


class _Loader(_SafeLoader):  # type: ignore[misc, valid-type]
    """A safe loader with the booleans of YAML 1.2 and without repeated keys."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict:
        mapping = super().construct_mapping(node, deep=deep)
        if len(mapping) < len(node.value):
            seen = set()
            for key_node, _ in node.value:
                key = self.construct_object(key_node, deep=True)  # 0 and 0x0 are one key
                if key in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key '{key_node.value}' occurs twice", key_node.start_mark
                    )
                seen.add(key)
        return mapping


_BOOLEAN = "tag:yaml.org,2002:bool"
_WHOLE_NUMBER = "tag:yaml.org,2002:int"
# More than any number of a label file has, and few enough that Python writes them out in a message.
_MOST_DIGITS = 3000


def _whole_number(loader: _Loader, node: yaml.ScalarNode) -> int:
    text = loader.construct_scalar(node).replace("_", "")  # a tag may call any text a number
    if len(text) > _MOST_DIGITS:
        raise ValueError(f"a number of {len(text)} digits")
    return int(text, 16 if text.startswith("0x") else 10)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in resolvers if tag not in {_BOOLEAN, _WHOLE_NUMBER}]
    for first, resolvers in _Loader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(
    _WHOLE_NUMBER, re.compile(r"^(?:[-+]?(?:0|[1-9][0-9]*)|0x[0-9a-fA-F]+)$"), list("-+0123456789")
)
_Loader.add_constructor(_WHOLE_NUMBER, _whole_number)
_Loader.add_implicit_resolver(_BOOLEAN, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))


def load_yaml(path: Path | str) -> Any:
    """Read one YAML document; `off` and its like stay words.

    Raises:
        AnnotationError: The file is missing or not YAML, or a key occurs twice.
    """
    return parse_yaml(read_text(path), path)


def parse_yaml(text: str, path: Path | str, lines_before: int = 0) -> Any:
    """Read the text of one YAML document, or of a part of it that stands for itself.

    Args:
        text: The text.
        path: Its file, for messages.
        lines_before: Lines of the file before the text, for messages.

    Raises:
        AnnotationError: The text is not YAML, or a key occurs twice.
    """
    if _may_be_deep(text) and _yaml_depth(text) > _DEEPEST:
        raise AnnotationError(path, f"nested more than {_DEEPEST} levels deep; expected a flat YAML document")
    try:
        return yaml.load(text, Loader=_Loader)  # noqa: S506  (derived from the safe loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 + lines_before if mark else None
        raise AnnotationError(path, f"not YAML: {error.problem}; expected a YAML document", line=line) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        message = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise AnnotationError(path, f"not YAML: {message}; expected a YAML document") from error
    except (LookupError, AttributeError, TypeError) as error:
        # How PyYAML fails on a value that its tag does not allow, such as `!!bool maybe`.
        message = f"a value does not fit its tag ({type(error).__name__}: {error})"
        raise AnnotationError(path, f"not YAML: {message}; expected a YAML document") from error


def _may_be_deep(text: str) -> bool:
    """Whether a text has enough brackets, or far enough indented lines, to be nested deeply."""
    return text.count("[") + text.count("{") > _DEEPEST or _DEEP_BLOCK.search(text) is not None


def _yaml_depth(text: str) -> int:
    """How deep a YAML text is nested; libyaml builds documents by recursion, and ends the process in a deep one."""
    depth = deepest = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            deepest = max(deepest, depth)
            if deepest > _DEEPEST:
                break
    except yaml.YAMLError:
        return deepest  # what is wrong with it is told by the reading itself
    return deepest


def load_xml(path: Path | str) -> Element:
    """Read one XML document and give its root element.

    Raises:
        AnnotationError: The file is missing, not XML, or has a document type definition or entities.
    """
    text = read_text(path)
    try:
        return fromstring(text.encode(), forbid_dtd=True)
    except ParseError as error:
        raise AnnotationError(path, f"not XML: {error}; expected an XML document", line=error.position[0]) from error
    except DefusedXmlException as error:
        raise AnnotationError(
            path, f"{type(error).__name__}: document type definitions and entities are refused; remove them"
        ) from error
    except (ValueError, LookupError) as error:  # an encoding that is unknown or not the file's own
        raise AnnotationError(path, f"not XML: {str(error)[:200]}; expected an XML document in UTF-8") from error


def iter_xml(path: Path | str, tags: Collection[str]) -> Iterator[Element]:
    """Yield the elements with these tags as they end, and free each afterwards, for documents of any length.

    An element inside another one that is yielded stays part of it.

    Raises:
        AnnotationError: As `load_xml`.
    """
    read_start = Path(path)
    try:
        with read_start.open("rb") as file:
            if file.read(len(LFS_POINTER)) == LFS_POINTER:
                raise AnnotationError(path, "a Git LFS pointer, not the file itself; fetch it with: git lfs pull")
            file.seek(0)
            ancestors: list[Element] = []
            inside = 0
            for event, element in iterparse(file, events=("start", "end"), forbid_dtd=True):
                if event == "start":
                    ancestors.append(element)
                    inside += element.tag in tags
                    continue
                ancestors.pop()
                inside -= element.tag in tags
                if inside:
                    continue
                if element.tag in tags:
                    yield element
                if ancestors:
                    ancestors[-1].remove(element)
    except OSError as error:
        raise AnnotationError(path, f"cannot be read ({error.strerror}); expected an XML file") from error
    except ParseError as error:
        raise AnnotationError(path, f"not XML: {error}; expected an XML document", line=error.position[0]) from error
    except DefusedXmlException as error:
        raise AnnotationError(
            path, f"{type(error).__name__}: document type definitions and entities are refused; remove them"
        ) from error
    except (ValueError, LookupError) as error:
        raise AnnotationError(path, f"not XML: {str(error)[:200]}; expected an XML document in UTF-8") from error
