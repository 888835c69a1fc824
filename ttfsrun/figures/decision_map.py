"""Decisions and spike times of a network trained on the yin-yang data, over the plane of its inputs."""

from __future__ import annotations

from dataclasses import dataclass

import matplotlib
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap, Normalize, to_rgb
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.patches import Circle, Patch
from matplotlib.patheffects import withStroke

from ttfsrun.figures import style
from ttfsrun.figures.decision import NO_SPIKE, first_output

NAMES = ("yin", "yang", "dot")
COLOURS = (style.BLUE, style.ORANGE, style.GREEN)
HEIGHT = 2.05  # inches, for four circles side by side on the width of a page
MARKER = 9  # area of the marker of a wrong test point, in square points
MANY_WRONG = 100  # the markers of more wrong points are smaller, or they would cover the map
EARLY, LATE = 1, 99  # percentiles of the spike times at the ends of the colour scale


Extent = tuple[float, float, float, float]
HALO = [withStroke(linewidth=1.4, foreground="white", alpha=0.6)]  # makes a thin line visible on dark colours


@dataclass(frozen=True)
class Outline:
    """Boundaries of the true classes (Kriener et al. 2022, arXiv 2102.08211): a circle in the square [0, 2 r_big]^2."""

    r_small: float  # radius of the dots
    r_big: float  # radius of the circle

    def circle(self) -> Circle:
        return Circle((self.r_big, self.r_big), self.r_big)

    def dots(self) -> list[Circle]:
        return [Circle((factor * self.r_big, self.r_big), self.r_small) for factor in (0.5, 1.5)]

    def s_curve(self) -> np.ndarray:
        """Return points [K, 2] of the curve across the circle, below the left dot and above the right one."""
        angle = np.linspace(0, np.pi, 100)
        x, y = -np.cos(angle), np.sin(angle)
        left = np.column_stack([0.5 + 0.5 * x, 1 - 0.5 * y])
        right = np.column_stack([1.5 + 0.5 * x, 1 + 0.5 * y])
        return self.r_big * np.concatenate([left, right])

    def contains(self, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return np.asarray(np.hypot(x - self.r_big, y - self.r_big) <= self.r_big)


def decision_map(
    grid_x: np.ndarray,
    grid_y: np.ndarray,
    output_times: np.ndarray,
    outline: Outline,
    tested: pd.DataFrame | None = None,
) -> Figure:
    """Plot the decided class and the spike times of the three label neurons over the circle of the yin-yang data.

    grid_x, grid_y [G]: equally spaced, ascending. output_times [G, G, 3]: in tau_syn, inf where silent; those at
    (grid_x[j], grid_y[i]) are in [i, j]. tested: test points `x, y, label, decided` (-1: no decision); wrong ones are
    marked. Raises ValueError where the shapes do not fit.
    """
    _check(grid_x, grid_y, output_times)
    extent = _extent(grid_x, grid_y)
    inside = outline.contains(*np.meshgrid(grid_x, grid_y))
    norm, clipped = _common_scale(output_times[inside])
    with style.figure_style():
        figure = style.new_figure(style.PAGE, HEIGHT)
        decision, *panels = figure.subplots(1, 4)
        _plot_decision(decision, output_times, extent, outline)
        if tested is not None:
            _mark_wrong(decision, tested)
        for axes, times, name in zip(panels, np.moveaxis(output_times, -1, 0), NAMES, strict=True):
            image = _plot_times(axes, times, extent, norm)
            axes.set_title(f"spike time of {name}")
            _frame(axes, image, outline)
            _note_silent(axes, times[inside])
        bar = figure.colorbar(
            image, ax=panels, label=f"spike time ({style.TAU_SYN})", extend=clipped, aspect=20, pad=0.02, shrink=0.8
        )
        bar.outline.set_linewidth(0.4)
    return figure


def table(grid_x: np.ndarray, grid_y: np.ndarray, output_times: np.ndarray, outline: Outline) -> pd.DataFrame:
    """Return one row per grid point in the circle: `x, y`, times of `yin, yang, dot` (tau_syn; inf: silent), `decided`.

    Raises ValueError where the shapes do not fit.
    """
    _check(grid_x, grid_y, output_times)
    x, y = np.meshgrid(grid_x, grid_y)
    inside = outline.contains(x, y)
    times = output_times[inside]
    label, time = first_output(times)
    columns = {"x": x[inside], "y": y[inside]}
    columns |= {name: times[:, index] for index, name in enumerate(NAMES)}
    columns["decided"] = np.where(np.isfinite(time), np.array(NAMES)[label], NO_SPIKE)
    return pd.DataFrame(columns)


def _check(grid_x: np.ndarray, grid_y: np.ndarray, output_times: np.ndarray) -> None:
    shape = (grid_y.size, grid_x.size, len(NAMES))
    if output_times.shape != shape:
        raise ValueError(f"output_times has the shape {output_times.shape}; the grid and three classes need {shape}")


def _extent(grid_x: np.ndarray, grid_y: np.ndarray) -> Extent:
    """Return the left, right, bottom and top edge of the grid's cells, which are centred on the grid's points."""
    half_x, half_y = (0.5 * (grid[-1] - grid[0]) / (len(grid) - 1) for grid in (grid_x, grid_y))
    return grid_x[0] - half_x, grid_x[-1] + half_x, grid_y[0] - half_y, grid_y[-1] + half_y


def _common_scale(times: np.ndarray) -> tuple[Normalize, str]:
    """Return the colour scale of all label neurons, and which of its ends some spikes exceed."""
    finite = times[np.isfinite(times)]
    if not len(finite):
        return Normalize(0, 1), "neither"
    low, high = np.percentile(finite, [EARLY, LATE])
    ends = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    return Normalize(low, high), ends[bool(finite.min() < low), bool(finite.max() > high)]


def _plot_decision(axes: Axes, output_times: np.ndarray, extent: Extent, outline: Outline) -> None:
    label, time = first_output(output_times)
    decided = np.ma.masked_where(np.isinf(time), label)
    colours = [_lighter(colour) for colour in COLOURS]
    image = axes.imshow(
        decided,
        cmap=ListedColormap(colours),
        vmin=-0.5,
        vmax=2.5,
        extent=extent,
        origin="lower",
        interpolation="nearest",
    )
    axes.set_title("decided class")
    handles = [Patch(color=colour, label=name) for colour, name in zip(colours, NAMES, strict=True)]
    axes.legend(
        handles=handles,
        loc="upper center",
        bbox_to_anchor=(0.5, 0.01),
        ncols=3,
        handlelength=0.8,
        handleheight=0.8,
        handletextpad=0.4,
        columnspacing=1.0,
        fontsize=style.SMALL,
        borderpad=0,
    )
    _frame(axes, image, outline)


def _plot_times(axes: Axes, times: np.ndarray, extent: Extent, norm: Normalize) -> AxesImage:
    colours = matplotlib.colormaps["viridis_r"]
    finite = np.ma.masked_invalid(times)
    return axes.imshow(finite, cmap=colours, norm=norm, extent=extent, origin="lower", interpolation="nearest")


def _frame(axes: Axes, image: AxesImage, outline: Outline) -> None:
    """Clip the image to the circle, hatch its empty part (no spike), and plot the true boundaries."""
    hatched = outline.circle()
    hatched.set(facecolor=style.PALE, edgecolor=style.GREY, hatch="//////", linewidth=0, zorder=-1)
    axes.add_patch(hatched)
    edge = outline.circle()
    for patch in [edge, *outline.dots()]:
        patch.set(fill=False, edgecolor=style.INK, linewidth=0.7, path_effects=HALO)
        axes.add_patch(patch)
    edge.set_zorder(3)  # above the halo of the curve that ends there
    image.set_clip_path(edge)
    axes.plot(*outline.s_curve().T, color=style.INK, linewidth=0.7, path_effects=HALO)
    room = 0.01 * outline.r_big
    axes.set_xlim(-room, 2 * outline.r_big + room)
    axes.set_ylim(-room, 2 * outline.r_big + room)
    axes.set_aspect("equal")
    axes.set_axis_off()


def _mark_wrong(axes: Axes, tested: pd.DataFrame) -> None:
    """Mark each wrong decision by a point in the colour of its true class."""
    wrong = tested[tested["label"] != tested["decided"]]
    colours = [COLOURS[int(label)] for label in wrong["label"]]
    shrunk = min(1.0, (MANY_WRONG / max(len(wrong), 1)) ** 0.5)
    size, edge = MARKER * shrunk, 0.5 * shrunk**0.5
    axes.scatter(wrong["x"], wrong["y"], s=size, c=colours, edgecolors=style.INK, linewidths=edge, zorder=4)
    _caption(axes, f"circles: {len(wrong):,} of {len(tested):,} test points wrong", line=1)


def _note_silent(axes: Axes, times: np.ndarray) -> None:
    silent = float(np.isinf(times).mean())
    if silent > 0:
        _caption(axes, f"hatched: no spike ({100 * silent:.1f} %)")


def _lighter(colour: str) -> tuple[float, float, float]:
    """Return the colour moved a quarter of the way to white."""
    red, green, blue = (0.75 * part + 0.25 for part in to_rgb(colour))
    return red, green, blue


def _caption(axes: Axes, text: str, line: int = 0) -> None:
    axes.text(0.5, -0.01 - 0.08 * line, text, transform=axes.transAxes, ha="center", va="top", fontsize=style.SMALL)
