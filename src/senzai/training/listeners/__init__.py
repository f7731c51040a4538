"""Listeners: what consumes the events of a run, trackers of other people's among them."""

from .basic import Checkpointer as Checkpointer
from .basic import EarlyStopping as EarlyStopping
from .basic import History as History
from .basic import Listener as Listener
from .basic import Present as Present
from .basic import as_text as as_text
from .basic import drive as drive
from .basic import keep_until as keep_until
from .basic import line_of as line_of
from .basic import plain as plain
from .basic import read_history as read_history
from .mlflow import MLflow as MLflow
from .tensorboard import TensorBoard as TensorBoard
from .trackers import TRACKERS as TRACKERS
from .trackers import TrackedRun as TrackedRun
from .trackers import tracked_by as tracked_by
from .trackers import tracker as tracker
from .wandb import WeightsAndBiases as WeightsAndBiases
