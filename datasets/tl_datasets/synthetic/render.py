"""`render_sequence`: paints the frames of a sequence and says what is in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from tl_datasets import boxes
from tl_datasets.frame import Annotation, Frame
from tl_datasets.synthetic.camera import Camera
from tl_datasets.synthetic.canvas import Canvas, Lamp, Trace
from tl_datasets.synthetic.heads import GLOW, LIT_LENSES, HeadModel, draw_head
from tl_datasets.synthetic.junction import PlacedHead
from tl_datasets.synthetic.sky import MARGIN_X_SHARE
from tl_datasets.synthetic.spec import SequenceSpec
from tl_datasets.synthetic.sprite import Sprite
from tl_datasets.synthetic.vehicles import Vehicle
from tl_datasets.synthetic.weather import SMALLEST_MIRRORING_WET, add_glow, expose, mirror_in_wet_road
from tl_datasets.synthetic.world import World, lay_out_world
from tl_datasets.taxonomy import Facing, State, TimeOfDay

# Heights at the reference width. Below the first a head is not drawn, below the second it is annotated as ignored.
SMALLEST_DRAWN_PX = 4.0
SMALLEST_LABELLED_PX = 6.0
# Visible share of the housing: below the first the box is ignored, below the second the head counts as occluded.
RECOGNISABLE_SHARE = 0.3
OCCLUDED_SHARE = 0.9
# A dark head in the dark: below this height, at the reference width, nobody could tell it from its surroundings.
SMALLEST_UNLIT_AT_NIGHT_PX = 16.0
# Share of its own colour that a head keeps through haze; below this the box is ignored.
RECOGNISABLE_CONTRAST = 0.25
# A state is named if this share of every lens that matters shows.
NAMED_LENS_SHARE = 0.4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Painted:
    head: PlacedHead
    state: State
    trace: Trace
    xyxy: tuple[float, float, float, float]
    lenses_px: dict[str, tuple[float, float]]
    lens_radius_px: float
    contrast: float


def render_sequence(spec: SequenceSpec) -> Iterator[tuple[Frame, NDArray[np.uint8]]]:
    """Draw a sequence.

    Args:
        spec: What to draw; it alone decides every byte.

    Yields:
        Each frame with its annotations, and its (height_px, width_px, 3) uint8 RGB image.
    """
    world = lay_out_world(spec)
    painter = SequencePainter(spec, world)
    for frame_index in range(spec.n_frames):
        yield painter.paint(frame_index)


class SequencePainter:
    """Paints the frames of a laid-out world, in any order."""

    def __init__(self, spec: SequenceSpec, world: World):
        self._spec = spec
        self._world = world
        self._sprites: dict[tuple[HeadModel, State], Sprite] = {}

    def paint(self, frame_index: int) -> tuple[Frame, NDArray[np.uint8]]:
        """Give one frame and its (H, W, 3) uint8 RGB image."""
        spec, world, air = self._spec, self._world, self._world.air
        rng = spec.generator(frame_index)
        camera = world.drive.camera(spec, frame_index, rng.standard_normal(2))
        canvas = Canvas(np.zeros((spec.height_px, spec.width_px, 3), np.uint8))
        self._paint_sky(canvas.pixels, camera)
        world.ground.paint(canvas.pixels, camera)
        bare_ground = canvas.pixels.copy() if air.wet > SMALLEST_MIRRORING_WET else None
        for building in world.buildings:
            building.paint_on(canvas, camera, air)
        if bare_ground is not None:
            mirror_in_wet_road(canvas.pixels, bare_ground, camera.horizon_px, air.wet)
        painted = self._paint_things(canvas, camera, frame_index)
        self._add_signal_light(canvas, camera, painted)
        add_glow(canvas, air, camera.horizon_px)
        self._paint_bonnet(canvas)
        world.precipitation.paint_on(canvas.pixels, rng)
        world.precipitation.wet_windscreen(canvas.pixels, frame_index, [item.xyxy for item in painted])
        gain = float(np.exp(rng.normal(0, 0.025)))
        image = expose(canvas.pixels, air, gain, rng)
        annotations = (self._annotate(item) for item in painted)
        frame = Frame(
            frame_id=f"{spec.sequence}/{frame_index:04d}",
            path=f"images/{spec.sequence}/{frame_index:04d}.jpg",
            width_px=spec.width_px,
            height_px=spec.height_px,
            annotations=tuple(annotation for annotation in annotations if annotation is not None),
            weather=spec.weather,
            scene=spec.scene,
            time_of_day=spec.time_of_day,
            sequence=spec.sequence,
            timestamp_ns=frame_index * 100_000_000,
        )
        return frame, image

    def _paint_sky(self, pixels: NDArray[np.uint8], camera: Camera) -> None:
        sky = self._world.sky
        height = min(max(int(np.ceil(camera.horizon_px)) + 1, 1), camera.height_px)
        shift = round(MARGIN_X_SHARE * camera.width_px - (camera.centre_px - camera.width_px / 2))
        left = int(np.clip(shift, 0, sky.shape[1] - camera.width_px))
        top = max(sky.shape[0] - height, 0)
        pixels[:height] = sky[top : top + height, left : left + camera.width_px]

    def _paint_things(self, canvas: Canvas, camera: Camera, frame_index: int) -> list[_Painted]:
        """Paint props, vehicles and heads from far to near."""
        world, air = self._world, self._world.air
        things = [(prop.z_m, prop) for prop in world.props]
        things += [(vehicle.near_end_m(frame_index), vehicle) for vehicle in world.vehicles]
        things += [(head.z_m, head) for head in world.heads]
        painted = []
        for _, thing in sorted(things, key=lambda pair: -pair[0]):
            if isinstance(thing, PlacedHead):
                item = self._paint_head(canvas, camera, thing, frame_index)
                if item is not None:
                    painted.append(item)
            elif isinstance(thing, Vehicle):
                thing.paint_on(canvas, camera, air, frame_index)
            else:
                thing.paint_on(canvas, camera, air)
        return painted

    def _paint_head(self, canvas: Canvas, camera: Camera, head: PlacedHead, frame_index: int) -> _Painted | None:
        distance = head.z_m - camera.z_m
        if distance < 3.0:
            return None
        model, air = head.model, self._world.air
        width_m, height_m = model.housing_size_m
        column, row, scale = camera.project_point(head.x_m, head.y_m, head.z_m)
        if height_m * scale < SMALLEST_DRAWN_PX * self._spec.pixel_scale:
            return None
        state = head.programme.state(frame_index) if model.facing == Facing.FRONT else State.UNKNOWN
        sprite = self._sprite(model, state)
        x1, y1 = column - width_m * scale / 2, row - height_m * scale / 2
        zoom = scale * (height_m + 2 * model.margin_m) / sprite.height_px
        # Lamps pierce haze further than the housing does; the sprite holds both.
        share = air.transmission(distance) ** (0.5 if LIT_LENSES[state] else 0.8)
        margin = model.margin_m * scale
        trace = canvas.sprite(sprite, x1 - margin, y1 - margin, zoom, zoom, air.haze, share)
        if trace is None:
            return None
        lenses = {}
        for colour in model.lens_colours:
            right, below = model.lens_centre_m(colour)
            lenses[colour] = (x1 + right * scale, y1 + below * scale)
        return _Painted(
            head=head,
            state=state,
            trace=trace,
            xyxy=(x1, y1, x1 + width_m * scale, y1 + height_m * scale),
            lenses_px=lenses,
            lens_radius_px=model.lens_radius_m * scale,
            contrast=share,
        )

    def _sprite(self, model: HeadModel, state: State) -> Sprite:
        key = (model, state)
        if key not in self._sprites:
            # Headlights and street lamps reach the heads by night.
            red, green, blue = (max(channel, 0.36) for channel in self._world.air.light)
            light = (red, green, blue)
            self._sprites[key] = draw_head(model, state, light)
        return self._sprites[key]

    def _add_signal_light(self, canvas: Canvas, camera: Camera, painted: list[_Painted]) -> None:
        """Register the glow of every burning lens, as far as the lens shows."""
        for item in painted:
            head = item.head
            is_symbol = head.model.pictogram != "circle"
            for colour in LIT_LENSES[item.state]:
                x, y = item.lenses_px[colour]
                share = item.trace.visible_share_of_disc(x, y, item.lens_radius_px)
                _, mirrored, _ = camera.project_point(head.x_m, -head.y_m, head.z_m)
                strength = share * (0.4 if is_symbol else 0.8)
                canvas.add_lamp(Lamp(x, y, item.lens_radius_px, GLOW[colour], strength, mirrored))

    def _paint_bonnet(self, canvas: Canvas) -> None:
        """Paint the own car's bonnet over the lower edge of the image."""
        if self._world.bonnet is None:
            return
        width, height = canvas.width_px, canvas.height_px
        across = np.linspace(-1.2, 1.2, 40)
        edge = height - 0.048 * width * (1 - 0.5 * across**2) + 0.012 * width * (np.abs(across) > 1.15)
        outline = np.concatenate(
            [np.stack([width / 2 * (1 + across), edge], axis=1), [[width * 1.2, height + 9], [-9, height + 9]]]
        )
        canvas.polygon(outline, self._world.air.shade(self._world.bonnet, 1.0, 0.55))
        lower = outline + np.array([0, 0.012 * width])
        canvas.polygon(lower, self._world.air.shade(self._world.bonnet, 1.0, 0.4))

    def _annotate(self, item: _Painted) -> Annotation | None:
        """Describe a painted head; None where nothing of it shows."""
        spec, model = self._spec, item.head.model
        clipped, truncated = boxes.clip(np.array([item.xyxy]), spec.width_px, spec.height_px)
        if boxes.area(clipped)[0] < 1.0:
            return None
        in_image = float(boxes.area(clipped)[0] / boxes.area(np.array([item.xyxy]))[0])
        visible = item.trace.visible_share()
        if visible * in_image < 0.02:
            return None
        state = item.state
        mattering = LIT_LENSES[state] or model.lens_colours
        if model.facing == Facing.FRONT and state != State.UNKNOWN:
            shares = [item.trace.visible_share_of_disc(*item.lenses_px[c], item.lens_radius_px) for c in mattering]
            if min(shares) < NAMED_LENS_SHARE:
                state = State.UNKNOWN
        height_px = item.xyxy[3] - item.xyxy[1]
        is_unlit_at_night = spec.time_of_day == TimeOfDay.NIGHT and not LIT_LENSES[item.state]
        smallest_px = SMALLEST_UNLIT_AT_NIGHT_PX if is_unlit_at_night else SMALLEST_LABELLED_PX
        too_small = height_px < smallest_px * spec.pixel_scale
        is_hidden = visible * in_image < RECOGNISABLE_SHARE or item.contrast < RECOGNISABLE_CONTRAST
        x1, y1, x2, y2 = (float(value) for value in clipped[0])
        return Annotation(
            xyxy=(x1, y1, x2, y2),
            state=state,
            pictogram=model.pictogram,
            relevance=item.head.relevance,
            facing=model.facing,
            orientation=model.orientation,
            aspects=model.aspects,
            occluded=visible < OCCLUDED_SHARE,
            truncated=bool(truncated[0]),
            ignore=too_small or is_hidden,
            track_id=item.head.track_id,
        )
