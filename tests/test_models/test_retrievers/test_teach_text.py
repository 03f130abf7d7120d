"""Distillation from frozen teachers."""

import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config

from diffusionret_mm.models.checkpoint_check import CheckpointError
from diffusionret_mm.storage.checkpoints import save_checkpoint_file


@pytest.fixture
def teacher_cfg(tiny_model_cfg):
    parts = {key: tiny_model_cfg[key] for key in ('backbone', 'similarity')}
    return dict(type='TextVideoRetriever', loss=dict(type='ContrastiveLoss'), **parts)


@pytest.fixture
def teachers(teacher_cfg, tmp_path):
    """Two trained teachers: their files, and the models."""
    files, models = [], []
    for number in range(2):
        torch.manual_seed(number)
        model = MODELS.build(teacher_cfg).eval()
        file = dict(
            config=str(tmp_path / f'{number}.py'), checkpoint=str(tmp_path / f'{number}.pth')
        )
        Config(dict(model=teacher_cfg)).dump(file['config'])
        save_checkpoint_file(dict(state_dict=model.state_dict()), file['checkpoint'])
        files.append(file)
        models.append(model)
    return files, models


@pytest.fixture
def student_cfg(teacher_cfg, teachers):
    return dict(
        teacher_cfg,
        type='TeachTextDistillation',
        similarity=dict(type='CosineSimilarity'),
        teachers=teachers[0],
        weight=2.0,
    )


def test_the_loss_is_the_smooth_l1_distance_to_the_mean_of_the_teachers(
    student_cfg, teachers, batch
):
    torch.manual_seed(5)
    student = MODELS.build(student_cfg)
    student.init_weights()
    inputs = batch()
    losses = student(inputs, mode='loss')
    with torch.no_grad():
        target = sum(model.similarity(*model.extract(inputs)) for model in teachers[1]) / 2
        scores = student.similarity(*student.extract(inputs))
        difference = (scores - target).abs()
        smooth = torch.where(difference < 1, difference.square() / 2, difference - 0.5).mean()
    torch.testing.assert_close(losses['loss_distillation'].detach(), 2 * smooth)
    plain = student.loss_head(
        scores, student.backbone.logit_scale, inputs['video_of_text'], inputs['video_index']
    )
    torch.testing.assert_close(losses['loss_t2v'].detach(), plain['loss_t2v'].detach())
    sum(losses.values()).backward()
    assert student.backbone.clip.visual.proj.grad.abs().sum() > 0
    assert len(student.teachers) == 2
    for teacher in student.teachers:
        assert all(parameter.grad is None for parameter in teacher.parameters())


def test_teachers_are_not_saved_and_evaluation_needs_none(student_cfg, batch):
    student = MODELS.build(student_cfg)
    assert not any('teacher' in key for key in student.state_dict())
    texts, _ = student(batch(), mode='tensor')
    assert len(texts) == 8
    student.init_weights()
    assert not any('teacher' in key for key in student.state_dict())
    student.train()
    assert not any(teacher.training for teacher in student.teachers)


def test_errors(student_cfg, batch, tmp_path):
    with pytest.raises(ValueError, match='teachers is empty'):
        MODELS.build(dict(student_cfg, teachers=[]))
    with pytest.raises(ValueError, match=r'A teacher is dict\(config=..., checkpoint=...\)'):
        MODELS.build(dict(student_cfg, teachers=[dict(config='a.py')]))
    with pytest.raises(RuntimeError, match='The teachers were not loaded'):
        MODELS.build(student_cfg)(batch(), mode='loss')
    files = dict(student_cfg['teachers'][0], checkpoint='gone.pth')
    with pytest.raises(
        FileNotFoundError, match='The checkpoint of a teacher, gone.pth, is no file'
    ):
        MODELS.build(dict(student_cfg, teachers=[files])).init_weights()
    save_checkpoint_file(dict(state_dict={'a': torch.zeros(1)}), tmp_path / '0.pth')
    with pytest.raises(CheckpointError, match='missing'):
        MODELS.build(student_cfg).init_weights()


def test_a_teacher_that_reads_frames_otherwise_is_refused(student_cfg, teacher_cfg, teachers):
    vision = dict(teacher_cfg['backbone']['arch']['vision_cfg'], image_size=48)
    arch = dict(teacher_cfg['backbone']['arch'], vision_cfg=vision)
    student_cfg['backbone'] = dict(teacher_cfg['backbone'], arch=arch)
    student = MODELS.build(student_cfg)
    with pytest.raises(ValueError, match=r'image size: then \(32, 32\), now \(48, 48\)'):
        student.init_weights()
