import pytest

from interpreter.spec.names import (
    ArmRef,
    ComponentRef,
    ResultRef,
    StageRef,
    arm_ref,
    component_ref,
    did_you_mean,
    result_ref,
    stage_ref,
)


def test_the_grammar_of_references():
    assert component_ref("2024-06-28#models.cnn") == ComponentRef("2024-06-28", "models", "cnn")
    assert stage_ref("2024-06-28/fine-tune#easy") == StageRef("2024-06-28", "fine-tune", "easy")
    assert arm_ref("2024-06-28/fine-tune/naive") == ArmRef("2024-06-28", "fine-tune", "naive")
    assert result_ref("2024-06-28/e/a.s@last") == ResultRef("2024-06-28", "e", "a", "", "s", "last")
    assert result_ref("a.s") == ResultRef("", "", "a", "", "s", "best")
    assert result_ref("s@epoch-50") == ResultRef("", "", "", "", "s", "epoch-50")
    assert result_ref("pretrain[1-2-0].gym@last") == ResultRef("", "", "pretrain", "1-2-0", "gym", "last")


@pytest.mark.parametrize("text", ["A.s", "a.s@middle", "2024/e/a.s", "a..s", "", "a.s@epoch-"])
def test_what_is_no_reference(text):
    assert result_ref(text) is None


def test_hints():
    assert did_you_mean("acuracy", ["accuracy", "nll"]) == "did you mean `accuracy`?"
    assert did_you_mean("zzz", ["b", "a"]) == "known: a, b"
    assert did_you_mean("x", []) == "none is defined here"
