"""Explanations and activations as HTML for a notebook: no script, one small style, every stored text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from html import escape

from langgraph_fluxmem.explaining.model import Explanation, Link, NodeExplanation, Proof, Reason, RecallExplanation
from langgraph_fluxmem.explaining.telling import LEARNED, MEANING, brief, counted, origin, summary, when
from langgraph_fluxmem.schema import Activation, Why

_STYLE = """<style>
.fluxmem{font:13px/1.45 system-ui,sans-serif;max-width:60em;color:inherit}
.fluxmem table{border-collapse:collapse;width:100%;margin:.3em 0 .8em}
.fluxmem td,.fluxmem th{text-align:left;vertical-align:top;padding:.25em .8em .25em 0;border:0;background:none;white-space:normal}
.fluxmem tr{border-top:1px solid rgba(128,128,128,.25);background:none!important}
.fluxmem>table>tbody>tr>td:first-child{width:4em}.fluxmem>table>tbody>tr>td:last-child{width:100px}
.fluxmem h4{margin:.8em 0 .2em;font-size:13px;font-weight:600}
.fluxmem .n{font-variant-numeric:tabular-nums;white-space:nowrap}
.fluxmem .d{opacity:.65;font-size:12px}
.fluxmem .b{display:inline-block;height:.6em;border-radius:1px;background:#7a8fa6}
.fluxmem .b.l{background:#d08a2e}
.fluxmem code{font-size:11px;background:none;opacity:.65;overflow-wrap:anywhere}
</style>"""
_BAR = 90
"""Pixels of the longest share."""
_TEXT = 400
"""Characters of a stored text."""


def page_of(explanation: Explanation) -> str:
    """The whole explanation."""
    if isinstance(explanation, RecallExplanation):
        return _whole(_recall(explanation))
    if isinstance(explanation, NodeExplanation):
        return _whole(_node(explanation))
    raise TypeError(f"{type(explanation).__name__} is no explanation of a recall or a node")


def activation_html(activation: Activation) -> str:
    """An activation in short: what came to mind, how strongly, and by which signals."""
    counts = (("facts", activation.facts), ("steps", activation.steps), ("episodes", activation.episodes), ("skills", activation.skills))
    said = ", ".join(f"{len(these)} {name if len(these) > 1 else name[:-1]}" for name, these in counts if these) or "nothing"
    parts = [f"<b>{_text(activation.situation.task)}</b> <span class=d>{_text('.'.join(activation.namespace))} · {said}</span>"]
    parts += [_rows("skills", [(skill.score, f"{skill.name} ({skill.status})", skill.when, skill.why) for skill in activation.skills])]
    parts += [_rows("facts", [(fact.score, fact.content, "", fact.why) for fact in activation.facts])]
    steps = [
        (step.score, str(step.action), f"led on {step.successes:g}, did not {step.failures:g}, ended badly {step.losses:g}", step.why)
        for step in activation.steps
    ]
    parts += [_rows("steps", steps)]
    parts += [_rows("episodes", [(episode.score, episode.task, episode.outcome, episode.why) for episode in activation.episodes])]
    return _whole(parts)


def _rows(title: str, rows: Sequence[tuple[float, str, str, Why]]) -> str:
    if not rows:
        return ""
    cells = "".join(
        f"<tr><td class=n>{score:.3f}</td><td>{_text(text)}{f'<br><span class=d>{_text(said)}</span>' if said else ''}</td>"
        f"<td class=n>{_bar(why.signals)}</td></tr>"
        for score, text, said, why in rows
    )
    return f"<h4>{title}</h4><table>{cells}</table>"


def _bar(signals: Mapping[str, float]) -> str:
    """The shares of a score as one bar, what was learned in another colour; what they are is told on hovering."""
    above = {name: share for name, share in signals.items() if share > 0}
    whole = max(sum(above.values()), 1.0)
    title = "&#10;".join(f"{escape(name)} {share:+.3f}" for name, share in sorted(signals.items(), key=lambda one: -abs(one[1])))
    learned = sum(share for name, share in above.items() if name in LEARNED)
    plain = sum(above.values()) - learned
    drawn = "".join(
        f'<span class="b{kind}" style="width:{_BAR * share / whole:.0f}px"></span>'
        for kind, share in (("", plain), (" l", learned))
        if share
    )
    return f'<span title="{title}">{drawn}</span>'


def _recall(found: RecallExplanation) -> Iterable[str]:
    yield f"<b>{_text(found.query)}</b> <span class=d>{_text('.'.join(found.namespace))} · position {found.position}</span>"
    yield f"<div>{escape(summary(found))}</div>"
    if found.head > found.position:
        yield "<div class=d>Memory has changed since: evidence, and ranks without learning, are as of now.</div>"
    if found.fast:
        yield f"<div>Answered by the mature skill <code>{escape(found.fast)}</code> without a search for facts.</div>"
    moved = ", ".join(f"{escape(one.signal)} {one.configured:.2f} &rarr; {one.in_force:.2f}" for one in found.moved if one.told)
    if moved:
        yield f"<div class=d>weights moved by {found.judged} judged recalls: {moved}</div>"
    for edit in found.repaired:
        yield f"<div class=d>repaired: {escape(edit.action)} {escape(', '.join(edit.targets))} ({_text(edit.reason)})</div>"
    for what, title in (("skill", "skills"), ("fact", "facts"), ("step", "steps"), ("episode", "episodes")):
        these = [reason for reason in found.reasons if reason.what == what]
        if these:
            yield f"<h4>{title}</h4><table>{''.join(map(_reason, these))}</table>"
    if found.missed:
        rows = "".join(
            f"<tr><td class=n>{one.score:.3f}</td><td>{_text(one.text)}</td><td class=n>rank {one.rank}</td></tr>" for one in found.missed
        )
        yield f"<h4>without learning these would have come instead</h4><table>{rows}</table>"


def _reason(reason: Reason) -> str:
    shares = "".join(
        f"<tr><td class=n>{share:+.3f}</td><td>{escape(name)}</td><td class=d>{escape(MEANING.get(name, ''))}</td></tr>"
        for name, share in sorted(reason.signals.items(), key=lambda one: (-abs(one[1]), one[0]))
    )
    without = ""
    if reason.what in ("fact", "episode"):
        without = "would not have come" if reason.without is None else f"rank {reason.without}"
        without = f"<div class=d>without learning: {without}</div>"
    counts = f"<div class=d>evidence: {escape(counted(reason.counts))}</div>" if any(reason.counts.values()) else ""
    path = "".join(f"<div class=d>{_text(part)}</div>" for part in reason.path)
    more = f"<table>{shares}</table>" + "".join(map(_link, reason.links)) + _proofs(reason.proofs, reason.proofs_total)
    return (
        f"<tr><td class=n>{reason.score:.3f}</td><td>{_text(reason.text)}{without}{counts}{path}"
        f"<details><summary class=d>why <code>{escape(reason.id)}</code></summary>{more}</details></td>"
        f"<td class=n>{_bar(reason.signals)}</td></tr>"
    )


def _link(link: Link) -> str:
    head = (
        f"via <i>{_text(brief(link.task))}</i> ({escape(link.outcome)}), alike {link.likeness:.2f}: "
        f"for {link.gained:g}, against {link.against:g} &rarr; {link.say:+.3f}"
    )
    return f"<div>{head}</div>{_proofs(link.proofs, len(link.proofs))}"


def _proofs(found: Sequence[Proof], total: int) -> str:
    if not found:
        return ""
    rows = "".join(
        f"<tr><td class=n>{proof.weight:+g}</td><td>{escape(proof.channel)}{'' if proof.counts else ' (does not count)'}</td>"
        f"<td class=n>{when(proof.at)}</td><td>{_text(brief(proof.task, 60))}</td>"
        f"<td><code>{escape(proof.commit or proof.operation)}</code></td></tr>"
        for proof in found
    )
    more = f"<div class=d>and {total - len(found)} rows more</div>" if total > len(found) else ""
    return f"<table>{rows}</table>{more}"


def _node(found: NodeExplanation) -> Iterable[str]:
    yield f"<b>{_text(found.title)}</b> <span class=d>{escape(found.kind)} · {_text('.'.join(found.namespace))} · {escape(found.state)}</span>"
    if found.content != found.title:
        yield f"<div style='white-space:pre-wrap'>{_text(found.content, 4000)}</div>"
    said = {"source": found.source, "speaker": found.speaker, **found.details}
    rows = "".join(
        f"<tr><td class=d>{_text(name)}</td><td>{_text(str(value))}</td></tr>" for name, value in said.items() if value not in (None, "")
    )
    from_ = f" from {_text(origin(found.origin))}" if origin(found.origin) else ""
    yield f"<table>{rows}<tr><td class=d>created</td><td>{when(found.created_at)}{from_}</td></tr></table>"
    versions = "".join(
        f"<tr><td class=n>{when(one.at)}</td><td>{one.state}</td><td><code>{escape(one.id)}</code></td><td>{escape(one.verb)}</td></tr>"
        for one in found.versions
    )
    yield f"<h4>versions</h4><table>{versions}</table>"
    yield f"<h4>evidence</h4><div>{escape(counted(found.evidence))}</div>{_proofs(found.proofs, found.proofs_total)}"
    if found.pems:
        yield f"<h4>PEMS by round</h4><div>{', '.join(f'{value:.4g}' for value in found.pems)}</div>"
    if found.steps:
        steps = "".join(
            f"<tr><td class=n>{step.ordinal}</td><td>{_text(step.action or step.result)}</td>"
            f"<td class=d>{escape(counted({'progress': step.progress, 'failure': step.failure, 'loss': step.loss}))}</td></tr>"
            for step in found.steps
        )
        yield f"<h4>steps</h4><table>{steps}</table>"
    if found.ties:
        ties = "".join(
            f"<tr><td class=n>{tie.weight:.3f}</td><td class=n>{tie.kind} {'&larr;' if tie.incoming else '&rarr;'}</td>"
            f"<td>{_text(brief(tie.text))}</td><td><code>{escape(tie.other)}</code></td></tr>"
            for tie in found.ties
        )
        yield f"<h4>edges</h4><table>{ties}</table>"
    changes = "".join(
        f"<tr><td class=n>{when(one.at)}</td><td>{escape(one.verb)}{'' if one.counts else ' (undone)'}</td>"
        f"<td>{escape(', '.join(one.did))}</td><td><code>{escape(one.operation)}</code></td></tr>"
        for one in found.changes
    )
    yield f"<h4>what happened to it</h4><table>{changes}</table>"
    if found.dependents:
        yield f"<div class=d>undoing what wrote it takes along {len(found.dependents)} operations</div>"


def _text(text: str, most: int = _TEXT) -> str:
    return escape(text if len(text) <= most else text[: most - 1] + "…")


def _whole(parts: Iterable[str]) -> str:
    return f"{_STYLE}<div class=fluxmem>{''.join(parts)}</div>"
