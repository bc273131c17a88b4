"""Training: data batches, compiled steps, loops with checkpoints, metrics and history."""

from .data import Batches, split
from .metrics import (
    accuracy,
    confusion_matrix,
    mean_absolute_error,
    r2_score,
    top_k_accuracy,
)
from .history import History
from .checkpoints import load_tree, save_tree
from .compiled_step import CompiledStep, compile_step
from .callbacks import Callback, EarlyStopping, LambdaCallback
from .fitting import Trainer, evaluate, fit, predict
