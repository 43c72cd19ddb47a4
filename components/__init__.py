"""TFX components that stock TFX lacks; each is a thin wrapper of plain functions.

No component reads its `fingerprint` parameter: TFX's cache key holds parameters, not code, so the fingerprint adds the
source and the package versions that the component depends on. Likewise `run`, the run's id, prevents caching.
"""
