"""The one configuration: frozen, validated once, with errors that name the nearest valid key."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from langgraph_fluxmem.errors import ConfigError
from langgraph_fluxmem.presets import BALANCED, PresetName
from langgraph_fluxmem.redaction import Redact


class Config(BaseModel):
    """Options of a memory. Build it with `Config.of(**options)`; wrong options raise `ConfigError` before anything is opened."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    durability: Literal["process", "power"] = "process"
    """``"process"``: an acknowledged write survives a kill. ``"power"``: it is synced to disk first (fsync per group commit)."""
    exact_max: int = Field(default=100_000, ge=0)
    """Up to this many vectors per namespace are scored exactly in memory; beyond it Chroma answers. (At 100,000 x 384 the exact scan took
    half of Chroma's time, with all neighbours instead of 61%.)"""
    chroma: str = "auto"
    """``"auto"``: a PersistentClient inside the directory; ``"off"``: no Chroma; else the address of a server (``http://host:port``)."""
    open_namespaces: int = Field(default=256, ge=1)
    """How many namespaces' projections stay in memory; the least recently used are dropped (and rebuilt when asked for)."""
    context_tokens: int = Field(default=1500, ge=0)
    """Budget of `Activation.context`, in tokens of about four characters."""
    pool: int = Field(default=50, ge=1)
    """How many candidates each signal proposes."""
    verify: int = Field(default=20, ge=0)
    """How many of the best facts a chat model is asked about in each recall, in one call; 0: none. Without a model there is no call."""
    preset: PresetName = BALANCED
    """Which set of signals recall uses, unless a recall says: ``"fast"``, ``"balanced"``, ``"thorough"`` or ``"paths"``; see `presets`."""
    signals: dict[str, float] = Field(default_factory=dict)
    """Overrides of the weights of retrieval signals by name; 0 turns a signal off."""
    max_rounds: int = Field(default=5, ge=1)
    """T: rounds of refinement within one step [F 3.2]."""
    on_fork: Literal["hide", "keep"] = "hide"
    """Whether commits of an abandoned branch are hidden from the branch that replaced it."""
    gate: Literal["off", "inline"] = "off"
    """``"inline"``: each new fact is compared with its nearest ones while it is remembered, and merged or linked [MemFly]; see `gate`.
    ``"off"``: only consolidation does that."""
    split_chars: int = Field(default=8_000, ge=200)
    """Texts longer than this are split into several facts, each with its position."""
    redact: Redact = "secrets"
    """What is cut out of what is remembered, committed and learned, before it is stored: ``"secrets"`` (keys, tokens, private keys; `redaction`
    lists the forms), ``"personal"`` (e-mail addresses, too) or ``"off"``. Items of a store are kept as they were put."""
    quarantine: bool = True
    """Whether texts that other people wrote to be obeyed, or that only they wrote, are kept out of skills and notes; see `trust`."""
    learning: bool = True
    """False freezes learning: feedback is validated and changes nothing."""
    half_life: int = Field(default=1_000, ge=0)
    """After so many operations of a namespace that used some link, a learned link in the graph that none of them used counts half; 0: no decay."""
    text_cache_mb: int = Field(default=64, ge=0)
    """About how many MiB of facts' texts and metadata are kept in memory, so that a recall need not read them; 0: none. Forgotten and expired
    ones are dropped by the next recall that would show facts of theirs."""
    busy_timeout: float = Field(default=30.0, gt=0)
    """Seconds a write waits for another process before it fails, and reads and writes for a database server that is away."""
    connections: int = Field(default=16, ge=1)
    """How many connections to Postgres a process reads with at most; one more writes. A directory needs none."""

    @classmethod
    def of(cls, options: Mapping[str, Any] | None = None, /, **more: Any) -> Config:
        """Validate options.

        Raises:
            ConfigError: an unknown key (the nearest valid one is named), a wrong value, or options that conflict.
        """
        given = {**(options or {}), **more}
        for key in given:
            if key not in cls.model_fields:
                near = difflib.get_close_matches(key, cls.model_fields, n=1, cutoff=0.4)
                hint = f"did you mean {near[0]!r}?" if near else f"valid keys: {', '.join(cls.model_fields)}"
                raise ConfigError(f"unknown option {key!r}; {hint}")
        try:
            return cls(**given)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"])
            said = first["msg"].removeprefix("Value error, ")
            raise ConfigError(f"option {where!r}: {said}; found {first.get('input')!r}" if where else said) from None

    @model_validator(mode="after")
    def _no_conflict(self) -> Config:
        if self.chroma not in ("auto", "off") and not self.chroma.startswith(("http://", "https://")):
            raise ValueError(f"chroma={self.chroma!r} is neither 'auto', 'off' nor an address like 'http://localhost:8000'")
        if self.chroma == "off" and "exact_max" in self.model_fields_set:
            raise ValueError("chroma='off' leaves only the exact tier, so exact_max conflicts with it; give one of the two")
        return self
