from darec.tuning.trial.names import flatten, nest, trial_folder, trial_id_of


def test_flat_names_and_nested_configs_are_two_forms_of_the_same():
    nested = {"hidden": 3, "autorec": {"hidden": 5, "inner": {"rate": 0.1}}}
    flat = {"hidden": 3, "autorec/hidden": 5, "autorec/inner/rate": 0.1}
    assert flatten(nested) == flat and nest(flat) == nested
    assert nest({"a/b": 1, "a": {"c": 2}}) == {"a": {"b": 1, "c": 2}}


def test_a_trials_folder_has_its_id_and_its_first_hyper_parameters():
    drawn = {"autorec/hidden": 300, "lr": 0.001234, "layers": "64/32 wide", "more": 1}
    folder = trial_folder("0007", drawn)
    assert folder == "0007_hidden=300_lr=0.0012_layers=64-32-wide"
    assert trial_folder("0001", {}) == "0001"
    assert trial_id_of(folder) == "0007" and trial_id_of("0001") == "0001"
