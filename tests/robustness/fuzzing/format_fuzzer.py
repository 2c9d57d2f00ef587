"""A seeded fuzzer of the format's parsers.

    python -m tests.robustness.fuzzing.format_fuzzer SEED COUNT

Input number i of a seed is always the same. Most inputs are valid files with something changed
and every digest made right again, so that the innermost parsers are reached. Prints one JSON
object. If anything but the format's own errors comes out, or memory passes the limit, it ends with
a traceback and the number of the input.
"""

import json
import random
import resource
import sys
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, TypeAlias

import numpy as np

from bank_format.encoding.bits import count_ones, packed_size, padding_is_zero
from bank_format.encoding.canonical_json import canonical, parse_canonical
from bank_format.encoding.codec import PackedCoding, RiceCoding, decode
from bank_format.encoding.sealed import unseal
from bank_format.encoding.strict_json import from_json
from bank_format.errors import BankError
from bank_format.kinds.bank_json import BankRecord, parse_bank_file
from bank_format.kinds.base import parse_base
from bank_format.kinds.combination_records import CombinationContent
from bank_format.kinds.features import Whitening, build_features, parse_features
from bank_format.kinds.gaussians import (
    GAUSSIANS,
    Gaussians,
    read_gaussians,
    store_gaussians,
)
from bank_format.kinds.hopfield import HopfieldContent, build_hopfield, parse_hopfield
from bank_format.kinds.signature import SignatureContent, build_signature, parse_signature
from bank_format.kinds.state import StateContent, WorkState, build_state, parse_state
from bank_format.kinds.task_arrays import Arrays
from bank_format.kinds.task_metadata import content_sha256
from bank_format.kinds.task_records import Provenance, SignatureRecord, TaskContent
from bank_format.store.tasks import parse_task, read_mask
from tests.robustness.fuzzing.mutations import changed_bytes, changed_json, joined, parted, resealed
from tests.support.banks import (
    PROVENANCE,
    add,
    add_combination,
    attractors,
    create,
    facts,
    masks,
    units_spec,
)

Outcome: TypeAlias = tuple[str, str]

MOST_MEMORY = 256 * 2**20  # bytes of address space more than after the imports


class Fuzzer:
    """Makes inputs from one tiny bank's files and passes them to their parsers."""

    def __init__(self, folder: Path) -> None:
        self.bank = create(folder / "bank")
        add(self.bank, "cats", density=0.2)
        add(self.bank, "thin", density=0.04)
        add_combination(self.bank, "mixed", "cats", "thin")
        self.record = self.bank.record
        random_numbers = np.random.RandomState(0)
        arrays = store_gaussians(
            Gaussians(
                *(random_numbers.randn(*shape).astype(np.float32) for shape in ((2, 5), (2, 2, 5))),
                *(np.ones(shape, np.float32) for shape in ((2, 2), 2, 2, 17)),
            )
        )
        made = SignatureRecord(GAUSSIANS, 40)
        signed = facts("signed", signature=made)
        task = self.bank.add_task(signed, masks(self.bank), {}, PROVENANCE, arrays)
        whitening = Whitening(np.ones(2, np.float32), np.eye(2, dtype=np.float32))
        units = create(folder / "units", units_spec())
        stored = attractors([add(units, "cats"), add(units, "dogs", 1)], units.record)
        self.units = units.record
        state = WorkState("ab" * 32, 7, {"scores": np.ones(3, np.float32)})
        self.files = {
            "base": (self.bank.path / "base.safetensors").read_bytes(),
            "cats": self.bank.task_path("cats").read_bytes(),
            "thin": self.bank.task_path("thin").read_bytes(),
            "mixed": self.bank.task_path("mixed").read_bytes(),
            "signed": self.bank.task_path("signed").read_bytes(),
            "signature": build_signature(self.record, "signed", task.content_sha256, made, arrays),
            "features": build_features(self.record, "maps-1", whitening),
            "state": build_state(self.record, "birds", state),
            "hopfield": build_hopfield(self.units, stored),
        }
        self.json = (self.bank.path / "bank.json").read_bytes()
        self.kinds: tuple[Callable[[random.Random], Outcome], ...] = (
            self.bank_json, self.sealed_bytes, self.sealed_header, self.metadata, self.metadata,
            self.tensors, self.codec, self.text, self.records,
        )  # fmt: skip

    def run(self, seed: int, number: int) -> Outcome:
        """Pass input `number` of `seed` to its parser; return its kind and the result."""
        source = random.Random(f"{seed} {number}")
        return source.choice(self.kinds)(source)

    def bank_json(self, source: random.Random) -> Outcome:
        value = json.loads(self.json)
        value.pop("sha256")
        value = changed_json(source, value)
        try:
            text = canonical(value)
            if isinstance(value, dict):
                text = canonical({**value, "sha256": sha256(text + b"\n").hexdigest()})
        except ValueError:
            text = json.dumps(value).encode()
        if source.random() < 0.3:
            text = changed_bytes(source, text)
        return "bank.json", outcome(lambda: parse_bank_file(text + b"\n", "file"), BankError)

    def sealed_bytes(self, source: random.Random) -> Outcome:
        name = source.choice(list(self.files))
        return self.give("bytes", name, resealed(changed_bytes(source, self.files[name][:-32])))

    def sealed_header(self, source: random.Random) -> Outcome:
        name = source.choice(list(self.files))
        header, body = parted(self.files[name])
        text = json.dumps(changed_json(source, header), ensure_ascii=False)
        return self.give("header", name, joined(text, body))

    def metadata(self, source: random.Random) -> Outcome:
        name = source.choice(list(self.files))
        header, body = parted(self.files[name])
        tensors, metadata = unseal(self.files[name], name)
        assert isinstance(metadata, dict)
        if source.random() < 0.8:
            metadata["content"] = changed_json(source, metadata["content"])
        else:
            metadata = changed_json(source, metadata)
        header["__metadata__"]["supsup"] = self.written(metadata, tensors)
        return self.give("metadata", name, joined(json.dumps(header, ensure_ascii=False), body))

    def tensors(self, source: random.Random) -> Outcome:
        name = source.choice(["cats", "thin", "mixed", "signed", "signature", "hopfield"])
        header, body = parted(self.files[name])
        tensors, metadata = unseal(self.files[name], name)
        assert isinstance(metadata, dict)
        content: Any = metadata["content"]
        size = len(body) - 32
        body = changed_bytes(source, body[:size], same_length=True) + body[size:]
        for tensor, entry in header.items():
            if tensor in tensors:
                first, last = entry["data_offsets"]
                stored = np.frombuffer(body[first:last], tensors[tensor].dtype)
                tensors[tensor] = stored.reshape(tensors[tensor].shape)
        for coding in content.get("encoding", {}).values():
            if coding["coding"] == "rice" and source.random() < 0.5:
                coding["ones"] += source.choice([-1, 0, 1, 2**40])
                coding["k"] = source.randrange(-1, 35)
        header["__metadata__"]["supsup"] = self.written(metadata, tensors)
        return self.give("tensors", name, joined(json.dumps(header, ensure_ascii=False), body))

    def codec(self, source: random.Random) -> Outcome:
        count = source.choice([1, 7, 8, 45, 1000, 2**16, 2**20])
        size = source.choice([0, 1, packed_size(count) - 1, packed_size(count), 40])
        data = np.frombuffer(source.randbytes(min(max(size, 0), 2000)), np.uint8)
        if source.random() < 0.3:
            data = np.concatenate((np.zeros_like(data), data[:3]))
        ones = source.choice([0, 1, 2, count, source.randrange(2**40), source.randrange(60)])
        coding = RiceCoding("rice", ones, source.randrange(33))

        def work() -> None:
            mask = decode(coding if source.random() < 0.9 else PackedCoding(), data, count)
            assert padding_is_zero(mask, count)

        return "codec", outcome(work, ValueError)

    def text(self, source: random.Random) -> Outcome:
        text = changed_bytes(source, self.json[:-1])

        def work() -> None:
            assert canonical(parse_canonical(text)) == text

        return "text", outcome(work, ValueError)

    def records(self, source: random.Random) -> Outcome:
        _, metadata = unseal(self.files["cats"], "cats")
        assert isinstance(metadata, dict)
        state: Any = unseal(self.files["state"], "state")[1]
        mixed: Any = unseal(self.files["mixed"], "mixed")[1]
        hopfield: Any = unseal(self.files["hopfield"], "hopfield")[1]
        signature: Any = unseal(self.files["signature"], "signature")[1]
        record, value = source.choice(
            [
                (TaskContent, metadata["content"]),
                (CombinationContent, mixed["content"]),
                (HopfieldContent, hopfield["content"]),
                (SignatureContent, signature["content"]),
                (Provenance, metadata["provenance"]),
                (StateContent, state["content"]),
                (BankRecord, {k: v for k, v in json.loads(self.json).items() if k != "sha256"}),
            ]
        )
        changed = changed_json(source, value)
        return "records", outcome(lambda: from_json(record, changed), ValueError)

    def written(self, metadata: Any, tensors: Any) -> str:
        """Write metadata with the right content_sha256, if it has a canonical form."""
        try:
            if isinstance(metadata, dict) and "content_sha256" in metadata:
                metadata["content_sha256"] = content_sha256(metadata["content"], tensors)
            return canonical(metadata).decode()
        except (ValueError, KeyError):
            return json.dumps(metadata)

    def give(self, kind: str, name: str, data: bytes) -> Outcome:
        def work() -> None:
            if name == "base":
                parse_base(data, self.record.spec, self.record.base_sha256, "file")
            elif name == "hopfield":
                for matrix in parse_hopfield(data, self.units, "file").matrices.values():
                    assert np.isfinite(matrix).all()
                    assert (matrix == matrix.T).all()
            elif name == "state":
                parse_state(data, self.record, "birds", "file")
            elif name == "features":
                _, whitening = parse_features(data, self.record, "file")
                assert np.isfinite(whitening.matrix).all()
            elif name == "signature":
                self.use(parse_signature(data, self.record, "signed", "file").arrays)
            else:
                read_parent = partial(read_mask, self.bank.path, self.record)
                task = parse_task(data, self.record, name, "file", read_parent)
                assert sum(map(count_ones, task.masks.values())) <= task.weights
                self.use(task.arrays)

        return kind, outcome(work, BankError)

    def use(self, arrays: Arrays) -> None:
        """Read Gaussians from arrays that were read: they are finite, or refused."""
        with suppress(ValueError):
            assert np.isfinite(read_gaussians(arrays, 5).directions).all()


def outcome(work: Callable[[], object], expected: type[Exception]) -> str:
    """Return what a parser did with an input: "accepted", or the name of the error it may raise."""
    try:
        work()
    except expected as error:
        return type(error).__name__
    return "accepted"


def main(seed: int, count: int) -> None:
    """Run inputs 0..count-1 of a seed under the memory limit, and print what came out."""
    with TemporaryDirectory() as folder:
        fuzzer = Fuzzer(Path(folder))
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (used + MOST_MEMORY, used + MOST_MEMORY))
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        counts: Counter[str] = Counter()
        for number in range(count):
            try:
                kind, what = fuzzer.run(seed, number)
            except Exception as error:
                raise SystemExit(f"input {number} of seed {seed}: {error!r}") from error
            counts[f"{kind} {what}"] += 1
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    print(json.dumps({"counts": dict(sorted(counts.items())), "grown_kib": grown}))


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
