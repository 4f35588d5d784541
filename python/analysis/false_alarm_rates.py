# SPDX-License-Identifier: BSD-3-Clause
"""How often normal test images are called outliers, against the rate that was asked for.

Two calibrations: the leave-one-out scores of all training images, and the scores of a tenth of the training images that
is kept out of training (split conformal prediction, whose rate is guaranteed). Means over the ten digits.

    python python/analysis/false_alarm_rates.py
"""

import numpy as np

import cbn

RATES = (0.01, 0.05, 0.1)
SCORES = ("log_probability", "surprise", "standardized", "normalized")


def main() -> None:
    train, test = cbn.datasets.load_mnist()
    print(f"{'score':16}{'calibration':18}" + "".join(f"{f'rate {rate:g}':>10}" for rate in RATES))
    for score in SCORES:
        found = {"leave-one-out": [], "separate images": []}
        for digit in range(10):
            images = np.random.default_rng(digit).permutation(train.select(digit).images)
            own = test.select(digit).images
            held_out = len(images) // 10
            models = (
                cbn.ConvolutionalBayesianNetwork(outlier_score=score).fit(images),
                cbn.ConvolutionalBayesianNetwork(outlier_score=score)
                .fit(images[held_out:])
                .calibrate(images[:held_out]),
            )
            for model in models:
                p = model.p_values(own)
                found[model.calibration_].append([(p <= rate).mean() for rate in RATES])
        for calibration, rates in found.items():
            print(f"{score:16}{calibration:18}" + "".join(f"{rate:10.4f}" for rate in np.mean(rates, axis=0)))


if __name__ == "__main__":
    main()
