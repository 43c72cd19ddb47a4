"""The version that is live, beside a candidate: whether the two can be compared, and how it is asked."""
