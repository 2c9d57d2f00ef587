"""Frozen dataclasses <-> JSON by their type hints, refusing whatever the hints do not say.

A field with `OMITTED` in its metadata has no key while it has its default value.

Known hints: int, float, str, Literal of text, tuple[X, ...] and tuples of fixed length,
Mapping[str, X], dataclasses, and unions of these with None. A dataclass in a union is told by
its exact set of keys. No value is converted: 1 is no float, true is no int.
"""

import dataclasses
import types
from collections.abc import Callable, Mapping
from typing import (
    Any,
    Final,
    Literal,
    TypeAlias,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

from bank_format.canonical_json import Json

__all__ = ["OMITTED", "from_json", "to_json"]

# Metadata of a field: `field(default=…, metadata=OMITTED)`.
OMITTED: Final = {"omitted": True}

_Record = TypeVar("_Record")
_Decoder: TypeAlias = Callable[[Json, str], object]

_LARGEST_INTEGER = 2**63 - 1
_DECODERS: dict[Any, _Decoder] = {}


def from_json(record: type[_Record], value: Json, path: str = "") -> _Record:
    """Make a record of a JSON value.

    Args:
        record: a frozen dataclass.
        value: what was parsed.
        path: the keys that lead to the value, for messages; empty at the top.

    Raises:
        ValueError: an unknown or missing key, a wrong type, or a value that the record refuses;
            names the path of keys.
    """
    return cast("_Record", _decoder(record)(value, path))


def to_json(record: object) -> Json:
    """Make a JSON value of a record; `from_json` gives an equal record back.

    Raises:
        ValueError: a value of a type that JSON does not have.
    """
    if record is None or isinstance(record, bool | int | float | str):
        return record
    if isinstance(record, tuple | list):
        return [to_json(item) for item in record]
    if isinstance(record, Mapping):
        return {str(key): to_json(item) for key, item in record.items()}
    if dataclasses.is_dataclass(record):
        values = {field: getattr(record, field.name) for field in dataclasses.fields(record)}
        return {
            field.name: to_json(value)
            for field, value in values.items()
            if not (_is_omitted(field) and value == field.default)
        }
    raise ValueError(f"a {type(record).__name__} cannot be written as JSON")


def _is_omitted(field: dataclasses.Field[Any]) -> bool:
    return "omitted" in field.metadata


def _decoder(hint: Any) -> _Decoder:  # the hints of typing have no common type
    if hint not in _DECODERS:
        _DECODERS[hint] = _build(hint)
    return _DECODERS[hint]


def _build(hint: Any) -> _Decoder:
    origin, arguments = get_origin(hint), get_args(hint)
    if dataclasses.is_dataclass(hint):
        return _dataclass(cast("type", hint))
    if origin is Literal:
        return _literal(arguments)
    if origin is tuple:
        return _tuple(arguments)
    if origin is Mapping:
        return _mapping(_decoder(arguments[1]))
    if origin in (Union, types.UnionType):
        return _union(arguments)
    return _plain(hint)


def _plain(kind: type) -> _Decoder:
    def decode(value: Json, path: str) -> object:
        # type() and not isinstance(): a bool is an int, and must not pass for one.
        if type(value) is not kind:
            raise _wrong(path, value, kind.__name__)
        if kind is int and abs(cast("int", value)) > _LARGEST_INTEGER:
            raise _wrong(path, value, "an integer of 64 bits")
        return value

    return decode


def _literal(allowed: tuple[str, ...]) -> _Decoder:
    def decode(value: Json, path: str) -> object:
        if value not in allowed:
            raise _wrong(path, value, " or ".join(map(repr, allowed)))
        return value

    return decode


def _tuple(arguments: tuple[Any, ...]) -> _Decoder:
    if arguments[1:] == (...,):
        return _list(_decoder(arguments[0]))
    return _fixed([_decoder(argument) for argument in arguments])


def _list(item: _Decoder) -> _Decoder:
    def decode(value: Json, path: str) -> object:
        if not isinstance(value, list):
            raise _wrong(path, value, "a list")
        return tuple([item(one, f"{path}[{index}]") for index, one in enumerate(value)])

    return decode


def _fixed(items: list[_Decoder]) -> _Decoder:
    def decode(value: Json, path: str) -> object:
        if not isinstance(value, list) or len(value) != len(items):
            raise _wrong(path, value, f"a list of {len(items)}")
        pairs = enumerate(zip(items, value, strict=True))
        return tuple([item(one, f"{path}[{index}]") for index, (item, one) in pairs])

    return decode


def _mapping(item: _Decoder) -> _Decoder:
    def decode(value: Json, path: str) -> object:
        if not isinstance(value, dict):
            raise _wrong(path, value, "an object")
        return {key: item(one, _under(path, key)) for key, one in value.items()}

    return decode


def _dataclass(record: type) -> _Decoder:
    hints = get_type_hints(record)
    fields = {field.name: _decoder(hints[field.name]) for field in dataclasses.fields(record)}
    defaults = {one.name: one.default for one in dataclasses.fields(record) if _is_omitted(one)}

    def decode(value: Json, path: str) -> object:
        if not isinstance(value, dict):
            raise _wrong(path, value, "an object")
        if value.keys() | defaults.keys() != fields.keys():
            different = min((value.keys() | defaults.keys()) ^ fields.keys())
            what = "unknown" if different in value else "missing"
            raise ValueError(f"{_under(path, different)}: {what} key")
        for key, default in defaults.items():
            if key in value and value[key] == default:
                raise ValueError(f"{_under(path, key)}: its default found, expected no such key")
        decoded = {key: fields[key](one, _under(path, key)) for key, one in value.items()}
        try:
            return record(**decoded)
        except ValueError as error:
            raise ValueError(f"{path}: {error}" if path else str(error)) from None

    return decode


def _union(members: tuple[Any, ...]) -> _Decoder:
    plain: dict[type, _Decoder] = {}
    by_keys: dict[frozenset[str], _Decoder] = {}
    for member in members:
        if dataclasses.is_dataclass(member):
            keys = frozenset(field.name for field in dataclasses.fields(member))
            by_keys[keys] = _decoder(member)
        else:
            plain[member] = _decoder(member)

    def decode(value: Json, path: str) -> object:
        found = by_keys.get(frozenset(value)) if isinstance(value, dict) else plain.get(type(value))
        if found is None:
            names = " or ".join(sorted(member.__name__ for member in members))
            raise _wrong(path, value, names)
        return found(value, path)

    return decode


def _under(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _wrong(path: str, value: Json, expected: str) -> ValueError:
    found = repr(value)
    if len(found) > 60:
        found = f"{found[:60]}…"
    return ValueError(f"{path or 'value'}: {found} found, expected {expected}")
