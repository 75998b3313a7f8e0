"""Finished searches, and what they tell about the next one."""

from .portfolio import Proposal, proposal
from .situation import Situation, provenance
from .store import Experience, ExperienceRecord

__all__ = ["Experience", "ExperienceRecord", "Proposal", "Situation", "proposal", "provenance"]
