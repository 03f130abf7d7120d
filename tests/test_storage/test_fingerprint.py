"""The texts stay what they are: caches, stored frames and galleries are known by them."""

import os

import pytest

from diffusionret_mm.storage.fingerprint import fingerprint_of, sha256_of, version_of_file


@pytest.mark.parametrize(
    ('value', 'text'),
    [
        (dict(b=[1, 2.5, None], a='é'), 'fc10ba9755cfc69c'),
        ([], '4f53cda18c2baa0c'),
    ],
)
def test_fingerprints_of_before(value, text):
    assert fingerprint_of(value) == text


def test_the_version_of_a_file(tmp_path):
    path = tmp_path / 'file'
    path.write_bytes(b'12345')
    os.utime(path, ns=(1, 1_700_000_000_123_456_789))
    assert version_of_file(path) == (5, 1_700_000_000_123_456_789)
    assert version_of_file(path)._asdict() == dict(bytes=5, mtime_ns=1_700_000_000_123_456_789)


def test_the_hash_of_a_file(tmp_path):
    (tmp_path / 'file').write_bytes(b'abc')
    known = 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'  # of FIPS 180-2
    assert sha256_of(tmp_path / 'file') == known
