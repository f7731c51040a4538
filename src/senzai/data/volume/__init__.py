"""Volumes: pictures in three dimensions with a place in space, as patches in the model and whole on the way out."""

from .kind import VolumeKind as VolumeKind
from .volume import Volume as Volume
from .volume import Volumes as Volumes
