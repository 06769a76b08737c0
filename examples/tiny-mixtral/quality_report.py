"""The tables and the plot of docs/quality.md, from what quality.py measured: `quality_report.py`.

Part of moec, under the Apache License v2.0 with LLVM Exceptions.

Reads quality.json and writes the tables between the marks in docs/quality.md, and docs/quality.svg. Needs Python alone. A
test fails when they are stale.
"""

import html
import json
import math
import pathlib
import re
import shlex

import quality_rows

HERE = pathlib.Path(__file__).resolve().parent
MEASURED = HERE / "quality.json"
PAGE = HERE.parents[1] / "docs" / "quality.md"
PLOT = PAGE.with_suffix(".svg")
MARKS = re.compile(r"(?<=<!-- begin: written by quality_report.py -->\n).*?(?=<!-- end -->)", re.DOTALL)
COLUMNS = ("MoE blocks", "bytes", "bits per byte", "lost", "perplexity", "next byte right", "as the original", "moe-compile")

# Families of rows in the plot: names, what the legend says, colour (told apart by who does not see all colours too: Okabe
# and Ito), and shape. The first that fits counts.
FAMILIES = (
    (r"exact|([A-Z0-9]+ )?experts.*", "plain experts: bf16, INT8, F8E4M3, INT4, chosen", "#000000", "square"),
    (r"per-expert SVD.*|no base", "per-expert SVD", "#D55E00", "up"),
    (r"one base.*|one cluster", "one base a layer (D²-MoE)", "#009E73", "down"),
    (r".*mixed bases.*", "mixed bases (MoBE)", "#E69F00", "left"),
    (r".*merged experts.*|no residual", "merged experts", "#CC79A7", "diamond"),
    (r".*M = 1.*", "bases and residuals, one cluster for a token", "#56B4E9", "circle"),
    (r".*", "bases of clusters and residuals", "#0072B2", "circle"),
)


def perplexity(row):
    return math.exp(row["loss"])


def lost_bits(row, original):
    return (row["loss"] - original["loss"]) / math.log(2)


def excess(row, original):
    """Perplexity above the original's, in per cent."""
    return 100 * math.expm1(row["loss"] - original["loss"])


def front(rows):
    """Names of the rows that no other row beats in bytes and loss at once, by bytes."""
    best, names = math.inf, []
    for name, row in sorted(rows.items(), key=lambda item: (item[1]["bytes"], item[1]["loss"])):
        if row["loss"] < best:
            best = row["loss"]
            names.append(name)
    return names


# Tables


def heading():
    return "| " + " | ".join(COLUMNS) + " |\n|" + "---|" * len(COLUMNS)


def command(options):
    """Options as moe-compile takes them, without the profile that all rows with --compress have."""
    flags = []
    for name, value in options.items():
        flag = "--" + name.replace("_", "-")
        if value is True:
            flags.append(flag)
        elif value is not None:
            flags.append(f"{flag}={shlex.quote(str(value))}")
    return " ".join(flags)


def line(name, row, original):
    """A row as it is printed."""
    options = command(quality_rows.ROWS[name]) if name in quality_rows.ROWS else ""
    cells = (
        name,
        f"{row['bytes'] / 1e6:.2f} MB",
        f"{row['loss'] / math.log(2):.4f}",
        # No sign on what rounds to nothing.
        f"{round(lost_bits(row, original), 4) + 0:.4f}",
        f"{perplexity(row):.3f}",
        f"{row['right']:.2%}",
        f"{row['same']:.2%}",
        f"`{options}`" if options else "",
    )
    return "| " + " | ".join(cells) + " |"


def tables(measured):
    """The sections of quality_rows, and the rows that nothing beats, as Markdown."""
    rows = measured["rows"]
    original = rows["original"]
    compared = {name: row for name, row in rows.items() if name != "original"}
    parts = [("The model", ["original", *quality_rows.EXACT])]
    parts += [(title, list(names)) for title, names in quality_rows.SECTIONS.items()]
    parts += [("What nothing beats in bytes and perplexity at once", front(compared))]
    text = f"{measured['predicted']} bytes predicted.\n"
    for title, names in parts:
        lines = [line(name, rows[name], original) for name in names if name in rows]
        text += "\n".join([f"\n### {title}\n", heading(), *lines, ""])
    return text


# The plot


def family_of(name):
    return next(number for number, (pattern, *_) in enumerate(FAMILIES) if re.fullmatch(pattern, name))


class Axis:
    """A logarithmic axis from `least` to `most`, between two places."""

    def __init__(self, least, most, begin, end):
        self.least, self.most, self.begin, self.end = least, most, begin, end

    def at(self, value):
        share = math.log(value / self.least) / math.log(self.most / self.least)
        return self.begin + share * (self.end - self.begin)

    def ticks(self):
        powers = range(math.floor(math.log10(self.least)), math.ceil(math.log10(self.most)) + 1)
        values = (digit * 10.0**power for power in powers for digit in (1, 2, 5))
        return [value for value in values if self.least <= value <= self.most * 1.0001]


def text_at(x, y, text, anchor="start", more=""):
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{more}>{html.escape(text)}</text>'


def mark(shape, x, y, colour, title="", size=5):
    """A mark of a family; its title is what a pointer shows."""
    fill = f'fill="{colour}" stroke="#fff" stroke-width="0.8"'
    corners = {
        "square": ((-1, -1), (1, -1), (1, 1), (-1, 1)),
        "up": ((0, -1.2), (1.1, 0.9), (-1.1, 0.9)),
        "down": ((0, 1.2), (1.1, -0.9), (-1.1, -0.9)),
        "left": ((-1.2, 0), (0.9, -1.1), (0.9, 1.1)),
        "diamond": ((0, -1.3), (1.3, 0), (0, 1.3), (-1.3, 0)),
    }
    inside = f"<title>{html.escape(title)}</title>" if title else ""
    if shape == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{size}" {fill}>{inside}</circle>'
    points = " ".join(f"{x + size * dx:.1f},{y + size * dy:.1f}" for dx, dy in corners[shape])
    return f'<polygon points="{points}" {fill}>{inside}</polygon>'


WIDTH, HEIGHT, LEFT, RIGHT, TOP, BOTTOM = 820, 470, 70, 20, 40, 50
# Below this a row counts as the original: rounding, in per cent of perplexity.
FLOOR = 0.01


def plot(measured):
    """Bytes of MoE weights against perplexity, both axes logarithmic, the front as a line."""
    rows = {name: row for name, row in measured["rows"].items() if name != "original"}
    original = measured["rows"]["original"]
    sizes = [row["bytes"] / 1e6 for row in rows.values()]
    height_of = {name: max(FLOOR, excess(row, original)) for name, row in rows.items()}
    # Names of the front stand to the left of its marks.
    across = Axis(min(sizes) / 1.8, max(sizes) * 1.15, LEFT, WIDTH - RIGHT)
    up = Axis(FLOOR / 1.3, max(height_of.values()) * 1.4, HEIGHT - BOTTOM, TOP)
    place = {name: (across.at(row["bytes"] / 1e6), up.at(height_of[name])) for name, row in rows.items()}

    used = sorted({family_of(name) for name in rows})
    legend_lines = (len(used) + 2) // 2
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{HEIGHT + 18 * legend_lines + 12}" '
        f'font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="#fff"/>',
        text_at(LEFT, 24, f"examples/tiny-mixtral: perplexity above the original's {perplexity(original):.3f} for a byte"),
    ]
    for value in across.ticks():
        x = across.at(value)
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}" stroke="#e5e5e5"/>')
        parts.append(text_at(x, HEIGHT - BOTTOM + 17, f"{value:g} MB", "middle"))
    for value in up.ticks():
        y = up.at(value)
        parts.append(f'<line x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}" stroke="#e5e5e5"/>')
        parts.append(text_at(LEFT - 6, y + 4, f"≤ {value:g} %" if value == FLOOR else f"{value:g} %", "end"))
    parts.append(text_at((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "bytes of MoE weights", "middle"))

    steps, labels = [], []
    for name in front(rows):
        x, y = place[name]
        labels.append(text_at(x - 8, y + 14, name, "end", ' font-size="10" fill="#555"'))
        steps += [f"{x:.1f},{steps[-1].split(',')[1]}"] if steps else [f"{x:.1f},{TOP}"]
        steps.append(f"{x:.1f},{y:.1f}")
    steps.append(f"{WIDTH - RIGHT},{steps[-1].split(',')[1]}")
    parts.append(f'<polyline fill="none" stroke="#999" stroke-width="1.5" points="{" ".join(steps)}"/>')
    # Later families lie on top: the last one is the compiler's own form.
    for name in sorted(rows, key=family_of):
        _, _, colour, shape = FAMILIES[family_of(name)]
        title = f"{name}: {rows[name]['bytes'] / 1e6:.2f} MB, perplexity {perplexity(rows[name]):.3f}"
        parts.append(mark(shape, *place[name], colour, title))
    parts += labels
    entries = [(FAMILIES[number][1], FAMILIES[number][2], FAMILIES[number][3]) for number in used]
    entries.append(("nothing beats these in bytes and perplexity at once", "#999", "line"))
    for number, (label, colour, shape) in enumerate(entries):
        x, y = LEFT + (number % 2) * (WIDTH - LEFT) / 2, HEIGHT + 10 + 18 * (number // 2)
        if shape == "line":
            parts.append(f'<line x1="{x - 8:.1f}" x2="{x + 8:.1f}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="1.5"/>')
        else:
            parts.append(mark(shape, x, y, colour))
        parts.append(text_at(x + 14, y + 4, label))
    return "\n".join([*parts, "</svg>", ""])


# Files


def read():
    return json.loads(MEASURED.read_text())


def page(measured, text):
    """The text of docs/quality.md with its tables written anew."""
    found, count = MARKS.subn(lambda _: tables(measured), text)
    if count != 1:
        raise SystemExit(f"quality_report.py: error: expected one place for tables in {PAGE}, found {count}")
    return found


def write():
    measured = read()
    PAGE.write_text(page(measured, PAGE.read_text()))
    PLOT.write_text(plot(measured))


def update(found, predicted):
    """Takes over rows measured on so many bytes, in the order of quality_rows, and writes the report. Rows that are gone, or
    were measured on other text, are left out."""
    before = read() if MEASURED.exists() else {}
    known = before["rows"] if before.get("predicted") == predicted else {}
    rows = {name: (known | found)[name] for name in ("original", *quality_rows.ROWS) if name in known | found}
    lines = ",\n".join(f"    {json.dumps(name, ensure_ascii=False)}: {json.dumps(row)}" for name, row in rows.items())
    MEASURED.write_text(f'{{\n  "predicted": {predicted},\n  "rows": {{\n{lines}\n  }}\n}}\n')
    write()


if __name__ == "__main__":
    write()
