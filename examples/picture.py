"""Draw README's picture: one frozen network, a mask for each task, the answer that is sure.

python examples/picture.py [FILE.svg]
"""

import sys
from pathlib import Path

# Grey and blue of middle lightness: both can be read on white and on black.
INK, KEPT = "#7d8590", "#2f81f7"
SIGNS = "+-+--++-+"
MASKS = ("101100110", "011010101", "110101001")
CELL = 22


def text(x: int, y: int, words: str) -> str:
    """Draw words with their left end at (x, y), in pixels."""
    return f'<text x="{x}" y="{y}" fill="{INK}">{words}</text>'


def grid(x: int, y: int, signs: str, kept: str) -> list[str]:
    """Draw nine weights (signs `+-`) as 3 x 3 cells; a 1 in `kept` fills the cell."""
    drawn = []
    for place, (sign, bit) in enumerate(zip(signs, kept, strict=True)):
        left, top = x + place % 3 * CELL, y + place // 3 * CELL
        fill = KEPT if bit == "1" else "none"
        drawn.append(
            f'<rect x="{left}" y="{top}" width="{CELL - 3}" height="{CELL - 3}"'
            f' fill="{fill}" fill-opacity="0.35" stroke="{INK}"/>'
        )
        drawn.append(text(left + 6, top + 14, sign))
    return drawn


def picture() -> str:
    """Return the whole picture as SVG."""
    drawn = [text(10, 24, "frozen network, from a seed"), *grid(50, 110, SIGNS, "0" * 9)]
    drawn += [
        text(240, 24, "one bit per weight and task"),
        text(470, 24, "which task is this image?"),
    ]
    for number, mask in enumerate(MASKS, 1):
        top = 40 + (number - 1) * 75
        drawn += grid(330, top, SIGNS, mask)
        drawn.append(text(240, top + 36, f"task {number}"))
        drawn.append(text(410, top + 36, "→"))
        width = 150 if number == 2 else 40
        drawn.append(
            f'<rect x="470" y="{top + 22}" width="{width}" height="18" fill="{KEPT}"'
            f' fill-opacity="0.35" stroke="{INK}"/>'
        )
    drawn.append(text(630, 151, "the surest"))
    drawn.append(text(160, 145, "⊙ masks"))
    inside = "\n".join(drawn)
    return (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 720 270"'
        f' font-family="sans-serif" font-size="14">\n{inside}\n</svg>\n'
    )


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).with_suffix(".svg")
    target.write_text(picture(), encoding="utf-8")
