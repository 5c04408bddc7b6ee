"""Learning from files whose rows are not kept."""

import pickle

import numpy as np
import pytest

import handcar


def rows(n, label):
    return "".join(f"{label(i)} |user u{i * 7919 % 97} |ad a{i * 104729 % 13} all\n" for i in range(n))


@pytest.fixture
def clicks(tmp_path):
    path = tmp_path / "clicks.vw"
    path.write_text(rows(5000, lambda i: 1 if (i * i + i // 3) % 5 < 2 else -1))
    return path


def test_a_stream_gives_the_model_of_one_pass(clicks):
    for options in [dict(solver="ftrl", l1=0.5), dict(solver="adagrad", l1=0.0, n_threads=2)]:
        packed = handcar.SGDClassifier(max_iter=1, **options).fit(clicks, cache=False)
        streamed = handcar.SGDClassifier(max_iter=1, **options).fit(clicks, stream=True)
        assert streamed.strongest(1000) == packed.strongest(1000)
        assert np.array_equal(streamed.predict(clicks), packed.predict(clicks))
        assert streamed.online_[-1]["loss"] == packed.online_[-1]["loss"]
        assert list(streamed.classes_) == list(packed.classes_)
        assert np.array_equal(pickle.loads(pickle.dumps(streamed)).predict(clicks), packed.predict(clicks))


def test_a_regressor_streams_numbers(tmp_path):
    path = tmp_path / "x.vw"
    path.write_text(rows(4000, lambda i: i * 7919 % 97 / 10))
    packed = handcar.SGDRegressor(solver="adagrad", max_iter=1, l1=0.0).fit(path, cache=False)
    streamed = handcar.SGDRegressor(solver="adagrad", max_iter=1, l1=0.0).fit(path, stream=True)
    assert np.allclose(streamed.predict(path), packed.predict(path), rtol=1e-3, atol=1e-3)


def test_a_stream_may_go_on_from_the_weights_before(clicks):
    model = handcar.SGDClassifier(solver="ftrl", l1=0.0, warm_start=True, max_iter=1)
    first = model.fit(clicks, stream=True).online_[-1]["loss"]
    assert model.fit(clicks, stream=True).online_[-1]["loss"] < first


def test_what_cannot_be_streamed_is_refused(clicks):
    model = handcar.SGDClassifier(solver="ftrl", max_iter=1)
    with pytest.raises(ValueError, match="stream: expected paths"):
        model.fit(np.eye(2), [0, 1], stream=True)
    with pytest.raises(ValueError, match="no eval_set"):
        model.fit(clicks, stream=True, eval_set=clicks)
    with pytest.raises(ValueError, match="one pass, as the rows are not kept"):
        handcar.SGDClassifier(solver="ftrl", max_iter=3).fit(clicks, stream=True)
    with pytest.raises(ValueError, match="one solver that learns in minibatches"):
        handcar.LogisticRegression().fit(clicks, stream=True)
    with pytest.raises(ValueError, match="option"):
        model.fit(clicks, stream=True, no_such_option=1)
