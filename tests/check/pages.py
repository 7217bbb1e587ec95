"""A small page that is right, in parts that a test can change."""

PAGE = """\
expt: 1
date: 2026-01-01
datasets: {digits: {type: digits}, low: {extends: digits, classes: [0, 1, 2, 3, 4]}, few: {extends: digits, per_class: 5}}
models: {net: {type: mlp, hidden: [16]}}
schedules: {short: {epochs: 2, batch_size: 32, optimizer: {type: adam, lr: 1e-3}}}
entries:
  first:
    title: A first entry
    stages:
      pre:  {fit: classification, data: low, model: net, schedule: short}
      tune: {fit: classification, data: few, model: net, schedule: short}
      final: {evaluate: digits}
    arms:
      naive: {chain: [tune, final], baseline: true}
      pretrained: [pre, tune, final]
      slow: {chain: [pre, tune, final], set: {stages.tune.schedule.optimizer.lr: 1e-4}}
    seeds: 3
    measures:
      acc: {metric: val/accuracy, read: best}
      test: {metric: final/accuracy}
    references:
      paper: {acc: 0.9, split: val, source: a paper}
    expect:
      helps: {claim: pretrained > naive, on: test, margin: 0.01}
      alike: {claim: slow ~ pretrained, on: acc, within: 0.05}
      good: {value: acc > 0.5, arm: naive, margin: 0}
      as-published: {claim: naive ~ paper, on: acc, within: 0.1}
    profiles:
      quick: {schedules.short.epochs: 1, seeds: 1}
"""
