"""Which image a frame of an OpenLABEL scene speaks of, and which tags point to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import islice
from typing import Any

from tl_datasets.errors import UsageError, show
from tl_datasets.formats.common.numbered_images import expression_of
from tl_datasets.formats.common.place import Place
from tl_datasets.formats.common.values import declared_side
from tl_datasets.formats.openlabel_scene import Scene, mapping, typed_values

_WIDTHS, _HEIGHTS = ("width_px", "width"), ("height_px", "height")


class SceneImages:
    """The images of one camera of a scene."""

    def __init__(self, scene: Scene, stream: str | None, frame_names: str | None):
        """Choose the camera.

        Args:
            scene: The scene.
            stream: Name of the camera; None = the only one.
            frame_names: How images are named that the scene does not name; None = that is an error.

        Raises:
            AnnotationError: The scene has several cameras and none is chosen, or not the chosen one.
            UsageError: `frame_names` is no pattern with a suffix.
        """
        self._scene = scene
        if frame_names is not None:
            expression_of(frame_names)
            if "." not in frame_names.rpartition("%")[2]:
                raise UsageError(f"frame_names={frame_names}: no suffix; expected one, such as frame_%06d.png")
        self._frame_names = frame_names
        self._cameras = self._find_cameras()
        if stream is None and len(self._cameras) > 1:
            listed = show(", ".join(sorted(self._cameras)))
            raise Place(scene.path).error(
                f"has {len(self._cameras)} camera streams, {listed}; expected one: choose it with stream=NAME"
            )
        if stream is not None and self._cameras and stream not in self._cameras:
            raise Place(scene.path).error(
                f"has no camera stream {show(stream)}; expected one of {show(', '.join(sorted(self._cameras)))}"
            )
        self._stream = stream or next(iter(self._cameras), None)

    def some_names(self, number: int) -> list[str]:
        """The names of the first images."""
        return [name for frame in islice(self._scene.numbers, number) if (name := self.name(frame))]

    def name(self, number: int) -> str | None:
        """The image of a frame as the scene names it; None where it does not."""
        where = self._scene.where(number)
        uri = self._in_frame(number).get("uri")
        if uri is None:
            uri = self._of_scene(number)
        if uri is None and self._frame_names is not None:
            uri = self._frame_names % number
        if uri is not None and (not isinstance(uri, str) or not uri):
            raise where.error(f"uri is {show(uri)}, expected the path of an image")
        return uri

    def size_px(self, number: int) -> tuple[int | None, int | None]:
        """Width and height as declared for the frame, else for its camera."""
        where = self._scene.where(number)
        found = {**_sides(self._top(), where), **_sides(self._in_frame(number), where)}
        return found.get("width"), found.get("height")

    def is_other_stream(self, *names: Any) -> bool:
        """Whether a shape says that it lies in the image of another camera."""
        return any(isinstance(name, str) and name in self._cameras and name != self._stream for name in names)

    def tags(self, number: int) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Type and values of the tags of a frame: those that point to its image, and those that point nowhere."""
        for kind, values, uris in self._tags:
            if uris is None or self.name(number) in uris:
                yield kind, values

    @cached_property
    def _tags(self) -> list[tuple[str, Mapping[str, Any], frozenset[str] | None]]:
        found = []
        for uid, entry in self._scene.tags.items():
            where = Place(self._scene.path, ("tag", uid))
            record = mapping(entry, "tag", where)
            kind = record.get("type")
            if not isinstance(kind, str):
                raise where.error(f"type is {show(kind)}, expected a word")
            data = record.get("tag_data")
            values = {kind: data} if isinstance(data, str) else typed_values(mapping(data, "tag_data", where), where)
            uris = None
            if record.get("resource_uid"):
                uids = mapping(record["resource_uid"], "resource_uid", where)
                uris = frozenset(str(self._scene.resources[key]) for key in uids if key in self._scene.resources)
            found.append((kind, values, uris))
        return found

    def _find_cameras(self) -> dict[str, None]:
        """Names of the streams that are cameras, in order."""
        scene = self._scene
        found: dict[str, None] = {}
        for streams in (scene.streams, *(self._streams(number) for number in scene.frames)):
            for name, entry in streams.items():
                record = mapping(entry, f"stream {name}", Place(scene.path))
                declared = mapping(scene.streams.get(name), f"stream {name}", Place(scene.path))
                if record.get("type", declared.get("type", "camera")) == "camera":
                    found[name] = None
        return found

    def _streams(self, number: int) -> Mapping[str, Any]:
        return mapping(self._scene.properties(number).get("streams"), "streams", self._scene.where(number))

    def _in_frame(self, number: int) -> Mapping[str, Any]:
        return mapping(self._streams(number).get(self._stream or ""), "stream", self._scene.where(number))

    def _top(self) -> Mapping[str, Any]:
        return mapping(self._scene.streams.get(self._stream or ""), "stream", Place(self._scene.path))

    def _of_scene(self, number: int) -> Any:
        """The image that the camera names for all frames by a pattern, or that a file of one image names."""
        uri = self._top().get("uri")
        if isinstance(uri, str) and "%" in uri:
            try:
                expression_of(uri)
                return uri % number
            except UsageError:
                pass  # a per cent sign in a name
        if len(self._scene.numbers) > 1:
            return None
        resources = list(self._scene.resources.values())
        return uri or (resources[0] if len(resources) == 1 else None)


def _sides(stream: Mapping[str, Any], where: Place) -> dict[str, int]:
    """Width and height in the properties of a stream, or in the intrinsics there."""
    properties = mapping(stream.get("stream_properties"), "stream_properties", where)
    found: dict[str, int] = {}
    for record in (properties, *(value for value in properties.values() if isinstance(value, dict))):
        for side, names in (("width", _WIDTHS), ("height", _HEIGHTS)):
            for name in names:
                if side not in found and (value := declared_side(record.get(name), name, where)) is not None:
                    found[side] = value
    return found
