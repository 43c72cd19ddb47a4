"""Reference models for small images: principal components and a linear model or a support vector machine."""

import numpy as np
import pandas as pd
from sklearn.decomposition import PCA
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from data.spec import DatasetSpec, ImageFeature
from models.tasks.reference import Candidate, affordable, constants, num_classes

COMPONENTS = 50
# Both are fitted on a part of the rows: time grows with rows times classes, or with the square of the rows.
LINEAR_ROWS, LINEAR_WORK, SVM_ROWS = 20_000, 2_000_000, 5_000
MAX_SVM_CLASSES = 200  # one model for each pair of classes: with 1,000 classes 10 ms a prediction


def candidates(spec: DatasetSpec) -> dict[str, Candidate]:
    """Returns constants, and two models on principal components of the pixels."""
    name, image = spec.only(ImageFeature)
    size = image.height * image.width * image.channels
    components = min(COMPONENTS, size)

    def on_components(classifier):
        pixels = FunctionTransformer(_pixels, kw_args={"name": name})
        return make_pipeline(pixels, PCA(components, svd_solver="randomized", random_state=0, whiten=False), classifier)

    features = f"{components} principal components of the pixels"
    classes = num_classes(spec)
    rows = affordable(LINEAR_WORK, classes, most=LINEAR_ROWS)
    linear = Candidate(on_components(LogisticRegression(max_iter=100)), features, rows)
    svm = {"pca_svm": Candidate(on_components(SVC(C=10.0)), features, SVM_ROWS)}
    return {
        **constants(spec, LINEAR_ROWS),
        "pca_logistic_regression": linear,
        **(svm if classes <= MAX_SVM_CLASSES else {}),
    }


def _pixels(frame: pd.DataFrame, name: str) -> np.ndarray:
    """Returns the pixels of raw bytes, float32 `(rows, pixels)` in [0, 1]."""
    return np.frombuffer(b"".join(frame[name]), np.uint8).reshape(len(frame), -1).astype(np.float32) / 255
