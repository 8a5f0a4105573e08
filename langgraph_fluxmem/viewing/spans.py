"""When something counts: spans of log positions, as the log's own rules of undo give them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

from langgraph_fluxmem.ledger.history import EvidenceMoment, Timeline, VersionRow

END = 1 << 53
"""A position that never comes, and that JSON can hold."""
Span = tuple[int, int]
"""Positions ``start <= p < end``."""


class Times:
    """Answers when the operations of a timeline count."""

    def __init__(self, timeline: Timeline) -> None:
        self._dead = timeline.dead
        self._resets = [(reset, self.live(reset)) for reset in timeline.resets]

    def live(self, op: int) -> list[Span]:
        """Spans at which an operation counts."""
        gone = self._dead.get(op)
        if gone is None:
            return [(op, END)]
        spans: list[Span] = []
        start = op
        for since, until in gone:
            if since > start:
                spans.append((start, since))
            start = END if until is None else until
        return [*spans, (start, END)] if start < END else spans

    def counting(self, row: EvidenceMoment) -> list[Span]:
        """Spans at which a row of evidence counts: while its operation does and no later reset of learning does."""
        spans = self.live(row.op)
        for reset, over in self._resets:
            if reset > row.op:
                spans = _without(spans, over)
        return spans

    def present(self, versions: Sequence[VersionRow]) -> list[Span]:
        """Spans at which a node is there: of its versions that count, the last is readable. `versions` are in log order."""
        if len(versions) == 1:
            return self.live(versions[0].op) if versions[0].readable else []
        lives = [self.live(version.op) for version in versions]
        marks = sorted({edge for spans in lives for span in spans for edge in span})
        spans: list[Span] = []
        for start, end in pairwise(marks):
            last = next((version for version, live in zip(reversed(versions), reversed(lives), strict=True) if _holds(live, start)), None)
            if last is not None and last.readable:
                spans.append((start, end))
        return joined(spans)


def joined(spans: Iterable[Span]) -> list[Span]:
    """The union of spans, in order, with those that touch made one."""
    out: list[Span] = []
    for start, end in sorted(spans):
        if out and start <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((start, end))
    return out


def toggles(spans: Sequence[Span]) -> list[int]:
    """Spans as positions at which something comes, goes, comes again, ...: short for JSON."""
    return [edge for span in spans for edge in span if edge < END]


def weights(
    stored: Sequence[tuple[int, float]], evidence: Sequence[tuple[list[Span], bool, float]], learned: float
) -> list[tuple[int, float]]:
    """(position, weight) after each change: the stored weight times what evidence makes of it (`graph.Evidence.factor`).

    Args:
        stored: (position, weight) of each write.
        evidence: (spans at which it counts, whether it speaks for the edge, weight) of each row.
        learned: the weight now, in which time without use has a part, too; the last one is that.

    """
    changes = _changes(evidence)
    written: Mapping[int, float] = dict(stored)
    out: list[tuple[int, float]] = []
    base = good = bad = 0.0
    for at in sorted(changes.keys() | written.keys()):
        base = written.get(at, base)
        gained, lost = changes.get(at, (0.0, 0.0))
        good, bad = good + gained, bad + lost
        out.append((at, base * 2.0 * (1.0 + good) / (2.0 + good + bad)))
    if out and learned > 0:
        out[-1] = (out[-1][0], learned)
    return out


def balance(evidence: Sequence[tuple[list[Span], bool, float]]) -> list[tuple[int, float]]:
    """(position, what speaks for it less what speaks against it) after each change."""
    out: list[tuple[int, float]] = []
    good = bad = 0.0
    for at, (gained, lost) in sorted(_changes(evidence).items()):
        good, bad = good + gained, bad + lost
        out.append((at, good - bad))
    return out


def _changes(evidence: Sequence[tuple[list[Span], bool, float]]) -> dict[int, list[float]]:
    """Position -> [for, against] that is added there."""
    changes: dict[int, list[float]] = {}
    for spans, good, weight in evidence:
        for start, end in spans:
            for at, sign in ((start, 1.0), (end, -1.0)):
                if at < END:
                    changes.setdefault(at, [0.0, 0.0])[0 if good else 1] += sign * weight
    return changes


def _holds(spans: Sequence[Span], at: int) -> bool:
    return any(start <= at < end for start, end in spans)


def _without(spans: Sequence[Span], gone: Sequence[Span]) -> list[Span]:
    left = list(spans)
    for since, until in gone:
        left = [part for start, end in left for part in ((start, min(end, since)), (max(start, until), end)) if part[0] < part[1]]
    return left
