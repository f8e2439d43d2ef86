"""Configured UEs over time, relay and gateway in one chart: PNG or SVG, drawn by matplotlib."""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from msgin5g_tools.simulate.report import title_of

_ROLES = ("gateway", "relay")
# Colours that everybody can tell apart; the dashes do it in grey.
_LINES = {
    "gateway": {"color": "#0072b2", "linestyle": "-"},
    "relay": {"color": "#d55e00", "linestyle": (0, (4, 2))},
}
_SIZE_INCHES = (9.6, 5.4)
_RC = {
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "msgin5g",  # the same simulation makes the same file
    "path.simplify": False,  # each UE is a step
    "axes.spines.top": False,
    "axes.spines.right": False,
    "font.size": 10,
}


def draw(path, about, done, curves):
    """Write the chart; the suffix of the path is its format.

    about: see report.title_of. done: {role: figures}. curves: {role: times in ms at which UEs were
    configured, ascending}.
    """
    with matplotlib.rc_context(_RC):
        figure = Figure(figsize=_SIZE_INCHES, layout="constrained")
        figure.suptitle(title_of(about), x=0.01, ha="left", fontsize=14, fontweight="bold")
        axes = figure.add_subplot(xlabel="seconds since the start", ylabel="UEs configured")
        for role in _ROLES:
            if role in done:
                _curve(axes, role, curves[role], done[role])
        axes.set_xlim(0, max(map(_shown_s, done.values())))
        axes.set_ylim(0, about["ues"] * 1.03)
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_formatter(lambda value, _: f"{value:,.10g}")
        axes.yaxis.get_major_locator().set_params(integer=True)
        axes.grid(color="#e6e6e6")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), frameon=False, handlelength=4)
        kind = Path(path).suffix.lower().removeprefix(".")
        # Without a date: the same simulation makes the same file.
        figure.savefig(
            path, format=kind, dpi=150, metadata={"Date": None} if kind == "svg" else {}
        )


def _curve(axes, role, times_ms, figures):
    """A step for each UE, and a dot where half of them are configured."""
    seconds = [0, *(ms / 1000 for ms in times_ms)]
    right = max(seconds[-1], figures["seconds"]) * 10  # beyond the edge of every chart
    (line,) = axes.plot(
        [*seconds, right],
        [*range(len(seconds)), len(times_ms)],
        drawstyle="steps-post",
        linewidth=2.4,
        label=f"{role}: {_summary(figures)}",
        **_LINES[role],
    )
    line.set_gid(f"curve-{role}")
    if times_ms:
        half = (len(times_ms) + 1) // 2
        colour = _LINES[role]["color"]
        axes.plot([seconds[half]], [half], marker="o", color=colour, markeredgecolor="#fff")


def _shown_s(figures):
    """The right edge that a curve needs: one or two late UEs must not compress all the others."""
    if figures["configured_last_s"] is None:
        return 1
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
