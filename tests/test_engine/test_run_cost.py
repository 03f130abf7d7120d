import json
import time
from types import SimpleNamespace

import pytest
import torch

from diffusionret_mm.engine import RunCostHook


def test_validation_is_no_part_of_training(tmp_path):
    hook = RunCostHook()
    runner = SimpleNamespace(model=torch.nn.Linear(3, 4), work_dir=tmp_path)
    runner.model.bias.requires_grad_(False)
    hook.before_train(runner)
    time.sleep(0.02)
    for _ in range(2):
        hook.before_val(runner)
        time.sleep(0.2)
        hook.after_val(runner)
    hook.after_train(runner)
    hook.before_test(runner)
    end = time.process_time() + 0.05
    while time.process_time() < end:
        pass
    hook.after_test(runner)
    costs = json.loads((tmp_path / 'costs.json').read_text())
    assert costs['parameters'] == 16
    assert 0.02 <= costs['train_s'] < 0.2
    assert 0 <= costs['train_cpu_s'] < 0.1
    # Two clocks, which differ by microseconds.
    assert costs['test_s'] + 1e-3 >= costs['test_cpu_s'] == pytest.approx(0.05, abs=0.05)
    assert costs['memory_mb'] > 50
    assert ('gpu_memory_mb' in costs) == torch.cuda.is_available()
