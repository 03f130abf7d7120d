import pytest
import torch
from mmaction.registry import MODELS

from diffusionret_mm.models.checkpoint_check import CheckpointError
from diffusionret_mm.models.gather import gather_batch


def trainable(model):
    return {name.split('.')[0] for name, p in model.named_parameters() if p.requires_grad}


def test_the_base_class_is_a_retriever_of_its_own(tiny_model_cfg, batch):
    cfg = {key: tiny_model_cfg[key] for key in ('backbone', 'similarity', 'temporal')}
    model = MODELS.build(dict(cfg, type='TextVideoRetriever', loss=dict(type='ContrastiveLoss')))
    model.init_weights()
    losses = model(batch(), mode='loss')
    sum(losses.values()).backward()
    texts, videos = model.eval()(batch(), mode='tensor')
    scores = model.similarity(texts, videos)
    t2v, v2t = model.rerank(scores, texts, videos)
    torch.testing.assert_close(t2v, scores)
    torch.testing.assert_close(v2t, scores.t())
    with pytest.raises(ValueError, match="mode must be 'loss'"):
        model(batch(), mode='train')


def test_a_stage_decides_what_is_trained(tiny_model, batch):
    tiny_model.set_stage('discrimination')
    assert trainable(tiny_model) == {'backbone', 'temporal', 'similarity'}
    assert set(tiny_model(batch(), mode='loss')) == {'loss_t2v', 'loss_v2t'}
    tiny_model.set_stage('generation')
    assert trainable(tiny_model) == {'generators'}
    assert not tiny_model.train().backbone.training
    losses = tiny_model(batch(), mode='loss')
    assert set(losses) == {'loss_generation_t2v', 'loss_generation_v2t'}
    sum(losses.values()).backward()
    grads = {name.split('.')[0] for name, p in tiny_model.named_parameters() if p.grad is not None}
    assert grads == {'generators'}
    untrained = {n for n, p in tiny_model.generators.named_parameters() if not p.grad.any()}
    # The softmax over the candidates does not see what is added to all of them.
    assert untrained <= {f'{direction}.denoiser.decoder.2.bias' for direction in ('t2v', 'v2t')}
    with pytest.raises(ValueError, match='stage must be one of'):
        tiny_model.set_stage('both')


def test_what_the_config_froze_stays_frozen(tiny_model_cfg):
    tiny_model_cfg['backbone']['freeze_patch_embedding'] = True
    model = MODELS.build(tiny_model_cfg)
    model.set_stage('generation')
    model.set_stage('discrimination')
    assert not model.backbone.clip.visual.conv1.weight.requires_grad


def test_reranking_adds_a_distribution_to_the_best_candidates(tiny_model, features):
    texts, videos = features(num_texts=9, num_videos=7)
    scores = tiny_model.similarity(texts, videos).detach()
    tiny_model.set_stage('discrimination')
    assert tiny_model.rerank(scores, texts, videos)[0] is scores
    tiny_model.set_stage('generation')
    t2v, v2t = tiny_model.rerank(scores, texts, videos)
    for final, base in ((t2v, scores), (v2t, scores.t())):
        added = final - base
        best = torch.zeros_like(base, dtype=torch.bool).scatter(1, base.topk(4, 1).indices, True)
        assert (added[best] > 0).all()
        assert (added[~best] == 0).all()
        torch.testing.assert_close(added.sum(1), torch.ones(len(final)))


def test_reranking_options_may_differ_by_direction(tiny_model_cfg, features):
    torch.manual_seed(0)
    cfg = tiny_model_cfg | dict(
        stage='generation',
        num_candidates=dict(t2v=2, v2t=5),
        weight=dict(t2v=0.7, v2t=1.3),
        temperature=dict(t2v=2.0, v2t=0.5),
    )
    model = MODELS.build(cfg).eval()
    texts, videos = features(num_texts=9, num_videos=7)
    scores = model.similarity(texts, videos).detach()
    t2v, v2t = model.rerank(scores, texts, videos)
    added = t2v - scores, v2t - scores.t()
    assert [int((matrix > 0).sum(1).max()) for matrix in added] == [2, 5]
    torch.testing.assert_close(added[0].sum(1), torch.full((9,), 0.7))
    torch.testing.assert_close(added[1].sum(1), torch.full((7,), 1.3))
    with pytest.raises(ValueError, match='Give one value or one for each of'):
        MODELS.build(cfg | dict(weight=dict(t2v=1.0)))
    with pytest.raises(ValueError, match='same_video must be one of'):
        MODELS.build(cfg | dict(same_video='some'))


def test_reranking_does_not_depend_on_chunks_order_or_company(tiny_model, features):
    texts, videos = features(num_texts=9, num_videos=7)
    tiny_model.set_stage('generation')
    scores = tiny_model.similarity(texts, videos).detach()
    expected = tiny_model.rerank(scores, texts, videos)[0]
    for chunk in (1, 4):
        tiny_model.rerank_chunk = chunk
        torch.testing.assert_close(tiny_model.rerank(scores, texts, videos)[0], expected)
    rows = torch.tensor([5, 2])
    some = tiny_model.rerank_queries('t2v', scores[rows], texts[rows], videos, rows)
    torch.testing.assert_close(some, expected[rows])


def test_a_gallery_smaller_than_the_list_is_reranked_whole(tiny_model, features):
    tiny_model.set_stage('generation')
    texts, videos = features(num_texts=2, num_videos=3)
    scores = tiny_model.similarity(texts, videos).detach()
    t2v, v2t = tiny_model.rerank(scores, texts, videos)
    torch.testing.assert_close((t2v - scores).sum(1), torch.ones(2))
    torch.testing.assert_close((v2t - scores.t()).sum(1), torch.ones(3))


def test_training_pools_all_pairs_as_sampling_pools_each(tiny_model, features):
    """The pooled videos of the training pass, gathered, are those of `context`."""
    texts, videos = features(num_texts=5, num_videos=5)
    generator = tiny_model.generators['t2v']
    columns = torch.randint(5, (5, 3))
    pooled = generator.attention(texts.pooled[:, None], videos.frames, videos.mask)
    pooled = pooled.gather(1, columns[..., None].expand(-1, -1, pooled.shape[2]))
    ahead = generator.pair(texts.pooled, pooled)
    direct = generator.context(texts.pooled, videos.frames[columns], videos.mask[columns])
    torch.testing.assert_close(ahead.candidates, direct.candidates, rtol=1e-4, atol=1e-4)


class TestCheckpoints:
    def test_a_whole_checkpoint_fits_both_stages(self, tiny_model):
        for stage in ('discrimination', 'generation'):
            tiny_model.set_stage(stage)
            tiny_model.load_state_dict(tiny_model.state_dict())

    def test_stage_one_is_refused_where_the_generator_is_needed(self, tiny_model):
        state = {k: v for k, v in tiny_model.state_dict().items() if 'generators' not in k}
        tiny_model.set_stage('discrimination')
        tiny_model.load_state_dict(state, strict=False)
        tiny_model.set_stage('generation')
        with pytest.raises(CheckpointError, match='holds no generator weights'):
            tiny_model.load_state_dict(state, strict=False)

    def test_wrong_keys_are_named_and_nothing_is_loaded(self, tiny_model):
        state = {key: value + 1 for key, value in tiny_model.state_dict().items()}
        before = tiny_model.temporal.position_embedding.clone()
        state['similarity.renamed'] = state.pop('similarity.word_weight.0.bias')
        state['temporal.position_embedding'] = torch.zeros(3, 3)
        with pytest.raises(CheckpointError) as error:
            tiny_model.load_state_dict(state, strict=False)
        text = str(error.value)
        assert '1 missing: similarity.word_weight.0.bias' in text
        assert '1 unknown: similarity.renamed' in text
        assert 'temporal.position_embedding (checkpoint [3, 3], model [77, 64])' in text
        torch.testing.assert_close(tiny_model.temporal.position_embedding, before)


def test_one_process_gathers_nothing(features):
    texts, videos = features()
    rows = torch.arange(7) % 5
    out = gather_batch(texts, videos, rows, torch.arange(5))
    assert out[0] is texts
    assert out[2] is rows


def test_encoding_in_chunks_keeps_losses_and_gradients(tiny_model_cfg, batch):
    results = []
    for encode_chunk in (None, 1):
        torch.manual_seed(0)
        model = MODELS.build(dict(tiny_model_cfg, encode_chunk=encode_chunk)).train()
        model.set_stage('discrimination')
        losses = model(batch(), mode='loss')
        sum(losses.values()).backward()
        grads = {name: p.grad for name, p in model.named_parameters() if p.grad is not None}
        results.append((losses, grads))
    (losses, grads), (chunked_losses, chunked_grads) = results
    torch.testing.assert_close(chunked_losses, losses)
    torch.testing.assert_close(chunked_grads, grads)
    with pytest.raises(ValueError, match='encode_chunk counts videos'):
        MODELS.build(dict(tiny_model_cfg, encode_chunk=0))


@pytest.mark.parametrize('prefix', ['', 'module.'])
def test_checkpoints_of_earlier_versions_call_the_similarity_otherwise(tiny_model_cfg, prefix):
    model, other = (MODELS.build(tiny_model_cfg) for _ in range(2))
    old = {
        prefix + name.replace('similarity.', 'similarity_head.'): value
        for name, value in model.state_dict().items()
    }
    assert sum('similarity_head' in name for name in old) == 8
    loading = torch.nn.DataParallel(other) if prefix else other
    loading.load_state_dict(old)
    for name, value in model.state_dict().items():
        torch.testing.assert_close(other.state_dict()[name], value, rtol=0, atol=0)
