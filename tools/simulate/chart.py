"""Configured UEs over time, relay and gateway in one SVG; drawn by hand, without a library."""

from html import escape

from msgin5g_tools.simulate.report import title_of

_WIDTH, _HEIGHT = 960, 540
_LEFT, _RIGHT, _TOP, _BOTTOM = 76, 932, 118, 472  # of the field in between the axes
# Told apart by everybody, and in grey by the dashes.
_COLOURS = {"gateway": "#0072b2", "relay": "#d55e00"}
_DASHES = {"gateway": "", "relay": ' stroke-dasharray="9 5"'}
_STYLE = (
    "text{font-family:'Helvetica Neue',Helvetica,Arial,'DejaVu Sans',sans-serif;"
    "font-size:14px;fill:#444}"
    ".title{font-size:20px;font-weight:bold;fill:#111}"
    ".legend{font-size:13px;fill:#111}"
    ".grid{stroke:#e6e6e6;stroke-width:1}"
    ".axis{stroke:#555;stroke-width:1.2}"
    ".curve{fill:none;stroke-width:2.6;stroke-linejoin:round}"
)


def picture_of(about, done, curves):
    """The text of the file. done: {role: figures}; curves: {role: times in ms, in order}."""
    roles = [role for role in ("gateway", "relay") if role in done]
    x_step, x_end = _scale(max(map(_shown_s, done.values())))
    y_step, y_end = _scale(about["ues"], 1)

    def x(seconds):
        return round(_LEFT + (_RIGHT - _LEFT) * seconds / x_end, 1)

    def y(n):
        return round(_BOTTOM - (_BOTTOM - _TOP) * n / y_end, 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{_HEIGHT}"'
        f' viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img">',
        f"<title>{escape(title_of(about))}</title>",
        f"<style>{_STYLE}</style>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        _text(_LEFT, 34, title_of(about), "start", "title"),
    ]
    for i, role in enumerate(roles):
        parts += _legend(role, done[role], 60 + 24 * i)
    for k in range(round(y_end / y_step) + 1):
        parts.append(_line(_LEFT, y(k * y_step), _RIGHT, y(k * y_step), "grid"))
        parts.append(_text(_LEFT - 10, y(k * y_step) + 5, _number(k * y_step), "end"))
    for k in range(round(x_end / x_step) + 1):
        parts.append(_line(x(k * x_step), _TOP, x(k * x_step), _BOTTOM, "grid"))
        parts.append(_text(x(k * x_step), _BOTTOM + 22, _number(k * x_step), "middle"))
    parts.append(_line(_LEFT, _BOTTOM, _RIGHT, _BOTTOM, "axis"))
    parts.append(_line(_LEFT, _TOP, _LEFT, _BOTTOM, "axis"))
    parts.append(_text((_LEFT + _RIGHT) / 2, _BOTTOM + 48, "seconds since the start", "middle"))
    middle = (_TOP + _BOTTOM) / 2
    turned = f' transform="rotate(-90 20 {middle:g})"'
    parts.append(_text(20, middle, "UEs configured", "middle", more=turned))
    for role in reversed(roles):
        parts += _curve(role, curves[role], x, y, x_end)
    parts.append("</svg>")
    return "\n".join(parts) + "\n"


def _curve(role, times_ms, x, y, x_end):
    """Steps, one for each UE, to the right end; a dot where half of them are configured."""
    path = [f"M{x(0):g} {y(0):g}"]
    for n, ms in enumerate(times_ms):
        if ms > 1000 * x_end:
            break
        path.append(f"H{x(ms / 1000):g}V{y(n + 1):g}")
    path.append(f"H{x(x_end):g}")
    colour = _COLOURS[role]
    yield f'<path class="curve" stroke="{colour}"{_DASHES[role]} d="{"".join(path)}"/>'
    if times_ms:
        half = (len(times_ms) + 1) // 2
        at = f'cx="{x(times_ms[half - 1] / 1000):g}" cy="{y(half):g}"'
        yield f'<circle {at} r="5" fill="{colour}" stroke="#fff" stroke-width="1.5"/>'


def _shown_s(figures):
    """Seconds that are shown of a curve: a late one or two must not press it together."""
    if figures["configured_last_s"] is None:
        return 1
    return min(figures["configured_last_s"] * 1.02, figures["configured_p99_s"] * 1.3)


def _legend(role, figures, y):
    colour = _COLOURS[role]
    line = f'x1="{_LEFT}" y1="{y - 5}" x2="{_LEFT + 40}" y2="{y - 5}"'
    yield f'<line class="curve" stroke="{colour}"{_DASHES[role]} {line}/>'
    requests = figures["requests"]
    text = f"{requests:,} request{'s' * (requests != 1)} at the server, "
    text += f"{figures['outcomes']['configured']:,} UEs configured"
    if figures["configured_median_s"] is not None:
        text += f": half after {figures['configured_median_s']:,.1f} s"
        text += f", 99 % after {figures['configured_p99_s']:,.1f} s"
        text += f", all after {figures['configured_last_s']:,.1f} s"
    yield _text(_LEFT + 52, y, role, "start", "legend", ' font-weight="bold"')
    yield _text(_LEFT + 122, y, text, "start", "legend")


def _scale(largest, least=0):
    """(step, end) of an axis: a round step, not below the least one, and at most eight of them."""
    power = 1
    while power * 10 < largest:
        power *= 10
    while power > largest:
        power /= 10
    for step in (power / 5, power / 2, power, 2 * power, 5 * power):
        n = -(-largest // step)
        if n <= 8 and step >= least:
            return step, n * step
    return 10 * power, 10 * power


def _number(value):
    return f"{value:,.10g}"


def _line(x1, y1, x2, y2, name):
    return f'<line class="{name}" x1="{x1:g}" y1="{y1:g}" x2="{x2:g}" y2="{y2:g}"/>'


def _text(x, y, text, anchor, name="", more=""):
    name = name and f' class="{name}"'
    return f'<text{name} x="{x:g}" y="{y:g}" text-anchor="{anchor}"{more}>{escape(text)}</text>'
