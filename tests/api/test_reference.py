"""The page of the public API is that of the code."""

from .reference import PAGE, page


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == page(), "a public name, signature or docstring changed: python -m tests.api.reference, and look at the diff"
