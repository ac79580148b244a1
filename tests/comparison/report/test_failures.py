from leyden.comparison.report.failures import failing_line


def write(path, *frames):
    lines = [f'  File "{file}", line 3, in f\n    {code}' for file, code in frames]
    path.write_text("\n".join(["Traceback (most recent call last):", *lines, "ValueError: no"]))
    return path


def test_the_innermost_line_that_is_not_of_an_installed_package(tmp_path):
    frames = [("/a.py", "first()"), ("/net.py", "second()"), ("/x/site-packages/t.py", "third()")]
    place = failing_line(write(tmp_path / "train.log", *frames))
    assert (place.where, place.code) == ("/net.py:3 in f", "second()")


def test_the_innermost_line_if_all_are(tmp_path):
    place = failing_line(write(tmp_path / "train.log", ("/x/site-packages/t.py", "third()")))
    assert place.code == "third()"


def test_logs_without_a_traceback(tmp_path):
    assert failing_line(tmp_path / "train.log") is None
    (tmp_path / "train.log").write_text("all went well")
    assert failing_line(tmp_path / "train.log") is None


def test_only_the_last_traceback_counts(tmp_path):
    log = write(tmp_path / "train.log", ("/old.py", "old()"))
    before = log.read_text()
    log.write_text(before + "\n" + write(tmp_path / "b.log", ("/new.py", "new()")).read_text())
    assert failing_line(log).code == "new()"
