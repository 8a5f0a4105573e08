from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from langgraph_fluxmem.index import postings as module
from langgraph_fluxmem.index.postings import Postings

TERMS = ["ant", "bee", "cow", "dog", "eel"]
documents = st.lists(st.lists(st.sampled_from(TERMS), max_size=4), max_size=7)


@settings(max_examples=150, deadline=None)
@given(st.lists(documents, max_size=8), st.integers(0, 8), st.sampled_from([3, 256]), st.sampled_from([1, 4, 4096]))
def test_postings_are_those_of_the_documents_however_they_came(batches, at, bulk, rest):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "BULK", bulk)  # large and small batches are sorted in, or appended; what was appended is sorted later
        patch.setattr(module, "REST", rest)
        postings = Postings()
        given_out = []
        for number, batch in enumerate(batches):
            if number == at:
                given_out = [(term, len(postings), postings.pairs(term, len(postings)).tolist()) for term in TERMS]
            postings.extend(batch)
            for term in TERMS:  # what is kept joined must not be stale
                postings.pairs(term, len(postings))
        every = [terms for batch in batches for terms in batch]
        assert len(postings) == len(every)
        for size in {len(every), len(every) // 2}:
            asked = [*TERMS, "nowhere"]
            assert [pairs.tolist() for pairs in postings.several(asked, size)] == [postings.pairs(term, size).tolist() for term in asked]
            for term in TERMS:
                slots, frequencies = postings.posting(term, size)
                expected = [(slot, count) for slot, terms in enumerate(every[:size]) if (count := Counter(terms)[term])]
                assert list(zip(slots.tolist(), frequencies.tolist(), strict=True)) == expected
        for term, size, pairs in given_out:
            assert postings.pairs(term, size).tolist() == pairs
        assert [postings.terms_of(slot) for slot in range(len(every))] == every
