"""The pages on images: each dated entry of the two notebooks is there, checks, plans at full scale and in its profiles."""

from functools import cache

import pytest

from interpreter.check.page import check_page
from interpreter.errors import Problems, Severity
from interpreter.plan.build import build_plan
from interpreter.plan.lock import read_lock
from interpreter.project import load_project
from interpreter.spec.library import Library
from tests.conftest import ROOT

NOTES = ["2021-10-20/wide-networks", "2021-10-24/gradients", "2021-10-28/dominance"]
# Entry -> its arms, in the order of the page. That of 2021-10-25 has a test of its own.
ENTRIES = {
    "2021-10-26/joint-ensemble": ["single", "joint"],
    "2021-10-27/one-set-of-weights": ["single", "shared", "own"],
    "2021-10-27/more-members": ["single", "more", "wide", "wrn28", "pairs", "fours", "pairs-of-wrn28"],
    "2021-11-03/sum-or-mean": ["single", "sum", "mean", "mean-fixed", "independent"],
    "2021-11-03/wide-members": ["single", "sum", "mean"],
    "2021-11-03/interpensembles": ["wide", "mix[big=0]", "mix[big=0.5]", "mix[big=1]", "coin"],
    "2021-11-03/mean-field": ["wide", "field", "ensemble"],
    "2023-07-17/backbones-and-heads": ["r50-bs64", "r50-bs32", "se50-bs32"],
    "2023-07-17/scaled-rate": ["bs64", "bs32"],
    "2023-07-17/head-noise": ["last", "picked"],
    "2023-07-17/features": ["untrained", "trained"],
    "2023-07-17/cosine-data": ["linear-head", "cosine"],
    "2023-08-06/test": ["r50-bs64", "r50-bs32", "se50-bs32"],
}
# Page -> stages at each profile, those of other pages that it builds on included.
STAGES = {
    "2021-10-20": {"": 0, "laptop": 0},
    "2021-10-24": {"": 0, "laptop": 0},
    "2021-10-26": {"": 10 + 10, "laptop": 10 + 10},
    # Fits and their evaluations, then combinations of what the fits and both evaluations predict.
    "2021-10-27": {"": (15 + 15) + 5 + (10 + 5 + 5) * 3 + (5 + 2 + 2) * 3 - 0, "laptop": 0},
    "2021-10-28": {"": 0, "laptop": 0},
}
