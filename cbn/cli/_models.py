# SPDX-License-Identifier: BSD-3-Clause
"""Model files as programs read them: fitted objects by kind of file, without the estimators around them."""

from dataclasses import replace

from ..exceptions import DataError, ModelFileError
from ._assumed import assume_model
from ._running import UsageError

# What a kind of file holds, and the programs for it.
KINDS = {
    "network": ("a Bayesian network", "cbn-score, cbn-sample, cbn-inpaint and cbn-show"),
    "classifier": ("a classifier", "cbn-score, cbn-sample, cbn-inpaint and cbn-show"),
    "energy": ("an introspective energy model", "cbn-iem-score and cbn-show"),
    "gaussian": ("an introspective energy model", "cbn-iem-score and cbn-show"),
}


def load_fitted(path, n_jobs=None):
    """The fitted object of a model file of any kind. Raises ModelFileError."""
    return load_with_kind(path, n_jobs)[1]


def load_with_kind(path, n_jobs=None):
    """(kind of the file, fitted object); n_jobs are its threads. Raises ModelFileError."""
    from ..io.modelformat import read_model

    def reader(kind, restore):
        return lambda archive, header: (kind, restore(archive, header))

    restores = {
        "network": _restore_network,
        "classifier": _restore_classifier,
        "energy": _restore_energy,
        "gaussian": _restore_gaussian,
    }
    kind, fitted = read_model(path, {kind: reader(kind, restore) for kind, restore in restores.items()})
    return kind, replace(fitted, n_jobs=n_jobs)


def _restore_network(archive, header):
    from ..fit.modelfile import restore_network

    return restore_network(archive, header)


def _restore_classifier(archive, header):
    from ..fit.modelfile import restore_classifier

    return restore_classifier(archive, header)


def _restore_energy(archive, header):
    from ..iem.files.modelfile import restore

    return restore(archive, header)


def _restore_gaussian(archive, header):
    from ..iem.gaussian.files import restore

    return restore(archive, header)


def load_network(path, n_jobs=None):
    """The network of a model file. Raises ModelFileError, for files of other kinds too."""
    kind, fitted = load_with_kind(path, n_jobs)
    _check_kind(path, kind, ("network",))
    return fitted


def with_model(arguments, **actions):
    """Calls the action for the kind of the file --model with the arguments and the fitted object.

    Parameters
    ----------
    arguments : argparse.Namespace
    actions : callable (arguments, fitted) by kind
        Files of other kinds are refused with the names of the programs for them.
    """
    kind, fitted = load_with_kind(arguments.model, arguments.threads)
    _check_kind(arguments.model, kind, actions)
    assume_model(arguments)
    return actions[kind](arguments, fitted)


def _check_kind(path, kind, known):
    if kind not in known:
        what, programs = KINDS[kind]
        raise ModelFileError(f"{path!r}: {what}; the programs for it are {programs}")


def of_class(arguments, classifier, purpose):
    """The network of the class --digit of a classifier, and its label; ``purpose``: what the class is for, in words."""
    if arguments.digit is None or arguments.digit == "all":
        classes = classifier.classes.tolist()
        raise DataError(
            f"--model: {arguments.model!r} is a classifier of {len(classes)} classes; give --digit LABEL to say which "
            f"of them {purpose}: {classes[0]} ... {classes[-1]}"
        )
    label = class_label(arguments, classifier)
    return classifier.network(classifier.classes.tolist().index(label)), label


def refuse_class(arguments):
    """--digit names a class of a classifier; a network is of one."""
    if arguments.digit is not None:
        raise UsageError(
            f"--digit: names a class of a classifier, but {arguments.model!r} is one network; leave it out"
        )


def class_label(arguments, classifier):
    """The class that --digit names. Raises DataError."""
    from ..datasets.imageset import label_among

    try:
        return label_among(classifier.classes, arguments.digit)
    except DataError as error:
        choices = str(error).partition("; ")[2]
        raise DataError(f"--digit: the classifier has no class {arguments.digit!r}; {choices}") from None
