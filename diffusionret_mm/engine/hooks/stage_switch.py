"""The hook that takes a run through both training stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmaction.registry import HOOKS
from mmengine.dist import barrier
from mmengine.hooks import CheckpointHook, Hook
from mmengine.runner import Runner
from mmengine.runner.base_loop import BaseLoop
from mmengine.runner.checkpoint import CheckpointLoader

from diffusionret_mm.models.checkpoint_check import CheckpointError
from diffusionret_mm.models.retrievers import TextVideoRetriever


@HOOKS.register_module()
class StageSwitchHook(Hook):
    """Moves a run of `DiffusionRet` from discrimination to generation.

    The run starts in stage 'discrimination' with the config's `optim_wrapper` and
    `param_scheduler`. After `begin` epochs the hook loads the best discrimination checkpoint,
    freezes the extractor, and starts the second stage's optimizer and schedule afresh. Best-score
    tracking starts afresh too: the best files of both stages are kept. A resumed run continues in
    the stage of its checkpoint. Checkpoints record their stage; those of stage one leave out the
    generators, which are untrained.

    Args:
        begin: epochs of stage 'discrimination'; 0 goes on from a finished first stage, given by the
            config's `load_from`.
        optim_wrapper: config of the second stage's optimizer wrapper.
        param_scheduler: configs of the second stage's schedules; they count from the switch.
        load_best: whether to start the second stage from the best checkpoint of the first, by the
            metric of `CheckpointHook.save_best`, or from its last state.

    Raises:
        ValueError: if `begin` is negative.
        TypeError: at the start of a run whose model has no stages.
        CheckpointError: if the second stage is to begin on a first one that was never trained.
    """

    priority = 'VERY_HIGH'

    def __init__(
        self,
        begin: int,
        optim_wrapper: Mapping[str, Any],
        param_scheduler: Sequence[Mapping[str, Any]] = (),
        load_best: bool = True,
    ) -> None:
        if begin < 0:
            raise ValueError(f'begin counts epochs and cannot be negative; got {begin}.')
        self.begin = begin
        self.optim_wrapper = optim_wrapper
        self.param_scheduler = param_scheduler
        self.load_best = load_best
        self._started = False

    def before_run(self, runner: Runner) -> None:
        """Start training in the first stage; a mere evaluation keeps the model's own stage."""
        if self._started or not isinstance(runner._train_loop, BaseLoop):
            return
        self._started = True
        model = TextVideoRetriever.of(runner.model)
        if 'generation' not in model.stages:
            raise TypeError(
                "StageSwitchHook moves a model to stage 'generation', and "
                f'{type(model).__name__} has the stages {model.stages}: leave the hook out.'
            )
        schedules = runner.cfg.get('param_scheduler') or ()
        self._enter(runner, 'discrimination', runner.cfg.optim_wrapper, schedules)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Resume in the stage of the checkpoint, before its optimizer state is loaded."""
        resumes = runner._resume and TextVideoRetriever.of(runner.model).stage == 'discrimination'
        if resumes and checkpoint['meta'].get('stage') == 'generation':
            self._enter(runner, 'generation', self.optim_wrapper, self.param_scheduler)

    def before_train_epoch(self, runner: Runner) -> None:
        """Switch when the epochs of the first stage are done."""
        if runner.epoch != self.begin or TextVideoRetriever.of(runner.model).stage == 'generation':
            return
        if not self.begin:
            self._refuse_untrained(runner)
        elif self.load_best:
            self._load_best(runner)
        runner.message_hub.log_scalars.clear()  # the log shows means over the last steps
        self._enter(runner, 'generation', self.optim_wrapper, self.param_scheduler)
        runner.optim_wrapper.initialize_count_status(
            runner.model, runner.train_loop.iter, runner.train_loop.max_iters
        )
        _reset_best(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Record the stage; leave out what a later stage trains."""
        model = TextVideoRetriever.of(runner.model)
        checkpoint['meta']['stage'] = model.stage
        later = model.stages[model.stages.index(model.stage) + 1 :]
        for key in [key for key in checkpoint['state_dict'] if model.stage_of(key) in later]:
            del checkpoint['state_dict'][key]

    def _enter(
        self,
        runner: Runner,
        stage: str,
        optim_wrapper: Mapping[str, Any],
        param_scheduler: Sequence[Mapping[str, Any]],
    ) -> None:
        """Set the stage and renew all that knows which parameters are trained."""
        model = TextVideoRetriever.of(runner.model)
        model.set_stage(stage)
        # A distributed wrapper waits for the gradients of the parameters it was made with.
        runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
        runner.param_schedulers = None
        runner.optim_wrapper = runner.build_optim_wrapper(dict(optim_wrapper))
        runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
        schedules = [dict(schedule) for schedule in param_scheduler]
        runner.param_schedulers = runner.build_param_scheduler(schedules) if schedules else []
        trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
        runner.logger.info(f'Stage {stage}: {trained / 1e6:.2f} M parameters are trained.')

    def _refuse_untrained(self, runner: Runner) -> None:
        model = TextVideoRetriever.of(runner.model)
        of_stage = {name.partition('.')[0] for name, _ in model.trained_parameters(model.stages[0])}
        untrained = [part for part in model.untrained_parts() if part in of_stage]
        if untrained and not runner._load_from:
            raise CheckpointError(
                'StageSwitchHook has begin=0, which goes on from a finished stage one, and no '
                f'checkpoint of it is loaded: {", ".join(untrained)} would be random. Give it by '
                '--cfg-options load_from=CHECKPOINT.'
            )

    def _load_best(self, runner: Runner) -> None:
        best = runner.message_hub.runtime_info.get('best_ckpt')
        if best is None:
            raise CheckpointError(
                f'No best checkpoint of stage discrimination exists after {self.begin} epochs. '
                'Validate in stage one (train_cfg.val_interval) with save_best set in the '
                'CheckpointHook, or set load_best=False in the StageSwitchHook.'
            )
        barrier()  # rank 0 may still be writing it
        checkpoint = CheckpointLoader.load_checkpoint(best, map_location='cpu')
        TextVideoRetriever.of(runner.model).load_state_dict(checkpoint['state_dict'], strict=False)
        runner.logger.info(f'Stage generation starts from {best}.')


def _reset_best(runner: Runner) -> None:
    """Let the second stage find a best checkpoint of its own and keep the first stage's file."""
    for key in ('best_score', 'best_ckpt'):
        runner.message_hub.pop_info(key, None)
    for hook in runner.hooks:
        if isinstance(hook, CheckpointHook):
            hook.best_ckpt_path = None
