import pytest

from langgraph_fluxmem.dates import spelt, time_text


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("1:56 pm on 8 May, 2023", "on 8 May, 2023"),
        ("2023-05-08", "8 May 2023"),
        ("2023-05-08T13:56:00Z", "8 May 2023"),
        ("2023-05-08 13:56:00", "8 May 2023"),
        ("2023/12", "December 2023"),
        ("last Tuesday", "last Tuesday"),
        (1683554160, "8 May 2023"),
        (1683554160.5, "8 May 2023"),
        (7, "7"),
        (True, ""),
        (None, ""),
        ([2023], ""),
    ],
)
def test_time_text(value, expected):
    assert time_text(value) == expected


def test_spelt_leaves_other_numbers_alone():
    assert spelt("due 2024-02-29, part 12345-67-89, 2023-13-01, v1.2") == "due 29 February 2024, part 12345-67-89, 2023-13-01, v1.2"
