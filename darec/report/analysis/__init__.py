"""What the scores say: means and spreads, paired tests, claims, importances."""
