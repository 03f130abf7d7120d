import pytest
import torch
from mmaction.registry import MODELS
from torch.nn import functional as F

from diffusionret_mm.models.generators import scaled, start_noise


@pytest.fixture
def build(tiny_model_cfg):
    def make(frames=4, diffusion=None, trained=True, **options):
        torch.manual_seed(0)
        cfg = {key: tiny_model_cfg[key] for key in ('backbone', 'temporal')}
        denoiser = dict(type='TextDenoiser', width=64, num_frames=frames)
        model = MODELS.build(
            dict(
                cfg,
                type='TextDiff',
                similarity=dict(type='XPool', width=64, dropout=0.0),
                loss=dict(type='ContrastiveLoss'),
                diffusion=dict(type='TextDiffusion', denoiser=denoiser, **(diffusion or {})),
                **dict(dict(num_candidates=3), **options),
            )
        )
        if trained:
            for parameter in model.diffusion.parameters():
                parameter.data += 0.1 * torch.randn_like(parameter)
        return model

    return make


def test_an_untrained_student_leaves_the_text_where_it_is(build, features):
    model = build(trained=False).eval()
    texts, videos = features()
    scores = model.similarity(texts, videos).detach()
    t2v, _ = model.rerank(scores, texts, videos)
    best = torch.zeros_like(scores, dtype=torch.bool).scatter(1, scores.topk(3).indices, True)
    expected = torch.where(best, 2 * scores + 1, scores)
    torch.testing.assert_close(t2v, expected, atol=1e-5, rtol=0)


@torch.no_grad()
def test_a_diffused_score_is_that_of_its_pair_alone(build, features):
    """The chain of one pair, step by step, as the docstring has it."""
    model = build(num_candidates=50).eval()
    texts, videos = features()
    scores = model.similarity(texts, videos)
    t2v, v2t = model.rerank(scores, texts, videos)
    torch.testing.assert_close(v2t, t2v.t(), atol=1e-5, rtol=0)
    noise = start_noise(torch.arange(7), 64, seed=0)
    diffusion, head = model.diffusion, model.similarity
    kept = diffusion.scheduler.alphas_cumprod
    for row, column in ((0, 0), (3, 4), (6, 2)):
        text = scaled(texts.pooled[row])
        cosines = F.cosine_similarity(texts.pooled[row], videos.frames[column], dim=1)
        context = diffusion.student.prepare(text, cosines * videos.mask[column])
        x = kept[9].sqrt() * text + (1 - kept[9]).sqrt() * noise[row]
        for step in range(9, -1, -1):
            guess = diffusion.student(kept[step].sqrt() * x, torch.tensor([step]), context)
            left = (x - kept[step].sqrt() * guess) / (1 - kept[step]).sqrt()
            before = kept[step - 1] if step else torch.tensor(1.0)
            x = before.sqrt() * guess + (1 - before).sqrt() * left
        pooled = head.pool(
            head.prepare_texts(texts[[row]]).queries, head.prepare_videos(videos[[column]])
        )
        expected = scores[row, column] + 1 + F.cosine_similarity(x[0], pooled[0, 0], dim=0)
        torch.testing.assert_close(t2v[row, column], expected, atol=1e-5, rtol=0)


def test_blocks_and_company_change_nothing(build, features):
    model = build().eval()
    texts, videos = features(num_texts=9, num_videos=8)
    scores = model.similarity(texts, videos).detach()
    expected = model.rerank(scores, texts, videos)
    model.rerank_chunk = 2
    for final, before in zip(model.rerank(scores, texts, videos), expected, strict=True):
        torch.testing.assert_close(final, before)
    rows = torch.tensor([5, 2])
    some = model.rerank_queries('t2v', scores[rows], texts[rows], videos, rows)
    torch.testing.assert_close(some, expected[0][rows])
    some = model.rerank_queries('v2t', scores.t()[rows], videos[rows], texts, rows)
    torch.testing.assert_close(some, expected[1][rows])


def test_the_shortlist_stays_before_the_others(build, features):
    model = build().eval()
    texts, videos = features(num_texts=9, num_videos=8)
    scores = model.similarity(texts, videos).detach()
    for final, base in zip(model.rerank(scores, texts, videos), (scores, scores.t()), strict=True):
        assert torch.equal(final.topk(3).indices.sort().values, base.topk(3).indices.sort().values)


def test_training_lowers_the_loss(build, batch):
    model = build(frames=3, trained=False)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3)
    history = []
    for _ in range(12):
        losses = model(batch(), mode='loss')
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
        history.append(sum(losses.values()).item())
    assert set(losses) == {
        'loss_t2v', 'loss_v2t', 'loss_t2v_diffused', 'loss_v2t_diffused',
        'loss_teacher', 'loss_teacher_student',
    }  # fmt: skip
    assert sum(history[-3:]) < 0.8 * sum(history[:3])


def test_the_diffused_loss_is_that_of_cosines(build, features):
    """An untrained student hands the text on, so the diffused scores are the undiffused ones."""
    model = build(trained=False)
    texts, videos = features(num_texts=5, num_videos=5)
    losses = model.loss(texts, videos, torch.arange(5), torch.arange(5))
    torch.testing.assert_close(losses['loss_t2v_diffused'], losses['loss_t2v'])
    torch.testing.assert_close(losses['loss_v2t_diffused'], losses['loss_v2t'])


def test_the_student_starts_as_a_copy_of_the_trained_teacher(build, batch):
    model = build(frames=3, diffusion=dict(teacher_iterations=2), trained=False)
    teacher, student = model.diffusion.teacher, model.diffusion.student
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)

    def step():
        optimizer.zero_grad()
        losses = model(batch(), mode='loss')
        sum(losses.values()).backward()
        same = all(
            torch.equal(a, b)
            for a, b in zip(teacher.parameters(), student.parameters(), strict=True)
        )
        optimizer.step()
        return losses, same

    before = student.out.bias.clone()
    for _ in range(2):
        losses, same = step()
        assert not same
        assert losses['loss_t2v_diffused'] == losses['loss_teacher_student'] == 0
        assert all(parameter.grad is not None for parameter in student.parameters())
    assert torch.equal(student.out.bias, before)
    losses, same = step()
    assert same
    assert losses['loss_t2v_diffused'] > 0
    assert not step()[1]
    assert model.state_dict()['diffusion.iterations'] == 4


def test_the_loss_of_a_teacher_does_not_reach_the_features(build, features):
    model = build()
    texts, videos = features(num_texts=5, num_videos=5)
    texts.pooled.requires_grad_()
    losses = model.loss(texts, videos, torch.arange(5), torch.arange(5))
    (gradient,) = torch.autograd.grad(
        losses['loss_teacher'], texts.pooled, retain_graph=True, allow_unused=True
    )
    assert gradient is None
    teacher = list(model.diffusion.teacher.parameters())
    gradients = torch.autograd.grad(losses['loss_teacher_student'], teacher, allow_unused=True)
    assert all(gradient is None for gradient in gradients)


def test_errors(build, features):
    with pytest.raises(ValueError, match=r'num_sample_steps must be in 1\.\.num_train_steps'):
        build(diffusion=dict(num_sample_steps=11))
    with pytest.raises(ValueError, match='over_batch must be one of'):
        build(teacher_student=dict(type='TeacherStudentLoss', over_batch='max'))
    model = build(frames=3)
    texts, videos = features()
    with pytest.raises(ValueError, match='4 frames and the model has weights for 3'):
        model.rerank(torch.zeros(7, 5), texts, videos)


def test_teacher_student_loss_by_hand():
    teacher, student = torch.tensor([[1.0, 2.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [2.0, 0]])
    assert MODELS.build(dict(type='TeacherStudentLoss'))(teacher, student) == 2.25
    published = MODELS.build(dict(type='TeacherStudentLoss', weight=0.1, over_batch='sum'))
    assert published(teacher, student).item() == pytest.approx(0.45)
