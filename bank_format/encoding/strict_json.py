"""Convert frozen dataclasses to and from JSON by their type hints, and refuse everything else.

A field with `OMITTED` in its metadata has no key if it has its default value.

Known hints: int, float, str, Literal of text, tuple[X, ...] and tuples of fixed length,
Mapping[str, X], dataclasses, and unions of these with None. The exact set of keys identifies a
dataclass in a union. No value is converted: 1 is not a float, true is not an int. A message is only
built when a value is refused, because a large bank has millions of good values.
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

from bank_format.encoding.canonical_json import Json
from bank_format.encoding.remembered import remembered

__all__ = ["OMITTED", "from_json", "to_json"]


# Metadata of a field: `field(default=…, metadata=OMITTED)`.
OMITTED: Final = {"omitted": True}

_Record = TypeVar("_Record")
_Decoder: TypeAlias = Callable[[Json], object]

_LARGEST_INTEGER = 2**63 - 1
_DECODERS: dict[Any, _Decoder] = {}


def from_json(record: type[_Record], value: Json, path: str = "") -> _Record:
    """Make a record from a JSON value.

    Args:
        record: a frozen dataclass.
        value: what was parsed.
        path: keys that lead to the value, for messages; empty at the top.

    Raises:
        ValueError: an unknown or missing key, a wrong type, or a value that the record refuses; the
            message has the path of keys.
    """
    try:
        return cast("_Record", _decoder(record)(value))
    except _RefusedError as refused:
        raise ValueError(refused.told(path)) from None


def to_json(record: object) -> Json:
    """Make a JSON value from a record; `from_json` returns an equal record.

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
            if not (_is_omitted(field) and value == _default(field))
        }
    raise ValueError(f"a {type(record).__name__} cannot be written as JSON")


def _default(field: dataclasses.Field[Any]) -> object:
    made = field.default_factory
    return field.default if made is dataclasses.MISSING else made()


class _RefusedError(Exception):
    """A value was refused.

    Args:
        text: what was wrong.
        where: ".key" or "[index]" for each step from the current value to the refused one.
        named: whether the message needs a name of the value, even at the top.
    """

    def __init__(self, text: str, where: str = "", *, named: bool = False) -> None:
        super().__init__(text)
        self._text = text
        self._named = named
        self._where = where

    def under(self, step: str) -> "_RefusedError":
        """Add the step that leads to the value so far, ".key" or "[index]"."""
        self._where = step + self._where
        return self

    def told(self, path: str) -> str:
        """Return the message, preceded by the keys that lead to the value, if any."""
        whole = path + self._where if path else self._where.removeprefix(".")
        if not whole and self._named:
            whole = "value"
        return f"{whole}: {self._text}" if whole else self._text


def _wrong(value: Json, expected: str) -> _RefusedError:
    """Refuse a value of another type; name it, in 60 characters, and what was expected."""
    found = repr(value)
    if len(found) > 60:
        found = f"{found[:60]}…"
    return _RefusedError(f"{found} found, expected {expected}", named=True)


def _is_omitted(field: dataclasses.Field[Any]) -> bool:
    return "omitted" in field.metadata


def _decoder(hint: Any) -> _Decoder:  # typing's hints have no common type
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
        known = remembered(_mapping(_decoder(arguments[1])))
        return lambda value: dict(
            cast("dict[str, object]", known(value))
        )  # a new dictionary each time
    if origin in (Union, types.UnionType):
        return _union(arguments)
    return _plain(hint)


def _plain(kind: type) -> _Decoder:
    def decode(value: Json) -> object:
        # type() instead of isinstance(), because a bool is an int but must not pass for one.
        if type(value) is not kind:
            raise _wrong(value, kind.__name__)
        return value

    def decode_integer(value: Json) -> object:
        if type(value) is not int:
            raise _wrong(value, "int")
        if abs(value) > _LARGEST_INTEGER:
            raise _wrong(value, "an integer of 64 bits")
        return value

    return decode_integer if kind is int else decode


def _literal(allowed: tuple[str, ...]) -> _Decoder:
    def decode(value: Json) -> object:
        if value not in allowed:
            raise _wrong(value, " or ".join(map(repr, allowed)))
        return value

    return decode


def _tuple(arguments: tuple[Any, ...]) -> _Decoder:
    if arguments[1:] == (...,):
        item = _decoder(arguments[0])
        if dataclasses.is_dataclass(arguments[0]):
            return remembered(_list(item))
        return _list(item, arguments[0] if arguments[0] in (float, str) else None)
    return _fixed([_decoder(argument) for argument in arguments])


def _list(item: _Decoder, plain: type | None = None) -> _Decoder:
    """Decode lists; a list of plain values of the right type is returned as it is."""
    whole = {plain}

    def decode(value: Json) -> object:
        if not isinstance(value, list):
            raise _wrong(value, "a list")
        if {*map(type, value)} == whole:
            return tuple(value)
        decoded: list[object] = []
        try:
            for one in value:
                decoded.append(item(one))
        except _RefusedError as refused:
            raise refused.under(f"[{len(decoded)}]") from None
        return tuple(decoded)

    return decode


def _fixed(items: list[_Decoder]) -> _Decoder:
    def decode(value: Json) -> object:
        if not isinstance(value, list) or len(value) != len(items):
            raise _wrong(value, f"a list of {len(items)}")
        decoded: list[object] = []
        try:
            for item, one in zip(items, value, strict=True):
                decoded.append(item(one))
        except _RefusedError as refused:
            raise refused.under(f"[{len(decoded)}]") from None
        return tuple(decoded)

    return decode


def _mapping(item: _Decoder) -> _Decoder:
    def decode(value: Json) -> object:
        if not isinstance(value, dict):
            raise _wrong(value, "an object")
        decoded: dict[str, object] = {}
        key = ""
        try:
            for key, one in value.items():
                decoded[key] = item(one)
        except _RefusedError as refused:
            raise refused.under(f".{key}") from None
        return decoded

    return decode


def _dataclass(record: type) -> _Decoder:
    hints = get_type_hints(record)
    fields = {field.name: _decoder(hints[field.name]) for field in dataclasses.fields(record)}
    defaults = {one.name: _default(one) for one in dataclasses.fields(record) if _is_omitted(one)}

    def decode(value: Json) -> object:
        if not isinstance(value, dict):
            raise _wrong(value, "an object")
        if value.keys() != fields.keys() and value.keys() | defaults.keys() != fields.keys():
            different = min((value.keys() | defaults.keys()) ^ fields.keys())
            what = "unknown" if different in value else "missing"
            raise _RefusedError(f"{what} key", f".{different}")
        for key, default in defaults.items():
            if key in value and value[key] == default:
                raise _RefusedError("its default found, expected no such key", f".{key}")
        decoded: dict[str, object] = {}
        key = ""
        try:
            for key, one in value.items():
                decoded[key] = fields[key](one)
        except _RefusedError as refused:
            raise refused.under(f".{key}") from None
        try:
            return record(**decoded)
        except ValueError as error:
            raise _RefusedError(str(error)) from None

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

    def decode(value: Json) -> object:
        found = by_keys.get(frozenset(value)) if isinstance(value, dict) else plain.get(type(value))
        if found is None:
            raise _wrong(value, " or ".join(sorted(member.__name__ for member in members)))
        return found(value)

    return decode
