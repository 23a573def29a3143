"""The coordinates of lines, points and labels of the roofline that the report draws."""

import math
from typing import Any

from ..plots import apart

WIDTH, HEIGHT = 800, 520
LEFT, RIGHT, TOP, BOTTOM = 70, 575, 34, 460  # the frame; the names of rungs are at its right
GAP = 23.0
"""Between two labels."""

PREFIXES = ["", "k", "M", "G", "T", "P"]


def roofline_places(roofline: dict[str, Any]) -> dict[str, Any]:
    """All coordinates that roofline.svg needs; both axes are logarithmic."""
    points, roofs = roofline["points"], roofline["roofs"]
    x = Scale([*(point["x"] for point in points), *(at for roof in roofs for at in roof["x"])], LEFT, RIGHT)
    y = Scale([*(point["y"] / 2 for point in points), *(2 * at for roof in roofs for at in roof["y"])], BOTTOM, TOP)
    most = max(roof["threads"] for roof in roofs)
    named = [roof for roof in roofs if roof["threads"] == most]
    heights = apart([y.at(roof["y"][0]) for roof in named], GAP, TOP, BOTTOM)
    names = apart([y.at(point["y"]) for point in points], GAP, TOP, BOTTOM)
    labels = {id(roof): height for roof, height in zip(named, heights, strict=True)}
    return {
        "width": WIDTH, "height": HEIGHT, "left": LEFT, "right": RIGHT, "top": TOP, "bottom": BOTTOM,
        "xlabel": roofline["x"], "ylabel": roofline["y"], "xticks": x.ticks(), "yticks": y.ticks(),
        "label": "Machine peaks as lines, speed of each rung as a point: " + ", ".join(
            f"{point['name']} {short(point['y'])} {roofline['y']}" for point in points
        ),
        "roofs": [
            {"name": roof["name"] if id(roof) in labels else "", "many": roof["threads"] > 1,
             "x1": x.at(roof["x"][0]), "x2": x.at(roof["x"][1]), "y1": y.at(roof["y"][0]), "y2": y.at(roof["y"][1]),
             "label": labels.get(id(roof))}
            for roof in roofs
        ],
        "points": [
            {"name": point["name"], "x": x.at(point["x"]), "y": y.at(point["y"]),
             "label": label, "title": f"{point['name']}: {short(point['y'])} {roofline['y']}"}
            for point, label in zip(points, names, strict=True)
        ],
    }  # fmt: skip


class Scale:
    """A logarithmic axis from `start` to `end` in the picture."""

    def __init__(self, values: list[float], start: float, end: float) -> None:
        self.low, self.high = math.log10(min(values)), math.log10(max(values))
        self.start, self.end = start, end

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 1)

    def ticks(self) -> list[dict[str, Any]]:
        """At powers of ten."""
        powers = range(math.ceil(self.low), math.floor(self.high) + 1)
        return [{"at": self.at(10.0**power), "text": short(10.0**power)} for power in powers]


def short(value: float) -> str:
    """A number in three digits and a prefix: 1.23 G."""
    step = max(0, min(len(PREFIXES) - 1, math.floor(math.log10(value) / 3 + 1e-9))) if value > 0 else 0
    return f"{value / 1000**step:.3g} {PREFIXES[step]}".strip()
