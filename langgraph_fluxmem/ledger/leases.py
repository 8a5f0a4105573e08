"""Projection cursors, and leases with fencing tokens: who may consolidate, and how a lost holder is kept from writing."""

from __future__ import annotations

import math
from typing import Any

from sqlalchemy import and_, bindparam, select, update
from sqlalchemy.dialects import postgresql, sqlite

from langgraph_fluxmem.errors import ConfigError, LeaseLostError
from langgraph_fluxmem.ledger.sql import Session, Statement
from langgraph_fluxmem.ledger.tables import cursors, leases
from langgraph_fluxmem.ledger.writer import Transaction

_FIND = Statement(select(leases.c.owner, leases.c.token, leases.c.expires_at).where(leases.c.name == bindparam("name")))
_EXTEND = Statement(update(leases).where(leases.c.name == bindparam("b_name")).values(expires_at=bindparam("until")))
_RELEASE = Statement(
    update(leases)
    .where(and_(leases.c.name == bindparam("b_name"), leases.c.owner == bindparam("b_owner"), leases.c.token == bindparam("b_token")))
    .values(owner=None, expires_at=0.0)
)
_CURSOR = Statement(select(cursors.c.position).where(cursors.c.name == bindparam("name")))


def _upsert_lease(dialect: str) -> Any:
    statement = postgresql.insert(leases) if dialect == "postgresql" else sqlite.insert(leases)
    new = statement.excluded
    return statement.on_conflict_do_update(
        index_elements=["name"], set_={"owner": new.owner, "token": new.token, "expires_at": new.expires_at}
    ).inline()


def _upsert_cursor(dialect: str) -> Any:
    statement = postgresql.insert(cursors) if dialect == "postgresql" else sqlite.insert(cursors)
    return statement.on_conflict_do_update(index_elements=["name"], set_={"position": statement.excluded.position}).inline()


_TAKE = Statement(_upsert_lease, ["name", "owner", "token", "expires_at"])
_SET_CURSOR = Statement(_upsert_cursor, ["name", "position"])


def _seconds(ttl: float) -> float:
    if isinstance(ttl, bool) or not isinstance(ttl, (int, float)) or not math.isfinite(ttl) or ttl <= 0:
        raise ConfigError(f"a lease's ttl is {ttl!r}; expected seconds above 0")
    return float(ttl)


def acquire(tx: Transaction, name: str, owner: str, ttl: float) -> int | None:
    """Take a lease for `ttl` seconds; the token is greater than every one before. None while another owner holds it."""
    seconds = _seconds(ttl)
    found = tx.session.one(_FIND, {"name": name})
    if found is not None and found[0] is not None and found[0] != owner and found[2] > tx.now():
        return None
    token = (int(found[1]) if found else 0) + 1
    tx.session.write(_TAKE, {"name": name, "owner": owner, "token": token, "expires_at": tx.now() + seconds})
    return token


def renew(tx: Transaction, name: str, owner: str, token: int, ttl: float) -> None:
    seconds = _seconds(ttl)
    check(tx.session, name, token, tx.now(), owner)
    tx.session.write(_EXTEND, {"b_name": name, "until": tx.now() + seconds})


def extend(tx: Transaction, name: str, owner: str, ttl: float) -> bool:
    """Hold a lease on, whichever of its tokens `owner` uses now; also one that has run out, if nobody took it meanwhile. False: it is not theirs."""
    seconds = _seconds(ttl)
    found = tx.session.one(_FIND, {"name": name})
    if found is None or found[0] != owner:
        return False
    tx.session.write(_EXTEND, {"b_name": name, "until": tx.now() + seconds})
    return True


def release(tx: Transaction, name: str, owner: str, token: int) -> None:
    """Give a lease back; one that was lost is left to its new holder."""
    tx.session.write(_RELEASE, {"b_name": name, "b_owner": owner, "b_token": token})


def break_(tx: Transaction, name: str) -> None:
    """Take a lease from whoever holds it, for nobody: its token is of no use any more."""
    found = tx.session.one(_FIND, {"name": name})
    if found is not None:
        tx.session.write(_TAKE, {"name": name, "owner": None, "token": int(found[1]) + 1, "expires_at": 0.0})


def check(session: Session, name: str, token: int, now: float, owner: str | None = None) -> None:
    """Raise `LeaseLostError` unless `token` (of `owner`, when given) holds the lease now."""
    found = session.one(_FIND, {"name": name})
    if found is None or found[0] is None:
        raise LeaseLostError(f"nobody holds lease {name!r} (token {token} was released or never given); acquire it again")
    holder, newest, until = found
    if newest != token or (owner is not None and holder != owner):
        raise LeaseLostError(f"lease {name!r} is held by {holder!r} with token {newest}; found token {token}: stop, and acquire it again")
    if until <= now:
        raise LeaseLostError(
            f"lease {name!r} with token {token} expired {now - until:.1f} s ago; acquire it again, and renew it more often"
        )


def leased(session: Session, name: str, owner: str, now: float) -> bool:
    """Whether somebody else than `owner` holds a lease now."""
    found = session.one(_FIND, {"name": name})
    return found is not None and found[0] not in (None, owner) and found[2] > now


def cursor(session: Session, name: str) -> int:
    found = session.one(_CURSOR, {"name": name})
    return int(found[0]) if found else 0


def set_cursor(tx: Transaction, name: str, position: int) -> None:
    tx.session.write(_SET_CURSOR, {"name": name, "position": position})
