"""Which tests CI leaves to the night."""

from __future__ import annotations

from tests.integration import selection
from tests.integration.selection import chosen, costs, lines


def test_a_pattern_is_the_begin_of_a_name():
    names = ["test_a.py::test_x[one]", "test_a.py::test_x[two]", "test_ab.py::test_x"]
    why = chosen(names, ["test_a.py::test_x[one", "test_ab.py"])
    assert list(why.values()) == ["test_a.py::test_x[one", None, "test_ab.py"]


def test_comments_and_blank_lines_say_nothing():
    assert lines("# why\n\n  test_a.py \n") == ["test_a.py"]


def test_costs_are_by_file():
    assert costs("12.5 test_a.py\n3 test_b.py\n") == {"test_a.py": 12.5, "test_b.py": 3.0}


def test_no_test_is_put_off_twice():
    patterns = lines(selection.NIGHTLY.read_text())
    for pattern in patterns:
        assert [each for each in patterns if each.startswith(pattern)] == [pattern]
