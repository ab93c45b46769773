"""Distances of read centres from asked ones, by hand."""

from analysis.tables.centres import median_distances


def test_distances_are_of_the_last_step_where_all_is_read(centre_scores):
    assert median_distances(centre_scores).to_dict() == {"train": 5.0, "band": 0.5}
