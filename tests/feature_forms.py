"""Writes features in the forms in which people share them, with nothing of this project."""

import io
import json
import pickle
import tarfile

import h5py
import numpy as np
import pyarrow
import pyarrow.parquet
import torch


def write_npy(folder, side, data):
    np.save(folder / f'{side}.npy', data['features'])
    (folder / f'{side}.ids.txt').write_text('\n'.join(data['ids']) + '\n')
    for name in ('mask', 'pooled'):
        if name in data:
            np.save(folder / f'{side}.{name}.npy', data[name])


def write_npz(folder, side, data):
    np.savez(folder / f'{side}.npz', **data)


def write_pt(folder, side, data):
    tensors = {name: torch.from_numpy(data[name]) for name in data if name != 'ids'}
    torch.save(dict(tensors, ids=data['ids'].tolist()), folder / f'{side}.pt')


def write_pkl(folder, side, data):
    with open(folder / f'{side}.pkl', 'wb') as file:
        pickle.dump(dict(data, ids=data['ids'].tolist()), file, protocol=4)


def write_h5(folder, side, data):
    with h5py.File(folder / f'{side}.h5', 'w') as file:
        for name, values in data.items():
            file[name] = values.tolist() if name == 'ids' else values


def write_parquet(folder, side, data):
    columns = {name: values.tolist() for name, values in data.items()}
    lists = {
        2: pyarrow.list_(pyarrow.float32()),
        3: pyarrow.list_(pyarrow.list_(pyarrow.float32())),
    }
    arrays = {
        name: pyarrow.array(values, lists.get(data[name].ndim) if name != 'mask' else None)
        for name, values in columns.items()
    }
    pyarrow.parquet.write_table(pyarrow.table(arrays), folder / f'{side}.parquet')


def write_tar(folder, side, data):
    def add(name, content):
        member = tarfile.TarInfo(name)
        member.size = len(content)
        archive.addfile(member, io.BytesIO(content))

    with tarfile.open(folder / f'{side}.tar', 'w') as archive:
        for row, key in enumerate(data['ids']):
            for name, values in data.items():
                if name != 'ids':
                    buffer = io.BytesIO()
                    np.save(buffer, values[row])
                    kind = 'npy' if name == 'features' else f'{name}.npy'
                    add(f'{key}.{kind}', buffer.getvalue())
            add(f'{key}.json', json.dumps(dict(key=key)).encode())


FORMS = dict(
    npy=write_npy,
    npz=write_npz,
    pt=write_pt,
    pkl=write_pkl,
    h5=write_h5,
    parquet=write_parquet,
    tar=write_tar,
)


def write_form(form, folder, videos, texts, pairs=None):
    """Write both sides, dicts of arrays features, ids, mask and pooled, and pairs for json."""
    folder.mkdir(parents=True)
    FORMS[form](folder, 'videos', videos)
    FORMS[form](folder, 'texts', texts)
    if pairs is not None:
        (folder / 'pairs.json').write_text(json.dumps(pairs))
    return folder
