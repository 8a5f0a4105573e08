"""Skills: what they are, and how they are recalled."""

from langgraph_fluxmem.skills.book import Held, SkillBook, recall_skills
from langgraph_fluxmem.skills.model import Skill, SkillRule, SkillStep, Status, Trials, follow, followed

__all__ = ["Held", "Skill", "SkillBook", "SkillRule", "SkillStep", "Status", "Trials", "follow", "followed", "recall_skills"]
