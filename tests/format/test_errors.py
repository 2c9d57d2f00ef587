import re

import pytest

from bank_format import errors


def test_the_tree_in_the_docstring_is_the_tree_of_the_classes() -> None:
    drawn = re.findall(r"── (\w+) +(\d+) +([a-z-]+)", errors.__doc__ or "")
    classes = {
        (cls.__name__, str(cls.exit_code), cls.slug) for cls in errors.BankError.__subclasses__()
    }
    assert set(drawn) == classes
    assert len(drawn) == len(classes)


def test_every_error_is_public() -> None:
    names = {cls.__name__ for cls in errors.BankError.__subclasses__()}
    assert set(errors.__all__) == names | {"BankError"}


def test_slugs_are_distinct_and_exit_codes_are_the_frozen_ones() -> None:
    subclasses = errors.BankError.__subclasses__()
    assert len({cls.slug for cls in subclasses}) == len(subclasses)
    assert {cls.exit_code for cls in subclasses} == {2, 5, 10, 11, 12, 13}


@pytest.mark.parametrize("cls", errors.BankError.__subclasses__())
def test_message_and_hint_are_one_line(cls: type[errors.BankError]) -> None:
    error = cls("a file\nwith a\r\nname", hint="type\nthis")
    assert str(error) == error.message == "a file with a name"
    assert error.hint == "type this"
    assert cls("plain").hint == ""
