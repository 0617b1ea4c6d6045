from darec.tuning.trial.names import flatten, nest


def test_flat_names_and_nested_configs_are_two_forms_of_the_same():
    nested = {"hidden": 3, "autorec": {"hidden": 5, "inner": {"rate": 0.1}}}
    flat = {"hidden": 3, "autorec/hidden": 5, "autorec/inner/rate": 0.1}
    assert flatten(nested) == flat and nest(flat) == nested
    assert nest({"a/b": 1, "a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}
