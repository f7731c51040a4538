"""The view of tables, in the user's own names and values."""

from .view import TableView as TableView
