"""base.safetensors: the frozen weights, the digest of equal bases, and remaking a lost base."""

import hashlib
import shlex
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from bank_format.encoding.bits import packed_size, unpack
from bank_format.encoding.canonical_json import Json, JsonObject, canonical
from bank_format.encoding.damage import damage
from bank_format.encoding.sealed import DTYPES, Tensor, Tensors, seal, unseal
from bank_format.encoding.strict_json import to_json
from bank_format.errors import DamagedError, NewerFormatError, OtherBaseError
from bank_format.kinds.bank_json import FORMAT_VERSION, BankRecord, BankSpec
from bank_format.kinds.seeded import signed_constant_tensors

__all__ = [
    "base_sha256",
    "build_base",
    "can_regenerate",
    "check_kind",
    "describe_tensors",
    "init_command",
    "parse_base",
    "regenerate_base",
    "weights_of",
]

# Kinds of which there is a newer version than the first.
_NEWEST = {"mask": 2, "combination": 2}
_TYPE_NAMES = {dtype: name for name, dtype in DTYPES.items()}


def describe_tensors(tensors: Mapping[str, Tensor]) -> list[Json]:
    """List tensors as digests cover them: sorted by name, with dtype, shape and SHA-256."""
    described: list[Json] = []
    for name, tensor in sorted(tensors.items()):
        dtype = tensor.dtype.newbyteorder("<")
        data = np.ascontiguousarray(tensor, dtype).reshape(-1).view(np.uint8)
        described.append(
            {
                "dtype": _TYPE_NAMES[dtype],
                "name": name,
                "sha256": hashlib.sha256(data.data).hexdigest(),
                "shape": list(tensor.shape),
            }
        )
    return described


def base_sha256(spec: BankSpec, tensors: Mapping[str, Tensor]) -> str:
    """Digest a base network: SHA-256 of the canonical spec and the tensors' descriptions.

    Returns:
        64 lower-case hex digits; equal for two people's equal bases.
    """
    covered: Json = {"spec": to_json(spec), "tensors": describe_tensors(tensors)}
    return hashlib.sha256(canonical(covered)).hexdigest()


def build_base(spec: BankSpec, tensors: Mapping[str, Tensor]) -> bytes:
    """Write base.safetensors.

    Args:
        spec: description of the base.
        tensors: as stored: see `signed_constant_tensors`; for other inits "weights/<name>",
            float32, of the parameter's shape, for each parameter.

    Raises:
        ValueError: the tensors are not those that the spec demands.
    """
    _check_tensors(spec, tensors)
    content: Json = {
        "base_sha256": base_sha256(spec, tensors),
        "kind": "base",
        "version": FORMAT_VERSION,
    }
    return seal(tensors, {"content": content})


def parse_base(data: bytes, spec: BankSpec, digest: str, name: str) -> Tensors:
    """Read base.safetensors, checked in full.

    Args:
        data: the whole file.
        spec: from bank.json.
        digest: base_sha256 from bank.json.
        name: the file's name, for messages.

    Raises:
        DamagedError: seal, content, tensors, digest, or signs that are not the seed's.
        NewerFormatError: a version or kind this reader does not know.
        OtherBaseError: it is whole, but another base.
    """
    tensors, metadata = unseal(data, name)
    content = check_kind(metadata, "base", name)
    stated = content.get("base_sha256")
    if content.keys() != {"base_sha256", "kind", "version"} or metadata != {"content": content}:
        raise DamagedError(
            f"{name}: metadata with unknown or missing keys, expected a base's", invariant="I5"
        )
    if stated != digest:
        raise OtherBaseError(
            f"{name}: base {str(stated)[:16]} found, bank.json has {digest[:16]}", invariant="I6"
        )
    with damage(name, "I6"):
        _check_tensors(spec, tensors)
        computed = base_sha256(spec, tensors)
        if computed != digest:
            raise ValueError(f"base_sha256 is {computed[:16]}…, expected {digest[:16]}…")
    return tensors


def check_kind(metadata: Json, kind: str, name: str) -> JsonObject:
    """Return a sealed file's content if it is of this kind and of a version known here.

    Raises:
        DamagedError: there is no content, kind or version.
        NewerFormatError: another kind, or a newer version; names the file.
    """
    content = metadata.get("content") if isinstance(metadata, dict) else None
    if not isinstance(content, dict):
        raise DamagedError(f"{name}: no content in the metadata, expected one", invariant="I4")
    found, version = content.get("kind"), content.get("version")
    if not isinstance(found, str) or type(version) is not int or version < 1:
        raise DamagedError(
            f"{name}: kind {found!r:.40}, version {version!r:.40} found, expected a {kind}",
            invariant="I4",
        )
    newest = _NEWEST.get(kind, FORMAT_VERSION)
    if found != kind or version > newest:
        raise NewerFormatError(
            f"{name}: kind {found[:40]!r} version {version} found, "
            f"this supsup reads {kind!r} up to version {newest}",
            hint="pip install --upgrade supsup",
            invariant="I4",
        )
    return content


def weights_of(spec: BankSpec, tensors: Mapping[str, Tensor]) -> dict[str, NDArray[np.float32]]:
    """Compute the weights of a stored base.

    Returns:
        For each parameter its float32 array, of the spec's shape.
    """
    weights: dict[str, NDArray[np.float32]] = {}
    for parameter in spec.parameters:
        stored = tensors.get(f"weights/{parameter.name}")
        if stored is None:
            scale = np.float32(tensors[f"scale/{parameter.name}"][0])
            signs = unpack(_bytes(tensors[f"signs/{parameter.name}"]), parameter.count)
            stored = np.where(signs, scale, -scale)
        weights[parameter.name] = stored.astype(np.float32, copy=False).reshape(parameter.shape)
    return weights


def _check_tensors(spec: BankSpec, tensors: Mapping[str, Tensor]) -> None:
    expected: dict[str, tuple[str, tuple[int, ...]]] = {}
    signed = spec.init == "signed-constant"
    for parameter in spec.parameters:
        if signed and len(parameter.shape) > 1:
            expected[f"signs/{parameter.name}"] = ("U8", (packed_size(parameter.count),))
            expected[f"scale/{parameter.name}"] = ("F32", (1,))
        else:
            expected[f"weights/{parameter.name}"] = ("F32", parameter.shape)
    found = {
        name: (_TYPE_NAMES.get(tensor.dtype.newbyteorder("<"), str(tensor.dtype)), tensor.shape)
        for name, tensor in tensors.items()
    }
    for name in sorted(expected.keys() | found.keys()):
        if found.get(name) != expected.get(name):
            raise ValueError(
                f"tensor {name}: {found.get(name)} found, expected {expected.get(name)}"
            )
    if signed:
        for name, drawn in signed_constant_tensors(spec.seed, spec.parameters).items():
            if not name.startswith("weights/") and not np.array_equal(drawn, tensors[name]):
                raise ValueError(f"tensor {name} is not what seed {spec.seed} gives")


def _bytes(tensor: Tensor) -> NDArray[np.uint8]:
    return tensor.view(np.uint8)


def can_regenerate(record: BankRecord) -> bool:
    """Return whether the seed alone decides the base, so that nothing of a lost file is needed."""
    return record.init == "signed-constant"


def regenerate_base(record: BankRecord) -> bytes:
    """Write base.safetensors again from the seed.

    Args:
        record: what bank.json says.

    Returns:
        The bytes of the lost file.

    Raises:
        ValueError: the seed does not decide the base, or gives another base than bank.json names.
    """
    if not can_regenerate(record):
        raise ValueError(f"a base of init {record.init!r} is not decided by its seed alone")
    tensors = signed_constant_tensors(record.seed, record.parameters)
    found = base_sha256(record.spec, tensors)
    if found != record.base_sha256:
        raise ValueError(
            f"seed {record.seed} gives base {found[:16]}…, expected {record.base_sha256[:16]}…"
        )
    return build_base(record.spec, tensors)


def init_command(record: BankRecord) -> str:
    """Return the command that makes a bank like this record, without its folder."""
    shape = "x".join(map(str, record.input.shape))
    init = "--weights FILE.safetensors" if record.init == "weights" else f"--init {record.init}"
    return (
        f"supsup init-base --arch {shlex.quote(record.arch)} --input {shape} "
        f"--outputs {record.outputs} --real-outputs {record.real_outputs} "
        f"{init} --seed {record.seed}"
    )
