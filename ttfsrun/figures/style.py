"""The shared style of all figures, and how they are saved."""

from __future__ import annotations

import io
import logging
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from pathlib import Path

import matplotlib
import pandas as pd
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from ttfsrun.errors import as_user_error
from ttfsrun.files import write_atomic

log = logging.getLogger(__name__)

COLUMN = 3.4  # width of one column of a journal page, in inches
PAGE = 7.0  # width of two columns
SMALL = 5.5  # the smallest font size that is legible in print, in points
LARGEST_PNG = 400_000  # bytes
RESOLUTIONS = (200, 150, 100)  # dots per inch; `save` takes the first that keeps the PNG small enough
TAU_SYN = r"$\tau_\mathrm{syn}$"

# Okabe and Ito (2008): distinguishable with any kind of colour vision
BLUE = "#0072B2"
ORANGE = "#E69F00"
GREEN = "#009E73"
VERMILLION = "#D55E00"
PURPLE = "#CC79A7"

INK = "#262626"
GREY = "#767676"
PALE = "#E4E4E4"

RIGHT = BLUE
WRONG = VERMILLION

_RC_PARAMS: dict[str, object] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: the same figure on every machine
    "mathtext.fontset": "dejavusans",
    "font.size": 7.0,
    "axes.titlesize": 7.0,
    "axes.labelsize": 7.0,
    "figure.labelsize": 7.0,
    "xtick.labelsize": 6.0,
    "ytick.labelsize": 6.0,
    "legend.fontsize": 6.0,
    "legend.frameon": False,
    "text.color": INK,
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.titlepad": 4.0,
    "axes.labelpad": 2.5,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.major.size": 2.5,
    "ytick.major.size": 2.5,
    "xtick.minor.width": 0.4,
    "ytick.minor.width": 0.4,
    "xtick.minor.size": 1.5,
    "ytick.minor.size": 1.5,
    "lines.linewidth": 0.9,
    "hatch.linewidth": 0.4,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "pdf.fonttype": 42,  # TrueType: text stays text in the PDF
}


#: How this process shows figures, which ours do not depend on. Matplotlib would load the backend.
_OF_THE_PROCESS = {"backend", "backend_fallback", "interactive", "toolbar"}


def figure_style() -> AbstractContextManager[None]:
    """Return a context manager that sets the shared style of all figures within a `with` block.

    What it does not set is as matplotlib comes, whatever the user's settings are.
    """
    defaults = {name: value for name, value in dict.items(matplotlib.rcParamsDefault) if name not in _OF_THE_PROCESS}
    return matplotlib.rc_context(defaults | _RC_PARAMS)  # type: ignore[arg-type]


@contextmanager
def only_warns(remedy: str) -> Iterator[None]:
    """Log a figure that fails in the block as one line: whatever its reason is, the results do not depend on it."""
    try:
        yield
    except Exception as error:  # noqa: BLE001  # of a library that plots
        reason = str(as_user_error(error) or f"{type(error).__name__}: {error}")
        log.warning("no figures: %s; %s", " ".join(reason.split()), remedy)


def new_figure(width: float, height: float) -> Figure:
    """Return an empty figure of width x height inches; call it, and plot, inside `figure_style()`."""
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: str | Path, numbers: pd.DataFrame | None = None, vector: bool = False) -> list[Path]:
    """Write `<path>.png`, with `vector` `<path>.pdf`, with `numbers` `<path>.csv`; return the paths written.

    An ending .png, .pdf or .csv of `path` is ignored. Each file appears whole or not at all. The same figure gives the
    same bytes: the files hold no date and no version. Raises CannotWrite where a file cannot be written.
    """
    path = Path(path)
    stem = path.with_suffix("") if path.suffix in (".png", ".pdf", ".csv") else path
    contents = {".png": _png(figure)}
    if vector:
        contents[".pdf"] = _pdf(figure)
    if numbers is not None:
        contents[".csv"] = numbers.to_csv(index=False, float_format="%.6g", lineterminator="\n").encode()
    written = []
    for ending, content in contents.items():
        target = stem.with_name(stem.name + ending)
        write_atomic(target, content)
        written.append(target)
    return written


def _png(figure: Figure) -> bytes:
    """Return the PNG of the finest of RESOLUTIONS that keeps it within LARGEST_PNG bytes, or of the coarsest."""
    canvas = FigureCanvasAgg(figure)
    for dpi in RESOLUTIONS:
        figure.set_dpi(dpi)
        content = _rendered(partial(canvas.print_png, metadata={"Software": None}))  # `savefig` would draw it twice
        if len(content) <= LARGEST_PNG:
            break
    return content


def _pdf(figure: Figure) -> bytes:
    metadata = {"CreationDate": None, "Producer": None}
    return _rendered(partial(figure.savefig, format="pdf", dpi=RESOLUTIONS[0], metadata=metadata))


def _rendered(write: Callable[[io.BytesIO], None]) -> bytes:
    """Return what is written while a figure is rendered in our style, which its ticks have from that moment."""
    buffer = io.BytesIO()
    with figure_style():
        write(buffer)
    return buffer.getvalue()
