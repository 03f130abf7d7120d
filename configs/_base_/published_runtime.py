# Evaluation in the published protocol: see docs/protocol.md.
_base_ = './default_runtime.py'

val_evaluator = dict(type='TextVideoRetrievalMetric', ties='published', grouping='published')
test_evaluator = val_evaluator
choose_on_test = True

# The released code's average starts from other random weights, this one as a copy of the model.
default_hooks = dict(ema=dict(type='EMABesideHook', momentum=0.01))
