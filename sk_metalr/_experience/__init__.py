"""Finished searches, and what they tell about the next one."""

from .portfolio import Proposal, proposal
from .records import ExperienceRecord
from .situation import Situation, provenance
from .store import Experience
