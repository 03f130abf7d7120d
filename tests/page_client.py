"""The page as a program uses it."""

import json

import httpx

CLIENT = httpx.Client(timeout=120)  # each new one reads the certificates of the system


def call(server, name, *data, client=CLIENT):
    """Call a function of the page; return the kind of its answer ('complete', 'error') and it."""
    # By json, not httpx: it also writes texts that are not UTF-8.
    content, headers = json.dumps(dict(data=data)), {'Content-Type': 'application/json'}
    address = f'{server}/gradio_api/call/{name}'
    started = client.post(address, content=content, headers=headers)
    if started.status_code != 200:
        return 'refused', started.status_code
    answer = client.get(f'{address}/{started.json()["event_id"]}').text
    kind, _, content = answer.strip().rpartition('event: ')[2].partition('\n')
    return kind, json.loads(content.removeprefix('data: '))


def send(server, file):
    """Upload a file; return its path on the server."""
    with file.open('rb') as content:
        sent = CLIENT.post(f'{server}/gradio_api/upload', files=dict(files=(file.name, content)))
    return sent.json()[0]


def file_data(path, **more):
    """A file as requests name it."""
    return dict(path=str(path), meta=dict(_type='gradio.FileData'), **more)
