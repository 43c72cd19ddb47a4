"""Settings of recommendation; loads no TensorFlow."""

from pydantic import Field, PositiveInt

from data.spec import CategoryFeature, DatasetSpec, TargetFeature, TextFeature
from models.config import Fraction, TaskConfig


class RecommendationConfig(TaskConfig):
    """Items for a user, and the rating to expect, by two towers: one for users, one for items."""

    user_key: str = "user"
    """The category that names the user."""
    item_key: str = "item"
    """The category that names the item: its title, followed by # and its number where it has one."""
    recent_key: str | None = "recent"
    """The text with a user's earlier items, by number or title, separated by |, the most recent first; or null."""
    max_users: PositiveInt = 10_000
    """Greatest number of known users, the most active."""
    max_items: PositiveInt = 10_000
    """Greatest number of known items, the most frequent."""
    max_recent: PositiveInt = 20
    """Number of a user's earlier items that are used."""
    embedding_dim: PositiveInt = 32
    """Size of the vectors of users and items."""
    recent_dropout: Fraction = 0.3
    """Share of a user's earlier items dropped in training."""
    dropout: Fraction = 0.2
    """Share of a user's vector dropped in training."""
    top_k: PositiveInt = 10
    """Number of recommended items, and of those that the evaluation's metrics consider."""
    slice_by: tuple[str, ...] = Field(default_factory=tuple)
    """Categories whose values are slices of the evaluation."""

    def check_features(self, spec: DatasetSpec) -> None:
        """Raises ValueError unless the data has the columns that the settings name, and one target, the rating."""
        spec.only(TargetFeature)
        for setting in ("user_key", "item_key"):
            if getattr(self, setting) not in spec.of(CategoryFeature):
                raise ValueError(f"model.{setting}: {getattr(self, setting)} is no category of the data.")
        if self.recent_key and self.recent_key not in spec.of(TextFeature):
            raise ValueError(f"model.recent_key: {self.recent_key} is no text of the data; null does without.")
        for name in self.slice_by:
            if name not in spec.of(CategoryFeature):
                raise ValueError(f"model.slice_by: {name} is no category of the data.")
        self.check_slices(spec)

    def metrics(self, spec: DatasetSpec) -> tuple:
        """Returns recall and NDCG of the recommended items, and the error of ratings, in their unit."""
        from models.evaluation.metrics import RATING_RMSE, ndcg_at, recall_at

        return recall_at(self.top_k), ndcg_at(self.top_k), RATING_RMSE


CONFIG = RecommendationConfig
