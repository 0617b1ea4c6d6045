"""The models as a help text lists them."""

ABOUT = {
    "mean": "the mean of the domain's training ratings",
    "bias": "user and item biases of the target",
    "shared_bias": "biases, with one for each user in both domains",
    "hierarchical_bias": "biases of both domains under one prior; nothing to tune",
    "item_knn": "neighbours of items, on what the biases leave",
    "pmf": "matrix factorisation of the target (Surprise)",
    "cmf_unbiased": "collective matrix factorisation, without biases",
    "cmf": "collective matrix factorisation of both domains",
    "cdtf": "cross-domain triadic factorisation",
    "fm_cdcf": "factorisation machine on the source's ratings (myfm)",
    "fm": "factorisation machine with searched features (myfm)",
    "emcdr": "factorisations, and a mapping of users between them",
    "ptupcdr": "factorisations, and a mapping for each user",
    "conet": "two networks with cross connections",
    "u_rbm": "restricted Boltzmann machine of users' rows",
    "i_rbm": "restricted Boltzmann machine of items' rows",
    "u_cf_nade": "neural autoregressive model of users' rows",
    "i_cf_nade": "neural autoregressive model of items' rows",
    "u_autorec": "autoencoder of users' rating rows",
    "i_autorec": "autoencoder of items' rating rows",
    "u_darec": "DARec on users' rows; stage 1 is u_autorec",
    "i_darec": "DARec on items' rows; stage 1 is i_autorec",
}
"""What each model of darec is, in a line."""


def model_list() -> str:
    """Return the models that ``--model`` takes, a line each, for a help text."""
    width = max(map(len, ABOUT))
    return "\n".join(["Models:", *(f"  {name:{width}}  {about}" for name, about in ABOUT.items())])
