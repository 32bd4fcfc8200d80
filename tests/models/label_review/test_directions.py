"""Vectors in their strongest directions."""

import numpy as np

from graft.models.label_review.directions import strongest


def test_no_two_lie_further_apart_and_what_lies_in_few_directions_keeps_its_distances():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(50, 3)).astype(np.float32) @ rng.normal(size=(3, 20)).astype(np.float32)
    noisy = vectors + 0.1 * rng.normal(size=vectors.shape).astype(np.float32)

    def apart(rows):
        return np.linalg.norm(rows[:, None] - rows[None], axis=2)

    np.testing.assert_allclose(apart(strongest(vectors, 3)), apart(vectors), atol=1e-3)
    assert (apart(strongest(noisy, 3)) <= apart(noisy) + 1e-4).all() and strongest(noisy, 3).shape == (50, 3)
    assert strongest(vectors, 20) is vectors
