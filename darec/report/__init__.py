"""The paper's tables and figures from plain result files: what they need, numbers, page."""
