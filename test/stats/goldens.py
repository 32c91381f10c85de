"""Writes goldens.json: python3 goldens.py > goldens.json, with the packages named under `versions`. CI does not run it."""

import contextlib
import json
import sys
import warnings
from importlib.metadata import version

import krippendorff
import numpy as np
import pandas as pd
from cleanlab import count, filter, multiannotator, rank
from irrCAC.raw import CAC
from sklearn.metrics import cohen_kappa_score

warnings.filterwarnings("ignore")
rng = np.random.default_rng(7)


def model(truth, classes, sharpness):
    logits = rng.normal(size=(len(truth), classes))
    logits[np.arange(len(truth)), truth] += sharpness
    p = np.exp(logits)
    return np.round(p / p.sum(axis=1, keepdims=True), 6)


def crowd(items, people, classes, accuracy, share, least):
    truth = rng.integers(classes, size=items)
    table = np.full((items, people), np.nan)
    for i in range(items):
        asked = rng.permutation(people)[: max(least, rng.binomial(people, share))]
        for j in asked:
            right = rng.random() < accuracy[j]
            table[i, j] = truth[i] if right else rng.integers(classes)
    return truth, table


def rows(table):
    return [[None if np.isnan(x) else int(x) for x in row] for row in table]


def crowdlab_case():
    truth, table = crowd(40, 6, 3, [0.9, 0.8, 0.85, 0.6, 0.95, 0.4], 0.4, 1)
    p = model(truth, 3, 1.5)
    found = multiannotator.get_label_quality_multiannotator(table, p, return_weights=True, verbose=False)
    quality = found["label_quality"]
    return {
        "table": rows(table),
        "probabilities": p.tolist(),
        "consensus": quality["consensus_label"].astype(int).tolist(),
        "quality": quality["consensus_quality_score"].tolist(),
        "annotatorWeights": found["annotator_weight"].tolist(),
        "modelWeight": float(found["model_weight"]),
    }


def active_case(single):
    truth, table = crowd(25, 5, 3, [0.9, 0.8, 0.7, 0.6, 0.95], 0.0 if single else 0.5, 1)
    # the function tempers what the model says; here its answer is used as it is
    p, new = model(truth, 3, 1.5), model(rng.integers(3, size=10), 3, 1.5)
    multiannotator.find_best_temp_scaler = lambda labels, probabilities, **kw: 1.0
    multiannotator.temp_scale_pred_probs = lambda probabilities, temperature: probabilities
    scores, unlabelled = multiannotator.get_active_learning_scores(table, p.copy(), new.copy())
    return {
        "table": rows(table),
        "probabilities": p.tolist(),
        "unlabelled": new.tolist(),
        "scores": scores.tolist(),
        "unlabelledScores": unlabelled.tolist(),
    }


methods = {
    "noiseRate": "prune_by_noise_rate",
    "class": "prune_by_class",
    "both": "both",
    "confident": "confident_learning",
    "predicted": "predicted_neq_given",
    "margin": "low_normalized_margin",
    "selfConfidence": "low_self_confidence",
}


def error_case(n, classes, noise, sharpness):
    truth = rng.integers(classes, size=n)
    p = model(truth, classes, sharpness)
    labels = np.where(rng.random(n) < noise, rng.integers(classes, size=n), truth)
    joint = count.compute_confident_joint(labels, p, calibrate=False)
    return {
        "labels": labels.tolist(),
        "probabilities": p.tolist(),
        "thresholds": count.get_confident_thresholds(labels, p).tolist(),
        "joint": joint.tolist(),
        "calibrated": count.compute_confident_joint(labels, p).tolist(),
        "found": {
            ours: np.flatnonzero(filter.find_label_issues(labels, p, filter_by=theirs, n_jobs=1)).tolist()
            for ours, theirs in methods.items()
        },
        "selfConfidence": rank.get_self_confidence_for_each_label(labels, p).tolist(),
        "normalizedMargin": rank.get_normalized_margin_for_each_label(labels, p).tolist(),
    }


def agreement_case():
    _, table = crowd(30, 5, 4, [0.9, 0.8, 0.7, 0.6, 0.95], 0.6, 1)
    counts = [[int(np.sum(row == c)) for c in range(4)] for row in table]
    frame = pd.DataFrame(table + 1)
    gwet = {
        name: CAC(frame, weights=theirs, categories=[1, 2, 3, 4], digits=12).gwet()["est"]["coefficient_value"]
        for name, theirs in {"none": "identity", "linear": "linear", "quadratic": "quadratic"}.items()
    }
    first, second = rng.integers(4, size=50), rng.integers(4, size=50)
    second = np.where(rng.random(50) < 0.6, first, second)
    kappa = {
        name: float(cohen_kappa_score(first, second, weights=None if name == "none" else name))
        for name in ["none", "linear", "quadratic"]
    }
    return {
        "counts": counts,
        "alpha": {
            scale: float(
                krippendorff.alpha(
                    value_counts=np.array(counts), value_domain=[1, 2, 3, 4], level_of_measurement=scale
                )
            )
            for scale in ["nominal", "ordinal", "interval", "ratio"]
        },
        "gwet": {name: float(value) for name, value in gwet.items()},
        "cohen": {
            "table": [[int(np.sum((first == a) & (second == b))) for b in range(4)] for a in range(4)],
            **kappa,
        },
    }


with contextlib.redirect_stdout(sys.stderr):
    goldens = {
        "versions": {name: version(name) for name in ["cleanlab", "krippendorff", "irrCAC", "scikit-learn", "numpy"]},
        "crowdlab": crowdlab_case(),
        "activeLab": active_case(False),
        "activeLabSingle": active_case(True),
        "labelErrors": [error_case(60, 3, 0.2, 2.0), error_case(80, 4, 0.3, 1.2), error_case(40, 2, 0.1, 3.0)],
        "agreement": agreement_case(),
    }
json.dump(goldens, sys.stdout, separators=(",", ":"))
