"""Parameter groups by role."""

from __future__ import annotations

from collections.abc import Callable

from mmaction.registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from mmengine.logging import print_log
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class RoleOptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """Few groups: the backbone or new modules, with weight decay or without.

    Frozen parameters are left out. Few groups also let the optimizer update many tensors in one
    call.

    Use it by `optim_wrapper=dict(constructor='RoleOptimWrapperConstructor',
    paramwise_cfg=dict(backbone_lr_mult=0.01), ...)`.

    Args:
        optim_wrapper_cfg: config of the wrapper, with its `optimizer`.
        paramwise_cfg: `backbone_lr_mult`, the factor on the learning rate of parameters under
            `backbone.`; 1 if it is not given. `decay`: 'matrices' (default) decays no gain, bias,
            scale or embedding; 'all_but_biases' is DiffusionRet's rule, 'all' that of T-MASS.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        """Build the optimizer of the parameters that are trained.

        Raises:
            ValueError: if none is.
        """
        groups = self._groups(model)
        if not groups:
            raise ValueError(f'All parameters of {type(model).__name__} are frozen.')
        wrapper_cfg = dict(self.optim_wrapper_cfg)
        wrapper_cfg.setdefault('type', 'OptimWrapper')
        optimizer = OPTIMIZERS.build(dict(self.optimizer_cfg, params=groups))
        return OPTIM_WRAPPERS.build(wrapper_cfg, default_args=dict(optimizer=optimizer))

    def _groups(self, model: nn.Module) -> list[dict]:
        is_decayed = self._decay_rule()
        groups: dict[tuple[str, bool], list[nn.Parameter]] = {}
        for name, parameter in model.named_parameters():
            if parameter.requires_grad:
                role = 'backbone' if 'backbone' in name.split('.')[:2] else 'new modules'
                decayed = is_decayed(name, parameter)
                groups.setdefault((role, decayed), []).append(parameter)
        lr, decay = self.optimizer_cfg['lr'], self.optimizer_cfg.get('weight_decay', 0.0)
        mult = dict(backbone=self.paramwise_cfg.get('backbone_lr_mult', 1.0))
        options = [
            dict(params=params, lr=lr * mult.get(role, 1.0), weight_decay=decay if decayed else 0.0)
            for (role, decayed), params in groups.items()
        ]
        for (role, _), group in zip(groups, options, strict=True):
            count = sum(parameter.numel() for parameter in group['params'])
            print_log(
                f'{role}: {len(group["params"])} tensors, {count / 1e6:.2f} M parameters, '
                f'lr {group["lr"]:g}, weight decay {group["weight_decay"]:g}',
                logger='current',
            )
        return options

    def _decay_rule(self) -> Callable[[str, nn.Parameter], bool]:
        rules = {
            'matrices': lambda name, parameter: parameter.dim() > 1 and 'embedding' not in name,
            'all_but_biases': lambda name, parameter: 'bias' not in name,
            'all': lambda name, parameter: True,
        }
        wanted = self.paramwise_cfg.get('decay', 'matrices')
        if wanted not in rules:
            raise ValueError(f'decay must be one of {sorted(rules)}; got {wanted!r}.')
        return rules[wanted]
