"""The fingerprint of a source, and that taking it needs nothing heavy."""

import contextlib
import hashlib
import sqlite3
import subprocess
import sys

import lmdb

from interpreter.fingerprint import fingerprint
from tests.conftest import ROOT


def files(tmp_path):
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "two.txt").write_bytes(b"22")
    (tmp_path / "a.txt").write_bytes(b"1")
    return tmp_path


def test_it_is_a_hash_over_paths_sizes_and_contents(tmp_path):
    one, two = (hashlib.sha256(text).hexdigest() for text in (b"1", b"22"))
    text = f"a.txt\t1\t{one}\nb/two.txt\t2\t{two}\n"
    assert fingerprint(files(tmp_path)) == (hashlib.sha256(text.encode()).hexdigest()[:40], 3, 2)


def test_litter_and_dates_do_not_enter_names_and_contents_do(tmp_path):
    before = fingerprint(files(tmp_path))
    (tmp_path / ".DS_Store").write_bytes(b"x")
    (tmp_path / "b" / "Thumbs.db").write_bytes(b"x")
    (tmp_path / "a.txt").touch()
    assert fingerprint(tmp_path) == before
    (tmp_path / "a.txt").write_bytes(b"3")
    changed = fingerprint(tmp_path)
    assert changed[0] != before[0]
    (tmp_path / "a.txt").rename(tmp_path / "c.txt")
    assert fingerprint(tmp_path)[0] not in (before[0], changed[0])


def test_a_pattern_chooses_and_a_file_is_a_source_too(tmp_path):
    files(tmp_path)
    assert fingerprint(tmp_path, pattern="b/*")[1:] == (2, 1)
    assert fingerprint(tmp_path / "a.txt")[1:] == (1, 1)


def test_reading_an_lmdb_changes_nothing_whoever_reads_it(tmp_path):
    """A reader that takes a lock, as most do, writes lock.mdb, or makes it."""
    folder = tmp_path / "train"
    with lmdb.open(str(folder), map_size=1 << 20) as env, env.begin(write=True) as transaction:
        transaction.put(b"0", b"item")
    before = fingerprint(tmp_path)
    assert before[2] == 1
    (folder / "lock.mdb").unlink()
    assert fingerprint(tmp_path) == before
    with lmdb.open(str(folder), readonly=True) as env, env.begin() as transaction:
        assert transaction.get(b"0") == b"item"
        assert (folder / "lock.mdb").stat().st_size > 0
        assert fingerprint(tmp_path) == before
    with lmdb.open(str(folder)) as env, env.begin(write=True) as transaction:
        transaction.put(b"0", b"other")
    assert fingerprint(tmp_path)[0] != before[0]


def test_reading_a_database_that_is_a_single_file_changes_nothing(tmp_path):
    path = tmp_path / "gym.sqlite"
    with contextlib.closing(sqlite3.connect(path)) as made:
        made.execute("CREATE TABLE zones (id INTEGER)")
        made.execute("INSERT INTO zones VALUES (1)")
        made.commit()
    before = fingerprint(path)
    assert before[1:] == (path.stat().st_size, 1)
    with contextlib.closing(sqlite3.connect(path)) as read:
        assert read.execute("SELECT * FROM zones").fetchall() == [(1,)]
    assert fingerprint(path) == before


def test_links_that_go_round_end(tmp_path):
    files(tmp_path)
    (tmp_path / "b" / "round").symlink_to(tmp_path)
    assert fingerprint(tmp_path)[2] == 2


def test_it_is_light():
    code = (
        "import sys; from interpreter.fingerprint import fingerprint;"
        "print([m for m in ('torch', 'numpy', 'scipy', 'PIL', 'timm', 'sklearn') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"


def test_config_classes_are_light():
    names = ("datasets", "models", "objectives", "schedules", "optimizers")
    code = "".join(f"import interpreter.spec.components.{name};" for name in names) + "import interpreter.spec.metrics, sys;"
    code += "print([m for m in ('torch', 'numpy', 'scipy', 'PIL', 'timm', 'sklearn') if m in sys.modules])"
    out = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
