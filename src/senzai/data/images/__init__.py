"""Images: pictures from files and arrays, channels first in the model."""

from .kind import ImageKind as ImageKind
