"""What a run says of the program that made it."""

from __future__ import annotations

from tl_detection import environment


def test_outside_a_checkout_there_is_no_revision(tmp_path, monkeypatch):
    monkeypatch.setattr(environment, "__file__", str(tmp_path / "environment.py"))
    assert environment.source_revision() is None
    monkeypatch.setenv("PATH", "")
    assert environment.environment()["revision"] is None


def test_every_source_file_counts(tmp_path, monkeypatch):
    def fingerprint_of(**files: str) -> str:
        for name, text in files.items():
            (tmp_path / name.replace("_", ".")).write_text(text)
        monkeypatch.setattr(environment.tl_detection, "__path__", [str(tmp_path)])
        environment.sources_fingerprint.cache_clear()
        return environment.sources_fingerprint()

    try:
        first = fingerprint_of(a_py="1", b_yaml="1")
        assert fingerprint_of() == first
        (tmp_path / "__pycache__").mkdir()
        (tmp_path / "__pycache__" / "a.pyc").write_bytes(b"x")
        assert fingerprint_of() == first
        second = fingerprint_of(b_yaml="2")
        assert fingerprint_of(c_py="") not in (first, second) and first != second
    finally:
        environment.sources_fingerprint.cache_clear()
