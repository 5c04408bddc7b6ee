"""Field selection, crosses and a share of the negative rows, where Python reads files."""

import handcar
import numpy as np
import pytest


@pytest.fixture
def puzzle(tmp_path):
    rows = [(i & 1, i >> 1 & 1, i % 5, (i & 1) ^ (i >> 1 & 1) ^ (i % 16 == 5)) for i in range(1600)]
    path = tmp_path / "rows.csv"
    text = "".join(f"{y},{'br'[a]},{'sl'[b]},{c / 4}\n" for a, b, c, y in rows)
    path.write_text("y,colour,size,price\n" + text)
    return path


def test_crosses_are_learnt_from_files_and_applied_to_tables(puzzle):
    pd = pytest.importorskip("pandas")
    plain = handcar.LogisticRegression(l1=1.0).fit(puzzle, raw=["price"], cache=False)
    options = dict(raw="price", cross=["colour*size", "price*colour*size"], cache=False)
    model = handcar.LogisticRegression(l1=0.0, l2=0.1, tol=1e-6).fit(puzzle, **options)
    # A line gets three of the four kinds of rows right.
    assert plain.score(puzzle) < 0.85 < 0.9 < model.score(puzzle)
    assert "colour*size=r*s" in model.coef_names_
    assert "price*colour*size=r*s" in model.coef_names_
    # A table with the same columns gives the same numbers, and so do packed rows.
    table = pd.read_csv(puzzle).drop(columns="y")
    margins = model.decision_function(puzzle)
    np.testing.assert_allclose(model.decision_function(table), margins, rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(model.decision_function(handcar.read(puzzle, **options)), margins)
    with pytest.raises(ValueError, match="columns and bins"):
        model.decision_function(handcar.read(puzzle, raw="price", cache=False))


def test_dropped_columns_are_no_features_and_others_keep_their_weights(tmp_path):
    x = np.random.default_rng(1).normal(size=(300, 3))
    y = (x[:, 2] - x[:, 1] > 0).astype(int)
    path = tmp_path / "rows.csv"
    path.write_text("y,a,b,c\n" + "".join(f"{l},{r[0]},{r[1]},{r[2]}\n" for r, l in zip(x, y)))
    raw = ["a", "b", "c"]
    dropped = handcar.LogisticRegression().fit(path, raw=raw, drop="a", cache=False)
    kept = handcar.LogisticRegression().fit(path, raw=raw, keep=["b", "c"], cache=False)
    assert list(dropped.feature_names_in_) == ["b", "c"]
    assert dropped.coef_[0, 0] < 0 < dropped.coef_[0, 1]
    np.testing.assert_array_equal(dropped.coef_, kept.coef_)


def test_a_share_of_the_negatives_weighs_as_much_as_all(tmp_path):
    path = tmp_path / "rows.svm"
    path.write_text("".join(f"{int(i % 10 == 0)} {1 + i % 7}:1\n" for i in range(20_000)))
    rows = handcar.read(path, negatives=0.2, seed=4, cache=False)
    assert 5_000 < len(rows) < 6_200
    assert rows.report["positives"] == 2_000
    model = handcar.LogisticRegression(l1=0.1).fit(path, negatives=0.2, cache=False)
    assert abs(model.predict_proba(path)[:, 1].mean() - 0.1) < 0.005
    assert len(model.predict_proba(path, negatives=0.2)) == 20_000


def test_what_cannot_be_chosen_is_refused(puzzle):
    for options, told in [
        (dict(keep="shape"), "option keep: expected fields among colour, size, price"),
        (dict(cross="colour"), "option cross: expected two or three"),
        (dict(negatives=0.0), "option negatives: expected a share"),
        (dict(keep="size", drop="size"), "option drop: expected none beside keep"),
        (dict(labels="whole"), "option labels: expected binary, real, count"),
    ]:
        with pytest.raises(ValueError, match=told):
            handcar.read(puzzle, cache=False, **options)
