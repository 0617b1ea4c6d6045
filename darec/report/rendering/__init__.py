"""The report's files: one page with its figures, and tables for papers and programs."""
