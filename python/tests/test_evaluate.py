"""Measures on files, by slice."""

import numpy as np
import pytest

import handcar


@pytest.fixture(scope="module")
def model(adult):
    return handcar.LogisticRegression(l1=10.0, tol=1e-2).fit(adult, label="income")


def test_measures_of_files_agree_with_scores(model, adult):
    found = model.evaluate(adult, slices=["workclass", "age"], slice_values=3)
    assert found["rows"] == 48_842 and len(found["calibration"]) == 10
    assert found["metrics"]["accuracy"] == pytest.approx(model.score(adult), abs=1e-12)
    predicted = model.predict_proba(adult)[:, 1]
    rows = handcar.read(adult, label="income")
    assert found["metrics"]["calibration"] == pytest.approx(predicted.sum() / np.sum(rows.labels > 0), rel=1e-9)
    workclass, age = found["slices"]
    assert (workclass["field"], age["field"], len(workclass["values"])) == ("workclass", "age", 3)
    assert workclass["values"][0]["value"] == "Private" and workclass["values"][0]["rows"] == 33_906
    assert sum(v["rows"] for v in [*age["values"], age["other"]]) == 48_842


def test_what_cannot_be_measured_is_refused(model, adult, tmp_path):
    with pytest.raises(ValueError, match="expected a field among age, workclass"):
        model.evaluate(adult, slices=["salary"])
    with pytest.raises(ValueError, match="slices: expected a list of fields, got 'age'"):
        model.evaluate(adult, slices="age")
    with pytest.raises(ValueError, match="evaluate: expected paths"):
        model.evaluate(np.eye(3))
    with pytest.raises(ValueError, match="slice_values: expected a whole number from 1 to 65536, got 0"):
        model.evaluate(adult, slice_values=0)
    with pytest.raises(FileNotFoundError):
        model.evaluate(tmp_path / "none.csv")
