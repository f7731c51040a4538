"""Recipes: names for parts + objective + defaults, each a short function with its paper, registered once."""

import importlib as _importlib
import pkgutil as _pkgutil

from .about import About as About
from .about import about as about
from .about import families as families
from .frame import Frame as Frame
from .index import index_page as index_page
from .provided import PROVIDED as PROVIDED
from .registry import RECIPES as RECIPES
from .registry import Recipe as Recipe
from .registry import build as build
from .registry import names as names
from .registry import recipe as recipe
from .settings import Settings as Settings

for _module in _pkgutil.iter_modules(__path__):  # every file of this room may register recipes
    _importlib.import_module(f"{__name__}.{_module.name}")
