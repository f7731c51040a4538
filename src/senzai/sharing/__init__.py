"""Sharing: the folder of a run as one file, on a hub and back; it knows files, and neither loads nor uses a model."""

from .addresses import hub_address as hub_address
from .addresses import is_packed as is_packed
from .opening import at_hand as at_hand
from .opening import folders_of as folders_of
