"""What scikit-learn asks of an estimator, without importing scikit-learn."""

import inspect


class Estimator:
    """Parameters are the arguments of ``__init__``, kept under their names."""

    @classmethod
    def _parameters(cls):
        return [name for name in inspect.signature(cls.__init__).parameters if name != "self"]

    def get_params(self, deep=True):
        """The parameters, by name."""
        return {name: getattr(self, name) for name in self._parameters()}

    def set_params(self, **params):
        """Set parameters; returns the estimator."""
        known = self._parameters()
        for name, value in params.items():
            if name not in known:
                raise ValueError(f"Invalid parameter {name!r} for estimator {self}. Valid parameters are: {known!r}.")
            setattr(self, name, value)
        return self

    def __repr__(self):
        defaults = inspect.signature(type(self).__init__).parameters
        changed = {n: v for n, v in self.get_params().items() if repr(v) != repr(defaults[n].default)}
        return f"{type(self).__name__}({', '.join(f'{n}={v!r}' for n, v in changed.items())})"


class Available:
    """A method that an estimator only has under a condition, as scikit-learn's ``available_if`` makes it: otherwise asking for it is
    an ``AttributeError``."""

    def __init__(self, condition):
        self._condition = condition

    def __call__(self, method):
        self.__wrapped__ = self._method = method
        self.__doc__ = method.__doc__
        return self

    def __set_name__(self, owner, name):
        self._name = name

    def __get__(self, estimator, owner=None):
        if estimator is None:
            return self._method
        if (why := self._condition(estimator)) is not None:
            raise AttributeError(f"This {owner.__name__!r} has no attribute {self._name!r}: {why}")
        return self._method.__get__(estimator, owner)
