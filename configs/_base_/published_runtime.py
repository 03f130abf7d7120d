# Evaluation in the published protocol: see docs/protocol.md.
_base_ = './default_runtime.py'

val_evaluator = dict(type='TextVideoRetrievalMetric', ties='published', grouping='published')
test_evaluator = val_evaluator
choose_on_test = True
