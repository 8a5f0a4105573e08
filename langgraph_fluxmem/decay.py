"""Decay: a learned link that was not used for long counts for less [F 3.3]. It is computed from the last use when the link is read.

Age is counted in operations of the namespace that used some link, not in seconds and not in positions of the whole log: so a recall is the
same whenever it is asked, other namespaces do not age what is learned here, and an undo gives back what it took.
"""

from __future__ import annotations

from bisect import bisect_right, insort


class Uses:
    """When each link was used last, by log position; `half_life` is the age at which half of its weight is left, 0: it keeps all of it."""

    def __init__(self, half_life: int) -> None:
        self.half_life = half_life
        self._moments: list[int] = []
        self._last: dict[str, int] = {}

    def use(self, link: str, op: int) -> None:
        """Operation `op` used a link."""
        if op > self._last.get(link, 0):
            self._last[link] = op
        if not self._moments or op > self._moments[-1]:
            self._moments.append(op)
        elif self._moments[bisect_right(self._moments, op) - 1] != op:
            insort(self._moments, op)

    def clear(self) -> None:
        """Forget everything."""
        self._moments.clear()
        self._last.clear()

    def left(self, link: str) -> float:
        """Share of its weight that a link still has, in (0, 1]; 1 for one that was never used."""
        last = self._last.get(link)
        if last is None or not self.half_life:
            return 1.0
        return 0.5 ** ((len(self._moments) - bisect_right(self._moments, last)) / self.half_life)
