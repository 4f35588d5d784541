# SPDX-License-Identifier: BSD-3-Clause
"""The introspective energy model passes scikit-learn's own checks where these draw what can be pictures."""

import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator, parametrize_with_checks

from cbn import IntrospectiveEnergyModel
from cbn.iem import Architecture, Level, Training
from helpers.contract import WORDING, rows_as_images


class RowModel(IntrospectiveEnergyModel):
    """A model whose pictures are the rows of a table of any numbers."""

    def fit(self, X, y=None, **named):
        return super().fit(rows_as_images(X), y, **named)

    def score_samples(self, X):
        return super().score_samples(rows_as_images(X))

    def decision_function(self, X):
        return super().decision_function(rows_as_images(X))

    def predict(self, X):
        return super().predict(rows_as_images(X))


# What is left when every row of numbers is made a picture of one row of grey values.
ON_PICTURES = {
    "check_n_features_in_after_fitting": WORDING,
    "check_complex_data": WORDING,
    "check_estimators_empty_data_messages": WORDING,
    "check_fit2d_predict1d": WORDING,
    "check_fit2d_1sample": WORDING,
    "check_fit2d_1feature": "a picture of one pixel has no neighbours",
    "check_dtype_object": "arrays of Python objects are refused, not searched for numbers",
}
ROW = RowModel(
    Architecture((Level((), 1, (4,)),)), training=Training(epochs=1), random_state=0, n_jobs=1, false_alarm_rate=0.3
)


@parametrize_with_checks([ROW], expected_failed_checks=lambda model: ON_PICTURES)
@pytest.mark.filterwarnings("ignore::cbn.CalibrationWarning")
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


def test_every_listed_check_exists():
    assert set(ON_PICTURES) <= {check.func.__name__ for _, check in estimator_checks_generator(ROW)}
