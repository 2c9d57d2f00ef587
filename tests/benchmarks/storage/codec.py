"""Measure the codec: bytes against the entropy and against packed bits, speed; run by name.

    python tests/benchmarks/storage/codec.py

Random masks of one layer. Speed is millions of weights decoded a second: the best and the median of
nine, since other processes on the machine only slow it down.
"""

import argparse
import time
from statistics import median

import numpy as np

from bank_format.encoding.bits import packed_size
from bank_format.encoding.codec import decode, encode

DENSITIES = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.35, 0.4, 0.5)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weights", type=int, nargs="+", default=[235_200, 2_359_296])
    print("  weights  kept   coding  of entropy  of packed  million weights/s: best  median")
    for count in parser.parse_args().weights:
        for density in DENSITIES:
            bits = np.random.default_rng(0).random(count) < density
            encoding, data = encode(bits)
            seconds = []
            for _ in range(9):
                began = time.perf_counter()
                decode(encoding, data, count)
                seconds.append(time.perf_counter() - began)
            shares = np.array([bits.mean(), 1 - bits.mean()])
            entropy = -count * float((shares * np.log2(shares)).sum()) / 8
            rates = [count / 1e6 / one for one in (min(seconds), median(seconds))]
            speed = (
                "       -        -"
                if encoding.coding == "packed"
                else (f"{rates[0]:8.0f} {rates[1]:8.0f}")
            )
            print(
                f"{count:9} {100 * density:4.1f} %  {encoding.coding:6}"
                f"  {data.size / entropy:10.4f}  {data.size / packed_size(count):9.3f}  {speed:>24}"
            )


if __name__ == "__main__":
    main()
