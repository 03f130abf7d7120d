custom_imports = dict(imports=['diffusionret_mm'], allow_failed_imports=False)
default_scope = 'mmaction'

default_hooks = dict(
    timer=dict(type='IterTimerHook'),
    logger=dict(type='LoggerHook', interval=20, ignore_last=False),
    param_scheduler=dict(type='ParamSchedulerHook'),
    checkpoint=dict(
        type='DurableCheckpointHook',
        interval=1,
        within_epoch=0,  # N: also every N iterations, where epochs take hours
        max_keep_ckpts=2,
        save_best='t2v/R@1',
        rule='greater',
    ),
    sampler_seed=dict(type='DistSamplerSeedHook'),
    runtime_info=dict(type='RuntimeInfoHook'),
    resume=dict(type='ResumeHook', differences='refuse'),
    non_finite=dict(type='NonFiniteLossHook', action='stop'),
    run_record=dict(type='RunRecordHook'),
    report=dict(type='ReportHook', draw=True),
)
env_cfg = dict(
    cudnn_benchmark=False,
    mp_cfg=dict(mp_start_method='fork', opencv_num_threads=0),
    dist_cfg=dict(backend='nccl'),
)
randomness = dict(seed=0)
log_processor = dict(type='StageLogProcessor', window_size=20, by_epoch=True)
vis_backends = [dict(type='LocalVisBackend')]
visualizer = dict(type='Visualizer', vis_backends=vis_backends)
log_level = 'INFO'
load_from = None
resume = False

val_cfg = dict(type='TextVideoValLoop')
test_cfg = dict(type='TextVideoTestLoop')
val_evaluator = dict(type='TextVideoRetrievalMetric')
test_evaluator = val_evaluator

# Published code lets the test split choose the checkpoint and trains on the whole training split:
# --cfg-options choose_on_test=True does so, and says it in the log.
choose_on_test = False
