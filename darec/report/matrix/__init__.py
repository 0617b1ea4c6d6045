"""Which searches a report needs, what they would cost, and what is on disk of them."""
