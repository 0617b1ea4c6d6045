"""What a command tells after several searches."""

import darec
from darec.cli.searches import winners
from tests.winners import saved, winner_of


def test_winners_are_listed_best_first_with_the_baselines_once(tmp_path):
    results = []
    for model, valid_rmse in (("bias", 0.95), ("cmf", 0.91), ("conet", 0.99)):
        baselines = {"bias_valid_rmse": 0.97, "hierarchical_valid_rmse": 0.94}
        best, folder = (
            winner_of(model, valid_rmse=valid_rmse, **baselines),
            tmp_path / "x-90" / model,
        )
        saved(best, folder)
        results.append(darec.load_result(folder))
    table = winners(results)
    assert table.index.name == "model"
    assert table.index.tolist() == ["cmf", "bias", "conet", "bias, untuned", "hierarchical biases"]
    assert table["validation RMSE"].tolist() == ["0.9100", "0.9500", "0.9900", "0.9700", "0.9400"]
    assert table["minus hierarchical"].tolist() == ["-0.0300", "+0.0100", "+0.0500", "-", "-"]
