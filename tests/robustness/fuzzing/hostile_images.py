"""Images that are damaged, cut, spliced, or claim more than they hold, made from a seed."""

import io
import random
import struct
import zlib
from collections.abc import Sequence

import numpy as np
from PIL import Image


def sample_images() -> list[bytes]:
    """Write small images in every format, mode and compression that is read."""
    noise = np.random.RandomState(0).randint(0, 256, (30, 40, 4)).astype(np.uint8)
    rgba = Image.fromarray(noise)
    deep = Image.fromarray(noise[..., :2].copy().view(np.uint16)[..., 0])
    exif = Image.Exif()
    exif[274] = 6
    wanted: list[tuple[Image.Image, str, dict[str, object]]] = [
        *((rgba.convert(mode), "PNG", {}) for mode in ("L", "LA", "P", "1", "RGB", "RGBA")),
        (deep, "PNG", {}),
        (rgba.convert("P"), "PNG", {"transparency": 3}),
        *((rgba.convert(mode), "JPEG", {"exif": exif}) for mode in ("L", "RGB", "CMYK")),
        (rgba.convert("RGB"), "JPEG", {"progressive": True}),
        (rgba.convert("P"), "GIF", {"save_all": True, "append_images": [rgba.convert("P")]}),
        *((rgba.convert(mode), "BMP", {}) for mode in ("L", "RGB", "1", "P")),
        (rgba, "WEBP", {"lossless": True}),
        (rgba.convert("RGB"), "WEBP", {}),
        (rgba, "WEBP", {"save_all": True, "append_images": [rgba.rotate(90)]}),
        *((rgba.convert(mode), "PPM", {}) for mode in ("L", "RGB", "1")),
        *((rgba.convert(mode), "JPEG2000", {}) for mode in ("L", "RGB", "RGBA")),
        (deep, "JPEG2000", {}),
        (rgba.convert("RGB"), "DIB", {}),
        (rgba.convert("RGB"), "MPO", {"save_all": True, "append_images": [rgba.convert("RGB")]}),
        (Image.new("LAB", (40, 30), (90, 100, 150)), "TIFF", {}),
        (deep, "TIFF", {}),
        (rgba.convert("F"), "TIFF", {}),
        (rgba, "TIFF", {}),
        (rgba.convert("1"), "TIFF", {"compression": "group4"}),
        *(
            (rgba.convert("RGB"), "TIFF", {"compression": compression})
            for compression in ("tiff_lzw", "tiff_adobe_deflate", "jpeg", "packbits")
        ),
    ]
    samples = []
    for image, form, options in wanted:
        buffer = io.BytesIO()
        image.save(buffer, form, **options)
        samples.append(buffer.getvalue())
    return [
        *samples,
        b"P3\n2 2\n255\n" + b"1 2 3 " * 4,
        b"P2 3 1 65535 1 2 3",
        b"Pf\n1 1\n-1\n\0\0\0?",
    ]


def huge(draw: random.Random) -> bytes:
    """Write an image that claims more than it holds."""
    width, height = (draw.choice((1, 1000, 1999, 65535, 2**31 - 1)) for _ in range(2))
    kind = draw.randrange(6)
    if kind == 0:
        head = struct.pack(">IIBBBBB", width, height, 8, draw.choice((0, 2, 3, 4, 6)), 0, 0, 0)
        data = zlib.compress(bytes(draw.choice((0, 10**6))))
        chunks = ((b"IHDR", head), (b"IDAT", data), (b"IEND", b""))
        return b"\x89PNG\r\n\x1a\n" + b"".join(
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
            for name, body in chunks
        )
    if kind == 1:
        head = struct.pack(
            "<IiiHHIIiiII", 40, width, draw.choice((1, -1)) * height, 1, 24, *[0] * 6
        )
        return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head + bytes(100)
    if kind == 2:
        return f"P{draw.randrange(1, 7)}\n{width} {height}\n255\n".encode() + bytes(100)
    if kind == 3:
        head = struct.pack("<HHBBB", width & 65535, height & 65535, 0x80, 0, 0)
        return b"GIF89a" + head + bytes(6) + b"," + bytes(4) + head[:4] + b"\0\x02\x02\x4c\x01\0;"
    if kind == 4:
        sizes = struct.pack("<I", min(width, 2**24 - 1))[:3] + struct.pack("<I", height % 2**24)[:3]
        body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + sizes + bytes(50)
        return b"RIFF" + struct.pack("<I", len(body)) + body
    entries = [(256, width), (257, height), (258, 8), (259, draw.choice((1, 5, 8))), (262, 1)]
    entries += [(273, 8), (277, draw.choice((1, 3, 2**20))), (278, height), (279, 2**31 - 1)]
    table = b"".join(
        struct.pack("<HHII", tag, 4, draw.choice((1, 1, 2**30)), value) for tag, value in entries
    )
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + table + bytes(104)


def hostile_image(draw: random.Random, samples: Sequence[bytes]) -> bytes:
    """Damage a sample: bytes changed, cut, doubled, exchanged; or claim a huge one."""
    if draw.randrange(6) == 0:
        return huge(draw)
    data = bytearray(draw.choice(samples))
    for _ in range(draw.choice((0, 1, 1, 2, 5, 30))):
        place = draw.randrange(min(len(data), draw.choice((64, 10**6))))
        data[place] = draw.choice((0, 255, 128, draw.randrange(256)))
    kind = draw.randrange(8)
    if kind == 0:
        data = data[: draw.randrange(1, len(data))]
    elif kind == 1:
        place = draw.randrange(len(data))
        data[place:place] = draw.randbytes(draw.randrange(1, 40))
    elif kind == 2:
        other = draw.choice(samples)
        data[draw.randrange(len(data)) :] = other[draw.randrange(len(other)) :]
    return bytes(data) or b"\0"
