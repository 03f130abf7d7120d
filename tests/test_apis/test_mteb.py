"""mteb ranks our retrievers as our own evaluation does."""

import copy
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmaction.registry import MODELS
from mmengine.config import Config
from tool_modules import TOOLS, load_tool

from diffusionret_mm.apis import run as runs
from diffusionret_mm.apis.mteb import FORMS, TextVideoEncoder, encode_files
from diffusionret_mm.apis.mteb_tasks import METRICS, NOTE, format_results, run_tasks
from diffusionret_mm.evaluation import evaluate_ranking

ROOT = Path(__file__).parents[2]
SCENES = dict(train=1, val=1, test=5)
COSINE = dict(
    type='TextVideoRetriever',
    similarity=dict(type='CosineSimilarity'),
    loss=dict(type='ContrastiveLoss'),
)
TEXTS = ['a red circle moves left', 'dogs', 'the sky turns dark']


@pytest.fixture(scope='module')
def shared(tmp_path_factory):
    """A folder for all, and in it the clips that they rank."""
    return dict(folder=tmp_path_factory.mktemp('mteb'))


@pytest.fixture
def make_cfg(shared, tiny_model_cfg):
    """A function that returns the config of a small model on the clips, and its checkpoint."""

    def make(form):
        cfg = Config.fromfile(ROOT / 'configs/diffusionret_shapes.py')
        cfg.model = tiny_model_cfg | dict(stage='generation')
        if form == 'pooled':
            parts = {key: cfg.model[key] for key in ('backbone', 'temporal')}
            cfg.model = copy.deepcopy(COSINE) | parts
        cfg.work_dir = str(shared['folder'] / form)
        cfg.test_dataloader.dataset.update(
            data_root=str(shared['folder'] / 'shapes'), num_scenes=SCENES
        )
        pipeline = cfg.test_dataloader.dataset.pipeline
        pipeline[0].transforms[-1].scale = (32, 32)
        pipeline[1].max_words = 16
        cfg.default_hooks.report.draw = False
        torch.manual_seed(0)
        file = shared['folder'] / f'{form}.pth'
        torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(), meta={}), file)
        return cfg, str(file)

    return make


@pytest.fixture
def evaluated(make_cfg, shared):
    """A function that returns the score matrices of our evaluation, and the videos of the texts."""

    def evaluate(form):
        kind = 'pooled' if form == 'pooled' else 'reranked'
        if kind not in shared:
            cfg, checkpoint = make_cfg(kind)
            file = shared['folder'] / f'{kind}.npz'
            cfg.test_evaluator = [
                cfg.test_evaluator, dict(type='DumpScores', out_file_path=str(file))
            ]  # fmt: skip
            shared[kind] = runs.test_retriever(cfg, checkpoint, out=None), np.load(file)
        metrics, arrays = shared[kind]
        t2v, v2t = arrays['t2v'], arrays['v2t']
        if form == 'late-interaction':
            t2v, v2t = arrays['discrimination'], arrays['discrimination'].T
        found = evaluate_ranking(*map(torch.from_numpy, (t2v, v2t)), arrays_truth(arrays))
        prefix = 'discrimination/' if form == 'late-interaction' else ''
        for direction in ('t2v', 'v2t'):
            assert metrics[f'{prefix}{direction}/R@1'] == found[f'{direction}/R@1']
        return dict(t2v=t2v, v2t=v2t), arrays, found

    return evaluate


def arrays_truth(arrays):
    return torch.from_numpy(arrays['video_of_text'])


def ndcg_at_10(scores, right):
    """Mean over the queries of n x C scores; `right` says which candidates are."""
    gains = 1 / np.log2(np.arange(2, 12))
    order = np.argsort(-scores, axis=1)[:, :10]
    found = np.take_along_axis(right, order, axis=1) @ gains[: order.shape[1]]
    best = [gains[: min(10, count)].sum() for count in right.sum(axis=1)]
    return float(np.mean(found / best))


def make_task(direction, arrays, annotation, root):
    """An mteb task of the clips, in the order of the evaluation."""
    from datasets import Dataset, Video
    from mteb.abstasks import AbsTaskRetrieval
    from mteb.abstasks.retrieval_dataset_loaders import RetrievalSplitData
    from mteb.abstasks.task_metadata import TaskMetadata

    files = {entry['video_id']: str(root / entry['video']) for entry in annotation}
    ids = arrays['video_ids'].tolist()
    texts = Dataset.from_dict(
        dict(
            id=[f't{row}' for row in range(len(arrays['captions']))],
            text=arrays['captions'].tolist(),
        )
    )
    # As parquet files of Hugging Face have them: contents, not paths.
    contents = [dict(bytes=Path(files[key]).read_bytes(), path=f'{key}.mp4') for key in ids]
    videos = Dataset.from_dict(dict(id=ids, video=contents)).cast_column('video', Video())
    pairs = [(f't{row}', ids[video]) for row, video in enumerate(arrays['video_of_text'])]
    queries, corpus = (texts, videos) if direction == 't2v' else (videos, texts)
    relevant = {}
    for text, video in pairs:
        query, right = (text, video) if direction == 't2v' else (video, text)
        relevant.setdefault(query, {})[right] = 1

    def load_data(self, *args, **kwargs):
        data = RetrievalSplitData(
            queries=queries, corpus=corpus, relevant_docs=relevant, top_ranked=None
        )
        self.dataset = {'default': {'test': data}}
        self.data_loaded = True

    facts = TaskMetadata(
        name=f'Shapes{direction.upper()}',
        description='Clips of coloured figures.',
        dataset=dict(path='none/none', revision='0'),
        type='Any2AnyRetrieval',
        category=direction,
        modalities=['text', 'video'],
        eval_splits=['test'],
        eval_langs=['eng-Latn'],
        main_score='ndcg_at_10',
        reference=None,
        date=None,
        domains=None,
        task_subtypes=None,
        license=None,
        annotations_creators=None,
        dialect=None,
        sample_creation=None,
        bibtex_citation=None,
    )
    return type(facts.name, (AbsTaskRetrieval,), dict(metadata=facts, load_data=load_data))()


@pytest.mark.slow  # mteb alone takes ten seconds to load
@pytest.mark.parametrize('form', FORMS)
def test_mteb_gives_the_numbers_of_our_evaluation(make_cfg, evaluated, shared, form, tmp_path):
    mteb = pytest.importorskip('mteb', reason='the extra mteb is not installed')
    scores, arrays, found = evaluated(form)
    cfg, checkpoint = make_cfg('pooled' if form == 'pooled' else 'reranked')
    model = TextVideoEncoder(cfg, checkpoint, form=form, device='cpu', show_progress=False)
    root = shared['folder'] / 'shapes'
    annotation = json.loads((root / 'test.json').read_text())
    for direction in ('t2v', 'v2t'):
        task = make_task(direction, arrays, annotation, root)
        (result,) = mteb.evaluate(model, task, cache=None, show_progress_bar=False).task_results
        (measured,) = result.scores['test']
        right = arrays['video_of_text'][:, None] == np.arange(len(arrays['video_ids']))
        right = right if direction == 't2v' else right.T
        assert measured['ndcg_at_10'] == pytest.approx(
            ndcg_at_10(scores[direction], right), abs=1e-4
        )
        # With several right texts, R@1 is whether the best one is first.
        assert 100 * measured['hit_rate_at_1'] == pytest.approx(found[f'{direction}/R@1'], abs=1e-2)
        assert 0 < measured['ndcg_at_10'] < 1
    assert result.scores['test'][0]['main_score'] == measured['ndcg_at_10']
    name = f'-{form}'
    assert name in model.mteb_model_meta.name
    if form == 'pooled':
        table = run_tasks(model, [task], tmp_path)
        assert f'{100 * measured["recall_at_5"]:.2f}' in table
        (file,) = tmp_path.rglob('ShapesV2T.json')
        assert file.parts[-3].endswith(name)


class Rows(list):
    """What a data set of Hugging Face does for us, without the package."""

    def __getitem__(self, key):
        return [row[key] for row in self] if isinstance(key, str) else super().__getitem__(key)

    def select_columns(self, names):
        return Rows({name: row[name] for name in names} for row in self)

    def cast_column(self, name, feature):
        assert (name, feature) == ('video', 'files')
        return self


@pytest.fixture
def texts():
    return Rows(dict(id=f't{row}', text=text) for row, text in enumerate(TEXTS))


@pytest.fixture
def clips(write_clip, tmp_path, monkeypatch):
    """Three videos: two are files, one is the contents of a file."""
    monkeypatch.setitem(sys.modules, 'datasets', SimpleNamespace(Video=lambda decode: 'files'))
    files = [write_clip(tmp_path / f'{count}.mp4', num_frames=count) for count in (4, 8, 12)]
    rows = [dict(id=file.stem, video=dict(bytes=None, path=str(file))) for file in files]
    rows[1]['video'] = dict(bytes=files[1].read_bytes(), path='gone.mp4')
    return Rows(rows)


@pytest.fixture
def new_model(make_cfg):
    """A function that makes a model of a form."""

    def make(form='reranked', **options):
        cfg, checkpoint = make_cfg('pooled' if form == 'pooled' else 'reranked')
        cfg.merge_from_dict(options)
        return TextVideoEncoder(
            cfg, checkpoint, form=form, device='cpu', num_workers=1, show_progress=False
        )

    return make


def task_of(category):
    return SimpleNamespace(name='Task', category=category)


def search(model, category, queries, corpus, top_k=2, **options):
    common = dict(task_metadata=task_of(category), hf_split='', hf_subset='', encode_kwargs={})
    model.index(corpus, **common)
    return model.search(queries, top_k=top_k, **common, **options)


def test_forms_score_as_the_model_does(new_model, clips, texts):
    model = new_model()
    found = search(model, 't2v', texts, clips)
    words = model.encoder.encode_text(TEXTS)
    frames = encode_files(model.encoder, clips['video'])
    similarity = model.encoder.model.similarity(words, frames)
    t2v, v2t = model.encoder.model.rerank(similarity, words, frames)
    assert not torch.equal(t2v, similarity)
    for row, scores in enumerate(t2v.tolist()):
        best = sorted(zip(scores, clips['id'], strict=True), reverse=True)[:2]
        assert found[f't{row}'] == pytest.approx({key: score for score, key in best}, abs=1e-5)
    found = search(model, 'v2t', clips, texts, top_k=9)
    rows = [[found[key][f't{row}'] for row in range(len(TEXTS))] for key in clips['id']]
    torch.testing.assert_close(torch.tensor(rows), v2t, rtol=0, atol=1e-5)
    found = search(new_model('late-interaction'), 't2v', texts, clips, top_k=9)
    rows = [[found[f't{row}'][key] for key in clips['id']] for row in range(len(TEXTS))]
    torch.testing.assert_close(torch.tensor(rows), similarity, rtol=0, atol=1e-5)


def test_contents_of_files_are_encoded_as_the_files(new_model, clips, tmp_path, monkeypatch):
    monkeypatch.setattr('diffusionret_mm.apis.mteb.CHUNK_FILES', 2)
    encoder = new_model().encoder
    found = encode_files(encoder, clips['video'])
    wanted = encoder.encode_video([tmp_path / f'{count}.mp4' for count in (4, 8, 12)])
    torch.testing.assert_close(found.frames, wanted.frames, rtol=0, atol=1e-5)


def test_what_a_retriever_cannot_do_is_refused(new_model, make_cfg, texts, clips):
    with pytest.raises(ValueError, match="form must be one of .*; got 'sparse'"):
        new_model('sparse')
    with pytest.raises(ValueError, match="in its stage 'discrimination' re-ranks no candidates"):
        new_model('reranked', **{'model.stage': 'discrimination'})
    model = new_model()
    with pytest.raises(ValueError, match='call index before search'):
        model.search(
            texts,
            task_metadata=task_of('t2v'),
            hf_split='',
            hf_subset='',
            top_k=1,
            encode_kwargs={},
        )
    with pytest.raises(
        ValueError, match='Task searches t2va; a retriever of texts and videos does'
    ):
        search(model, 't2va', texts, clips)
    with pytest.raises(ValueError, match='Task brings candidates of its own for each query'):
        search(model, 't2v', texts, clips, top_ranked={})


def test_the_table_names_tasks_and_splits():
    scores = dict.fromkeys(METRICS.values(), 0.25) | dict(ndcg_at_10=0.5)
    text = format_results([('MSRVTTT2V', dict(test=[scores]))])
    assert text.splitlines()[-2].split() == ['MSRVTTT2V', 'test', '50.00', *['25.00'] * 3]
    assert text.endswith(NOTE)


def test_the_tool_says_what_it_needs(run_tool, monkeypatch):
    done = run_tool('mteb', 'config.py')
    assert done.status == 2
    assert 'give a config and --tasks, or --list' in done.err
    monkeypatch.setitem(sys.modules, 'mteb', None)  # as if it were not installed
    done = run_tool('mteb', '--list')
    assert done.status == 2
    assert 'pip install "diffusionret_mm[mteb]"' in done.err


def test_the_tool_is_not_taken_for_the_package(monkeypatch):
    tool = load_tool('mteb')
    monkeypatch.setattr(sys, 'path', [str(TOOLS), '/elsewhere'])
    tool.find_the_package()
    assert sys.path == ['/elsewhere']


@pytest.mark.slow
def test_the_tool_names_the_tasks_of_the_installed_mteb(run_tool):
    pytest.importorskip('mteb', reason='the extra mteb is not installed')
    done = run_tool('mteb', '--list')
    assert done.status == 0, done.err
    lines = {line.split()[0]: line.split() for line in done.out.splitlines()}
    assert lines['MSRVTTT2V'][1:] == ['t2v', 'beta', '879', 'mteb/MSR-VTT']
    assert lines['MSVDV2TRetrieval'][1] == 'v2t'
    assert NOTE in done.out
    done = run_tool('mteb', 'config.py', '--tasks', 'MSRVTTA2V')
    assert done.status == 2
    assert 'MSRVTTA2V: the installed mteb has no such task from text to video' in done.err
