"""Names made of what they name: the same parts give the same name, in any process."""

from __future__ import annotations

import hashlib
import json


def digest(*parts: object) -> str:
    """A short stable digest (20 hex digits) of JSON-able parts."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
