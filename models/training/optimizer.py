"""The optimizer and its learning-rate schedule."""

import keras

from models.config import TrainConfig


def make_optimizer(train: TrainConfig, steps_per_epoch: int) -> keras.optimizers.Optimizer:
    """Returns the optimizer with its learning-rate schedule stretched over all epochs."""
    settings = {"learning_rate": make_schedule(train, steps_per_epoch), "weight_decay": train.weight_decay}
    if train.clip_norm:
        settings["global_clipnorm"] = train.clip_norm
    return type(keras.optimizers.get(train.optimizer))(**settings)


def make_schedule(train: TrainConfig, steps_per_epoch: int):
    """Returns the learning rate, or the Keras schedule that gives it at each step."""
    steps = train.epochs * steps_per_epoch
    learning_rate, schedules = train.learning_rate, keras.optimizers.schedules
    if train.learning_rate_schedule == "constant":
        return learning_rate
    if train.learning_rate_schedule == "CosineDecay":
        warmup = min(round(train.warmup_epochs * steps_per_epoch), steps - 1)
        if not warmup:
            return schedules.CosineDecay(learning_rate, steps)
        return schedules.CosineDecay(0.0, steps - warmup, warmup_target=learning_rate, warmup_steps=warmup)
    if train.learning_rate_schedule == "PolynomialDecay":
        return schedules.PolynomialDecay(learning_rate, steps, end_learning_rate=learning_rate / 100)
    # Both end at a hundredth of the initial learning rate.
    if train.learning_rate_schedule == "ExponentialDecay":
        return schedules.ExponentialDecay(learning_rate, steps, decay_rate=0.01)
    return schedules.InverseTimeDecay(learning_rate, steps, decay_rate=99.0)
