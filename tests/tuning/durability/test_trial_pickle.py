import pytest
import ray
from ray.tune.experiment.trial import Trial

from darec.tuning.durability.trial_pickle import pickled_with_ids, unpickled_with_trials


def test_a_pickle_names_trials_by_id_and_takes_up_the_present_ones():
    one, other, now = (Trial("any", stub=True, trial_id=name) for name in ("a", "b", "a"))
    part = {one: [1.0], "same": one, "other": {other}, "closure": lambda: one}
    state = pickled_with_ids(part)
    assert len(state) < len(ray.cloudpickle.dumps(part))
    again = unpickled_with_trials(state, {"a": now, "b": other})
    assert again[now] == [1.0] and again["same"] is now and again["closure"]() is now
    with pytest.raises(KeyError, match="b"):
        unpickled_with_trials(state, {"a": now})
