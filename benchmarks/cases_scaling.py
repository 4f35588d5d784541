# SPDX-License-Identifier: BSD-3-Clause
"""Time of fit and score against the number of images and of threads."""

from engines import estimator
from measure import Engine, exponent, interleave, pair_ratio, summary

SIZES = 6_000, 24_000, 60_000  # x1, x4, x10


def scaling(context):
    threads = sorted({1, context.threads})
    parts = {n: context.train[:n] for n in SIZES}
    fitted = {t: estimator(t).fit(parts[SIZES[0]]) for t in threads}

    def call(step, n, t):
        if step == "fit":
            return lambda: estimator(t).fit(parts[n])
        return lambda: fitted[t].score_samples(parts[n])

    keys = [(step, t, n) for step in ("fit", "score") for t in threads for n in SIZES]
    seconds = interleave([Engine(key, call(key[0], key[2], key[1])) for key in keys], max(3, context.rounds // 2))
    table = []
    for step, t, n in keys:
        own = seconds[step, t, n]
        accuracy = {"images": n, "microseconds per image": 1e6 * summary(own)["median"] / n}
        if t > 1:
            accuracy["speed-up over 1 thread"] = pair_ratio(seconds[step, 1, n], own)
        row = {"engine": f"{step}, {t} thread{'s' * (t > 1)}", **summary(own), "accuracy": accuracy}
        table.append({**row, "ratio": pair_ratio(own, seconds[step, t, SIZES[0]])})
    exponents = {
        f"{step}, {t} thread{'s' * (t > 1)}": exponent(SIZES, [summary(seconds[step, t, n])["median"] for n in SIZES])
        for step in ("fit", "score")
        for t in threads
    }
    words = "; ".join(f"{name}: {value:.2f}" for name, value in exponents.items())
    return {
        "title": "Scaling: images and threads",
        "about": "Training images of all digits, the first 6,000, 24,000 and 60,000. The ratio is to the same row with "
        f"6,000 images. Exponent of the time in the number of images (1 is proportional) - {words}.",
        "rows": table,
        "details": {"exponents": exponents},
        "goals": [],
    }
