"""Recipes: names for parts + objective + defaults, each a short function with its paper, registered once."""

from . import basic as basic
from .frame import Frame as Frame
from .registry import RECIPES as RECIPES
from .registry import Recipe as Recipe
from .registry import build as build
from .registry import recipe as recipe
