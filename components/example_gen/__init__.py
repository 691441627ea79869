"""ExampleGen: files of several formats become splits of `tf.train.Example`."""

import lazy_loader

# What is here is listed in __init__.pyi, and loaded when it is first asked for.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
