"""Mutations that no test can notice, each with the reason."""

# Module -> (source line, change) -> why.
EQUIVALENT: dict[str, dict[tuple[str, str], str]] = {
    "components/baseline.py": {
        (
            "return choose(finite or values, key=lambda name: finite.get(name, 0.0))",
            "0.0 -> 1.0",
        ): "It is the same for all where none has a finite value.",
        (
            '"microseconds_per_row": predictions.seconds / len(predictions.targets) * 1e6,',
            "1000000.0 -> 1000001.0",
        ): "Less than a clock tells apart.",
    },
    "components/data_gate.py": {
        (
            "if distance > max(check.max_distance, profile.critical_distance(old_count, new_count)):",
            "distance > max(check.max_distance, profile.critical_distance(old_count, new_count)) -> distance >= max(check.max_distance, profile.critical_distance(old_count, new_count))",
        ): "A distance that equals the bound to the last bit.",
    },
    "components/evaluator.py": {
        (
            "METRICS.path(folder).write_text(to_json(metrics_json, indent=1))",
            "1 -> 2",
        ): "Only the indentation of a file.",
    },
    "components/model_gate.py": {
        (
            "return value <= bound + tolerance if lower_is_better else value >= bound - tolerance",
            "value <= bound + tolerance -> value < bound + tolerance",
        ): "A value that equals the bound and its tolerance to the last bit.",
        (
            "accepted = self.published + self.max_regression * (1 if self.lower_is_better else -1)",
            "self.max_regression * (1 if self.lower_is_better else -1) -> self.max_regression / (1 if self.lower_is_better else -1)",
        ): "A division by 1 or -1.",
        (
            "bound = self.candidate + self.max_regression * (",
            "self.max_regression * (-1 if self.lower_is_better else 1) -> self.max_regression / (-1 if self.lower_is_better else 1)",
        ): "A division by 1 or -1.",
    },
    "data/columnar/splitting.py": {
        (
            "least_unit = np.full(grouping.max(initial=-1) + 1, np.iinfo(np.int64).max)",
            "1 -> 2",
        ): "One element more than is looked at.",
        (
            "rows_before = np.concatenate([[0], counts.cumsum()])  # rows before each time",
            "0 -> 1",
        ): "The training split has a time, so that the first is not looked at.",
    },
    "models/evaluation/by_key.py": {
        (
            "keys = keys.astype(np.int16 if num_keys < 2**15 else np.int64)  # NumPy sorts the small ones in one pass",
            "2 ** 15 -> 2 * 15",
        ): "Only the type in which NumPy sorts.",
    },
    "models/evaluation/confidence.py": {
        (
            "if math.isfinite(greatest - least):",
            "greatest - least -> greatest + least",
        ): "Bounds are finite or infinite with one sign.",
    },
    "models/evaluation/estimates.py": {
        (
            "num_bins = int(self.bins.max(initial=-1)) + 1",
            "1 -> 2",
        ): "One empty bin more.",
        (
            "if weights.dtype == bool:",
            "weights.dtype == bool -> weights.dtype <= bool",
        ): "No other type of NumPy can be cast to bool.",
    },
    "models/evaluation/metrics.py": {
        (
            "return targets == 1, scores[:, 1]",
            "targets == 1 -> targets >= 1",
        ): "Of two classes there is none beyond 1.",
    },
    "models/serving/rollout/versions.py": {
        (
            "before = os.umask(0o077)",
            "63 -> 64",
        ): "It is set back in the next line.",
        (
            "(staging / MANIFEST).write_text(to_json(manifest, indent=1))",
            "1 -> 2",
        ): "Only the indentation of a file.",
        (
            "_flush(destination)",
            "_flush(destination) -> pass",
        ): "Only a power cut would show it.",
        (
            "shutil.rmtree(staging, ignore_errors=True)",
            "True -> False",
        ): "Files that this process has written can be removed.",
    },
}
