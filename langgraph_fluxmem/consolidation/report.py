"""What a consolidation did, and why: one object, JSON both ways."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from langgraph_fluxmem.skills.model import Status


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ClusterReport(_Part):
    """What was found in one cluster. `explained` of its new episodes follow a skill it has, and cost nothing."""

    cluster: str
    episodes: int
    new: int
    explained: int
    induced: int = 0
    why: str = ""


class SkillReport(_Part):
    """What became of one skill or proposal. `eta_from` says where its success rate comes from."""

    node: str
    name: str
    version: str | None = None
    decision: Literal["accepted", "rejected", "kept", "promoted", "demoted", "retired"]
    why: str
    status: Status
    number: int
    eta: float | None = None
    eta_from: Literal["replay", "trials", "sources"] | None = None
    tokens: int
    pems: float | None = None
    steps: list[str] = Field(default_factory=list)


class RoundReport(_Part):
    """One round: how many skills were refined, the mean gain of |V_proc| * PEMS, its mean `value` afterwards, and what that decided."""

    round: int
    tried: int
    refined: int
    gain: float
    value: float | None = None
    why: str


class FactsReport(_Part):
    """New facts looked at; how many repeat an older one, complete one; how many were split, and got a note; links that were cut."""

    looked_at: int = 0
    redundant: int = 0
    linked: int = 0
    split: int = 0
    enriched: int = 0
    pruned: int = 0


class Report(_Part):
    """Report of one consolidation of one namespace. `operation` is what `undo` takes; None when nothing was written."""

    id: str
    namespace: list[str]
    operation: str | None = None
    skipped: str = ""
    position: int = 0
    since: int = 0
    episodes: int = 0
    new: int = 0
    explained: int = 0
    warm_up: int = 0
    """Episodes with a known outcome that are still needed; 0 once the namespace has warmed up."""
    active: int = 0
    """|V_proc| afterwards."""
    withdrawn: int = 0
    """Steps whose credit was withdrawn, because a replay went well without them."""
    quarantined: int = 0
    """Items that the screen held back, new in quarantine (`FluxMem.quarantine`)."""
    clusters: list[ClusterReport] = Field(default_factory=list)
    skills: list[SkillReport] = Field(default_factory=list)
    rounds: list[RoundReport] = Field(default_factory=list)
    facts: FactsReport = FactsReport()
    stopped: str = ""
    replays: int = 0
    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    fallbacks: int = 0
    fallback_reasons: list[str] = Field(default_factory=list)

    def decided(self, *decisions: str) -> list[SkillReport]:
        """Skills with one of these decisions."""
        return [skill for skill in self.skills if skill.decision in decisions]

    def __str__(self) -> str:
        where = ".".join(self.namespace)
        if self.skipped:
            return f"consolidation of {where}: {self.skipped}"
        lines = [
            f"consolidation of {where} at position {self.position}: {self.new} new of {self.episodes} episodes, {self.explained} explained by skills",
            *_lines(self),
            f"stopped: {self.stopped}; {self.replays} replays, {self.calls} model calls, {self.input_tokens + self.output_tokens} tokens",
        ]
        return "\n".join(lines)


def _lines(report: Report) -> Sequence[str]:
    lines = [
        f"  cluster {part.cluster}: {part.episodes} episodes, {part.new} new, {part.explained} explained; {part.why}"
        for part in report.clusters
    ]
    for skill in report.skills:
        eta = "unknown" if skill.eta is None else f"{skill.eta:.2f} ({skill.eta_from})"
        lines.append(f"  {skill.decision} {skill.name!r} v{skill.number} [{skill.status}], eta {eta}, {skill.tokens} tokens: {skill.why}")
    lines += [f"  round {part.round}: {part.refined} of {part.tried} refined; {part.why}" for part in report.rounds]
    facts = report.facts
    if any(facts.model_dump().values()):
        lines.append(
            f"  {facts.looked_at} new facts: {facts.redundant} repeat others, {facts.linked} complete others, {facts.split} split, "
            f"{facts.enriched} got a note; {facts.pruned} links cut"
        )
    if report.quarantined:
        lines.append(f"  {report.quarantined} texts of others were held back: `quarantine` lists them")
    if report.fallbacks:
        lines.append(f"  rules answered for the model {report.fallbacks} times: {'; '.join(report.fallback_reasons)}")
    return lines
