"""The view of rows of numbers of one sort: columns where they are few or have names, else curves."""

from .view import ArrayView as ArrayView
