"""Thresholds of consolidation, validated once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from langgraph_fluxmem.errors import ConfigError


class Settings(BaseModel):
    """Thresholds of one consolidation; `Settings.of` raises `ConfigError` for what does not fit."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    cosine: float = Field(default=0.75, gt=0.0, le=1.0)
    """Episodes whose tasks are at least this alike (cosine to the cluster's mean) form one cluster."""
    warm_up: int = Field(default=4, ge=1)
    """Episodes with a known outcome that a namespace needs before anything is induced."""
    successes: int = Field(default=2, ge=1)
    """Successes a cluster needs before a skill is induced from it."""
    support: float = Field(default=0.6, gt=0.0, le=1.0)
    """A step belongs to a skill when at least this share of the successes did it, in this order."""
    members: int = Field(default=64, ge=2)
    """At most this many successes, and as many failures, of a cluster are compared: the latest."""
    conditions: int = Field(default=4, ge=0)
    """Conditions a step's rule may have (LEARNING, section 2)."""
    z: float = Field(default=1.28, gt=0.0)
    """Of the lower bound of a success rate by which rules are ranked; 1.28 is the 10% quantile."""
    floor: float = Field(default=0.5, ge=0.0, le=1.0)
    """A step that only some successes did is kept, as "only if", when its rule's lower bound reaches this."""
    pitfall: float = Field(default=0.4, ge=0.0, le=1.0)
    """An action becomes a pitfall when the lower bound of its share of failures (or losses) reaches this, over all or under a condition."""
    epsilon: float = Field(default=0.01, ge=0.0)
    """Rewriting stops when the gain of |V_proc| * PEMS, the mean over the skills refined in a round, falls below this [F 3.3]."""
    rounds: int = Field(default=5, ge=0)
    """At most so many rounds of rewriting."""
    replays: int = Field(default=8, ge=1)
    """At most this many source episodes are replayed for one version of a skill."""
    mature_successes: int = Field(default=3, ge=1)
    mature_contexts: int = Field(default=2, ge=1)
    quantile: float = Field(default=0.1, gt=0.0, lt=1.0)
    """Quantile of Beta(1 + successes, 1 + failures) that the two thresholds below look at."""
    mature: float = Field(default=0.6, ge=0.0, le=1.0)
    demote: float = Field(default=0.4, ge=0.0, le=1.0)
    """A mature skill whose quantile falls below this is demoted."""
    retire: float = Field(default=0.15, ge=0.0, le=1.0)
    """A skill that is not mature is retired when the (1 - quantile) quantile falls below this: even the optimist gives it up."""
    redundant: float = Field(default=0.7, ge=0.0, le=1.0)
    """Two skills whose steps are at least so alike, and whose tasks are in one cluster, are one; the better one stays."""
    prune: float = Field(default=0.5, ge=0.0, le=1.0)
    """A link is cut when the (1 - quantile) quantile of what evidence says of it falls below this: even the optimist gives it up."""
    enrich: int = Field(default=64, ge=0)
    """At most so many facts of one consolidation are looked at by a model (a call for its relations, one for its note); rules see the rest."""
    parallel: int = Field(default=8, ge=1)
    """Clusters, or rewrites, that a graph works on at once; each such batch is a checkpoint of its own."""
    lease: float = Field(default=60.0, gt=0.0)
    """Seconds after which another consolidation may take over from one that was killed; one that works renews it, however long a model takes."""

    @model_validator(mode="after")
    def _ordered(self) -> Settings:
        if self.demote > self.mature:
            raise ValueError(f"demote={self.demote} is above mature={self.mature}, so a skill would be both; lower it")
        return self

    @classmethod
    def of(cls, options: Settings | Mapping[str, Any] | None = None) -> Settings:
        """Validate options.

        Raises:
            ConfigError: an unknown threshold, a wrong value, or thresholds that conflict.
        """
        if isinstance(options, Settings):
            return options
        try:
            return cls(**(options or {}))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in first["loc"]) or "thresholds"
            raise ConfigError(
                f"consolidation {where!r}: {first['msg']}; found {first.get('input')!r}; thresholds are {', '.join(cls.model_fields)}"
            ) from None
