"""Files: what counts as one, and how it is read."""

import os

from . import _handcar


def inputs_of(X):
    """File names, if ``X`` is a path or a list of paths; otherwise None."""
    if isinstance(X, (str, os.PathLike)):
        return [os.fspath(X)]
    if isinstance(X, (list, tuple)) and X and all(isinstance(x, (str, os.PathLike)) for x in X):
        return [os.fspath(x) for x in X]
    return None


def read(
    inputs,
    *,
    format=None,
    label=None,
    labels="binary",
    positive=None,
    weight=None,
    numeric=(),
    categorical=(),
    raw=(),
    ignore=(),
    keep=(),
    drop=(),
    cross=(),
    negatives=None,
    seed=0,
    delimiter=None,
    bits=64,
    hash="handcar",
    zero_based=False,
    on_bad_row="fail",
    n_threads=0,
    cache=True,
    cache_dir=None,
    verify_cache=False,
):
    """Read files as ``handcar fit`` reads them, into a :class:`Dataset` that any number of fits can share.

    Parameters
    ----------
    inputs : str, path or list of them
        libsvm, Criteo, CSV or VW text, plain, gzip or zstd; patterns such as ``day_*.gz`` and ``-`` for standard
        input.
    format : {"libsvm", "criteo", "csv", "vw"}, optional
        Told by the first line unless given.
    label, weight : str, optional
        CSV: the columns of labels and of example weights.
    labels : {"binary", "real", "count"}
        What labels may be: two classes, any number, or a number of at least 0.
    positive : str, optional
        The label that means the positive class; otherwise 1, or the rarer of two texts.
    numeric, categorical, raw, ignore : sequences of str
        CSV: columns read as bucketed numbers, as categories, as numbers used as they are, and left out.
    keep, drop : sequences of str
        Fields that are features, or are none: columns, Criteo's ``I1`` to ``C26``, namespaces of VW text.
    cross : sequence of str
        Features of pairs or triples of fields, as ``"a*b"``.
    negatives : float, optional
        Read all positive rows and this share of the negative ones, each with ``1/negatives`` of its weight. Rows to predict or
        score are always read whole.
    seed : int
        Decides which negative rows are read.
    delimiter : str, optional
        CSV: the letter between columns.
    bits : int
        Width of hashed values; with ``hash="vw"`` 64 stands for 18.
    hash : {"handcar", "vw"}
        VW text: how names become keys. ``"vw"`` gives the indices that Vowpal Wabbit gives.
    zero_based : bool
        libsvm: ids count from 0.
    on_bad_row : {"fail", "skip"}
        What to do with a row that cannot be read.
    n_threads : int
        Threads that parse; 0: all cores.
    cache, cache_dir, verify_cache
        Whether and where packed data is kept between runs (``HANDCAR_CACHE_DIR``, or else ``handcar`` in the platform's
        cache directory), and whether its full hash is compared before use.

    Returns
    -------
    Dataset
    """
    names = inputs_of(inputs)
    if names is None:
        raise TypeError(f"read: expected a path or a list of paths, got {type(inputs).__name__}")
    options = dict(
        format=format,
        label=label,
        labels=labels,
        positive=positive,
        weight=weight,
        numeric=numeric,
        categorical=categorical,
        raw=raw,
        ignore=ignore,
        keep=keep,
        drop=drop,
        cross=cross,
        negatives=negatives,
        seed=seed,
        delimiter=delimiter,
        bits=bits,
        hash=hash,
        zero_based=zero_based,
        on_bad_row=on_bad_row,
        n_threads=n_threads,
        cache=cache,
        cache_dir=cache_dir,
        verify_cache=verify_cache,
    )
    return _handcar.read(names, options_of(options))


def read_like(model, names, given):
    """Read files with the columns and bins that a model was trained on."""
    return _handcar.read(names, options_of(given), model)


def options_of(given):
    """Options of reading as Rust takes them; those that are not given are left to it."""
    options = dict(given)
    for name in ("numeric", "categorical", "raw", "ignore", "keep", "drop", "cross"):
        if name in options:
            options[name] = _names(options[name])
    if options.get("cache_dir") is None:
        options["cache_dir"] = os.environ.get("HANDCAR_CACHE_DIR") or None
    return options


def _names(columns):
    return [columns] if isinstance(columns, str) else list(columns)
