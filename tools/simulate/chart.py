"""Relay and gateway in one picture: UEs over time, and the load at the server. PNG or SVG.

matplotlib draws it. An SVG has its colours in a style sheet, once for a light page and once for a
dark one; a PNG has those for a light page.
"""

import io
import re
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from msgin5g_tools.simulate.report import title_of

_ROLES = ("gateway", "relay")
# What a colour is for -> (on a light page, on a dark one). Everybody can tell them apart; the
# dashes do it in grey.
_COLOURS = {
    "page": ("#ffffff", "#16181d"),
    "text": ("#1a1a1a", "#e8e8e8"),
    "grid": ("#e6e6e6", "#383c44"),
    "gateway": ("#0072b2", "#5cb8f0"),
    "relay": ("#d55e00", "#ff9a4d"),
}
_DASHES = {"gateway": "-", "relay": (0, (4, 2))}
# outcome -> (words, dots of its line)
_OTHERS = {"4.04": ("4.04, no document", (0, (1, 1))), "4.03": ("4.03, denied", (0, (5, 1, 1, 1)))}
_SIZE_INCHES = (9.6, 8.4)
_MAX_POINTS = 2000  # of a curve: more than a screen has columns
_N_BINS = 120
_PATH = re.compile(r' d="[^"]*"')
_BELOW_HUNDREDTHS = re.compile(r"(?<=\.\d\d)\d+")
_RC = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "msgin5g",  # the same simulation makes the same file
    "path.simplify": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
    "figure.facecolor": _COLOURS["page"][0],
    "axes.facecolor": _COLOURS["page"][0],
    "savefig.facecolor": _COLOURS["page"][0],
    **{f"{what}.color": _COLOURS["text"][0] for what in ("text", "xtick", "ytick")},
    "axes.labelcolor": _COLOURS["text"][0],
    "axes.edgecolor": _COLOURS["text"][0],
    "grid.color": _COLOURS["grid"][0],
}


def draw(path, about, done, curves):
    """Write the picture; the suffix of the path is its format.

    about: see report.title_of. done: {role: figures}. curves: {role: Curves}, see simulation.
    """
    roles = [role for role in _ROLES if role in done]
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        figure.suptitle(title_of(about), x=0.01, ha="left", fontsize=14, fontweight="bold")
        configured, others, load = figure.subplots(
            3, 1, sharex=True, gridspec_kw={"height_ratios": (4, 2, 3)}
        )
        right_s = max(_shown_s(done[role]) for role in roles)
        for role in roles:
            _configured(configured, role, curves[role], done[role])
            for outcome in _OTHERS:
                _other(others, role, outcome, curves[role], done[role])
            _load(load, role, curves[role].requests_ms, right_s)
        configured.set_ylim(0, about["ues"] * 1.03)
        configured.set_ylabel("UEs configured")
        others.set_ylabel("UEs rejected")
        others.set_ylim(bottom=0)
        load.set_ylabel("requests a second\nat the server")
        load.set_ylim(bottom=0)
        load.set_xlabel("seconds since the start")
        load.set_xlim(0, right_s)
        for axes in (configured, others, load):
            axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
            axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
            axes.grid()
        for axes, columns in ((configured, 1), (others, len(roles)), (load, len(roles))):
            axes.yaxis.get_major_locator().set_params(integer=axes is not load)
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(0, 1),
                frameon=False,
                handlelength=4,
                ncols=columns,
            )
        _save(figure, path)


def _save(figure, path):
    kind = Path(path).suffix.lower().removeprefix(".")
    if kind != "svg":
        figure.savefig(path, format=kind, dpi=150)
        return
    text = io.StringIO()
    # Without a date: the same simulation makes the same file.
    figure.savefig(text, format="svg", metadata={"Date": None})
    # A hundredth of a point is finer than any screen, and half the size of the file.
    rounded = _PATH.sub(lambda path: _BELOW_HUNDREDTHS.sub("", path[0]), text.getvalue())
    Path(path).write_text(_with_themes(rounded), encoding="utf-8")


def _with_themes(svg):
    """The SVG with each colour of ours as a variable that a dark page changes."""
    light, dark = [], []
    for name, (on_light, on_dark) in _COLOURS.items():
        # First the colour itself, for a reader that knows no variables.
        svg = re.sub(rf"(fill|stroke): {on_light}", rf"\g<0>; \1: var(--{name})", svg)
        light.append(f"--{name}: {on_light};")
        dark.append(f"--{name}: {on_dark};")
    style = (
        "\n  <style>\n"
        f"   svg {{ color-scheme: light dark; {' '.join(light)} }}\n"
        f"   @media (prefers-color-scheme: dark) {{ svg {{ {' '.join(dark)} }} }}\n"
        "  </style>"
    )
    end = svg.index(">", svg.index("<svg")) + 1
    return svg[:end] + style + svg[end:]


def _configured(axes, role, curves, figures):
    """A step for each UE, and a dot where half of them are configured."""
    times_ms = curves.ended_ms["2.05"]
    label = f"{role}: {_summary(figures)}"
    _steps(axes, role, times_ms, figures, f"curve-{role}", _DASHES[role], 2.4, label)
    if times_ms:
        half = (len(times_ms) + 1) // 2
        axes.plot(
            [times_ms[half - 1] / 1000],
            [half],
            marker="o",
            color=_COLOURS[role][0],
            markeredgecolor=_COLOURS["page"][0],
        )


def _other(axes, role, outcome, curves, figures):
    times_ms = curves.ended_ms[outcome]
    words, dashes = _OTHERS[outcome]
    label = f"{role}: {len(times_ms):,} {words}"
    _steps(axes, role, times_ms, figures, f"curve-{role}-{outcome}", dashes, 1.8, label)


def _steps(axes, role, times_ms, figures, gid, dashes, width, label):
    """The number of UEs over time, as far as the last of them and on to the edge."""
    points = [(0, 0), *((ms / 1000, n) for n, ms in enumerate(times_ms, 1))]
    every = -(-len(points) // _MAX_POINTS)
    points = [*points[::every], points[-1]] if every > 1 else points
    # Beyond the edge of every chart.
    points.append((max(points[-1][0], figures["seconds"]) * 10, len(times_ms)))
    (line,) = axes.plot(
        *zip(*points, strict=True),
        drawstyle="steps-post",
        linewidth=width,
        linestyle=dashes,
        color=_COLOURS[role][0],
        label=label,
    )
    line.set_gid(gid)


def _load(axes, role, requests_ms, right_s):
    """Requests a second at the server: the mean of each of the 120 parts of the shown time."""
    width_s = right_s / _N_BINS
    counts = [0] * _N_BINS
    for ms in requests_ms:
        if ms / 1000 < right_s:
            counts[int(ms / 1000 / width_s)] += 1
    rates = [n / width_s for n in counts]
    edges = [i * width_s for i in range(_N_BINS + 1)]
    (line,) = axes.plot(
        edges,
        [*rates, rates[-1]],
        drawstyle="steps-post",
        linewidth=1.8,
        linestyle=_DASHES[role],
        color=_COLOURS[role][0],
        label=f"{role}: at most {max(rates):,.0f} a second",
    )
    line.set_gid(f"load-{role}")


def _shown_s(figures):
    """The right edge that a curve needs: one or two late UEs must not compress all the others."""
    if figures["configured_last_s"] is None:
        return max(figures["seconds"], 1)
    return min(figures["configured_last_s"] * 1.02, figures["configured_p99_s"] * 1.3)


def _summary(figures):
    requests = figures["requests"]
    text = f"{requests:,} request{'s' * (requests != 1)} at the server, "
    text += f"{figures['outcomes']['configured']:,} UEs configured"
    if figures["configured_median_s"] is not None:
        text += f"; half after {figures['configured_median_s']:,.1f} s"
        text += f", 99 % after {figures['configured_p99_s']:,.1f} s"
        text += f", all after {figures['configured_last_s']:,.1f} s"
    return text
