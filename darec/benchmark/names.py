"""The names of the benchmark's sections, in the order in which ``all`` measures them."""

SECTIONS = (
    *("core", "growth", "center", "memory", "fits", "transfer", "new_users", "data"),
    *("serving", "service", "search", "scale"),
    *("samplers", "starts", "algorithms", "warm_start", "rejudge", "flat", "quality", "gpu"),
)
