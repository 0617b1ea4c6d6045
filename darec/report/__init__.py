"""The paper's tables and figures: which searches they need, their analysis and one page."""
