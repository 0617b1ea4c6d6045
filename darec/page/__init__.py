"""Pages that one file holds whole: sections of text, sortable tables and figures."""
