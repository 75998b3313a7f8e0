"""Finished searches, and what they tell about the next one."""

from .portfolio import Proposal, proposal
from .records import ExperienceRecord
from .situation import Situation, provenance
from .store import Experience

__all__ = ["Experience", "ExperienceRecord", "Proposal", "Situation", "proposal", "provenance"]
