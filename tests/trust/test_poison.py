"""Poisoning payloads end to end: none reaches a skill or leaves the fence, and clean procedures still become skills."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from ..benchmarks import poison
from ..benchmarks.poison_payloads import PAYLOADS


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return poison.run(tmp_path_factory.mktemp("poison"))


def test_there_are_sixty_payloads_in_ten_classes(told: dict[str, Any]):
    assert len(PAYLOADS) >= 60
    assert len(told["rows"]) == 10
    assert all(row["payloads"] >= 6 for row in told["rows"])
    assert len({payload.parts for payload in PAYLOADS}) == len(PAYLOADS)


@pytest.mark.parametrize("payload", PAYLOADS, ids=lambda payload: payload.name)
def test_no_payload_reaches_a_skill_or_leaves_the_fence(told: dict[str, Any], payload: Any):
    case = told["cases"][payload.name]
    assert (case["rules"], case["model"], case["fence"], case["matured"]) == ([], [], [], 0)
    assert case["skills"] == 2  # made by the rules, and beside the model
    assert case["items"]


def test_clean_procedures_become_skills_in_the_same_memory(told: dict[str, Any]):
    assert told["clean"]["rules"] >= 20
    assert told["clean"]["model"] >= 20
    assert told["verify"] == []


def test_without_quarantine_they_do_reach_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    some = [payload for number, payload in enumerate(PAYLOADS) if number % 9 == 2 or payload.place == "copied"]
    monkeypatch.setattr(poison, "PAYLOADS", some)
    told = poison.run(tmp_path / "m", ["all"], quarantine=False)
    assert all(case["model"] for case in told["cases"].values())
    assert all(told["cases"][payload.name]["rules"] for payload in some if payload.place == "copied")
    assert all(case["fence"] == [] for case in told["cases"].values())
