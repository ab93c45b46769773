"""Mistakes that come together, and hints at what is near."""

import pytest

from ground.endings import Mistake, check_all, gather, nearest, refuse


def wrong(text: str):
    def call() -> None:
        raise Mistake(text)

    return call


def test_all_mistakes_are_told_each_once():
    with pytest.raises(Mistake) as raised:
        check_all(wrong("a: 1"), int, wrong("b: 2\na: 1"), wrong("c: 3"))
    assert raised.value.lines == ["a: 1", "b: 2", "c: 3"]
    assert raised.value.at("file: ").lines == ["file: a: 1", "file: b: 2", "file: c: 3"]


def test_what_is_right_is_returned_by_key():
    assert gather({"one": lambda: 1, "two": lambda: 2}) == {"one": 1, "two": 2}
    refuse([])
    with pytest.raises(ZeroDivisionError):  # no mistake of a user
        gather({"one": lambda: 1 // 0})


def test_hints_name_as_many_as_are_wanted():
    assert nearest("smal", ("small", "smell", "red")) == " (did you mean 'small'?)"
    hint = nearest("smal", ("small", "smell", "red"), most=3)
    assert hint == " (did you mean 'small' or 'smell'?)"
    assert nearest("qqq", ("small",), most=3) == ""
