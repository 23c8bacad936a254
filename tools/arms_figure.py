"""Draw docs/arms.svg, the diagram of both networks: python tools/arms_figure.py."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import pairwise
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "arms.svg"
WIDTH, HEIGHT = 1180, 630
INK, SOFT, LINE = "#1f2933", "#5b6770", "#9aa5b1"
BLUE, BLUE_FILL = "#1d5f8a", "#e3eff7"
ORANGE, ORANGE_FILL = "#a3501f", "#fbeade"
GREY_FILL, GREEN, GREEN_FILL = "#f3f5f7", "#2f6b4f", "#e4f2ea"


def text(x: float, y: float, said: str, size: int = 14, colour: str = INK, anchor: str = "middle", weight: int = 400) -> str:
    return f'<text x="{x:g}" y="{y:g}" font-size="{size}" fill="{colour}" text-anchor="{anchor}" font-weight="{weight}">{escape(said)}</text>'


def box(x: float, y: float, w: float, h: float, title: str, lines: Sequence[str], edge: str, fill: str) -> str:
    """A box with a title and smaller lines under it, centred."""
    parts = [f'<rect x="{x:g}" y="{y:g}" width="{w:g}" height="{h:g}" rx="7" fill="{fill}" stroke="{edge}" stroke-width="1.4"/>']
    top = y + h / 2 - 8.5 * len(lines) + 5
    parts.append(text(x + w / 2, top, title, 14, edge, weight=600))
    parts += [text(x + w / 2, top + 18 + 16.5 * k, line, 12, INK) for k, line in enumerate(lines)]
    return "".join(parts)


def arrow(*points: tuple[float, float], colour: str = SOFT) -> str:
    path = "M" + " L".join(f"{x:g} {y:g}" for x, y in points)
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.6" marker-end="url(#tip)"/>'


def cube(x: float, y: float, side: float, depth: float, edge: str, fill: str) -> str:
    """Feature maps as a block: front face, with top and side in perspective."""
    d = depth
    faces = (
        f"{x:g},{y:g} {x + side:g},{y:g} {x + side:g},{y + side:g} {x:g},{y + side:g}",
        f"{x:g},{y:g} {x + d:g},{y - d:g} {x + side + d:g},{y - d:g} {x + side:g},{y:g}",
        f"{x + side:g},{y:g} {x + side + d:g},{y - d:g} {x + side + d:g},{y + side - d:g} {x + side:g},{y + side:g}",
    )
    return "".join(
        f'<polygon points="{face}" fill="{fill}" fill-opacity="{shade}" stroke="{edge}" stroke-width="1.2" stroke-linejoin="round"/>'
        for face, shade in zip(faces, (1, 0.75, 0.5), strict=True)
    )


def perceptrons(x: float, y: float, w: float, h: float) -> str:
    """Inputs, a hidden layer and one output, all joined."""
    columns = [
        [(x + 28, y + h / 2 + 36 * (k - 1)) for k in range(3)],
        [(x + w / 2, y + h / 2 + 36 * (k - 1)) for k in range(3)],
        [(x + w - 28, y + h / 2)],
    ]
    lines = [
        f'<line x1="{a:g}" y1="{b:g}" x2="{c:g}" y2="{d:g}" stroke="{BLUE}" stroke-opacity="0.45" stroke-width="1.1"/>'
        for left, right in pairwise(columns)
        for a, b in left
        for c, d in right
    ]
    dots = [
        f'<circle cx="{a:g}" cy="{b:g}" r="10" fill="{fill}" stroke="{BLUE}" stroke-width="1.5"/>'
        for column, fill in zip(columns, ("#ffffff", BLUE_FILL, "#ffffff"), strict=True)
        for a, b in column
    ]
    return "".join(lines + dots)


def drawn() -> str:
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" height="{HEIGHT}" '
        'font-family="system-ui, -apple-system, Segoe UI, Helvetica, Arial, sans-serif" role="img" aria-labelledby="title told">',
        '<title id="title">The two arms</title>',
        '<desc id="told">Above: features, input selection, and the small neural network with scaling, perceptron and probabilistic '
        "layers. Below: the image box around the lesion and a 3D CNN. Both get the same splits, stop on the selection part, average "
        "members, recalibrate, and meet in one table of predictions.</desc>",
        f'<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="7" markerHeight="7" orient="auto">'
        f'<path d="M0 0 L10 5 L0 10 z" fill="{SOFT}"/></marker></defs>',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
    ]
    # What both arms share, on the left.
    parts.append(box(20, 268, 150, 118, "one patient", ["image and outline", "(CT, PET, MR)"], SOFT, GREY_FILL))
    parts.append(arrow((95, 268), (95, 155), (200, 155)))
    parts.append(arrow((95, 386), (95, 500), (200, 500)))

    # The arm of features.
    parts.append(text(200, 42, "Features in a small neural network (ann)", 17, BLUE, "start", 700))
    parts.append(box(200, 100, 132, 110, "features", ["hand-crafted, by", "PyRadiomics' or", "IBSI's names"], BLUE, BLUE_FILL))
    parts.append(arrow((332, 155), (354, 155)))
    parts.append(box(356, 100, 132, 110, "input selection", ["decision trees,", "inside the", "training part"], BLUE, BLUE_FILL))
    parts.append(arrow((488, 155), (510, 155)))
    parts.append(box(512, 100, 118, 110, "scaling layer", ["mean and sd of", "the training part"], BLUE, "#ffffff"))
    parts.append(arrow((630, 155), (648, 155)))
    parts.append(f'<rect x="650" y="78" width="178" height="154" rx="7" fill="#ffffff" stroke="{BLUE}" stroke-width="1.4"/>')
    parts.append(text(739, 98, "perceptron layers", 14, BLUE, weight=600))
    parts.append(perceptrons(650, 92, 178, 130))
    parts.append(text(739, 252, "tanh, then linear; how many: order selection", 12, SOFT))
    parts.append(arrow((828, 155), (846, 155)))
    parts.append(box(848, 100, 122, 110, "probabilistic", ["logistic or", "softmax", "(or unscaling)"], BLUE, "#ffffff"))

    # The arm of images.
    parts.append(text(200, 392, "A 3D CNN on the image itself (cnn3d)", 17, ORANGE, "start", 700))
    parts.append(cube(212, 462, 76, 26, ORANGE, ORANGE_FILL))
    parts.append(f'<ellipse cx="250" cy="502" rx="20" ry="15" fill="{ORANGE}" fill-opacity="0.55"/>')
    parts.append(text(262, 562, "image box around", 12))
    parts.append(text(262, 578, "the outline; the mask", 12))
    parts.append(text(262, 594, "as a channel or not", 12))
    parts.append(arrow((322, 500), (354, 500)))
    parts.append(box(356, 445, 118, 110, "scaling layer", ["mean and sd of", "the training part"], ORANGE, "#ffffff"))
    parts.append(arrow((474, 500), (496, 500)))
    parts.append(
        box(
            498,
            445,
            132,
            110,
            "new views",
            ["flipped, turned,", "shifted, resized;", "while it learns only"],
            ORANGE,
            ORANGE_FILL,
        )
    )
    parts.append(arrow((630, 500), (648, 500)))
    parts.append(cube(654, 470, 56, 18, ORANGE, "#ffffff"))
    parts.append(cube(739, 481, 38, 16, ORANGE, ORANGE_FILL))
    parts.append(cube(800, 490, 22, 14, ORANGE, "#f3c9ac"))
    parts.append(text(742, 562, "plain CNN with min and max", 12))
    parts.append(text(742, 578, "pooling, ResNet or DenseNet,", 12))
    parts.append(text(742, 594, "fresh or from a weights file", 12))
    parts.append(arrow((838, 500), (856, 500)))
    parts.append(box(858, 445, 112, 110, "probabilistic", ["softmax", "(or unscaling)"], ORANGE, "#ffffff"))
    # Deep features into the table of features.
    parts.append(
        f'<path d="M812 470 L812 330 L266 330 L266 214" fill="none" stroke="{LINE}" stroke-width="1.5" stroke-dasharray="6 5" '
        'marker-end="url(#tip)"/>'
    )
    parts.append(text(540, 322, "deep features: the embedding before the last layer, into the same fold's table", 12, SOFT))

    # What both arms share, on the right.
    parts.append(arrow((970, 155), (1070, 155), (1070, 226)))
    parts.append(arrow((970, 500), (1070, 500), (1070, 430)))
    parts.append(
        box(976, 228, 188, 200, "the same for both", [
            "splits drawn by patient;", "stopped, tuned, recalibrated", "on the selection part;", "members averaged;",
            "the test part predicted,", "never looked at;", "one table of predictions",
        ], GREEN, GREEN_FILL)
    )  # fmt: skip
    parts.append(text(20, 612, "Drawn by tools/arms_figure.py.", 11, LINE, "start"))
    return "\n".join([*parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    PAGE.write_text(drawn(), encoding="utf-8")
