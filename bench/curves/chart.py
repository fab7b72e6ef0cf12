"""Line charts as SVG, for light and dark pages. The x axis is logarithmic, the y axis may be."""
import math
from xml.sax.saxutils import escape

# Shades that can be read on white and on black: not every page tells an image which it is on.
STYLE = """
text { font: 11px system-ui, sans-serif; fill: #78818c }
.title { font-weight: 600; font-size: 12px }
.axis { stroke: #888; fill: none } .grid { stroke: #8884; fill: none }
.line { fill: none; stroke-width: 1.8 } .dashed { stroke-dasharray: 4 3 }
"""
COLOURS = ["#2f7fd0", "#e07b1f", "#2e9e6b", "#b85aa8", "#c9473f", "#8a7a2f", "#5f6fd8"]
WIDTH, HEIGHT = 360, 230  # of a panel
LEFT, RIGHT, TOP, BOTTOM = 58, 12, 44, 40


def short(value):
    if value == 0:
        return "0"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:.3g}{letter}"
    return f"{value:.3g}" if value >= 1e-3 else f"1e{round(math.log10(value))}"


class Axis:
    """Maps values to the unit interval. A logarithmic one puts what is below its least value there."""

    def __init__(self, least, most, log):
        self.log = log
        if log:
            least, most = math.floor(math.log10(least)), math.ceil(math.log10(most))
            if least == most:
                most += 1
            step = max(1, math.ceil((most - least) / 6))
            self.ticks = [10.0 ** e for e in range(least, most + 1, step)]
        else:
            step = 10 ** math.floor(math.log10(most or 1))
            step = next(s for s in (step / 5, step / 2, step, 2 * step) if most / s <= 6)
            least, most = 0, math.ceil(most / step) * step
            self.ticks = [i * step for i in range(round(most / step) + 1)]
        self.least, self.most = least, most

    def at(self, value):
        if self.log:
            value = max(math.log10(value), self.least) if value > 0 else self.least
        return (value - self.least) / (self.most - self.least)


class Panel:
    """lines: {name: [(x, y)...]}; a name in `floors` is drawn dashed."""

    def __init__(self, title, x_label, y_label, lines, x_ticks=None, log_y=True, least_y=None, floors=()):
        self.title, self.x_label, self.y_label = title, x_label, y_label
        self.lines = {name: points for name, points in lines.items() if points}
        self.floors = floors
        xs = [x for points in self.lines.values() for x, _ in points]
        ys = [y for points in self.lines.values() for _, y in points if y > 0] or [1]
        self.x = Axis(min(xs), max(xs), True)
        if x_ticks:
            self.x.ticks, self.x.least, self.x.most = x_ticks, math.log10(min(xs)), math.log10(max(xs))
        least = least_y if least_y is not None else min(ys)
        self.y = Axis(least, max(max(ys), least), log_y)

    def draw(self, left, top, colours):
        def px(x):
            return left + LEFT + self.x.at(x) * (WIDTH - LEFT - RIGHT)

        def py(y):
            return top + HEIGHT - BOTTOM - self.y.at(y) * (HEIGHT - TOP - BOTTOM)

        def text(x, y, what, anchor="middle", extra=""):
            out.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{extra}>{escape(what)}</text>')

        out = []
        text(left + 4, top + 14, self.title, "start", ' class="title"')
        text(left + 4, top + 30, self.y_label, "start")
        text(left + LEFT + (WIDTH - LEFT - RIGHT) / 2, top + HEIGHT - 8, self.x_label)
        bottom, right = top + HEIGHT - BOTTOM, left + WIDTH - RIGHT
        for tick in self.y.ticks:
            out.append(f'<path class="grid" d="M{left + LEFT} {py(tick):.1f}H{right}"/>')
            zero = self.y.log and tick == self.y.ticks[0] and any(y < tick for p in self.lines.values() for _, y in p)
            text(left + LEFT - 6, py(tick) + 4, "0" if zero else short(tick), "end")
        for tick in self.x.ticks:
            out.append(f'<path class="axis" d="M{px(tick):.1f} {bottom}v4"/>')
            text(px(tick), bottom + 16, short(tick))
        out.append(f'<path class="axis" d="M{left + LEFT} {top + TOP - 6}V{bottom}H{right}"/>')
        for name, points in self.lines.items():
            path = "L".join(f"{px(x):.1f} {py(y):.1f}" for x, y in points)
            dashed = " dashed" if name in self.floors else ""
            out.append(f'<path class="line{dashed}" stroke="{colours[name]}" d="M{path}"/>')
            out += [f'<circle cx="{px(x):.1f}" cy="{py(y):.1f}" r="2.2" fill="{colours[name]}"/>' for x, y in points]
        return out


def draw(path, panels, columns):
    """Writes the panels in so many columns, with one legend for all above them."""
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    colours = {name: COLOURS[i % len(COLOURS)] for i, name in enumerate(names)}
    rows = math.ceil(len(panels) / columns)
    width, height = columns * WIDTH, rows * HEIGHT + 26
    out = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" '
           f'height="{height}" role="img">', f"<style>{STYLE}</style>"]
    x = 8
    for name in names:
        dashed = " dashed" if any(name in panel.floors for panel in panels) else ""
        out.append(f'<path class="line{dashed}" stroke="{colours[name]}" d="M{x} 13h18"/>'
                   f'<text x="{x + 23}" y="17">{escape(name)}</text>')
        x += 36 + 5.5 * len(name)
    for i, panel in enumerate(panels):
        out += panel.draw(i % columns * WIDTH, 26 + i // columns * HEIGHT, colours)
    with open(path, "w", encoding="utf-8") as file:
        file.write("\n".join([*out, "</svg>"]) + "\n")
