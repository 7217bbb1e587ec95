"""Plain words mean what a scientist thinks, down to the settings that are trained with and the labels of a sweep."""

from interpreter.check.page import check_page
from interpreter.spec.library import Library
from tests.check.render_broken import NOTED


def test_words_and_numbers_arrive_as_what_they_look_like(project, write):
    library = Library(project)
    text = (NOTED / "scalars.yaml").read_text("utf-8")
    (entry,) = check_page(library, library.page(write("2026-01-01", text))).entries
    assert (entry.entry.title, entry.entry.about) == ("off", "2024-06-28")
    plain = entry.arms["x"].stage("a")
    assert (plain.schedule.epochs, plain.schedule.batch_size, plain.head.hidden) == (10, 1000, None)
    assert list(entry.arms) == ["x", "y[1-4-20]", "y[NO]"]
    assert entry.arms["y[1-4-20]"].stage("a").schedule.epochs == 3
    assert entry.arms["y[NO]"].stage("a").schedule.optimizer.weight_decay == 0.001
