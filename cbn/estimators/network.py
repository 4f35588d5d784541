# SPDX-License-Identifier: BSD-3-Clause
"""The estimator: a Bayesian network over the pixels of images."""

from sklearn.base import BaseEstimator, OutlierMixin
from sklearn.utils.validation import check_is_fitted

from ..bits.binarization import check_thresholds
from ..fit.presets import resolve, starting_kernels
from ..layers.kernels import save_kernels
from ..layers.stack import LayeredNetwork
from .calibration import CalibrationMixin
from .detection import DetectionMixin
from .drawing import DrawingMixin
from .learning import LearningMixin


class ConvolutionalBayesianNetwork(
    LearningMixin, DetectionMixin, CalibrationMixin, DrawingMixin, OutlierMixin, BaseEstimator
):
    """Bayesian network of binarized images: pixels, and layers of convolution features above them.

    The probability of an image is the product over its pixels of p(pixel | parents), parents being earlier pixels in
    raster order, so it is normalized over the binarized images (thesis section 3.1, eq. 1 and 2). Images that are
    unlikely, or that surprise more than their pixels' entropy explains, are outliers.

    Hidden layers (thesis section 3.2) are binary features: convolution of the layer below, max pooling, threshold.
    Their kernels are learned so that features predict each other, and the relations between features are found by BIC.
    They see further than pixels do and find outliers better. They are functions of the pixels, so all layers together
    give an energy, not a normalized probability.

    Parameters
    ----------
    preset : {"pixel", "hidden", "tree", "boosted", "best"}
        Names the values of arguments that are left at None. "pixel" has offsets NW, N, NE and W, threshold 0.3,
        pseudo-count 1, score "log_probability" and no hidden layer; "hidden" has two hidden layers of five 3 x 3
        kernels with 2 x 2 pooling, and score "surprise". "tree" and "boosted" are pixels alone with other conditional
        distributions, proper densities both; "best" has trees over pixels and two layers of random features, threshold
        "auto" and score "standardized", and is made for finding outliers.
    cpd : {"table", "tree", "boosted"}, optional
        Conditional distributions: a table over all states of the parents, a decision tree over earlier nodes, or a
        log-odds that is a sum of small trees.
    offsets : sequence of (dy, dx), optional
        Where a pixel's parents are: rows above (dy < 0) or left in the same row (dy = 0, dx < 0); at most 16.
        Tables have 2^parents rows at every pixel. For tables only.
    reach : int, optional
        How far a tree looks: Chebyshev distance in positions, rows above and left in the same row. In hidden layers only
        nodes that see no common pixel. 6 for trees, 28 for boosted trees.
    penalty : float, optional
        Price of a split of a tree in units of ln(n_images): 0.5 (default) is that of the BIC; 1 with "best".
    max_leaves, min_leaf : int, optional
        Most leaves of a tree (200 by default, 32 with preset "best"), and least images in one of them (1).
    shrinkage : float, optional
        Weight, in images, with which the probability of a vertex leans on its parent's: 10 by default, 1 with "best".
    boosting : cbn.cpd.boostedlayer.Boosting, optional
        Rounds, step length and sizes of boosted trees.
    folds : int, optional
        Networks that are grown without a part of the images to calibrate the threshold; for trees (3 by default) and
        boosted trees (2).
    threshold : float, increasing sequence of floats in [0, 1), or "auto", optional
        A pixel is 1 where its value exceeds threshold x full scale. Several thresholds keep grey levels as a
        thermometer code, one channel each; the lower one at the same pixel is then a parent of the higher one. "auto"
        chooses by the training images: 0.3 for binary images and for drawings whose ink is mostly full; where at least
        two thirds of the pixels above 0.1 are grey (below 0.9), 0.1 and the quartiles of these pixels.
    pseudocount : float, optional
        Added to every count before probabilities are made (thesis eq. 2).
    score : {"log_probability", "surprise", "standardized", "normalized"}, optional
        What :meth:`score_samples` returns; see there.
    hidden : sequence of (kernels, kernel_size, pool) or cbn.layers.geometry.HiddenLayer, optional
        The hidden layers, the lowest first; () for none.
    layer_weights : sequence of float, optional
        Weight of every layer in the scores, the pixels' first; 1 for each by default.
    max_parents : int
        At most so many relations for a kernel are searched, 10 at most.
    forced_relations, forbidden_relations : sequence of (layer, child, parent, dy, dx), optional
        Relations of hidden layers (1 is the first) that the search begins with, or never takes: kernel ``parent`` at
        offset (dy, dx) positions is a parent of kernel ``child``. Nodes that see the same pixels cannot be related.
    kernels : path or sequence of cbn.layers.kernels.Kernels, optional
        Kernels to start from in place of drawn ones, see :meth:`save_kernels`; with ``iterations=0`` they stay.
    initialization : {"random", "promising"}
        How kernels are drawn: normal weights, or the least correlated of many such kernels.
    activation : (low, high)
        The share of active nodes of a drawn kernel lies in this range, as far as the images allow.
    iterations : int
        Training steps of every hidden layer: structure search, then a kernel step.
    learning_rate, momentum : float
        Of the kernel steps: gradient ascent on thesis eq. 8 in nats per image.
    normalize_kernels : bool
        Keep every kernel at Euclidean norm 1.
    keep_activation : bool
        Keep every kernel's share of active nodes where it began, by its bias: a kernel that is always on or off
        predicts nothing.
    replace_worst : int
        So many times during the first half of the training, but at most once an iteration, the kernel that gains least
        is replaced by a new one.
    shift : int
        Train also on copies of the images moved by up to this many pixels, (2 shift + 1)^2 images in place of one. The
        leave-one-out scores leave out the image but not its copies, so alarms are then more frequent than
        ``false_alarm_rate`` says: use :meth:`calibrate` with other images.
    false_alarm_rate : float in (0, 1)
        Share of normal images that :meth:`predict` may call outliers.
    image_shape : (height, width), optional
        How to read flat images (n, height * width) that are not square.
    full_scale : {None, 1, 255}
        What integer images hold where a pixel is white. None: 1 if the training images hold only 0 and 1, else 255.
    n_jobs : int, optional
        Threads; None is all cores. Results do not depend on it.
    random_state : int, NumPy generator or None
        Seed of the kernels, and of :meth:`sample` and :meth:`inpaint` when they are given none.

    Attributes
    ----------
    counts_ : ndarray, (rows, 2) int64
        Images by table row and state of the pixel layer; its probabilities are a function of them. For trees the rows
        are the vertices of all trees; for boosted trees the nodes, and probabilities do not follow from them.
    n_images_ : int
        Images counted, shifted copies included.
    image_shape_ : (height, width)
    layer_ : cbn.cpd.grid.Layer, cbn.cpd.treelayer.TreeLayer or cbn.cpd.boostedlayer.BoostedLayer
        The pixel layer and its relations, or its trees.
    hidden_layers_ : tuple of cbn.layers.training.TrainedLayer
        Kernels, relations with their BIC changes, and learning curve of every hidden layer.
    binarizer_ : cbn.bits.binarization.Binarization
        Thresholds and full scale.
    binarization_ : str
        The rule that made bits of grey values; a likelihood means nothing without it.
    score_ : str
        The score of :meth:`score_samples`.
    calibration_scores_ : ndarray
        Scores of normal images in increasing order, from which p-values and the threshold come.
    calibration_ : {"leave-one-out", "cross-validation", "separate images", "training images"}
        Where they come from; see :meth:`p_values` for what each guarantees. Trees of a single image, and those of a
        classifier, have only the training images' own scores, which are too high: alarms are then too frequent.
    offset_ : float
        Threshold of :meth:`decision_function`; -inf when there are too few calibration images for the rate.
    provenance_ : dict
        Free-form record kept in the model file; ``data_sha256`` is the hash of the binarized training images.

    Examples
    --------
    >>> import cbn
    >>> train, test = cbn.datasets.load_mnist()
    >>> model = cbn.ConvolutionalBayesianNetwork().fit(train.select(2).images)
    >>> model.score_samples(test.images).shape
    (10000,)
    """

    def __init__(
        self,
        preset="pixel",
        *,
        cpd=None,
        offsets=None,
        reach=None,
        penalty=None,
        max_leaves=None,
        min_leaf=None,
        shrinkage=None,
        boosting=None,
        folds=None,
        threshold=None,
        pseudocount=None,
        score=None,
        hidden=None,
        layer_weights=None,
        max_parents=6,
        forced_relations=None,
        forbidden_relations=None,
        kernels=None,
        initialization="random",
        activation=None,
        iterations=None,
        learning_rate=0.008,
        momentum=0.9,
        normalize_kernels=True,
        keep_activation=True,
        replace_worst=0,
        shift=0,
        false_alarm_rate=0.01,
        image_shape=None,
        full_scale=None,
        n_jobs=None,
        random_state=None,
    ):
        self.preset = preset
        self.cpd = cpd
        self.offsets = offsets
        self.reach = reach
        self.penalty = penalty
        self.max_leaves = max_leaves
        self.min_leaf = min_leaf
        self.shrinkage = shrinkage
        self.boosting = boosting
        self.folds = folds
        self.threshold = threshold
        self.pseudocount = pseudocount
        self.score = score
        self.hidden = hidden
        self.layer_weights = layer_weights
        self.max_parents = max_parents
        self.forced_relations = forced_relations
        self.forbidden_relations = forbidden_relations
        self.kernels = kernels
        self.initialization = initialization
        self.activation = activation
        self.iterations = iterations
        self.learning_rate = learning_rate
        self.momentum = momentum
        self.normalize_kernels = normalize_kernels
        self.keep_activation = keep_activation
        self.replace_worst = replace_worst
        self.shift = shift
        self.false_alarm_rate = false_alarm_rate
        self.image_shape = image_shape
        self.full_scale = full_scale
        self.n_jobs = n_jobs
        self.random_state = random_state

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def check_arguments(self):
        """Raises ValueError for a constructor argument outside its range, as :meth:`fit` would."""
        setting = resolve(self)
        if not isinstance(setting["threshold"], str):
            check_thresholds(setting["threshold"], self.full_scale or 255)
        starting_kernels(self.kernels, setting["hidden"], ())

    # ---- files ----

    def save(self, path):
        """Write a model file (.cbn) that :func:`cbn.load` reads; complete or not at all."""
        from ..fit.modelfile import save

        check_is_fitted(self, "counts_")
        save(self, path)

    def export(self, path, *, layer=0, format=None):
        """Write one layer as a file of other programs: BIF, XMLBIF or UAI, by the ending or ``format``; see cbn.io.export.

        Every layer is a Bayesian network of its own; the product of layers is none, so they are exported one by one.

        Raises
        ------
        ValueError
            Boosted trees, tables that would be too large, no such layer, or an unknown format.
        """
        from ..io.export import export_network

        check_is_fitted(self, "counts_")
        if not isinstance(layer, int) or not 0 <= layer < len(self._network):
            raise ValueError(f"layer: {layer!r}; give a number from 0 (pixels) to {len(self._network) - 1}")
        export_network(
            self._network.networks[layer], path, layer=layer, what="hidden" if layer else "pixel",
            thresholds=self.binarizer_.thresholds if layer == 0 else (), format=format,
        )  # fmt: skip

    def save_kernels(self, path):
        """Write the kernels of the hidden layers alone (.npz), to be given as the argument ``kernels``.

        Raises
        ------
        ValueError
            The model has no hidden layer.
        """
        check_is_fitted(self, "counts_")
        if not self.hidden_layers_:
            raise ValueError("save_kernels: the model has no hidden layers; fit one with preset='hidden'")
        save_kernels([trained.kernels for trained in self.hidden_layers_], path)

    def __getstate__(self):
        state = dict(super().__getstate__())
        if "_network" in state:  # tables and the engine's layers are made again from the counts
            network = self._network
            state["_network"] = [own.parts() for own in network.networks], network.geometries, network.scales
        return state

    def __setstate__(self, state):
        super().__setstate__(state)
        if "_network" in state:
            parts, geometries, scales = state["_network"]
            networks = [kind(*arguments) for kind, arguments in parts]
            transitions = [t.kernels.transition(below) for t, below in zip(self.hidden_layers_, geometries)]
            self._network = LayeredNetwork(networks, transitions, geometries, scales)
