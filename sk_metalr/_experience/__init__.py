"""Finished searches, and what they tell about the next one."""

from .joint import JointProposal, joint_proposal
from .portfolio import Proposal, proposal
from .records import ExperienceRecord
from .situation import Situation, provenance
from .store import Experience
