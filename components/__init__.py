"""TFX components that stock TFX lacks; each a thin coat over plain functions.

A `fingerprint` parameter is never read by the step: TFX keys its cache on parameters, not on code, so it stands for
the source and the package versions that the step depends on. Likewise `run` makes a step run in every run.
"""
