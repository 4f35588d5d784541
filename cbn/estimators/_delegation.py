# SPDX-License-Identifier: BSD-3-Clause
"""Estimators as thin faces: their methods and learned attributes are those of the fitted object that ``fit`` leaves.

A fitted object never reads a constructor argument, so that ``set_params`` after ``fit`` changes the next fit only. The
one exception is ``n_jobs``: it is read at every call, because no result depends on it.
"""

import functools
import inspect
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Concatenate, ParamSpec, TypeVar

from sklearn.utils.validation import check_is_fitted

Own = TypeVar("Own")
Result = TypeVar("Result")
Arguments = ParamSpec("Arguments")


def fitted_of(estimator: Any) -> Any:
    """The fitted object of an estimator, with the estimator's threads. Raises scikit-learn's NotFittedError."""
    check_is_fitted(estimator, "fitted_")
    return _with_threads(estimator.fitted_, estimator)


def _with_threads(fitted: Any, estimator: Any) -> Any:
    return fitted if fitted.n_jobs == estimator.n_jobs else replace(fitted, n_jobs=estimator.n_jobs)


def delegated(method: Callable[Concatenate[Own, Arguments], Result]) -> Callable[Concatenate[Any, Arguments], Result]:
    """A method of the fitted object as a method of its estimator, with the same signature and docstring."""

    @functools.wraps(method)
    def call(self: Any, *args: Arguments.args, **kwargs: Arguments.kwargs) -> Result:
        fitted = fitted_of(self)
        own = getattr(type(fitted), method.__name__, None)
        if own is None:
            raise AttributeError(f"{method.__name__}: {type(fitted).__name__} has none; see its other methods")
        return own(fitted, *args, **kwargs)

    return call


def learned(read: Callable[[Any], Result], doc: str) -> Any:
    """A learned attribute: a property of the fitted object; AttributeError before ``fit``."""

    def get(self: Any) -> Result:
        try:
            fitted = self.__dict__["fitted_"]
        except KeyError:
            raise AttributeError(f"{type(self).__name__} is not fitted yet: call fit first") from None
        return read(_with_threads(fitted, self))

    return property(get, doc=doc)


def helpful_new(init: Callable[..., None], explain: Callable[[str, str], str]) -> Any:
    """A ``__new__`` that says in a sentence where an argument belongs that the constructor does not know.

    ``explain`` makes the sentence from the names of estimator and argument. Signature and help are those of ``init``.
    """

    @functools.wraps(init)
    def new(cls: type[Own], *args: Any, **kwargs: Any) -> Own:
        known = inspect.signature(cls.__init__).parameters
        unknown = kwargs.keys() - known.keys()
        if unknown and not any(own.kind is own.VAR_KEYWORD for own in known.values()):
            raise TypeError(explain(cls.__name__, min(unknown)))
        return object.__new__(cls)

    new.__name__ = "__new__"
    return staticmethod(new)
